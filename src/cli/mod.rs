//! Owns: the command line: which command runs, and the exit code.
//! Does not: do a command's work; each has a file of its own.

pub(crate) mod generate;
mod input;
pub(crate) mod inspect;
pub(crate) mod refresh;

use std::process::ExitCode;

use clap::error::ErrorKind;
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

/// Help and version are data and go well; anything else is a mistake. What stands too much may be a token: it is not shown.
fn usage(error: &clap::Error) -> Exit {
    use clap::error::{ContextKind, ContextValue};
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let shown = error.print();
        return if shown.is_ok() {
            Exit::Done
        } else {
            Exit::Failed
        };
    }
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(what)))
            if !what.starts_with('-') =>
        {
            eprintln!(
                "error: one argument too many (it is not shown: it may be a token)\n\nFor more information, try '--help'."
            );
        }
        _ => eprint!("{error}"),
    }
    Exit::Usage
}
