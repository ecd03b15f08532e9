//! `probe`: asks the worker beside it whether it is alive, where there is no curl: in an image of nothing but the program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Exit;
use crate::settings::Settings;

/// How long the worker may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// More than any of its answers to a probe.
const MAX_ANSWER_BYTES: u64 = 4096;

/// What is asked.
#[derive(Debug, Args)]
pub struct ProbeArguments {
    /// Ask whether it takes messages (/readyz), not whether it is alive (/healthz)
    #[arg(long)]
    ready: bool,
}

/// Prints the worker's answer; fails where that is not 200.
pub async fn probe(settings: &Settings, arguments: &ProbeArguments) -> Exit {
    let Some(listen) = settings.admin.listen else {
        eprintln!("admin.listen: is not set, so that a worker answers nowhere");
        return Exit::BadSettings;
    };
    let path = if arguments.ready { "/readyz" } else { "/healthz" };
    let asked = tokio::time::timeout(PATIENCE, ask(near(listen), path)).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            eprintln!("the worker at {listen} cannot be asked: {error}");
            return Exit::Failed;
        }
        Err(_) => {
            eprintln!("the worker at {listen} has not answered within {} s", PATIENCE.as_secs());
            return Exit::Failed;
        }
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    say!("{}", body.trim_end());
    if head.split(' ').nth(1) == Some("200") { Exit::Done } else { Exit::Failed }
}

/// Who listens everywhere is reached on this machine.
fn near(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// An HTTP client of four lines will do for an answer of one (RFC 9112, section 9.6: the server closes).
async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
