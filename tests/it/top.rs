//! What a worker tells of the deliveries that it has in hand, and how `top` shows that to people.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::proxy::{FaultProxy, Rule};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::metrics::address;
use crate::support::story::Story;
use crate::support::{Published, Terminal, World, eventually, media, run_once};

const SETTINGS: &str = "[admin]\nlisten = '127.0.0.1:0'\n[http]\ntries = 100\n[copy]\nmax_requests = 2\n";
/// Copied after the larger ones, and before all manifests.
const HELD: &str = "320x180";

async fn jobs(address: &str) -> Result<Value> {
    Ok(reqwest::get(format!("{address}/jobs")).await?.error_for_status()?.json().await?)
}

/// A job that has copied three of its files, and cannot get on with the next one until the faults are taken away.
async fn hold_in_copy(story: &Story, proxy: &FaultProxy) -> Result<(Published, Value)> {
    let url = address(&story.worker).await?;
    proxy.fault(Rule::answer(500, "InternalError").path(HELD).header("x-ms-copy-source"));
    let asset = story.send_asset().await?;
    let held = eventually("a job with three files", || async {
        let told = jobs(&url).await?;
        Ok((told["jobs"][0]["filesDone"] == 3 && told["jobs"][0]["copyRequests"] == 1).then_some(told))
    });
    Ok((asset, held.await.with_context(|| story.worker.log())?))
}

#[tokio::test]
async fn jobs_tells_what_is_in_hand_and_how_far_it_has_come() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SETTINGS).await?;
    let url = address(&story.worker).await?;
    let before = jobs(&url).await?;
    assert_eq!((&before["inHand"], &before["jobs"]), (&json!(0), &json!([])));
    let worker = &before["worker"];
    assert_eq!((&worker["version"], &worker["concurrency"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(4)));
    assert_eq!((&worker["readiness"], &worker["reason"], &worker["down"]), (&json!("ready"), &Value::Null, &json!([])));

    let (asset, told) = hold_in_copy(&story, &proxy).await?;
    let job = told["jobs"][0].as_object().context("no job")?;
    let bytes: u64 = media()?.iter().map(|file| file.bytes.len() as u64).sum();
    let done = 195_678 + 121_398 + 1_866;
    for (name, expected) in [
        ("asset", json!(asset.id)),
        ("source", json!("west")),
        ("replica", json!("east")),
        ("attempt", json!(1)),
        ("slice", json!(0)),
        ("step", json!("copy_blobs")),
        ("filesTotal", json!(6)),
        ("bytesTotal", json!(bytes)),
        ("bytesDone", json!(done)),
    ] {
        assert_eq!(job.get(name), Some(&expected), "{name}: {told:#}");
    }
    assert_eq!(told["inHand"], 1);
    ensure!(job["messageId"].as_str().is_some_and(|id| id.len() == 36), "{told:#}");
    let rate = job["bytesPerSecond"].as_u64().context("no rate")?;
    ensure!(rate > 0 && job["secondsInHand"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told:#}");
    for time in [&told["worker"]["startedAt"], &told["worker"]["since"], &job["since"], &job["firstSeen"]] {
        OffsetDateTime::parse(time.as_str().unwrap_or_default(), &Rfc3339).with_context(|| format!("{told:#}"))?;
    }
    ensure!(!told.to_string().contains("4711"), "of the body nothing but the asset is told: {told:#}");

    proxy.clear_faults();
    story.event().await?;
    let empty = || async { Ok((jobs(&url).await? == before).then_some(())) };
    eventually("nothing in hand", empty).await?;
    assert_eq!(story.worker.terminate().await?, Some(0));
    Ok(())
}

/// Gives the settings file the address at which this worker answers, so that `top` needs no argument.
async fn name_worker(story: &Story) -> Result<String> {
    let url = address(&story.worker).await?;
    story.world.change_config("127.0.0.1:0", url.trim_start_matches("http://"))?;
    Ok(url)
}

/// What a line that begins with this title says.
fn said<'a>(screen: &'a str, title: &str) -> Result<&'a str> {
    let line = screen.lines().find_map(|line| line.strip_prefix(title));
    Ok(line.with_context(|| format!("no {title}: {screen}"))?.trim())
}

#[tokio::test]
async fn top_prints_once_what_the_worker_has_counted_and_what_waits() -> Result<()> {
    let (story, proxy) = Story::begin_behind_proxy(SETTINGS).await?;
    let url = name_worker(&story).await?;
    let lost = json!({ "site": "west", "asset": { "id": "nb:cid:UUID:00000000-0000-0000-0000-000000000001" } });
    story.world.send(lost.to_string(), None).await?;
    let dead = || async { Ok((story.world.vhost.queue_depth("replication.dead").await? == Some(1)).then_some(())) };
    eventually("a dead letter", dead).await?;
    let (asset, told) = hold_in_copy(&story, &proxy).await?;

    let output = run_once(&story.world.config(), &["top"]).await?;
    let screen = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(0) && !screen.contains('\u{1b}'), "{screen}");
    ensure!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    let name = told["worker"]["name"].as_str().context("no name")?;
    let worker: Vec<_> = said(&screen, name)?.split_whitespace().collect();
    assert_eq!((worker[..2].to_vec(), worker.last()), (vec!["ready", "1/4"], Some(&env!("CARGO_PKG_VERSION"))));
    assert_eq!(said(&screen, "dead letters")?, "1 permanent asset-gone");
    assert_eq!(said(&screen, "queues")?, "work 0   retry.1s 0   retry.2s 0   dead 1   parked 0   unrouted 0");
    let row = screen.lines().last().context("no line")?;
    let end_of_id = &asset.id[asset.id.len() - 12..];
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words[..6], [&format!("…{end_of_id}"), "west>east", "copy_blobs", "3/6", "████░░", "79%"], "{screen}");

    let metrics = reqwest::get(format!("{url}/metrics")).await?.text().await?;
    let counted = |name: &str| -> Result<f64> {
        let line = metrics.lines().find_map(|line| line.strip_prefix("stream_replicator_")?.strip_prefix(name));
        let value = line.and_then(|rest| rest.rsplit_once(' ')).with_context(|| format!("no {name}: {metrics}"))?.1;
        Ok(value.parse()?)
    };
    let bytes = indicatif::BinaryBytes(counted("copied_bytes_total")? as u64);
    ensure!(
        said(&screen, "copies")?.starts_with(&format!("{} files   {bytes}", counted("copied_files_total")?)),
        "{screen}"
    );
    let messages = format!("{} dead_letter   oldest in hand ", counted("messages_total")?);
    ensure!(said(&screen, "messages")?.starts_with(&messages), "{screen}");
    Ok(())
}

