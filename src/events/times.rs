//! Times on the wire: RFC 3339, UTC, milliseconds.

use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Writes a time as `2026-11-20T10:15:30.123Z`.
pub fn format(time: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    // Formatting a date fails only where a component is missing, and none is.
    time.to_offset(UtcOffset::UTC).format(form).unwrap_or_default()
}

/// Reads RFC 3339, in any zone; the last hours of the year 9999 in a western one are no time in UTC.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}
