//! Tells the service manager that started us when the worker is ready, that it is alive, and what it waits for.
//!
//! The protocol is that of sd_notify(3): lines of assignments, in datagrams to the socket that `NOTIFY_SOCKET` names.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::{Health, Liveness, Readiness, health};

/// How often systemd hears that we are alive where it sets no watchdog.
const USUAL_BEAT: Duration = Duration::from_secs(10);
/// So many beats may get lost before systemd takes us for dead.
const BEATS: u32 = 3;
const UNHEARD: &str = "the service manager cannot be told how the worker is (NOTIFY_SOCKET)";

/// Tells until it is dropped.
#[derive(Debug)]
pub struct ServiceManager {
    _telling: AbortOnDropHandle<()>,
}

impl ServiceManager {
    /// Tells the service manager from now on; `None` where there is none, or none that can be told: that is a line in the
    /// log, and no reason not to work.
    #[must_use]
    pub fn tell(health: &Health) -> Option<Self> {
        let name = std::env::var_os("NOTIFY_SOCKET")?;
        let socket = connect(&name).inspect_err(|error| tracing::warn!(%error, "{UNHEARD}")).ok()?;
        let silence = watchdog(std::env::var("WATCHDOG_USEC").ok(), std::env::var("WATCHDOG_PID").ok());
        let teller = Teller::new(silence.map_or(USUAL_BEAT, |silence| silence / BEATS));
        let telling = tokio::spawn(follow(socket, teller, health.clone()));
        Some(Self { _telling: AbortOnDropHandle::new(telling) })
    }
}

/// A name that begins with `@` is in the abstract namespace.
fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsString::from(name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // a manager that reads nothing must not stop the worker
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// How long we may be silent (sd_watchdog_enabled(3)); the process id is there where only one process is meant.
fn watchdog(micros: Option<String>, process: Option<String>) -> Option<Duration> {
    if process.is_some_and(|process| process != std::process::id().to_string()) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|micros| *micros >= u64::from(BEATS))?;
    Some(Duration::from_micros(micros))
}

async fn follow(socket: UnixDatagram, mut teller: Teller, health: Health) {
    let mut states = health.watch();
    let mut beats = interval(teller.beat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_heard = true;
    loop {
        let sign = tokio::select! {
            _ = beats.tick() => teller.sign_of_life(&health.liveness()),
            Ok(()) = states.changed() => None,
        };
        let news = teller.news(&states.borrow_and_update());
        for message in [news, sign].into_iter().flatten() {
            let sent = socket.send(message.as_bytes());
            if let (Err(error), true) = (&sent, is_heard) {
                tracing::warn!(%error, "{UNHEARD}");
            }
            is_heard = sent.is_ok();
        }
    }
}

/// What was told already, and how often we give a sign of life.
#[derive(Debug)]
struct Teller {
    beat: Duration,
    was_ready: bool,
    status: String,
}

impl Teller {
    fn new(beat: Duration) -> Self {
        Self { beat, was_ready: false, status: String::new() }
    }

    /// What is not told yet.
    fn news(&mut self, state: &health::State) -> Option<String> {
        let status = match &state.readiness {
            Readiness::Ready => "ready: takes messages".to_owned(),
            // A line break would begin another assignment.
            Readiness::NotReady(why) => format!("not ready: {}", why.replace(char::is_control, " ")),
            Readiness::Stopping => "draining: takes no more messages".to_owned(),
        };
        if status == self.status {
            return None;
        }
        let turn = match state.readiness {
            Readiness::Ready if !self.was_ready => "\nREADY=1",
            Readiness::Stopping => "\nSTOPPING=1",
            _ => "",
        };
        self.was_ready |= state.readiness == Readiness::Ready;
        let news = format!("STATUS={status}{turn}");
        self.status = status;
        Some(news)
    }

    /// A worker that is stuck gives none, so that it is started anew.
    fn sign_of_life(&self, liveness: &Liveness) -> Option<String> {
        match liveness {
            Liveness::Stuck(_) => None,
            Liveness::Alive if self.was_ready => Some("WATCHDOG=1".to_owned()),
            // The broker may be away for longer than a start may take.
            Liveness::Alive => Some(format!("WATCHDOG=1\nEXTEND_TIMEOUT_USEC={}", (self.beat * BEATS).as_micros())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_told_once_and_stopping_whenever_it_comes() {
        let (health, mut teller) = (Health::default(), Teller::new(Duration::from_secs(1)));
        let mut news = |health: &Health| teller.news(&health.watch().borrow());
        assert_eq!(news(&health).as_deref(), Some("STATUS=not ready: it has not reached its broker yet"));
        assert_eq!(news(&health), None);
        health.ready();
        assert_eq!(news(&health).as_deref(), Some("STATUS=ready: takes messages\nREADY=1"));
        health.not_ready("gone\nREADY=1");
        assert_eq!(news(&health).as_deref(), Some("STATUS=not ready: gone READY=1"));
        health.ready();
        assert_eq!(news(&health).as_deref(), Some("STATUS=ready: takes messages"));
        health.stopping();
        assert_eq!(news(&health).as_deref(), Some("STATUS=draining: takes no more messages\nSTOPPING=1"));
    }

    #[test]
    fn only_what_is_alive_gives_signs_of_life() {
        let mut teller = Teller::new(Duration::from_secs(1));
        assert_eq!(teller.sign_of_life(&Liveness::Stuck("a delivery is in hand for 400 s".to_owned())), None);
        let starts = teller.sign_of_life(&Liveness::Alive);
        assert_eq!(starts.as_deref(), Some("WATCHDOG=1\nEXTEND_TIMEOUT_USEC=3000000"));
        teller.was_ready = true;
        assert_eq!(teller.sign_of_life(&Liveness::Alive).as_deref(), Some("WATCHDOG=1"));
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(watchdog(some("3000000"), None), Some(Duration::from_secs(3)));
        assert_eq!(watchdog(some("3000000"), some(&std::process::id().to_string())), Some(Duration::from_secs(3)));
        assert_eq!(watchdog(some("3000000"), some("1")), None);
        assert_eq!([some("0"), some("soon"), None].map(|micros| watchdog(micros, None)), [None; 3]);
    }
}
