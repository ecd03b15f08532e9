//! An encoder's client of Media Services v2, as such clients were written: token, redirect, verbose JSON, upload by SAS, job.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode, header, redirect};
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::emulator::Emulator;

const VERBOSE: &str = "application/json;odata=verbose";
/// One call, the upload included.
const LIMIT: Duration = Duration::from_secs(30);
/// Permission to write (contract ams-v2 section 3).
const WRITE: u8 = 2;
/// A locator that is a shared access signature (contract ams-v2 section 3).
const SAS: u8 = 1;

/// A client of one account, logged in, at the cluster that the front door named.
pub(super) struct Encoder {
    http: reqwest::Client,
    root: String,
    token: String,
}

/// A job that was submitted.
pub(super) struct Submitted {
    pub(super) job: String,
    /// The asset that it will fill.
    pub(super) output: String,
}

impl Encoder {
    /// Gets a token and follows the front door (contract ams-v2 sections 1.1 and 1.3).
    pub(super) async fn log_in(emulator: &Emulator, account: &str, key: &str) -> Result<Self> {
        let builder = crate::storage::http_client_builder().redirect(redirect::Policy::none()).timeout(LIMIT);
        let http = builder.build().context("cannot set up an HTTP client")?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", account),
            ("client_secret", key),
            ("scope", "urn:WindowsAzureMediaServices"),
        ];
        let answer = http.post(format!("{}/v2/OAuth2-13", emulator.acs_url())).form(&form).send().await?;
        let answer: Value = answer.error_for_status().context("no token")?.json().await?;
        let token = answer["access_token"].as_str().context("no access_token in the answer")?.to_owned();
        let redirect = http.get(format!("{}/API/", emulator.front_door_url())).bearer_auth(&token).send().await?;
        ensure!(redirect.status() == StatusCode::MOVED_PERMANENTLY, "the front door answers {}", redirect.status());
        let root = redirect.headers().get(header::LOCATION).context("the front door names no cluster")?;
        Ok(Self { root: root.to_str()?.to_owned(), http, token })
    }

    /// The cluster's root.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Creates an asset. Options: 0 none, 1 storage encrypted.
    pub(super) async fn create_asset(&self, name: &str, options: u8) -> Result<String> {
        self.create("Assets", &json!({"Name": name, "Options": options})).await.and_then(|asset| text(&asset, "Id"))
    }

    /// Uploads files to an asset by a SAS locator, registers them, and takes the locator away again.
    pub(super) async fn upload(&self, asset: &str, files: &[(String, Bytes)]) -> Result<()> {
        let policy = json!({"Name": "upload", "DurationInMinutes": 60, "Permissions": WRITE});
        let policy = text(&self.create("AccessPolicies", &policy).await?, "Id")?;
        // in the past, against clock skew (contract ams-v2 section 4.4)
        let start = (OffsetDateTime::now_utc() - time::Duration::minutes(5)).format(&Rfc3339)?;
        let body = json!({"AccessPolicyId": policy, "AssetId": asset, "Type": SAS, "StartTime": start});
        let locator = self.create("Locators", &body).await?;
        let (base, sas) = (text(&locator, "BaseUri")?, text(&locator, "ContentAccessComponent")?);
        for (name, bytes) in files {
            let put = self.http.put(format!("{base}/{}{sas}", encode(name))).header("x-ms-blob-type", "BlockBlob");
            let answer = put.body(bytes.clone()).send().await.map_err(reqwest::Error::without_url)?;
            ensure!(
                answer.status() == StatusCode::CREATED,
                "storage answers {} to the upload of {name}",
                answer.status()
            );
        }
        self.call(Method::GET, &format!("CreateFileInfos?assetid='{}'", encode(asset)), None).await?;
        self.call(Method::DELETE, &entity("Locators", &text(&locator, "Id")?), None).await?;
        self.call(Method::DELETE, &entity("AccessPolicies", &policy), None).await?;
        Ok(())
    }

    /// Registers a webhook with a key that notifications are signed with.
    pub(super) async fn register_webhook(&self, address: &str, key_base64: &str) -> Result<String> {
        let body = json!({
            "Name": "relay", "EndPointAddress": address, "EndPointType": 3,
            "CredentialType": 1, "EncryptedEndPointCredential": key_base64,
        });
        text(&self.create("NotificationEndPoints", &body).await?, "Id")
    }

    /// Submits a job with one task and one output; its end is told to the endpoint.
    pub(super) async fn submit(&self, input: &str, output_name: &str, endpoint: &str) -> Result<Submitted> {
        let processors =
            self.call(Method::GET, "MediaProcessors?$filter=Name eq 'Media Encoder Standard'", None).await?;
        let processor = text(&processors["results"][0], "Id")?;
        let task_body = format!(
            r#"<?xml version="1.0" encoding="utf-8"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetName="{output_name}" assetCreationOptions="0">JobOutputAsset(0)</outputAsset></taskBody>"#
        );
        let body = json!({
            "Name": format!("encode {output_name}"),
            "InputMediaAssets": [{"__metadata": {"uri": format!("{}{}", self.root, entity("Assets", input))}}],
            "Tasks": [{"Configuration": "Adaptive Streaming", "MediaProcessorId": processor, "TaskBody": task_body}],
            "JobNotificationSubscriptions": {"results": [{"NotificationEndPointId": endpoint, "TargetJobState": 1}]},
        });
        let job = text(&self.create("Jobs", &body).await?, "Id")?;
        let outputs = self.call(Method::GET, &format!("{}/OutputMediaAssets", entity("Jobs", &job)), None).await?;
        Ok(Submitted { output: text(&outputs["results"][0], "Id")?, job })
    }

    /// The names and sizes of an asset's files.
    pub(super) async fn files(&self, asset: &str) -> Result<Vec<(String, u64)>> {
        let files = self.call(Method::GET, &format!("{}/Files", entity("Assets", asset)), None).await?;
        let files = files["results"].as_array().context("no list of files")?;
        // Int64 is a string on the wire (contract ams-v2 section 2.2)
        files.iter().map(|file| Ok((text(file, "Name")?, text(file, "ContentFileSize")?.parse()?))).collect()
    }

    async fn create(&self, set: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, set, Some(body)).await
    }

    /// One call; gives what stands below `d`.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.root)).bearer_auth(&self.token);
        request = request.header("x-ms-version", "2.19").header(header::ACCEPT, VERBOSE);
        request = request.header("DataServiceVersion", "3.0").header("MaxDataServiceVersion", "3.0");
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, VERBOSE).body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, answer) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("media services answer {status} to {method} {path}: {answer}");
        }
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        let mut answer: Value = serde_json::from_str(&answer).with_context(|| format!("{method} {path}: no JSON"))?;
        Ok(answer["d"].take())
    }
}

fn text(entity: &Value, name: &str) -> Result<String> {
    entity[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in an answer of media services"))
}

fn entity(set: &str, key: &str) -> String {
    format!("{set}('{}')", encode(key))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
