//! What azurerm 0.10.0 sent, replayed byte for byte: recorded from its own functions, with host, token and ids put in.
//!
//! It encodes paths whole, slashes included, joins the redirect's root and its path with a double slash, lets a blank stand
//! behind the secret, writes tabs inside JSON strings and one string in single quotes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::emulator::{Edm, Emulator, Set};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{clip, start_with};

const KEY: &str = "nb:kid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";

const JOB: &str = "{     \t\t\"Name\":\"encoded\",    \t\t\"InputMediaAssets\":[{        \t  \t\t\"__metadata\":{        \t     \t\t\t\"uri\":\"http://{HOST}/API%2FAssets%28%27{ASSET}%27%29\"        \t  \t\t}      \t \t}],    \t\t\"Tasks\":[{        \t  \t\t\"Configuration\":'{\n \"Version\": 1.0,\n \"Codecs\": [\n  {\n   \"Type\": \"H264Video\"\n  }\n ]\n}',        \t  \t\t\"MediaProcessorId\":\"{PROCESSOR}\",        \t  \t\t\"TaskBody\":\"<?xml version=\\\"1.0\\\" encoding=\\\"utf-16\\\"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetCreationOptions=\\\"0\\\" assetName=\\\"encoded\\\">JobOutputAsset(0)</outputAsset></taskBody>\"       \t\t}] \t}";

const DELIVERY_POLICY: &str = "{ \t\t\"Name\":\"AssetDeliveryPolicy\", \t\t\"AssetDeliveryProtocol\":\"4\", \t\t\"AssetDeliveryPolicyType\":\"3\", \t\t\"AssetDeliveryConfiguration\":\"[{ \t\t\t\\\"Key\\\":\\\"2\\\", \t\t\t\\\"Value\\\":\\\"https://west.keydelivery.example/?kid=\\\"}]\" \t}";

const OPTIONS: &str = "{ \t\t\"Name\":\"policy\",\t\t\"KeyDeliveryType\":\"2\", \t\t\"KeyDeliveryConfiguration\":\"\", \t\t\t\"Restrictions\":[{ \t\t\t\"Name\":\"HLS Open Authorization Policy\", \t\t\t\"KeyRestrictionType\":\"0\", \t\t\t\"Requirements\":null \t\t}] \t}";

const ENDPOINT: &str = "{ \t\t\"Id\":null, \t\t\"Name\":\"second\", \t\t\"Description\":\"New Streaming Endpoint\", \t\t\"Created\":\"0001-01-01T00:00:00\", \t\t\"LastModified\":\"0001-01-01T00:00:00\", \t\t\"State\":null, \t\t\"HostName\":null, \t\t\"ScaleUnits\":\"1\", \t\t\"CrossSiteAccessPolicies\":{ \t\t\t\"ClientAccessPolicy\":\"<access-policy><domain uri=\\\"http://*\\\" /></access-policy>\" \t\t} \t}";

/// An answer on a connection that stays open.
struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

/// Writes head and body apart, as Python does, and reads one answer.
async fn exchange(host: &str, head: &str, body: &str) -> Result<Answer> {
    let exchanged = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut received = Vec::new();
        loop {
            ensure!(stream.read_buf(&mut received).await? > 0, "closed too early");
            let text = String::from_utf8_lossy(&received);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if body.len() >= header("content-length: ").map_or(Ok(0), |length| length.parse::<usize>())? {
                let status = head.split(' ').nth(1).context("no status")?.parse()?;
                return Ok(Answer { status, location: header("location: "), body: body.to_owned() });
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), exchanged).await?
}

/// What stands in the head of every request.
const COMMON: &str = "User-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\n\
    Accept: application/json;odata=verbose\r\nConnection: keep-alive\r\n";

const VERBOSE: &str = "Content-Type: application/json;odata=verbose\r\nDataServiceVersion: 3.0;NetFx\r\n";
const LIGHT: &str = "Content-Type: application/json\r\nDataServiceVersion: 3.0;NetFx\r\n";
const OLD_LIGHT: &str = "Content-Type: application/json\r\nDataServiceVersion: 1.0;NetFx\r\n";
const NO_CONTENT: &str = "DataServiceVersion: 3.0;NetFx\r\n";

