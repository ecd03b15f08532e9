//! Property values as the service keeps them, with lenient reading from JSON and exact writing to it.

use std::cmp::Ordering;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::dates::{self, DateForm};
use super::format::Format;

/// The type of a property (OData v3 `Edm` names).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int32,
    Int64,
    Double,
    Boolean,
    DateTime,
    /// A complex value, kept as it came.
    Complex,
    /// A collection of complex or primitive values; its presence makes the payload DataServiceVersion 3.0.
    Collection(&'static str),
}

/// One property value.
#[derive(Debug, Clone, PartialEq)]
pub enum Edm {
    /// No value.
    Null,
    /// `Edm.String`.
    Text(String),
    /// `Edm.Int32`, a JSON number.
    Int32(i32),
    /// `Edm.Int64`, a JSON string.
    Int64(i64),
    /// `Edm.Double`.
    Double(f64),
    /// `Edm.Boolean`.
    Boolean(bool),
    /// `Edm.DateTime`, always UTC.
    DateTime(OffsetDateTime),
    /// A complex value or the elements of a collection.
    Complex(Value),
}

impl Edm {
    /// Reads a JSON value leniently: numbers, booleans and dates may be strings, the year 1 is "not set"
    /// (contract ams-v2 section 2.2). The error says what was expected.
    pub(crate) fn read(kind: Kind, value: &Value) -> Result<Self, String> {
        let text = match value {
            Value::Null => return Ok(Self::Null),
            Value::String(text) => Some(text.trim()),
            _ => None,
        };
        match kind {
            Kind::Text => match value {
                Value::String(text) => Some(Self::Text(text.clone())),
                Value::Number(number) => Some(Self::Text(number.to_string())),
                _ => None,
            }
            .ok_or("a string"),
            Kind::Int32 => text
                .map_or_else(|| value.as_i64(), |text| text.parse().ok())
                .and_then(|number| i32::try_from(number).ok())
                .map(Self::Int32)
                .ok_or("an Int32"),
            Kind::Int64 => {
                text.map_or_else(|| value.as_i64(), |text| text.parse().ok()).map(Self::Int64).ok_or("an Int64")
            }
            Kind::Double => {
                text.map_or_else(|| value.as_f64(), |text| text.parse().ok()).map(Self::Double).ok_or("a Double")
            }
            Kind::Boolean => text
                .map_or_else(|| value.as_bool(), |text| text.to_ascii_lowercase().parse().ok())
                .map(Self::Boolean)
                .ok_or("a Boolean"),
            Kind::DateTime => text
                .and_then(dates::parse)
                .map(|date| if dates::is_unset(date) { Self::Null } else { Self::DateTime(date) })
                .ok_or("a DateTime"),
            Kind::Complex => Ok(Self::Complex(value.clone())),
            Kind::Collection(_) => match value.get("results").unwrap_or(value) {
                list @ Value::Array(_) => Ok(Self::Complex(list.clone())),
                _ => Err("a collection"),
            },
        }
        .map_err(str::to_owned)
    }

    /// Writes the value for a reply.
    pub(crate) fn write(&self, kind: Kind, format: Format, date_form: DateForm) -> Value {
        match (self, kind) {
            (Self::Null, Kind::Collection(of)) => write_collection(of, format, &json!([])),
            (Self::Complex(list), Kind::Collection(of)) => write_collection(of, format, list),
            (Self::Null, _) => Value::Null,
            (Self::Text(text), _) => json!(text),
            (Self::Int32(number), _) => json!(number),
            (Self::Int64(number), _) => json!(number.to_string()),
            (Self::Double(number), _) => write_double(*number, format),
            (Self::Boolean(flag), _) => json!(flag),
            (Self::DateTime(date), _) => json!(dates::write(*date, date_form)),
            (Self::Complex(value), _) => value.clone(),
        }
    }

    /// Orders two values of comparable types; `None` when they are not comparable.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, Self::Null) => Some(Ordering::Equal),
            (Self::Null, _) => Some(Ordering::Less),
            (_, Self::Null) => Some(Ordering::Greater),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Boolean(left), Self::Boolean(right)) => Some(left.cmp(right)),
            (Self::DateTime(left), Self::DateTime(right)) => Some(left.cmp(right)),
            _ => match (self.as_integer(), other.as_integer()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => self.as_double()?.partial_cmp(&other.as_double()?),
            },
        }
    }

    fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Int32(number) => Some(i64::from(*number)),
            Self::Int64(number) => Some(*number),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "only compared, and sizes stay far below 2^53")]
    fn as_double(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            other => other.as_integer().map(|number| number as f64),
        }
    }
}

fn write_collection(of: &str, format: Format, list: &Value) -> Value {
    match format {
        Format::Verbose => json!({"__metadata": {"type": format!("Collection({of})")}, "results": list}),
        Format::Minimal | Format::Bare => list.clone(),
    }
}

/// Verbose JSON writes whole doubles without a fraction, light JSON with one (`100` and `440.0`).
fn write_double(number: f64, format: Format) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers below 2^53 are cast")]
    if format == Format::Verbose && number.fract() == 0.0 && number.abs() < 9e15 {
        return json!(number as i64);
    }
    json!(number)
}

macro_rules! from_types {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Edm {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from_types!(&str => Text, String => Text, i32 => Int32, i64 => Int64, f64 => Double, bool => Boolean,
    OffsetDateTime => DateTime, Value => Complex);

impl<T: Into<Self>> From<Option<T>> for Edm {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_leniently() {
        assert_eq!(Edm::read(Kind::Int32, &json!("2")), Ok(Edm::Int32(2)));
        assert_eq!(Edm::read(Kind::Int64, &json!("1186540")), Ok(Edm::Int64(1_186_540)));
        assert_eq!(Edm::read(Kind::Int64, &json!(1_186_540)), Ok(Edm::Int64(1_186_540)));
        assert_eq!(Edm::read(Kind::Double, &json!("440")), Ok(Edm::Double(440.0)));
        assert_eq!(Edm::read(Kind::Boolean, &json!("False")), Ok(Edm::Boolean(false)));
        assert_eq!(Edm::read(Kind::DateTime, &json!("0001-01-01T00:00:00")), Ok(Edm::Null));
        assert!(Edm::read(Kind::DateTime, &json!("soon")).is_err());
        assert!(Edm::read(Kind::Int32, &json!(2.5)).is_err());
    }

    #[test]
    fn writes_as_the_service_does() {
        let iso = DateForm::IsoBare;
        assert_eq!(Edm::Int64(5).write(Kind::Int64, Format::Minimal, iso), json!("5"));
        assert_eq!(Edm::Double(100.0).write(Kind::Double, Format::Verbose, iso).to_string(), "100");
        assert_eq!(Edm::Double(440.0).write(Kind::Double, Format::Minimal, iso).to_string(), "440.0");
    }
}
