//! The TCP proxy as a bad network: what both ends of a connection get to see of each fault.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use testbed::tcp_proxy::TcpProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long anything may take that must happen.
const LIMIT: Duration = Duration::from_secs(20);
/// How long is waited for what must not happen.
const SILENCE: Duration = Duration::from_millis(300);

/// A server, the proxy before it, and the two ends of one connection through it.
async fn connection() -> Result<(TcpProxy, TcpListener, TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = TcpProxy::start(listener.local_addr()?).await?;
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    let (mut server, _) = listener.accept().await?;
    client.write_all(b"hello").await?;
    assert_eq!(read(&mut server, 5).await?, b"hello");
    server.write_all(b"welcome").await?;
    assert_eq!(read(&mut client, 7).await?, b"welcome");
    Ok((proxy, listener, client, server))
}

async fn read(stream: &mut TcpStream, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    timeout(LIMIT, stream.read_exact(&mut bytes)).await.context("nothing came")??;
    Ok(bytes)
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_err()
}

async fn is_reset(stream: &mut TcpStream) -> Result<bool> {
    let read = timeout(LIMIT, stream.read_u8()).await.context("nothing came")?;
    Ok(read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset))
}

#[tokio::test]
async fn a_reset_is_seen_at_both_ends_and_new_connections_pass() -> Result<()> {
    let (proxy, listener, mut client, mut server) = connection().await?;
    proxy.reset();
    assert!(is_reset(&mut client).await? && is_reset(&mut server).await?);
    let mut again = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    again.write_all(b"again").await?;
    assert_eq!(read(&mut listener.accept().await?.0, 5).await?, b"again");
    assert_eq!(proxy.accepted(), 2);
    Ok(())
}

#[tokio::test]
async fn a_black_hole_delays_both_directions_until_it_heals() -> Result<()> {
    let (proxy, listener, mut client, mut server) = connection().await?;
    proxy.black_hole();
    client.write_all(b"there").await?;
    server.write_all(b"back").await?;
    let mut new = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    new.write_all(b"new").await?;
    let mut new_server = listener.accept().await?.0;
    assert!(is_silent(&mut client).await && is_silent(&mut server).await && is_silent(&mut new_server).await);
    proxy.heal();
    assert_eq!(read(&mut server, 5).await?, b"there");
    assert_eq!(read(&mut client, 4).await?, b"back");
    assert_eq!(read(&mut new_server, 3).await?, b"new");
    Ok(())
}

#[tokio::test]
async fn one_way_of_one_connection_is_held() -> Result<()> {
    let (proxy, listener, mut client, mut server) = connection().await?;
    let mut other = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    let mut other_server = listener.accept().await?.0;
    proxy.hold_requests_of(0);
    client.write_all(b"there").await?;
    assert!(is_silent(&mut server).await);
    proxy.hold_answers_of(1);
    assert_eq!(read(&mut server, 5).await?, b"there");
    other_server.write_all(b"back").await?;
    assert!(is_silent(&mut other).await);
    server.write_all(b"back").await?;
    assert_eq!(read(&mut client, 4).await?, b"back");
    proxy.heal();
    assert_eq!(read(&mut other, 4).await?, b"back");
    Ok(())
}

#[tokio::test]
async fn a_half_open_connection_is_gone_at_the_server_and_silent_at_the_client() -> Result<()> {
    let (proxy, _listener, mut client, mut server) = connection().await?;
    proxy.make_half_open();
    assert!(is_reset(&mut server).await?);
    client.write_all(b"is anybody there").await?;
    assert!(is_silent(&mut client).await);
    assert_eq!(proxy.open(), 1);
    proxy.reset();
    assert!(is_reset(&mut client).await?);
    Ok(())
}

#[tokio::test]
async fn a_slow_connection_passes_so_many_bytes_a_second() -> Result<()> {
    let (proxy, _listener, mut client, mut server) = connection().await?;
    let begun = Instant::now();
    proxy.slow_down(20);
    client.write_all(b"thirty bytes take over a second").await?;
    assert_eq!(read(&mut server, 31).await?, b"thirty bytes take over a second");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn refused_connections_are_counted_down() -> Result<()> {
    let (proxy, listener, _client, _server) = connection().await?;
    proxy.refuse_next(2);
    for _ in 0..2 {
        let mut refused = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
        assert!(is_reset(&mut refused).await?);
    }
    let mut passed = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    passed.write_all(b"third").await?;
    assert_eq!(read(&mut listener.accept().await?.0, 5).await?, b"third");
    Ok(())
}

#[tokio::test]
async fn an_end_is_passed_on_and_a_dropped_proxy_resets() -> Result<()> {
    let (proxy, _listener, client, mut server) = connection().await?;
    drop(client);
    let end = timeout(LIMIT, server.read(&mut [0; 1])).await.context("nothing came")?;
    assert!(end.is_err() || end.is_ok_and(|length| length == 0));
    let (other, _listener, mut client, mut server) = connection().await?;
    drop(other);
    assert!(is_reset(&mut client).await? && is_reset(&mut server).await?);
    drop(proxy);
    Ok(())
}
