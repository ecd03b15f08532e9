//! Names and properties of all our queues and exchanges, as data: what is declared, checked and published to.

use std::collections::BTreeMap;

use super::HeaderValue;
use crate::settings::RabbitmqSettings;

/// Deliveries after which the broker itself dead-letters a message of the work queue: the net for crash loops.
const WORK_DELIVERY_LIMIT: i64 = 20;

/// Practically none. Not -1, which means unlimited on RabbitMQ 4 but *drop at the first requeue* on 3.10.
pub(super) const NO_DELIVERY_LIMIT: i64 = 1_000_000;

/// How long the log of dead letters is kept.
const LOG_MAX_AGE: &str = "90D";

/// Arguments of a queue or an exchange, by name.
type Arguments = BTreeMap<&'static str, HeaderValue>;

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeKind {
    /// By the exact routing key.
    Direct,
    /// To every queue.
    Fanout,
    /// By patterns.
    Topic,
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Its arguments.
    pub arguments: Arguments,
    /// Whether it belongs to others: it is made where it is missing, and taken as it is where it exists.
    pub foreign: bool,
}

/// A durable queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Its arguments; they cannot be changed later.
    pub arguments: Arguments,
}

/// Which messages of an exchange go to a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The queue.
    pub queue: String,
    /// The exchange.
    pub exchange: String,
    /// The routing key or pattern.
    pub key: String,
}

/// The names, derived from the settings.
#[derive(Debug, Clone)]
pub struct Topology {
    prefix: String,
    events_exchange: String,
    binding_key: String,
    outgoing_exchange: String,
    delays_seconds: Vec<u64>,
}

impl Topology {
    /// Takes the names from the settings.
    #[must_use]
    pub fn new(settings: &RabbitmqSettings) -> Self {
        Self {
            prefix: settings.prefix.clone(),
            events_exchange: settings.events_exchange.clone(),
            binding_key: settings.binding_key.clone(),
            outgoing_exchange: settings.outgoing_exchange.clone(),
            delays_seconds: settings.retry_delays_seconds.clone(),
        }
    }

    fn named(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The queue we consume.
    #[must_use]
    pub fn work_queue(&self) -> String {
        self.named("work")
    }

    /// The exchange of everything that is to come again: now, or after a delay.
    #[must_use]
    pub fn retry_exchange(&self) -> String {
        self.named("retry")
    }

    /// The key of the retry queue with that index into the list of delays: `5s`, `2m`, `1h`. An index past the end means
    /// the last one, which repeats.
    #[must_use]
    pub fn retry_key(&self, tier: usize) -> String {
        match self.delays_seconds.get(tier).or(self.delays_seconds.last()) {
            Some(seconds) => delay_name(*seconds),
            None => self.now_key().to_owned(),
        }
    }

    /// The key, at the retry exchange, that leads to the work queue at once.
    #[must_use]
    pub fn now_key(&self) -> &'static str {
        "now"
    }

    /// The exchange of everything that is set aside.
    #[must_use]
    pub fn dead_exchange(&self) -> String {
        self.named("dlx")
    }

    /// The key of dead letters of a class.
    #[must_use]
    pub fn dead_key(&self, class: &str) -> String {
        format!("dead.{class}")
    }

    /// The key of unusable messages, by the reason's code.
    #[must_use]
    pub fn parked_key(&self, code: &str) -> String {
        format!("parked.{code}")
    }

    /// The queue of dead letters.
    #[must_use]
    pub fn dead_queue(&self) -> String {
        self.named("dead")
    }

    /// The queue of unusable messages.
    #[must_use]
    pub fn parked_queue(&self) -> String {
        self.named("parked")
    }

    /// The stream that remembers everything that was set aside: for listing, never the source of a replay.
    #[must_use]
    pub fn dead_log(&self) -> String {
        self.named("dead.log")
    }

    /// The exchange of our own events.
    #[must_use]
    pub fn outgoing_exchange(&self) -> &str {
        &self.outgoing_exchange
    }

    /// Name of both the exchange and the queue of our events that nobody subscribed to.
    #[must_use]
    pub fn unrouted(&self) -> String {
        self.named("unrouted")
    }

