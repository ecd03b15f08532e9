//! The Entra door: tokens for principals and users, and what the cluster makes of them.

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use testbed::emulator::{DoorKind, Emulator, EntraPrincipal, TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use time::OffsetDateTime;

use crate::support::{Answer, Client, VERBOSE, fetch, http, start_with};

const TENANT: &str = "contoso.onmicrosoft.com";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const RESOURCE: &str = "https://rest.media.azure.net";

fn principal() -> EntraPrincipal {
    EntraPrincipal::new(TENANT, CLIENT).with_secret("s3cret+/=").with_certificate(TEST_CERTIFICATE_PEM)
}

/// `west` lets the principal and a user in; `west2` knows the same principal, without a role.
async fn emulator() -> Result<Emulator> {
    start_with(|config| {
        config.accounts[0].entra = Some(EntraPrincipal {
            tenants: vec![TENANT.to_owned(), "99999999-0000-0000-0000-000000000000".to_owned()],
            public_authority: Some("https://login.example".to_owned()),
            ..principal().with_user("somebody@contoso.example", "pass word")
        });
        config.accounts[1].entra =
            Some(EntraPrincipal::new(TENANT, "without-role").with_secret("s3cret+/=").without_role());
    })
    .await
}

async fn ask(emulator: &Emulator, tenant: &str, form: &[(&str, &str)]) -> Result<Answer> {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let request = http()?.post(format!("{}/{tenant}/oauth2/token", emulator.entra_url()));
    fetch(request.header("Content-Type", "application/x-www-form-urlencoded").body(body.finish())).await
}

/// The form of a service principal with a secret.
fn secret_form<'a>(client_id: &'a str, secret: &'a str) -> Vec<(&'a str, &'a str)> {
    let grant = ("grant_type", "client_credentials");
    vec![grant, ("client_id", client_id), ("client_secret", secret), ("resource", RESOURCE)]
}

fn refusal(answer: &Answer, status: u16, error: &str, code: u32) -> Result<()> {
    let json = answer.json()?;
    ensure!(answer.status == status && json["error"] == error, "wanted {status} {error}: {answer:?}");
    ensure!(json["error_codes"] == json!([code]), "{json}");
    let description = json["error_description"].as_str().unwrap_or_default();
    ensure!(description.starts_with(&format!("AADSTS{code}: ")) && description.contains("Trace ID: "), "{json}");
    for member in ["timestamp", "trace_id", "correlation_id"] {
        ensure!(json[member].is_string(), "{member}: {json}");
    }
    Ok(())
}

/// A GET of the assets at a data centre's cluster.
async fn assets(emulator: &Emulator, data_centre: &str, token: &str) -> Result<Answer> {
    assets_at(&emulator.cluster_url(data_centre), token).await
}

async fn assets_at(root: &str, token: &str) -> Result<Answer> {
    let url = format!("{root}Assets");
    fetch(http()?.get(url).bearer_auth(token).header("x-ms-version", "2.19").header("Accept", VERBOSE)).await
}

fn token_of(answer: &Answer) -> Result<String> {
    Ok(answer.json()?["access_token"].as_str().with_context(|| format!("no token: {answer:?}"))?.to_owned())
}

#[tokio::test]
async fn a_secret_gives_a_jwt_that_the_cluster_takes() -> Result<()> {
    let emulator = emulator().await?;
    // PHP adds scope=openid; a stray blank behind the secret falls away
    let mut form = secret_form(CLIENT, "s3cret+/= ");
    form.push(("scope", "openid"));
    for tenant in [TENANT, "Contoso.OnMicrosoft.com", "99999999-0000-0000-0000-000000000000"] {
        let answer = ask(&emulator, tenant, &form).await?;
        let json = answer.json()?;
        ensure!(answer.status == 200 && json["token_type"] == "Bearer" && json["resource"] == RESOURCE, "{answer:?}");
        for member in ["expires_in", "ext_expires_in", "expires_on", "not_before"] {
            let number = json[member].as_str().and_then(|text| text.parse::<i64>().ok());
            ensure!(number.is_some(), "{member} must be a number in a string: {json}");
        }
        ensure!(json["expires_in"] == "3600", "{json}");
        let token = token_of(&answer)?;
        let pieces: Vec<&str> = token.split('.').collect();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(pieces[1])?)?;
        ensure!(pieces.len() == 3 && claims["aud"] == RESOURCE && claims["appid"] == CLIENT, "{claims}");
        let expires_on: i64 = json["expires_on"].as_str().unwrap_or_default().parse()?;
        ensure!(claims["exp"] == expires_on, "{claims}");
        ensure!(assets(&emulator, "west-dc", &token).await?.status == 200);
        ensure!(assets(&emulator, "east-dc", &token).await?.status == 401, "no role on any account there");
        let front_door = format!("{}/api/Assets", emulator.front_door_url());
        let redirect = fetch(http()?.get(front_door).bearer_auth(&token)).await?;
        ensure!(redirect.header("location") == emulator.cluster_url("west-dc"), "{redirect:?}");
    }
    ensure!(emulator.requests().at(DoorKind::Entra).count() == 3 && emulator.issued_tokens().len() == 3);
    Ok(())
}