#[tokio::test]
async fn top_says_who_does_not_answer_and_what_cannot_be_asked() -> Result<()> {
    let world = World::start().await?;
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let url = format!("http://{free}");
    let output = run_once(&world.config(), &["top", "--url", &url]).await?;
    let screen = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(1) && screen.contains("0 of 1 up, 0 ready"), "{screen}");
    ensure!(said(&screen, &format!("{url}/"))?.contains(" s: cannot connect"), "{screen}");
    ensure!(said(&screen, "queues")?.starts_with("work missing"), "nobody has declared anything: {screen}");

    let empty = world.config().with_file_name("empty.toml");
    for (settings, arguments, code, text) in [
        ("", vec!["top"], 64, "which worker? say --url"),
        ("", vec!["top", "--url", &url], 1, "not known: rabbitmq.url is not set"),
        ("[rabbitmq]\nurl = 'amqp://u:hunter2@127.0.0.1:1/x'\n", vec!["top", "--url", &url], 1, "not known: "),
        ("", vec!["top", "--url", "ftp://here"], 64, "ftp is no http"),
        ("", vec!["top", "--url", "http://u:hunter2@here"], 64, "leave out user and password"),
        ("", vec!["top", "--url", &url, "--interval", "1h"], 64, "is no time"),
    ] {
        std::fs::write(&empty, settings)?;
        let output = run_once(&empty, &arguments).await?;
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        ensure!(output.status.code() == Some(code) && told.contains(text), "{arguments:?}: {told}");
        ensure!(!told.contains("hunter2"), "{told}");
    }
    Ok(())
}

/// Columns of the widest line; what commands the terminal has none.
fn widest(frame: &str) -> Option<usize> {
    frame.lines().map(console::measure_text_width).max()
}

#[tokio::test]
async fn top_at_a_terminal_follows_the_worker_and_the_terminal_and_gives_it_back() -> Result<()> {
    let (mut story, proxy) = Story::begin_behind_proxy(SETTINGS).await?;
    name_worker(&story).await?;
    let config = story.world.config();
    let (asset, _) = hold_in_copy(&story, &proxy).await?;
    let mut terminal = Terminal::run(&config, 130, &["top", "--interval", "200ms"]).await?;
    let row = |frame: &str, part: &str| frame.contains(part) && frame.contains(" dead 0 ");
    let (frame, at) = terminal.frame(0, "a job", |frame| row(frame, &asset.id)).await?;
    ensure!(frame.contains("███████████████░░░░░") && frame.contains("west > east"), "{frame:?}");
    ensure!(widest(&frame) > Some(70), "{frame:?}");
    terminal.resize(70).await?;
    let (_, at) = terminal.frame(at, "a narrow frame", |frame| widest(frame) <= Some(70)).await?;

    proxy.clear_faults();
    story.event().await?;
    let (_, at) =
        terminal.frame(at, "no job", |frame| frame.contains("no job in hand") && row(frame, "1 complete")).await?;
    assert_eq!(story.worker.terminate().await?, Some(0));
    let (_, at) = terminal.frame(at, "no worker", |frame| frame.contains("gone for")).await?;
    let _worker = story.world.worker().await?;
    terminal.frame(at, "the worker again", |frame| frame.contains("1 of 1 up, 1 ready")).await?;

    terminal.press("xq").await?;
    let (code, shown) = terminal.end().await?;
    let (top, after) = shown.split_once("ended with 0").with_context(|| format!("{shown:?}"))?;
    ensure!(code == Some(0) && top.starts_with("\u{1b}[?1049h\u{1b}[?25l"), "{top:?}");
    ensure!(top.trim_end().ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{top:?}");
    ensure!(after.contains(" icanon ") && after.contains(" echo "), "{after}");
    Ok(())
}

#[tokio::test]
async fn another_size_is_heeded_at_once_and_ctrl_c_ends_top_too() -> Result<()> {
    let story = Story::begin("[admin]\nlisten = '127.0.0.1:0'\n").await?;
    name_worker(&story).await?;
    let mut terminal = Terminal::run(&story.world.config(), 100, &["top", "--interval", "60m"]).await?;
    let all = |frame: &str| frame.contains("no job in hand") && frame.contains(" dead 0 ");
    let (frame, at) = terminal.frame(0, "all that is asked for", all).await?;
    ensure!(frame.contains("\u{1b}[1m") && frame.contains("every 1h 00m, q quits"), "{frame:?}");
    terminal.resize(50).await?;
    terminal.frame(at, "a narrow frame", |frame| widest(frame) <= Some(50)).await?;
    terminal.press("\u{3}").await?;
    let (code, shown) = terminal.end().await?;
    ensure!(code == Some(0) && shown.contains("\u{1b}[?25h\u{1b}[?1049l") && shown.contains(" icanon "), "{shown:?}");
    Ok(())
}
