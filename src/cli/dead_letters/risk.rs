//! Where letters may be given back: each time counts as a delivery, and at a queue's delivery limit the broker drops them.

use std::ops::RangeInclusive;

use crate::rabbitmq::HandingBack;

/// Where nobody knows whether the queue has a delivery limit: RabbitMQ 4 has one of 20 by default. A letter that has passed
/// it shows that there is none.
const BY_DEFAULT: RangeInclusive<u64> = 10..=20;
/// The smallest delivery limit that leaves room for a run that is stopped and gives back what it holds.
const LEAST_LIMIT: u64 = 4;

/// Deliveries after which a letter may not be given back; `None`: it may always be.
///
/// # Errors
/// Says why it may never be.
pub fn risky_deliveries(handing_back: &HandingBack) -> Result<Option<RangeInclusive<u64>>, String> {
    let words = match handing_back {
        HandingBack::Safe => return Ok(None),
        HandingBack::Unknown => return Ok(Some(BY_DEFAULT)),
        HandingBack::Limited(words) => words,
    };
    if words.contains("current is none") {
        return Ok(Some(BY_DEFAULT));
    }
    match current(words) {
        Some(limit) if limit >= LEAST_LIMIT => Ok(Some(limit / 2..=u64::MAX)),
        Some(limit) => Err(format!("its delivery limit of {limit} leaves no room for a run that is stopped")),
        None => Err(format!("its delivery limit cannot be told ({words})")),
    }
}

/// The value that the queue has: `... but current is '20'` (RabbitMQ 3.10), or `... is the value '20' of type 'long'`
/// where the type differs, too.
fn current(words: &str) -> Option<u64> {
    let current = words.split_once("current is ")?.1;
    current.strip_prefix("the value ").unwrap_or(current).strip_prefix('\'')?.split_once('\'')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(current: &str) -> Result<Option<RangeInclusive<u64>>, String> {
        risky_deliveries(&HandingBack::Limited(format!(
            "inequivalent arg 'x-delivery-limit' for queue 'replication.dead' in vhost '/': received the value '1000000' \
             of type 'long' but current is {current}"
        )))
    }

    #[test]
    fn half_of_a_known_limit_is_where_it_gets_risky() {
        assert_eq!(limited("the value '20' of type 'signedint'"), Ok(Some(10..=u64::MAX)));
        assert_eq!(limited("the value '4' of type 'long'"), Ok(Some(2..=u64::MAX)));
        assert_eq!(limited("'20'"), Ok(Some(10..=u64::MAX)));
        assert_eq!(limited("none"), Ok(Some(10..=20)));
        assert!(limited("the value '3' of type 'long'").unwrap_err().contains("limit of 3 leaves no room"));
        assert!(limited("another one").unwrap_err().contains("cannot be told"));
        assert_eq!(risky_deliveries(&HandingBack::Safe), Ok(None));
    }
}
