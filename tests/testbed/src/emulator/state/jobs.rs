//! Jobs and tasks: their creation with output assets, and their way to the end (contract ams-v2 section 3).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Account, AmsError, Entity};
use crate::emulator::config::JobOutcome;
use crate::emulator::odata::body::Input;
use crate::emulator::odata::edm::Edm;
use crate::emulator::odata::schema::Set;

/// A job's state, with its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    Queued = 0,
    Scheduled = 1,
    Processing = 2,
    Finished = 3,
    Error = 4,
    Canceled = 5,
}

impl JobState {
    /// The name that notifications use.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Scheduled => "Scheduled",
            Self::Processing => "Processing",
            Self::Finished => "Finished",
            Self::Error => "Error",
            Self::Canceled => "Canceled",
        }
    }

    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Error | Self::Canceled)
    }
}

/// Where the notifications of a job go.
#[derive(Debug, Clone)]
pub(crate) struct NotificationTarget {
    pub(crate) id: String,
    pub(crate) address: String,
    /// The signing key in base64, where one is set.
    pub(crate) signing_key: Option<String>,
    /// Whether only final states are wanted.
    pub(crate) final_only: bool,
    pub(crate) webhook: bool,
}

/// The entities of a new job, to be inserted once the containers of its outputs exist.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) job: Entity,
    pub(crate) tasks: Vec<Entity>,
    pub(crate) outputs: Vec<Entity>,
}

/// One `outputAsset` of a task body.
#[derive(Debug, PartialEq, Eq)]
struct OutputAsset {
    index: String,
    name: Option<String>,
    options: i32,
    storage: Option<String>,
}

impl Account {
    /// Builds a job, its tasks and its output assets.
    pub(crate) fn new_job(&self, input: &Input) -> Result<NewJob, AmsError> {
        let mut job = self.new_entity(Set::Jobs, input, None)?;
        job.set("State", JobState::Queued as i32).set("RunningDuration", 0.0);
        if job.number("Priority").is_none() {
            job.set("Priority", 0);
        }
        if let Edm::Complex(Value::Array(subscriptions)) = job.value("JobNotificationSubscriptions")
            && subscriptions.iter().any(|one| !matches!(target_state_of(one), Some(1 | 2)))
        {
            return Err(AmsError::bad_request(
                "the 'TargetJobState' of a subscription must be 1 (final states) or 2 (all)",
            ));
        }
        if input.tasks.is_empty() {
            return Err(AmsError::bad_request("a job needs at least one task"));
        }
        let inputs = job.links("InputMediaAssets").to_vec();
        let mut outputs: BTreeMap<String, Entity> = BTreeMap::new();
        let mut tasks = Vec::new();
        for task_input in &input.tasks {
            let mut task = self.new_entity(Set::Tasks, task_input, None)?;
            self.find(Set::MediaProcessors, task.text("MediaProcessorId").unwrap_or_default())?;
            task.set("State", JobState::Queued as i32).set("Progress", 0.0).set("RunningDuration", 0.0);
            for output in outputs_of(task.text("TaskBody").unwrap_or_default())? {
                let asset = match outputs.get(&output.index) {
                    Some(asset) => asset.key().to_owned(),
                    None => {
                        let asset = self.new_output(&job, &output, &inputs)?;
                        let id = asset.key().to_owned();
                        outputs.insert(output.index, asset);
                        id
                    }
                };
                task.link("OutputMediaAssets", asset.clone());
                job.link("OutputMediaAssets", asset);
            }
            inputs.iter().for_each(|asset| task.link("InputMediaAssets", asset.clone()));
            job.link("Tasks", task.key().to_owned());
            tasks.push(task);
        }
        Ok(NewJob { job, tasks, outputs: outputs.into_values().collect() })
    }

    fn new_output(&self, job: &Entity, output: &OutputAsset, inputs: &[String]) -> Result<Entity, AmsError> {
        let default_name = || format!("{}-{}", job.text("Name").unwrap_or("job"), output.index);
        let name = output.name.clone().unwrap_or_else(default_name);
        let input = Input::default().with("Name", name).with("Options", output.options);
        let mut asset = self.new_asset(&input.with("StorageAccountName", output.storage.clone()))?;
        inputs.iter().for_each(|input| asset.link("ParentAssets", input.clone()));
        Ok(asset)
    }

    /// Moves a job and its tasks on; `None` when the job is gone or has been canceled.
    pub(crate) fn move_job(&mut self, job_id: &str, state: JobState) -> Option<()> {
        let now = Self::now();
        let job = self.find_mut(Set::Jobs, job_id).ok()?;
        if job.number("State") == Some(JobState::Canceled as i64) {
            return None;
        }
        job.set("State", state as i32).touch();
        if state == JobState::Processing {
            job.set("StartTime", now);
        }
        let tasks = job.links("Tasks").to_vec();
        for task in tasks {
            let task = self.find_mut(Set::Tasks, &task).ok()?;
            task.set("State", state as i32);
            if state == JobState::Processing {
                task.set("StartTime", now);
            }
        }
        Some(())
    }

