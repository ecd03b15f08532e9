//! Verifies requests that are signed with the account's key ("Authorize with Shared Key", Azure Storage REST).

use super::failed;
use crate::cloud::call::Call;
use crate::cloud::clock::{now, parse_http_date};
use crate::cloud::error::Refusal;
use crate::cloud::state::Account;

/// Requests that are older or younger than this are refused.
const MAX_SKEW_SECONDS: i64 = 15 * 60;

/// # Errors
/// `AuthenticationFailed` when the signature is not that of this request, or the request's date is far off.
pub(super) fn verify(account: &Account, call: &Call, authorization: &str) -> Result<(), Refusal> {
    let (scheme, value) = authorization.split_once(' ').unwrap_or_default();
    let (name, signature) = value.split_once(':').unwrap_or_default();
    if scheme != "SharedKey" || name != account.name {
        return Err(failed("Only SharedKey of this account is known here."));
    }
    let date = call.find_header("x-ms-date").unwrap_or_else(|| call.header("date"));
    let is_near = parse_http_date(date).is_some_and(|date| (now() - date).abs() <= MAX_SKEW_SECONDS);
    if !is_near {
        return Err(failed("Request date header too old: 'x-ms-date' or 'Date'"));
    }
    if account.has_signed(&text(account, call), signature) {
        return Ok(());
    }
    Err(failed("The MAC signature found in the HTTP request is not the same as any computed signature."))
}

fn text(account: &Account, call: &Call) -> String {
    let mut text = format!("{}\n", call.method);
    let standard = [
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ];
    for name in standard {
        let value = call.header(name);
        let is_empty =
            name == "content-length" && value == "0" || name == "date" && call.headers.contains_key("x-ms-date");
        text.push_str(if is_empty { "" } else { value });
        text.push('\n');
    }
    let own = call.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-"));
    let mut own: Vec<(&str, &[u8])> = own.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    own.sort_unstable();
    for (name, value) in own {
        text.push_str(&format!("{name}:{}\n", String::from_utf8_lossy(value).trim()));
    }
    text.push_str(&format!("/{}{}", account.name, call.path));
    let mut query: Vec<(String, &str)> =
        call.query.0.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
    query.sort_unstable();
    let mut last = None;
    for (name, value) in query {
        // a name that comes twice is signed once, with both values
        if last.as_ref() == Some(&name) {
            text.push_str(&format!(",{value}"));
        } else {
            text.push_str(&format!("\n{name}:{value}"));
        }
        last = Some(name);
    }
    text
}
