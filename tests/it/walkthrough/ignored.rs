//! Contract ams-v2, section 9: each thing that the walkthrough ignores.

use super::Row;

pub const ROWS: &[Row] = &[
    (
        "a copy counts only when its status is success; failed and aborted ones are made again",
        "leaves its wait on any status but pending",
        &[
            "copies::failed_copy_is_repeated",
            "copies::aborted_copy_is_not_success_and_not_repeated_before_a_pause",
            "blob_store::answers::a_copy_that_ends_badly_is_told_with_the_services_words",
            "blob_store::faults::a_copy_that_the_service_gives_up_is_unfinished_and_replaced_by_the_next",
        ],
    ),
    (
        "a copy under way is waited for if it is of the same source, else aborted",
        "fails at 409 PendingCopyOperation",
        &[
            "copies::pending_copy_of_same_source_is_adopted",
            "copies::pending_copy_of_other_source_is_aborted",
            "copies::copy_that_never_ends_is_continued_until_the_deadline_and_aborted_then",
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
        "a listing is flat and is read to its last marker",
        "lists by directory and takes each item for a blob",
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
        "sizes and MD5 of all blobs are compared after the copy",
        "compares nothing",
        &[
            "retries::verification::a_copy_that_is_cut_short_is_not_taken_for_done",
            "retries::verification::a_copy_with_other_content_is_not_taken_for_done",
            "retries::verification::a_copy_that_is_not_there_is_not_taken_for_done",
            "retries::verification::a_replica_that_was_cut_short_later_is_copied_again",
        ],
    ),
    (
        "registered sizes are compared with the blobs'",
        "compares nothing",
        &["publishing::a_registered_size_that_is_not_the_blobs_is_refused_and_nothing_published"],
    ),
    (
        "a source that changes in mid-copy is copied again",
        "does not notice",
        &[
            "retries::storage::a_file_that_changes_after_its_copy_is_copied_again",
            "retries::storage::a_file_that_changes_before_its_copy_is_copied_as_it_is_then",
            "blob_store::a_source_that_changed_or_went_since_the_listing_is_not_copied",
        ],
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
        "relies on what a listing includes by default",
        &[
            "blob_store::a_listing_has_every_blob_with_its_headers_metadata_and_kind",
            "replicate::both_containers_are_identical_but_for_one_key_of_ours",
        ],
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
        "an asset's container is never made",
        "makes it where it is missing",
        &[
            "publishing::a_replica_that_lost_its_container_is_told_of_and_gets_no_other",
            "blob_store::a_copy_into_a_lost_container_is_a_permanent_failure_of_the_replica",
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
        "the replica's locator begins and ends with its source's",
        "a hundred days, whatever the source has",
        &[
            "publishing::a_locator_that_began_long_ago_ends_at_both_sites_in_the_same_second",
            "ams_v2::locators::a_locator_has_the_chosen_id_and_exactly_the_chosen_validity",
        ],
    ),
    (
        "without storage keys, locators for copying are deleted however a message ends",
        "deletes them only where all goes well",
        &[
            "no_key::whole::neither_site_has_a_key",
            "no_key::ends::refused_with_one_or_both_containers_open",
            "no_key::ends::given_up_after_the_last_try",
            "no_key::ends::expired_while_storage_refuses",
            "no_key::ends::handed_back_at_sigterm",
        ],
    ),
    (
        "with storage keys no locator is made for copying",
        "makes two, and deletes them only where all goes well",
        &["publishing::with_storage_keys_no_locator_is_made_but_the_streaming_ones"],
    ),
    (
        "several redirects are followed, for every verb",
        "follows one",
        &[
            "retries::every_call::every_call_of_every_verb_is_sent_again_where_it_is_redirected_to",
            "ams_v2::calls::a_deletion_is_sent_again_where_it_is_redirected_to",
            "retries::media_service::an_extra_hop_at_the_front_door_is_followed_and_asked_once_for_each_account",
        ],
    ),
    (
        "redirects without end are given up after three",
        "follows those of the registration of files for ever",
        &[
            "retries::every_call::a_registration_of_files_that_is_redirected_without_end_is_given_up_after_three_hops",
            "retries::media_service::a_redirect_loop_is_a_dead_letter_that_names_the_setting",
        ],
    ),
    (
        "every refusal is a failure with its cause",
        "prints it and goes on with null",
        &[
            "retries::refused_calls::a_call_that_is_refused_for_good_is_a_dead_letter_whose_replay_finishes_the_work",
            "ams_v2::wire::an_answer_that_cannot_be_read_is_transient_and_never_taken_for_an_empty_one",
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
        "the replica is named as its source, and linked to it by a mark",
        "names it after the source's container",
        &[
            "publishing::names_travel_in_every_script_and_the_mark_leaves_the_owners_alternate_id",
            "ams_v2::assets::a_replica_is_found_by_its_mark_and_by_nothing_less",
        ],
    ),
    (
        "names travel in every script",
        "sends ASCII, in which other letters are question marks",
        &["publishing::names_travel_in_every_script_and_the_mark_leaves_the_owners_alternate_id"],
    ),
    (
        "of several locators the newest that still lasts is replicated",
        "takes the first",
        &[
            "publishing::of_several_locators_the_newest_that_still_lasts_is_replicated",
            "replication::locator::tests::the_newest_that_still_lasts_and_has_begun_is_taken",
        ],
    ),
    (
        "of several manifests the source's primary one decides; none marked is refused",
        "takes the first",
        &[
            "refusals::the_primary_manifest_decides_and_the_only_one_needs_no_mark",
            "refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do",
        ],
    ),
    (
        "the ending .ism is read in any case; an asset without one is refused with a hint",
        "finds .ISM once and misses it once",
        &[
            "refusals::the_primary_manifest_decides_and_the_only_one_needs_no_mark",
            "refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do",
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
        "every field of the token's form is percent-encoded",
        "sends the account's name as it is",
        &[
            "ams_v2::limits::an_account_name_with_signs_of_a_form_gets_its_token",
            "ams_v2::calls::one_token_serves_all_calls_and_a_refused_one_is_renewed_once",
        ],
    ),
    (
        "the asset is looked up before a policy is made",
        "makes the policy first",
        &["refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do"],
    ),
    (
        "policies are reused by name, duration and permissions",
        "makes them anew for each run",
        &[
            "ams_v2::limits::a_policy_is_reused_only_with_our_name_our_duration_and_nothing_but_reading",
            "replicate::access_policies_are_made_once_and_shared_by_all_assets",
        ],
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
