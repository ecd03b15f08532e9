//! A TCP proxy that is a bad network on request: resets, black holes, half-open connections, slowness.
//!
//! It knows no protocol, so that it stands before a broker as well as before anything else. Faults are steered from
//! outside while it runs: some hit the connections that are open at that moment, some all that pass from then on.

mod carry;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A running proxy; when it is dropped, it takes no more connections and resets those that are open.
#[derive(Debug)]
pub struct TcpProxy {
    port: u16,
    state: Arc<State>,
    accepting: AbortHandle,
}

/// What all connections share.
#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    weather: watch::Sender<Weather>,
    strike: watch::Sender<Strike>,
    refusals: AtomicU32,
    open: AtomicUsize,
    accepted: AtomicUsize,
}

/// What happens to everything that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// It passes.
    Fair,
    /// It waits, in both directions; a connection that is opened now hears nothing either.
    BlackHole,
    /// What goes this way on one connection waits.
    OneWay(usize, Way),
    /// So many bytes pass in a second, in each direction of each connection.
    Slow(u32),
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// What happens once to every open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strike {
    /// Both ends get a TCP reset.
    Reset,
    /// The server's end is reset; the client hears nothing of it, and nothing ever again.
    HalfOpen,
}

impl TcpProxy {
    /// Starts a proxy on a free loopback port that passes everything on to `upstream`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the TCP proxy")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            upstream,
            weather: watch::channel(Weather::Fair).0,
            strike: watch::channel(Strike::Reset).0,
            refusals: AtomicU32::new(0),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state))).abort_handle();
        Ok(Self { port, state, accepting })
    }

    /// The same for a server at a loopback port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn before_port(port: u16) -> Result<Self> {
        Self::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
    }

    /// The port it listens at, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that are open right now, half-open ones included.
    #[must_use]
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::Relaxed)
    }

    /// Connections that were accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::Relaxed)
    }

    /// Resets every open connection, at both ends (TCP RST, what was in flight is lost).
    pub fn reset(&self) {
        self.state.strike.send_replace(Strike::Reset);
    }

    /// Makes every open connection half-open: the server's end is gone, and the client hears nothing of it.
    pub fn make_half_open(&self) {
        self.state.strike.send_replace(Strike::HalfOpen);
    }

    /// Resets each of the next so many connections as soon as it is accepted.
    pub fn refuse_next(&self, connections: u32) {
        self.state.refusals.store(connections, Ordering::Relaxed);
    }

    /// From now on nothing passes, in either direction. What comes waits, as TCP repeats it, until [`Self::heal`].
    pub fn black_hole(&self) {
        self.state.weather.send_replace(Weather::BlackHole);
    }

    /// From now on nothing of one connection, counted from 0 in the order of their coming, reaches the server.
    pub fn hold_requests_of(&self, connection: usize) {
        self.state.weather.send_replace(Weather::OneWay(connection, Way::ToServer));
    }

    /// From now on nothing of one connection, counted from 0 in the order of their coming, reaches the client.
    pub fn hold_answers_of(&self, connection: usize) {
        self.state.weather.send_replace(Weather::OneWay(connection, Way::ToClient));
    }

    /// From now on only so many bytes pass in a second, in each direction of each connection.
    pub fn slow_down(&self, bytes_per_second: u32) {
        self.state.weather.send_replace(Weather::Slow(bytes_per_second.max(1)));
    }

    /// From now on everything passes again.
    pub fn heal(&self) {
        self.state.weather.send_replace(Weather::Fair);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.reset();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // out of file descriptors, most likely: others will be freed
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let number = state.accepted.fetch_add(1, Ordering::Relaxed);
        let refused = state.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if refused.is_ok() {
            carry::reset(client);
            continue;
        }
        // here and not in the task: a strike from now on is meant for this connection too
        let strikes = state.strike.subscribe();
        let state = Arc::clone(&state);
        state.open.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            connect_and_carry(&state, number, client, strikes).await;
            state.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn connect_and_carry(state: &State, number: usize, client: TcpStream, strikes: watch::Receiver<Strike>) {
    match TcpStream::connect(state.upstream).await {
        Ok(server) => carry::carry(number, client, server, state.weather.subscribe(), strikes).await,
        Err(_) => carry::reset(client),
    }
}
