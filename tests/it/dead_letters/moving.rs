//! Replaying, discarding and editing: exactly what was meant is moved, and everything else stays as it was.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lapin::types::AMQPValue;
use testbed::amqp::Outgoing;

use super::desk::{Desk, counted, ids, letter, letters};

const BASICS: &[&str] = &["attempt", "class", "code", "error", "hint", "step", "site", "first-seen", "set-aside-at"];

#[tokio::test]
async fn exactly_the_letters_of_a_code_are_replayed_at_the_rate() -> Result<()> {
    let desk = Desk::set_up().await?;
    let (wanted, others) = (letters("x", 200, "exhausted", "timeout"), letters("y", 200, "permanent", "other"));
    desk.set_aside(wanted.into_iter().zip(others).flat_map(|(one, other)| [one, other]).collect()).await?;
    let begin = Instant::now();
    let account = desk.json("replay --code timeout --rate 200 --yes --who ada").await?;
    let took = begin.elapsed();
    println!("200 letters at 200/s took {} ms", took.as_millis());
    assert_eq!((&account["moved"], &account["action"]), (&200.into(), &"replayed".into()), "{account:#}");
    assert!(took >= Duration::from_millis(199 * 1_000 / 200), "faster than the rate: {took:?}");

    let left = desk.drain("replication.dead").await?;
    assert_eq!(ids(&left), (0..200).map(|number| format!("y-{number:05}")).collect::<Vec<_>>(), "the others, in order");
    let moved = desk.drain("replication.work").await?;
    let expected = (0..200).map(|number| (format!("x-{number:05}"), 1)).collect();
    assert_eq!(counted(&moved), expected);
    for message in &moved {
        let header = |name: &str| message.headers.get(&format!("x-replication-{name}")).map(String::as_str);
        assert_eq!((header("replays"), header("replay-run")), (Some("1"), account["run"].as_str()));
        assert!(BASICS.iter().all(|name| header(name).is_none()), "not a full life: {:?}", message.headers);
        assert_eq!(message.headers.get("cms-id").map(String::as_str), Some("4711"), "theirs travels on");
    }

    assert_eq!(desk.listed("").await?.len(), 200);
    let all = desk.json("list --all --code timeout").await?;
    let states = all["letters"].as_array().context("no letters")?.iter().map(|letter| letter["state"].as_str());
    assert!(states.clone().count() == 200 && states.clone().all(|state| state == Some("replayed")), "{all:#}");
    let shown = desk.json("show x-00007").await?;
    assert_eq!(shown["history"][1]["action"], "replayed", "{shown:#}");
    assert_eq!((&shown["history"][1]["who"], &shown["history"][1]["run"]), (&"ada".into(), &account["run"]));
    Ok(())
}

#[tokio::test]
async fn without_a_word_from_anybody_nothing_is_moved() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("x", 3, "permanent", "other")).await?;
    for (words, code, told) in [
        ("replay --yes", 64, "say which letters"),
        ("replay --all", 64, "--yes"),
        ("discard --all --yes", 64, "--reason"),
        ("replay --code none --yes", 2, "no letter fits"),
        ("replay --id nobody --yes", 2, "no letter fits"),
        ("replay --id x-0000 --yes", 64, "fits 3 letters"),
        ("replay --all --since yesterday --yes", 64, "neither a span"),
        ("show nobody", 2, "no dead letter"),
        ("edit nobody --yes", 2, "nobody"),
        ("replay --all --dry-run", 0, "would replay 3 letters"),
        ("discard --all --reason test --limit 2 --dry-run", 0, "would discard 2 letters"),
    ] {
        let output = desk.run(words).await?;
        let errors = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(code), "{words}: {errors}");
        assert!(errors.contains(told), "{words}: {errors}");
    }
    let left = desk.drain("replication.dead").await?;
    assert_eq!(ids(&left), ["x-00000", "x-00001", "x-00002"]);
    assert!(left.iter().all(|letter| letter.headers.get("x-delivery-count").is_none_or(|count| count == "0")));
    Ok(())
}

