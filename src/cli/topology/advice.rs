//! How to put right what is different, without losing a message.

use url::Url;

use crate::rabbitmq::{Finding, Kind, State};
use crate::settings::RabbitmqSettings;

/// The steps, in order; none where there is nothing to do but `topology apply`.
pub fn steps(finding: &Finding, settings: &RabbitmqSettings) -> Vec<String> {
    match (&finding.state, finding.kind) {
        (State::Different(_), Kind::Queue) => queue(&finding.name),
        (State::LeftOver(_), _) => queue(finding.name.strip_suffix(".moving").unwrap_or(&finding.name)),
        (State::Different(_), Kind::Exchange) => exchange(&finding.name, settings),
        _ => Vec::new(),
    }
}

/// Arguments of a queue cannot be changed, so that it must be made anew.
fn queue(name: &str) -> Vec<String> {
    vec![
        format!("stop the workers, and whatever else takes messages from {name}"),
        format!(
            "stream-replicator topology migrate {}   (makes it anew and carries its messages over; when cut short, run \
             it again; bindings of other exchanges to it are not made again)",
            shell(name)
        ),
        "start the workers".to_owned(),
    ]
}

/// An exchange holds no messages, but with it go the bindings that others have made.
fn exchange(name: &str, settings: &RabbitmqSettings) -> Vec<String> {
    let url = settings.url.as_ref().and_then(|url| Url::parse(url.expose()).ok());
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or("localhost");
    let vhost = url.as_ref().and_then(|url| url.path().get(1..)).filter(|vhost| !vhost.is_empty()).unwrap_or("%2F");
    let mut api = Url::parse(&format!("http://{host}:15672/api/exchanges/{vhost}/")).ok();
    if let Some(mut segments) = api.as_mut().and_then(|api| api.path_segments_mut().ok()) {
        segments.pop_if_empty().push(name);
    }
    let api = api.map_or_else(|| name.to_owned(), |api| shell(api.as_str()));
    vec![
        "stop the workers, and whoever else publishes to it".to_owned(),
        "rabbitmqctl export_definitions before.json   (keeps the bindings of others)".to_owned(),
        format!("curl -u ADMIN -X DELETE {api}   (any other way to delete the exchange will do)"),
        "stream-replicator topology apply".to_owned(),
        "rabbitmqctl import_definitions before.json   (leaves what exists as it is, and binds again)".to_owned(),
        "start the workers".to_owned(),
    ]
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
