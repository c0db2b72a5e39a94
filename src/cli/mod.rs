//! Owns: the command line: which command runs, and the exit code.
//! Does not: do a command's work; each has a file of its own.

mod acting;
mod around;
mod aside;
mod ask;
mod check;
mod colour;
mod completions;
mod exec;
mod exit;
mod generate;
mod hang;
mod init;
mod input;
mod inspect;
mod login;
mod man;
mod offline;
mod once;
mod online;
mod progress;
mod refresh;
mod reload;
mod rotate;
mod run;
mod schema;
mod status;
mod token;
mod units;
mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};

use self::around::{Surroundings, Volume};
use self::aside::{tell, tell_line};
use self::exit::{Ended, Exit, Failure, say};
use crate::core::redact::looks_opaque;
use crate::host::{hardening, inherited, load};

/// Keeps short-lived tokens fresh in files.
///
/// Exit codes: 0 done; 1 it failed; 64 usage; 69 the daemon is not there; 75 not now, try again; 78 the config is wrong
/// or missing.
#[derive(Parser)]
#[command(name = "renewd", version, arg_required_else_help = true)]
struct Cli {
    /// The config; default: $RENEWD_CONFIG, $XDG_CONFIG_HOME/renewd/config.toml, /etc/renewd/config.toml
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// Say only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Say more: log lines of the level debug
    #[arg(short, long, global = true)]
    verbose: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Once(once::Args),
    Check(check::Args),
    Generate(generate::Args),
    Refresh(refresh::Args),
    Inspect(inspect::Args),
    Status(status::Args),
    Rotate(rotate::Args),
    Login(login::Args),
    Reload(reload::Args),
    Wait(wait::Args),
    Token(token::Args),
    Exec(exec::Args),
    Init(init::Args),
    Man(man::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    #[command(name = "__complete", hide = true)]
    Complete(completions::Words),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let Cli { config, quiet, verbose, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let volume = match (quiet, verbose) {
        (true, _) => Volume::Quiet,
        (_, true) => Volume::Verbose,
        _ => Volume::Usual,
    };
    inherited::set_right();
    hardening::outlive_file_limits();
    let around = Surroundings { config, env: load::environment(), volume };
    let ended = match command {
        Command::Run(args) => run::run(&args, around),
        Command::Exec(args) => exec::run(&args, &around),
        Command::Once(args) => once::run(&args, &around),
        Command::Check(args) => check::run(&args, &around),
        Command::Generate(args) => generate::run(&args),
        Command::Refresh(args) => refresh::run(&args),
        Command::Inspect(args) => inspect::run(&args, &around),
        Command::Status(args) => status::run(&args, &around),
        Command::Rotate(args) => rotate::run(&args, &around),
        Command::Login(args) => login::run(&args, &around),
        Command::Reload(args) => reload::run(&args, &around),
        Command::Wait(args) => wait::run(&args, &around),
        Command::Token(args) => token::run(&args, &around),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Complete(args) => completions::complete(&args, &around, Cli::command()),
        Command::Init(args) => init::run(&args, &around),
        Command::Man(args) => man::run(&args, Cli::command()),
    };
    ended.unwrap_or_else(|failure| failure.say().into())
}

/// Help and version are data, and go well; anything else is a mistake.
/// A word in a wrong place may be a secret or a token: one that looks like it is not shown.
fn usage(error: &clap::Error) -> Exit {
    let context = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print();
            return if printed.is_ok() { Exit::Done } else { Exit::Failed };
        }
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => ContextKind::InvalidValue,
        _ => ContextKind::InvalidSubcommand,
    };
    match (error.get(context), error.get(ContextKind::InvalidArg)) {
        (Some(ContextValue::String(word)), option) if !word.starts_with('-') && looks_opaque(word) => {
            let place = match option {
                Some(option) if context == ContextKind::InvalidValue => format!("the value of '{option}' is wrong"),
                _ => "an argument stands where none belongs".into(),
            };
            tell_line!(
                "error: {place} (not shown: it may be a secret or a token)\n\nFor more information, try '--help'."
            );
        }
        _ => tell(&error.render().to_string()),
    }
    Exit::Usage
}
