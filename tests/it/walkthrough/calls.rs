//! Contract ams-v2, section 5: what each error looks like, what it means, and what is asked again.

use super::Row;

pub const STATUSES: &[Row] = &[
    (
        "error bodies in JSON of both flavours, XML, HTML and none give one short line",
        "reads a web error as null",
        &["media_service::ams_v2::error_text::tests::every_shape_gives_one_line"],
    ),
    (
        "404 of what is gone is permanent, with a hint",
        "goes on with null",
        &["refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do"],
    ),
    (
        "409 is looked into: a taken id, five locators, or this asset's own",
        "takes every conflict for one",
        &[
            "ams_v2::locators::ids_that_are_taken_are_told_apart",
            "refusals::a_replica_that_cannot_be_published_is_left_unpublished",
        ],
    ),
    (
        "500 is asked again after a look at what it has done",
        "ends",
        &[
            "retries::media_service::creations_that_answer_500_after_the_commit_are_not_repeated",
            "media_service::ams_v2::classify::tests::statuses_have_the_classes_of_the_contract",
        ],
    ),
    (
        "502 and 504 of a gateway the same",
        "ends",
        &[
            "retries::media_service::creations_that_answer_a_gateways_502_after_the_commit_are_not_repeated",
            "retries::media_service::a_gateways_pages_and_silences_are_tried_again_in_process",
        ],
    ),
    (
        "503 backs off in process, then through the retry queues",
        "ends",
        &[
            "retries::queues::a_burst_that_ends_within_the_tries_in_process_costs_no_attempt",
            "retries::queues::a_burst_beyond_the_tries_in_process_goes_through_a_retry_queue",
        ],
    ),
    (
        "a wait that the service asks for is kept, and capped",
        "does not look",
        &[
            "retries::queues::a_short_wait_that_the_service_asks_for_is_kept_in_process",
            "retries::queues::a_longer_wait_that_the_service_asks_for_is_a_longer_tier",
            "http::retry_after::tests::seconds_and_dates_are_read_and_capped",
        ],
    ),
];

pub const REPETITION: &[Row] = &[
    (
        "a connection that cannot be made is tried again, for every verb",
        "ends",
        &["ams_v2::calls::a_data_centre_that_is_down_is_transient_and_found_again"],
    ),
    (
        "the token door is asked again while it is busy",
        "ends",
        &["retries::media_service::a_busy_token_door_is_asked_again"],
    ),
    (
        "storage is asked again in its own ways: busy, denied or gone once",
        "leaves it to the storage library, which counts the end of waiting as success",
        &[
            "retries::storage::busy_storage_is_asked_again_in_process",
            "blob_store::answers::a_denied_or_absent_source_is_looked_at_twice",
            "blob_store::answers::every_refusal_has_its_kind",
        ],
    ),
    (
        "an asset is looked for by its mark before it is made again",
        "makes one for each run",
        &[
            "ams_v2::assets::a_creation_whose_answer_is_lost_is_not_repeated_blindly",
            "retries::media_service::creations_whose_connection_breaks_after_the_commit_are_not_repeated",
        ],
    ),
    (
        "an access policy is looked for by its name before it is made again",
        "makes three for each run",
        &[
            "ams_v2::locators::lost_answers_and_late_reads_make_no_second_locator",
            "replicate::access_policies_are_made_once_and_shared_by_all_assets",
        ],
    ),
    (
        "files are registered again until all are there",
        "registers once and does not look",
        &["retries::not_ready::files_that_the_service_registers_in_several_goes_are_waited_for"],
    ),
    (
        "a locator with a chosen id is looked for before it is made again",
        "ends",
        &["ams_v2::locators::lost_answers_and_late_reads_make_no_second_locator"],
    ),
    (
        "what is to be deleted and gone already is deleted",
        "ends",
        &["ams_v2::assets::files_are_registered_from_blobs_and_described"],
    ),
];
