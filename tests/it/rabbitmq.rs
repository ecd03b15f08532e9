//! The broker's room against a real RabbitMQ: nothing is lost, nothing is settled twice, every end is noticed.

use anyhow::{Context, Result};
use futures::future::join_all;
use stream_replicator::rabbitmq::{
    Headers, Message, PublishError, RabbitmqError, Session, State, Topology, TopologyReport, apply, check,
};
use stream_replicator::settings::{BrokerUrl, RabbitmqSettings, Secret};
use testbed::process::{Vhost, start_rabbitmq};
use testbed::tcp_proxy::TcpProxy;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::support::rabbitmq::{self, Operator, depth_becomes, fresh_vhost, message, next, url_through, within};

#[tokio::test]
async fn topology_can_be_applied_twice_and_checked() -> Result<()> {
    let (_vhost, settings) = fresh_vhost().await?;
    let before = check(&settings).await?;
    let everything = Topology::new(&settings).exchanges().len() + Topology::new(&settings).queues().len();
    assert_eq!(before.missing().count(), everything);
    assert!(before.missing().any(|missing| missing.to_string() == "queue replication.retry.1h"), "{before:?}");

    let count = |report: &TopologyReport, state| report.findings.iter().filter(|found| found.state == state).count();
    assert_eq!(count(&apply(&settings).await?, State::Made), everything);
    // The encoders' exchange is taken as it is.
    assert_eq!(count(&apply(&settings).await?, State::Same), everything - 1);
    let after = check(&settings).await?;
    assert!(after.is_complete() && count(&after, State::Same) == everything - 1, "{after:?}");

    // The same outgoing exchange under another prefix would need another alternate exchange.
    let other = RabbitmqSettings { prefix: "other".to_owned(), ..settings };
    let report = check(&other).await?;
    let different: Vec<_> = report.different().collect();
    assert!(!report.is_complete() && different.len() == 1, "{report:?}");
    assert!(different[0].0.name == "media.replication" && different[0].1.contains("alternate-exchange"));
    let error = apply(&other).await.unwrap_err().to_string();
    assert!(error.contains("exchange media.replication") && error.contains("another prefix"), "{error}");
    assert_eq!(check(&other).await?, report, "something was made all the same");
    Ok(())
}

