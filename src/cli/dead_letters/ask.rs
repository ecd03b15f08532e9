//! Asks the person at the terminal.

use std::io::{BufRead, IsTerminal};

use super::Failed;

/// Whether the person agrees. Nobody is asked where `--yes` was said.
///
/// # Errors
/// When nobody is there to be asked.
pub fn confirm(question: &str, yes: bool) -> Result<bool, Failed> {
    if yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        let text = format!("{question}: nobody can be asked here, as standard input is no terminal: say --yes");
        return Err(Failed::Arguments(text));
    }
    eprint!("{question}? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| format!("no answer can be read: {error}"))?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
