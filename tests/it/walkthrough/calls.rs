//! Contract ams-v2, section 5: what each error looks like, what it means, and what is asked again.

use super::Row;

pub const STATUSES: &[Row] = &[
    (
        "error bodies in JSON of both flavours, XML, HTML and none give one short line",
        "takes what it cannot read for null",
        &[
            "media_service::ams_v2::error_text::tests::every_shape_gives_one_line",
            "ams_v2::answers::every_status_has_its_class_in_every_shape_at_every_verb",
        ],
    ),
    (
        "400 is permanent",
        "goes on",
        &[
            "retries::refused_calls::a_call_that_is_refused_for_good_is_a_dead_letter_whose_replay_finishes_the_work",
            "ams_v2::answers::every_status_has_its_class_in_every_shape_at_every_verb",
        ],
    ),
    (
        "401 renews the token once, whichever call meets it",
        "goes on with the old one",
        &[
            "retries::every_call::a_token_that_dies_is_renewed_whichever_call_meets_it",
            "ams_v2::calls::one_token_serves_all_calls_and_a_refused_one_is_renewed_once",
        ],
    ),
    (
        "401 that stays is permanent",
        "goes on",
        &[
            "retries::every_call::a_token_that_is_never_taken_is_renewed_once_and_then_permanent",
            "ams_v2::answers::every_status_has_its_class_in_every_shape_at_every_verb",
        ],
    ),
    (
        "403 is permanent, with a hint",
        "goes on",
        &[
            "retries::refused_calls::a_call_that_is_refused_for_good_is_a_dead_letter_whose_replay_finishes_the_work",
            "ams_v2::limits::a_quota_that_is_reached_is_permanent_and_says_so",
        ],
    ),
    (
        "404 of what is gone is permanent, with a hint",
        "goes on with null",
        &["refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do"],
    ),
    (
        "404 right after a creation is waited for",
        "goes on with null",
        &["retries::refused_calls::what_is_not_seen_right_after_its_creation_is_waited_for"],
    ),
    (
        "404 of a gateway is not taken for an asset that is gone",
        "takes it so",
        &["retries::media_service::a_gateways_404_is_not_taken_for_an_asset_that_is_gone"],
    ),
    (
        "409 is looked into: this asset's own, another's, five locators, or storage",
        "takes every conflict for one",
        &[
            "ams_v2::answers::a_locator_that_is_refused_is_looked_for_before_anything_is_said",
            "refusals::a_replica_that_cannot_be_published_is_left_unpublished",
        ],
    ),
    (
        "409 of files that are registered already is no failure",
        "goes on",
        &["publishing::files_that_come_later_are_registered_where_the_service_registers_no_container_twice"],
    ),
    (
        "412 is permanent",
        "goes on",
        &[
            "retries::refused_calls::a_call_that_is_refused_for_good_is_a_dead_letter_whose_replay_finishes_the_work",
            "ams_v2::answers::every_status_has_its_class_in_every_shape_at_every_verb",
        ],
    ),
    ("429 is asked again", "goes on", &["retries::every_call::a_429_is_asked_again_whichever_call_meets_it"]),
    (
        "500 is asked again, after a look at what it has done",
        "goes on",
        &[
            "retries::every_call::a_500_after_the_commit_does_no_harm_whichever_call_meets_it",
            "retries::media_service::creations_that_answer_500_after_the_commit_are_not_repeated",
        ],
    ),
    (
        "502 and 504 of a gateway likewise",
        "goes on",
        &[
            "retries::media_service::creations_that_answer_a_gateways_502_after_the_commit_are_not_repeated",
            "retries::media_service::a_gateways_pages_and_silences_are_tried_again_in_process",
        ],
    ),
    (
        "503 backs off in process, then through the retry queues",
        "goes on",
        &[
            "retries::every_call::a_busy_service_is_asked_again_whichever_call_meets_it",
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
        "408, 429, 503 and connections that cannot be made are tried again, for every verb",
        "never",
        &[
            "ams_v2::answers::every_status_has_its_class_in_every_shape_at_every_verb",
            "ams_v2::calls::a_data_centre_that_is_down_is_transient_and_found_again",
        ],
    ),
    (
        "queries and the token are also asked again after 500, 502, 504 and broken connections",
        "never",
        &[
            "ams_v2::calls::reads_are_repeated_and_what_stays_is_classified",
            "retries::media_service::a_busy_token_door_is_asked_again",
        ],
    ),
    (
        "writes are not, before a look at what has happened",
        "never",
        &[
            "ams_v2::answers::a_creation_is_asked_for_again_at_once_only_where_nothing_can_have_happened",
            "retries::every_call::a_connection_that_breaks_after_the_commit_does_no_harm_whichever_call_meets_it",
        ],
    ),
    (
        "storage is asked again in its own ways: busy, and denied once",
        "leaves it to its library",
        &[
            "retries::storage::busy_storage_is_asked_again_in_process",
            "copies::passing_trouble_is_tried_through_within_one_attempt",
            "replication::engine::retry::tests::what_may_pass_is_tried_again_and_what_cannot_is_not",
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
        "a policy is looked for by its name before it is made again",
        "makes three for each run",
        &["ams_v2::locators::lost_answers_and_late_reads_make_no_second_locator"],
    ),
    (
        "a shared access locator has a name of ours: it is found again, or deleted when its answer was lost",
        "leaks one of five for each run",
        &[
            "ams_v2::sas_locators::lost_answers_and_late_reads_leave_none_behind",
            "no_key::whole::a_leftover_is_used_and_deleted_and_a_strangers_signature_stays",
        ],
    ),
    (
        "files are registered again until all are there",
        "registers once and does not look",
        &["retries::not_ready::files_that_the_service_registers_in_several_goes_are_waited_for"],
    ),
    (
        "marking the primary file and MIME types is repeated at will",
        "marks none",
        &["retries::every_call::a_500_after_the_commit_does_no_harm_whichever_call_meets_it"],
    ),
    (
        "a locator with a chosen id is looked for before it is made again",
        "takes the conflict for nothing",
        &[
            "ams_v2::locators::lost_answers_and_late_reads_make_no_second_locator",
            "ams_v2::answers::a_locator_that_is_refused_is_looked_for_before_anything_is_said",
        ],
    ),
    (
        "what is to be deleted and is gone already is deleted",
        "prints the error",
        &[
            "ams_v2::limits::an_asset_is_deleted_after_its_locators_and_each_of_them_once",
            "ams_v2::assets::files_are_registered_from_blobs_and_described",
        ],
    ),
];