#[tokio::test]
async fn a_message_is_published_consumed_and_acknowledged() -> Result<()> {
    let (vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let (session, mut deliveries) = Session::open(&settings, Some(4)).await?;
    let sent = Message {
        headers: [("x-replication-attempt", 2_i64)].into_iter().collect(),
        correlation_id: Some("asset".to_owned()),
        content_type: Some("application/json".to_owned()),
        kind: Some("media.encoding.finished".to_owned()),
        timestamp: Some(OffsetDateTime::from_unix_timestamp(1_700_000_000)?),
        ..message("one")
    };
    session.publisher().publish("media.events", "media.encoding.finished.west", &sent).await?;

    let delivery = next(&mut deliveries).await?;
    assert_eq!(delivery.message, sent);
    assert_eq!((&*delivery.exchange, &*delivery.routing_key), ("media.events", "media.encoding.finished.west"));
    assert!(!delivery.redelivered);
    delivery.ack().await?;
    session.close().await;
    depth_becomes(&vhost, "replication.work", 0).await?;
    assert!(within("the end of the deliveries", deliveries.next()).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn an_unroutable_message_is_an_error_unless_there_is_an_alternate_exchange() -> Result<()> {
    let (vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let (session, _deliveries) = Session::open(&settings, None).await?;
    let publisher = session.publisher();
    let lost = publisher.publish("replication.retry", "nowhere", &message("lost")).await;
    assert!(matches!(lost, Err(PublishError::Unroutable { .. })), "{lost:?}");
    // The session is as good as before.
    publisher.publish("media.replication", "nobody.listens", &message("kept")).await?;
    depth_becomes(&vhost, "replication.unrouted", 1).await?;
    session.close().await;
    Ok(())
}

#[tokio::test]
async fn publishes_at_once_get_each_their_own_answer() -> Result<()> {
    let (vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let (session, _deliveries) = Session::open(&settings, None).await?;
    let publishes = (0..300).map(|number| {
        let publisher = session.publisher();
        tokio::spawn(async move {
            let key = if number % 3 == 0 { "nowhere" } else { "now" };
            publisher.publish("replication.retry", key, &message(&number.to_string())).await
        })
    });
    for (number, answer) in join_all(publishes).await.into_iter().enumerate() {
        let answer = answer?;
        assert_eq!(matches!(answer, Err(PublishError::Unroutable { .. })), number % 3 == 0, "{number}: {answer:?}");
        assert_eq!(answer.is_ok(), number % 3 != 0, "{number}: {answer:?}");
    }
    session.close().await;
    depth_becomes(&vhost, "replication.work", 200).await?;
    Ok(())
}

#[tokio::test]
async fn a_full_queue_refuses_and_the_session_goes_on() -> Result<()> {
    let (vhost, settings) = fresh_vhost().await?;
    Operator::connect(&vhost).await?.declare_tiny_queue("tiny").await?;
    let (session, _deliveries) = Session::open(&settings, None).await?;
    let publisher = session.publisher();
    publisher.publish("tiny", "", &message("fits")).await?;
    let refused = publisher.publish("tiny", "", &message("too many")).await;
    assert!(matches!(refused, Err(PublishError::Rejected { .. })), "{refused:?}");
    assert!(!session.ended().is_cancelled());
    session.close().await;
    Ok(())
}

#[tokio::test]
async fn a_retry_queue_brings_a_message_back_again_and_again() -> Result<()> {
    let (_vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let topology = Topology::new(&settings);
    let (session, mut deliveries) = Session::open(&settings, Some(1)).await?;
    let publisher = session.publisher();
    publisher.publish(&topology.retry_exchange(), topology.now_key(), &message("one")).await?;
    for _ in 0..2 {
        // Published again with whatever the broker wrote on it, as a settlement does.
        let delivery = next(&mut deliveries).await?;
        publisher.publish(&topology.retry_exchange(), &topology.retry_key(0), &delivery.message).await?;
        delivery.ack().await?;
    }
    let delivery = next(&mut deliveries).await?;
    assert_eq!(delivery.message.message_id.as_deref(), Some("one"));
    assert_eq!((&*delivery.exchange, &*delivery.routing_key), ("replication.retry", "now"));
    assert!(delivery.message.headers.get("x-death").is_some(), "{:?}", delivery.message.headers);
    assert_eq!(delivery.message.headers.for_republishing(), Headers::default());
    delivery.ack().await?;
    session.close().await;
    Ok(())
}

#[tokio::test]
async fn what_is_handed_back_is_delivered_again() -> Result<()> {
    let (_vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let (session, mut deliveries) = Session::open(&settings, Some(1)).await?;
    session.publisher().publish("replication.retry", "now", &message("one")).await?;
    next(&mut deliveries).await?.hand_back().await?;
    let again = next(&mut deliveries).await?;
    assert!(again.redelivered);
    assert_eq!(again.message.headers.get_integer("x-delivery-count"), Some(1));
    again.ack().await?;
    session.close().await;
    Ok(())
}

#[tokio::test]
async fn after_the_stop_nothing_is_started_and_what_runs_can_be_settled() -> Result<()> {
    let (vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let (session, mut deliveries) = Session::open(&settings, Some(3)).await?;
    for id in ["one", "two", "three"] {
        session.publisher().publish("replication.retry", "now", &message(id)).await?;
    }
    let running = next(&mut deliveries).await?;
    session.stop_consuming().await?;
    session.stop_consuming().await?;
    assert!(within("the end of the deliveries", deliveries.next()).await?.is_none());
    assert!(!session.ended().is_cancelled());
    session.publisher().publish("media.replication", "done", &message("event")).await?;
    running.ack().await?;
    session.close().await;
    depth_becomes(&vhost, "replication.work", 2).await?;
    Ok(())
}

#[tokio::test]
async fn a_cut_connection_ends_the_session_and_everything_of_it() -> Result<()> {
    let (vhost, mut settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let proxy = TcpProxy::before_port(vhost.broker().amqp_port()).await?;
    settings.url = Some(BrokerUrl::new(Secret::new(&url_through(&proxy, &vhost))));
    let (session, mut deliveries) = Session::open(&settings, Some(1)).await?;
    let publisher = session.publisher();
    publisher.publish("replication.retry", "now", &message("one")).await?;
    let delivery = next(&mut deliveries).await?;

    proxy.reset();
    within("the end of the session", session.ended().cancelled()).await?;
    assert!(session.end_reason().is_some());
    assert!(within("the end of the deliveries", deliveries.next()).await?.is_none());
    let publish = within("an answer", publisher.publish("replication.retry", "now", &message("two"))).await?;
    assert!(matches!(publish, Err(PublishError::Unconfirmed(RabbitmqError::SessionEnded(_)))), "{publish:?}");
    assert!(within("an answer", delivery.ack()).await?.is_err());
    within("the close", session.close()).await?;

    let (session, mut deliveries) = Session::open(&rabbitmq::settings(&vhost.amqp_url()), Some(1)).await?;
    assert_eq!(next(&mut deliveries).await?.message.message_id.as_deref(), Some("one"));
    session.close().await;
    Ok(())
}

#[tokio::test]
async fn a_deleted_work_queue_ends_the_session() -> Result<()> {
    let (vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let (session, mut deliveries) = Session::open(&settings, Some(1)).await?;
    Operator::connect(&vhost).await?.delete_queue("replication.work").await?;
    assert!(within("the end of the deliveries", deliveries.next()).await?.is_none());
    assert!(session.ended().is_cancelled());
    session.close().await;
    let error = Session::open(&settings, Some(1)).await.err().context("there is nothing to consume")?.to_string();
    assert!(error.contains("consume queue replication.work") && error.contains("topology apply"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_missing_exchange_ends_the_session() -> Result<()> {
    let (_vhost, settings) = fresh_vhost().await?;
    let (session, _deliveries) = Session::open(&settings, None).await?;
    let answer = session.publisher().publish("nowhere", "key", &message("one")).await;
    assert!(matches!(answer, Err(PublishError::Unconfirmed(_))), "{answer:?}");
    assert!(session.ended().is_cancelled());
    assert!(session.end_reason().is_some_and(|reason| reason.contains("nowhere")), "{:?}", session.end_reason());
    session.close().await;
    Ok(())
}

#[tokio::test]
async fn a_worker_needs_no_right_to_configure() -> Result<()> {
    let (vhost, settings) = fresh_vhost().await?;
    apply(&settings).await?;
    let (write, read) = (r"^(media\.replication|replication\.(retry|dlx))$", r"^replication\.work$");
    let worker = format!("{}-worker", vhost.name());
    vhost.broker().add_user(&worker, "pass", "^$", write, read, vhost.name()).await?;
    let limited = rabbitmq::settings(&vhost.broker().amqp_url_as(&worker, "pass", vhost.name()));

    let report = check(&limited).await?;
    assert!(report.is_complete() && report.not_permitted().count() > 5, "{report:?}");
    assert!(apply(&limited).await.unwrap_err().to_string().contains("give the user the permission"));
    let (session, mut deliveries) = Session::open(&limited, Some(1)).await?;
    session.publisher().publish("replication.retry", "now", &message("one")).await?;
    let delivery = next(&mut deliveries).await?;
    session.publisher().publish("replication.dlx", "dead.permanent", &delivery.message).await?;
    delivery.ack().await?;
    session.close().await;
    vhost.broker().delete_user(&worker).await?;
    depth_becomes(&vhost, "replication.dead", 1).await?;
    Ok(())
}

#[tokio::test]
async fn a_refused_login_says_what_to_check_and_not_the_password() -> Result<()> {
    let (vhost, _) = fresh_vhost().await?;
    let broker = vhost.broker();
    let wrong_password = rabbitmq::settings(&broker.amqp_url_as(vhost.user(), "hunter2", vhost.name()));
    let wrong_vhost = rabbitmq::settings(&broker.amqp_url_as(vhost.user(), vhost.password(), "nowhere"));
    let no_broker = rabbitmq::settings("amqp://u:hunter2@127.0.0.1:1/%2f");
    for (settings, hint) in [
        (wrong_password, "check user, password and virtual host"),
        (wrong_vhost, "check that the virtual host exists"),
        (no_broker, "check that it runs"),
    ] {
        let error = Session::open(&settings, None).await.err().context("it connected")?;
        assert!(error.to_string().contains("127.0.0.1:") && error.to_string().contains(hint), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_silent_peer_is_given_up() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let mut settings = rabbitmq::settings(&format!("amqp://u:p@{}/%2f", silent.local_addr()?));
    settings.timeout_seconds = 1;
    let error = within("giving up", Session::open(&settings, None)).await?.err().context("it connected")?;
    assert!(matches!(error, RabbitmqError::TimedOut { .. }), "{error}");
    // And the socket is not left behind.
    let (mut accepted, _) = silent.accept().await?;
    within("the hang-up", tokio::io::copy(&mut accepted, &mut tokio::io::sink())).await??;
    Ok(())
}

#[tokio::test]
async fn an_alarm_delays_a_publish_and_ends_the_session_when_it_lasts() -> Result<()> {
    let node = start_rabbitmq().await?;
    let vhost = Vhost::create(node.broker()).await?;
    let mut settings = rabbitmq::settings(&vhost.amqp_url());
    settings.timeout_seconds = 2;
    apply(&settings).await?;
    let (session, _deliveries) = Session::open(&settings, None).await?;
    let publisher = session.publisher();
    node.ctl(&["set_vm_memory_high_watermark", "absolute", "10MB"]).await?;
    let mut waiting = tokio::spawn(async move { publisher.publish("media.replication", "key", &message("one")).await });
    // What is shown is that time passes: longer than a call may take, shorter than an alarm may last.
    let longer_than_a_call = std::time::Duration::from_secs(2 * settings.timeout_seconds);
    assert!(tokio::time::timeout(longer_than_a_call, &mut waiting).await.is_err(), "it did not wait");
    assert!(!session.ended().is_cancelled());
    node.ctl(&["set_vm_memory_high_watermark", "0.4"]).await?;
    within("the publish", waiting).await???;
    session.close().await;

    settings.max_blocked_seconds = 1;
    let (session, _deliveries) = Session::open(&settings, None).await?;
    node.ctl(&["set_vm_memory_high_watermark", "absolute", "10MB"]).await?;
    let publish = within("an answer", session.publisher().publish("media.replication", "key", &message("two"))).await?;
    assert!(matches!(publish, Err(PublishError::Unconfirmed(_))), "{publish:?}");
    assert!(session.end_reason().is_some_and(|reason| reason.contains("alarms")), "{:?}", session.end_reason());
    within("the close", session.close()).await?;
    Ok(())
}
