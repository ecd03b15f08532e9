//! Two hundred messages with faults among them, and what is counted of each; the probes while the broker comes and goes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::amqp::Subscription;
use testbed::proxy::{FaultProxy, Rule};
use testbed::tcp_proxy::TcpProxy;

use super::address;
use crate::packaged::films::{Film, StaticWorld};
use crate::support::rabbitmq::url_through;
use crate::support::{Worker, World, eventually, within};

const FILMS: usize = 10;
const ROUNDS: usize = 19;
const BROKEN: usize = 5;
const UNUSABLE: usize = 3;
const OTHER: usize = 2;
const GOOD: usize = FILMS * ROUNDS;
const ALL: usize = GOOD + BROKEN + UNUSABLE + OTHER;
const _: () = assert!(ALL >= 200);

/// All samples, by name and labels as they are told.
struct Samples(BTreeMap<String, f64>);

impl Samples {
    async fn of(address: &str) -> Result<Self> {
        let text = reqwest::get(format!("{address}/metrics")).await?.error_for_status()?.text().await?;
        let sample = |line: &str| {
            let (name, value) = line.strip_prefix("stream_replicator_")?.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(Self(text.lines().filter_map(sample).collect()))
    }

    /// The sum of a metric's samples with all these labels.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let is_it = |key: &str| {
            let (metric, told) = key.split_once('{').unwrap_or((key, ""));
            metric == name && labels.iter().all(|label| told.contains(label))
        };
        self.0.iter().filter(|(key, _)| is_it(key)).map(|(_, value)| value).sum()
    }
}

async fn events_of(events: &mut Subscription, wanted: usize, worker: &Worker) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    while all.len() < wanted {
        let event = within("an event", events.next()).await;
        all.push(event.with_context(|| format!("{} of {wanted}: {}", all.len(), worker.log()))?.json()?);
    }
    Ok(all)
}

/// Every film in every round, and among them what cannot be replicated, cannot be used, or is not for us.
async fn send_all(world: &StaticWorld) -> Result<()> {
    let location = |prefix: &str| json!({ "location": { "container": world.container, "prefix": prefix } });
    let finished = time::OffsetDateTime::now_utc() - time::Duration::seconds(30);
    let finished = finished.format(&time::format_description::well_known::Rfc3339)?;
    for round in 0..ROUNDS {
        for film in 0..FILMS {
            let asset = location(&format!("film-{film}"));
            world.send(json!({ "site": "west", "asset": asset, "finishedAt": finished })).await?;
        }
        if round < BROKEN {
            world.send(json!({ "site": "west", "asset": location("text") })).await?;
        }
        if round < UNUSABLE {
            world.send(json!({ "site": "west", "asset": { "location": { "container": "NO" } } })).await?;
        }
        if round < OTHER {
            let job = "nb:jid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
            let properties = json!({ "JobId": job, "NewState": "Processing", "OldState": "Queued" });
            let body = json!({
                "MessageVersion": "1.1", "ETag": "e", "EventType": "JobStateChange",
                "TimeStamp": "2026-11-20T10:15:30.1234567Z", "Properties": properties,
            });
            world.send_body(body).await?;
        }
    }
    Ok(())
}

