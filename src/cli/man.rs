//! `man`: the manual page, all commands on one page.

use std::io::{Error, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::output::print;
use super::{Arguments, Exit};

/// Prints the page (roff).
pub fn man() -> Exit {
    match page() {
        Ok(page) => print(&String::from_utf8_lossy(&page), Exit::Done),
        Err(error) => {
            eprintln!("the manual page cannot be written: {error}");
            Exit::Failed
        }
    }
}

fn page() -> Result<Vec<u8>, Error> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let top = Man::new(command.clone()).section("8").manual("System administration");
    top.render_title(&mut page)?;
    top.render_name_section(&mut page)?;
    top.render_synopsis_section(&mut page)?;
    top.render_description_section(&mut page)?;
    top.render_options_section(&mut page)?;
    writeln!(page, ".SH COMMANDS")?;
    for command in command.get_subcommands() {
        describe(command, &mut page)?;
    }
    writeln!(page, ".SH NOTES")?;
    let mut notes = Vec::new();
    top.render_extra_section(&mut notes)?;
    page.extend(without_headings(&notes));
    Ok(page)
}

/// A command and those below it: one section each, its name the whole way to it.
fn describe(command: &Command, page: &mut Vec<u8>) -> Result<(), Error> {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).replace('-', "\\-");
    writeln!(page, ".SS \"{name}\"")?;
    // What every command has is told once, at the top.
    let global = command.get_arguments().filter(|argument| argument.is_global_set() || argument.get_id() == "help");
    let global: Vec<_> = global.map(|argument| argument.get_id().clone()).collect();
    let own = global.into_iter().fold(command.clone(), |own, id| own.mut_arg(id, |argument| argument.hide(true)));
    let man = Man::new(own);
    let mut text = Vec::new();
    man.render_description_section(&mut text)?;
    writeln!(text, ".PP")?;
    man.render_synopsis_section(&mut text)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut text)?;
    }
    page.extend(without_headings(&text));
    command.get_subcommands().try_for_each(|below| describe(below, page))
}

/// The library gives each part a section of its own.
fn without_headings(roff: &[u8]) -> Vec<u8> {
    let lines = roff.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b".SH ")).flatten().copied().collect()
}
