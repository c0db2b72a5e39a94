//! Owns: `renewd exec`: a command with a fresh token in its environment, in place of this process.
//! Does not: stay; the command's status and signals are its own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use super::acting::Home;
use super::aside::tell_line;
use super::ask::SocketArgs;
use super::token::Usable;
use super::{Ended, Exit, Failure, Surroundings, hang, input, token};
use crate::core::settings::is_variable;
use crate::host::account::{controller_of, user_name};
use crate::host::inherited;
use crate::host::load::{find_config, outline};

/// Run a command with a fresh token in its environment
///
/// The variable is that of the token's env output, else NAME in capitals and _TOKEN. The command replaces renewd.
/// Exit codes: the command's own; 64 usage; 75 there is no such token now (the command was not run); 78 the config is
/// wrong; 126 the command cannot be executed; 127 it is not found.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The variable's name
    #[arg(long = "as", value_name = "VAR", value_parser = variable)]
    variable: Option<String>,

    /// How long the token must be valid still
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = input::duration)]
    min_valid: Duration,

    #[command(flatten)]
    socket: SocketArgs,

    /// The token
    #[arg(value_name = "NAME")]
    name: String,

    /// The command and its arguments
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,
}

fn variable(text: &str) -> Result<String, String> {
    if is_variable(text) { Ok(text.into()) } else { Err("letters, digits and _, no digit first".into()) }
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    hang::ends(Exit::NotNow, None);
    let usable = token::usable(&args.name, args.min_valid, &args.socket, around)?;
    let variable = variable_of(args, around, &usable)?;
    let Some((program, rest)) = args.command.split_first() else { return Err(Exit::Usage.into()) };
    let mut command = Command::new(program);
    command.args(rest);
    for secret in &usable.secret_variables {
        command.env_remove(secret);
    }
    command.env(variable, usable.token.value.expose());
    let error = command.exec();
    inherited::outlive_pipes();
    tell_line!("error: {}: {error}", program.display());
    Ok(ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 }))
}

/// What the command line says, else what the config does. A command is given no variable that somebody else chose than who
/// runs it, or root: some of them (LD_PRELOAD, BASH_ENV, PYTHONPATH) are as good as a program.
fn variable_of(args: &Args, around: &Surroundings, usable: &Usable) -> Result<String, Failure> {
    if let Some(named) = &args.variable {
        return Ok(named.clone());
    }
    let usual = usual_variable(&args.name);
    let Some(chosen) = usable.variable.as_ref().filter(|chosen| **chosen != usual) else { return Ok(usual) };
    if variable(chosen).is_err() {
        return Err(Failure::usage("the variable that was told for this token is no name of a variable: say --as VAR"));
    }
    let own = rustix::process::geteuid().as_raw();
    let is_trusted = |uid: u32| uid == 0 || uid == own;
    if usable.told_by.is_some_and(is_trusted) || configured(&args.name, around).as_ref() == Some(chosen) {
        return Ok(chosen.clone());
    }
    let who = usable.told_by.map_or("a daemon of an unknown user".into(), |uid| format!("the user {}", user_name(uid)));
    Err(Failure::usage(format!(
        "{who} chose the variable {chosen} for this token, and this runs as {}: say --as VAR ({chosen}, or another)",
        user_name(own)
    )))
}

/// What the config says that is at hand, where nobody but root and this user can change it. No secret is read for that.
fn configured(name: &str, around: &Surroundings) -> Option<String> {
    find_config(around.config.as_deref(), &around.env).ok()?;
    let home = Home::of(around).ok()?;
    let outlines = outline(&home.config, &home.env).ok()?;
    let own = rustix::process::geteuid().as_raw();
    let is_ours = |path: &PathBuf| controller_of(path).is_ok_and(|uid| uid.is_none_or(|uid| uid == own));
    let token = outlines.tokens.into_iter().find(|token| token.name.as_str() == name)?;
    let named = token.outputs.iter().find_map(|(_, format)| Some(format.variable()?.value.clone()));
    named.filter(|_| outlines.files.iter().all(is_ours))
}

/// NAME in capitals, what no variable may hold as `_`, and `_TOKEN`.
fn usual_variable(name: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let made: String = name.chars().map(upper).collect();
    let digit = made.starts_with(|c: char| c.is_ascii_digit());
    format!("{}{made}_TOKEN", if digit { "_" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_variable_is_one_that_sh_takes() {
        for (name, want) in [("sunbird", "SUNBIRD_TOKEN"), ("a.b-c", "A_B_C_TOKEN"), ("9x", "_9X_TOKEN")] {
            assert_eq!(usual_variable(name), want);
            assert!(variable(want).is_ok());
        }
    }
}