/// What became of the messages.
fn ensure_messages_counted(count: impl Fn(&str, &[&str]) -> usize) {
    let settled = |settlement: &str, class: &str| {
        count("messages_total", &[&format!("settlement=\"{settlement}\""), &format!("class=\"{class}\"")])
    };
    assert_eq!(settled("complete", "none"), GOOD);
    assert_eq!(settled("dead_letter", "permanent"), BROKEN);
    assert_eq!(settled("park", "invalid"), UNUSABLE);
    assert_eq!((settled("ignore", "none"), count("ignored_total", &[])), (OTHER, OTHER));
    assert_eq!(count("dead_letters_total", &[r#"class="permanent""#, r#"code="nothing-to-play""#]), BROKEN);
    assert_eq!(count("dead_letters_total", &[r#"class="invalid""#, r#"code="wrong-location""#]), UNUSABLE);
    let retried = settled("retry", "transient");
    assert!((1..=4).contains(&retried), "{retried} tries have failed");
    assert!(count("retries_total", &[]) >= retried);
    // an event for each replica, and for each dead letter beside the letter itself
    let published = GOOD + BROKEN * 2 + UNUSABLE + retried;
    assert!(count("publishes_total", &[r#"result="confirmed""#]) >= published);
    assert_eq!(count("publishes_total", &[]), count("publishes_total", &[r#"result="confirmed""#]));
    let now = ["messages_in_flight", "oldest_message_age_seconds", "broker_connected", "broker_blocked"];
    assert_eq!(now.map(|gauge| count(gauge, &[])), [0, 0, 1, 0]);
}

#[tokio::test]
async fn two_hundred_messages_with_faults_are_all_counted() -> Result<()> {
    let world = StaticWorld::start().await?;
    let azurite = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*azurite.first().context("no address")?).await?;
    world
        .write_config("[admin]\nlisten = '127.0.0.1:0'\n[http]\ntries = 1\n[worker]\nbrake_after = 0\n", proxy.url())?;
    let worker = world.worker().await?;
    let (mut events, url) = (world.events().await?, address(&worker).await?);
    for number in 0..FILMS {
        world.upload("west", &Film::new(&format!("film-{number}/")).with_hls(&["v"], 3)).await?;
    }
    world.upload("west", &Film::new("text/").with("a.txt", "text/plain", "no film")).await?;
    // whole attempts, as there is one try in process
    let busy = proxy.fault(Rule::answer(503, "ServerBusy").query("comp=list").times(4));
    send_all(&world).await?;
    let told = events_of(&mut events, GOOD + BROKEN, &worker).await?;
    assert_eq!(told.iter().filter(|event| event["type"] == "media.asset.replicated.v1").count(), GOOD);
    let settled = eventually("all of them to be counted", || async {
        let samples = Samples::of(&url).await?;
        let ends = ["complete", "ignore", "dead_letter", "park"];
        let count: f64 =
            ends.iter().map(|end| samples.sum("messages_total", &[&format!("settlement=\"{end}\"")])).sum();
        let is_all = count as usize == ALL && samples.sum("messages_in_flight", &[]) == 0.0;
        Ok(is_all.then_some(samples))
    });
    let samples = settled.await.with_context(|| worker.log())?;
    let count = |name: &str, labels: &[&str]| samples.sum(name, labels) as usize;
    assert_eq!(busy.hits(), 4);
    ensure_messages_counted(count);

    let route = [r#"source="west""#, r#"replica="east""#];
    assert_eq!(count("replicas_total", &[route[0], route[1], r#"level="playback""#]), GOOD);
    assert_eq!(count("replication_lag_seconds_count", &route), GOOD);
    assert!(samples.sum("replication_lag_seconds_sum", &route) >= (30 * GOOD) as f64, "finished half a minute ago");
    assert_eq!(count("replication_lag_seconds_bucket", &[r#"le="10""#]), 0);
    for part in ["queue_wait", "control_plane", "bytes", "verification"] {
        assert!(count("replication_part_seconds_count", &[&format!("part=\"{part}\"")]) >= GOOD, "{part}");
    }
    assert_eq!(count("copied_files_total", &route), FILMS * 5, "once, however often they are announced");
    let text = reqwest::get(format!("{url}/metrics")).await?.text().await?;
    assert!(!text.contains("film-") && !text.contains(&world.container), "an asset's name is in a label: {text}");
    Ok(())
}

#[tokio::test]
async fn probes_tell_a_worker_without_broker_from_one_that_is_dead() -> Result<()> {
    let world = World::start().await?;
    let wire = TcpProxy::before_port(world.vhost.broker().amqp_port()).await?;
    world.write_config(&["west", "east"], "[admin]\nlisten = '127.0.0.1:0'\n")?;
    world.change_config(&world.vhost.amqp_url(), &url_through(&wire, &world.vhost))?;
    let worker = world.worker().await?;
    let url = address(&worker).await?;
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{url}{path}")).await?;
        anyhow::Ok((answer.status().as_u16(), answer.text().await?))
    };
    let becomes = async |status: u16| {
        let look = || async { Ok((get("/readyz").await?.0 == status).then_some(())) };
        eventually(&format!("/readyz: {status}"), look).await.with_context(|| worker.log())
    };
    becomes(200).await?;
    let (status, version) = get("/version").await?;
    ensure!(status == 200 && version.contains(env!("CARGO_PKG_VERSION")), "{version}");

    wire.refuse_next(u32::MAX);
    wire.reset();
    becomes(503).await?;
    assert_eq!(get("/healthz").await?, (200, "alive\n".to_owned()), "it is not its fault");
    let connected = async || Ok::<_, anyhow::Error>(Samples::of(&url).await?.sum("broker_connected", &[]));
    eventually("no broker in the metrics", || async { Ok((connected().await? == 0.0).then_some(())) }).await?;
    wire.refuse_next(0);
    becomes(200).await?;
    assert_eq!(connected().await?, 1.0);
    assert_eq!(get("/nothing").await?.0, 404);
    Ok(())
}
