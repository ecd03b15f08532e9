//! Dates of AMS v2: two forms come in, one goes out (contract ams-v2, section 2.2).

use serde::{Deserialize, Deserializer};
use time::format_description::FormatItem;
use time::format_description::well_known::Iso8601;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset};

const OUT: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What the service's SQL datetime loses: it counts in 1/300 s (contract ams-v2, section 2.2).
const ROUNDING: Duration = Duration::milliseconds(5);

/// Reads `/Date(ms)/` or ISO 8601; no zone means UTC. `None` for what is neither, and for year 1, which means unset.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    let read = match text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        Some(millis) => from_millis(millis),
        None => OffsetDateTime::parse(text, &Iso8601::PARSING)
            .or_else(|_| PrimitiveDateTime::parse(text, &Iso8601::PARSING).map(PrimitiveDateTime::assume_utc))
            .ok(),
    };
    read.map(|date| date.to_offset(UtcOffset::UTC)).filter(|date| date.year() > 1)
}

/// The milliseconds are UTC; an offset behind them is only for display (OData v2, JSON format).
fn from_millis(text: &str) -> Option<OffsetDateTime> {
    let end = text.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map_or(text.len(), |(at, _)| at);
    let millis: i64 = text[..end].parse().ok()?;
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok()
}

/// ISO 8601 in UTC with milliseconds and `Z`, which every version of the service reads.
pub fn format(date: OffsetDateTime) -> String {
    date.to_offset(UtcOffset::UTC).format(OUT).unwrap_or_default()
}

/// Whether both are the same time, but for what the service's storage loses.
pub fn is_same(a: OffsetDateTime, b: OffsetDateTime) -> bool {
    (a - b).abs() <= ROUNDING
}

/// For `#[serde(deserialize_with)]`: null, missing, unreadable and year 1 are all `None`.
pub fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(parse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn every_form_on_the_wire_is_read_as_utc() {
        for (text, date) in [
            ("/Date(1496318400000)/", datetime!(2017-06-01 12:00 UTC)),
            ("/Date(1496318400000+0200)/", datetime!(2017-06-01 12:00 UTC)),
            ("/Date(-1000)/", datetime!(1969-12-31 23:59:59 UTC)),
            ("2017-02-21T12:00:06.6370575Z", datetime!(2017-02-21 12:00:06.637_057_5 UTC)),
            ("2015-01-19T07:52:15.603", datetime!(2015-01-19 07:52:15.603 UTC)),
            ("2015-01-19T07:52:15", datetime!(2015-01-19 07:52:15 UTC)),
            ("2015-01-19T09:52:15+02:00", datetime!(2015-01-19 07:52:15 UTC)),
        ] {
            assert_eq!(parse(text), Some(date), "{text}");
        }
        for text in ["0001-01-01T00:00:00", "0001-01-01T00:00:00Z", "/Date(-62135596800000)/", "", "soon", "/Date()/"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_goes_out_comes_back_the_same() {
        let date = datetime!(2017-02-21 14:00:06.637_057_5 +2);
        assert_eq!(format(date), "2017-02-21T12:00:06.637Z");
        assert!(is_same(parse(&format(date)).unwrap(), date));
        assert!(!is_same(date, date + Duration::milliseconds(20)));
    }
}
