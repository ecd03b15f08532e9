//! `run`: wires the house and works until a signal.

use std::error::Error;
use std::sync::Arc;

use super::Exit;
use crate::admin::{Admin, Sources};
use crate::replication::AllSites;
use crate::settings::Settings;
use crate::telemetry::{Health, InHand, Metrics, ReadyFile, ServiceManager};
use crate::worker::{self, Context, Drained};

/// Works until SIGTERM or SIGINT.
pub async fn run(settings: &Settings) -> Exit {
    if let Some(problem) = problem(settings) {
        eprintln!("{problem}");
        return Exit::BadSettings;
    }
    for line in settings.to_lines() {
        tracing::info!("{line}");
    }
    let (health, in_hand) = (Health::default(), InHand::default());
    let _admin = match admin(settings, &health, &in_hand).await {
        Ok(admin) => admin,
        Err(problem) => {
            eprintln!("admin.listen: {problem}");
            return Exit::BadSettings;
        }
    };
    let sites = match AllSites::connect(settings) {
        Ok(sites) => sites,
        Err(failure) => {
            eprintln!("{failure}");
            return Exit::BadSettings;
        }
    };
    let shutdown = match worker::listen_for_signals() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            eprintln!("signals cannot be handled: {error}");
            return Exit::Failed;
        }
    };
    let context = Arc::new(Context::new(settings, sites, health, in_hand));
    let ready_file = settings.worker.ready_file.as_ref().map(|path| ReadyFile::keep(path, context.health()));
    let _ready_file = match ready_file.transpose() {
        Ok(kept) => kept,
        Err(error) => {
            eprintln!("worker.ready_file: cannot be written: {error}");
            return Exit::BadSettings;
        }
    };
    let _service_manager = ServiceManager::tell(context.health());
    match worker::run(context, &shutdown).await {
        Drained::Whole => Exit::Done,
        Drained::CutShort => Exit::CutShort,
    }
}

/// Counts and answers, where the settings say at which address; before anything is made that counts.
async fn admin(settings: &Settings, health: &Health, in_hand: &InHand) -> Result<Option<Admin>, Box<dyn Error>> {
    let Some(address) = settings.admin.listen else { return Ok(None) };
    let sources = Sources {
        metrics: Metrics::start()?,
        health: health.clone(),
        in_hand: in_hand.clone(),
        name: worker::worker_name(),
        concurrency: settings.worker.concurrency,
    };
    Ok(Some(Admin::start(address, sources).await?))
}

/// What a worker needs and other commands do not.
fn problem(settings: &Settings) -> Option<&'static str> {
    if settings.rabbitmq.url.is_none() {
        return Some("rabbitmq.url: is missing: set it, or rabbitmq.url_file");
    }
    settings
        .routes
        .is_empty()
        .then_some("routes: there is none: say with [routes.<source>] replicas = [...] what is replicated to where")
}
