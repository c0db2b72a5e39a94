//! Owns: the command line: which command runs, and the exit code.
//! Does not: do a command's work; each has a file of its own.

pub mod check;
pub(crate) mod generate;
mod input;
pub(crate) mod inspect;
pub(crate) mod refresh;
pub mod schema;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

/// Keeps short-lived tokens fresh in files.
#[derive(Parser)]
#[command(name = "renewd", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(generate::Args),
    Refresh(refresh::Args),
    Inspect(inspect::Args),
}

/// How a command ended (sysexits.h, and systemd.exec(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let exit = match cli.command {
        Command::Generate(args) => generate::run(&args),
        Command::Refresh(args) => refresh::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    };
    exit.into()
}

/// Help and version are data, and go well; anything else is a mistake.
/// A word that stands where none belongs may be a token, and is not shown.
fn usage(error: &clap::Error) -> Exit {
    let context = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print();
            return if printed.is_ok() { Exit::Done } else { Exit::Failed };
        }
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => ContextKind::InvalidSubcommand,
    };
    match error.get(context) {
        Some(ContextValue::String(word)) if !word.starts_with('-') && word.len() > 32 => {
            eprintln!(
                "error: an argument stands where none belongs (not shown: it may be a token)\n\nFor more information, try '--help'."
            );
        }
        _ => eprint!("{}", error.render()),
    }
    Exit::Usage
}
