//! How to reach a RabbitMQ broker, and the few administration calls that tests need (its management HTTP API).

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, Queue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use crate::storage::http_client_builder;

/// A connection that is not closed by then will not be.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(30);

/// Connection data of a broker with an administrator's credentials.
#[derive(Clone)]
pub struct Broker {
    host: String,
    port: u16,
    tls_port: Option<u16>,
    user: String,
    password: String,
    management: Option<Url>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker at `amqp` (`amqp://user:password@host:port`) whose management API listens at `management`.
    #[must_use]
    pub fn new(amqp: &Url, management: Option<Url>) -> Self {
        Self {
            host: amqp.host_str().unwrap_or("127.0.0.1").to_owned(),
            port: amqp.port().unwrap_or(5672),
            tls_port: None,
            user: decode(amqp.username()),
            password: decode(amqp.password().unwrap_or_default()),
            management,
        }
    }

    /// The same broker, which speaks TLS too.
    pub(super) fn with_tls_port(self, port: u16) -> Self {
        Self { tls_port: Some(port), ..self }
    }

    /// The port of AMQP over TLS, where it speaks that.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// The AMQP URL of a vhost, as the administrator.
    #[must_use]
    pub fn amqp_url(&self, vhost: &str) -> String {
        self.amqp_url_as(&self.user, &self.password, vhost)
    }

    /// The AMQP URL of a vhost, as another user.
    #[must_use]
    pub fn amqp_url_as(&self, user: &str, password: &str, vhost: &str) -> String {
        let (user, password, vhost) = (encode(user), encode(password), encode(vhost));
        format!("amqp://{user}:{password}@{}:{}/{vhost}", self.host, self.port)
    }

    /// The port of AMQP, for a proxy in front of it.
    #[must_use]
    pub fn amqp_port(&self) -> u16 {
        self.port
    }

    /// The management API's root, if it is there.
    #[must_use]
    pub fn management(&self) -> Option<&Url> {
        self.management.as_ref()
    }