#[tokio::test]
async fn an_account_has_a_rest_endpoint_of_its_own() -> Result<()> {
    let emulator = emulator().await?;
    let token = token_of(&ask(&emulator, TENANT, &secret_form(CLIENT, "s3cret+/=")).await?)?;
    let root = emulator.restv2_url("west");
    ensure!(root.ends_with("/api/") && root != emulator.cluster_url("west-dc"), "{root}");
    let id = emulator.account("west").create_asset("a", 0).await?;
    let found = assets_at(&root, &token).await?;
    let uri = &found.d()?["results"][0]["__metadata"]["uri"];
    ensure!(
        uri.as_str().is_some_and(|uri| uri.starts_with(&root)),
        "served without a redirect, by its own name: {uri}"
    );
    ensure!(found.d()?["results"][0]["Id"] == id, "{found:?}");
    ensure!(assets_at(&emulator.restv2_url("west2"), &token).await?.status == 401, "no role on that account");
    ensure!(assets_at(&emulator.restv2_url("east"), &token).await?.status == 401);
    // a token of ACS names its account
    let west2 = Client::login(&emulator, "west2").await?;
    ensure!(assets_at(&root, &west2.token).await?.status == 403);
    ensure!(assets_at(&emulator.restv2_url("west2"), &west2.token).await?.status == 200);
    ensure!(emulator.requests().count("GET", "Assets", "west") == 1);
    emulator.take_down("west-dc");
    ensure!(assets_at(&root, &token).await.is_err(), "down with its data centre");
    Ok(())
}

#[tokio::test]
async fn tokens_expire_and_need_a_role() -> Result<()> {
    let emulator = emulator().await?;
    let answer = ask(&emulator, TENANT, &secret_form("without-role", "s3cret+/=")).await?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(assets(&emulator, "west-dc", &token_of(&answer)?).await?.status == 401, "without a role");

    emulator.account("west").switch(|switches| switches.entra_token_lifetime_seconds = 0)?;
    let answer = ask(&emulator, TENANT, &secret_form(CLIENT, "s3cret+/=")).await?;
    ensure!(answer.json()?["expires_in"] == "0", "{answer:?}");
    ensure!(assets(&emulator, "west-dc", &token_of(&answer)?).await?.status == 401, "expired");
    Ok(())
}

#[tokio::test]
async fn refusals_have_the_shape_of_azure_ad() -> Result<()> {
    let emulator = emulator().await?;
    let good = secret_form(CLIENT, "s3cret+/=");
    let with = |name: &'static str, value: &'static str| {
        let mut form = good.clone();
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
        form
    };
    let without = |name: &str| -> Vec<_> { good.iter().copied().filter(|(known, _)| *known != name).collect() };
    refusal(&ask(&emulator, "nowhere.example", &good).await?, 400, "invalid_request", 90_002)?;
    refusal(&ask(&emulator, TENANT, &with("client_id", "other")).await?, 401, "invalid_client", 700_016)?;
    refusal(&ask(&emulator, TENANT, &with("client_secret", "other")).await?, 401, "invalid_client", 7_000_215)?;
    refusal(&ask(&emulator, TENANT, &without("client_secret")).await?, 401, "invalid_client", 7_000_218)?;
    let resource = with("resource", "https://rest.media.chinacloudapi.cn");
    refusal(&ask(&emulator, TENANT, &resource).await?, 400, "invalid_resource", 500_011)?;
    let grant = with("grant_type", "device_code");
    refusal(&ask(&emulator, TENANT, &grant).await?, 400, "unsupported_grant_type", 70_003)?;
    for missing in ["client_id", "grant_type", "resource"] {
        refusal(&ask(&emulator, TENANT, &without(missing)).await?, 400, "invalid_request", 900_144)?;
    }
    let url = |path: &str| format!("{}/{TENANT}/{path}", emulator.entra_url());
    ensure!(fetch(http()?.get(url("oauth2/token"))).await?.status == 400);
    ensure!(fetch(http()?.post(url("oauth2/v2.0/token"))).await?.status == 404, "version 1 only");
    Ok(())
}