    /// Ends a job; its next readers may still see it `Processing`.
    pub(crate) fn end_job(&mut self, job_id: &str, outcome: &JobOutcome) -> Option<JobState> {
        let (state, error) = match outcome {
            JobOutcome::Finished => (JobState::Finished, None),
            JobOutcome::Canceled => (JobState::Canceled, None),
            JobOutcome::Error { code, message } => (JobState::Error, Some(json!([{"Code": code, "Message": message}]))),
        };
        self.move_job(job_id, state)?;
        let now = Self::now();
        let lag = self.switches.job_state_lag_reads;
        let job = self.find_mut(Set::Jobs, job_id).ok()?;
        job.set("EndTime", now).set("RunningDuration", 1.0);
        let processing = Edm::from(JobState::Processing as i32);
        job.show_stale(lag, vec![("State", processing), ("EndTime", Edm::Null)]);
        for task in job.links("Tasks").to_vec() {
            let task = self.find_mut(Set::Tasks, &task).ok()?;
            task.set("EndTime", now).set("Progress", if state == JobState::Finished { 100.0 } else { 0.0 });
            if let Some(error) = &error {
                task.set("ErrorDetails", error.clone());
            }
        }
        Some(state)
    }

    /// The `CancelJob` function (contract ams-v2 section 5.2: 400 on a job that has ended); gives the state before.
    pub(crate) fn cancel_job(&mut self, job_id: &str) -> Result<JobState, AmsError> {
        let number = self.find(Set::Jobs, job_id)?.number("State");
        let states = [JobState::Queued, JobState::Scheduled, JobState::Processing];
        let before = states.into_iter().find(|state| Some(*state as i64) == number);
        let before = before.ok_or_else(|| AmsError::bad_request("the job has ended and cannot be canceled"))?;
        self.end_job(job_id, &JobOutcome::Canceled).ok_or_else(|| AmsError::not_found(job_id))?;
        Ok(before)
    }

    /// The notification endpoints that a job's subscriptions name.
    pub(crate) fn notification_targets(&self, job: &Entity) -> Vec<NotificationTarget> {
        let Edm::Complex(Value::Array(subscriptions)) = job.value("JobNotificationSubscriptions") else {
            return Vec::new();
        };
        let target = |subscription: &Value| {
            let mut target = self.target_of(subscription.get("NotificationEndPointId")?.as_str()?)?;
            target.final_only = target_state_of(subscription) == Some(1);
            Some(target)
        };
        subscriptions.iter().filter_map(target).collect()
    }

    /// One notification endpoint, as a place to deliver to.
    pub(crate) fn target_of(&self, id: &str) -> Option<NotificationTarget> {
        let endpoint = self.find(Set::NotificationEndPoints, id).ok()?;
        let signing_key =
            endpoint.text("EncryptedEndPointCredential").filter(|_| endpoint.number("CredentialType") == Some(1));
        Some(NotificationTarget {
            id: endpoint.key().to_owned(),
            address: endpoint.text("EndPointAddress")?.to_owned(),
            signing_key: signing_key.map(str::to_owned),
            final_only: false,
            webhook: endpoint.number("EndPointType") == Some(3),
        })
    }
}

/// Which states a subscription wants: 1 the final ones, 2 all (contract ams-v2 section 3).
fn target_state_of(subscription: &Value) -> Option<i64> {
    let wanted = subscription.get("TargetJobState")?;
    wanted.as_i64().or_else(|| wanted.as_str()?.trim().parse().ok())
}

/// Reads a task body: `<taskBody><inputAsset>…</inputAsset><outputAsset assetName="…">JobOutputAsset(0)</outputAsset></taskBody>`.
/// Omitted options mean storage encryption.
fn outputs_of(task_body: &str) -> Result<Vec<OutputAsset>, AmsError> {
    let document = roxmltree::Document::parse(task_body.trim())
        .map_err(|error| AmsError::bad_request(format!("the task body is not well-formed: {error}")))?;
    let outputs = document.descendants().filter(|node| node.tag_name().name() == "outputAsset");
    outputs
        .map(|node| {
            let options = node.attribute("assetCreationOptions").map_or(Ok(1), str::parse);
            Ok(OutputAsset {
                index: node.text().unwrap_or_default().trim().to_owned(),
                name: node.attribute("assetName").map(str::to_owned),
                options: options.map_err(|_| AmsError::bad_request("assetCreationOptions must be a number"))?,
                storage: node.attribute("storageAccountName").map(str::to_owned),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_task_body() {
        let body = r#"<?xml version="1.0" encoding="utf-16"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset>
            <outputAsset assetName="a &amp; b" assetCreationOptions="0" storageAccountName="s2">JobOutputAsset(0)</outputAsset>
            <outputAsset>JobOutputAsset(1)</outputAsset></taskBody>"#;
        let outputs = outputs_of(body).unwrap();
        assert_eq!(
            outputs[0],
            OutputAsset {
                index: "JobOutputAsset(0)".into(),
                name: Some("a & b".into()),
                options: 0,
                storage: Some("s2".into())
            }
        );
        assert_eq!(outputs[1].options, 1);
        assert_eq!(outputs_of("<taskBody>").unwrap_err().status, 400);
    }
}