struct Azurerm {
    front_door: String,
    token: String,
}

impl Azurerm {
    async fn login(emulator: &Emulator) -> Result<Self> {
        let acs = emulator.acs_url().trim_start_matches("http://");
        let form = "grant_type=client_credentials&client_id=west&client_secret=west%2Bkey%2F1%3D &scope=urn%3aWindowsAzureMediaServices";
        let head = format!(
            "POST /v2/OAuth2-13 HTTP/1.1\r\nHost: {acs}\r\n{COMMON}content-type: application/x-www-form-urlencoded\r\nContent-Length: 115\r\n\r\n"
        );
        ensure!(form.len() == 115, "the recorded length");
        let answer = exchange(acs, &head, form).await?;
        let json: Value = serde_json::from_str(&answer.body)?;
        let token = json["access_token"].as_str().with_context(|| answer.body.clone())?.to_owned();
        Ok(Self { front_door: emulator.front_door_url().trim_start_matches("http://").to_owned(), token })
    }

    /// Every call goes to the front door and from there to `Location` plus the path.
    async fn call(&self, method: &str, path: &str, content: &str, body: Option<&str>) -> Result<Answer> {
        let head = |host: &str, target: &str, body: Option<&str>| {
            let length = body.map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
            let token = &self.token;
            format!(
                "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{COMMON}{content}MaxDataServiceVersion: 3.0;NetFx\r\n\
                Accept-Charset: UTF-8\r\nAuthorization: Bearer {token}\r\nx-ms-version: 2.13\r\n{length}\r\n"
            )
        };
        let text = body.unwrap_or_default();
        let first = exchange(&self.front_door, &head(&self.front_door, &format!("/API{path}"), body), text).await?;
        ensure!(first.status == 301, "the front door answers {} {}", first.status, first.body);
        let location = first.location.context("no location")?;
        let (host, root) = location.trim_start_matches("http://").split_once('/').context("no root")?;
        // a redirected GET carries an empty body and its length in some versions
        let body = body.or((method == "GET").then_some(""));
        exchange(host, &head(host, &format!("/{root}{path}"), body), text).await
    }

    async fn create(&self, set: &str, content: &str, body: &str) -> Result<Value> {
        let answer = self.call("POST", &format!("/{set}"), content, Some(body)).await?;
        ensure!(answer.status == 201, "{set}: {} {}", answer.status, answer.body);
        Ok(serde_json::from_str::<Value>(&answer.body)?["d"].clone())
    }

    async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let answer = self.call("GET", path, VERBOSE, None).await?;
        ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.body);
        let json: Value = serde_json::from_str(&answer.body)?;
        Ok(json["d"]["results"].as_array().with_context(|| answer.body.clone())?.clone())
    }

    async fn expect(&self, status: u16, method: &str, path: &str, content: &str, body: Option<&str>) -> Result<()> {
        let answer = self.call(method, path, content, body).await?;
        ensure!(answer.status == status, "{method} {path}: {} {}", answer.status, answer.body);
        Ok(())
    }
}

fn id(entity: &Value) -> Result<&str> {
    entity["Id"].as_str().with_context(|| format!("no id in {entity}"))
}

/// `urllib.parse.quote(path, safe='')`.
fn quoted(path: &str) -> String {
    percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
}

fn quoted_entity(set: &str, id: &str) -> String {
    quoted(&format!("/{set}('{id}')"))
}

