//! Owns: a program that is run for what it prints: all of it up to a bound, and in words what went wrong otherwise.
//! Does not: know what it prints.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::ChildStderr;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::{End, Running};
use crate::core::secret::make_room;

/// An output ends here: no token and no credential is as long.
const LARGEST: usize = 1024 * 1024;

/// What a program printed, and what went wrong with it, in words that follow its name.
pub(crate) type Captured = (Zeroizing<Vec<u8>>, Result<(), String>);

/// Waits for a program to its end, for `limit` at most. What it says on standard error goes to `listen` meanwhile; `what` it should
/// print: "token".
pub(crate) async fn to_the_end(
    running: &mut Running,
    limit: Duration,
    what: &str,
    listen: impl AsyncFnOnce(Option<ChildStderr>),
) -> Captured {
    let too_much = Notify::new();
    let mut printed = Zeroizing::default();
    let (out, err) = running.output();
    let reading = async {
        let out = async {
            read_all(out, &mut printed).await;
            if printed.len() > LARGEST {
                too_much.notify_one();
            }
        };
        tokio::join!(out, listen(err));
    };
    let end = running.attend(limit, too_much.notified(), reading).await;
    let trouble = match end {
        End::TimedOut => {
            let after = humantime::format_duration(limit);
            Err(format!("was stopped: it ran longer than its timeout of {after}"))
        }
        End::Exited(status) => succeeded(status),
        End::Stopped => Ok(()),
    };
    let too_much = || Err(format!("was stopped: it printed more than 1 MiB, which is no {what}"));
    let is_too_much = printed.len() > LARGEST;
    (printed, if is_too_much { trouble.and_then(|()| too_much()) } else { trouble })
}

/// Reads a stream to its end, or a little beyond what is taken.
async fn read_all(stream: Option<impl AsyncRead + Unpin>, printed: &mut Zeroizing<Vec<u8>>) {
    let Some(mut stream) = stream else { return };
    while printed.len() <= LARGEST {
        make_room(printed, 1);
        if matches!(stream.read_buf(&mut **printed).await, Ok(0) | Err(_)) {
            return;
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

/// Why a program cannot be started, in words that follow its name.
pub(crate) fn not_started(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "(or the interpreter that it names) was not found: install it or correct the command".into()
        }
        io::ErrorKind::PermissionDenied => "cannot be executed: permission denied".into(),
        _ => format!("cannot be started: {error}"),
    }
}
