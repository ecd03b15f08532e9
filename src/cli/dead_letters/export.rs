//! `dead-letters export`: whole letters as JSON lines.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::Failed;
use super::look::LookArguments;
use super::register::Register;
use super::show::to_json;
use crate::cli::Exit;
use crate::rabbitmq::DeadLog;
use crate::settings::RabbitmqSettings;

/// What to export.
#[derive(Debug, Args)]
pub struct ExportArguments {
    #[command(flatten)]
    look: LookArguments,
    /// Only the newest so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Write to a new file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Reads the log twice, so that no more than one body is held at a time: which letters are open is known only at its end.
pub async fn export(settings: &RabbitmqSettings, arguments: ExportArguments) -> Result<Exit, Failed> {
    let register = Register::load(settings).await?;
    let filter = arguments.look.filter.resolve(&register)?;
    let mut entries = filter.select(&register, arguments.look.all);
    entries.drain(..entries.len().saturating_sub(arguments.limit.unwrap_or(usize::MAX)));
    if entries.is_empty() {
        eprintln!("no letters");
        return Ok(Exit::Nothing);
    }
    let mut output: Box<dyn Write> = match &arguments.output {
        None => Box::new(BufWriter::new(std::io::stdout())),
        Some(file) => {
            let opened =
                File::create_new(file).map_err(|error| format!("{} cannot be made: {error}", file.display()))?;
            Box::new(BufWriter::new(opened))
        }
    };
    let (first, last) = (entries[0].offset, entries[entries.len() - 1].offset);
    let wanted: HashMap<_, _> = entries.iter().map(|entry| (entry.offset, *entry)).collect();
    let mut log = DeadLog::read(settings, first).await?;
    let mut written = 0;
    while let Some(read) = log.next().await? {
        if let Some(entry) = wanted.get(&read.offset) {
            let line = to_json(entry, &read.letter);
            writeln!(output, "{line}").map_err(|error| format!("the letters cannot be written: {error}"))?;
            written += 1;
        }
        if read.offset >= last {
            break;
        }
    }
    output.flush().map_err(|error| format!("the letters cannot be written: {error}"))?;
    log.close().await;
    if let Some(file) = &arguments.output {
        eprintln!("{written} letters written to {}", file.display());
    }
    if written == wanted.len() {
        return Ok(Exit::Done);
    }
    eprintln!("{} letters have left the log meanwhile", wanted.len() - written);
    Ok(Exit::Failed)
}
