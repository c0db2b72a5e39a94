//! Owns: `renewd token`, and how a command gets a token: from the daemon where one runs, else from config and state.
//! Does not: decide whether it must be obtained; the engine does, in either case.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use super::ask::{PATIENCE, SocketArgs, complain};
use super::{Exit, Surroundings, check, input, once};
use crate::core::render::{Rendered, render};
use crate::core::secret::Secret;
use crate::core::settings::{Format, Plan, TokenName};
use crate::core::time::Wall;
use crate::daemon::{self, Once};
use crate::host::control::{ClientError, NO_PERMISSION, Request, Response};
use crate::host::load::load;

/// Print a token, obtained first where it has too little life left
///
/// Asks the daemon where it runs (as root or its own user), else works from config and state.
/// Exit codes: 0 done; 64 a NAME that is not in the config; 75 there is no such token now; 78 the config is wrong.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long it must be valid still
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = input::duration)]
    min_valid: Duration,

    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "token")]
    format: Shown,

    #[command(flatten)]
    socket: SocketArgs,

    /// The token
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    Token,
    Header,
    Json,
}

/// A token that a command may use.
pub(crate) struct Usable {
    pub name: TokenName,
    pub token: Secret<String>,
    pub issued_at: Wall,
    pub expires_at: Option<Wall>,
    /// That of its env output, as the daemon knows it.
    pub variable: Option<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> ExitCode {
    let usable = match usable(&args.name, args.min_valid, &args.socket, around) {
        Ok(usable) => usable,
        Err(exit) => return exit.into(),
    };
    match print(&usable, args.format) {
        Ok(()) => Exit::Done.into(),
        Err(why) => {
            eprintln!("error: {why}");
            Exit::Failed.into()
        }
    }
}

fn print(usable: &Usable, shown: Shown) -> Result<(), String> {
    let format = match shown {
        Shown::Token => Format::Token,
        Shown::Header => Format::Header,
        Shown::Json => Format::Json,
    };
    let token = Rendered {
        name: &usable.name,
        token: &usable.token,
        issued_at: usable.issued_at,
        expires_at: usable.expires_at,
    };
    let bytes = render([(token, &format)]).map_err(|error| error.to_string())?;
    let mut out = std::io::stdout().lock();
    let end: &[u8] = if bytes.expose().ends_with(b"\n") { b"" } else { b"\n" };
    out.write_all(bytes.expose()).and_then(|()| out.write_all(end)).map_err(|error| format!("cannot print: {error}"))
}

/// The token with so much life left; says what went wrong.
pub(crate) fn usable(
    name: &str,
    min_valid: Duration,
    socket: &SocketArgs,
    around: &Surroundings,
) -> Result<Usable, Exit> {
    let min_valid_ms = u64::try_from(min_valid.as_millis()).unwrap_or(u64::MAX);
    let request = Request::Token { name: name.into(), min_valid: min_valid_ms };
    match socket.ask(around, &request, PATIENCE) {
        // A daemon of somebody else, which serves its own user and root alone, is as good as none.
        Ok(response) if response.exit == NO_PERMISSION => from_state(name, min_valid, around),
        Ok(response) => from_daemon(name, response),
        Err(ClientError::NotThere { .. } | ClientError::Refused { .. }) => from_state(name, min_valid, around),
        Err(error) => {
            complain(&error);
            Err(Exit::NotNow)
        }
    }
}

fn from_daemon(name: &str, response: Response) -> Result<Usable, Exit> {
    match (response.token, TokenName::new(name)) {
        (Some(answer), Some(name)) => Ok(Usable {
            name,
            token: Secret::new(answer.token.to_string()),
            issued_at: Wall(answer.issued_at),
            expires_at: answer.expires_at.map(Wall),
            variable: answer.variable,
        }),
        _ => {
            response.errors.iter().for_each(|line| eprintln!("error: {line}"));
            Err(if response.exit == Exit::Usage as u8 { Exit::Usage } else { Exit::NotNow })
        }
    }
}

/// The plan alone: warnings of a config that will do are not for the standard error of somebody's command.
fn plan(config: &Path, around: &Surroundings) -> Result<Plan, Exit> {
    let loaded = load(config, &around.env);
    loaded.plan.ok_or_else(|| {
        eprint!("{}", loaded.report.render(check::coloured(&around.env)));
        Exit::WrongConfig
    })
}

/// Without a daemon: the same engine, for this token alone, under the state's lock.
fn from_state(name: &str, min_valid: Duration, around: &Surroundings) -> Result<Usable, Exit> {
    let not_now = |why: String| {
        eprintln!("error: {why}");
        Exit::NotNow
    };
    let plan = plan(&around.config()?, around)?;
    let names = once::named(&plan, &[name.to_owned()])?;
    let Some(name) = names.first().cloned() else { return Err(Exit::Usage) };
    let what = Once { names, ahead: Duration::ZERO, token: Some((name.clone(), min_valid)) };
    let end = daemon::once(plan, what).map_err(|error| not_now(error.to_string()))?;
    match end.held {
        Some(Ok(held)) => Ok(Usable {
            name,
            token: held.token,
            issued_at: held.issued_at,
            expires_at: held.expires_at,
            variable: None,
        }),
        Some(Err(why)) => Err(not_now(why)),
        None => Err(not_now(format!("token {name} is not at hand"))),
    }
}
