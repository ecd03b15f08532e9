//! Client assertions: a JWT signed with the key of a principal's certificate, in place of a secret (contract ams-v2
//! section 1.2, RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use time::OffsetDateTime;
use webpki::EndEntityCert;
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;

use super::error::Refusal;

/// The only `client_assertion_type`.
pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Clocks may differ by this much, as Azure AD allowed.
const SKEW_SECONDS: i64 = 300;

/// A parsed assertion, not yet believed.
struct Assertion<'a> {
    header: Value,
    claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

/// Believes an assertion or says why not. `audiences` are the token URLs that it may name.
pub(super) fn verify(
    jwt: &str,
    client_id: &str,
    audiences: &[String],
    certificate_pem: &str,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let malformed = || Refusal::client(50_027, "Invalid JWT token: the client assertion is not a signed JWT.");
    let assertion = parse(jwt).ok_or_else(malformed)?;
    let claim = |name: &str| assertion.claims[name].as_str().unwrap_or_default();
    if assertion.header["alg"] != "RS256" {
        return Err(Refusal::client(50_027, "Invalid JWT token: the algorithm must be RS256."));
    }
    if claim("iss") != client_id || claim("sub") != client_id {
        let text = "The client assertion's 'iss' and 'sub' claims must both be the client_id of the request.";
        return Err(Refusal::client(700_021, text));
    }
    if !audiences.iter().any(|audience| audience == claim("aud")) {
        let text = format!(
            "Client assertion audience claim does not match Realm issuer: it is '{}', and must be '{}'.",
            claim("aud"),
            audiences.join("' or '")
        );
        return Err(Refusal::client(700_023, text));
    }
    check_times(&assertion.claims, now.unix_timestamp())?;
    check_signature(&assertion, certificate_pem)
}

fn parse(jwt: &str) -> Option<Assertion<'_>> {
    let (signed, signature) = jwt.trim().rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let json = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    Some(Assertion {
        header: json(header)?,
        claims: json(claims)?,
        signed,
        signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
    })
}

fn check_times(claims: &Value, now: i64) -> Result<(), Refusal> {
    let outside =
        |text: &str| Refusal::client(700_024, format!("Client assertion is not within its valid time: {text}."));
    let expires = claims["exp"].as_i64().ok_or_else(|| outside("it has no 'exp'"))?;
    if expires + SKEW_SECONDS <= now {
        return Err(outside("'exp' has passed"));
    }
    if claims["nbf"].as_i64().is_some_and(|not_before| not_before - SKEW_SECONDS > now) {
        return Err(outside("'nbf' is still to come"));
    }
    Ok(())
}

/// The thumbprint names the certificate, and its key must have signed.
fn check_signature(assertion: &Assertion<'_>, certificate_pem: &str) -> Result<(), Refusal> {
    let refused =
        |text: &str| Refusal::client(700_027, format!("Client assertion failed signature validation: {text}."));
    let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
    let certificate = certificate.map_err(|_| refused("the registered certificate is not PEM"))?;
    let thumbprint = |algorithm| URL_SAFE_NO_PAD.encode(digest(algorithm, &certificate));
    let given = |name: &str| assertion.header[name].as_str().map(|text| text.trim_end_matches('=').to_owned());
    let named = match (given("x5t"), given("x5t#S256")) {
        (Some(sha1), _) => sha1 == thumbprint(&SHA1_FOR_LEGACY_USE_ONLY),
        (None, Some(sha256)) => sha256 == thumbprint(&SHA256),
        (None, None) => false,
    };
    if !named {
        return Err(refused("the header's 'x5t' is not the thumbprint of a registered certificate"));
    }
    let parsed =
        EndEntityCert::try_from(&certificate).map_err(|_| refused("the registered certificate is not X.509"))?;
    let verified =
        parsed.verify_signature(RSA_PKCS1_2048_8192_SHA256, assertion.signed.as_bytes(), &assertion.signature);
    verified.map_err(|_| refused("the key that signed is not the certificate's"))
}