#[tokio::test]
async fn a_user_signs_in_by_password() -> Result<()> {
    let emulator = emulator().await?;
    for client_id in [CLIENT, "d476653d-842c-4f52-862d-397463ada5e7"] {
        let form = |password| {
            let user = ("username", "somebody@contoso.example");
            [("grant_type", "password"), ("client_id", client_id), user, ("password", password), ("resource", RESOURCE)]
        };
        let answer = ask(&emulator, TENANT, &form("pass word")).await?;
        ensure!(answer.status == 200 && answer.json()?["scope"] == "user_impersonation", "{answer:?}");
        ensure!(assets(&emulator, "west-dc", &token_of(&answer)?).await?.status == 200);
        refusal(&ask(&emulator, TENANT, &form("other")).await?, 400, "invalid_grant", 50_126)?;
    }
    Ok(())
}

/// An assertion for the test certificate, with some claims or header members replaced.
fn assertion(audience: &str, change: impl FnOnce(&mut Value, &mut Value)) -> Result<String> {
    let certificate = CertificateDer::from_pem_slice(TEST_CERTIFICATE_PEM.as_bytes())?;
    let thumbprint = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let mut header = json!({"alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(thumbprint)});
    let mut claims = json!({
        "aud": audience, "iss": CLIENT, "sub": CLIENT, "jti": uuid::Uuid::new_v4(), "nbf": now, "exp": now + 600,
    });
    change(&mut header, &mut claims);
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let der = PrivatePkcs8KeyDer::from_pem_slice(TEST_KEY_PEM.as_bytes())?;
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| anyhow!("{error}"))?;
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).map_err(|error| anyhow!("{error}"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

async fn assert_with(emulator: &Emulator, jwt: &str) -> Result<Answer> {
    let kind = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let grant = ("grant_type", "client_credentials");
    let form = [grant, ("client_id", CLIENT), kind, ("client_assertion", jwt), ("resource", RESOURCE)];
    ask(emulator, TENANT, &form).await
}

#[tokio::test]
async fn a_certificate_stands_for_a_secret() -> Result<()> {
    let emulator = emulator().await?;
    let here = format!("{}/{TENANT}/oauth2/token", emulator.entra_url());
    let public = format!("https://login.example/{TENANT}/oauth2/token");
    for audience in [&here, &public] {
        let answer = assert_with(&emulator, &assertion(audience, |_, _| {})?).await?;
        ensure!(answer.status == 200, "{audience}: {answer:?}");
        ensure!(assets(&emulator, "west-dc", &token_of(&answer)?).await?.status == 200);
    }
    let by_sha256 = assertion(&here, |header, _| {
        let certificate = CertificateDer::from_pem_slice(TEST_CERTIFICATE_PEM.as_bytes());
        let digest = certificate.map(|der| ring::digest::digest(&ring::digest::SHA256, &der));
        *header = json!({"alg": "RS256", "x5t#S256": digest.map(|it| URL_SAFE_NO_PAD.encode(it)).unwrap_or_default()});
    })?;
    ensure!(assert_with(&emulator, &by_sha256).await?.status == 200, "the newer thumbprint");

    let refused = async |code: u32, jwt: String| -> Result<()> {
        refusal(&assert_with(&emulator, &jwt).await?, 401, "invalid_client", code).context(jwt)
    };
    refused(700_023, assertion("https://elsewhere.example/token", |_, _| {})?).await?;
    refused(700_021, assertion(&here, |_, claims| claims["iss"] = json!("other"))?).await?;
    refused(700_021, assertion(&here, |_, claims| claims["sub"] = json!("other"))?).await?;
    refused(700_024, assertion(&here, |_, claims| claims["exp"] = json!(1_000_000_000))?).await?;
    refused(700_024, assertion(&here, |_, claims| claims["nbf"] = json!(9_000_000_000_i64))?).await?;
    refused(700_027, assertion(&here, |header, _| header["x5t"] = json!("AAAA"))?).await?;
    refused(50_027, assertion(&here, |header, _| header["alg"] = json!("none"))?).await?;
    refused(50_027, "not a token".to_owned()).await?;
    let (signed, other) = (assertion(&here, |_, _| {})?, assertion(&here, |_, _| {})?);
    let (signed, other) = (signed.rsplit_once('.').context("no dot")?.0, other.rsplit_once('.').context("no dot")?.1);
    refused(700_027, format!("{signed}.{other}")).await?;
    Ok(())
}
