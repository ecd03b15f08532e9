//! A server that means harm: it answers every request in one bad manner, for as long as somebody listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A gigabyte, as the head promises it.
const HUGE: u64 = 1 << 30;
/// Between two bytes of one that drips.
const DRIP: Duration = Duration::from_millis(100);

/// How every request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// 307 to this address.
    Redirect(String),
    /// 500 and a gigabyte.
    HugeError,
    /// 200 and a gigabyte of nothing.
    HugeAnswer,
    /// 200, and headers without end.
    EndlessHeaders,
    /// The head comes byte by byte and never ends.
    DrippingHead,
    /// 200, and a body that comes byte by byte and never ends.
    DrippingBody,
    /// 200, and one page of a listing of blobs that never ends.
    EndlessPage,
    /// 200, and pages of one blob each, each with a next one.
    EndlessPages,
    /// Nothing, with the connection open.
    Silence,
    /// No HTTP: a gigabyte of bytes, before anything is asked.
    Noise,
}

/// A running one; it stops when it is dropped.
pub struct Hostile {
    port: u16,
    counts: Arc<Counts>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    bytes: AtomicU64,
    pages: AtomicU64,
}

impl Hostile {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port")?;
        let port = listener.local_addr()?.port();
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let server = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::Relaxed);
                let (manner, counts) = (manner.clone(), Arc::clone(&counted));
                // ends when the other side has had enough
                tokio::spawn(async move { drop(answer(socket, &manner, &counts).await) });
            }
        });
        Ok(Self { port, counts, server })
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Pages of listings so far.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.counts.pages.load(Ordering::Relaxed)
    }

    /// Bytes that somebody took, or that the kernel holds for him.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(mut socket: TcpStream, manner: &Manner, counts: &Counts) -> std::io::Result<()> {
    if *manner == Manner::Noise {
        return send_for_ever(&mut socket, &[b'n'; 65_536], counts).await;
    }
    while request(&mut socket).await? {
        let ok = |headers: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/xml\r\n{headers}");
        let huge = format!("content-length: {HUGE}\r\n\r\n");
        match manner {
            Manner::Redirect(to) => {
                let head = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
                send(&mut socket, head.as_bytes(), counts).await?;
            }
            Manner::HugeError => {
                send(&mut socket, format!("HTTP/1.1 500 No\r\n{huge}").as_bytes(), counts).await?;
                send_for_ever(&mut socket, &[b'e'; 65_536], counts).await?;
            }
            Manner::HugeAnswer => {
                send(&mut socket, ok(&huge).as_bytes(), counts).await?;
                send_for_ever(&mut socket, &[b' '; 65_536], counts).await?;
            }
            Manner::EndlessHeaders => {
                send(&mut socket, ok("").as_bytes(), counts).await?;
                send_for_ever(&mut socket, "x-header: value\r\n".repeat(4096).as_bytes(), counts).await?;
            }
            Manner::DrippingHead => drip(&mut socket, &ok("x: "), counts).await?,
            Manner::DrippingBody => drip(&mut socket, &ok(&huge), counts).await?,
            Manner::EndlessPage => endless_page(&mut socket, &ok("connection: close\r\n\r\n"), counts).await?,
            Manner::EndlessPages => {
                let page = counts.pages.fetch_add(1, Ordering::Relaxed);
                let body = format!(
                    "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{}</Blobs><NextMarker>m{page}</NextMarker></EnumerationResults>",
                    blob(page)
                );
                let head = ok(&format!("content-length: {}\r\n\r\n", body.len()));
                send(&mut socket, format!("{head}{body}").as_bytes(), counts).await?;
            }
            Manner::Silence | Manner::Noise => {
                // until the other side goes away
                socket.read_to_end(&mut Vec::new()).await?;
            }
        }
    }
    Ok(())
}

/// Reads a request's head; its body, if it has one, is small and comes with it.
async fn request(socket: &mut TcpStream) -> std::io::Result<bool> {
    let (mut head, mut piece) = (Vec::new(), [0; 16_384]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match socket.read(&mut piece).await? {
            0 => return Ok(false),
            read => head.extend_from_slice(&piece[..read]),
        }
    }
    Ok(true)
}

fn blob(number: u64) -> String {
    format!(
        "<Blob><Name>{number:012}.ts</Name><Properties><Etag>0x1</Etag><Content-Length>1</Content-Length>\
         <BlobType>BlockBlob</BlobType></Properties></Blob>"
    )
}

async fn endless_page(socket: &mut TcpStream, head: &str, counts: &Counts) -> std::io::Result<()> {
    send(socket, format!("{head}<?xml version=\"1.0\"?><EnumerationResults><Blobs>").as_bytes(), counts).await?;
    let mut number = 0;
    loop {
        let piece: String = (number..number + 500).map(blob).collect();
        number += 500;
        send(socket, piece.as_bytes(), counts).await?;
    }
}

async fn drip(socket: &mut TcpStream, beginning: &str, counts: &Counts) -> std::io::Result<()> {
    send(socket, beginning.as_bytes(), counts).await?;
    loop {
        tokio::time::sleep(DRIP).await;
        send(socket, b"x", counts).await?;
    }
}

async fn send_for_ever(socket: &mut TcpStream, piece: &[u8], counts: &Counts) -> std::io::Result<()> {
    loop {
        send(socket, piece, counts).await?;
    }
}

async fn send(socket: &mut TcpStream, bytes: &[u8], counts: &Counts) -> std::io::Result<()> {
    socket.write_all(bytes).await?;
    counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    Ok(())
}
