//! Shell completions and the manual page: shells and `man` take them, and nothing of the command line is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Command, CommandFactory};
use stream_replicator::cli::Arguments;
use tempfile::TempDir;

use crate::support::run_once;

/// A settings file that cannot be read: nobody needs settings here.
fn broken_settings() -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, "this is no [toml")?;
    Ok((folder, config))
}

async fn printed(config: &Path, arguments: &[&str]) -> Result<String> {
    let output = run_once(config, arguments).await?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Every command with the words that lead to it, and the long options of each.
fn commands() -> Vec<(Vec<String>, Vec<String>)> {
    let mut top = Arguments::command();
    top.build();
    let (mut found, mut open) = (Vec::new(), vec![(Vec::new(), top)]);
    while let Some((words, command)) = open.pop() {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            open.push(([words.as_slice(), &[below.get_name().to_owned()]].concat(), below.clone()));
        }
        found.push((words, options(&command)));
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

fn options(command: &Command) -> Vec<String> {
    let options = command.get_arguments().filter(|argument| !argument.is_hide_set());
    options.filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect()
}

/// What bash offers where the cursor stands at the end of these words; the last may be a beginning.
async fn offered(script: &Path, words: &[&str]) -> Result<Vec<String>> {
    let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    let ask = format!(
        "source {script}; complete -p stream-replicator >/dev/null || exit 1\n\
         [[ $(complete -p stream-replicator) =~ -F\\ ([^ ]+) ]] || exit 1\n\
         COMP_WORDS=(stream-replicator {words}); COMP_CWORD={last}; COMP_LINE=\"${{COMP_WORDS[*]}}\"\n\
         COMP_POINT=${{#COMP_LINE}}\n\
         \"${{BASH_REMATCH[1]}}\" stream-replicator \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script = script.display(),
        words = quoted.join(" "),
        last = words.len(),
    );
    let output = tokio::process::Command::new("bash").args(["--norc", "-c", &ask]).output().await?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn bash_offers_every_command_and_every_option() -> Result<()> {
    let (folder, config) = broken_settings()?;
    let script = folder.path().join("completions.bash");
    std::fs::write(&script, printed(&config, &["completions", "bash"]).await?)?;
    let checked = tokio::process::Command::new("bash").arg("-n").arg(&script).output().await?;
    ensure!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");

    for (words, options) in commands() {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let offers = offered(&script, &[words.as_slice(), &["--"]].concat()).await?;
        for option in options {
            assert!(offers.contains(&option), "{words:?} {option}: {offers:?}");
        }
        if let Some((last, before)) = words.split_last() {
            assert!(offered(&script, &[before, &[last]].concat()).await?.contains(&(*last).to_owned()), "{words:?}");
        }
    }
    assert_eq!(offered(&script, &["schema", "asset-"]).await?, ["asset-replicated", "asset-replication-failed"]);
    assert_eq!(offered(&script, &["completions", ""]).await?.last().map(String::as_str), Some("fish"));
    Ok(())
}

/// Whether a program is there; what checks with one that is not is left out.
async fn is_there(program: &str) -> bool {
    tokio::process::Command::new(program).arg("--version").output().await.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn zsh_and_fish_get_every_command_and_every_option() -> Result<()> {
    let (folder, config) = broken_settings()?;
    for (shell, option_prefix) in [("zsh", "--"), ("fish", "-l ")] {
        let text = printed(&config, &["completions", shell]).await?;
        for (words, options) in commands() {
            assert!(words.last().is_none_or(|word| text.contains(word)), "{shell}: {words:?}");
            for option in options {
                let option = option.replacen("--", option_prefix, 1);
                assert!(text.contains(&option), "{shell}: {words:?} {option}");
            }
        }
        let script = folder.path().join(shell);
        std::fs::write(&script, text)?;
        if is_there(shell).await {
            let checked = tokio::process::Command::new(shell).arg("-n").arg(&script).output().await?;
            ensure!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_manual_page_tells_of_every_command_and_every_option() -> Result<()> {
    let (folder, config) = broken_settings()?;
    let page = printed(&config, &["man"]).await?;
    let plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "");
    assert!(plain.starts_with(".ie") || plain.starts_with(".TH"), "{}", &plain[..80]);
    for (words, options) in commands() {
        let section = match words.as_slice() {
            [] => plain.as_str(),
            words => {
                let title = format!(".SS \"stream-replicator {}\"\n", words.join(" "));
                let (_, rest) = plain.split_once(&title).with_context(|| format!("no {title}"))?;
                rest.split("\n.SS ").next().unwrap_or_default()
            }
        };
        let everywhere = ["--config", "--help", "--version"];
        for option in options.iter().filter(|option| words.is_empty() || !everywhere.contains(&option.as_str())) {
            assert!(section.contains(option), "{words:?} {option}: {section}");
        }
    }
    assert!(plain.contains("Exit codes: 0 done") && plain.contains("STREAM_REPLICATOR_CONFIG"), "{plain}");

    let file = folder.path().join("stream-replicator.8");
    std::fs::write(&file, &page)?;
    if is_there("groff").await {
        let read =
            tokio::process::Command::new("groff").args(["-ww", "-man", "-Kutf8", "-Tutf8"]).arg(&file).output().await?;
        ensure!(read.status.success() && read.stderr.is_empty(), "{}", String::from_utf8_lossy(&read.stderr));
        let text = String::from_utf8_lossy(&read.stdout).into_owned();
        ensure!(text.contains("dead-letters") && text.contains("asyncapi"), "{text}");
    }
    Ok(())
}
