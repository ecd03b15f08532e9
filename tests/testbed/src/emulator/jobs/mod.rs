//! Encoding jobs: created with their output assets, run in the background, announced when they change.

mod encoder;
mod notify;
pub(crate) mod prepared;

use std::sync::Arc;

use super::odata::body::Input;
use super::shared::Shared;
use super::state::{AmsError, Entity, NewJob, container_of};
use crate::storage::Storage;
pub(crate) use encoder::place;
pub(crate) use notify::{announce_end_point, announce_job};

/// Creates a job: its output assets and their containers exist when this returns, before anything is encoded
/// (contract ams-v2 section 3).
pub(crate) async fn create(shared: &Arc<Shared>, account: &str, input: &Input) -> Result<Entity, AmsError> {
    let (NewJob { job, tasks, outputs }, storage) = {
        let mut state = shared.state.lock();
        let account = state.account(account)?;
        let new = account.new_job(input)?;
        let storage: Vec<Storage> = new.outputs.iter().map(|output| account.storage_behind(output)).collect();
        (new, storage)
    };
    for (output, storage) in outputs.iter().zip(storage) {
        let created = storage.create_container(&container_of(output.key())).await;
        created.map_err(|error| AmsError::of_storage(&error))?;
    }
    {
        let mut state = shared.state.lock();
        let account = state.account(account)?;
        [vec![job.clone()], tasks, outputs].into_iter().flatten().for_each(|entity| account.insert(entity));
    }
    let run = encoder::run(Arc::clone(shared), account.to_owned(), job.key().to_owned());
    let stop = shared.stop.clone();
    shared.tasks.spawn(async move { stop.run_until_cancelled(run).await });
    Ok(job)
}