    /// Makes a vhost, which the administrator may use.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn add_vhost(&self, vhost: &str) -> Result<()> {
        self.call(Method::PUT, &["vhosts", vhost], Some(json!({}))).await?;
        self.permit(&self.user, vhost, ".*", ".*", ".*").await
    }

    /// Waits until each queue of a vhost has its leader, which answers a passive declare. A quorum queue that is deleted while
    /// it is being made takes the node's supervisor of dead-lettering at least once with it (RabbitMQ 3.10: the worker of
    /// `rabbit_fifo_dlx` finds no queue), and from then on no such queue can be made on that node.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn settle_queues(&self, vhost: &str) -> Result<()> {
        let queues = self.call(Method::GET, &["queues", vhost], None).await?;
        let queues: Vec<Value> = serde_json::from_slice(&queues)?;
        let connection = Connection::connect(&self.amqp_url(vhost), ConnectionProperties::default()).await?;
        for name in queues.iter().filter_map(|queue| queue["name"].as_str()) {
            let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
            // one that is gone, or another's alone, ends the channel: nothing to wait for
            let channel = connection.create_channel().await?;
            let _ = channel.queue_declare(name.into(), options, FieldTable::default()).await;
        }
        connection.close(200, "settled".into()).await?;
        Ok(())
    }

    /// Deletes a vhost with all that is in it; an absent one is fine.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn delete_vhost(&self, vhost: &str) -> Result<()> {
        self.call(Method::DELETE, &["vhosts", vhost], None).await.map(drop)
    }

    /// Makes a user (or changes its password) and gives it these permissions (regular expressions) in the vhost.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        configure: &str,
        write: &str,
        read: &str,
        vhost: &str,
    ) -> Result<()> {
        let user = json!({ "password": password, "tags": "" });
        self.call(Method::PUT, &["users", name], Some(user)).await?;
        self.permit(name, vhost, configure, write, read).await
    }

    /// Deletes a user; an absent one is fine.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        self.call(Method::DELETE, &["users", name], None).await.map(drop)
    }

    /// Sets a policy for the queues of a vhost whose names match `pattern`, such as `max-length` = 0.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn set_policy(&self, vhost: &str, policy: &str, pattern: &str, key: &str, value: u64) -> Result<()> {
        let definition = json!({ "pattern": pattern, "definition": { key: value }, "apply-to": "queues" });
        self.call(Method::PUT, &["policies", vhost, policy], Some(definition)).await.map(drop)
    }

    /// Deletes a policy; an absent one is fine.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn delete_policy(&self, vhost: &str, policy: &str) -> Result<()> {
        self.call(Method::DELETE, &["policies", vhost, policy], None).await.map(drop)
    }

    /// Closes the connections of a vhost whose name (the one the client gave) begins with `name`, as an operator would;
    /// says how many there were. A connection may be up to five seconds old before the management API knows it.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn close_connections(&self, vhost: &str, name: &str) -> Result<usize> {
        let connections = self.call(Method::GET, &["vhosts", vhost, "connections"], None).await?;
        let connections: Vec<Value> = serde_json::from_slice(&connections)?;
        let is_meant = |connection: &&Value| {
            connection["user_provided_name"].as_str().is_some_and(|given| given.starts_with(name))
        };
        let ids: Vec<_> = connections.iter().filter(is_meant).filter_map(|one| one["name"].as_str()).collect();
        for id in &ids {
            self.close_connection(id).await?;
        }
        Ok(ids.len())
    }

    /// A connection that its client ends at this moment, as one does whose other connection was closed, makes the broker
    /// answer 500; asked once more it knows no such connection.
    async fn close_connection(&self, id: &str) -> Result<()> {
        let deadline = Instant::now() + CLOSE_LIMIT;
        loop {
            match self.call(Method::DELETE, &["connections", id], None).await {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
                closed => return closed.map(drop),
            }
        }
    }

    /// Ready messages in a queue right now, `None` when there is no such queue. Asked over AMQP (a passive declare),
    /// because the management API's counts are up to five seconds old.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn queue_depth(&self, vhost: &str, queue: &str) -> Result<Option<u32>> {
        Ok(self.look_at_queue(vhost, queue).await?.map(|queue| queue.message_count()))
    }

    /// Consumers of a queue right now, those included that hold messages and take no more: a quorum queue forgets a
    /// consumer and gets back what it held in one step. `None` when there is no such queue.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn consumers(&self, vhost: &str, queue: &str) -> Result<Option<u32>> {
        Ok(self.look_at_queue(vhost, queue).await?.map(|queue| queue.consumer_count()))
    }

    async fn look_at_queue(&self, vhost: &str, queue: &str) -> Result<Option<Queue>> {
        let connection = Connection::connect(&self.amqp_url(vhost), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let answer = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        let found = match answer {
            Ok(queue) => Ok(Some(queue)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look at queue {queue}")),
        };
        let _ = connection.close(200, "done".into()).await;
        found
    }

    /// The broker's answer to "who am I": proves that it is ours and that the management API is up.
    pub(super) async fn check_management(&self) -> Result<()> {
        self.call(Method::GET, &["whoami"], None).await.map(drop)
    }

    async fn permit(&self, user: &str, vhost: &str, configure: &str, write: &str, read: &str) -> Result<()> {
        let permissions = json!({ "configure": configure, "write": write, "read": read });
        self.call(Method::PUT, &["permissions", vhost, user], Some(permissions)).await.map(drop)
    }

    /// One call of the management API. An absent thing is fine for DELETE.
    async fn call(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<Vec<u8>> {
        let root = self.management.as_ref().context("this broker runs without its management plugin")?;
        let path = path.iter().map(|segment| encode(segment)).collect::<Vec<_>>().join("/");
        let url = root.join("/api/")?.join(&path)?;
        let mut request = http_client()?.request(method.clone(), url);
        request = request.basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.with_context(|| format!("{method} /api/{path} got no answer"))?;
        let status = response.status();
        if !(status.is_success() || method == Method::DELETE && status == StatusCode::NOT_FOUND) {
            bail!("rabbitmq answered {status} to {method} /api/{path}: {}", response.text().await?);
        }
        Ok(response.bytes().await?.to_vec())
    }
}

/// One client for all: it keeps no connections, which would outlive the runtime of the test that opened them.
fn http_client() -> Result<&'static reqwest::Client> {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let client = http_client_builder().pool_max_idle_per_host(0).build().context("cannot set up an HTTP client")?;
    Ok(CLIENT.get_or_init(|| client))
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
