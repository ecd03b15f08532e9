//! One broker and one Azurite for many tests: those of `with-testbed`, or else a pair per process.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Azurite, Broker, RabbitMq, RabbitOptions};
use crate::storage::Storage;

/// Environment variable with the AMQP URL of a running broker, with an administrator's credentials.
pub const RABBITMQ_VARIABLE: &str = "TESTBED_RABBITMQ";
/// Environment variable with the HTTP URL of that broker's management API.
pub const MANAGEMENT_VARIABLE: &str = "TESTBED_RABBITMQ_MANAGEMENT";
/// Environment variable with the HTTP URL of a running Azurite that knows [`ACCOUNTS`].
pub const AZURITE_VARIABLE: &str = "TESTBED_AZURITE";

/// The storage accounts of the testbed: name and key (64 bytes of plain text in base64; they guard nothing).
pub const ACCOUNTS: [(&str, &str); 2] = [
    ("west", "d2VzdDogbWFkZSB1cCBmb3IgdGhlIHRlc3RzIG9mIHRoaXMgcHJvamVjdCwgZ3VhcmRzIG5vdGhpbmcgYXQgYQ=="),
    ("east", "ZWFzdDogbWFkZSB1cCBmb3IgdGhlIHRlc3RzIG9mIHRoaXMgcHJvamVjdCwgZ3VhcmRzIG5vdGhpbmcgYXQgYQ=="),
];

/// The broker and the blob storage that tests share.
#[derive(Clone)]
pub struct Shared {
    broker: Broker,
    azurite: Url,
    // kept alive here; a static is never dropped, but the guards of the processes notice our end
    _rabbitmq: Option<Arc<RabbitMq>>,
    _azurite: Option<Arc<Azurite>>,
}

/// The broker and blob storage named by the environment, or a pair of this process's own, started at the first call.
///
/// # Errors
/// When they cannot be started, or a variable is not a URL.
pub async fn shared() -> Result<Shared> {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED.get_or_try_init(Shared::start).await.cloned()
}

/// A RabbitMQ node for one test alone, for example one that kills it.
///
/// # Errors
/// See [`RabbitMq::start`].
pub async fn start_rabbitmq() -> Result<RabbitMq> {
    RabbitMq::start(RabbitOptions::default()).await
}

impl Shared {
    async fn start() -> Result<Self> {
        let (rabbitmq, azurite) = tokio::try_join!(find_or_start_rabbitmq(), find_or_start_azurite())?;
        Ok(Self { broker: rabbitmq.0, azurite: azurite.0, _rabbitmq: rabbitmq.1, _azurite: azurite.1 })
    }

    /// The broker, as its administrator.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Where Azurite listens, without an account.
    #[must_use]
    pub fn azurite(&self) -> &Url {
        &self.azurite
    }

    /// A client for one of the [`ACCOUNTS`].
    ///
    /// # Errors
    /// When there is no account of that name.
    pub fn storage(&self, account: &str) -> Result<Storage> {
        self.storage_at(&self.azurite, account)
    }

    /// The same through another address, for example that of a fault proxy.
    ///
    /// # Errors
    /// When there is no account of that name.
    pub fn storage_at(&self, endpoint: &Url, account: &str) -> Result<Storage> {
        let Some((_, key)) = ACCOUNTS.iter().find(|(name, _)| *name == account) else {
            bail!("the testbed has no storage account {account}: take west or east");
        };
        Storage::new(endpoint.join(&format!("/{account}"))?, account, key)
    }

    /// A fresh vhost with a user of its own, for one test. Both are deleted when it is dropped.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn vhost(&self) -> Result<Vhost> {
        Vhost::create(&self.broker).await
    }
}

/// A vhost of one test, with a user who may do everything in there and nothing elsewhere.
#[derive(Debug)]
pub struct Vhost {
    broker: Broker,
    name: String,
}

impl Vhost {
    /// Makes a vhost on any broker of the testbed.
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn create(broker: &Broker) -> Result<Self> {
        let vhost = Self { broker: broker.clone(), name: format!("test-{}", Uuid::new_v4().simple()) };
        broker.add_vhost(&vhost.name).await?;
        broker.add_user(vhost.user(), vhost.password(), ".*", ".*", ".*", &vhost.name).await?;
        Ok(vhost)
    }

    /// The vhost's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.name
    }

    /// The user's password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.name
    }

    /// The broker it is on, as its administrator.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The AMQP URL for the vhost's own user.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        self.broker.amqp_url_as(self.user(), self.password(), &self.name)
    }

    /// Ready messages in a queue of this vhost; see [`Broker::queue_depth`].
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn queue_depth(&self, queue: &str) -> Result<Option<u32>> {
        self.broker.queue_depth(&self.name, queue).await
    }

    /// Consumers of a queue of this vhost; see [`Broker::consumers`].
    ///
    /// # Errors
    /// When the broker cannot be reached or refuses.
    pub async fn consumers(&self, queue: &str) -> Result<Option<u32>> {
        self.broker.consumers(&self.name, queue).await
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        let (broker, name) = (self.broker.clone(), std::mem::take(&mut self.name));
        // a thread of its own, because a runtime may not block on another one; best effort: the broker may be gone
        let delete = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let limit = std::time::Duration::from_secs(5);
                // first, so that nobody makes queues any more
                let _ = tokio::time::timeout(limit, broker.delete_user(&name)).await;
                let _ = tokio::time::timeout(limit, broker.settle_queues(&name)).await;
                let _ = tokio::time::timeout(limit, broker.delete_vhost(&name)).await;
            });
        });
        let _ = delete.join();
    }
}

async fn find_or_start_rabbitmq() -> Result<(Broker, Option<Arc<RabbitMq>>)> {
    if let Some(amqp) = url_of(RABBITMQ_VARIABLE)? {
        let management = url_of(MANAGEMENT_VARIABLE)?;
        return Ok((Broker::new(&amqp, management), None));
    }
    let node = Arc::new(start_rabbitmq().await?);
    Ok((node.broker().clone(), Some(node)))
}

async fn find_or_start_azurite() -> Result<(Url, Option<Arc<Azurite>>)> {
    if let Some(url) = url_of(AZURITE_VARIABLE)? {
        return Ok((url, None));
    }
    let azurite = Arc::new(Azurite::start(&ACCOUNTS).await?);
    Ok((azurite.endpoint().clone(), Some(azurite)))
}

fn url_of(variable: &str) -> Result<Option<Url>> {
    let Ok(value) = std::env::var(variable) else { return Ok(None) };
    value.parse().map(Some).with_context(|| format!("{variable} is not a URL"))
}
