//! What the worker does about exchanges and queues before it consumes: makes them, or looks that they are there.

use crate::rabbitmq::{self, Finding, RabbitmqError, Topology, TopologyReport};
use crate::settings::{RabbitmqSettings, TopologyMode};

/// Makes everything, or, where others do that, makes sure that what settles deliveries is there.
///
/// # Errors
/// [`RabbitmqError::Missing`] where it is not: then every job's end would end the session, and each time count as one
/// delivery more of all that it held. Else as with [`rabbitmq::apply`] and [`rabbitmq::check`].
pub async fn prepare(settings: &RabbitmqSettings, topology: &Topology) -> Result<(), RabbitmqError> {
    match settings.topology {
        TopologyMode::Apply => rabbitmq::apply(settings).await.map(drop),
        TopologyMode::Check => {
            let report = rabbitmq::check(settings).await?;
            // The encoders' exchange is theirs, and the log of dead letters is for listing them only.
            let log = topology.dead_log();
            let is_needed = |finding: &&Finding| finding.name != settings.events_exchange && finding.name != log;
            let missing: Vec<_> = report.missing().filter(is_needed).cloned().collect();
            if !missing.is_empty() {
                return Err(RabbitmqError::Missing(missing));
            }
            tell(&report);
            Ok(())
        }
    }
}

/// The rest does not keep the worker from its work.
fn tell(report: &TopologyReport) {
    for missing in report.missing() {
        tracing::warn!(%missing, "topology is not complete: set rabbitmq.topology = \"apply\" or declare it");
    }
    for (different, cause) in report.different() {
        tracing::warn!(%different, cause, "topology is not what this worker would declare");
    }
    for queue in report.left_over() {
        tracing::warn!(%queue, "holds messages of a migration that was cut short: run it again");
    }
    let not_compared: Vec<_> = report.not_permitted().map(ToString::to_string).collect();
    if !not_compared.is_empty() {
        let not_compared = not_compared.join(", ");
        tracing::info!(not_compared, "this user has no permission to configure: what exists was not compared");
    }
}