#[tokio::test]
async fn what_is_discarded_is_gone_from_the_queue_and_remembered_with_the_reason() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("x", 3, "permanent", "other")).await?;
    let output = desk.run("discard --id x-00001 --reason test-data --yes").await?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(ids(&desk.drain("replication.dead").await?), ["x-00000", "x-00002"]);
    assert_eq!(desk.depth("replication.work").await?, 0);
    let shown = desk.print("show x-00001").await?;
    assert!(shown.contains("discarded by ") && shown.contains(": test-data"), "{shown}");
    Ok(())
}

#[tokio::test]
async fn an_edited_letter_is_sent_under_a_new_id_that_names_the_old() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("x", 2, "permanent", "other")).await?;
    let file = desk.file("body.json");
    std::fs::write(&file, r#"{"site":"east"}"#)?;
    let account = desk.json(&format!("edit x-00000 --body-file {} --yes", file.display())).await?;
    let sent = desk.drain("replication.work").await?;
    ensure!(sent.len() == 1, "{sent:?}");
    assert_eq!(sent[0].body, br#"{"site":"east"}"#);
    assert_eq!(sent[0].message_id.as_deref(), account["newId"].as_str());
    assert_eq!(sent[0].headers.get("x-replication-edited-from").map(String::as_str), Some("x-00000"));
    assert_eq!(ids(&desk.drain("replication.dead").await?), ["x-00001"]);
    assert_eq!(desk.listed("").await?, ["x-00001"]);

    // An editor that may take arguments, and one that is left without saving.
    desk.set_aside(letters("z", 1, "permanent", "other")).await?;
    let unchanged = desk.edit_with("true", "z-00000").await?;
    assert_eq!(unchanged.status.code(), Some(2), "{unchanged:?}");
    let output = desk.edit_with("sed -i s/west/north/", "z-00000").await?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let sent = desk.drain("replication.work").await?;
    assert!(String::from_utf8_lossy(&sent[0].body).contains("north"), "{sent:?}");
    Ok(())
}

#[tokio::test]
async fn a_letter_that_goes_in_circles_needs_force() -> Result<()> {
    let desk = Desk::set_up().await?;
    let mut circling = letter("round", "permanent", "other");
    circling.other_headers.insert("x-replication-replays".into(), AMQPValue::LongLongInt(3));
    desk.set_aside(vec![circling, letter("straight", "permanent", "other")]).await?;
    let account = desk.json("replay --all --yes").await?;
    assert_eq!(account["ids"], serde_json::json!(["straight"]), "{account:#}");
    let refused = desk.run("replay --all --yes").await?;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("refused without --force"));
    let account = desk.json("replay --all --yes --force").await?;
    assert_eq!(account["ids"], serde_json::json!(["round"]), "{account:#}");
    let sent = desk.drain("replication.work").await?;
    assert_eq!(sent[1].headers.get("x-replication-replays").map(String::as_str), Some("4"));
    Ok(())
}

#[tokio::test]
async fn a_replay_of_what_still_fails_ends_by_itself() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("x", 300, "permanent", "other")).await?;
    let failing = async {
        loop {
            let Some(message) = desk.amqp.take("replication.work").await? else {
                tokio::task::yield_now().await;
                continue;
            };
            let headers = message.headers.into_iter().filter(|(name, _)| name.starts_with("x-replication-"));
            let again = Outgoing {
                body: message.body.into(),
                message_id: message.message_id,
                headers: headers.collect(),
                ..Outgoing::default()
            };
            desk.amqp.publish("replication.dlx", "dead.permanent", again).await?;
        }
    };
    let output = tokio::select! {
        output = desk.run("replay --all --rate 100 --yes --json") => output?,
        failed = failing => { let failed: Result<()> = failed; return failed; }
    };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let account: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert!(account["moved"].as_u64().is_some_and(|moved| moved > 0 && moved < 300), "{account:#}");
    assert!(account["stopped"].as_str().is_some_and(|why| why.contains("has come back")), "{account:#}");
    let listed = desk.listed("").await?.len();
    let mut all = desk.drain("replication.dead").await?;
    assert_eq!(listed, counted(&all).len(), "those that came back are open again");
    all.extend(desk.drain("replication.work").await?);
    assert_eq!(counted(&all).len(), 300, "nothing is lost");
    Ok(())
}
