//! How to put right what is different, without losing a message.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use url::Url;

use crate::rabbitmq::{Finding, Kind, State};
use crate::settings::RabbitmqSettings;

/// Everything but what needs no encoding anywhere in a URL (RFC 3986, section 2.3).
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One thing to do.
#[derive(Debug, Serialize)]
pub struct Step {
    /// In words.
    pub step: &'static str,
    /// The command for it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

impl Step {
    fn new(step: &'static str) -> Self {
        Self { step, command: None }
    }

    fn run(step: &'static str, command: impl Into<String>) -> Self {
        Self { step, command: Some(command.into()) }
    }
}

/// The steps, in order; none where there is nothing to do but `topology apply`.
pub fn steps(finding: &Finding, settings: &RabbitmqSettings) -> Vec<Step> {
    match (&finding.state, finding.kind) {
        (State::Different(_), Kind::Queue) => queue(&finding.name),
        (State::LeftOver(_), _) => queue(finding.name.strip_suffix(".moving").unwrap_or(&finding.name)),
        (State::Different(_), Kind::Exchange) => exchange(&finding.name, settings),
        _ => Vec::new(),
    }
}

/// Arguments of a queue cannot be changed, so that it must be made anew.
fn queue(name: &str) -> Vec<Step> {
    vec![
        Step::new("stop the workers, and whatever else takes messages from it"),
        Step::run(
            "make it anew and carry its messages over; when cut short, run it again (bindings of exchanges that are not \
             in these settings are not made again)",
            format!("stream-replicator topology migrate {}", shell(name)),
        ),
        Step::new("start the workers"),
    ]
}

/// An exchange holds no messages, but with it go the bindings that others have made.
fn exchange(name: &str, settings: &RabbitmqSettings) -> Vec<Step> {
    vec![
        Step::new("stop the workers, and whoever else publishes to it"),
        Step::run("keep the bindings of others", "rabbitmqctl export_definitions before.json"),
        Step::run(
            "delete it, by the management API as an administrator or in any other way",
            format!("curl -u ADMIN -X DELETE {}", shell(&api_url(name, settings))),
        ),
        Step::run("make it anew", "stream-replicator topology apply"),
        Step::run(
            "bind again what was bound; what exists is left as it is",
            "rabbitmqctl import_definitions before.json",
        ),
        Step::new("start the workers"),
    ]
}

/// Where the management API usually is, without user and password.
fn api_url(exchange: &str, settings: &RabbitmqSettings) -> String {
    let url = settings.url.as_ref().and_then(|url| Url::parse(url.expose()).ok());
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or("localhost");
    let vhost = url.as_ref().and_then(|url| url.path().get(1..)).filter(|vhost| !vhost.is_empty()).unwrap_or("%2F");
    let exchange = utf8_percent_encode(exchange, IN_PATH);
    format!("http://{host}:15672/api/exchanges/{vhost}/{exchange}")
}

/// A word for a POSIX shell.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '%' | ':');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_word() {
        assert_eq!(shell("replication.work"), "replication.work");
        assert_eq!(shell("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(shell(""), "''");
    }
}
