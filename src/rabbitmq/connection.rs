//! One connection to the broker: opened with a name and a deadline, closed with a deadline, cut when it does not answer.

use std::future::Future;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lapin::tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig};
use lapin::uri::{AMQPScheme, AMQPUri, SASLMechanism};
use lapin::{Channel, ConnectionProperties, runtime};
use tokio::time::timeout;
use url::{Host, Url};

use super::error::{connect, refused};
use super::{Finding, RabbitmqError};
use crate::settings::{Authentication, BrokerUrl, RabbitmqSettings};
use crate::tls::install_tls_provider;

/// Who is called, for the texts of errors, and how long an answer may take.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    /// `host:port`.
    broker: String,
    timeout: Duration,
}

impl Calls {
    /// How long an answer may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Waits for a call's answer. `what` completes "the broker refused to ..".
    pub(super) async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, RabbitmqError> {
        match timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.refused(what, &error)),
            Err(_) => Err(self.timed_out(what)),
        }
    }

    /// The error of a call that was answered with `error`.
    pub(super) fn refused(&self, what: &str, error: &lapin::Error) -> RabbitmqError {
        refused(&self.broker, what, error)
    }

    /// The error of things that are not as they should be.
    pub(super) fn different(&self, differences: Vec<Finding>) -> RabbitmqError {
        RabbitmqError::Different { broker: self.broker.clone(), differences }
    }

    /// The error of a call that was not answered.
    pub(super) fn timed_out(&self, what: &str) -> RabbitmqError {
        RabbitmqError::TimedOut { broker: self.broker.clone(), what: what.to_owned(), seconds: self.timeout.as_secs() }
    }
}

/// A second handle on the socket. lapin's thread waits for ever on a peer that accepts and then stays silent; shutting the
/// socket down is what ends it.
#[derive(Clone, Default)]
struct Socket(Arc<OnceLock<TcpStream>>);

impl Socket {
    fn keep(&self, socket: &impl AsFd) -> io::Result<()> {
        let socket = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        // There is one socket for each connection, as lapin is told not to try again.
        let _ = self.0.set(socket);
        Ok(())
    }

    fn cut(&self) {
        if let Some(socket) = self.0.get() {
            // Fails only where it is cut already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// RabbitMQ's own frame size, in bytes (configuration, `frame_max`). Known from the start it costs no memory: lapin's buffers of 32
/// frames each are then made at once, of pages that nobody has touched, in place of being enlarged, which writes all of them.
const FRAME_MAX: u32 = 131_072;

/// An open connection.
pub(super) struct Connection {
    inner: lapin::Connection,
    socket: Socket,
    calls: Calls,
}

impl Connection {
    /// Connects under a name that the broker's tools show, with the credentials of this moment.
    pub(super) async fn open(settings: &RabbitmqSettings, name: &str) -> Result<Self, RabbitmqError> {
        let url = settings.current_url().map_err(|error| RabbitmqError::UrlFile(error.to_string()))?;
        let mut uri = parse(url.as_ref())?;
        uri.query.heartbeat = Some(settings.heartbeat_seconds);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        if settings.authentication == Authentication::Certificate {
            uri.query.auth_mechanism = Some(SASLMechanism::External);
        }
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(tls(settings)?),
        };
        let calls = Calls {
            broker: format!("{}:{}", uri.authority.host, uri.authority.port),
            timeout: Duration::from_secs(settings.timeout_seconds),
        };
        let is_tls = tls.is_some();
        let failed = |error: &lapin::Error| connect(&calls.broker, is_tls, error);
        let socket = Socket::default();
        let kept = socket.clone();
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let runtime = runtime::default_runtime().map_err(|error| failed(&error))?;
        let connecting = lapin::Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let addresses = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    kept.keep(plain.get_ref())?;
                }
                match &tls {
                    None => Ok(stream),
                    Some(tls) => Ok(stream.into_rustls(tls, &uri.authority.host).await?),
                }
            },
            properties,
        );
        match timeout(calls.timeout, connecting).await {
            Ok(Ok(inner)) => Ok(Self { inner, socket, calls }),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => {
                socket.cut();
                Err(calls.timed_out("open a connection"))
            }
        }
    }

    /// Opens a channel.
    pub(super) async fn channel(&self) -> Result<Channel, RabbitmqError> {
        self.calls.call("open a channel", self.inner.create_channel()).await
    }

    /// lapin's own handle, for its events and its status.
    pub(super) fn inner(&self) -> &lapin::Connection {
        &self.inner
    }

    /// Who is called and how long it may take.
    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Closes it: politely when that takes no longer than `patience`, and in any case.
    pub(super) async fn close(&self, patience: Duration) {
        match timeout(patience, self.inner.close(200, "OK".into())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "connection to the broker was closed already"),
            Err(_) => tracing::debug!("broker did not answer the closing of a connection, cut it"),
        }
        self.socket.cut();
    }
}

