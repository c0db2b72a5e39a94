//! Owns: how a command finds and asks the running daemon, and how its answer becomes an exit code.
//! Does not: know what the commands are about.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Exit, Surroundings};
use crate::host::control::{ClientError, NO_PERMISSION, Request, Response, call};
use crate::host::load;

/// Longer than the daemon itself waits for anything that has no timeout of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Where the daemon is.
#[derive(clap::Args)]
pub(crate) struct SocketArgs {
    /// The daemon's control socket; default: as the config says, else the usual places
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl SocketArgs {
    /// The places to look at, in order.
    pub fn places(&self, around: &Surroundings) -> Vec<PathBuf> {
        if let Some(socket) = &self.socket {
            return vec![socket.clone()];
        }
        match load::find_config(around.config.as_deref(), &around.env) {
            Ok(config) => load::control_sockets(&config, &around.env),
            Err(_) => load::default_control_sockets(&around.env),
        }
    }

    /// Asks the first daemon that is there.
    pub fn ask(&self, around: &Surroundings, request: &Request, patience: Duration) -> Result<Response, ClientError> {
        let mut first = None;
        for place in self.places(around) {
            match call(&place, request, patience) {
                Err(error @ ClientError::NotThere { .. }) => first = first.or(Some(error)),
                other => return other,
            }
        }
        Err(first.unwrap_or_else(|| ClientError::NotThere {
            path: PathBuf::from("control.sock"),
            cause: std::io::ErrorKind::NotFound.into(),
        }))
    }
}

/// Says what went wrong on the way to the daemon.
pub(crate) fn complain(error: &ClientError) -> Exit {
    eprintln!("error: {error}");
    match error {
        ClientError::NotThere { .. } => {
            eprintln!("is it running? start it with `renewd run`, or name its socket with --socket");
            Exit::NoDaemon
        }
        ClientError::Refused { .. } | ClientError::Broken { .. } => Exit::Failed,
    }
}

/// Prints an answer's errors, and on a terminal what was done; its exit code.
pub(crate) fn finish(answer: Result<Response, ClientError>) -> ExitCode {
    match answer {
        Ok(response) => {
            if std::io::stdout().is_terminal() {
                response.notes.iter().for_each(|line| println!("{line}"));
            }
            response.errors.iter().for_each(|line| eprintln!("error: {line}"));
            ExitCode::from(if response.exit == NO_PERMISSION { Exit::Failed as u8 } else { response.exit })
        }
        Err(error) => complain(&error).into(),
    }
}
