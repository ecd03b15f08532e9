//! The long ones, for `deploy/test.sh --full`: more seeds, more messages.

use anyhow::Result;

use super::{load, randomised};

macro_rules! seeds {
    ($($name:ident: $seed:literal;)*) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            randomised::five_hundred_messages($seed).await
        })*
    };
}

seeds! {
    five_hundred_messages_with_seed_1: 1;
    five_hundred_messages_with_seed_2: 2;
    five_hundred_messages_with_seed_3: 3;
    five_hundred_messages_with_seed_4: 4;
    five_hundred_messages_with_seed_5: 5;
    five_hundred_messages_with_seed_6: 6;
    five_hundred_messages_with_seed_7: 7;
    five_hundred_messages_with_seed_8: 8;
    five_hundred_messages_with_seed_9: 9;
    five_hundred_messages_with_seed_10: 10;
}

#[tokio::test]
async fn two_hundred_thousand_messages_that_nobody_can_use_leave_nothing_in_memory() -> Result<()> {
    load::flood(200_000).await
}

#[tokio::test]
async fn a_memory_alarm_of_half_a_minute_while_events_are_published() -> Result<()> {
    super::broker::memory_alarm(std::time::Duration::from_secs(30)).await
}
