//! A small client of the old kind: token, redirect, verbose JSON; and two data centres to talk to.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, header};
use serde_json::Value;
use testbed::emulator::{AccountConfig, Emulator, EmulatorConfig, EncoderConfig, PreparedFile};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const VERBOSE: &str = "application/json;odata=verbose";
pub const LIGHT: &str = "application/json";

/// Three accounts: `west` and `west2` share a data centre, `east` has its own.
pub async fn start() -> Result<Emulator> {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut EmulatorConfig)) -> Result<Emulator> {
    let shared = testbed::process::shared().await?;
    let (west, east) = (shared.storage("west")?, shared.storage("east")?);
    let mut config = EmulatorConfig {
        accounts: vec![
            AccountConfig::new("west", "west+key/1=", "west-dc", west.clone()),
            AccountConfig::new("west2", "west2-key", "west-dc", west),
            AccountConfig::new("east", "east-key", "east-dc", east),
        ],
        encoder: EncoderConfig { step: Duration::from_millis(1), ..EncoderConfig::default() },
        ..EmulatorConfig::default()
    };
    change(&mut config);
    Emulator::start(config).await
}

pub fn http() -> Result<reqwest::Client> {
    // reqwest wants a TLS provider even for plain HTTP; a second installation changes nothing
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(builder.timeout(Duration::from_secs(30)).build()?)
}

/// A small set: two qualities, one of them with the sound.
pub fn clip() -> Vec<PreparedFile> {
    let ism = r#"<?xml version="1.0"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch>
        <video src="clip_320x180_100.mp4" systemBitrate="100000"/><video src="clip_640x360_300.mp4" systemBitrate="300000"/>
        <audio src="clip_320x180_100.mp4" systemBitrate="32000"/></switch></body></smil>"#;
    vec![
        PreparedFile::new("clip.ism", ism),
        PreparedFile::new("clip_320x180_100.mp4", "0123456789".repeat(10)),
        PreparedFile::new("clip_640x360_300.mp4", "abcdefghij".repeat(20)),
    ]
}

/// A client of one account, as the walkthrough was one: every call begins at the cluster that the front door named.
pub struct Client {
    pub http: reqwest::Client,
    pub root: String,
    pub token: String,
    pub accept: &'static str,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: header::HeaderMap,
    pub text: String,
}

impl Answer {
    async fn read(response: Response) -> Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("not JSON: {} {}", self.status, self.text))
    }

    /// What stands below `d`.
    pub fn d(&self) -> Result<Value> {
        self.json()?.get("d").cloned().with_context(|| format!("no d in {} {}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The text of an OData error in either shape.
    pub fn error(&self) -> Result<String> {
        let json = self.json()?;
        let error = json.get("error").or_else(|| json.get("odata.error")).context("no error")?;
        Ok(error["message"]["value"].as_str().context("no message")?.to_owned())
    }
}

impl Client {
    pub async fn login(emulator: &Emulator, account: &str) -> Result<Self> {
        let key = match account {
            "west" => "west+key/1=",
            "west2" => "west2-key",
            _ => "east-key",
        };
        let http = http()?;
        let token = token(&http, emulator, account, key).await?.json()?;
        let token = token["access_token"].as_str().context("no access_token")?.to_owned();
        let front_door = format!("{}/api/Assets", emulator.front_door_url());
        let response = http.get(front_door).bearer_auth(&token).send().await?;
        ensure!(response.status() == 301, "the front door answers {}", response.status());
        let root = response.headers()[header::LOCATION].to_str()?.to_owned();
        Ok(Self { http, root, token, accept: VERBOSE })
    }

    pub fn light(self) -> Self {
        Self { accept: LIGHT, ..self }
    }

    pub fn request(&self, method: &str, path: &str) -> Result<reqwest::RequestBuilder> {
        let url = format!("{}{path}", self.root);
        let request = self.http.request(Method::from_bytes(method.as_bytes())?, url).bearer_auth(&self.token);
        Ok(request.header("x-ms-version", "2.19").header("DataServiceVersion", "3.0").header("Accept", self.accept))
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Result<Answer> {
        let mut request = self.request(method, path)?;
        if let Some(body) = body {
            request = request.header("Content-Type", self.accept).body(body.to_string());
        }
        Answer::read(request.send().await?).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.send("POST", path, Some(body)).await
    }

    /// Creates an entity and gives its id.
    pub async fn create(&self, set: &str, body: Value) -> Result<String> {
        let answer = self.post(set, body).await?;
        ensure!(answer.status == 201, "{set}: {} {}", answer.status, answer.text);
        let json = answer.json()?;
        let entity = json.get("d").unwrap_or(&json);
        Ok(entity["Id"].as_str().context("no Id")?.to_owned())
    }

    pub async fn policy(&self, minutes: u32, permissions: u8) -> Result<String> {
        let body = serde_json::json!({"Name": "p", "DurationInMinutes": minutes, "Permissions": permissions});
        self.create("AccessPolicies", body).await
    }
}

/// Any request, read whole.
pub async fn fetch(request: reqwest::RequestBuilder) -> Result<Answer> {
    Answer::read(request.send().await?).await
}

/// Sends bytes as they are to the host of `url` and reads until the other side closes: for requests whose path or headers
/// an HTTP library would tidy up. Send `Connection: close`.
pub async fn raw(url: &str, request: &[u8]) -> Result<String> {
    let url = url::Url::parse(url)?;
    let (host, port) = (url.host_str().context("no host")?, url.port().context("no port")?);
    let exchange = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::time::timeout(Duration::from_secs(30), exchange).await?
}

/// Asks ACS as azurerm does: with a stray space after the secret.
pub async fn token(http: &reqwest::Client, emulator: &Emulator, name: &str, key: &str) -> Result<Answer> {
    let key = utf8_percent_encode(key, NON_ALPHANUMERIC);
    let scope = "urn%3AWindowsAzureMediaServices";
    let form = format!("grant_type=client_credentials&client_id={name}&client_secret={key} &scope={scope}");
    let request = http.post(format!("{}/v2/OAuth2-13", emulator.acs_url()));
    fetch(request.header("Content-Type", "application/x-www-form-urlencoded").body(form)).await
}

/// `Set('key')` with the key encoded.
pub fn entity(set: &str, key: &str) -> String {
    format!("{set}('{}')", utf8_percent_encode(key, NON_ALPHANUMERIC))
}
