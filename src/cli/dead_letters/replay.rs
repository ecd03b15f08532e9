//! `dead-letters replay`: sends letters to the work queue again, with a full life before them.

use clap::Args;

use super::Failed;
use super::carry_out::carry_out;
use super::deed::Deed;
use super::plan::{MoveArguments, Planned, plan};
use super::register::Register;
use crate::cli::Exit;
use crate::settings::RabbitmqSettings;

/// What to replay.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    #[command(flatten)]
    arguments: MoveArguments,
    /// At most so many letters a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Send so many first, and the others only when each of these was replicated at least once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// How long to wait for what becomes of the canaries, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    canary_timeout: u64,
}

/// Replays letters.
pub async fn replay(settings: &RabbitmqSettings, arguments: ReplayArguments) -> Result<Exit, Failed> {
    let register = Register::load(settings).await?;
    match plan(settings, &register, arguments.arguments, Deed::Replay).await? {
        Planned::End(exit) => Ok(exit),
        Planned::Go(mut plan) => {
            plan.rate = arguments.rate;
            plan.canary = arguments.canary.map(|number| (number as usize, arguments.canary_timeout));
            carry_out(settings, *plan).await
        }
    }
}
