//! Contract ams-v2, sections 2 and 4: what each operation of a replicator needs.

use super::Row;

pub const FILES_AND_LOCATORS: &[Row] = &[
    (
        "files are listed first, and registered only where names are missing",
        "registers in any case",
        &["publishing::files_that_come_later_are_registered_where_the_service_registers_no_container_twice"],
    ),
    (
        "the set of registered files must be the set of blobs, nested ones aside",
        "does not look",
        &[
            "replicate::both_containers_are_identical_but_for_one_key_of_ours",
            "retries::not_ready::files_that_the_service_registers_in_several_goes_are_waited_for",
        ],
    ),
    (
        "a locator's id goes out in its full form and comes back in any",
        "sends what it has read",
        &["model::locator::tests::ids_are_read_in_every_form_and_written_in_one"],
    ),
    (
        "a deleted locator frees its id",
        "the same",
        &["publishing::a_locator_that_somebody_deleted_is_published_again_under_its_id"],
    ),
    (
        "an id that another asset of the account holds is refused with a hint",
        "prints half a URL",
        &["refusals::a_replica_that_cannot_be_published_is_left_unpublished"],
    ),
    (
        "an id that another account of the data centre holds is refused with a hint",
        "prints half a URL",
        &[
            "refusals::a_replica_that_cannot_be_published_is_left_unpublished",
            "ams_v2::locators::ids_that_are_taken_are_told_apart",
        ],
    ),
    (
        "a shared access signature under the wanted id is no streaming locator",
        "takes the first locator of any kind",
        &[
            "ams_v2::locators::shared_access_signatures_are_no_streaming_locators",
            "publishing::of_several_locators_the_newest_that_still_lasts_is_replicated",
        ],
    ),
    (
        "a policy's duration is added to the start, so the end is set by itself afterwards",
        "never sets it",
        &[
            "publishing::a_locator_that_began_long_ago_ends_at_both_sites_in_the_same_second",
            "ams_v2::locators::a_locator_has_the_chosen_id_and_exactly_the_chosen_validity",
        ],
    ),
    (
        "the path ends in the locator's id at both sites",
        "does not compare",
        &["replicate::an_encoded_asset_becomes_playable_at_the_second_site_and_is_announced"],
    ),
    (
        "a rolled storage key is told with a hint",
        "prints the error",
        &["blob_store::a_wrong_key_is_denied_whichever_side_has_it_and_no_secret_is_told"],
    ),
];

pub const LIMITS_AND_TIMING: &[Row] = &[
    (
        "five locators of an asset are the most; the sixth is refused with a hint",
        "prints the error",
        &[
            "refusals::a_replica_that_cannot_be_published_is_left_unpublished",
            "ams_v2::locators::a_locator_has_the_chosen_id_and_exactly_the_chosen_validity",
        ],
    ),
    (
        "what stands in the way of a sixth is told one by one",
        "prints the error",
        &[
            "no_key::ends::refused_because_the_asset_has_five_locators",
            "ams_v2::sas_locators::five_locators_are_told_one_by_one",
        ],
    ),
    (
        "a quota of policies or assets that is reached is refused with a hint",
        "reaches it by itself",
        &["ams_v2::limits::a_quota_that_is_reached_is_permanent_and_says_so"],
    ),
    (
        "files of an asset are read beyond a thousand",
        "reads one page",
        &["ams_v2::limits::files_of_an_asset_are_read_beyond_a_page"],
    ),
    (
        "marks are read beyond a thousand",
        "has no marks",
        &["ams_v2::limits::a_replica_is_found_by_its_mark_beyond_a_page_of_marks_that_begin_alike"],
    ),
    (
        "pages are followed with a next link and without",
        "reads one page",
        &[
            "ams_v2::calls::sets_of_more_than_a_thousand_are_read_to_the_end",
            "ams_v2::wire::a_next_link_is_followed_below_the_root_only",
        ],
    ),
    (
        "a policy for streaming allows to read and nothing more",
        "the same",
        &["ams_v2::locators::a_locator_has_the_chosen_id_and_exactly_the_chosen_validity"],
    ),
    (
        "files are registered before the locator is made",
        "the same",
        &["publishing::files_are_registered_before_the_locator_where_the_service_insists_on_it"],
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
        "a new shared access locator that storage refuses is waited for, at each use",
        "fails",
        &[
            "no_key::lag::until_the_source_can_be_listed",
            "no_key::lag::until_the_replica_can_be_listed",
            "no_key::lag::until_the_replica_can_be_written_to",
            "no_key::lag::until_the_replicas_service_can_read_the_source",
            "no_key::lag::until_the_copy_can_be_verified",
        ],
    ),
    (
        "a locator starts a little in the past, against clocks that differ",
        "ten minutes",
        &["replicate::a_source_without_locator_is_published_for_thirty_days_from_five_minutes_ago"],
    ),
    (
        "a job whose state lags behind its notification is waited for",
        "asks the job alone",
        &["retries::not_ready::a_notification_ahead_of_its_encoding_job_waits_for_it"],
    ),
    (
        "an asset is deleted after its locators",
        "deletes none",
        &["ams_v2::limits::an_asset_is_deleted_after_its_locators_and_each_of_them_once"],
    ),
    (
        "statically encrypted assets and files are refused, each kind by its name",
        "copies what nobody can play",
        &["refusals::what_cannot_be_replicated_ends_as_a_dead_letter_that_says_what_to_do"],
    ),
    (
        "dates are read in every form that the service writes",
        "relies on its library",
        &[
            "ams_v2::wire::dates_are_read_in_every_form_that_the_service_writes",
            "media_service::ams_v2::dates::tests::every_form_on_the_wire_is_read_as_utc",
            "ams_v2::jobs_and_endpoints::dates_are_read_in_every_style",
        ],
    ),
    (
        "numbers and booleans are read as text too, in both flavours of JSON",
        "relies on the order of members",
        &["ams_v2::wire::both_flavours_are_read_with_numbers_and_booleans_as_text"],
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
        "one for each run",
        &[
            "ams_v2::calls::one_token_serves_all_calls_and_a_refused_one_is_renewed_once",
            "media_service::ams_v2::token::tests::the_life_of_a_token_is_read_in_every_form",
        ],
    ),
    (
        "a new locator at the source is waited for too; an old one that does not play costs attempts",
        "prints the URL at once",
        &[
            "retries::playback::a_source_locator_that_we_have_just_made_is_waited_for_too",
            "retries::playback::a_source_that_has_been_published_for_long_and_does_not_play_costs_attempts",
        ],
    ),
    (
        "401, 403 and 404 of a new locator are the same waiting",
        "prints the URL at once",
        &["retries::playback::a_new_locator_is_waited_for_whatever_is_answered_meanwhile"],
    ),
    (
        "nothing is announced that does not play at both sites",
        "prints the URL at once",
        &[
            "retries::playback::an_endpoint_in_trouble_is_asked_again_through_the_queue",
            "retries::playback::an_endpoint_that_redirects_or_has_let_the_locator_expire_is_a_dead_letter",
        ],
    ),
];
