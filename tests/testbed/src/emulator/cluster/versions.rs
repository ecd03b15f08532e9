//! The version headers of a request: which ones the service took, and which it refused (contract ams-v2 section 2.1).

use axum::http::HeaderMap;

use crate::emulator::state::AmsError;

/// The newest minor version of `x-ms-version` 2.
const NEWEST_MINOR: u8 = 19;

/// 400 without a known `x-ms-version` (or `api-version` in its place), or with a data service version that is none.
pub(super) fn check(headers: &HeaderMap, pairs: &[(String, String)]) -> Result<(), AmsError> {
    let in_url =
        pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case("api-version")).map(|(_, value)| value.as_str());
    let version = text_of(headers, "x-ms-version").or(in_url);
    let minor =
        version.and_then(|version| version.trim().strip_prefix("2.")).and_then(|minor| minor.parse::<u8>().ok());
    if minor.is_none_or(|minor| minor > NEWEST_MINOR) {
        return Err(AmsError::bad_request("the x-ms-version header is missing or not supported: send 2.0 to 2.19"));
    }
    for name in ["DataServiceVersion", "MaxDataServiceVersion"] {
        if let Some(value) = text_of(headers, name).filter(|value| !is_data_service_version(value)) {
            return Err(AmsError::bad_request(format!(
                "the header {name} has the value '{value}', which is not supported: send 1.0, 2.0 or 3.0"
            )));
        }
    }
    Ok(())
}

/// `3.0`, `3.0;`, `3.0;NetFx`: what stands behind the semicolon names the client.
fn is_data_service_version(value: &str) -> bool {
    let number = value.split(';').next().unwrap_or_default().trim();
    ["1.0", "2.0", "3.0"].contains(&number)
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_old_clients_send() {
        let status = |pairs: &[(&'static str, &str)], query: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            check(&headers, &query).map_or_else(|error| error.status, |()| 200)
        };
        for version in ["2.0", "2.1", "2.2", "2.13", "2.17", "2.19"] {
            assert_eq!(status(&[("x-ms-version", version)], &[]), 200, "{version}");
        }
        for version in ["2.20", "3.0", "2", "", "2015-02-21"] {
            assert_eq!(status(&[("x-ms-version", version)], &[]), 400, "{version}");
        }
        assert_eq!(status(&[], &[]), 400);
        assert_eq!(status(&[], &[("api-version", "2.9")]), 200);
        for value in ["1.0", "1.0;NetFx", "2.0", "3.0", "3.0;NetFx", "3.0;"] {
            let headers = [("x-ms-version", "2.2"), ("dataserviceversion", value), ("maxdataserviceversion", value)];
            assert_eq!(status(&headers, &[]), 200, "{value}");
        }
        assert_eq!(status(&[("x-ms-version", "2.2"), ("dataserviceversion", "4.0")], &[]), 400);
        assert_eq!(status(&[("x-ms-version", "2.2"), ("maxdataserviceversion", "old")], &[]), 400);
    }
}
