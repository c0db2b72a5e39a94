//! Owns: running one hook, a command or a signal, and leaving no process of it behind.
//! A command is its own process group without standard input; it gets neither our secrets nor what systemd gave to us.
//! Does not: decide when a hook runs, how many at once, or what its failure means.

mod error;
mod signal;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;

use crate::core::settings::{HookAction, HookPlan};
use crate::process::{End, Running, in_our_environment, lines};

pub(crate) use self::error::HookError;

/// Lines of one run that are logged; the rest is counted.
const LINES: usize = 64;

/// Runs `plan` to its end: success is exit status 0, or a signal that was sent.
///
/// `label` says whose hook it is, in each log line ("token sunbird, after_rotate"). `vars` are added to the
/// inherited environment (never a token), the variables named in `scrub` (those that hold secrets) are taken out of it.
/// Once `stop` is true (or its sender is gone) the command is ended within a second. Dropped, it is killed at once.
///
/// # Errors
/// Why it failed. In all cases the command's process group is gone.
pub async fn run(
    plan: &HookPlan,
    label: &str,
    vars: &[(&str, OsString)],
    scrub: &[String],
    stop: watch::Receiver<bool>,
) -> Result<(), HookError> {
    match &plan.action {
        HookAction::Signal { pid_file, signal } => signal::send(pid_file, *signal, plan.timeout).await,
        HookAction::Command(argv) => {
            let program = argv.first().cloned().unwrap_or_default();
            let running = Running::start(command(argv, vars, scrub), plan.timeout).await;
            let mut running = running.map_err(|error| not_started(error, program.clone()))?;
            let whose = vars.iter().find(|(name, _)| *name == "RENEWD_TOKEN_NAME");
            let token = whose.and_then(|(_, name)| name.to_str());
            let end = attend(&mut running, plan.timeout, label, token, stop).await;
            verdict(end, plan.timeout, program)
        }
    }
}

fn command(argv: &[String], vars: &[(&str, OsString)], scrub: &[String]) -> Command {
    let mut command = in_our_environment(argv, scrub);
    command.envs(vars.iter().map(|(name, value)| (name, value)));
    command
}

/// Waits for the command, logging what it prints meanwhile.
async fn attend(
    running: &mut Running,
    limit: Duration,
    label: &str,
    token: Option<&str>,
    mut stop: watch::Receiver<bool>,
) -> End {
    let printed = AtomicUsize::new(0);
    let log = |stream: &str, line: &str| {
        if printed.fetch_add(1, Ordering::Relaxed) < LINES {
            tracing::info!(token, "{label}: {stream}: {line}");
        }
    };
    let (out, err) = running.output();
    let words = async {
        tokio::join!(lines::read(out, |line| log("stdout", line)), lines::read(err, |line| log("stderr", line)));
    };
    let stop = async {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let end = running.attend(limit, stop, words).await;
    let more = printed.load(Ordering::Relaxed).saturating_sub(LINES);
    if more > 0 {
        tracing::info!(token, "{label}: {more} more lines of output are not shown");
    }
    end
}

fn not_started(error: io::Error, program: String) -> HookError {
    match error.kind() {
        io::ErrorKind::NotFound => HookError::NotFound { program },
        io::ErrorKind::PermissionDenied => HookError::NotExecutable { program },
        _ => HookError::NotStarted { program, error },
    }
}

fn verdict(end: End, after: Duration, program: String) -> Result<(), HookError> {
    match end {
        End::TimedOut => Err(HookError::TimedOut { program, after }),
        End::Stopped => Err(HookError::Stopped { program }),
        End::Exited(Err(error)) => Err(HookError::NotStarted { program, error }),
        End::Exited(Ok(status)) => match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(HookError::Exit { program, code }),
            (None, signal) => Err(HookError::Killed { program, signal: signal.unwrap_or(0) }),
        },
    }
}
