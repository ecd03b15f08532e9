//! Dates of the wire formats, and the stamps (ETag, time) of writes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, Time};

/// What every write renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) etag: Etag,
    /// Seconds since 1970.
    pub(crate) modified: i64,
}

/// An entity tag. Printed without quotes, as listings have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Etag(u64);

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:X}", self.0)
    }
}

impl Etag {
    /// With quotes, as headers have it.
    pub(crate) fn quoted(self) -> String {
        format!("\"{self}\"")
    }

    /// Whether a condition's value names this one; quotes are optional there.
    pub(crate) fn is(self, value: &str) -> bool {
        let value = value.trim();
        value == "*" || value.trim_matches('"') == self.to_string()
    }
}

/// Gives every write a tag of its own.
#[derive(Debug)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn new() -> Self {
        let seconds = u64::try_from(now()).unwrap_or_default();
        // the look of real tags: 0x8DE and twelve digits that grow with time
        Self(AtomicU64::new(0x8DE_0000_0000_0000 | ((seconds & 0xFFF_FFFF) << 16)))
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { etag: Etag(self.0.fetch_add(1, Ordering::Relaxed)), modified: now() }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// The time as HTTP headers and listings have it.
pub(crate) fn http_date(seconds: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(seconds) else { return String::new() };
    let weekday = &time.weekday().to_string()[..3];
    let month = &time.month().to_string()[..3];
    let (hour, minute, second) = time.to_hms();
    format!("{weekday}, {:02} {month} {:04} {hour:02}:{minute:02}:{second:02} GMT", time.day(), time.year())
}

/// Seconds since 1970 of a date in a header.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    let text = text.trim().replace("GMT", "+0000");
    OffsetDateTime::parse(&text, &Rfc2822).ok().map(OffsetDateTime::unix_timestamp)
}

/// Seconds since 1970 of a time in a signature or an access policy: a date, or date and time in UTC, with or without
/// seconds and their fractions ("Formatting DateTime values", Azure Storage REST).
pub(crate) fn parse_iso(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T').map_or((text, "00:00Z"), |(date, time)| (date, time));
    let mut numbers = date.splitn(3, '-').map(str::parse::<u16>);
    let (year, month, day) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let time = time.strip_suffix('Z')?;
    let mut numbers = time.split(['.', ':']).map(str::parse::<u32>);
    let hour = u8::try_from(numbers.next()?.ok()?).ok()?;
    let minute = u8::try_from(numbers.next()?.ok()?).ok()?;
    let second = numbers.next().map_or(Some(0), |second| u8::try_from(second.ok()?).ok())?;
    Some(date.with_time(Time::from_hms(hour, minute, second).ok()?).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date("yesterday"), None);
        for text in ["1994-11-06T08:49:37Z", "1994-11-06T08:49:37.1234567Z"] {
            assert_eq!(parse_iso(text), Some(784_111_777), "{text}");
        }
        assert_eq!(parse_iso("1994-11-06T08:49Z"), Some(784_111_740));
        assert_eq!(parse_iso("1994-11-06"), Some(784_080_000));
        assert_eq!(parse_iso("1994-11-06 08:49"), None);
    }

    #[test]
    fn no_two_writes_have_one_tag() {
        let clock = Clock::new();
        let (one, other) = (clock.stamp().etag, clock.stamp().etag);
        assert_ne!(one, other);
        assert!(one.to_string().starts_with("0x8DE") && one.to_string().len() == 17, "{one}");
        assert!(one.is(&one.quoted()) && one.is(&one.to_string()) && one.is("*") && !one.is(&other.quoted()));
    }
}
