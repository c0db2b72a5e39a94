//! Owns: `renewd token`, and how a command gets a token: from the daemon where one runs, else from config and state.
//! Does not: decide whether it must be obtained; the engine does, in either case.

use std::ffi::OsStr;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::acting::Home;
use super::aside::tell;
use super::ask::{ANSWER_TIMEOUT, SocketArgs, complain};
use super::{Ended, Exit, Failure, Surroundings, colour, hang, input, once, say};
use crate::core::plan::Purpose;
use crate::core::render::render;
use crate::core::settings::{Format, Plan};
use crate::core::token::Token;
use crate::daemon::{self, Once};
use crate::host::account::controller_of;
use crate::host::control::{ClientError, NO_PERMISSION, Peer, Request, Response, TokenAnswer};
use crate::host::load::load_for;

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
    format: TokenForm,

    #[command(flatten)]
    socket: SocketArgs,

    /// The token
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TokenForm {
    Token,
    Header,
    Json,
    /// As the daemon would answer: for this program alone, where it acts as another user.
    #[value(hide = true)]
    ForExec,
}

/// A token that a command may use.
pub(crate) struct Usable {
    pub token: Token,
    /// That of its env output, as who answers knows it.
    pub variable: Option<String>,
    /// Variables that hold secrets of the config, which a command is not to have.
    pub secret_variables: Vec<String>,
    /// The user who chose these; `None`: nobody knows.
    pub told_by: Option<u32>,
}

impl Usable {
    fn of(answer: TokenAnswer, told_by: Option<u32>) -> Option<Self> {
        let token = answer.token()?;
        Some(Self { token, variable: answer.variable, secret_variables: answer.secret_variables, told_by })
    }
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    hang::ends(Exit::NotNow, None);
    let usable = usable(&args.name, args.min_valid, &args.socket, around)?;
    print(usable, args.format).map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}

fn print(usable: Usable, shown: TokenForm) -> Result<(), String> {
    let format = match shown {
        TokenForm::Token => Format::Token,
        TokenForm::Header => Format::Header,
        TokenForm::Json => Format::Json,
        TokenForm::ForExec => {
            let Usable { token, variable, secret_variables, .. } = usable;
            let answer = TokenAnswer::of(&token, variable, secret_variables);
            return put(&Zeroizing::new(serde_json::to_vec(&answer).map_err(|error| error.to_string())?));
        }
    };
    put(render([(&usable.token, &format)]).map_err(|error| error.to_string())?.expose())
}

fn put(bytes: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    let end: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\n" };
    out.write_all(bytes).and_then(|()| out.write_all(end)).map_err(|error| format!("cannot print: {error}"))
}

/// The token with so much life left; says what went wrong.
pub(crate) fn usable(
    name: &str,
    min_valid: Duration,
    socket: &SocketArgs,
    around: &Surroundings,
) -> Result<Usable, Failure> {
    let min_valid_ms = u64::try_from(min_valid.as_millis()).unwrap_or(u64::MAX);
    let request = Request::Token { name: name.into(), min_valid: min_valid_ms };
    match socket.places(around).ask(&request, ANSWER_TIMEOUT) {
        // A daemon of somebody else, which serves its own user and root alone, is as good as none.
        Ok((response, _)) if response.exit == NO_PERMISSION => from_state(name, min_valid, around),
        Ok((response, peer)) => from_daemon(response, peer),
        Err(ClientError::NotThere { .. } | ClientError::Stranger { .. } | ClientError::Refused { .. }) => {
            from_state(name, min_valid, around)
        }
        Err(error) => {
            complain(&error);
            Err(Exit::NotNow.into())
        }
    }
}

fn from_daemon(response: Response, peer: Peer) -> Result<Usable, Failure> {
    let told_by = (!peer.is_handed).then_some(peer.uid);
    response.token.and_then(|answer| Usable::of(answer, told_by)).ok_or_else(|| {
        response.errors.iter().for_each(say);
        let exit = if response.exit == Exit::Usage as u8 { Exit::Usage } else { Exit::NotNow };
        exit.into()
    })
}

/// The plan alone: warnings of a config that will do are not for the standard error of somebody's command.
fn plan(home: &Home, around: &Surroundings) -> Result<Plan, Failure> {
    let loaded = load_for(&home.config, &home.env, Purpose::Command);
    // Not now, but perhaps later.
    let refused = if loaded.is_passing { Exit::NotNow } else { Exit::WrongConfig };
    loaded.plan.ok_or_else(|| {
        tell(&loaded.report.render(colour::of_diagnostics(&around.env)));
        refused.into()
    })
}

/// Without a daemon that serves us: the same engine, for this token alone, under the state's lock.
fn from_state(name: &str, min_valid: Duration, around: &Surroundings) -> Result<Usable, Failure> {
    let not_now = |why: String| Failure::new(Exit::NotNow, why);
    let home = Home::of(around)?;
    if let Some(about) = home.daemon() {
        return Err(not_now(format!(
            "the daemon of {} (process {}) hands tokens to root and its own user alone: run this as one of them",
            about.config.display(),
            about.pid
        )));
    }
    if let Some(usable) = from_own_user(&home, name, min_valid)? {
        return Ok(usable);
    }
    let plan = plan(&home, around)?;
    let names = once::named(&plan, &[name.to_owned()])?;
    let Some(name) = names.first().cloned() else { return Err(Exit::Usage.into()) };
    let variable = plan.env_variable(name.as_str()).map(str::to_owned);
    let secret_variables = plan.secret_variables.clone();
    let told_by = controller_of(&plan.path).ok().map(|controller| controller.unwrap_or(0));
    let token = Some((name.clone(), min_valid));
    let what = Once { names, ahead: Duration::ZERO, force: false, login: None, token };
    let end = daemon::once(plan, what, &|_, _| ()).map_err(|error| not_now(error.to_string()))?;
    match end.held {
        Some(Ok(token)) => Ok(Usable { token: Arc::unwrap_or_clone(token), variable, secret_variables, told_by }),
        Some(Err(why)) => Err(not_now(why)),
        None => Err(not_now(format!("token {name} is not at hand"))),
    }
}

/// As root: the config's own user is asked for it, by this program. `None`: this process is that user.
fn from_own_user(home: &Home, name: &str, min_valid: Duration) -> Result<Option<Usable>, Failure> {
    let min_valid = humantime::format_duration(min_valid).to_string();
    let words = ["token", name, "--min-valid", &min_valid, "--format", "for-exec"].map(OsStr::new);
    let Some(output) = home.output_of(&words)? else { return Ok(None) };
    let printed = Zeroizing::new(output.stdout);
    let answer: Option<TokenAnswer> = serde_json::from_slice(&printed).ok().filter(|_| output.status.success());
    let answer = answer.and_then(|answer| Usable::of(answer, home.acting_uid()));
    let exit = match output.status.code() {
        Some(64) => Exit::Usage,
        Some(78) => Exit::WrongConfig,
        _ => Exit::NotNow,
    };
    answer.map(Some).ok_or_else(|| exit.into())
}
