//! What can go wrong with the broker. No text here ever holds the URL or the password, only `host:port`.

use std::borrow::Cow;
use std::io;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use super::{Finding, State};
use crate::tls::Distrust;

/// A call to the broker that failed.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RabbitmqError {
    /// The address in the settings cannot be used.
    #[error("rabbitmq.url {0}")]
    Url(&'static str),
    /// The address's file cannot be read.
    #[error("rabbitmq.url_file: {0}")]
    UrlFile(String),
    /// No connection came about.
    #[error("broker {broker} cannot be used: {cause}; {hint}")]
    Connect {
        /// `host:port`.
        broker: String,
        /// What the network or the broker said.
        cause: String,
        /// What to look at.
        hint: Cow<'static, str>,
    },
    /// What TLS needs is not as the settings say.
    #[error("{0}: {1}")]
    Tls(&'static str, String),
    /// The broker did not answer in time.
    #[error("broker {broker} took longer than {seconds} s to {what}; look at its load, its alarms and the network")]
    TimedOut {
        /// `host:port`.
        broker: String,
        /// What was asked of it.
        what: String,
        /// How long we waited, in seconds.
        seconds: u64,
    },
    /// The broker, or the connection to it, refused one call.
    #[error("broker {broker} refused to {what}: {cause}; {hint}")]
    Refused {
        /// `host:port`.
        broker: String,
        /// What was asked of it.
        what: String,
        /// What it said.
        cause: String,
        /// What to look at.
        hint: &'static str,
    },
    /// Things of our topology exist with other properties than the settings ask for.
    #[error(
        "broker {broker} holds other things than these settings describe: {}; nothing was made: \
         `stream-replicator topology check` says for each how to migrate, or choose another prefix and outgoing exchange",
        listed(.differences)
    )]
    Different {
        /// `host:port`.
        broker: String,
        /// What is different, and what the broker says about it.
        differences: Vec<Finding>,
    },
    /// Things of our topology do not exist, and are not ours to make (`rabbitmq.topology = "check"`).
    #[error(
        "the broker lacks what this worker cannot settle its deliveries without: {}; run `stream-replicator topology apply`, \
         import an export of it, or set rabbitmq.topology = \"apply\"",
        listed(.0)
    )]
    Missing(Vec<Finding>),
    /// The delivery's channel is gone, so that the broker has returned it to the queue.
    #[error("the delivery can no longer be settled; the broker delivers it again")]
    NotSettled,
    /// The log of dead letters does not exist.
    #[error(
        "there is no queue {queue}, and dead letters are listed only from that stream: looking into their own queue would \
         count as deliveries and could destroy them; run `stream-replicator topology apply` to have those from now on logged"
    )]
    NoLog {
        /// Its name.
        queue: String,
    },
    /// What has the name of the log is another kind of queue.
    #[error(
        "queue {queue} is no stream, and reading any other kind of queue would take its messages: make it a stream \
         (x-queue-type), bound to the exchange of dead letters with #"
    )]
    NoStream {
        /// Its name.
        queue: String,
    },
    /// The session has ended.
    #[error("the session with the broker has ended: {0}; open a new one")]
    SessionEnded(String),
}

/// A message that is not known to be stored. Only `Unroutable`, `Rejected` and `TooLong` leave the session as it was.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum PublishError {
    /// No queue took it.
    #[error(
        "exchange `{exchange}` routes key `{key}` to no queue ({reply}); bind a queue or run `stream-replicator topology apply`"
    )]
    Unroutable {
        /// Where it was sent.
        exchange: String,
        /// With which routing key.
        key: String,
        /// What the broker said.
        reply: String,
    },
    /// A queue refused it (basic.nack), as a full one does under `overflow=reject-publish`.
    #[error("a queue behind exchange `{exchange}`, key `{key}`, refused the message; is it full or without a leader")]
    Rejected {
        /// Where it was sent.
        exchange: String,
        /// With which routing key.
        key: String,
    },
    /// A name or an id does not fit AMQP's short string.
    #[error("{field} has {bytes} bytes, AMQP allows 255; shorten it")]
    TooLong {
        /// Which one.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// It may or may not be stored: the broker did not confirm it in time, or the session ended first.
    #[error("the message is not confirmed: {0}")]
    Unconfirmed(#[from] RabbitmqError),
}

/// Things, each with what the broker says about it.
fn listed(differences: &[Finding]) -> String {
    let one = |finding: &Finding| match &finding.state {
        State::Different(cause) => format!("{finding}: {cause}"),
        _ => finding.to_string(),
    };
    differences.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Turns lapin's error of a call on an open connection into ours.
pub(super) fn refused(broker: &str, what: impl Into<String>, error: &lapin::Error) -> RabbitmqError {
    let hint = match soft_error(error) {
        Some(AMQPSoftError::ACCESSREFUSED) => "give the user the permission, or use one that has it",
        Some(AMQPSoftError::NOTFOUND) => "run `stream-replicator topology apply`",
        Some(AMQPSoftError::PRECONDITIONFAILED) => {
            "something of that name exists with other properties: delete it when it is empty, or choose another prefix"
        }
        _ => "look at the broker's log",
    };
    RabbitmqError::Refused { broker: broker.to_owned(), what: what.into(), cause: cause(error), hint }
}

/// Turns lapin's error of connecting into ours.
pub(super) fn connect(broker: &str, is_tls: bool, error: &lapin::Error) -> RabbitmqError {
    if let Some(distrust) = distrust(error) {
        let hint = distrust.hint("rabbitmq.ca_file", Some("rabbitmq.certificate_file")).into();
        return RabbitmqError::Connect { broker: broker.to_owned(), cause: distrust.to_string(), hint };
    }
    let hint = match error.kind() {
        ErrorKind::ProtocolError(protocol) => match protocol.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => "check user, password and virtual host",
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                "check that the virtual host exists and the user may use it; %2f in the URL means the default one, `/` alone none"
            }
            _ => "look at the broker's log",
        },
        ErrorKind::IOError(io) => match io.kind() {
            io::ErrorKind::ConnectionRefused => "check that it runs and listens there",
            io::ErrorKind::InvalidData => "check its certificate and the trusted roots, and that this is its TLS port",
            // its alert may be lost with the connection
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
                if is_tls =>
            {
                "if it asks for a certificate of ours, check rabbitmq.certificate_file; its log says more"
            }
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                "check that the port speaks AMQP and whether it wants amqp or amqps"
            }
            _ => "check host, port and network",
        },
        ErrorKind::ParsingError(_) => "check that the port speaks AMQP and whether it wants amqp or amqps",
        _ => "check host, port and the broker's log",
    };
    RabbitmqError::Connect { broker: broker.to_owned(), cause: cause(error), hint: hint.into() }
}

/// Why TLS did not come about, if that is what `error` is.
fn distrust(error: &lapin::Error) -> Option<Distrust> {
    match error.kind() {
        ErrorKind::IOError(io) => Distrust::find(io.as_ref()),
        _ => None,
    }
}

/// The channel error that the broker answered with, if that is what `error` is.
pub(super) fn soft_error(error: &lapin::Error) -> Option<AMQPSoftError> {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) => match protocol.kind() {
            AMQPErrorKind::Soft(soft) => Some(soft.clone()),
            AMQPErrorKind::Hard(_) => None,
        },
        _ => None,
    }
}

/// What the broker or the network said, without lapin's own words around it.
pub(super) fn cause(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) => protocol.get_message().to_string(),
        ErrorKind::IOError(io) => io.to_string(),
        ErrorKind::ParsingError(_) => "its answer is no AMQP".to_owned(),
        _ => error.to_string(),
    }
}
