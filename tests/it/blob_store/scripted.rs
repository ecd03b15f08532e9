//! A service that answers by script, for answers that neither Azurite nor the emulator ever gives.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use stream_replicator::blob_store::BlobAccount;
use stream_replicator::settings::HttpSettings;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::blob_store::world::account_at;

/// Signs nothing of worth.
pub const KEY: &str = "c2NyaXB0ZWQ6IG1hZGUgdXAsIGd1YXJkcyBub3RoaW5nIGF0IGFsbA==";

/// The answers, one for each request in turn; the last one repeats. And the requests so far, in lower case.
#[derive(Clone)]
pub struct Scripted {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

/// One answer: its status, its headers, its body. Status 0 hangs up in mid-answer.
#[derive(Clone)]
pub struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, headers: String::new(), body: String::new() }
    }

    /// An error as the service gives it.
    pub fn error(status: u16, code: &str) -> Self {
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Words.\nRequestId:1</Message></Error>");
        Self { status, headers: String::new(), body }.with("x-ms-error-code", code)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }
}

impl Scripted {
    pub async fn start(answers: Vec<Answer>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let scripted = Self { address: listener.local_addr()?.to_string(), seen: Arc::default() };
        let seen = scripted.seen.clone();
        tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            while let Ok((stream, _)) = listener.accept().await {
                let Some(answer) = answers.peek().cloned() else { return };
                let served = serve(stream, &answer, &seen).await;
                let last = answers.size_hint().0 == 1;
                if served.is_ok() && !last {
                    answers.next();
                }
            }
        });
        Ok(scripted)
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Our view of the account `name` there.
    pub fn account(&self, name: &str, settings: &HttpSettings) -> Result<BlobAccount> {
        account_at(&format!("http://{}/{name}", self.address), name, KEY, settings)
    }

    /// Heads of the requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }
}

/// One request per connection; none of ours has a body.
async fn serve(stream: TcpStream, answer: &Answer, seen: &Mutex<Vec<String>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).await? > 2 {
        head.push_str(&line);
        line.clear();
    }
    anyhow::ensure!(!head.is_empty(), "a connection without a request");
    let is_head = head.starts_with("HEAD");
    if let Ok(mut seen) = seen.lock() {
        seen.push(head);
    }
    let Answer { status, headers, body } = answer;
    let (status, length) = if *status == 0 { (200, 1_000_000) } else { (*status, body.len()) };
    let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await?;
    if !is_head {
        stream.write_all(body.as_bytes()).await?;
    }
    Ok(stream.shutdown().await?)
}
