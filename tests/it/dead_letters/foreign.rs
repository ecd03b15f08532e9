//! Queues and users that somebody else has made: refused with the reason where looking or moving would destroy.

use anyhow::{Context, Result};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, ExchangeKind};

use super::desk::{Desk, counted, ids, letter, letters};

/// Their own declaration of what we read: the queue's delivery limit, and the kind of the log; `None`: there is none.
async fn declare(desk: &Desk, limit: Option<i64>, log: Option<&str>) -> Result<()> {
    let connection = Connection::connect(&desk.vhost.amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let exchange = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let none = FieldTable::default;
    for (name, kind) in [("replication.dlx", ExchangeKind::Topic), ("replication.retry", ExchangeKind::Direct)] {
        channel.exchange_declare(name.into(), kind, exchange, none()).await?;
    }
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = none();
    arguments.insert("x-queue-type".into(), text("quorum"));
    channel.queue_declare("replication.work".into(), durable, arguments.clone()).await?;
    if let Some(limit) = limit {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
    }
    channel.queue_declare("replication.dead".into(), durable, arguments).await?;
    let bind = QueueBindOptions::default;
    channel.queue_bind("replication.work".into(), "replication.retry".into(), "now".into(), bind(), none()).await?;
    channel.queue_bind("replication.dead".into(), "replication.dlx".into(), "dead.#".into(), bind(), none()).await?;
    if let Some(kind) = log {
        let mut arguments = none();
        arguments.insert("x-queue-type".into(), text(kind));
        channel.queue_declare("replication.dead.log".into(), durable, arguments).await?;
        channel.queue_bind("replication.dead.log".into(), "replication.dlx".into(), "#".into(), bind(), none()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn refused(desk: &Desk, words: &str, why: &str) -> Result<()> {
    let output = desk.run(words).await?;
    let errors = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{words}: {errors}");
    assert!(errors.contains(why), "{words}: {errors}");
    Ok(())
}

#[tokio::test]
async fn without_a_log_nothing_is_read() -> Result<()> {
    let desk = Desk::bare().await?;
    declare(&desk, None, None).await?;
    desk.set_aside(letters("x", 3, "permanent", "other")).await?;
    for words in ["list", "groups", "show x-00000", "export", "replay --all --yes", "edit x-00000 --yes"] {
        refused(&desk, words, "listed only from that stream").await?;
    }
    let left = desk.drain("replication.dead").await?;
    assert_eq!(ids(&left), ["x-00000", "x-00001", "x-00002"]);
    assert!(left.iter().all(|letter| letter.headers.get("x-delivery-count").is_none_or(|count| count == "0")));
    Ok(())
}

#[tokio::test]
async fn what_is_no_stream_is_not_read_as_one() -> Result<()> {
    let desk = Desk::bare().await?;
    declare(&desk, None, Some("quorum")).await?;
    desk.set_aside(letters("x", 40, "permanent", "other")).await?;
    refused(&desk, "list", "is no stream").await?;
    let left = desk.drain("replication.dead.log").await?;
    let expected: Vec<_> = (0..40).map(|number| format!("x-{number:05}")).collect();
    assert_eq!(ids(&left), expected, "all there, in their order");
    Ok(())
}

#[tokio::test]
async fn letters_are_not_given_back_to_a_queue_that_would_drop_them() -> Result<()> {
    let desk = Desk::bare().await?;
    declare(&desk, Some(4), Some("stream")).await?;
    desk.set_aside(letters("x", 4, "permanent", "x")).await?;
    desk.set_aside(letters("y", 4, "permanent", "y")).await?;
    assert_eq!(desk.listed("").await?.len(), 8, "looking is safe");
    for _ in 0..5 {
        refused(&desk, "replay --code y --yes", "delivery limit").await?;
    }
    assert_eq!(desk.depth("replication.dead").await?, 8);
    desk.print("replay --all --yes").await?;
    assert_eq!(desk.drain("replication.work").await?.len(), 8);

    // One that goes in circles would have to be given back.
    let mut circling = letter("c", "permanent", "c");
    circling.headers.push(("x-replication-replays".to_owned(), "3".to_owned()));
    desk.set_aside(vec![circling]).await?;
    desk.set_aside(letters("z", 2, "permanent", "z")).await?;
    refused(&desk, "replay --all --yes", "delivery limit").await?;
    assert_eq!(desk.depth("replication.dead").await?, 3);
    assert_eq!(desk.json("replay --all --force --yes").await?["moved"], 3);
    Ok(())
}

#[tokio::test]
async fn a_limit_that_leaves_no_room_for_a_stopped_run_needs_force() -> Result<()> {
    let desk = Desk::bare().await?;
    declare(&desk, Some(3), Some("stream")).await?;
    desk.set_aside(letters("x", 4, "permanent", "x")).await?;
    refused(&desk, "replay --all --yes", "delivery limit of 3 leaves no room").await?;
    assert_eq!(desk.depth("replication.dead").await?, 4);
    assert_eq!(desk.json("replay --all --force --yes").await?["moved"], 4);
    Ok(())
}

#[tokio::test]
async fn an_operator_needs_no_right_to_configure_and_no_site() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("x", 3, "permanent", "x")).await?;
    desk.set_aside(letters("y", 40, "permanent", "y")).await?;
    let (write, read) = (r"^replication\.(retry|dlx)$", r"^replication\.(dead|parked|dead\.log)$");
    let user = format!("{}-operator", desk.vhost.name());
    desk.vhost.broker().add_user(&user, "hunter2", "^$", write, read, desk.vhost.name()).await?;
    desk.write_config(&desk.vhost.broker().amqp_url_as(&user, "hunter2", desk.vhost.name()))?;
    assert_eq!(desk.listed("").await?.len(), 43);
    assert_eq!(desk.json("replay --code x --yes").await?["moved"], 3);
    // Nobody can tell this user whether the queue has a limit, so that it is careful.
    let mut stopped = None;
    for _ in 0..12 {
        let output = desk.run("replay --code none --id y-00039 --yes").await?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        desk.set_aside(letters("z", 1, "permanent", "z")).await?;
        let output = desk.run("replay --code z --yes").await?;
        if output.status.code() != Some(0) {
            stopped = Some(String::from_utf8(output.stderr)?);
            break;
        }
    }
    assert!(stopped.context("it never stopped")?.contains("may have a delivery limit"));
    let left = counted(&desk.drain("replication.dead").await?);
    assert!((0..40).all(|number| left.get(&format!("y-{number:05}")) == Some(&1)), "lost by giving back: {left:?}");

    // A canary needs a private queue, and says so before anything is moved.
    desk.set_aside(letters("c", 1, "permanent", "c")).await?;
    refused(&desk, "replay --all --canary 1 --yes", "private queue").await?;
    assert_eq!(desk.depth("replication.dead").await?, 1);
    desk.vhost.broker().delete_user(&user).await?;
    Ok(())
}
