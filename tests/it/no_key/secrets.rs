//! The signature of a SAS locator is a secret: it is in no log line, no event and no letter, whatever happens.

use anyhow::{Context, Result, ensure};
use testbed::proxy::Rule;

use super::scene::{ensure_none_left, names, signatures, world_behind_proxy, world_without_keys};
use crate::support::{Echo, Secrets, World, run_once, within};

const TRACE: &str = "[worker]\nlog_filter = 'trace'\n[http]\ntries = 1\n";

/// The signatures that there are now.
fn secrets(world: &World) -> Secrets {
    let mut secrets = Secrets::default();
    for locator in ["west", "east"].iter().flat_map(|site| signatures(world, site)) {
        let parts = locator.path.split(['?', '&']).filter_map(|part| part.strip_prefix("sig="));
        parts.for_each(|signature| secrets.add(&locator.uuid, signature));
    }
    secrets
}

fn ensure_clean(secrets: &Secrets, texts: &[(&str, String)]) -> Result<()> {
    for (what, text) in texts {
        let found = secrets.found_in(text);
        ensure!(found.is_empty(), "{what} has {found:?}:\n{}", secrets.lines_with_any(text));
    }
    Ok(())
}

#[tokio::test]
async fn a_replica_tells_no_signature() -> Result<()> {
    let (world, proxy) = world_behind_proxy(TRACE).await?;
    // Not ready at first, so that there is something to see while the worker waits.
    proxy.fault(Rule::answer(403, "AuthenticationFailed").path("/east/").query("comp=list").times(1));
    let worker = world.worker().await?;
    let mut events = world.events().await?;
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    worker.logs("sas-not-usable-yet").await?;
    ensure!(names(&world, &["west", "east"]).len() == 2);
    let secrets = secrets(&world);
    let event = within("an event", events.next()).await.with_context(|| worker.log())?;
    let event = format!("{event:?}{}", String::from_utf8_lossy(&event.body));
    ensure_none_left(&world)?;
    let log = worker.log();
    ensure!(log.contains("TRACE") && log.contains("x-ms-copy-source"), "not everything is logged: {log}");
    ensure_clean(&secrets, &[("log", log), ("event", event)])
}

#[tokio::test]
async fn storage_that_quotes_the_signature_is_not_repeated() -> Result<()> {
    let world = world_without_keys(TRACE).await?;
    world.set_retry_delays(&[3600])?;
    let echo = Echo::start(0).await?;
    // Only the replica's storage is at the server that quotes, so that listing the source works.
    let text = std::fs::read_to_string(world.config())?;
    let at_echo = text.replace(&format!("{}east", world.azurite()), &format!("{}/east", echo.url()));
    ensure!(at_echo != text, "{text}");
    std::fs::write(world.config(), at_echo)?;
    let worker = world.worker().await?;
    world.send_finished(&world.encoded_asset("movie").await?.id).await?;
    let letter = world.take("replication.retry.1h").await.with_context(|| worker.log())?;
    let letter = format!("{letter:?}{}", String::from_utf8_lossy(&letter.body));
    ensure!(letter.contains("sas-not-usable-yet"), "{letter}");
    ensure!(names(&world, &["west", "east"]).len() == 2, "kept for the next slice");
    let secrets = secrets(&world);
    let was_told = echo.requests().iter().any(|request| !secrets.found_in(request).is_empty());
    ensure!(was_told, "the server has nothing to quote: {:?}", echo.requests());
    let output = run_once(&world.config(), &["check"]).await?;
    let checked = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(checked.contains("not looked at: it is reached through SAS locators"), "{checked}");
    ensure_clean(&secrets, &[("log", worker.log()), ("letter", letter), ("check", checked)])
}
