//! Runs what the tests need as child processes of our own: RabbitMQ nodes and Azurite, on free ports, in own directories.

mod asyncapi;
mod azurite;
mod broker;
pub(crate) mod guard;
mod installation;
mod node;
mod rabbitmq;
mod shared;

pub use asyncapi::{Diagnostic, validate_asyncapi};
pub use azurite::Azurite;
pub use broker::Broker;
pub use installation::{Installation, RABBITMQ_HOME_VARIABLE};
pub use rabbitmq::{BrokerTls, RabbitMq, RabbitOptions};
pub use shared::{
    ACCOUNTS, AZURITE_VARIABLE, MANAGEMENT_VARIABLE, RABBITMQ_VARIABLE, Shared, Vhost, shared, start_rabbitmq,
};
