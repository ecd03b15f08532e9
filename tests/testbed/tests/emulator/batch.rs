//! `$batch` as Microsoft's reference and the SDKs write it: a job and its tasks in one change set.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::{Answer, Client, entity, fetch, start};

const TASK: &str = r#"<?xml version=\"1.0\" encoding=\"utf-8\"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetCreationOptions=\"0\" assetName=\"OUTPUT\">JobOutputAsset(INDEX)</outputAsset></taskBody>"#;

/// The reference's headers of a batch.
async fn post(client: &Client, body: String) -> Result<Answer> {
    let request = client.request("POST", "$batch")?;
    let request = request.header("Accept", "multipart/mixed").header("Accept-Charset", "UTF-8");
    fetch(request.header("Content-Type", "multipart/mixed; boundary=batch_a01a5ec4").body(body)).await
}

/// One request of the change set, with the reference's headers.
fn operation(target: &str, id: u8, content_type: &str, body: &str) -> String {
    format!(
        "--changeset_122fb0a4\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        POST {target} HTTP/1.1\r\nContent-ID: {id}\r\nContent-Type: {content_type}\r\nAccept: {content_type}\r\n\
        DataServiceVersion: 3.0\r\nMaxDataServiceVersion: 3.0\r\nAccept-Charset: UTF-8\r\nx-ms-version: 2.19\r\n\r\n{body}\r\n"
    )
}

fn change_set(operations: &[String]) -> String {
    format!(
        "--batch_a01a5ec4\r\nContent-Type: multipart/mixed; boundary=changeset_122fb0a4\r\n\r\n{}\
        --changeset_122fb0a4--\r\n--batch_a01a5ec4--\r\n",
        operations.concat()
    )
}

/// The JSON bodies of the parts.
fn bodies(answer: &Answer) -> Vec<Value> {
    answer.text.split("\r\n").filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

#[tokio::test]
async fn a_job_is_submitted_with_its_tasks() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let input = client.create("Assets", json!({"Name": "in"})).await?;
    let processors = client.get("MediaProcessors").await?.d()?;
    let processor = processors["results"][0]["Id"].as_str().context("no processor")?;
    let job = format!(r#"{{"Name":"NewTestJob","InputMediaAssets@odata.bind":["{}Assets('{input}')"]}}"#, client.root);
    let task = |at: usize| {
        let body = TASK.replace("OUTPUT", &format!("out {at}")).replace("INDEX", &at.to_string());
        format!(r#"{{"Configuration":"H264","MediaProcessorId":"{processor}","TaskBody":"{body}"}}"#)
    };
    let body = change_set(&[
        operation(&format!("{}Jobs", client.root), 1, "application/json", &job),
        operation(&format!("{}$1/Tasks", client.root), 2, "application/json;odata=verbose", &task(0)),
        operation("$1/Tasks", 3, "application/json", &task(1)),
    ]);
    let answer = post(&client, body).await?;
    ensure!(answer.status == 202, "{answer:?}");
    ensure!(answer.header("content-type").starts_with("multipart/mixed; boundary=batchresponse_"), "{answer:?}");
    ensure!(answer.text.contains("\r\nContent-Type: multipart/mixed; boundary=changesetresponse_"), "{}", answer.text);
    ensure!(answer.text.matches("HTTP/1.1 201 Created\r\n").count() == 3, "{}", answer.text);
    for id in 1..=3 {
        ensure!(answer.text.contains(&format!("\r\nContent-ID: {id}\r\n")), "{}", answer.text);
    }
    let bodies = bodies(&answer);
    let id = bodies[0]["Id"].as_str().context("no job")?;
    ensure!(bodies[1]["d"]["TaskBody"].is_string() && bodies[2]["TaskBody"].is_string(), "each in its own flavour");
    let outputs = client.get(&format!("{}/OutputMediaAssets?$orderby=Name", entity("Jobs", id))).await?.d()?;
    let names: Vec<_> =
        outputs["results"].as_array().into_iter().flatten().filter_map(|output| output["Name"].as_str()).collect();
    ensure!(names == ["out 0", "out 1"], "{outputs}");
    ensure!(emulator.requests().count("POST", "$batch", "west") == 1);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_the_only_answer_of_its_change_set() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let body = change_set(&[
        operation("/api/Jobs", 1, "application/json", r#"{"Name":"j"}"#),
        operation("$1/Tasks", 2, "application/json", r#"{"Configuration":"H264"}"#),
    ]);
    let answer = post(&client, body).await?;
    ensure!(answer.status == 202, "the batch itself is fine: {answer:?}");
    ensure!(answer.text.matches("HTTP/1.1 ").count() == 1 && answer.text.contains("HTTP/1.1 400 "), "{}", answer.text);
    ensure!(bodies(&answer)[0]["odata.error"].is_object(), "{}", answer.text);
    ensure!(client.get("Jobs/$count").await?.text == "0", "neither job nor task");

    let malformed = post(&client, "not a batch".to_owned()).await?;
    ensure!(malformed.status == 400, "{malformed:?}");
    ensure!(client.get("$batch").await?.status == 405);
    Ok(())
}

#[tokio::test]
async fn other_requests_go_into_a_batch_too() -> Result<()> {
    let emulator = start().await?;
    let client = Client::login(&emulator, "west").await?;
    let asset = client.create("Assets", json!({"Name": "a"})).await?;
    let merge = operation(&entity("Assets", &asset), 2, "application/json", r#"{"Name":"b"}"#).replace("POST", "MERGE");
    let key = r#"{"Id":"nb:kid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21","ContentKeyType":4}"#;
    let uri = format!(r#"{{"uri":"{}Assets('{asset}')"}}"#, client.root);
    let body = change_set(&[
        operation("ContentKeys", 1, "application/json", key),
        merge,
        operation("$1/$links/Nothing", 3, "application/json", &uri),
    ]);
    let query = "--batch_a01a5ec4\r\nContent-Type: application/http\r\n\r\nGET /api/Assets HTTP/1.1\r\n\
        Accept: application/json\r\n\r\n--batch_a01a5ec4--";
    let answer = post(&client, body.replace("--batch_a01a5ec4--", query)).await?;
    ensure!(answer.status == 202 && answer.text.contains("HTTP/1.1 404 "), "$1 is the key, which has no such link");
    ensure!(answer.text.contains("HTTP/1.1 200 OK") && bodies(&answer)[1]["value"][0]["Name"] == "b", "{answer:?}");
    Ok(())
}
