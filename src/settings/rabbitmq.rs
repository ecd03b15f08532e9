//! Settings of the broker.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::secret::{self, Secret, SecretFileError};

/// Settings of the broker. Meanings and defaults: `config/default.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RabbitmqSettings {
    /// Where the broker is, user, password and virtual host included.
    #[serde(default)]
    pub url: Option<BrokerUrl>,
    /// A file that holds the URL; `url` is then what it held at the start. See [`Self::current_url`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// How the broker is told who we are.
    pub authentication: Authentication,
    /// A PEM file of authorities that are trusted for `amqps:` besides the machine's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A PEM file with our own certificate and its chain, and with its private key unless that has a file of its own.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// A PEM file with the private key.
    #[serde(default)]
    pub certificate_key_file: Option<PathBuf>,
    /// The encoders' exchange.
    pub events_exchange: String,
    /// Which of its messages are for us.
    pub binding_key: String,
    /// Our exchange for events.
    pub outgoing_exchange: String,
    /// First word of the names of all our queues and exchanges.
    pub prefix: String,
    /// Whether the worker declares the topology or only checks that it is there.
    pub topology: TopologyMode,
    /// Waits of the retry queues, in seconds, ascending; in the environment separated by commas.
    #[serde(deserialize_with = "super::site::list")]
    pub retry_delays_seconds: Vec<u64>,
    /// Time for one call to the broker, in seconds.
    pub timeout_seconds: u64,
    /// Heartbeat interval, in seconds.
    pub heartbeat_seconds: u16,
    /// How long a connection may stay blocked by an alarm before the session is rebuilt, in seconds.
    pub max_blocked_seconds: u64,
}

impl RabbitmqSettings {
    /// The URL to connect with now: a file is read anew each time, so that a password may be changed while we run.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn current_url(&self) -> Result<Option<BrokerUrl>, SecretFileError> {
        match &self.url_file {
            Some(path) => Ok(secret::resolve(None, Some(path))?.map(BrokerUrl)),
            None => Ok(self.url.clone()),
        }
    }
}

/// How the broker is told who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// By user and password of the URL (SASL mechanism PLAIN).
    Password,
    /// By our certificate (SASL mechanism EXTERNAL; RabbitMQ's plugin `rabbitmq_auth_mechanism_ssl`).
    Certificate,
}

/// What the worker does about the topology at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopologyMode {
    /// Declare everything.
    Apply,
    /// Only look whether everything exists.
    Check,
}

/// The broker's address; prints without its password.
#[derive(Clone)]
pub struct BrokerUrl(Secret);

impl BrokerUrl {
    /// Takes an `amqp:` or `amqps:` URL.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The URL with its password. Never format what this gives.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether it asks for TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        Url::parse(self.expose()).is_ok_and(|url| url.scheme() == "amqps")
    }

    /// What is wrong with it, if anything. Never names the value.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match Url::parse(self.expose()) {
            Ok(url) if !matches!(url.scheme(), "amqp" | "amqps") => Some("must begin with amqp:// or amqps://"),
            Ok(url) if url.host_str().is_none_or(str::is_empty) => Some("names no host"),
            Ok(_) => None,
            Err(_) => {
                Some("is not a URL: write amqp://user:password@host:5672/vhost, with %2f for the default virtual host")
            }
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(self.expose()) {
            Ok(mut url) => {
                if url.password().is_some() && url.set_password(Some("redacted")).is_err() {
                    return f.write_str("[redacted]");
                }
                url.set_query(None);
                f.write_str(url.as_str())
            }
            Err(_) => f.write_str("[redacted]"),
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BrokerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_never_printed() {
        let url = BrokerUrl::new(Secret::new("amqp://worker:hunter2@broker:5672/%2f?x=hunter2"));
        for text in [format!("{url}"), format!("{url:?}"), serde_json::to_string(&url).unwrap()] {
            assert!(!text.contains("hunter2") && text.contains("worker:redacted@broker"), "{text}");
        }
        assert_eq!(format!("{}", BrokerUrl::new(Secret::new("hunter2 no url"))), "[redacted]");
    }
}
