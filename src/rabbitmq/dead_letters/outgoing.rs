//! Listens to our own events from a private queue: how an operator's tool sees what becomes of a replayed letter.

use futures::StreamExt;
use lapin::Consumer;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};

use super::Letter;
use crate::rabbitmq::connection::Connection;
use crate::rabbitmq::message::short;
use crate::rabbitmq::{Message, RabbitmqError, Topology};
use crate::settings::RabbitmqSettings;

/// Our events from now on. The queue is exclusive and ends with the connection.
pub struct OutgoingWatch {
    connection: Connection,
    consumer: Consumer,
}

impl OutgoingWatch {
    /// Declares a private queue and binds it. Needs the permissions to configure, write and read `amq.gen-...`, and to read
    /// the outgoing exchange.
    ///
    /// # Errors
    /// When the broker cannot be used, or refuses one of these.
    pub async fn open(settings: &RabbitmqSettings) -> Result<Self, RabbitmqError> {
        let connection = Connection::open(settings, "stream-replicator dead letters").await?;
        let opened = listen(&connection, settings).await;
        match opened {
            Ok(consumer) => Ok(Self { connection, consumer }),
            Err(error) => {
                connection.close(connection.calls().timeout()).await;
                Err(error)
            }
        }
    }

    /// The next event: its routing key and the message; `None` when the connection is lost. Safe to cancel.
    pub async fn next(&mut self) -> Option<(String, Message)> {
        let Letter { message, routing_key, .. } = Letter::new(self.consumer.next().await?.ok()?);
        Some((routing_key, message))
    }

    /// Closes the connection, and with it the queue.
    pub async fn close(self) {
        self.connection.close(self.connection.calls().timeout()).await;
    }
}

async fn listen(connection: &Connection, settings: &RabbitmqSettings) -> Result<Consumer, RabbitmqError> {
    let channel = connection.channel().await?;
    let exchange = Topology::new(settings).outgoing_exchange().to_owned();
    let exchange_name =
        short("an exchange's name", &exchange).map_err(|error| RabbitmqError::SessionEnded(error.to_string()))?;
    let none = FieldTable::default;
    let listening = async {
        let private = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(ShortString::default(), private, none()).await?.name().clone();
        let bind = QueueBindOptions::default();
        channel.queue_bind(queue.clone(), exchange_name, "#".into(), bind, none()).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        channel.basic_consume(queue, ShortString::default(), options, none()).await
    };
    connection.calls().call(&format!("listen to exchange {exchange} with a private queue"), listening).await
}
