//! The background encoder: takes a job through its states and places the prepared files in its outputs.

use std::sync::Arc;

use super::{notify, prepared};
use crate::emulator::config::{JobOutcome, PreparedFile};
use crate::emulator::odata::schema::Set;
use crate::emulator::shared::Shared;
use crate::emulator::state::{JobState, container_of};
use crate::storage::PutOptions;

/// Runs a job to its end; a job that vanishes or is canceled is given up silently.
pub(super) async fn run(shared: Arc<Shared>, account: String, job_id: String) {
    let mut before = JobState::Queued;
    for state in [JobState::Scheduled, JobState::Processing] {
        tokio::time::sleep(shared.encoder.step).await;
        let moved = shared.state.lock().account(&account).ok().and_then(|account| account.move_job(&job_id, state));
        if moved.is_none() {
            return;
        }
        notify::announce_job(&shared, &account, &job_id, before, state).await;
        before = state;
    }
    tokio::time::sleep(shared.encoder.step).await;
    let outcome = encode(&shared, &account, &job_id).await;
    let ended = shared.state.lock().account(&account).ok().and_then(|account| account.end_job(&job_id, &outcome));
    if let Some(state) = ended {
        notify::announce_job(&shared, &account, &job_id, before, state).await;
    }
}

/// Fills the outputs, unless a switch makes the job fail.
async fn encode(shared: &Shared, account: &str, job_id: &str) -> JobOutcome {
    let (outputs, outcome) = {
        let mut state = shared.state.lock();
        let Ok(account) = state.account(account) else { return JobOutcome::Canceled };
        let Ok(job) = account.find(Set::Jobs, job_id) else { return JobOutcome::Canceled };
        let outputs = job.links("OutputMediaAssets").to_vec();
        (outputs, account.switches.job_outcome.clone())
    };
    if outcome != JobOutcome::Finished {
        return outcome;
    }
    for asset_id in outputs {
        let name = {
            let mut state = shared.state.lock();
            let asset =
                state.account(account).ok().and_then(|account| account.find(Set::Assets, &asset_id).ok().cloned());
            asset.and_then(|asset| asset.text("Name").map(str::to_owned)).unwrap_or_default()
        };
        let files = if shared.encoder.rename {
            prepared::rename(&shared.encoder.files, &name)
        } else {
            shared.encoder.files.clone()
        };
        if let Err(error) = place(shared, account, &asset_id, &files).await {
            return JobOutcome::Error { code: "EncodingFailed".to_owned(), message: format!("{error:#}") };
        }
    }
    JobOutcome::Finished
}

/// Puts files into an asset: blobs, asset files with size and MIME type, and the `.ism` as primary.
pub(crate) async fn place(
    shared: &Shared,
    account: &str,
    asset_id: &str,
    files: &[PreparedFile],
) -> anyhow::Result<()> {
    let container = container_of(asset_id);
    let storage = {
        let mut state = shared.state.lock();
        let storage = state.account(account).and_then(|account| account.storage_of(asset_id));
        storage.map_err(|error| anyhow::anyhow!(error.message))?
    };
    for file in files {
        let options = PutOptions { content_type: file.content_type.clone(), ..PutOptions::default() };
        storage.put(&container, &file.name, file.bytes.clone(), options).await?;
    }
    let mut state = shared.state.lock();
    let account = state.account(account).map_err(|error| anyhow::anyhow!(error.message))?;
    for file in files {
        account.register(asset_id, &file.name, file.bytes.len() as u64, file.content_type.as_deref());
    }
    Ok(())
}
