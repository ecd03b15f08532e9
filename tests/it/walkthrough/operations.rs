//! Contract ams-v2, sections 2 and 4: what each operation of a replicator needs.

use super::Row;

pub const FILES_AND_LOCATORS: &[Row] = &[
    (
        "registration is asked for once, with names missing, and nested blobs are no files",
        "registers whatever is there",
        &["replicate::both_containers_are_identical_but_for_one_key_of_ours"],
    ),
    (
        "a locator's id goes out in its full form and comes back in any",
        "sends what it has read",
        &["model::locator::tests::ids_are_read_in_every_form_and_written_in_one"],
    ),
    (
        "an id that another account of the same data centre holds is refused with a hint",
        "prints a URL of somebody else's",
        &[
            "refusals::a_replica_that_cannot_be_published_is_left_unpublished",
            "ams_v2::locators::ids_that_are_taken_are_told_apart",
        ],
    ),
    (
        "a shared access signature under the wanted id is no streaming locator",
        "takes the first locator of any kind",
        &["ams_v2::locators::shared_access_signatures_are_no_streaming_locators"],
    ),
    (
        "a rolled storage key is told with a hint",
        "ends",
        &["blob_store::a_wrong_key_is_denied_whichever_side_has_it_and_no_secret_is_told"],
    ),
];

pub const LIMITS_AND_TIMING: &[Row] = &[
    (
        "five locators of an asset are the most; the sixth is refused with a hint",
        "ends",
        &[
            "refusals::a_replica_that_cannot_be_published_is_left_unpublished",
            "ams_v2::locators::a_locator_has_the_chosen_id_and_exactly_the_chosen_validity",
        ],
    ),
    (
        "a policy for streaming allows to read and nothing more",
        "the same",
        &["ams_v2::locators::a_locator_has_the_chosen_id_and_exactly_the_chosen_validity"],
    ),
    (
        "a new locator that cannot be read yet is not made twice",
        "does not read it",
        &["retries::not_ready::a_locator_that_cannot_be_read_right_after_its_creation_is_not_made_twice"],
    ),
    (
        "a new locator that is not served yet is waited for, and nothing announced before",
        "prints the URL at once",
        &["retries::not_ready::a_locator_that_is_not_served_yet_is_waited_for_and_nothing_announced_before"],
    ),
    (
        "a locator starts a little in the past, against clocks that differ",
        "ten minutes in the past",
        &["replicate::a_source_without_locator_is_published_for_thirty_days_from_five_minutes_ago"],
    ),
    (
        "a job whose state lags behind its notification is waited for",
        "polls the job itself",
        &["retries::not_ready::a_notification_ahead_of_its_encoding_job_waits_for_it"],
    ),
    (
        "sets of more than a thousand are read to the end, with a next link and without",
        "reads one page",
        &["ams_v2::calls::sets_of_more_than_a_thousand_are_read_to_the_end"],
    ),
    (
        "redirects never carry the token to a host that nobody named",
        "sends it wherever it is sent",
        &[
            "ams_v2::calls::a_host_that_is_not_allowed_never_sees_the_token",
            "http::allow_list::tests::look_alikes_are_refused",
        ],
    ),
    (
        "one token serves all calls of an account",
        "one for each run, never renewed",
        &[
            "ams_v2::calls::one_token_serves_all_calls_and_a_refused_one_is_renewed_once",
            "media_service::ams_v2::token::tests::the_life_of_a_token_is_read_in_every_form",
        ],
    ),
];
