//! A server that refuses everything and quotes the request back, secrets included, as careless services and gateways do.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A running server; it lives as long as the test's runtime.
pub struct Echo {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    /// Starts one whose quotation begins with so many characters of other text.
    pub async fn start(padding: usize) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let echo = Self { port: listener.local_addr()?.port(), requests: Arc::default() };
        let requests = Arc::clone(&echo.requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, padding, Arc::clone(&requests)));
            }
        });
        Ok(echo)
    }

    /// Its address, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests so far: head and body.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().map(|requests| requests.clone()).unwrap_or_default()
    }
}

async fn serve(stream: TcpStream, padding: usize, requests: Arc<Mutex<Vec<String>>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await? > 2 {
        head.push_str(&line);
        line.clear();
    }
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if let Ok(mut requests) = requests.lock() {
        requests.push(format!("{head}\r\n{body}"));
    }
    let target = head.split(' ').nth(1).context("a connection without a request")?;
    let (status, kind, text) = refusal(target, &head, &body, padding);
    let answer = format!(
        "HTTP/1.1 {status} No\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         x-ms-error-code: AuthenticationFailed\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

/// The token door refuses in its own words, the REST service breaks down, and the blob service does not like the signature.
fn refusal(target: &str, head: &str, body: &str, padding: usize) -> (u16, &'static str, String) {
    let pad = "x".repeat(padding);
    if target.to_ascii_lowercase().contains("oauth2") {
        let text = format!("{pad} {body} or {}", percent_decode_str(body).decode_utf8_lossy());
        return (401, "application/json", json!({ "error": "invalid_client", "error_description": text }).to_string());
    }
    if let Some(token) = header(head, "authorization") {
        let text = format!("{pad} Authorization: {token} or {}", percent_decode_str(token).decode_utf8_lossy());
        let error = json!({ "error": { "code": "", "message": { "lang": "en-US", "value": text } } });
        return (500, "application/json;odata=verbose", error.to_string());
    }
    let quoted = format!("{pad} {target} {} ", header(head, "x-ms-copy-source").unwrap_or_default());
    let quoted = quoted.replace('&', "&amp;");
    let text =
        format!("<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>{quoted}</Message></Error>");
    (403, "application/xml", text)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
