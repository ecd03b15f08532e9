//! Encoding jobs: their state, their output assets, and why they failed.

use super::AmsV2;
use super::resource::key;
use super::wire::{AssetRow, EncodingJobRow, TaskRow};
use crate::failure::Failure;
use crate::model::Asset;

/// An encoding job as the service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodingJob {
    /// The service's id.
    pub id: String,
    /// The name given by its owner.
    pub name: String,
    /// How far it is.
    pub state: EncodingState,
}

/// How far an encoding job is (contract ams-v2, section 3, entity Job).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodingState {
    /// 0 Queued, 1 Scheduled, 2 Processing, 6 Canceling: look again later.
    Unfinished,
    /// 3: all outputs are there.
    Finished,
    /// 4: it failed; its tasks hold the reasons.
    Error,
    /// 5: somebody stopped it.
    Canceled,
}

impl EncodingState {
    fn from_number(number: i64) -> Option<Self> {
        match number {
            0..=2 | 6 => Some(Self::Unfinished),
            3 => Some(Self::Finished),
            4 => Some(Self::Error),
            5 => Some(Self::Canceled),
            _ => None,
        }
    }
}

impl AmsV2 {
    /// Reads one encoding job. Its state may lag behind a notification (contract ams-v2, section 4.4).
    ///
    /// # Errors
    /// Permanent: `encoding-job-gone`; else as every call.
    pub async fn encoding_job(&self, id: &str) -> Result<EncodingJob, Failure> {
        let row: Option<EncodingJobRow> = self.client.find(key("Jobs", id)).await?;
        let row = row.ok_or_else(|| {
            let failure = Failure::permanent("encoding-job-gone", format!("encoding job {id} is not there"));
            let hint = "jobs are deleted after 90 days: ask for the asset by its own id";
            failure.with_hint(hint).at_site(self.client.site())
        })?;
        let state = row.state.and_then(EncodingState::from_number).ok_or_else(|| {
            let message = format!("encoding job {id} has an unknown state, {:?}", row.state);
            Failure::transient("unreadable-answer", message).at_site(self.client.site())
        })?;
        Ok(EncodingJob { id: row.id, name: row.name.unwrap_or_default(), state })
    }

    /// The output assets of an encoding job; they exist from its creation on, filled or not.
    ///
    /// # Errors
    /// As every call; `not-found` when the job is gone.
    pub async fn encoding_job_outputs(&self, id: &str) -> Result<Vec<Asset>, Failure> {
        let rows: Vec<AssetRow> = self.client.list(&format!("{}/OutputMediaAssets", key("Jobs", id)), None).await?;
        rows.into_iter().map(|row| self.asset(row)).collect()
    }

    /// What went wrong in the tasks of an encoding job, one text for each error.
    ///
    /// # Errors
    /// As every call; `not-found` when the job is gone.
    pub async fn encoding_job_errors(&self, id: &str) -> Result<Vec<String>, Failure> {
        let tasks: Vec<TaskRow> = self.client.list(&format!("{}/Tasks", key("Jobs", id)), None).await?;
        let details = tasks.into_iter().flat_map(|task| task.error_details);
        let text = |code: Option<String>, message: Option<String>| match (code, message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (code, message) => code.or(message).unwrap_or_default(),
        };
        Ok(details.map(|detail| text(detail.code, detail.message)).filter(|text| !text.is_empty()).collect())
    }
}
