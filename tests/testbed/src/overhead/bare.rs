//! The least that anybody must do for each message: consume, publish, wait for the confirm, acknowledge; with lapin alone.

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::task::JoinHandle;

use super::broker::{DEAD_EXCHANGE, PARKED_KEY, Parked, WORK};

/// A running loop.
pub(super) struct Loop {
    consuming: Connection,
    publishing: Connection,
    task: JoinHandle<Result<()>>,
}

impl Loop {
    /// One connection to consume and one to publish, as the worker has; as many publishes at once as there are deliveries,
    /// on so many channels in turn.
    pub(super) async fn start(url: &str, prefetch: u16, channels: u16, parked: &Parked) -> Result<Self> {
        let consuming = Connection::connect(url, ConnectionProperties::default()).await?;
        let publishing = Connection::connect(url, ConnectionProperties::default()).await?;
        let mut out = Vec::new();
        for _ in 0..channels.max(1) {
            let channel = publishing.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            out.push(channel);
        }
        let channel = consuming.create_channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut deliveries = channel.basic_consume(WORK.into(), "".into(), options, none).await?;
        let properties = parked.properties.clone();
        let task = tokio::spawn(async move {
            for out in out.iter().cycle() {
                let Some(delivery) = deliveries.next().await else { break };
                tokio::spawn(handle(delivery?, out.clone(), properties.clone()));
            }
            Ok(())
        });
        Ok(Self { consuming, publishing, task })
    }

    /// Ends both connections. The channels are closing on their own, with which lapin's own closing does not get on.
    pub(super) async fn end(self) {
        self.task.abort();
        for connection in [self.consuming, self.publishing] {
            let _ = connection.close(200, "done".into()).await;
        }
    }
}

async fn handle(delivery: Delivery, out: Channel, properties: BasicProperties) -> Result<()> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let publish = out.basic_publish(DEAD_EXCHANGE.into(), PARKED_KEY.into(), options, &delivery.data, properties);
    let confirmation = publish.await?.await?;
    ensure!(matches!(confirmation, Confirmation::Ack(None)), "no queue took the message");
    delivery.ack(BasicAckOptions::default()).await?;
    Ok(())
}
