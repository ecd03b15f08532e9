//! The topology as RabbitMQ's definitions, for `rabbitmqctl import_definitions`: with users, permissions and policies.
//!
//! The format is that of RabbitMQ's "Schema Definition Export and Import"; what is here is read by 3.10 and 4.x alike.

use std::collections::BTreeMap;

use serde::Serialize;

use super::connection::{DEFAULT_VHOST, virtual_host};
use super::{Binding, Exchange, ExchangeKind, HeaderValue, Queue, RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// Above this size dead letters and unusable messages are refused, so that the worker keeps what it would set aside.
const MAX_LETTERS_BYTES: i64 = 10_000_000_000;
/// Above this size the log of both forgets its oldest records, also those that are not yet too old.
const MAX_LOG_BYTES: i64 = 10_000_000_000;
/// Of events that nobody subscribes to, the newest are kept.
const MAX_UNROUTED: i64 = 100_000;

/// The names that the broker gives to queues that are declared without one.
const PRIVATE_QUEUES: &str = r"^amq\.gen-";

/// Everything that a broker must be told once.
#[derive(Debug, Clone, Serialize)]
pub struct Definitions {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vhosts: Vec<VirtualHost>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    permissions: Vec<Permission>,
    exchanges: Vec<ExchangeDefinition>,
    queues: Vec<QueueDefinition>,
    bindings: Vec<BindingDefinition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    policies: Vec<Policy>,
}

/// A user without a password: it cannot log in with one until somebody gives it one.
#[derive(Debug, Clone, Serialize)]
struct User {
    name: String,
    password_hash: &'static str,
    hashing_algorithm: &'static str,
    tags: Vec<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
struct VirtualHost {
    name: String,
}

/// Regular expressions over names; the empty one fits nothing.
#[derive(Debug, Clone, Serialize)]
struct Permission {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

#[derive(Debug, Clone, Serialize)]
struct ExchangeDefinition {
    name: String,
    vhost: String,
    #[serde(rename = "type")]
    kind: &'static str,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: Arguments,
}

#[derive(Debug, Clone, Serialize)]
struct QueueDefinition {
    name: String,
    vhost: String,
    durable: bool,
    auto_delete: bool,
    arguments: Arguments,
}

#[derive(Debug, Clone, Serialize)]
struct BindingDefinition {
    source: String,
    vhost: String,
    destination: String,
    destination_type: &'static str,
    routing_key: String,
    arguments: Arguments,
}

#[derive(Debug, Clone, Serialize)]
struct Policy {
    vhost: String,
    name: String,
    pattern: String,
    #[serde(rename = "apply-to")]
    apply_to: &'static str,
    definition: Arguments,
    priority: i64,
}

type Arguments = BTreeMap<&'static str, Argument>;

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Argument {
    Text(String),
    Integer(i64),
}

impl Definitions {
    /// What these settings describe, in the virtual host of their URL (the default one where there is no URL yet).
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn new(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        let (topology, vhost) = (Topology::new(settings), virtual_host(settings)?);
        let (users, permissions) = users(settings, &topology, &vhost);
        Ok(Self {
            users,
            // The default one is always there.
            vhosts: (vhost != DEFAULT_VHOST).then(|| VirtualHost { name: vhost.clone() }).into_iter().collect(),
            permissions,
            exchanges: topology.exchanges().into_iter().map(|exchange| exchange_of(exchange, &vhost)).collect(),
            queues: topology.queues().into_iter().map(|queue| queue_of(queue, &vhost)).collect(),
            bindings: topology.bindings().into_iter().map(|binding| binding_of(binding, &vhost)).collect(),
            policies: policies(settings, &topology, &vhost),
        })
    }

    /// The same without users and permissions. An import of users that exist takes their passwords away.
    #[must_use]
    pub fn without_users(self) -> Self {
        Self { users: Vec::new(), permissions: Vec::new(), ..self }
    }

    /// The same without the virtual host. An import of one that exists takes its description away.
    #[must_use]
    pub fn without_vhost(self) -> Self {
        Self { vhosts: Vec::new(), ..self }
    }

    /// The same without policies.
    #[must_use]
    pub fn without_policies(self) -> Self {
        Self { policies: Vec::new(), ..self }
    }
}

/// Each user may do what its work needs; worker and encoder configure nothing.
fn users(settings: &RabbitmqSettings, topology: &Topology, vhost: &str) -> (Vec<User>, Vec<Permission>) {
    let (retry, dead) = (topology.retry_exchange(), topology.dead_exchange());
    let letters = [topology.dead_queue(), topology.parked_queue(), topology.dead_log(), topology.unrouted()];
    let listened: Vec<_> = letters.iter().map(String::as_str).chain([settings.outgoing_exchange.as_str()]).collect();
    let role = |name, write: &[&str], read: &[&str]| Permission {
        user: format!("{}-{name}", settings.prefix),
        vhost: vhost.to_owned(),
        configure: String::new(),
        write: any_of(write),
        read: any_of(read),
    };
    let permissions = vec![
        role("worker", &[&settings.outgoing_exchange, &retry, &dead], &[&topology.work_queue()]),
        with_private_queues(role("operator", &[&retry, &dead], &listened)),
        role("encoder", &[&settings.events_exchange], &[]),
    ];
    let users = permissions.iter().map(|permission| User {
        name: permission.user.clone(),
        password_hash: "",
        hashing_algorithm: "rabbit_password_hashing_sha256",
        tags: Vec::new(),
    });
    (users.collect(), permissions)
}

/// An operator looks at what was set aside, replays it through the retry exchange, leaves records in the log, and listens
/// for what becomes of the first ones, for which the broker makes a queue of its own naming.
fn with_private_queues(mut operator: Permission) -> Permission {
    operator.configure = PRIVATE_QUEUES.to_owned();
    for expression in [&mut operator.write, &mut operator.read] {
        *expression = format!("{expression}|{PRIVATE_QUEUES}");
    }
    operator
}

/// Only lengths and sizes, which may be changed at any time; what the work relies on are the queues' own arguments.
fn policies(settings: &RabbitmqSettings, topology: &Topology, vhost: &str) -> Vec<Policy> {
    let policy = |name: &str, names: &[&str], definition: Arguments| Policy {
        vhost: vhost.to_owned(),
        name: format!("{}-{name}", settings.prefix),
        pattern: any_of(names),
        apply_to: "queues",
        definition,
        priority: 1,
    };
    let letters = Arguments::from([
        ("max-length-bytes", Argument::Integer(MAX_LETTERS_BYTES)),
        ("overflow", Argument::Text("reject-publish".to_owned())),
    ]);
    let log = Arguments::from([("max-length-bytes", Argument::Integer(MAX_LOG_BYTES))]);
    let unrouted = Arguments::from([("max-length", Argument::Integer(MAX_UNROUTED))]);
    vec![
        policy("letters", &[&topology.dead_queue(), &topology.parked_queue()], letters),
        policy("log", &[&topology.dead_log()], log),
        policy("unrouted", &[&topology.unrouted()], unrouted),
    ]
}

fn exchange_of(exchange: Exchange, vhost: &str) -> ExchangeDefinition {
    ExchangeDefinition {
        name: exchange.name,
        vhost: vhost.to_owned(),
        kind: match exchange.kind {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Topic => "topic",
        },
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: arguments_of(exchange.arguments),
    }
}

fn queue_of(queue: Queue, vhost: &str) -> QueueDefinition {
    let arguments = arguments_of(queue.arguments);
    QueueDefinition { name: queue.name, vhost: vhost.to_owned(), durable: true, auto_delete: false, arguments }
}

fn binding_of(binding: Binding, vhost: &str) -> BindingDefinition {
    BindingDefinition {
        source: binding.exchange,
        vhost: vhost.to_owned(),
        destination: binding.queue,
        destination_type: "queue",
        routing_key: binding.key,
        arguments: Arguments::new(),
    }
}

/// Arguments of a topology are texts and integers.
fn arguments_of(arguments: BTreeMap<&'static str, HeaderValue>) -> Arguments {
    let value = |value| match value {
        HeaderValue::Text(text) => Some(Argument::Text(text)),
        HeaderValue::Integer(number) => Some(Argument::Integer(number)),
        _ => None,
    };
    arguments.into_iter().filter_map(|(name, argument)| Some((name, value(argument)?))).collect()
}

/// A regular expression (PCRE, as Erlang's `re`) that fits exactly these names.
fn any_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => format!("^{}$", escaped(name)),
        names => format!("^({})$", names.iter().map(|name| escaped(name)).collect::<Vec<_>>().join("|")),
    }
}

/// A backslash before any ASCII character that is neither letter nor digit means that character (PCRE, "Backslash").
fn escaped(name: &str) -> String {
    let is_plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars().flat_map(|c| (!is_plain(c)).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_fit_exactly_the_names() {
        assert_eq!(any_of(&[]), "");
        assert_eq!(any_of(&["media.events"]), r"^media\.events$");
        assert_eq!(any_of(&["a-b_c", "d(e)|*"]), r"^(a-b_c|d\(e\)\|\*)$");
        assert_eq!(any_of(&["größe $"]), r"^größe\ \$$");
    }
}
