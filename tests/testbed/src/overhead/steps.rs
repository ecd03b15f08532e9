//! Where the time of jobs goes: the worker's own `step done` lines, added up.

use std::collections::BTreeMap;

use serde_json::Value;

/// One step of all jobs.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) mean_ms: f64,
    /// Of the time of all steps.
    pub(super) share: f64,
}

/// Reads a JSON log; the longest step comes first.
pub(super) fn read(log: &str) -> Vec<Step> {
    let mut steps: BTreeMap<String, (f64, u32)> = BTreeMap::new();
    for line in log.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let (Some(name), Some(seconds)) = (line["step"].as_str(), line["seconds"].as_f64()) else { continue };
        if line["message"] == "step done" {
            let step = steps.entry(name.to_owned()).or_default();
            *step = (step.0 + seconds, step.1 + 1);
        }
    }
    let all: f64 = steps.values().map(|(seconds, _)| seconds).sum();
    let step = |(name, (seconds, count)): (String, (f64, u32))| Step {
        name,
        mean_ms: 1000.0 * seconds / f64::from(count),
        share: seconds / all,
    };
    let mut read: Vec<_> = steps.into_iter().map(step).collect();
    read.sort_by(|a, b| b.share.total_cmp(&a.share));
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_added_up_and_the_longest_comes_first() {
        let log = r#"not JSON
{"message":"step done","step":"resolve","seconds":0.01}
{"message":"step done","step":"copy_blobs","seconds":0.02}
{"message":"step done","step":"copy_blobs","seconds":0.04}
{"message":"something else","step":"copy_blobs","seconds":9.0}"#;
        let read: Vec<_> =
            read(log).into_iter().map(|step| (step.name, step.mean_ms.round(), step.share > 0.5)).collect();
        assert_eq!(read, [("copy_blobs".to_owned(), 30.0, true), ("resolve".to_owned(), 10.0, false)]);
    }
}
