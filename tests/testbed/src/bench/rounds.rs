//! One workload in all tools, in turn, round after round.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::cloud::Costs;

use super::bound::Bound;
use super::cloud::Cloud;
use super::contestant::{Contestant, SOURCES, Sample};
use super::programs::Programs;
use super::workload::{Kind, Workload};
use super::{Plan, note};

/// A workload's rows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Compared {
    pub(super) title: String,
    pub(super) cloud: &'static str,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Of the model alone.
    pub(super) bound: Option<Bound>,
    pub(super) rows: Vec<Row>,
}

/// A tool's rounds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) is_ours_cold: bool,
    pub(super) is_ceiling: bool,
    pub(super) samples: Vec<Sample>,
    /// Why it was left out from some round on.
    pub(super) failed: Option<String>,
    #[serde(skip)]
    contestant: Contestant,
}

impl Row {
    fn new(contestant: Contestant, kind: Kind) -> Self {
        Self {
            name: contestant.name(kind),
            is_ours_cold: matches!(contestant, Contestant::Cold),
            is_ceiling: matches!(contestant, Contestant::Ceiling),
            samples: Vec::new(),
            failed: None,
            contestant,
        }
    }

    /// The middle one of the rounds' figures.
    pub(super) fn median(&self, figure: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        median(self.samples.iter().filter_map(figure).collect())
    }

    pub(super) fn wall_seconds(&self) -> Option<f64> {
        self.median(|sample| Some(sample.wall_seconds))
    }

    fn is_done_with(&self, patience: Duration) -> bool {
        let slow = |sample: &Sample| sample.process_seconds > patience.as_secs_f64();
        self.failed.is_some() || self.samples.iter().any(slow)
    }
}

impl Compared {
    /// What ratios are to.
    pub(super) fn ours_cold(&self) -> Option<f64> {
        self.rows.iter().find(|row| row.is_ours_cold)?.wall_seconds()
    }

    /// What nothing can be faster than: T* on the model, the plain copies on Azurite.
    pub(super) fn best(&self) -> Option<f64> {
        let ceiling = || self.rows.iter().find(|row| row.is_ceiling)?.wall_seconds();
        self.bound.map(|bound| bound.seconds().0).or_else(ceiling)
    }
}

pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (upper, lower) = (figures.get(figures.len() / 2)?, figures.get(figures.len().saturating_sub(1) / 2)?);
    Some(f64::midpoint(*upper, *lower))
}

/// Runs a workload. A tool that fails is left out from then on, and one that needs too long runs no second round.
///
/// # Errors
/// When the storage does not work.
pub(super) async fn compare(plan: &Plan, workload: &Workload, programs: &Programs) -> Result<Compared> {
    let (kind, costs) = (workload.kind, Costs::default());
    let cloud = Cloud::start(kind, programs, &costs).await?;
    for source in SOURCES {
        cloud.seed(source, &workload.groups).await?;
    }
    let contestants = Contestant::all(&plan.tools, kind, programs).into_iter();
    let mut rows: Vec<_> = contestants.map(|contestant| Row::new(contestant, kind)).collect();
    for round in 1..=plan.rounds {
        for row in &mut rows {
            if row.is_done_with(plan.patience) {
                continue;
            }
            match row.contestant.run(round, &cloud, kind, programs).await {
                Ok(sample) => {
                    let (seconds, name) = (sample.wall_seconds, &row.name);
                    note(&format!("{}, round {round}: {name}: {seconds:.2} s", workload.name));
                    row.samples.push(sample);
                }
                Err(error) => {
                    note(&format!("{}, round {round}: {} failed: {error:#}", workload.name, row.name));
                    row.failed = Some(format!("{error:#}"));
                }
            }
        }
    }
    Ok(Compared {
        title: workload.title(),
        cloud: kind.name(),
        files: workload.files(),
        bytes: workload.bytes(),
        bound: (kind == Kind::Model).then(|| Bound::of(workload, &costs)),
        rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }
}
