//! Owns: `renewd completions`: a shell's completion script on stdout.
//! Does not: install it.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Exit};

/// Print the completion script of a shell
#[derive(clap::Args)]
pub(crate) struct Args {
    /// bash, elvish, fish, powershell or zsh
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "renewd", &mut script);
    let printed = std::io::stdout().write_all(&script);
    if printed.is_ok() { Exit::Done } else { Exit::Failed }
}
