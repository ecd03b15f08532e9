//! Reads `Retry-After`, in seconds or as an HTTP date (RFC 9110, section 10.2.3).

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Response;

/// The longest wait that is believed.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long the other side asks us to wait, at most one hour; `None` when it does not say or cannot be read.
#[must_use]
pub fn retry_after(response: &Response) -> Option<Duration> {
    parse(response.header("retry-after")?, OffsetDateTime::now_utc())
}

fn parse(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = OffsetDateTime::parse(text, &Rfc2822).ok()?;
            Duration::try_from(until - now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn seconds_and_dates_are_read_and_capped() {
        let now = datetime!(2026-11-20 10:00:00 UTC);
        let wait = |text| parse(text, now).map(|wait| wait.as_secs());
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("86400"), Some(3600));
        assert_eq!(wait("Fri, 20 Nov 2026 10:00:30 GMT"), Some(30));
        assert_eq!(wait("Fri, 20 Nov 2026 09:00:00 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }
}
