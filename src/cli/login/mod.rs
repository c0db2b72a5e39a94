//! Owns: `renewd login`: a person logs in once, as the config's own user, and what came of it is handed to the daemon, or, where none
//! runs, taken into the state under its lock. Nothing of what is there is touched before.
//! Does not: ask the issuer (`source` does), or keep a token.

mod device;
mod picture;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::acting::Home;
use super::aside::tell_line;
use super::ask::{ANSWER_TIMEOUT, SocketArgs, SocketPlaces, complain, finish};
use super::once::{named, plan};
use super::{Ended, Exit, Failure, Surroundings};
use crate::core::settings::{LoginFlow, Plan, TokenPlan};
use crate::core::token::Token;
use crate::daemon::{self, Once, may_log_in};
use crate::host::control::{ClientError, HandedToken, Request, Response};
use crate::host::{clock, hardening};
use crate::process::threads;
use crate::source::{Given, Login, Shared, SourceError};

/// What was got is offered to a daemon that starts again for so long.
const HAND_OVER: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(500);

/// Log in once, so that a token has its first refresh token
///
/// Of a token with `login` in the config. Shows where to log in, waits until that is done, has the refresh token kept by the
/// daemon (in the state, where none runs), and returns when the first token is on disk. Until then all is as it was: a login
/// that is given up changes nothing. To be run as root or as the daemon's own user.
/// Exit codes: 0 done; 1 the login or the delivery failed; 64 a NAME that is not in the config; 75 not now, try again; 78 the
/// config is wrong.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How to log in; default: as the config says
    #[arg(long, value_name = "FLOW")]
    flow: Option<Flow>,

    #[command(flatten)]
    socket: SocketArgs,

    /// The token
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Flow {
    /// A code is typed in on any other device
    Device,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    around.begin_log();
    let home = Home::of(around)?;
    if home.daemon().is_none() {
        home.make_state_dir()?;
    }
    home.act()?;
    hardening::harden(around.env.variable(hardening::ALLOW_NEW_PRIVILEGES));
    let (plan, _) = plan(&home, around)?;
    let name = named(&plan, std::slice::from_ref(&args.name))?.into_iter().next().ok_or(Exit::Usage)?;
    let token = plan.tokens.iter().find(|token| token.name == name).cloned().ok_or(Exit::Usage)?;
    may_log_in(&plan, &token, None).map_err(Failure::failed)?;
    let keeper = LoginKeeper::of(args.socket.places(around), &token, args.socket.is_named())?;
    let obtained = log_in(&token, args.flow, around)?;
    keeper.take(plan, &token, obtained, args.socket.is_named())
}

/// Who keeps what comes of a login.
enum LoginKeeper {
    Daemon(SocketPlaces),
    /// No daemon runs: the state under its lock.
    State,
}

impl LoginKeeper {
    /// Asks the daemon whether it would take it, before a person is bothered.
    fn of(places: SocketPlaces, token: &TokenPlan, is_named: bool) -> Result<Self, Failure> {
        match places.ask(&request(token, None), ANSWER_TIMEOUT) {
            Ok((response, _)) if response.ok => Ok(Self::Daemon(places)),
            Ok((response, _)) => Err(Failure::new(exit(&response), response.errors.join("; "))),
            Err(ClientError::NotThere { .. } | ClientError::Stranger { .. }) if !is_named => Ok(Self::State),
            Err(error) => Err(complain(&error).into()),
        }
    }

    fn take(self, plan: Plan, token: &TokenPlan, obtained: Token, is_named: bool) -> Ended {
        let Self::Daemon(places) = self else { return in_state(plan, obtained) };
        let handed = HandedToken::of(&obtained).map(Box::new);
        let request = request(token, handed);
        let end = Instant::now() + HAND_OVER;
        loop {
            let answer = places.ask(&request, ANSWER_TIMEOUT).map(|(response, _)| response);
            match &answer {
                Err(ClientError::NotThere { .. } | ClientError::Stranger { .. }) if !is_named => {
                    // It was stopped meanwhile.
                    return in_state(plan, obtained);
                }
                // It stops, and may start again.
                Ok(response) if response.exit == Exit::NotNow as u8 && Instant::now() < end => {}
                Err(ClientError::NotThere { .. }) if Instant::now() < end => {}
                _ => {
                    if answer.as_ref().is_ok_and(|response| response.ok) {
                        tell_line!("token {}: logged in", token.name);
                    }
                    return Ok(finish(answer));
                }
            }
            std::thread::sleep(AGAIN);
        }
    }
}

fn exit(response: &Response) -> Exit {
    match response.exit {
        64 => Exit::Usage,
        75 => Exit::NotNow,
        _ => Exit::Failed,
    }
}

fn request(token: &TokenPlan, handed: Option<Box<HandedToken>>) -> Request {
    Request::Login { name: token.name.as_str().into(), settings: token.fingerprint.hex(), token: handed }
}

/// The same engine as a daemon's, for this token alone.
fn in_state(plan: Plan, obtained: Token) -> Ended {
    let name = obtained.name.clone();
    let what =
        Once { names: [name.clone()].into(), ahead: Duration::ZERO, force: false, login: Some(obtained), token: None };
    let end = daemon::once(plan, what, &|_, _| ()).map_err(|error| Failure::failed(error.to_string()))?;
    if !end.ok {
        return Err(Exit::Failed.into());
    }
    tell_line!("token {name}: logged in; no daemon runs, so that `renewd once` or `renewd run` has to renew it");
    Ok(ExitCode::SUCCESS)
}

fn log_in(token: &TokenPlan, flow: Option<Flow>, around: &Surroundings) -> Result<Token, Failure> {
    let flow = match (flow, token.source.login()) {
        (Some(Flow::Device), _) => LoginFlow::Device,
        (None, login) => login.map_or(LoginFlow::Device, |login| login.flow),
    };
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| failed(&SourceError::no_random_numbers(error)))?;
    let shared = Arc::new(Shared::new(|| clock::now().wall));
    let given = Given::new(token.name.clone(), clock::now().wall, nonce, &shared);
    let runtime = threads::runtime()?;
    let obtained = runtime.block_on(async {
        let login = Login::begin(&token.source, &given).await?;
        match flow {
            LoginFlow::Device => device::log_in(&login, &token.name, around).await,
            LoginFlow::Browser => Err(SourceError::new(
                crate::core::engine::Reason::Machine,
                "a login in a browser is not built yet: use --flow device",
            )),
        }
    });
    // A name that is still looked up is not waited for.
    runtime.shutdown_background();
    let obtained = obtained.map_err(|error| failed(&error))?;
    Ok(Token { fingerprint: token.fingerprint, ..obtained })
}

fn failed(error: &SourceError) -> Failure {
    Failure::failed(format!("the login failed, and nothing was changed: {error}"))
}
