//! `dead-letters discard`: takes letters out of their queue for good; the log keeps them, and why.

use clap::Args;

use super::Failed;
use super::carry_out::carry_out;
use super::deed::Deed;
use super::plan::{MoveArguments, Planned, plan};
use super::register::Register;
use crate::cli::Exit;
use crate::settings::RabbitmqSettings;

/// What to discard.
#[derive(Debug, Args)]
pub struct DiscardArguments {
    #[command(flatten)]
    arguments: MoveArguments,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Discards letters.
pub async fn discard(settings: &RabbitmqSettings, arguments: DiscardArguments) -> Result<Exit, Failed> {
    if arguments.reason.trim().is_empty() {
        return Err(Failed::Arguments("--reason is empty: say why".to_owned()));
    }
    let register = Register::load(settings).await?;
    match plan(settings, &register, arguments.arguments, Deed::Discard).await? {
        Planned::End(exit) => Ok(exit),
        Planned::Go(mut plan) => {
            plan.reason = Some(arguments.reason);
            carry_out(settings, *plan).await
        }
    }
}
