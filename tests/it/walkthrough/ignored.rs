//! Contract ams-v2, section 9: each thing that the walkthrough ignores.

use super::Row;

pub const ROWS: &[Row] = &[
    (
        "a copy counts only when its status is success: failed and aborted ones are made again",
        "leaves its wait on any status but pending",
        &[
            "retries::storage::a_copy_that_fails_is_made_again",
            "retries::storage::a_copy_that_somebody_aborts_is_made_again",
            "blob_store::answers::a_copy_that_ends_badly_is_told_with_the_services_words",
            "blob_store::faults::a_copy_that_the_service_gives_up_is_unfinished_and_replaced_by_the_next",
        ],
    ),
    (
        "an empty blob is a blob",
        "skips blobs of no length",
        &[
            "replicate::both_containers_are_identical_but_for_one_key_of_ours",
            "blob_store::a_copy_is_equal_to_its_source_in_everything",
        ],
    ),
    (
        "listing is flat and read page by page to the last marker",
        "lists by directory, one page, and casts what it finds to a blob",
        &[
            "replicate::both_containers_are_identical_but_for_one_key_of_ours",
            "blob_store::a_listing_has_every_blob_with_its_headers_metadata_and_kind",
            "blob_store::answers::a_listing_of_the_real_service_is_understood",
        ],
    ),
    (
        "page and append blobs are refused",
        "takes every blob for a block blob",
        &["refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do"],
    ),
    (
        "a signature for copying reads only, in UTC, and is made anew for each request",
        "one signature to read and write, until local time and a day",
        &[
            "blob_store::sas::tests::the_signature_covers_the_documented_text",
            "blob_store::answers::put_blob_from_url_says_all_that_the_copy_must_keep",
        ],
    ),
    (
        "snapshots stay out",
        "depends on what a listing includes by default",
        &["blob_store::a_listing_has_every_blob_with_its_headers_metadata_and_kind"],
    ),
    (
        "headers, metadata and MIME types travel along",
        "registers files without their MIME types",
        &[
            "replicate::both_containers_are_identical_but_for_one_key_of_ours",
            "replicate::an_encoded_asset_becomes_playable_at_the_second_site_and_is_announced",
        ],
    ),
    (
        "the manifest is marked primary, last of all",
        "marks none at the replica",
        &[
            "refusals::the_primary_manifest_decides_and_the_only_one_needs_no_mark",
            "replication::files::tests::wrong_primaries_go_first_the_right_one_comes_last_and_equal_files_are_left_alone",
        ],
    ),
    (
        "a locator that is there already counts only when it is this asset's",
        "takes the conflict for nothing and prints half a URL",
        &[
            "refusals::a_replica_that_cannot_be_published_is_left_unpublished",
            "ams_v2::locators::ids_that_are_taken_are_told_apart",
            "kills::the_same_message_three_times_changes_nothing_after_the_first",
        ],
    ),
    (
        "several redirects are followed, and every failure is typed",
        "follows one redirect, prints web errors and gives null",
        &[
            "retries::media_service::an_extra_hop_at_the_front_door_is_followed_and_asked_once_for_each_account",
            "retries::media_service::a_gateways_404_is_not_taken_for_an_asset_that_is_gone",
        ],
    ),
    (
        "every output of an encoding job is replicated",
        "takes the first output only",
        &["split::a_job_with_three_outputs_makes_three_replicas_and_three_events_from_one_notification"],
    ),
    (
        "storage-encrypted assets are refused",
        "copies what nobody can play",
        &[
            "refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do",
            "ams_v2::assets::protected_assets_are_refused_with_a_hint",
        ],
    ),
    (
        "assets with delivery policies or content keys are refused",
        "serves protected content in the clear",
        &[
            "refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do",
            "ams_v2::assets::protected_assets_are_refused_with_a_hint",
        ],
    ),
    (
        "both streaming endpoints must run",
        "prints a URL that may not play",
        &[
            "refusals::a_site_that_cannot_stream_is_named_and_the_replayed_message_succeeds_once_it_can",
            "media_service::ams_v2::endpoints::tests::only_endpoints_that_play_pass",
        ],
    ),
    (
        "of several manifests the source's primary one decides, none marked is refused",
        "takes the first",
        &[
            "refusals::the_primary_manifest_decides_and_the_only_one_needs_no_mark",
            "refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do",
        ],
    ),
    (
        "the ending .ism is read in any case, and an asset without one is refused with a hint",
        "finds .ISM once and misses it once",
        &[
            "refusals::the_primary_manifest_decides_and_the_only_one_needs_no_mark",
            "replication::source::tests::the_primary_decides_and_the_only_one_needs_no_mark",
        ],
    ),
    (
        "only a finished job is replicated",
        "tests for Error alone, so that a cancelled job counts as done",
        &["ignored::notifications_of_anything_but_success_are_acknowledged_with_one_log_line"],
    ),
    (
        "a job that ended badly is one log line with id, name and task errors",
        "logs with a null context and fails there",
        &["ignored::notifications_of_anything_but_success_are_acknowledged_with_one_log_line"],
    ),
    (
        "classic endpoints without units are refused with a hint",
        "prints a URL whose manifest is 404",
        &[
            "refusals::a_site_that_cannot_stream_is_named_and_the_replayed_message_succeeds_once_it_can",
            "ams_v2::jobs_and_endpoints::only_a_streaming_endpoint_that_plays_passes",
        ],
    ),
];
