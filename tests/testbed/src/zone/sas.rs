//! Checks a SAS that asks for TLS and signs it again without that, since Azurite is reached without TLS.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::percent_decode_str;
use sha2::Sha256;
use url::form_urlencoded;

use crate::storage::Storage;

/// The query of a blob URL with a SAS that holds without TLS; others stay as they are. `path` is that of the URL,
/// `/container/blob`.
///
/// # Errors
/// When the signature is not the one of this account for this path.
pub(super) fn without_tls(storage: &Storage, path: &str, query: &str) -> Result<String> {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let fields: HashMap<&str, &str> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if fields.get("spr") != Some(&"https") {
        return Ok(query.to_owned());
    }
    ensure!(fields.get("sig").copied() == Some(&sign(storage, path, &fields)?), "the signature does not match");
    let mut fields = fields.clone();
    fields.remove("spr");
    let signature = sign(storage, path, &fields)?;
    let mut rewritten = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(name, _)| name != "spr") {
        rewritten.append_pair(name, if name == "sig" { &signature } else { value });
    }
    Ok(rewritten.finish())
}

/// The signature over the lines of "Create an account SAS" or "Create a service SAS", version 2020-12-06 and later.
fn sign(storage: &Storage, path: &str, fields: &HashMap<&str, &str>) -> Result<String> {
    let path = percent_decode_str(path.trim_matches('/')).decode_utf8()?;
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let place = if field("sr") == "c" { path.split('/').next().unwrap_or_default() } else { &path };
    let resource = format!("/blob/{}/{place}", storage.account());
    let lines = if fields.contains_key("srt") {
        let mut lines = vec![storage.account()];
        lines.extend(["sp", "ss", "srt", "st", "se", "sip", "spr", "sv", "ses"].map(field));
        lines.push("");
        lines
    } else {
        let mut lines = vec![field("sp"), field("st"), field("se"), &resource];
        let more = ["si", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct"];
        lines.extend(more.map(field));
        lines
    };
    let key = BASE64.decode(storage.key_base64())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).context("the account key cannot sign")?;
    mac.update(lines.join("\n").as_bytes());
    Ok(BASE64.encode(mac.finalize().into_bytes()))
}
