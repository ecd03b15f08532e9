//! Which story shows what: one row for each fault that the worker must live through, kept honest by a test.

use std::collections::BTreeSet;
use std::path::Path;

use crate::walkthrough::problems;

/// A fault, and the stories about it. Each of them keeps the books of [`crate::support::Ledger`] or looks at all queues.
type Row = (&'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("the broker is stopped or killed at work", &["faults::broker::a_broker_that_is_stopped_and_one_that_is_killed"]),
    (
        "the worker is killed at each step, from the first call to the event",
        &["kills::killed_again_and_again_on_the_way", "kills::killed_after_the_event"],
    ),
    ("it is killed between publish and confirm", &["faults::settling::killed_between_the_event_and_its_confirm"]),
    (
        "it is killed between confirm and acknowledgement",
        &["faults::settling::killed_between_the_confirm_and_the_acknowledgement"],
    ),
    (
        "TCP reset",
        &[
            "faults::network::connections_that_are_reset_again_and_again",
            "faults::network::connections_that_are_refused_while_it_comes_back",
        ],
    ),
    ("black hole of two heartbeats", &["faults::network::a_black_hole_of_two_heartbeats"]),
    ("half-open connection", &["faults::network::a_half_open_connection_while_another_worker_gets_the_same_messages"]),
    ("one byte a second", &["faults::network::one_byte_a_second", "faults::network::a_few_kilobytes_a_second"]),
    (
        "consumer timeout of ten seconds",
        &[
            "faults::held::a_job_of_forty_seconds_with_a_consumer_timeout_of_ten",
            "faults::held::a_consumer_timeout_ends_the_session_and_the_next_one_goes_on",
        ],
    ),
    (
        "memory alarm in mid-publish",
        &[
            "faults::broker::a_memory_alarm_while_events_are_published",
            "faults::long::a_memory_alarm_of_half_a_minute_while_events_are_published",
            "rabbitmq::an_alarm_delays_a_publish_and_ends_the_session_when_it_lasts",
        ],
    ),
    (
        "the work queue is deleted under the consumer",
        &[
            "faults::topology::a_work_queue_deleted_under_the_consumer",
            "rabbitmq::a_deleted_work_queue_ends_the_session",
        ],
    ),
    (
        "an exchange is missing",
        &[
            "faults::topology::a_deleted_exchange_is_made_again_and_nothing_is_lost",
            "rabbitmq::a_missing_exchange_ends_the_session",
        ],
    ),
    ("an event cannot be routed", &["faults::topology::an_unroutable_event_keeps_its_delivery"]),
    ("a retry queue is full", &["faults::topology::a_full_retry_queue_keeps_the_delivery"]),
    ("a message that ends the process, with innocent neighbours", &["faults::deadly::a_deadly_message_dies_alone"]),
    (
        "dead by the delivery limit, replayed, failing, waiting in a retry queue",
        &["faults::deadly::set_aside_by_the_broker_replayed_and_failing_again_it_is_not_lost"],
    ),
    (
        "one event at two workers at once",
        &[
            "lease::two_workers_given_the_same_asset_at_once_make_one_replica_fifty_times",
            "lease::without_a_lease_two_workers_make_one_replica_fifty_times_too",
            "kills::three_workers_at_the_same_message_make_one_replica",
        ],
    ),
    (
        "the password is changed at work",
        &["faults::credentials::a_changed_password_is_read_again_at_the_next_connection"],
    ),
    (
        "SIGTERM under load, and without a broker",
        &[
            "faults::load::sigterm_under_load_drains_what_ends_in_time",
            "faults::load::sigterm_under_load_gives_back_what_outlasts_the_grace",
            "faults::network::sigterm_to_a_worker_that_has_lost_its_broker",
            "shutdown::a_second_sigterm_stops_at_once",
        ],
    ),
    (
        "200 000 messages without growth of memory",
        &[
            "faults::load::ten_thousand_messages_that_nobody_can_use_leave_nothing_in_memory",
            "faults::long::two_hundred_thousand_messages_that_nobody_can_use_leave_nothing_in_memory",
        ],
    ),
    ("a body of 16 MiB", &["faults::load::a_body_of_sixteen_mebibytes_is_parked_untouched"]),
    (
        "oversize headers",
        &[
            "faults::load::headers_that_fill_the_frame_stay_behind",
            "parked::what_a_message_brings_along_neither_stops_nor_loses_it",
        ],
    ),
    ("thirty listings lose nothing", &["dead_letters::looking::listings_leave_all_letters_in_their_order"]),
    ("a replay is killed again and again", &["dead_letters::safety::a_replay_that_is_killed_loses_nothing"]),
    ("a replay of what still fails", &["dead_letters::moving::a_replay_of_what_still_fails_ends_by_itself"]),
    ("a discard is killed", &["dead_letters::safety::a_discard_that_is_killed_leaves_the_rest_to_a_replay"]),
    ("two replays at once", &["dead_letters::safety::two_replays_at_once_move_every_letter_once"]),
    ("all of it at random", &["faults::randomised::five_hundred_messages_in_a_world_that_fails"]),
];

#[test]
fn every_fault_has_stories_and_every_story_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = BTreeSet::new();
    let mut found = Vec::new();
    for (fault, stories) in ROWS {
        assert!(faults.insert(fault), "'{fault}' stands there twice");
        found.extend(problems(root, fault, stories));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
