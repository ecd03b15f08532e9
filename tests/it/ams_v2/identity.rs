//! Who asks for tokens: an account's key at ACS, or a service principal at Entra ID with a secret or a certificate.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop at once, as the tests do")]

use stream_replicator::failure::{Failure, FailureKind};
use stream_replicator::settings::{ClientCertificate, MediaSettings, Secret};
use testbed::emulator::{DoorKind, EntraPrincipal, FaultAction, FaultRule, TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use url::Url;

use crate::support::Echo;

use super::world::{EAST, NEIGHBOUR, WEST, World};

const TENANT: &str = "contoso.onmicrosoft.com";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
/// Garbled unless it is percent-encoded.
const SECRET: &str = "s3cret+/=&%41 é~client";

/// `west` and `east` know a principal each; that of `east` has no role. `neighbour` knows none.
async fn world() -> World {
    World::start_with(|config| {
        let principal = EntraPrincipal::new(TENANT, CLIENT).with_secret(SECRET).with_certificate(TEST_CERTIFICATE_PEM);
        config.accounts[0].entra = Some(principal);
        config.accounts[2].entra = Some(EntraPrincipal::new(TENANT, "no-role").with_secret(SECRET).without_role());
    })
    .await
    .unwrap()
}

/// Settings of a service principal with its secret.
fn principal(world: &World, media: &mut MediaSettings) {
    (media.key, media.token_url) = (None, None);
    media.tenant = Some(TENANT.to_owned());
    media.client_id = Some(CLIENT.to_owned());
    media.client_secret = Some(Secret::new(SECRET));
    media.authority_url = Some(Url::parse(world.emulator.entra_url()).unwrap());
}

fn with_certificate(media: &mut MediaSettings, pem: &str) {
    media.client_secret = None;
    media.certificate = Some(ClientCertificate::from_pem(pem.as_bytes()).unwrap());
}

/// The same key in the older of the two forms: what is inside of PKCS#8, behind its 26 bytes of an RSA key of 2048 bits.
fn pkcs1() -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let lines: String = TEST_KEY_PEM.lines().filter(|line| !line.starts_with("-----")).collect();
    let inner = BASE64_STANDARD.encode(&BASE64_STANDARD.decode(lines).unwrap()[26..]);
    let lines: Vec<_> = inner.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN RSA PRIVATE KEY-----\r\n{}\r\n-----END RSA PRIVATE KEY-----\r\n", lines.join("\r\n"))
}