/// With the files of this moment. A machine without authorities of its own trusts those of the settings alone.
fn tls(settings: &RabbitmqSettings) -> Result<RustlsConnector, RabbitmqError> {
    install_tls_provider();
    let files = settings.tls().map_err(|(key, problem)| RabbitmqError::Tls(key, problem))?;
    let mut trust = match RustlsConnectorConfig::new_with_native_certs() {
        Ok(trust) => trust,
        Err(_) if !files.authorities.is_empty() => RustlsConnectorConfig::default(),
        Err(error) => {
            return Err(RabbitmqError::Tls(
                "rabbitmq.ca_file",
                format!("is not set, and this machine trusts nobody: {error}"),
            ));
        }
    };
    trust.add_parsable_certificates(files.authorities);
    let connector = match files.identity {
        Some((chain, key)) => trust.connector_with_single_cert(chain, key),
        None => trust.connector_with_no_client_auth(),
    };
    connector.map_err(|error| RabbitmqError::Tls("rabbitmq.certificate_file", error.to_string()))
}

/// Reads the URL. lapin's own error would quote it, password included.
fn parse(url: Option<&BrokerUrl>) -> Result<AMQPUri, RabbitmqError> {
    let url = url.ok_or(RabbitmqError::Url("is missing: set it, or rabbitmq.url_file"))?;
    if let Some(problem) = url.problem() {
        return Err(RabbitmqError::Url(problem));
    }
    let mut uri: AMQPUri = url.expose().parse().map_err(|_| {
        RabbitmqError::Url("has a part that is no valid percent-encoding or a query that RabbitMQ does not know")
    })?;
    // amq-protocol-uri 10.6 takes the host from `Url::domain`, which an IPv6 address is not, and falls back to localhost.
    if let Ok(Some(Host::Ipv6(address))) = Url::parse(url.expose()).as_ref().map(Url::host) {
        uri.authority.host = address.to_string();
    }
    Ok(uri)
}

/// The virtual host that every broker has at first.
pub(super) const DEFAULT_VHOST: &str = "/";

/// The virtual host that the URL names; the default one where there is no URL.
pub(super) fn virtual_host(settings: &RabbitmqSettings) -> Result<String, RabbitmqError> {
    let Some(url) = &settings.url else { return Ok(DEFAULT_VHOST.to_owned()) };
    match parse(Some(url))?.vhost {
        vhost if vhost.is_empty() => Err(RabbitmqError::Url("names no virtual host: %2f means the default one")),
        vhost => Ok(vhost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;

    fn parsed(url: &str) -> Result<AMQPUri, RabbitmqError> {
        parse(Some(&BrokerUrl::new(Secret::new(url))))
    }

    #[test]
    fn an_ipv6_host_is_not_replaced_by_localhost() {
        let uri = parsed("amqp://u:p@[fd00::7]:5673/%2f").unwrap();
        assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), ("fd00::7", 5673, "/"));
    }

    #[test]
    fn errors_never_quote_the_url() {
        for url in ["hunter2", "amqp://u:hunter2@h/%2f?heartbeat=hunter2", "http://u:hunter2@h", "amqp:hunter2"] {
            let error = parsed(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        assert!(parse(None).is_err());
    }
}
