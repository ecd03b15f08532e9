//! `replicate`: one asset now, without a broker.

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::emulator::Lag;
use testbed::proxy::{Action, FaultProxy, Rule};

use crate::support::schemas::ensure_event;
use crate::support::{World, next_event, run_at_terminal, run_once};

const ASSET_THAT_IS_NOT_THERE: &str = "nb:cid:UUID:00000000-0000-4000-8000-000000000000";

#[tokio::test]
async fn it_prints_both_urls_and_they_answer() -> Result<()> {
    let world = World::start().await?;
    let asset = world.encoded_asset("movie").await?;
    let output =
        run_once(&world.config(), &["replicate", "--asset", &asset.id, "--from", "west", "--to", "east"]).await?;
    let printed = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    for (line, site) in lines.iter().zip(["west", "east"]) {
        let (name, url) = line.split_once(' ').context("no blank")?;
        assert_eq!(name, site);
        assert!(url.trim().ends_with(&format!("/{}/movie.ism/manifest", asset.locator)), "{url}");
        assert_eq!(reqwest::get(url.trim()).await?.status(), 200);
    }
    Ok(())
}

#[tokio::test]
async fn with_json_it_prints_the_event_that_the_worker_sends() -> Result<()> {
    let world = World::start().await?;
    let asset = world.encoded_asset("movie").await?;
    // Without the route's names: there is only one.
    let output = run_once(&world.config(), &["replicate", "--json", "--asset", &asset.id]).await?;
    let printed: Value = serde_json::from_slice(&output.stdout)?;
    ensure_event(&printed)?;
    let _worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&asset.id).await?;
    let event = next_event(&mut events).await?;
    for member in ["id", "source", "type", "subject"] {
        assert_eq!(printed[member], event[member], "{member}");
    }
    assert_eq!(printed["data"]["urls"], event["data"]["urls"]);
    assert_eq!(
        (&printed["data"]["copy"]["copiedFiles"], &event["data"]["copy"]["skippedFiles"]),
        (&6.into(), &6.into())
    );
    Ok(())
}

#[tokio::test]
async fn it_needs_no_broker_in_the_settings() -> Result<()> {
    let world = World::start().await?;
    let asset = world.encoded_asset("movie").await?;
    let text = std::fs::read_to_string(world.config())?;
    let without_url: Vec<_> = text.lines().filter(|line| !line.starts_with("url = ")).collect();
    assert_ne!(without_url.len(), text.lines().count());
    std::fs::write(world.config(), without_url.join("\n"))?;
    let output = run_once(&world.config(), &["replicate", "--asset", &asset.id]).await?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn a_failure_is_printed_with_its_hint_and_exit_code_1() -> Result<()> {
    let world = World::start().await?;
    let west = world.site("west");
    let id = west.create_asset("secret", 1).await?;
    west.upload(&id, &crate::support::media()?).await?;
    for (asset, code) in [(id.as_str(), "asset-storage-encrypted"), (ASSET_THAT_IS_NOT_THERE, "asset-gone")] {
        let output = run_once(&world.config(), &["replicate", "--asset", asset]).await?;
        let errors = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(
            errors.contains(code) && errors.contains("hint: ") && errors.contains("where: find_source_asset at west"),
            "{errors}"
        );
        assert_eq!(String::from_utf8(output.stdout)?, "", "nothing is printed as a result");
    }
    Ok(())
}

#[tokio::test]
async fn wrong_arguments_are_exit_code_64_and_help_shows_the_codes() -> Result<()> {
    let world = World::start().await?;
    for arguments in [
        &["replicate"][..],
        &["replicate", "--asset"],
        &["replicate", "--asset", "x", "--to", "East"],
        &["nonsense"],
        &[],
    ] {
        let output = run_once(&world.config(), arguments).await?;
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
    }
    for arguments in
        [&["replicate", "--asset", "../x"][..], &["replicate", "--asset", ASSET_THAT_IS_NOT_THERE, "--to", "mars"]]
    {
        let output = run_once(&world.config(), arguments).await?;
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let help = run_once(&world.config(), &["--help"]).await?;
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout)?.contains("Exit codes: 0 done; 1 failed; 2 nothing fits; 3 stopped"));
    Ok(())
}

#[tokio::test]
async fn what_is_not_ready_yet_is_waited_for() -> Result<()> {
    let world = World::start().await?;
    let asset = world.encoded_asset("movie").await?;
    world.site("east").switch(|switches| switches.locator_stream_lag = Lag::requests(1))?;
    let output = run_once(&world.config(), &["replicate", "--asset", &asset.id]).await?;
    let errors = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(errors.contains("not ready, looking again in 5 s"), "{errors}");
    assert_eq!(String::from_utf8(output.stdout)?.lines().count(), 2);
    Ok(())
}

#[tokio::test]
async fn a_site_that_is_down_keeps_no_other_from_its_replica() -> Result<()> {
    let world = World::with_sites(&["west", "east", "north"]).await?;
    let asset = world.encoded_asset("movie").await?;
    world.emulator.make_unavailable("east");
    let output = run_once(&world.config(), &["replicate", "--asset", &asset.id]).await?;
    let (printed, errors) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(printed.lines().any(|line| line.starts_with("north ")), "{printed}");
    assert!(errors.contains("failed (transient") && errors.contains("run the same command again"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn the_bar_is_drawn_at_a_terminal_only() -> Result<()> {
    let world = World::start().await?;
    let address = world.azurite().socket_addrs(|| None)?;
    let proxy = FaultProxy::start(*address.first().context("azurite has an address")?).await?;
    let one_by_one = "[copy]\nmax_requests = 1\n";
    world.write_config_with_blob_url(&["west", "east"], one_by_one, proxy.url())?;
    // So slow that the bar is drawn in between.
    let slow = Action::Delay(std::time::Duration::from_millis(300));
    proxy.fault(Rule::new(slow).header("x-ms-copy-source"));

    let asset = world.encoded_asset("first").await?;
    let (shown, code) = run_at_terminal(&world.config(), &["replicate", "--asset", &asset.id]).await?;
    assert_eq!(code, Some(0), "{shown}");
    for part in ["0/6 files", "3/6 files", "390.75 KiB", "KiB/s", "ETA ", "1 at once"] {
        assert!(shown.contains(part), "'{part}' is not in {shown:?}");
    }
    assert!(shown.contains("/movie.ism/manifest"), "and the URLs: {shown:?}");

    let asset = world.encoded_asset("second").await?;
    let output = run_once(&world.config(), &["replicate", "--asset", &asset.id]).await?;
    let errors = String::from_utf8(output.stderr)?;
    assert!(output.status.success() && !errors.contains("ETA") && !errors.contains('\u{1b}'), "{errors:?}");
    Ok(())
}
