//! Listing, grouping, showing and exporting: everything is told, and nothing is touched.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use stream_replicator::rabbitmq::Session;
use testbed::amqp::Outgoing;

use super::desk::{Desk, ids, letter, letters};
use crate::support::rabbitmq::{message, next};
use crate::support::run_at_terminal;

#[tokio::test]
async fn listings_leave_all_letters_in_their_order() -> Result<()> {
    list_again_and_again(5, 1_500).await
}

mod long {
    #[tokio::test]
    async fn thirty_listings_of_5000_letters_leave_all_of_them_in_their_order() -> anyhow::Result<()> {
        super::list_again_and_again(30, 5_000).await
    }
}

async fn list_again_and_again(times: u32, number: usize) -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("a", number, "permanent", "asset-encrypted")).await?;
    let expected: Vec<_> = (0..number).map(|number| format!("a-{number:05}")).collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..times {
        let begin = Instant::now();
        let listed = desk.listed("").await?;
        slowest = slowest.max(begin.elapsed());
        assert_eq!(listed, expected);
    }
    println!("slowest of {times} listings of {number} letters: {} ms", slowest.as_millis());
    let left = desk.drain("replication.dead").await?;
    assert_eq!(ids(&left), expected);
    let untouched = |count: Option<&String>| count.is_none_or(|count| count == "0");
    assert!(left.iter().all(|letter| untouched(letter.headers.get("x-delivery-count"))), "never delivered before");
    Ok(())
}

#[tokio::test]
async fn an_empty_log_has_an_end() -> Result<()> {
    let desk = Desk::set_up().await?;
    assert_eq!(desk.print("list").await?, "no letters\n");
    assert_eq!(desk.print("groups").await?, "no letters\n");
    assert_eq!(desk.json("list").await?["letters"], serde_json::json!([]));
    assert_eq!(desk.run("export").await?.status.code(), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_log_that_grows_while_it_is_read_has_an_end_too() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("before", 100, "permanent", "other")).await?;
    let growing = async {
        for number in 0.. {
            let one = letter(&format!("later-{number}"), "permanent", "other");
            desk.amqp.publish("replication.dlx", "dead.permanent", one).await?;
        }
        anyhow::Ok(())
    };
    let listed = tokio::select! {
        listed = desk.listed("") => listed?,
        grown = growing => { grown?; Vec::new() }
    };
    assert!((0..100).all(|number| listed.contains(&format!("before-{number:05}"))), "{} listed", listed.len());
    Ok(())
}