#[tokio::test]
async fn a_service_principal_works_with_its_secret_and_with_its_certificate() {
    let world = world().await;
    let secret = world.client_with(WEST, |media| principal(&world, media)).unwrap();
    let mut clients = vec![secret];
    for pem in [format!("{TEST_KEY_PEM}\n{TEST_CERTIFICATE_PEM}"), format!("{TEST_CERTIFICATE_PEM}{}", pkcs1())] {
        let client = world.client_with(WEST, |media| {
            principal(&world, media);
            with_certificate(media, &pem);
        });
        clients.push(client.unwrap());
    }
    for client in &clients {
        client.verify_reachable().await.unwrap();
        client.verify_reachable().await.unwrap();
    }
    assert_eq!(world.requests_at(DoorKind::Entra), clients.len(), "one token serves all calls of a client");
    assert_eq!(world.requests_at(DoorKind::Acs), 0);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once_and_a_busy_door_is_asked_again() {
    let world = world().await;
    let client = world.client_with(WEST, |media| principal(&world, media)).unwrap();
    world.emulator.fault(FaultRule::status(503).at(DoorKind::Entra).times(2));
    client.verify_reachable().await.unwrap();
    assert_eq!(world.requests_at(DoorKind::Entra), 3);
    world.emulator.fault(FaultRule::new(FaultAction::RevokeToken).on("GET", "Assets"));
    client.verify_reachable().await.unwrap();
    assert_eq!(world.requests_at(DoorKind::Entra), 4);
}

/// What goes wrong, and what the hint must name.
#[tokio::test]
async fn a_refused_principal_is_permanent_and_told_what_to_look_at_without_secrets() {
    let world = world().await;
    type Change = fn(&mut MediaSettings);
    let cases: [(Change, &str, &[&str]); 6] = [
        (|media| media.client_secret = Some(Secret::new("wrong-secret")), "AADSTS7000215", &["media.client_secret"]),
        (|media| media.client_id = Some("another".to_owned()), "AADSTS700016", &["media.client_id"]),
        (|media| media.tenant = Some("nowhere.example".to_owned()), "AADSTS90002", &["media.tenant"]),
        (
            |media| media.resource = Some("https://rest.media.cloudapi.de".to_owned()),
            "AADSTS500011",
            &["media.resource", "cloud"],
        ),
        (
            |media| media.authority_url = media.authority_url.take().map(|url| url.join("x/y/").unwrap()),
            "404",
            &["media.authority_url", "/x/y/"],
        ),
        (
            |media| {
                with_certificate(media, &format!("{TEST_KEY_PEM}{TEST_CERTIFICATE_PEM}"));
                media.client_id = Some("no-role".to_owned());
            },
            "AADSTS",
            &["media.certificate_file"],
        ),
    ];
    for (change, told, named) in cases {
        let client = world.client_with(WEST, |media| {
            principal(&world, media);
            change(media);
        });
        let failure = client.unwrap().verify_reachable().await.unwrap_err();
        // A page instead of an answer may be a gateway's, which goes away.
        assert_eq!(failure.kind == FailureKind::Permanent, told != "404", "{failure}");
        assert_eq!(failure.code, "token-refused", "{failure}");
        assert!(failure.message.contains(told), "'{told}': {failure}");
        let hint = failure.hint.as_deref().unwrap_or_default();
        assert!(named.iter().all(|word| hint.contains(word)), "{named:?}: {hint}");
        let shown = format!("{failure:?} {failure}");
        assert!(["wrong-secret", SECRET, "s3cret", "eyJ"].iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
}

#[tokio::test]
async fn a_principal_without_a_role_is_told_which_role_it_needs() {
    let world = world().await;
    let unauthorized = async |account: &str, client_id: &str| -> Failure {
        let client = world.client_with(account, |media| {
            principal(&world, media);
            media.client_id = Some(client_id.to_owned());
        });
        client.unwrap().verify_reachable().await.unwrap_err()
    };
    let failure = unauthorized(EAST, "no-role").await;
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "unauthorized"));
    let hint = failure.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("no-role") && hint.contains("Contributor"), "{hint}");
    assert_eq!(world.requests_at(DoorKind::Entra), 2, "it was renewed once");
    // Without an Entra identity the hint is that of the key.
    let client = world.client(NEIGHBOUR).unwrap();
    world.emulator.fault(FaultRule::new(FaultAction::RevokeToken).of_account(NEIGHBOUR).times(9));
    let failure = client.verify_reachable().await.unwrap_err();
    assert!(failure.hint.as_deref().is_some_and(|hint| hint.contains("media.key")), "{failure:?}");
}

#[tokio::test]
async fn an_identity_is_shown_without_secrets() {
    let world = world().await;
    let secret = world.client_with(WEST, |media| principal(&world, media)).unwrap();
    let certificate = world.client_with(WEST, |media| {
        principal(&world, media);
        with_certificate(media, &format!("{TEST_KEY_PEM}{TEST_CERTIFICATE_PEM}"));
    });
    let door = format!("Entra {}/{TENANT}/oauth2/token for https://rest.media.azure.net", world.emulator.entra_url());
    let shown = secret.verify_identity().await.unwrap();
    assert_eq!(shown, format!("service principal {CLIENT} with its secret at {door}"));
    let shown = certificate.unwrap().verify_identity().await.unwrap();
    assert!(
        shown.starts_with(&format!("service principal {CLIENT} with certificate ")) && shown.ends_with(&door),
        "{shown}"
    );
}

#[tokio::test]
async fn a_door_that_quotes_the_proof_is_not_repeated() {
    let (world, echo) = (world().await, Echo::start(0).await.unwrap());
    for certificate in [false, true] {
        let client = world.client_with(WEST, |media| {
            principal(&world, media);
            media.authority_url = Some(Url::parse(&echo.url()).unwrap());
            if certificate {
                with_certificate(media, &format!("{TEST_KEY_PEM}{TEST_CERTIFICATE_PEM}"));
            }
        });
        let failure = client.unwrap().verify_reachable().await.unwrap_err();
        let sent = echo.requests().pop().unwrap();
        let proof = if certificate { "client_assertion" } else { "client_secret" };
        assert!(sent.contains(proof) && failure.message.contains("[redacted]"), "{failure}");
        let fields = url::form_urlencoded::parse(sent.split("\r\n\r\n").last().unwrap_or_default().as_bytes());
        let (_, proof) = fields.into_owned().find(|(name, _)| name == proof).unwrap();
        for part in proof.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| part.len() >= 8) {
            assert!(!format!("{failure:?} {failure}").contains(part), "{failure}");
        }
    }
}
