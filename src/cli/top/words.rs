//! Numbers as people read them: spans of time, sizes, rates, and a bar.

use indicatif::BinaryBytes;

/// Seconds, as short as they can be told: `0.4 s`, `12 s`, `2m 03s`, `1h 02m`, `3d 04h`.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..10 => format!("{:.1} s", seconds.max(0.0)),
        10..60 => format!("{whole} s"),
        60..3_600 => format!("{}m {:02}s", whole / 60, whole % 60),
        3_600..86_400 => format!("{}h {:02}m", whole / 3_600, whole / 60 % 60),
        _ => format!("{}d {:02}h", whole / 86_400, whole / 3_600 % 24),
    }
}

/// The same to its largest unit: `0s`, `12s`, `2m`, `1h`, `3d`.
pub fn short_span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole}s"),
        60..3_600 => format!("{}m", whole / 60),
        3_600..86_400 => format!("{}h", whole / 3_600),
        _ => format!("{}d", whole / 86_400),
    }
}

/// Bytes in the largest unit that fits.
pub fn size(bytes: f64) -> String {
    BinaryBytes(bytes.max(0.0) as u64).to_string()
}

/// A count, as one.
pub fn count(value: f64) -> String {
    format!("{value:.0}")
}

/// So many a second; nothing where that is not known.
pub fn per_second(value: Option<f64>) -> String {
    value.map(|value| format!(" ({value:.1}/s)")).unwrap_or_default()
}

/// A bar of so many columns, of which this part (0 to 1) is full.
pub fn bar(part: f64, columns: usize) -> String {
    let full = ((part.clamp(0.0, 1.0) * columns as f64) as usize).min(columns);
    format!("{}{}", "█".repeat(full), "░".repeat(columns - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let spans = [-1.0, 0.44, 12.9, 123.0, 3_720.0, 273_600.0].map(span);
        assert_eq!(spans, ["0.0 s", "0.4 s", "12 s", "2m 03s", "1h 02m", "3d 04h"]);
        let short = [-1.0, 0.44, 12.9, 123.0, 3_720.0, 273_600.0].map(short_span);
        assert_eq!(short, ["0s", "0s", "12s", "2m", "1h", "3d"]);
        assert_eq!((size(1_536.0), count(3.0)), ("1.50 KiB".to_owned(), "3".to_owned()));
        assert_eq!((per_second(Some(0.25)), per_second(None)), (" (0.2/s)".to_owned(), String::new()));
        assert_eq!([bar(0.0, 4), bar(0.99, 4), bar(1.0, 4), bar(7.0, 4)], ["░░░░", "███░", "████", "████"]);
    }
}
