//! The demo with the real worker: the whole walkthrough, a retry and a dead letter; or a failover. All ends with it.

mod acts;
mod cinema;
mod encoder;
mod failover;
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
use cinema::Cinema;
use failover::Premiere;
use messages::within;
use screen::Screen;
use worker::{Log, Worker};
use world::World;

/// The broker and the storage tell themselves why they do not start; this is for the rest.
const START_LIMIT: Duration = Duration::from_secs(100);
/// Lines of the worker that are repeated where the demo fails.
const TAIL: usize = 12;

const INTRODUCTION: &str = "RabbitMQ, the blob storage (Azurite) and the worker are real processes, private to this run; \
    the media services are emulated.";
const FAILOVER_INTRODUCTION: &str = "RabbitMQ, the blob storage (Azurite), the worker, the sites' web servers and the \
    CDN's stand-in (nginx), and the viewers (FFmpeg) are real processes, private to this run.";
const SCREEN: &str = "On the left: seconds since the act began, and who acts. The worker's log lines are shown without \
    their time.";

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// Three acts with emulated media services: a replica, a retry, a dead letter.
    Replication,
    /// Two acts with films: replicas, and a source that is killed while somebody watches. Needs FFmpeg and nginx.
    Failover,
}

/// Plays the demo with the worker at `program`; its output goes to standard output, a failure to standard error.
pub async fn play(program: &Path, story: Story) -> ExitCode {
    let screen = Arc::new(Screen::new());
    let mut log = None;
    let played = tokio::select! {
        played = tell(program, story, &screen, &mut log) => played,
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

async fn tell(program: &Path, story: Story, screen: &Arc<Screen>, log: &mut Option<Log>) -> Result<()> {
    let started = Instant::now();
    let summary = match story {
        Story::Replication => {
            screen.heading("Two data centres on this machine, west and east, and the worker between them");
            screen.remark(&format!("{INTRODUCTION} {SCREEN}"));
            let world = start(World::start(screen)).await?;
            let worker = Worker::start(program, world.folder(), Arc::clone(screen))?;
            let lines = log.insert(worker.log()).clone();
            attend(screen, worker, play_acts(screen, &world, lines)).await?;
            world.end().await;
            "3 acts: 2 replicated, 1 dead letter"
        }
        Story::Failover => {
            screen.heading("Two sites on this machine, west and east, the worker between them, and a CDN before them");
            screen.remark(&format!("{FAILOVER_INTRODUCTION} {SCREEN}"));
            let cinema = start(Cinema::start(screen)).await?;
            let worker = Worker::start(program, cinema.folder(), Arc::clone(screen))?;
            let lines = log.insert(worker.log()).clone();
            attend(screen, worker, play_films(screen, &cinema, lines)).await?;
            "2 acts: 2 films replicated, 2 sources killed in mid-play, no request failed"
        }
    };
    screen.step("demo", "has ended all it started");
    let seconds = started.elapsed().as_secs_f64();
    screen.remark(&format!("{summary}, {seconds:.1} s. Where to go next: README.md"));
    Ok(())
}

async fn start<T>(world: impl Future<Output = Result<T>>) -> Result<T> {
    let started = timeout(START_LIMIT, world).await;
    started.map_err(|_| anyhow!("the world did not start within {} s", START_LIMIT.as_secs()))?
}

/// Plays while the worker runs, and then asks it to stop.
async fn attend(screen: &Screen, mut worker: Worker, acts: impl Future<Output = Result<()>>) -> Result<()> {
    let mut lines = worker.log();
    tokio::select! {
        biased;
        () = lines.ends() => bail!("the worker ended by itself: {}", worker.status().await?),
        played = acts => played?,
    }
    screen.heading("The end: the worker is asked to stop (SIGTERM)");
    let code = within("the worker's end", worker.terminate()).await?;
    screen.step("worker", &format!("has ended with exit code {code}"));
    ensure!(code == 0, "the worker ended with exit code {code} after SIGTERM, not 0");
    Ok(())
}

async fn play_acts(screen: &Screen, world: &World, log: Log) -> Result<()> {
    within("the worker's first session with the broker", log.clone().says("consuming", 0)).await?;
    let mut stage = within("the stage", Stage::set(screen, world, log)).await?;
    stage.walkthrough().await?;
    stage.second_attempt().await?;
    stage.dead_letter().await
}

async fn play_films(screen: &Screen, cinema: &Cinema, log: Log) -> Result<()> {
    within("the worker's first session with the broker", log.clone().says("consuming", 0)).await?;
    let mut premiere = within("the stage", Premiere::set(screen, cinema, log)).await?;
    let films = premiere.replicate().await?;
    premiere.fail_over(&films).await
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
