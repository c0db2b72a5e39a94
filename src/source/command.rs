//! Owns: `source = "command"`: a program that prints a token, run without a shell, in an environment of its own.
//! Does not: handle processes (process does), or know what the program does to get the token.

mod environment;
mod output;
mod stderr;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::{Notify, Semaphore};
use zeroize::Zeroizing;

use self::stderr::Said;
use super::{Given, Source, SourceError};
use crate::core::engine::Reason;
use crate::core::secret::make_room;
use crate::core::settings::CommandSettings;
use crate::core::token::Token;
use crate::process::{End, Running};

/// An output ends here; no token is as long.
const LARGEST_OUTPUT: usize = 1024 * 1024;
/// So many programs run at a time: a thousand tokens that fall due together must not be a thousand processes.
/// Wide enough that some that hang hold up nobody.
static PLACES: Semaphore = Semaphore::const_new(64);

impl Source for CommandSettings {
    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Token, SourceError>> {
        Box::pin(obtain(self, given))
    }

    fn is_probed(&self) -> bool {
        false
    }
}

async fn obtain(settings: &CommandSettings, given: Given) -> Result<Token, SourceError> {
    let program = settings.argv.first().map_or("", String::as_str);
    let (command, secrets) = command(settings, &given)?;
    // It is never closed. The wait for a place is not part of the timeout.
    let _place = PLACES.acquire().await;
    let started_at = given.now();
    let mut running = Running::start(command, settings.timeout).await.map_err(|error| not_started(program, &error))?;
    let mut said = Said::new(secrets);
    let printed = attend(&mut running, settings, &mut said).await;
    let printed = printed.map_err(|trouble| {
        let last = said.last().map(|line| format!(": {line}")).unwrap_or_default();
        SourceError::new(Reason::Unreachable, format!("{program} {trouble}{last}"))
    });
    said.log(
        &format!("token {}, {program}", given.name),
        printed.is_err(),
        printed.as_ref().map_or(&[], |out| out.as_slice()),
    );
    let of_program = |error: SourceError| SourceError { message: format!("{program}: {}", error.message), ..error };
    let answered = output::read(&printed?, settings.response.as_ref()).map_err(|error| of_program(error.into()))?;
    answered.token(&given, settings.ttl, started_at, None).map_err(|error| of_program(error.into()))
}

/// The command, and the secrets that its environment holds.
fn command(settings: &CommandSettings, given: &Given) -> Result<(Command, Vec<Zeroizing<String>>), SourceError> {
    let mut words = settings.argv.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command.args(words).env_clear().envs(environment::inherited(|name| std::env::var_os(name)));
    command.env("RENEWD_TOKEN_NAME", given.name.as_str());
    let mut secrets = Vec::new();
    for (name, pattern) in &settings.env {
        let filled =
            pattern.fill(|placeholder| environment::filling(placeholder, settings, given)).map_err(|missing| {
                SourceError::new(Reason::Machine, format!("env.{name}: {missing}; please report this"))
            })?;
        command.env(name, filled.expose());
        secrets.extend(
            pattern
                .placeholders()
                .filter_map(|placeholder| environment::filling(placeholder, settings, given))
                .map(|secret| Zeroizing::new(secret.to_owned())),
        );
    }
    Ok((command, secrets))
}

/// Runs it to its end: what it printed, or what went wrong, in words that follow its name.
async fn attend(
    running: &mut Running,
    settings: &CommandSettings,
    said: &mut Said,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let too_much = Notify::new();
    let mut printed = Ok(Zeroizing::default());
    let (out, err) = running.output();
    let reading = async {
        let out = async {
            printed = read_all(out).await;
            if printed.is_err() {
                too_much.notify_one();
            }
        };
        tokio::join!(out, said.listen(err));
    };
    match running.attend(settings.timeout, too_much.notified(), reading).await {
        End::Exited(status) => succeeded(status)?,
        End::TimedOut => {
            let after = humantime::format_duration(settings.timeout);
            return Err(format!("was stopped: it ran longer than its timeout of {after}"));
        }
        End::Stopped => {}
    }
    printed.map_err(|TooMuch| "was stopped: it printed more than 1 MiB, which is no token".into())
}

struct TooMuch;

/// Reads a stream to its end.
async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> Result<Zeroizing<Vec<u8>>, TooMuch> {
    let mut printed: Zeroizing<Vec<u8>> = Zeroizing::default();
    let Some(mut stream) = stream else { return Ok(printed) };
    loop {
        make_room(&mut printed, 1);
        match stream.read_buf(&mut *printed).await {
            Ok(0) | Err(_) => return Ok(printed),
            Ok(_) if printed.len() > LARGEST_OUTPUT => return Err(TooMuch),
            Ok(_) => {}
        }
    }
}

fn succeeded(status: io::Result<ExitStatus>) -> Result<(), String> {
    let status = status.map_err(|error| format!("cannot be waited for: {error}"))?;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("exited with status {code}")),
        (None, signal) => Err(format!("was killed by signal {}", signal.unwrap_or(0))),
    }
}

fn not_started(program: &str, error: &io::Error) -> SourceError {
    let message = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{program} (or the interpreter that it names) was not found: install it or correct the command")
        }
        io::ErrorKind::PermissionDenied => format!("{program} cannot be executed: permission denied"),
        _ => format!("{program} cannot be started: {error}"),
    };
    SourceError::new(Reason::Machine, message)
}
