//! Dates on the wire: the six forms that old clients send and the three that the service writes.

use time::format_description::FormatItem;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime, Time, UtcOffset};

/// How one reply writes its dates (contract ams-v2 section 2.2: the form follows the payload's version).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateForm {
    /// `/Date(<milliseconds>)/`: verbose payloads of DataServiceVersion 1.0 and 2.0.
    Milliseconds,
    /// ISO 8601 with seven fraction digits and `Z`: the echo at creation.
    IsoWithZone,
    /// ISO 8601 with up to three fraction digits and no zone: reading back.
    IsoBare,
}

const ISO_SECONDS: &[FormatItem<'static>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
const ISO_SEVEN: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");

/// Writes a date; infallible, since every date here has a four-digit year.
pub(crate) fn write(date: OffsetDateTime, form: DateForm) -> String {
    let date = date.to_offset(UtcOffset::UTC);
    match form {
        DateForm::Milliseconds => format!("/Date({})/", date.unix_timestamp_nanos().div_euclid(1_000_000)),
        DateForm::IsoWithZone => date.format(ISO_SEVEN).unwrap_or_default(),
        DateForm::IsoBare => {
            let seconds = date.format(ISO_SECONDS).unwrap_or_default();
            let milliseconds = format!("{:03}", date.millisecond());
            let digits = milliseconds.trim_end_matches('0');
            if digits.is_empty() { seconds } else { format!("{seconds}.{digits}") }
        }
    }
}

/// Reads any of the six input forms; a missing zone means UTC (contract ams-v2 section 2.2).
pub(crate) fn parse(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        return parse_milliseconds(inner);
    }
    if text.contains('/') { parse_slashes(text) } else { parse_iso(text) }
}

/// The year 1 is what .NET sends for "not set".
pub(crate) fn is_unset(date: OffsetDateTime) -> bool {
    date.year() <= 1
}

fn parse_milliseconds(inner: &str) -> Option<OffsetDateTime> {
    let digits = inner.get(1..).and_then(|tail| tail.find(['+', '-'])).map_or(inner, |at| &inner[..=at]);
    let milliseconds: i128 = digits.parse().ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(milliseconds.checked_mul(1_000_000)?).ok()
}

/// `M/d/yyyy h:mm:ss AM|PM` and `yyyy/M/d H:mm:ss`.
fn parse_slashes(text: &str) -> Option<OffsetDateTime> {
    let mut words = text.split_whitespace();
    let parts: Vec<&str> = words.next()?.split('/').collect();
    let [first, second, third] = parts.as_slice() else { return None };
    let date = if first.len() == 4 { date_of(first, second, third)? } else { date_of(third, first, second)? };
    let Some(clock) = words.next() else { return Some(date.midnight().assume_utc()) };
    let time = time_of(clock)?;
    let half = words.next().map(str::to_ascii_uppercase);
    let hour = match (half.as_deref(), time.hour()) {
        (None, hour) => hour,
        (Some("AM"), 12) => 0,
        (Some("AM"), hour @ 0..12) => hour,
        (Some("PM"), 12) => 12,
        (Some("PM"), hour @ 1..12) => hour + 12,
        _ => return None,
    };
    Some(date.with_time(time.replace_hour(hour).ok()?).assume_utc())
}

fn parse_iso(text: &str) -> Option<OffsetDateTime> {
    let (day, rest) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    let mut parts = day.splitn(3, '-');
    let date = date_of(parts.next()?, parts.next()?, parts.next()?)?;
    if rest.is_empty() {
        return Some(date.midnight().assume_utc());
    }
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (&rest[..at], offset_of(&rest[at..])?),
        None => (rest, UtcOffset::UTC),
    };
    Some(date.with_time(time_of(clock)?).assume_offset(offset).to_offset(UtcOffset::UTC))
}

fn date_of(year: &str, month: &str, day: &str) -> Option<Date> {
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()
}

fn time_of(clock: &str) -> Option<Time> {
    let parts: Vec<&str> = clock.split(':').collect();
    let (hour, minute, seconds) = match parts.as_slice() {
        [hour, minute] => (hour, minute, "0"),
        [hour, minute, seconds] => (hour, minute, *seconds),
        _ => return None,
    };
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let nanoseconds = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Time::from_hms_nano(hour.parse().ok()?, minute.parse().ok()?, seconds.parse().ok()?, nanoseconds).ok()
}

fn offset_of(text: &str) -> Option<UtcOffset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(UtcOffset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..].chars().filter(char::is_ascii_digit).collect();
    let hours: i8 = digits.get(..2)?.parse().ok()?;
    let minutes: i8 = digits.get(2..4).unwrap_or("0").parse().ok()?;
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn reads_the_six_forms() {
        let expected = datetime!(2016-03-17 08:05:00 UTC);
        for text in [
            "2016-03-17T08:05:00Z",
            "2016-03-17T08:05:00.0000000Z",
            "2016-03-17T08:05:00",
            "2016-03-17T10:05:00+02:00",
            "3/17/2016 8:05:00 AM",
            "03/17/2016 08:05:00 AM",
            "2016/3/17 8:05:00",
            "/Date(1458201900000)/",
            "/Date(1458201900000+0000)/",
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        assert_eq!(parse("3/17/2016 12:00:01 AM"), Some(datetime!(2016-03-17 00:00:01 UTC)));
        assert_eq!(parse("3/17/2016 12:00:01 PM"), Some(datetime!(2016-03-17 12:00:01 UTC)));
        assert!(is_unset(parse("0001-01-01T00:00:00").unwrap()));
        for text in ["", "tomorrow", "2016-13-01", "3/17/2016 13:00:00 PM", "/Date(x)/", "2016-03-17T08"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn writes_three_forms() {
        let date = datetime!(2015-01-19 07:52:15.603 UTC);
        assert_eq!(write(date, DateForm::Milliseconds), "/Date(1421653935603)/");
        assert_eq!(write(date, DateForm::IsoWithZone), "2015-01-19T07:52:15.6030000Z");
        assert_eq!(write(date, DateForm::IsoBare), "2015-01-19T07:52:15.603");
        assert_eq!(write(datetime!(2015-01-19 07:52:15 UTC), DateForm::IsoBare), "2015-01-19T07:52:15");
    }
}
