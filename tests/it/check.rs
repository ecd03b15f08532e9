//! `check`: says for the broker and every site what it reached and what not, and changes nothing.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use testbed::emulator::{FaultRule, Set};

use crate::support::{World, run_once};

/// Runs `check`; gives each line's word by "who what", and the exit code.
async fn check(world: &World) -> Result<(BTreeMap<String, String>, Option<i32>)> {
    let output = run_once(&world.config(), &["check"]).await?;
    anyhow::ensure!(output.stderr.is_empty(), "log lines in between: {}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout)?;
    let mut lines = BTreeMap::new();
    for line in printed.lines() {
        let (who, rest) = line.split_at_checked(11).context("short line")?;
        let (what, found) = rest.split_at_checked(15).context("short line")?;
        lines.insert(format!("{} {}", who.trim(), what.trim()), found.trim().to_owned());
    }
    Ok((lines, output.status.code()))
}

fn failed(lines: &BTreeMap<String, String>) -> Vec<&str> {
    lines.iter().filter(|(_, found)| !found.starts_with("ok ")).map(|(what, _)| what.as_str()).collect()
}

#[tokio::test]
async fn everything_that_can_be_reached_is_ok_and_nothing_is_changed() -> Result<()> {
    let world = World::start().await?;
    let (lines, code) = check(&world).await?;
    assert_eq!((failed(&lines), code), (vec!["broker topology"], Some(1)), "nothing is declared yet: {lines:?}");
    assert_eq!(world.vhost.queue_depth("replication.work").await?, None, "and check has declared nothing");

    world.worker().await?.kill().await?;
    let (lines, code) = check(&world).await?;
    assert_eq!((failed(&lines), code), (vec![], Some(0)), "{lines:?}");
    let whats: Vec<_> = lines.keys().map(String::as_str).collect();
    let of_site =
        |site: &str| ["identity", "media service", "storage", "streaming"].map(|what| format!("{site} {what}"));
    let expected = ["broker rabbitmq".to_owned(), "broker topology".into()]
        .into_iter()
        .chain(of_site("east"))
        .chain(of_site("west"));
    assert_eq!(whats, expected.collect::<Vec<_>>());
    let door = format!("{}/v2/OAuth2-13", world.emulator.acs_url());
    assert_eq!(lines["east identity"], format!("ok      cloud global, key of account eastmedia at ACS {door}"));
    for site in ["west", "east"] {
        let made: usize = [Set::Assets, Set::AccessPolicies, Set::Locators]
            .map(|set| world.site(site).entities(set).len())
            .iter()
            .sum();
        assert_eq!(made, 0, "{site}");
    }
    assert!(world.emulator.requests().iter().all(|request| request.method == "GET" || request.path.contains("OAuth2")));
    Ok(())
}

#[tokio::test]
async fn each_thing_that_is_broken_is_named_alone() -> Result<()> {
    let world = World::start().await?;
    world.worker().await?.kill().await?;
    let good = std::fs::read_to_string(world.config())?;
    let east = |text: &str| good.find("[sites.east").map(|at| format!("{}{}", &good[..at], text)).unwrap_or_default();
    let of_east = good[good.find("[sites.east").context("no east")?..].to_owned();
    let wrong_key = "key = 'd3Jvbmcga2V5'";
    let media_key = format!("key = '{}'", crate::support::MEDIA_KEY);
    let storage_key = of_east.lines().filter(|line| line.starts_with("key = ")).nth(1).context("no storage key")?;
    let blob_url = of_east.lines().find(|line| line.starts_with("blob_url")).context("no blob url")?;
    let acs = format!("token_url = '{}'", world.emulator.acs_url());
    let api = format!("api_url = '{}'", world.emulator.front_door_url());
    let nowhere = "'http://127.0.0.1:1/'";
    for (from, to, broken, word) in [
        (media_key.as_str(), wrong_key, "east identity", "media.key"),
        (storage_key, wrong_key, "east storage", "key"),
        (acs.as_str(), &format!("token_url = {nowhere}"), "east identity", "127.0.0.1:1"),
        (api.as_str(), &format!("api_url = {nowhere}"), "east media service", "127.0.0.1:1"),
        (blob_url, &format!("blob_url = {nowhere}"), "east storage", "no answer"),
        ("region = 'test-east'", &format!("streaming_url = {nowhere}"), "east streaming", "127.0.0.1:1"),
    ] {
        assert!(of_east.contains(from), "{from}");
        std::fs::write(world.config(), east(&of_east.replacen(from, to, 1)))?;
        let (lines, code) = check(&world).await?;
        assert_eq!((failed(&lines), code), (vec![broken], Some(1)), "{to}: {lines:?}");
        assert!(lines[broken].contains(word), "'{word}' is not in: {}", lines[broken]);
    }
    std::fs::write(world.config(), &good)?;

    world.site("west").stop_endpoint()?;
    let (lines, _) = check(&world).await?;
    assert_eq!(failed(&lines), ["west streaming"], "{lines:?}");
    assert!(lines["west streaming"].contains("start the streaming endpoint"), "{lines:?}");
    world.site("west").start_endpoint()?;

    world.emulator.fault(FaultRule::status(503).of_account("westmedia").times(99));
    let (lines, _) = check(&world).await?;
    assert_eq!(failed(&lines), ["west media service"], "{lines:?}");
    world.emulator.clear_faults();

    let url = good.lines().find(|line| line.starts_with("url = ")).context("no url")?;
    std::fs::write(world.config(), good.replace(url, "url = 'amqp://u:hunter2@127.0.0.1:1/%2f'"))?;
    let (lines, code) = check(&world).await?;
    assert_eq!((failed(&lines), code), (vec!["broker rabbitmq"], Some(1)), "{lines:?}");
    assert!(!format!("{lines:?}").contains("hunter2"), "{lines:?}");
    Ok(())
}

#[tokio::test]
async fn a_topology_that_is_there_but_different_is_named() -> Result<()> {
    let world = World::start().await?;
    world.worker().await?.kill().await?;
    // Another prefix needs another alternate exchange of the same outgoing exchange.
    let text = std::fs::read_to_string(world.config())?;
    std::fs::write(world.config(), text.replace("[rabbitmq]\n", "[rabbitmq]\nprefix = 'other'\n"))?;
    let output = run_once(&world.config(), &["check"]).await?;
    let printed = String::from_utf8(output.stdout)?;
    let different = printed.lines().find(|line| line.contains("media.replication")).context("not named")?;
    assert!(different.starts_with("broker") && different.contains("FAILED"), "{printed}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(world.vhost.queue_depth("other.work").await?, None, "nothing is declared");
    Ok(())
}
