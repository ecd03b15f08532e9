//! Clouds and identities: every address has a preset, every one can be set, and what does not fit is named.

use anyhow::{Context, Result};
use stream_replicator::settings::Settings;
use testbed::emulator::{TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use testbed::zone::Zone;

use super::{GOOD, load_text};

const EAST_KEY: &str = "key = \"media key\"";
const PRINCIPAL: &str = "tenant = ' t.example '\nclient_id = 'app'\nclient_secret = 'hunter2 secret'";

/// Good settings with the cloud of `east` and other keys in place of its media key.
fn text(cloud: &str, media: &str) -> String {
    let text = GOOD.replace("[sites.east]\n", &format!("[sites.east]\ncloud = '{cloud}'\n"));
    text.replace(EAST_KEY, media)
}

/// The effective settings below `sites.east`.
fn of_east(settings: &Settings, key: &str) -> Option<String> {
    let start = format!("sites.east.{key} = ");
    let lines = settings.to_lines();
    lines.iter().find_map(|line| line.strip_prefix(&start)).map(|value| value.trim_matches('"').to_owned())
}

/// What is wrong, one problem a line.
fn problem(text: &str) -> Result<String> {
    let error = load_text(text, &[])?.err().with_context(|| format!("is taken: {text}"))?.to_string();
    anyhow::ensure!(!error.contains("hunter"), "a secret is in the error: {error}");
    Ok(error)
}

#[test]
fn a_cloud_gives_every_address_that_is_not_set() -> Result<()> {
    for (cloud, media, expected) in [
        (
            "global",
            EAST_KEY.to_owned(),
            [
                ("media.token_url", "https://wamsprodglobal001acs.accesscontrol.windows.net/v2/OAuth2-13"),
                ("media.scope", "urn:WindowsAzureMediaServices"),
                ("media.api_url", "https://media.windows.net/API/"),
                ("storage.blob_url", "https://eaststorage.blob.core.windows.net/"),
            ],
        ),
        (
            "china",
            EAST_KEY.to_owned(),
            [
                ("media.token_url", "https://wamsprodglobal001acs.accesscontrol.chinacloudapi.cn/v2/OAuth2-13"),
                ("media.scope", "urn:WindowsAzureMediaServices"),
                ("media.api_url", "https://media.chinacloudapi.cn/api/"),
                ("storage.blob_url", "https://eaststorage.blob.core.chinacloudapi.cn/"),
            ],
        ),
        (
            "china",
            PRINCIPAL.to_owned(),
            [
                ("media.authority_url", "https://login.chinacloudapi.cn/"),
                ("media.resource", "https://rest.media.chinacloudapi.cn"),
                ("media.api_url", "https://media.chinacloudapi.cn/api/"),
                ("storage.blob_url", "https://eaststorage.blob.core.chinacloudapi.cn/"),
            ],
        ),
        (
            "us-gov",
            format!("{PRINCIPAL}\nregion = 'USGov Virginia'"),
            [
                ("media.authority_url", "https://login.microsoftonline.us/"),
                ("media.resource", "https://rest.media.usgovcloudapi.net"),
                ("media.api_url", "https://eastmedia.restv2.usgovvirginia.media.usgovcloudapi.net/api/"),
                ("storage.blob_url", "https://eaststorage.blob.core.usgovcloudapi.net/"),
            ],
        ),
        (
            "germany",
            format!("{PRINCIPAL}\nregion = 'germanycentral-2'"),
            [
                ("media.authority_url", "https://login.microsoftonline.de/"),
                ("media.resource", "https://rest.media.cloudapi.de"),
                ("media.api_url", "https://eastmedia.restv2.germanycentral-2.media.cloudapi.de/api/"),
                ("storage.blob_url", "https://eaststorage.blob.core.cloudapi.de/"),
            ],
        ),
    ] {
        let settings = load_text(&text(cloud, &media), &[])??;
        for (key, value) in expected {
            assert_eq!(of_east(&settings, key).as_deref(), Some(value), "{cloud}: {key}");
        }
        assert_eq!(of_east(&settings, "cloud").as_deref(), Some(cloud));
    }
    assert_eq!(of_east(&load_text(GOOD, &[])??, "cloud").as_deref(), Some("global"), "by default");
    Ok(())
}

#[test]
fn without_the_accounts_key_no_address_of_storage_is_made_up() -> Result<()> {
    let without_key = GOOD.replace("key = \"c3RvcmFnZSBrZXk=\"\n[routes", "access = 'sas-locators'\n[routes");
    assert_eq!(of_east(&load_text(&without_key, &[])??, "storage.blob_url"), None, "the media service says it");
    Ok(())
}

#[test]
fn what_is_set_goes_before_the_cloud_and_is_taken_as_people_paste_it() -> Result<()> {
    let acs = format!("{EAST_KEY}\ntoken_url = ' acs.example/V2/ '\nscope = ' WindowsAzureMediaServices '");
    let acs = format!("{acs}\napi_url = 'media.example'\nregion = 'West Europe'");
    let entra = format!("{PRINCIPAL}\nauthority_url = 'https://login.example/T.example/oauth2/v2.0/token'");
    let entra = format!("{entra}\nresource = 'https://r.example'\napi_url = 'https://media.example//API'");
    for (media, expected) in [
        (
            acs,
            [
                ("media.token_url", "https://acs.example/v2/OAuth2-13"),
                ("media.scope", "urn:WindowsAzureMediaServices"),
                ("media.api_url", "https://media.example/api/"),
            ],
        ),
        (
            entra,
            [
                ("media.authority_url", "https://login.example/T.example/"),
                ("media.resource", "https://r.example"),
                ("media.api_url", "https://media.example/API/"),
            ],
        ),
    ] {
        let text =
            text("china", &media).replace("cloud = 'china'", "cloud = 'china'\nstreaming_url = 'cdn.example/east'");
        let text = text.replace("\"eaststorage\"", "\"eaststorage\"\nblob_url = 'b.example'");
        let settings = load_text(&text, &[])??;
        let always = [("streaming_url", "https://cdn.example/east/"), ("storage.blob_url", "https://b.example/")];
        for (key, value) in expected.into_iter().chain(always) {
            assert_eq!(of_east(&settings, key).as_deref(), Some(value), "{key}");
        }
    }
    Ok(())
}

/// Cloud and keys in place of the media key, and what the error must name.
const WRONG: [(&str, &str, &[&str]); 23] = [
    ("mars", EAST_KEY, &["sites.east.cloud", "'mars'"]),
    ("us-gov", EAST_KEY, &["sites.east.media.key: cloud 'us-gov' never had ACS", "media.tenant"]),
    ("germany", EAST_KEY, &["sites.east.media.key: cloud 'germany' never had ACS", "sites.east.media.api_url"]),
    ("us-gov", PRINCIPAL, &["sites.east.media.api_url: is missing", "media.region"]),
    ("germany", "", &["sites.east.media.tenant: is missing", "media.certificate_file"]),
    ("global", "", &["sites.east.media.key: is missing", "key_file", "media.tenant", "media.client_secret"]),
    ("global", "key = 'k'\ntenant = 't'", &["sites.east.media.key", "media.tenant", "not both"]),
    ("global", "key = 'k'\nresource = 'r'", &["sites.east.media.key", "media.resource"]),
    ("global", "tenant = 't'", &["media.client_id: is missing", "media.client_secret: is missing", "certificate_file"]),
    ("global", "client_id = 'c'\nclient_secret = 'hunter2'", &["sites.east.media.tenant: is missing"]),
    (
        "global",
        "tenant = ''\nclient_id = ''\nclient_secret = ''",
        &["tenant: must not", "id: must not", "secret: must not"],
    ),
    ("global", "tenant = 'https://login/t'\nclient_id = 'c'\nclient_secret = 's'", &["media.tenant: must be a domain"]),
    ("global", "tenant = 't'\nclient_id = 'c'\nclient_secret_file = '/nowhere/x'", &["client_secret: file /nowhere/x"]),
    (
        "global",
        "tenant = 't'\nclient_id = 'c'\nclient_secret = 's'\ntoken_url = 'a.example'",
        &["media.token_url", "remove"],
    ),
    (
        "global",
        "tenant = 't'\nclient_id = 'c'\ncertificate_file = '/nowhere/x'",
        &["media.certificate_file: file /nowhere/x"],
    ),
    (
        "global",
        "tenant = 't'\nclient_id = 'c'\nclient_secret = 's'\nauthority_url = 'login.microsoftonline.com/other.example'",
        &["media.authority_url", "another tenant"],
    ),
    ("global", "key = 'k'\ntoken_url = 'acs'", &["sites.east.media.token_url", "https://"]),
    ("global", "key = 'k'\ntoken_url = 'https://u:hunter2@acs.example'", &["sites.east.media.token_url", "password"]),
    ("global", "key = 'k'\ntoken_url = 'https://acs.example?x=hunter2'", &["sites.east.media.token_url", "query"]),
    ("global", "key = 'k'\nscope = 'urn:'", &["sites.east.media.scope", "empty"]),
    ("global", "key = 'k'\napi_url = 'https://media.windows.net/api/Assets'", &["sites.east.media.api_url", "/api/"]),
    ("global", "key = 'k'\nregion = 'west/europe'", &["sites.east.media.region", "westeurope-2"]),
    ("global", "key = 'k'\nregion = ''", &["sites.east.media.region"]),
];

#[test]
fn clouds_and_identities_that_do_not_fit_are_named() -> Result<()> {
    for (cloud, media, named) in WRONG {
        let error = problem(&text(cloud, media))?;
        for word in named {
            assert!(error.contains(word), "'{word}' is not named for {cloud}, {media}\n{error}");
        }
    }
    let odd_account = text("global", &format!("{EAST_KEY}\nregion = 'x'")).replace("\"eastmedia\"", "'east-media'");
    assert!(problem(&odd_account)?.contains("sites.east.media.account: must be 3 to 24 letters and digits"));
    Ok(())
}

#[test]
fn one_principal_for_two_accounts_needs_doors_that_tell_them_apart() -> Result<()> {
    let both = |west: &str, east: &str, client_id: &str| {
        let principal = PRINCIPAL.replace("'app'", &format!("'{client_id}'"));
        GOOD.replace("key = \" 0075 \"", &format!("{PRINCIPAL}\n{west}"))
            .replace(EAST_KEY, &format!("{principal}\n{east}"))
    };
    let door = |url: &str| format!("api_url = '{url}'");
    let other_case = (door("https://d.example/api/"), door("https://D.example/API/"), "App");
    let other_tenant = ("tenant = ' t.example '", "tenant = '11111111-2222-3333-4444-555555555555'");
    for (west, east, client_id) in
        [(String::new(), String::new(), "app"), (door("d.example"), door("d.example/api"), "app"), other_case]
    {
        let error = problem(&both(&west, &east, client_id))?;
        assert!(error.starts_with("sites.west.media.region: is missing") && error.contains("'east'"), "{error}");
        // The domain of a tenant at one site, its id at the other.
        let error = problem(&both(&west, &east, client_id).replacen(other_tenant.0, other_tenant.1, 1))?;
        assert!(error.starts_with("sites.west.media.region: is missing") && error.contains("'east'"), "{error}");
    }
    for (west, east, client_id) in [("region = 'a'", "region = 'a'", "app"), ("region = 'a'", "", "app"), ("", "", "b")]
    {
        load_text(&both(west, east, client_id), &[])??;
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_looked_at_when_the_settings_are_loaded() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let of_others = std::fs::read_to_string(Zone::start(folder.path(), []).await?.ca_file())?;
    let file = folder.path().join("client.pem");
    let media = format!("tenant = 't'\nclient_id = 'c'\ncertificate_file = '{}'", file.display());
    let text = text("china", &media);
    let key_of_another_kind = "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";
    let encrypted = TEST_KEY_PEM.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (pem, told) in [
        ("hunter2", "holds no certificate"),
        (TEST_KEY_PEM, "holds no certificate"),
        (TEST_CERTIFICATE_PEM, "holds no private key"),
        (&format!("{TEST_CERTIFICATE_PEM}{encrypted}"), "encrypted"),
        (&format!("{TEST_CERTIFICATE_PEM}{key_of_another_kind}"), "RSA"),
        (&format!("{of_others}{TEST_KEY_PEM}"), "belongs to none of its certificates"),
    ] {
        std::fs::write(&file, pem)?;
        let error = problem(&text)?;
        assert!(error.starts_with("sites.east.media.certificate_file: file ") && error.contains(told), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    // Other certificates beside are those of its authorities.
    std::fs::write(&file, format!("{of_others}{TEST_KEY_PEM}{TEST_CERTIFICATE_PEM}"))?;
    let settings = load_text(&text, &[])??;
    let shown = format!("{:?}{}", settings, settings.to_lines().join("\n"));
    let of_key: Vec<_> = TEST_KEY_PEM.lines().filter(|line| !line.starts_with("---")).collect();
    assert!(!of_key.iter().any(|line| shown.contains(line)), "{shown}");
    Ok(())
}

#[test]
fn hosts_may_be_resolved_by_the_settings_in_every_form() -> Result<()> {
    let with = |http: &str| format!("{http}\n{GOOD}");
    let table = "[http.resolve]\n'Media.Example' = '10.0.0.7:8443'\n\"b.example\" = ' ::1 '";
    let list = "[http]\nresolve = ['media.example=10.0.0.7:8443', ' b.example = [::1]:0 ']";
    let environment = [("STREAM_REPLICATOR__HTTP__RESOLVE", "media.example=10.0.0.7:8443, b.example=::1,")];
    for (text, environment) in [(with(table), &[][..]), (with(list), &[]), (GOOD.to_owned(), &environment)] {
        let resolve = load_text(&text, environment)??.http.resolve.0;
        let resolve: Vec<_> = resolve.iter().map(|(host, address)| format!("{host} {address}")).collect();
        assert_eq!(resolve, ["b.example [::1]:0", "media.example 10.0.0.7:8443"], "{text}");
    }
    for (http, named) in [
        ("resolve = ['media.example']", "'media.example' is not host=ip:port"),
        ("resolve = ['media.example=there']", "'there' is not where 'media.example' may be"),
        ("resolve = ['media.example:443=10.0.0.7']", "'media.example:443' is not the name of a host"),
        ("resolve = ['https://media.example=10.0.0.7']", "is not the name of a host"),
        ("resolve = ['a=10.0.0.7', 'A=10.0.0.8']", "names 'a' twice"),
        ("resolve = 7", "http.resolve"),
        ("ca_file = '/nowhere/ca'", "http.ca_file: file /nowhere/ca cannot be read"),
    ] {
        let error = problem(&with(&format!("[http]\n{http}")))?;
        assert!(error.contains("http.") && error.contains(named), "{http}: {error}");
    }
    Ok(())
}

#[test]
fn a_file_of_authorities_is_looked_at_when_the_settings_are_loaded() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let text = format!("[http]\nca_file = '{}'\n{GOOD}", file.path().display());
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let garbled = "-----BEGIN CERTIFICATE-----\nhunter2!\n-----END CERTIFICATE-----\n";
    for (pem, told) in [
        ("", "holds no certificate"),
        (broken, "unusable certificate"),
        (garbled, "not readable"),
        (TEST_KEY_PEM, "holds no"),
    ] {
        std::fs::write(file.path(), pem)?;
        let error = problem(&text)?;
        assert!(error.starts_with("http.ca_file: file ") && error.contains(told), "{error}");
    }
    std::fs::write(file.path(), TEST_CERTIFICATE_PEM)?;
    assert_eq!(load_text(&text, &[])??.http.extra_roots().map_err(anyhow::Error::msg)?.len(), 1);
    Ok(())
}

#[test]
fn an_allowed_host_that_can_never_match_is_refused_and_told_how_to_write_it() -> Result<()> {
    let with = |hosts: &str| text("global", &format!("{EAST_KEY}\nallowed_hosts = [{hosts}]"));
    for (host, instead) in [
        ("https://clu.example/", "write 'clu.example'"),
        ("http://clu.example", "write 'clu.example'"),
        ("Clu.example:8443/api", "write 'clu.example:8443'"),
        ("https://u:hunter2@clu.example", "write 'clu.example'"),
        ("clu.example:", "write 'clu.example'"),
        ("clu.example?a=b", "write 'clu.example'"),
        ("bücher.example", "write 'xn--bcher-kva.example'"),
        ("127.1", "write '127.0.0.1'"),
        ("::1", "write it as host or host:port"),
        ("*.example", "write it as host or host:port"),
        ("https://", "write it as host or host:port"),
    ] {
        let error = problem(&with(&format!("'good.example', '{host}'")))?;
        assert!(error.starts_with("sites.east.media.allowed_hosts: ") && error.contains(instead), "{host}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let good = "'clu.example', ' CLU.example:8443', '10.0.0.7:443', 'clu.example:80', 'localhost', '[::1]', '[::1]:9'";
    load_text(&with(good), &[])??;
    Ok(())
}
