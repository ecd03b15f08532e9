//! A private RabbitMQ node: own Erlang port mapper, own directories, own ports, own administrator.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::Broker;
use super::node::{Node, START_LIMIT, lost_a_port};
use crate::certificates::Certificate;

/// How often another program may take one of our ports between the choice and the start.
const START_TRIES: u32 = 3;

/// Who a broker is, and whom it believes.
#[derive(Clone)]
pub struct BrokerTls {
    /// The authority of clients, PEM.
    pub authority: String,
    /// Its own certificate.
    pub certificate: Certificate,
    /// Whether clients without a certificate are sent away.
    pub wants_clients_certificate: bool,
}

impl std::fmt::Debug for BrokerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrokerTls")
    }
}

/// What differs from a plain node.
#[derive(Clone, Debug)]
pub struct RabbitOptions {
    /// The broker closes the channel of a consumer that holds a delivery longer than this; 30 minutes when absent.
    pub consumer_timeout_ms: Option<u64>,
    /// Run the management plugin; without it a node starts faster and takes no administration calls.
    pub management: bool,
    /// Speak TLS too, on a port of its own; implies the plugin for logging in by certificate (SASL EXTERNAL), which takes the
    /// common name for the user's.
    pub tls: Option<BrokerTls>,
    /// Further plugins, such as `rabbitmq_prometheus`.
    pub plugins: &'static [&'static str],
    /// Further lines of `rabbitmq.conf`.
    pub extra_conf: String,
}

impl Default for RabbitOptions {
    fn default() -> Self {
        Self { consumer_timeout_ms: None, management: true, tls: None, plugins: &[], extra_conf: String::new() }
    }
}

/// A RabbitMQ node of our own; dropping it ends it and removes its data. Derefs to its [`Broker`].
pub struct RabbitMq {
    broker: Broker,
    node: Arc<Mutex<Node>>,
}

impl Deref for RabbitMq {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl RabbitMq {
    /// Starts a node and waits until it greets AMQP clients (8 to 10 seconds).
    ///
    /// # Errors
    /// When RabbitMQ is not installed, or does not come up within a minute and a half.
    pub async fn start(options: RabbitOptions) -> Result<Self> {
        let (broker, node) = tokio::task::spawn_blocking(move || {
            for _ in 1..START_TRIES {
                match Node::create(&options) {
                    Err(error) if lost_a_port(&error) => {}
                    done => return done,
                }
            }
            Node::create(&options)
        })
        .await??;
        let this = Self { broker, node: Arc::new(Mutex::new(node)) };
        this.wait_for_management().await?;
        Ok(this)
    }

    /// How to reach it.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The node's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        lock(&self.node).pid()
    }

    /// Ends the node at once (SIGKILL), as a power cut would; its data stay, but for what it was told to declare in the last
    /// two seconds or so: see [`Self::sync_declarations`].
    pub fn kill(&self) {
        lock(&self.node).kill();
    }

    /// Waits until all users, virtual hosts, queues and bindings that were declared so far would outlive a [`Self::kill`].
    ///
    /// A broker confirms a declaration when Mnesia has it in its transaction log, which is not always on disk by then:
    /// 3.10.8, killed at once, had forgotten a durable queue and the confirmed message in it in 2 of 40 tries. See
    /// `mnesia:sync_log/0` in the Erlang documentation.
    ///
    /// # Errors
    /// When the node cannot be asked.
    pub async fn sync_declarations(&self) -> Result<()> {
        self.ctl(&["eval", "catch mnesia:sync_log()."]).await.map(drop)
    }

    /// Ends the node in good order (SIGTERM); its data stay.
    ///
    /// # Errors
    /// When the node cannot be signalled.
    pub async fn stop(&self) -> Result<()> {
        self.blocking(Node::stop).await
    }

    /// Starts the node again on the same data and ports, after a stop where it still runs.
    ///
    /// # Errors
    /// When it does not come up in time.
    pub async fn restart(&self) -> Result<()> {
        self.blocking(Node::restart).await?;
        self.wait_for_management().await
    }

    /// Freezes the node (SIGSTOP): its connections stay open and say nothing.
    ///
    /// # Errors
    /// When the node cannot be signalled.
    pub fn pause(&self) -> Result<()> {
        lock(&self.node).signal(Signal::STOP)
    }

    /// Lets a frozen node go on (SIGCONT).
    ///
    /// # Errors
    /// When the node cannot be signalled.
    pub fn resume(&self) -> Result<()> {
        lock(&self.node).signal(Signal::CONT)
    }

    /// Runs `rabbitmqctl` against the node and returns what it prints, for example
    /// `["set_vm_memory_high_watermark", "absolute", "10MB"]` for a memory alarm.
    ///
    /// # Errors
    /// When the command fails; the error carries its output.
    pub async fn ctl(&self, args: &[&str]) -> Result<String> {
        let args: Vec<_> = args.iter().map(|&arg| arg.to_owned()).collect();
        self.blocking(move |node| node.ctl(&args)).await
    }

    /// Gives the node another certificate, which new connections are shown.
    ///
    /// # Errors
    /// When its files cannot be written, or the node cannot be told.
    pub async fn change_certificate(&self, certificate: &Certificate) -> Result<()> {
        let certificate = certificate.clone();
        self.blocking(move |node| node.write_certificate(&certificate)).await?;
        // it keeps what it has read of such files for two minutes (Erlang, ssl:clear_pem_cache/0)
        self.ctl(&["eval", "ssl:clear_pem_cache()."]).await.map(drop)
    }

    /// What the node has logged so far.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn log(&self) -> Result<String> {
        lock(&self.node).log()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Node) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let node = self.node.clone();
        tokio::task::spawn_blocking(move || run(&mut lock(&node))).await?
    }

    async fn wait_for_management(&self) -> Result<()> {
        if self.broker.management().is_none() {
            return Ok(());
        }
        let answers = async {
            while self.broker.check_management().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let answers = tokio::time::timeout(START_LIMIT, answers).await;
        answers.context("rabbitmq's management api does not answer")
    }
}

fn lock(node: &Mutex<Node>) -> MutexGuard<'_, Node> {
    // a panic elsewhere leaves nothing half done in here
    node.lock().unwrap_or_else(PoisonError::into_inner)
}