#[tokio::test]
async fn letters_are_chosen_counted_and_shown_whole() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("enc", 3, "permanent", "asset-encrypted")).await?;
    desk.set_aside(letters("time", 2, "expired", "timeout")).await?;
    let mut raw = Outgoing { body: vec![0xff, 0x1b, b'['].into(), ..Outgoing::default() };
    raw.headers.push(("x-replication-code".to_owned(), "\u{1b}[2Jnot-json".to_owned()));
    desk.amqp.publish("replication.dlx", "parked.not-json", raw).await?;

    let asset = desk.json("show time-00001").await?["asset"].as_str().context("no asset")?.to_owned();
    assert_eq!(desk.listed(" --code timeout").await?, ["time-00000", "time-00001"]);
    assert_eq!(desk.listed(" --class permanent --limit 2").await?, ["enc-00001", "enc-00002"]);
    assert_eq!(desk.listed(&format!(" --asset {asset}")).await?, ["time-00001"]);
    assert_eq!(desk.listed(" --id enc-00002 --id time-00000").await?, ["enc-00002", "time-00000"]);
    assert_eq!(desk.listed(" --since 2026-11-20T10:16:30Z").await?.len(), 5);
    assert!(desk.listed(" --since 2026-11-20T10:16:31Z").await?.is_empty());

    let groups = desk.json("groups").await?;
    let counts =
        groups["groups"].as_array().context("no groups")?.iter().map(|group| (&group["count"], &group["code"]));
    let expected = [(3.into(), "asset-encrypted".into()), (2.into(), "timeout".into())];
    assert_eq!(
        counts.collect::<Vec<_>>(),
        expected.iter().map(|(one, other): &(Value, Value)| (one, other)).collect::<Vec<_>>()
    );

    // Without a message id it is known by its body, and what it holds never commands the terminal.
    let parked = desk.listed(" --queue parked").await?;
    assert!(parked.len() == 1 && parked[0].starts_with("sha256-"), "{parked:?}");
    let hash = parked[0].trim_start_matches("sha256-");
    let shown = desk.print(&format!("show {hash} --queue parked")).await?;
    assert!(!shown.contains('\u{1b}') && shown.contains("3 bytes that are no text"), "{shown}");
    assert_eq!(desk.json(&format!("show {hash} --queue parked")).await?["bodyBase64"], "/xtb");

    let file = desk.file("letters.jsonl");
    desk.print(&format!("export --code timeout --output {}", file.display())).await?;
    let lines = std::fs::read_to_string(&file)?;
    let exported = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    assert_eq!(exported.len(), 2);
    assert_eq!((&exported[1]["id"], &exported[1]["headers"]["cms-id"]), (&"time-00001".into(), &"4711".into()));
    assert!(exported[1]["bodyText"].as_str().is_some_and(|body| body.contains(&asset)), "{lines}");
    let again = desk.run(&format!("export --output {}", file.display())).await?;
    assert_eq!(again.status.code(), Some(1), "an existing file is not overwritten");
    assert_eq!(desk.depth("replication.dead").await?, 5);
    Ok(())
}

#[tokio::test]
async fn a_table_fits_and_has_colours_only_at_a_terminal() -> Result<()> {
    let desk = Desk::set_up().await?;
    let mut wide = letter("9c0f1a2b-6b1d-4e0e-9d57-2f6a41c79b02", "permanent", "a-code-that-is-longer-than-all-others");
    wide.headers.push(("x-replication-step".to_owned(), "a_step_that_has_a_long_name_as_well".to_owned()));
    desk.set_aside(vec![wide]).await?;
    let piped = desk.print("list").await?;
    assert!(piped.lines().all(|line| line.chars().count() <= 80), "{piped}");
    assert!(piped.contains("9c0f1a2b ") && piped.contains("1 letter: 1 permanent"), "{piped}");
    assert!(!piped.contains('\u{1b}'), "{piped}");
    let (shown, _) = run_at_terminal(&desk.config(), &["dead-letters", "list"]).await?;
    assert!(shown.contains("\u{1b}[1m"), "{shown:?}");
    Ok(())
}

#[tokio::test]
async fn what_the_broker_gave_up_is_of_its_own_class_and_can_be_replayed() -> Result<()> {
    let desk = Desk::set_up().await?;
    let (session, mut deliveries) = Session::open(&desk.settings, Some(1)).await?;
    let mut deadly = message("deadly");
    deadly.headers.set("x-replication-code", "from-an-earlier-try");
    session.publisher().publish("replication.retry", "now", &deadly).await?;
    for _ in 0..21 {
        next(&mut deliveries).await?.hand_back().await?;
    }
    session.close().await;
    crate::support::rabbitmq::depth_becomes(&desk.vhost, "replication.dead", 1).await?;
    let document = desk.json("list").await?;
    let deadly = &document["letters"][0];
    assert_eq!((&deadly["id"], &deadly["class"], &deadly["code"]), (&"deadly".into(), &"broker".into(), &Value::Null));
    assert!(deadly["error"].as_str().is_some_and(|why| why.contains("queue replication.work")), "{deadly:#}");
    desk.print("replay --class broker --yes").await?;
    let sent = desk.drain("replication.work").await?;
    let marks: Vec<_> = sent[0].headers.keys().filter(|name| name.contains("death")).collect();
    assert!(sent.len() == 1 && marks.is_empty(), "the broker's marks travel on: {marks:?}");
    Ok(())
}
