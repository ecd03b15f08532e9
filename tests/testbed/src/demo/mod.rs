//! The demo: the whole walkthrough with the real worker, then a retry, then a dead letter; everything ends with it.

mod acts;
mod encoder;
mod ground;
mod messages;
mod screen;
mod viewer;
mod worker;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use acts::Stage;
use messages::within;
use screen::Screen;
use worker::{Log, Worker};
use world::World;

/// The broker and the storage tell themselves why they do not start; this is for the rest.
const START_LIMIT: Duration = Duration::from_secs(100);
/// Lines of the worker that are repeated where the demo fails.
const TAIL: usize = 12;

const INTRODUCTION: &str = "RabbitMQ, the blob storage (Azurite) and the worker are real processes, private to this run; \
    the media services are emulated. On the left: seconds since the act began, and who acts. The worker's log lines are \
    shown without their time.";

/// Plays the demo with the worker at `program`; its output goes to standard output, a failure to standard error.
pub async fn play(program: &Path) -> ExitCode {
    let screen = Arc::new(Screen::new());
    let mut log = None;
    let played = tokio::select! {
        played = story(program, &screen, &mut log) => played,
        stopped = interruption() => stopped,
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let tail = log.map(|log: Log| log.tail(TAIL)).unwrap_or_default();
            screen.failure(&format!("{error:#}"), &tail);
            ExitCode::FAILURE
        }
    }
}

async fn story(program: &Path, screen: &Arc<Screen>, log: &mut Option<Log>) -> Result<()> {
    let started = Instant::now();
    screen.heading("Two data centres on this machine, west and east, and the worker between them");
    screen.remark(INTRODUCTION);
    let world = timeout(START_LIMIT, World::start(screen)).await;
    let world = world.map_err(|_| anyhow!("the world did not start within {} s", START_LIMIT.as_secs()))??;
    let mut worker = Worker::start(program, world.folder(), Arc::clone(screen))?;
    let mut lines = worker.log();
    *log = Some(lines.clone());
    tokio::select! {
        biased;
        () = lines.ends() => bail!("the worker ended by itself: {}", worker.status().await?),
        played = play_acts(screen, &world, worker.log()) => played?,
    }
    screen.heading("The end: the worker is asked to stop (SIGTERM)");
    let code = within("the worker's end", worker.terminate()).await?;
    screen.step("worker", &format!("has ended with exit code {code}"));
    ensure!(code == 0, "the worker ended with exit code {code} after SIGTERM, not 0");
    drop(worker);
    world.end().await;
    screen.step("demo", "has ended all it started");
    let seconds = started.elapsed().as_secs_f64();
    screen.remark(&format!("3 acts: 2 replicated, 1 dead letter, {seconds:.1} s. Where to go next: README.md"));
    Ok(())
}

async fn play_acts(screen: &Screen, world: &World, log: Log) -> Result<()> {
    within("the worker's first session with the broker", log.clone().says("consuming", 0)).await?;
    let mut stage = within("the stage", Stage::set(screen, world, log)).await?;
    stage.walkthrough().await?;
    stage.second_attempt().await?;
    stage.dead_letter().await
}

/// Resolves when somebody wants us to stop.
async fn interruption() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => bail!("interrupted (SIGINT); everything is being ended"),
        _ = terminate.recv() => bail!("stopped (SIGTERM); everything is being ended"),
        _ = hang_up.recv() => bail!("the terminal is gone (SIGHUP); everything is being ended"),
    }
}
