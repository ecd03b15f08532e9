//! `completions`: scripts by which shells complete our command line.

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::aot::{Shell, generate};

use super::output::print;
use super::{Arguments, Exit};

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: ShellName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShellName {
    /// For /usr/share/bash-completion/completions/stream-replicator
    Bash,
    /// For a file `_stream-replicator` in a folder of `$fpath`
    Zsh,
    /// For ~/.config/fish/completions/stream-replicator.fish
    Fish,
}

/// Prints the script.
pub fn completions(arguments: &CompletionsArguments) -> Exit {
    let script = match arguments.shell {
        ShellName::Bash => bash(),
        ShellName::Zsh => script(Shell::Zsh, NAME),
        ShellName::Fish => script(Shell::Fish, NAME),
    };
    print(&script, Exit::Done)
}

/// The program, as it is called.
const NAME: &str = "stream-replicator";

fn script(shell: Shell, name: &str) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Made for a name without a hyphen, and registered for ours: with one, clap_complete 4.6 completes nothing behind a
/// subcommand (clap issue 6421).
fn bash() -> String {
    const PLAIN: &str = "streamreplicator";
    let line = |line: &str| match line.strip_suffix(PLAIN) {
        Some(registers) if registers.trim_start().starts_with("complete -F ") => format!("{registers}{NAME}\n"),
        _ => format!("{line}\n"),
    };
    script(Shell::Bash, PLAIN).lines().map(line).collect()
}
