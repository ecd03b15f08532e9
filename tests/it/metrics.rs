//! What Prometheus and probes are told by a running worker: of copies while they run, of messages, of the worker itself.

mod work;

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use testbed::proxy::{Action, ListEdit, Rule};

use crate::support::story::Story;
use crate::support::{Worker, World, eventually, run_once};

/// The value of one metric of the route, with these labels more; `None` where it is not told.
fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let labels: Vec<_> = labels.iter().copied().chain([r#"source="west""#, r#"replica="east""#]).collect();
    text.lines().find_map(|line| {
        let rest = line.strip_prefix("stream_replicator_")?.strip_prefix(name)?.strip_prefix('{')?;
        let (told, value) = rest.split_once("} ")?;
        labels.iter().all(|label| told.contains(label)).then(|| value.parse().ok())?
    })
}

/// Where the worker says that it answers.
pub async fn address(worker: &Worker) -> Result<String> {
    worker.logs("answers /metrics").await?;
    let log = worker.log();
    let line = log.lines().find(|line| line.contains("answers /metrics")).context("no line")?;
    let (_, address) = line.split_once("address=").context("no address")?;
    Ok(format!("http://{}", address.trim()))
}

#[tokio::test]
async fn copies_show_while_they_run_and_after_them() -> Result<()> {
    let settings = "[admin]\nlisten = '127.0.0.1:0'\n[copy]\nmax_requests = 2\n";
    let (mut story, proxy) = Story::begin_behind_proxy(settings).await?;
    let url = format!("{}/metrics", address(&story.worker).await?);
    let get = || async { Ok::<_, anyhow::Error>(reqwest::get(&url).await?.error_for_status()?.text().await?) };
    let busy = proxy.fault(Rule::answer(503, "ServerBusy").header("x-ms-copy-source").times(1));
    let slow = Action::Delay(std::time::Duration::from_millis(800));
    proxy.fault(Rule::new(slow).header("x-ms-copy-source"));
    let asset = story.send_asset().await?;
    let running = eventually("a copy that shows", || async {
        let text = get().await?;
        let is_running = value(&text, "copy_requests_in_flight", &[]) > Some(0.0);
        Ok((is_running && value(&text, "copy_bytes_left", &[]) > Some(0.0)).then_some(text))
    });
    let running = running.await?;
    ensure!(value(&running, "copy_width", &[]) == Some(2.0), "{running}");
    ensure!(value(&running, "copy_files_left", &[]) > Some(0.0), "{running}");

    let event = story.event().await?;
    let text = get().await?;
    let bytes = event["data"]["copy"]["copiedBytes"].as_f64();
    assert_eq!((value(&text, "copied_files_total", &[]), value(&text, "copied_bytes_total", &[])), (Some(6.0), bytes));
    for (result, count) in [("ok", 6.0), ("throttled", 1.0), ("failed", 0.0)] {
        let labels = [r#"operation="whole""#, &format!("result=\"{result}\"")];
        assert_eq!(value(&text, "copy_requests_total", &labels), Some(count), "{result}: {text}");
    }
    assert_eq!(busy.hits(), 1);
    for gauge in ["copy_requests_in_flight", "copy_bytes_left", "copy_files_left"] {
        assert_eq!(value(&text, gauge, &[]), Some(0.0), "{gauge}: {text}");
    }
    assert!(text.contains("# HELP stream_replicator_copied_bytes_total Bytes copied"), "{text}");
    assert!(!text.contains(&asset.id) && !text.contains(".mp4"), "{text}");
    Ok(())
}

/// Whichever step finds it: media are compared before their manifests are copied, too.
#[tokio::test]
async fn a_copy_that_differs_is_counted() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy("[admin]\nlisten = '127.0.0.1:0'\n").await?;
    let url = format!("{}/metrics", address(&story.worker).await?);
    let cut_short = ListEdit::Set {
        name: "movie_640x360_320.mp4".to_owned(),
        property: "Content-Length".to_owned(),
        value: "1000".to_owned(),
    };
    proxy.fault(Rule::edit_list(cut_short).path("/east/").skip(1).times(1));
    story.send_asset().await?;
    story.event().await?;
    let text = reqwest::get(&url).await?.error_for_status()?.text().await?;
    let counted = text.lines().find(|line| line.starts_with("stream_replicator_verification_failures_total{"));
    ensure!(counted.is_some_and(|line| line.contains(r#"code="replica-differs""#) && line.ends_with(" 1")), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_stops_the_start() -> Result<()> {
    let world = World::start().await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    for (listen, problem) in [(taken.local_addr()?.to_string(), "in use"), ("nowhere".to_owned(), "socket address")] {
        let config = std::fs::read_to_string(world.config())?;
        std::fs::write(world.config(), format!("[admin]\nlisten = '{listen}'\n{config}"))?;
        let output = run_once(&world.config(), &["run"]).await?;
        let errors = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(errors.contains("admin.listen") && errors.contains(problem), "{errors}");
        std::fs::write(world.config(), config)?;
    }
    Ok(())
}