#[tokio::test]
async fn an_asset_from_upload_to_deletion() -> Result<()> {
    let emulator = start_with(|config| config.encoder.files = clip()).await?;
    let west = emulator.account("west");
    let azurerm = Azurerm::login(&emulator).await?;
    let asset = azurerm.create("Assets", VERBOSE, r#"{"Name": "an asset", "Options": "0"}"#).await?;
    let asset = id(&asset)?;
    let policy = |name: &str, permission: &str| {
        format!(
            "{{ \t\t\"Name\": \"{name}\", \t\t\"DurationInMinutes\": \"440\", \t\t\"Permissions\": \"{permission}\" \t}}"
        )
    };
    let write = azurerm.create("AccessPolicies", VERBOSE, &policy("write", "2")).await?;
    let read = azurerm.create("AccessPolicies", VERBOSE, &policy("read", "1")).await?;
    let body =
        format!("{{ \t\t\"AccessPolicyId\":\"{}\", \t\t\"AssetId\":\"{asset}\", \t\t\"Type\":1 \t}}", id(&write)?);
    let sas = azurerm.create("Locators", VERBOSE, &body).await?;
    let file = |name: &str, primary: &str| {
        format!(
            "{{ \t\t\t\"IsPrimary\": \"{primary}\", \t\t\t\"MimeType\": \"video/mp4\", \t\t\t\"Name\": \"{name}\", \t\t\t\"ParentAssetId\": \"{asset}\" \t\t}}"
        )
    };
    let movie = azurerm.create("Files", VERBOSE, &file("movie.mp4", "false")).await?;
    let movie = id(&movie)?;

    let path = sas["Path"].as_str().context("no path")?.replacen('?', "/movie.mp4?", 1);
    let (host, path) = path.trim_start_matches("http://").split_once('/').context("no path")?;
    let head = format!(
        "PUT /{path} HTTP/1.1\r\nHost: {host}\r\n{COMMON}Accept-Charset: UTF-8\r\nx-ms-blob-type: BlockBlob\r\nx-ms-meta-m1: v1\r\n\
        x-ms-meta-m2: v2\r\nx-ms-version: 2015-02-21\r\nContent-Length: 1000\r\n\r\n"
    );
    ensure!(exchange(host, &head, &"x".repeat(1000)).await?.status == 201, "the SAS locator opens real storage");

    let patch = format!(
        "{{ \t\t\"ContentFileSize\": \"1000\", \t\t\"Id\": \"{movie}\", \t\t\"MimeType\": \"video/mp4\", \t\t\"Name\": \"movie.mp4\", \t\t\"ParentAssetId\": \"{asset}\" \t}}"
    );
    let path = quoted_entity("Files", movie);
    ensure!(path.starts_with("%2FFiles%28%27nb%3Acid%3AUUID%3A") && path.ends_with("%27%29"), "as recorded: {path}");
    azurerm.expect(204, "PATCH", &path, VERBOSE, Some(&patch)).await?;
    azurerm.create("Files", VERBOSE, &file("movie.ism", "true")).await?;
    let files: Vec<_> = west.files(asset).into_iter().map(|file| (file.name, file.size, file.is_primary)).collect();
    ensure!(files == [("movie.mp4".into(), 1000, false), ("movie.ism".into(), 0, true)], "{files:?}");

    let body = format!(
        "{{ \t\t\t\"AccessPolicyId\":\"{}\", \t\t\t\"AssetId\":\"{asset}\", \t\t\t\"Type\": \"2\"     }}",
        id(&read)?
    );
    let origin = azurerm.create("Locators", LIGHT, &body).await?;
    ensure!(origin["Path"].as_str().is_some_and(|path| path.starts_with(emulator.streaming_url("west"))), "{origin}");
    ensure!(azurerm.list("/Locators").await?.len() == 2);
    ensure!(azurerm.list("/Assets").await?.len() == 1);

    for locator in [&sas, &origin] {
        azurerm.expect(204, "DELETE", &quoted_entity("Locators", id(locator)?), NO_CONTENT, Some("")).await?;
    }
    for policy in [&write, &read] {
        azurerm.expect(204, "DELETE", &quoted_entity("AccessPolicies", id(policy)?), NO_CONTENT, Some("")).await?;
    }
    azurerm.expect(204, "DELETE", &quoted_entity("Assets", asset), NO_CONTENT, Some("")).await?;
    azurerm.expect(404, "GET", &format!("/Assets('{asset}')"), VERBOSE, None).await?;
    ensure!(west.assets().is_empty() && west.access_policies().is_empty());
    Ok(())
}

#[tokio::test]
async fn jobs_keys_and_endpoints() -> Result<()> {
    let emulator = start_with(|config| config.encoder.files = clip()).await?;
    let west = emulator.account("west");
    let azurerm = Azurerm::login(&emulator).await?;
    let asset = azurerm.create("Assets", VERBOSE, r#"{"Name": "an asset", "Options": "0"}"#).await?;
    let asset = id(&asset)?;
    let processors = azurerm.list("/MediaProcessors").await?;
    let processor = processors.iter().find(|one| one["Name"] == "Media Encoder Standard").context("no processor")?;
    let body = JOB.replace("{HOST}", &azurerm.front_door).replace("{ASSET}", &quoted(asset));
    let job = azurerm.create("Jobs", VERBOSE, &body.replace("{PROCESSOR}", id(processor)?)).await?;
    let task = &west.entities(Set::Tasks)[0];
    let configuration = task.text("Configuration").unwrap_or_default();
    let configuration: Value = serde_json::from_str(configuration).context("the single-quoted string")?;
    ensure!(configuration["Codecs"][0]["Type"] == "H264Video", "{configuration}");
    azurerm.expect(200, "GET", &format!("/Jobs('{}')", id(&job)?), VERBOSE, None).await?;
    let inputs = azurerm.list(&format!("/Jobs('{}')/InputMediaAssets", id(&job)?)).await?;
    ensure!(inputs[0]["Id"] == asset, "{inputs:?}");

    let root = emulator.cluster_url("west-dc");
    let key = format!(r#"{{"Id": "{KEY}", "ContentKeyType": 4, "EncryptedContentKey": "x"}}"#);
    azurerm.create("ContentKeys", VERBOSE, &key).await?;
    let policy = azurerm.create("AssetDeliveryPolicies", VERBOSE, DELIVERY_POLICY).await?;
    let configuration = policy["AssetDeliveryConfiguration"].as_str().unwrap_or_default();
    ensure!(configuration.starts_with("[{ \t\t\t\"Key\":\"2\","), "tabs in a string: {configuration}");
    let authorization =
        azurerm.create("ContentKeyAuthorizationPolicies", VERBOSE, r#"{"Name":"Open Authorization Policy"}"#).await?;
    let options = azurerm.create("ContentKeyAuthorizationPolicyOptions", LIGHT, OPTIONS).await?;
    for (content, from, from_id, navigation, to, to_id) in [
        (VERBOSE, "Assets", asset, "ContentKeys", "ContentKeys", KEY),
        (VERBOSE, "Assets", asset, "DeliveryPolicies", "AssetDeliveryPolicies", id(&policy)?),
        (
            OLD_LIGHT,
            "ContentKeyAuthorizationPolicies",
            id(&authorization)?,
            "Options",
            "ContentKeyAuthorizationPolicyOptions",
            id(&options)?,
        ),
    ] {
        let path = quoted(&format!("/{from}('{from_id}')/$links/{navigation}"));
        let body = format!(r#"{{"uri": "{root}{to}('{to_id}')"}}"#);
        azurerm.expect(204, "POST", &path, content, Some(&body)).await?;
        ensure!(azurerm.list(&format!("/{from}('{from_id}')/{navigation}")).await?.len() == 1, "{navigation}");
    }
    let body = format!(r#"{{"AuthorizationPolicyId":"{}"}}"#, id(&authorization)?);
    azurerm.expect(204, "PUT", &quoted_entity("ContentKeys", KEY), OLD_LIGHT, Some(&body)).await?;
    let path = format!("/ContentKeys('{KEY}')/GetKeyDeliveryUrl");
    azurerm.expect(200, "POST", &path, VERBOSE, Some(r#"{"keyDeliveryType": "2"}"#)).await?;

    let endpoint = azurerm.create("StreamingEndpoints", VERBOSE, ENDPOINT).await?;
    let path = quoted(&format!("/StreamingEndpoints('{}')/Scale", id(&endpoint)?));
    azurerm.expect(202, "POST", &path, VERBOSE, Some(r#"{"scaleUnits": "2"}"#)).await?;
    ensure!(*west.entities(Set::StreamingEndpoints)[1].value("ScaleUnits") == Edm::from(2));
    let path = quoted_entity("StreamingEndpoints", id(&endpoint)?);
    azurerm.expect(204, "DELETE", &path, NO_CONTENT, Some("")).await?;
    azurerm.expect(204, "DELETE", &quoted_entity("ContentKeys", KEY), NO_CONTENT, Some("")).await?;
    for set in ["ContentKeys", "Jobs", "AssetDeliveryPolicies", "StreamingEndpoints"] {
        azurerm.list(&format!("/{set}")).await?;
    }
    Ok(())
}
