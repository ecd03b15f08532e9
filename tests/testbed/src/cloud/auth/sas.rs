//! Verifies shared access signatures ("Create a service SAS", "Create an account SAS", Azure Storage REST).

use super::failed;
use crate::cloud::call::{Query, Target};
use crate::cloud::clock::{now, parse_iso};
use crate::cloud::error::Refusal;
use crate::cloud::operation::ResourceType;
use crate::cloud::state::{Account, Policy};

/// Since then the encryption scope is signed too.
const WITH_ENCRYPTION_SCOPE: &str = "2020-12-06";
/// Since then the resource's kind and the snapshot's time are.
const WITH_RESOURCE: &str = "2018-11-09";

/// Gives the permissions of a SAS that holds for this place.
///
/// # Errors
/// `AuthenticationFailed` for a bad signature or one out of its time; `AuthorizationFailure` and its kin for a place or an
/// operation that it does not open.
pub(super) fn verify(
    account: &Account,
    target: &Target,
    query: &Query,
    letters: &str,
    kind: ResourceType,
) -> Result<String, Refusal> {
    if query.find("srt").is_some() {
        return verify_account_sas(account, query, kind);
    }
    let resource = query.get("sr");
    let opens = match resource {
        // no service SAS creates or deletes containers, or looks at the account
        "c" => kind == ResourceType::Object || letters == "l" && kind == ResourceType::Container,
        "b" => kind == ResourceType::Object,
        _ => return Err(failed("sr is mandatory. Cannot be empty")),
    };
    let mut place = format!("/blob/{}/{}", account.name, target.container);
    if resource == "b" {
        place.push('/');
        place.push_str(&target.blob);
    }
    if !account.has_signed(&service_text(query, &place), query.get("sig")) {
        return Err(failed("Signature did not match."));
    }
    let policy = match query.get("si") {
        "" => Policy::default(),
        id => find_policy(account, &target.container, id)?,
    };
    let either = |own: &str, stored: Option<String>| stored.unwrap_or_else(|| own.to_owned());
    verify_time(&either(query.get("st"), policy.start), &either(query.get("se"), policy.expiry))?;
    verify_protocol(query)?;
    if !opens {
        let message = "This request is not authorized to perform this operation.";
        return Err(Refusal::new(403, "AuthorizationFailure", message));
    }
    Ok(either(query.get("sp"), policy.permissions))
}

fn verify_account_sas(account: &Account, query: &Query, kind: ResourceType) -> Result<String, Refusal> {
    let mut lines = vec![account.name.as_str()];
    lines.extend(["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"].map(|name| query.get(name)));
    if query.get("sv") >= WITH_ENCRYPTION_SCOPE {
        lines.push(query.get("ses"));
    }
    lines.push("");
    if !account.has_signed(&lines.join("\n"), query.get("sig")) {
        return Err(failed("Signature did not match."));
    }
    verify_time(query.get("st"), query.get("se"))?;
    verify_protocol(query)?;
    let message = "This request is not authorized to perform this operation using this ";
    if !query.get("ss").contains('b') {
        return Err(Refusal::new(403, "AuthorizationServiceMismatch", format!("{message}service.")));
    }
    if !query.get("srt").contains(kind.letter()) {
        return Err(Refusal::new(403, "AuthorizationResourceTypeMismatch", format!("{message}resource type.")));
    }
    Ok(query.get("sp").to_owned())
}

/// The lines that a service SAS signs.
fn service_text(query: &Query, place: &str) -> String {
    let mut lines = vec![query.get("sp"), query.get("st"), query.get("se"), place];
    let version = query.get("sv");
    lines.extend(["si", "sip", "spr", "sv"].map(|name| query.get(name)));
    if version >= WITH_RESOURCE {
        lines.extend(["sr", "snapshot"].map(|name| query.get(name)));
    }
    if version >= WITH_ENCRYPTION_SCOPE {
        lines.push(query.get("ses"));
    }
    lines.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(|name| query.get(name)));
    lines.join("\n")
}

fn find_policy(account: &Account, container: &str, id: &str) -> Result<Policy, Refusal> {
    let containers = account.containers();
    let policy = containers.get(container).and_then(|found| found.policies.iter().find(|policy| policy.id == id));
    policy
        .cloned()
        .ok_or_else(|| failed("Access policy fields can be associated with signature or SAS identifier but not both"))
}

fn verify_time(start: &str, expiry: &str) -> Result<(), Refusal> {
    let now = now();
    let starts = if start.is_empty() { Some(i64::MIN) } else { parse_iso(start) };
    match (starts, parse_iso(expiry)) {
        (Some(starts), Some(expires)) if starts <= now && now <= expires => Ok(()),
        (Some(_), Some(_)) => Err(failed(format!(
            "Signature not valid in the specified time frame: Start [{start}] - Expiry [{expiry}] - Current [{}]",
            crate::cloud::clock::http_date(now)
        ))),
        _ => Err(failed("Signature fields not well formed.")),
    }
}

/// The model has no TLS.
fn verify_protocol(query: &Query) -> Result<(), Refusal> {
    if query.get("spr") != "https" {
        return Ok(());
    }
    let message = "This request is not authorized to perform this operation using this protocol.";
    Err(Refusal::new(403, "AuthorizationProtocolMismatch", message))
}
