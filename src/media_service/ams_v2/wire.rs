//! Envelopes and entities as they are on the wire: verbose JSON, and JSON light where a gateway answers so
//! (contract ams-v2, sections 2.2 and 3).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;

use super::dates;

/// One page of a set.
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the service says that the next page is.
    pub next: Option<String>,
}

/// Reads one entity.
pub fn entity<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let mut whole: Value = serde_json::from_slice(body)?;
    let entity = whole.get_mut("d").map(Value::take).unwrap_or(whole);
    serde_json::from_value(entity)
}

/// Reads one page of a set.
pub fn page<T: DeserializeOwned>(body: &[u8]) -> Result<Page<T>, serde_json::Error> {
    let mut whole: Value = serde_json::from_slice(body)?;
    let mut set = whole.get_mut("d").map(Value::take).unwrap_or(whole);
    let next = ["__next", "odata.nextLink"].iter().find_map(|name| set.get(name)?.as_str().map(str::to_owned));
    let rows = ["results", "value"].iter().find_map(|name| set.get_mut(name).map(Value::take)).unwrap_or(set);
    Ok(Page { items: serde_json::from_value(rows)?, next })
}

/// A row whose content does not matter.
#[derive(Deserialize)]
pub struct AnyRow {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssetRow {
    pub id: String,
    pub name: Option<String>,
    pub alternate_id: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub options: Option<i64>,
    pub uri: Option<String>,
    #[serde(default, deserialize_with = "dates::lenient")]
    pub created: Option<OffsetDateTime>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FileRow {
    pub id: String,
    pub name: String,
    #[serde(default, deserialize_with = "integer")]
    pub content_file_size: Option<i64>,
    #[serde(default, deserialize_with = "boolean")]
    pub is_primary: bool,
    #[serde(default, deserialize_with = "boolean")]
    pub is_encrypted: bool,
    pub mime_type: Option<String>,
}

/// The locator's type that is a shared access signature of the asset's container (contract ams-v2, section 3).
pub const TYPE_SAS: i64 = 1;
/// The locator's type that is an address for players (contract ams-v2, section 3).
pub const TYPE_ON_DEMAND_ORIGIN: i64 = 2;

/// Never `Debug`: path and component of a SAS locator are secrets.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LocatorRow {
    pub id: String,
    #[serde(default, deserialize_with = "integer")]
    pub r#type: Option<i64>,
    pub asset_id: Option<String>,
    #[serde(default, deserialize_with = "dates::lenient")]
    pub start_time: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "dates::lenient")]
    pub expiration_date_time: Option<OffsetDateTime>,
    pub path: Option<String>,
    pub base_uri: Option<String>,
    pub content_access_component: Option<String>,
    pub name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyRow {
    pub id: String,
    #[serde(default, deserialize_with = "float")]
    pub duration_in_minutes: Option<f64>,
    #[serde(default, deserialize_with = "integer")]
    pub permissions: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointRow {
    pub name: Option<String>,
    pub state: Option<Value>,
    pub host_name: Option<String>,
    #[serde(default, deserialize_with = "collection")]
    pub custom_host_names: Vec<String>,
    #[serde(default, deserialize_with = "integer")]
    pub scale_units: Option<i64>,
    #[serde(default, deserialize_with = "boolean")]
    pub cdn_enabled: bool,
    pub streaming_endpoint_version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EncodingJobRow {
    pub id: String,
    pub name: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    pub state: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskRow {
    #[serde(default, deserialize_with = "collection")]
    pub error_details: Vec<ErrorDetail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorDetail {
    pub code: Option<String>,
    pub message: Option<String>,
}

/// A number, or the same as text: `Edm.Int64` is text in both JSON flavours.
pub fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

/// A whole number, or the same as text.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}

fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(yes) => yes,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    })
}

/// A list, or the same inside `results`, as verbose JSON has it; null is empty.
fn collection<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let mut value = Value::deserialize(deserializer)?;
    let rows = value.get_mut("results").map(Value::take).unwrap_or(value);
    if rows.is_null() {
        return Ok(Vec::new());
    }
    serde_json::from_value(rows).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_verbose_locator_is_read() {
        let body = br#"{"d":{"__metadata":{"id":"u"},"Asset":{"__deferred":{"uri":"u"}},
            "Id":"nb:lid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21","ExpirationDateTime":"\/Date(1496318400000)\/","Type":2,
            "Path":"http://west.example/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/","AssetId":"nb:cid:UUID:1","StartTime":null,
            "Name":null}}"#;
        let row: LocatorRow = entity(body).unwrap();
        assert_eq!(row.expiration_date_time, Some(datetime!(2017-06-01 12:00 UTC)));
        assert_eq!((row.r#type, row.start_time, row.name), (Some(2), None, None));
    }

    #[test]
    fn sets_are_read_in_both_flavours_with_their_next_links() {
        let row = r#"{"Id":"f","Name":"clip.ism","ContentFileSize":"2311","IsPrimary":"true","IsEncrypted":false}"#;
        for body in [
            format!(r#"{{"d":{{"results":[{row}],"__next":"more"}}}}"#),
            format!(r#"{{"odata.metadata":"m","value":[{row}],"odata.nextLink":"more"}}"#),
        ] {
            let page: Page<FileRow> = page(body.as_bytes()).unwrap();
            assert_eq!(page.next.as_deref(), Some("more"));
            assert_eq!(page.items[0].content_file_size, Some(2311));
            assert!(page.items[0].is_primary && !page.items[0].is_encrypted);
        }
        assert!(page::<AnyRow>(br#"{"d":[]}"#).unwrap().items.is_empty());
        assert!(page::<AnyRow>(b"<html>").is_err());
    }

    #[test]
    fn collections_are_read_bare_and_in_results() {
        for details in
            [r#"[{"Code":"c","Message":"m"}]"#, r#"{"__metadata":{},"results":[{"Code":"c","Message":"m"}]}"#]
        {
            let row: TaskRow = serde_json::from_str(&format!(r#"{{"ErrorDetails":{details}}}"#)).unwrap();
            assert_eq!(row.error_details[0].message.as_deref(), Some("m"));
        }
        assert!(serde_json::from_str::<TaskRow>(r#"{"ErrorDetails":null}"#).unwrap().error_details.is_empty());
    }
}
