//! Owns: how a command finds and asks the running daemon, and how its answer becomes an exit code.
//! Does not: know what the commands are about.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::aside::tell_line;
use super::hang::Look;
use super::{Exit, Failure, Surroundings, offline, say};
use crate::host::control::{ClientError, NO_PERMISSION, Peer, Request, Response, call};
use crate::host::keeper::{self, Meeting};
use crate::host::load;

/// Longer than the daemon itself waits for anything that has no timeout of its own.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Where the daemon is.
#[derive(clap::Args)]
pub(crate) struct SocketArgs {
    /// The daemon's control socket; default: as the config says, else the usual places
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// The places to look at, in order.
pub(crate) struct SocketPlaces {
    meetings: Vec<Meeting>,
    /// The config whose daemon is looked for. Without one, any daemon will do.
    config: Option<PathBuf>,
}

impl SocketArgs {
    /// Looks for them in the config and in all unit files: not to be done many times a second.
    pub(super) fn places(&self, around: &Surroundings) -> SocketPlaces {
        if let Some(socket) = &self.socket {
            return SocketPlaces { meetings: vec![Meeting { socket: socket.clone(), is_named: true }], config: None };
        }
        let _look = Look::begin("looking for the daemon of the config".into());
        match load::find_config(around.config.as_deref(), &around.env) {
            Ok(config) => SocketPlaces {
                meetings: keeper::meetings(&config, &around.env),
                config: Some(around.env.absolute_path(&config)),
            },
            Err(_) => {
                let sockets = load::default_control_sockets(&around.env);
                let meetings = sockets.into_iter().map(|socket| Meeting { socket, is_named: false });
                SocketPlaces { meetings: meetings.collect(), config: None }
            }
        }
    }

    /// Asks the first daemon that is there and keeps this config.
    pub(super) fn ask(
        &self,
        around: &Surroundings,
        request: &Request,
        patience: Duration,
    ) -> Result<Response, ClientError> {
        self.places(around).ask(request, patience).map(|(response, _)| response)
    }

    /// Asks how tokens stand. Where no daemon answers, and none was named by --socket, the state and the files are read.
    pub(super) fn ask_or_read(
        &self,
        around: &Surroundings,
        request: &Request,
        names: &[String],
    ) -> Result<Result<Response, ClientError>, Failure> {
        let answer = self.ask(around, request, ANSWER_TIMEOUT);
        match &answer {
            Err(ClientError::NotThere { .. } | ClientError::Stranger { .. }) if self.socket.is_none() => {
                match offline::read(around, names)? {
                    Some(reading) => Ok(Ok(reading.response)),
                    None => Ok(answer),
                }
            }
            _ => Ok(answer),
        }
    }

    /// Whether a daemon was named.
    pub(super) fn is_named(&self) -> bool {
        self.socket.is_some()
    }
}

impl SocketPlaces {
    /// Asks the first daemon that is there and keeps this config; who answers is told too.
    pub(super) fn ask(&self, request: &Request, patience: Duration) -> Result<(Response, Peer), ClientError> {
        let mut first = None;
        for place in &self.meetings {
            let answer = stranger(place, self.config.as_deref()).and_then(|()| call(&place.socket, request, patience));
            match answer {
                Err(error @ (ClientError::NotThere { .. } | ClientError::Stranger { .. })) => {
                    // A daemon that keeps something else tells more than a place where there is none.
                    let tells = matches!(error, ClientError::Stranger { .. });
                    first = if tells { Some(error) } else { first.or(Some(error)) };
                }
                other => return other,
            }
        }
        Err(first.unwrap_or_else(|| ClientError::NotThere {
            path: PathBuf::from("control.sock"),
            cause: std::io::ErrorKind::NotFound.into(),
        }))
    }
}

/// Whether the daemon at a usual place keeps another config than the one that is meant.
fn stranger(place: &Meeting, config: Option<&Path>) -> Result<(), ClientError> {
    let Some(config) = config.filter(|_| !place.is_named) else { return Ok(()) };
    match keeper::introduce(&place.socket)? {
        Some(about) if !is_same(&about.config, config) => {
            let path = place.socket.clone();
            Err(ClientError::Stranger { path, pid: about.pid, keeps: about.config, config: config.into() })
        }
        _ => Ok(()),
    }
}

fn is_same(other: &Path, config: &Path) -> bool {
    let _look = Look::begin(format!("looking whether {} is {}", other.display(), config.display()));
    keeper::is_same(other, config)
}

/// Says what went wrong on the way to the daemon.
pub(crate) fn complain(error: &ClientError) -> Exit {
    say(error);
    match error {
        ClientError::Stranger { .. } => Exit::NoDaemon,
        ClientError::NotThere { .. } => {
            tell_line!("is it running? start it with `renewd run`, or name its socket with --socket");
            Exit::NoDaemon
        }
        ClientError::Refused { .. } | ClientError::Silent { .. } | ClientError::Broken { .. } => Exit::Failed,
    }
}

/// Prints an answer's errors and remarks, and on a terminal what was done; its exit code.
pub(crate) fn finish(answer: Result<Response, ClientError>) -> ExitCode {
    match answer {
        Ok(response) => {
            if std::io::stdout().is_terminal() {
                let mut out = std::io::stdout().lock();
                // A terminal that went away has seen what it wanted.
                response.notes.iter().for_each(|line| drop(writeln!(out, "{line}")));
            }
            response.remarks.iter().for_each(|line| tell_line!("note: {line}"));
            response.errors.iter().for_each(say);
            ExitCode::from(if response.exit == NO_PERMISSION { Exit::Failed as u8 } else { response.exit })
        }
        Err(error) => complain(&error).into(),
    }
}
