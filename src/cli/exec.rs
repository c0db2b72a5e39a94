//! Owns: `renewd exec`: a command with a fresh token in its environment, in place of this process.
//! Does not: stay; the command's status and signals are its own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use super::ask::SocketArgs;
use super::{Exit, Surroundings, input, token};
use crate::core::plan::Purpose;
use crate::core::settings::Plan;
use crate::host::keeper::Keeper;
use crate::host::load::{find_config, load_for};

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
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let good = first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good { Ok(text.into()) } else { Err("letters, digits and _, no digit first".into()) }
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> ExitCode {
    let usable = match token::usable(&args.name, args.min_valid, &args.socket, around) {
        Ok(usable) => usable,
        Err(exit) => return exit.into(),
    };
    let config = find_config(around.config.as_deref(), &around.env).ok();
    let plan = config.and_then(|path| {
        let env = Keeper::of(&path, &around.env).environment(&around.env);
        load_for(&path, &env, Purpose::Command).plan
    });
    let variable = match variable_of(args, around, usable.variable.as_deref(), plan.as_ref()) {
        Ok(variable) => variable,
        Err(exit) => return exit.into(),
    };
    let Some((program, rest)) = args.command.split_first() else { return ExitCode::from(64) };
    let mut command = Command::new(program);
    command.args(rest);
    for secret in plan.iter().flat_map(|plan| &plan.secret_variables) {
        command.env_remove(secret);
    }
    command.env(variable, usable.token.expose());
    let error = command.exec();
    eprintln!("error: {}: {error}", program.display());
    ExitCode::from(if error.kind() == ErrorKind::NotFound { 127 } else { 126 })
}

/// What the command line says, else the config. Root's command is given no variable that somebody else chose: some of them
/// (LD_PRELOAD, BASH_ENV) are as good as a program.
fn variable_of(args: &Args, around: &Surroundings, told: Option<&str>, plan: Option<&Plan>) -> Result<String, Exit> {
    if let Some(named) = &args.variable {
        return Ok(named.clone());
    }
    let chosen = told.map(str::to_owned).unwrap_or_else(|| usual_variable(&args.name, plan));
    let own = usual_variable(&args.name, None);
    let is_users = || {
        find_config(around.config.as_deref(), &around.env)
            .is_ok_and(|path| rustix::process::geteuid().is_root() && Keeper::of(&path, &around.env).is_users())
    };
    if chosen != own && (variable(&chosen).is_err() || is_users()) {
        eprintln!(
            "error: the variable that the config names is not taken here, since root did not write that config: say --as VAR"
        );
        return Err(Exit::Usage);
    }
    Ok(chosen)
}

/// That of the token's first env output, else NAME in capitals, what no variable may hold as `_`, and `_TOKEN`.
fn usual_variable(name: &str, plan: Option<&Plan>) -> String {
    let env = plan.and_then(|plan| plan.env_variable(name)).map(str::to_owned);
    env.unwrap_or_else(|| {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let made: String = name.chars().map(upper).collect();
        let digit = made.starts_with(|c: char| c.is_ascii_digit());
        format!("{}{made}_TOKEN", if digit { "_" } else { "" })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_variable_is_one_that_sh_takes() {
        for (name, want) in [("sunbird", "SUNBIRD_TOKEN"), ("a.b-c", "A_B_C_TOKEN"), ("9x", "_9X_TOKEN")] {
            assert_eq!(usual_variable(name, None), want);
            assert!(variable(want).is_ok());
        }
    }
}
