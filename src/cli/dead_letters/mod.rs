//! `dead-letters`: what operators do about messages that were set aside: look, group, replay, edit, discard, export.
//!
//! Looking reads the log alone. Moving takes letters out of their queue one by one, stores them where they go, records
//! who did it, and only then lets go of them.

mod ask;
mod book;
mod brake;
mod canary;
mod carry_out;
mod chooser;
mod deed;
mod discard;
mod edit;
mod export;
mod filter;
mod groups;
mod list;
mod look;
mod mover;
mod plan;
mod register;
mod replay;
mod risk;
mod show;
mod summary;
pub(super) mod table;

use clap::{Args, Subcommand};

use super::Exit;
use crate::rabbitmq::RabbitmqError;
use crate::settings::RabbitmqSettings;

/// What to do.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DeadLettersArguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
list, groups, show and export read the log of dead letters, a stream: they change nothing, however often they run.
Exit codes: 0 done; 1 failed, or done in part; 2 no letter fits; 64 wrong arguments or settings.";

#[derive(Debug, Subcommand)]
enum Command {
    /// List the letters that are still to be dealt with
    List(list::ListArguments),
    /// Count what failed in the same way: by class, code, step and site
    Groups(groups::GroupsArguments),
    /// Show one letter: headers, body, what was done about it
    Show(show::ShowArguments),
    /// Send letters to the work queue again
    Replay(replay::ReplayArguments),
    /// Take letters out of their queue for good
    Discard(discard::DiscardArguments),
    /// Send a letter to the work queue again with another body
    Edit(edit::EditArguments),
    /// Write whole letters as JSON lines
    Export(export::ExportArguments),
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub enum Failed {
    /// The arguments do not fit.
    Arguments(String),
    /// Anything else.
    Other(String),
}

impl From<RabbitmqError> for Failed {
    fn from(error: RabbitmqError) -> Self {
        match error {
            RabbitmqError::Url(_) => Self::Arguments(error.to_string()),
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        Self::Other(text)
    }
}

/// Carries out one of the commands.
pub async fn dead_letters(settings: &RabbitmqSettings, arguments: DeadLettersArguments) -> Exit {
    let done = match arguments.command {
        Command::List(arguments) => list::list(settings, arguments).await,
        Command::Groups(arguments) => groups::groups(settings, arguments).await,
        Command::Show(arguments) => show::show(settings, arguments).await,
        Command::Replay(arguments) => replay::replay(settings, arguments).await,
        Command::Discard(arguments) => discard::discard(settings, arguments).await,
        Command::Edit(arguments) => edit::edit(settings, arguments).await,
        Command::Export(arguments) => export::export(settings, arguments).await,
    };
    match done {
        Ok(exit) => exit,
        Err(Failed::Arguments(text)) => {
            eprintln!("{text}");
            Exit::BadSettings
        }
        Err(Failed::Other(text)) => {
            eprintln!("{text}");
            Exit::Failed
        }
    }
}
