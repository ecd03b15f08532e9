//! One connection through the proxy: bytes in both directions, until an end closes it or a strike does.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::{Strike, Way, Weather};

const BUFFER_BYTES: usize = 64 * 1024;
/// A slow connection passes its share in steps this far apart, or one byte at a time where the share is less.
const STEPS_PER_SECOND: u32 = 10;

/// Closes a socket so that its peer gets a reset (RST) instead of an end (FIN).
pub(super) fn reset(socket: TcpStream) {
    // closing a socket that does not linger sends RST; it fails only where the peer is gone already
    let _ = socket.set_zero_linger();
}

/// Carries bytes between the two, as the connection of that number, until one of them ends the connection, or a strike does.
pub(super) async fn carry(
    number: usize,
    mut client: TcpStream,
    mut server: TcpStream,
    weather: watch::Receiver<Weather>,
    mut strikes: watch::Receiver<Strike>,
) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let struck = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            _ = strikes.changed() => true,
            _ = pump(from_client, to_server, (number, Way::ToServer), weather.clone()) => false,
            _ = pump(from_server, to_client, (number, Way::ToClient), weather) => false,
        }
    };
    if !struck {
        return;
    }
    let strike = *strikes.borrow_and_update();
    reset(server);
    if strike == Strike::HalfOpen {
        let mut nowhere = tokio::io::sink();
        tokio::select! {
            _ = tokio::io::copy(&mut client, &mut nowhere) => {}
            _ = strikes.changed() => {}
        }
    }
    reset(client);
}

/// Passes bytes on as the weather allows. Ends with either of the two.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    which: (usize, Way),
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let now = *weather.borrow_and_update();
            match now {
                // fails never: its sender lives as long as the connection
                Weather::BlackHole => drop(weather.changed().await),
                Weather::OneWay(number, way) if (number, way) == which => drop(weather.changed().await),
                Weather::Fair | Weather::OneWay(..) => {
                    to.write_all(rest).await?;
                    rest = &[];
                }
                Weather::Slow(bytes_per_second) => {
                    let steps = STEPS_PER_SECOND.min(bytes_per_second);
                    let share = usize::try_from(bytes_per_second / steps).unwrap_or(1).min(rest.len());
                    tokio::time::sleep(Duration::from_secs(1) / steps).await;
                    to.write_all(&rest[..share]).await?;
                    rest = &rest[share..];
                }
            }
        }
    }
}
