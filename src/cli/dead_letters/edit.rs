//! `dead-letters edit`: sends a letter to the work queue with another body, under a new id that names the old one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use clap::Args;
use uuid::Uuid;

use super::Failed;
use super::carry_out::carry_out;
use super::deed::Deed;
use super::filter::Filter;
use super::plan::{MoveArguments, Planned, plan};
use super::register::Register;
use super::show::{find, read};
use super::summary::Shelf;
use super::table::clean;
use crate::cli::Exit;
use crate::settings::RabbitmqSettings;

/// What to edit.
#[derive(Debug, Args)]
pub struct EditArguments {
    /// The letter's id, or the beginning of it
    id: String,
    /// Which queue
    #[arg(long, value_enum, default_value_t = Shelf::Dead)]
    queue: Shelf,
    /// Take the new body from a file instead of an editor ($VISUAL, $EDITOR)
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Go on where it would refuse: a queue with a delivery limit
    #[arg(long)]
    force: bool,
    /// Who is to be named in the record; by default the user and the machine
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Edits one letter. It stays in its queue until the new one is stored.
pub async fn edit(settings: &RabbitmqSettings, arguments: EditArguments) -> Result<Exit, Failed> {
    let register = Register::load(settings).await?;
    let entry = find(&register, arguments.queue, &arguments.id)?.filter(|entry| entry.is_open());
    let Some(entry) = entry else {
        eprintln!("no {} letter {} is open", arguments.queue.name(), clean(&arguments.id));
        return Ok(Exit::Nothing);
    };
    let id = entry.summary.id.clone();
    let Some(letter) = read(settings, entry.offset).await? else {
        return Err(Failed::Other(format!("the body of letter {id} has left the log, so it cannot be edited")));
    };
    let from = letter.message.body;
    let to = match &arguments.body_file {
        Some(file) => std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?,
        None => in_editor(&from)?,
    };
    if to == from {
        eprintln!("the body is the same as before; `replay` sends it unchanged");
        return Ok(Exit::Nothing);
    }
    let selected = MoveArguments {
        filter: Filter {
            ids: vec![id],
            codes: Vec::new(),
            classes: Vec::new(),
            since: None,
            assets: Vec::new(),
            queue: arguments.queue,
        },
        all: false,
        limit: Some(1),
        dry_run: false,
        yes: arguments.yes,
        force: arguments.force,
        who: arguments.who,
        json: arguments.json,
    };
    let deed = Deed::Edit { from, to: Bytes::from(to), new_id: Uuid::new_v4().to_string() };
    match plan(settings, &register, selected, deed).await? {
        Planned::End(exit) => Ok(exit),
        Planned::Go(plan) => carry_out(settings, *plan).await,
    }
}

/// Hands the body to the editor of the person, in a file that only its owner can read.
fn in_editor(body: &[u8]) -> Result<Vec<u8>, Failed> {
    let editor =
        ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    let editor =
        editor.ok_or_else(|| Failed::Arguments("set EDITOR, or give the new body with --body-file".to_owned()))?;
    let broken = |error: std::io::Error| Failed::Other(format!("the body cannot be handed to the editor: {error}"));
    let mut file = tempfile::Builder::new().prefix("dead-letter-").suffix(".json").tempfile().map_err(broken)?;
    file.write_all(body).and_then(|()| file.flush()).map_err(broken)?;
    run(&editor, file.path())?;
    // Editors may put a new file in the old one's place.
    std::fs::read(file.path()).map_err(broken)
}

/// Through the shell, as $EDITOR may hold arguments.
fn run(editor: &str, file: &Path) -> Result<(), Failed> {
    let status = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(file).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed::Other(format!("the editor ended with {status}; nothing was touched"))),
        Err(error) => Err(Failed::Other(format!("the editor cannot be started: {error}"))),
    }
}