    /// Every exchange.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        let exchange = |name: String, kind| Exchange { name, kind, arguments: Arguments::new(), foreign: false };
        vec![
            Exchange { foreign: true, ..exchange(self.events_exchange.clone(), ExchangeKind::Topic) },
            exchange(self.retry_exchange(), ExchangeKind::Direct),
            exchange(self.dead_exchange(), ExchangeKind::Topic),
            exchange(self.unrouted(), ExchangeKind::Fanout),
            Exchange {
                arguments: Arguments::from([("alternate-exchange", self.unrouted().into())]),
                ..exchange(self.outgoing_exchange.clone(), ExchangeKind::Topic)
            },
        ]
    }

    /// Every queue.
    #[must_use]
    pub fn queues(&self) -> Vec<Queue> {
        let mut queues = vec![Queue {
            name: self.work_queue(),
            arguments: dead_lettering(&self.dead_exchange(), &self.dead_key("broker"), WORK_DELIVERY_LIMIT),
        }];
        queues.extend(self.delays_seconds.iter().map(|seconds| self.retry_queue(*seconds)));
        for name in [self.dead_queue(), self.parked_queue(), self.unrouted()] {
            let arguments =
                Arguments::from([("x-queue-type", "quorum".into()), ("x-delivery-limit", NO_DELIVERY_LIMIT.into())]);
            queues.push(Queue { name, arguments });
        }
        queues.push(Queue {
            name: self.dead_log(),
            arguments: Arguments::from([("x-queue-type", "stream".into()), ("x-max-age", LOG_MAX_AGE.into())]),
        });
        queues
    }

    /// Every binding.
    #[must_use]
    pub fn bindings(&self) -> Vec<Binding> {
        let binding = |queue: String, exchange: &str, key: &str| Binding {
            queue,
            exchange: exchange.to_owned(),
            key: key.to_owned(),
        };
        let (retry, dead) = (self.retry_exchange(), self.dead_exchange());
        let mut bindings = vec![
            binding(self.work_queue(), &self.events_exchange, &self.binding_key),
            binding(self.work_queue(), &retry, self.now_key()),
        ];
        bindings.extend(self.delays_seconds.iter().map(|seconds| {
            let delay = delay_name(*seconds);
            binding(self.retry_queue_name(&delay), &retry, &delay)
        }));
        bindings.extend([
            binding(self.dead_queue(), &dead, "dead.#"),
            binding(self.parked_queue(), &dead, "parked.#"),
            binding(self.dead_log(), &dead, "#"),
            binding(self.unrouted(), &self.unrouted(), ""),
        ]);
        bindings
    }

    fn retry_queue_name(&self, delay: &str) -> String {
        format!("{}.{delay}", self.retry_exchange())
    }

    /// One queue for each delay: a quorum queue expires only at its head, so that a delay set on each message would wait
    /// behind longer ones.
    fn retry_queue(&self, seconds: u64) -> Queue {
        let mut arguments = dead_lettering(&self.retry_exchange(), self.now_key(), NO_DELIVERY_LIMIT);
        let milliseconds = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        arguments.insert("x-message-ttl", milliseconds.into());
        Queue { name: self.retry_queue_name(&delay_name(seconds)), arguments }
    }
}

/// A quorum queue that keeps what it dead-letters until the target has confirmed it. At-least-once works only together
/// with `reject-publish` (RabbitMQ, dead lettering, "at-least-once").
fn dead_lettering(exchange: &str, key: &str, delivery_limit: i64) -> Arguments {
    Arguments::from([
        ("x-queue-type", "quorum".into()),
        ("x-dead-letter-exchange", exchange.into()),
        ("x-dead-letter-routing-key", key.into()),
        ("x-dead-letter-strategy", "at-least-once".into()),
        ("x-overflow", "reject-publish".into()),
        ("x-delivery-limit", delivery_limit.into()),
    ])
}

/// A delay as it appears in names: `5s`, `90s`, `2m`, `1h`.
#[must_use]
pub fn delay_name(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        hours if hours.is_multiple_of(3_600) => format!("{}h", hours / 3_600),
        minutes if minutes.is_multiple_of(60) => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::TopologyMode;

    fn topology() -> Topology {
        Topology::new(&RabbitmqSettings {
            url: None,
            url_file: None,
            authentication: crate::settings::Authentication::Password,
            ca_file: None,
            certificate_file: None,
            certificate_key_file: None,
            events_exchange: "media.events".to_owned(),
            binding_key: "media.encoding.finished.#".to_owned(),
            outgoing_exchange: "media.replication".to_owned(),
            prefix: "replication".to_owned(),
            topology: TopologyMode::Apply,
            retry_delays_seconds: vec![5, 30, 120, 600, 3_600],
            timeout_seconds: 30,
            heartbeat_seconds: 30,
            max_blocked_seconds: 300,
        })
    }

    #[test]
    fn delays_are_named_in_their_largest_whole_unit() {
        let keys: Vec<_> = (0..6).map(|tier| topology().retry_key(tier)).collect();
        assert_eq!(keys, ["5s", "30s", "2m", "10m", "1h", "1h"]);
        assert_eq!((delay_name(90), delay_name(86_400)), ("90s".to_owned(), "24h".to_owned()));
    }

    #[test]
    fn every_binding_joins_things_that_are_declared() {
        let topology = topology();
        let exchanges: Vec<_> = topology.exchanges().into_iter().map(|exchange| exchange.name).collect();
        let queues: Vec<_> = topology.queues().into_iter().map(|queue| queue.name).collect();
        for binding in topology.bindings() {
            assert!(exchanges.contains(&binding.exchange) && queues.contains(&binding.queue), "{binding:?}");
        }
    }

    #[test]
    fn the_queues_keep_what_they_hold() {
        for queue in topology().queues() {
            let get = |name| queue.arguments.get(name);
            assert_ne!(get("x-delivery-limit"), Some(&(-1_i64).into()), "{}", queue.name);
            if get("x-dead-letter-exchange").is_some() {
                assert_eq!(get("x-dead-letter-strategy"), Some(&"at-least-once".into()), "{}", queue.name);
                assert_eq!(get("x-overflow"), Some(&"reject-publish".into()), "{}", queue.name);
            }
        }
        let tier = topology().retry_queue(120);
        assert_eq!(
            (tier.name.as_str(), tier.arguments["x-message-ttl"].clone()),
            ("replication.retry.2m", 120_000_i64.into())
        );
    }
}
