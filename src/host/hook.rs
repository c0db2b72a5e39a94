//! Owns: running one hook, a command or a signal, and leaving no process of it behind.
//! A command is its own process group without standard input; it gets neither our secrets nor what systemd gave to us.
//! Does not: decide when a hook runs, how many at once, or what its failure means.

mod output;
mod signal;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::systemd::OWN_VARIABLES;
use crate::core::settings::{HookAction, HookPlan};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// What a process that has exited left in its pipes is read for this long at most.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why a hook failed. Each says whose it was.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("{label}: {program} (or the interpreter that it names) was not found: install it or correct the command")]
    NotFound { label: String, program: String },
    #[error("{label}: {program} cannot be executed: permission denied")]
    NotExecutable { label: String, program: String },
    #[error("{label}: {program} cannot be started: {error}")]
    NotStarted { label: String, program: String, error: io::Error },
    #[error("{label}: {program} exited with status {code}")]
    Exit { label: String, program: String, code: i32 },
    #[error("{label}: {program} was killed by signal {signal}")]
    Killed { label: String, program: String, signal: i32 },
    #[error("{label}: {program} was stopped: it ran longer than its timeout of {}", humantime::format_duration(*after))]
    TimedOut { label: String, program: String, after: Duration },
    #[error("{label}: {program} was stopped: renewd is stopping")]
    Stopped { label: String, program: String },
    #[error("{label}: pid file {}: {problem}", path.display())]
    PidFile { label: String, path: PathBuf, problem: String },
    #[error("{label}: SIG{signal} to process {pid}, named by {}: {problem}", path.display())]
    Signal { label: String, path: PathBuf, signal: &'static str, pid: i32, problem: String },
}

/// Runs `plan` to its end: success is exit status 0, or a signal that was sent.
///
/// `label` says whose hook it is, in each error and log line ("token sunbird, after_rotate"). `vars` are added to the
/// inherited environment (never a token), the variables named in `scrub` (those that hold secrets) are taken out of it.
/// Once `stop` is true (or its sender is gone) the command is ended within a second. Dropped, it is killed at once.
///
/// # Errors
/// See [`HookError`]. In all cases the command's process group is gone.
pub async fn run(
    plan: &HookPlan,
    label: &str,
    vars: &[(&str, OsString)],
    scrub: &[String],
    stop: watch::Receiver<bool>,
) -> Result<(), HookError> {
    match &plan.action {
        HookAction::Signal { pid_file, signal } => signal::send(pid_file, *signal, label),
        HookAction::Command(argv) => {
            let program = argv.first().cloned().unwrap_or_default();
            let command = command(argv, vars, scrub);
            let running = Running::start(command, label.to_owned(), program)?;
            running.finish(plan.timeout, stop).await
        }
    }
}

fn command(argv: &[String], vars: &[(&str, OsString)], scrub: &[String]) -> Command {
    let mut words = argv.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command.args(words).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in OWN_VARIABLES.iter().copied().chain(scrub.iter().map(String::as_str)) {
        command.env_remove(name);
    }
    command.envs(vars.iter().map(|(name, value)| (name, value)));
    command
}

/// How the wait for a command ended.
enum End {
    Exited(io::Result<ExitStatus>),
    TimedOut,
    Stopped,
}

/// A command that was started.
struct Running {
    label: String,
    program: String,
    child: Child,
    group: Group,
}

impl Running {
    fn start(mut command: Command, label: String, program: String) -> Result<Self, HookError> {
        let started = command.spawn().and_then(|child| {
            let pid = child.id().and_then(|id| i32::try_from(id).ok());
            let group = pid.and_then(Pid::from_raw).map(|pid| Group(Some(pid)));
            let group = group.ok_or_else(|| io::Error::other("it has no process id"))?;
            Ok((child, group))
        });
        match started {
            Ok((child, group)) => Ok(Self { label, program, child, group }),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::NotFound => HookError::NotFound { label, program },
                io::ErrorKind::PermissionDenied => HookError::NotExecutable { label, program },
                _ => HookError::NotStarted { label, program, error },
            }),
        }
    }

    async fn finish(mut self, limit: Duration, mut stop: watch::Receiver<bool>) -> Result<(), HookError> {
        let end = self.attend(limit, &mut stop).await;
        verdict(end, limit, self.label, self.program)
    }

    /// Waits for the command and ends its group, logging what it prints meanwhile.
    async fn attend(&mut self, limit: Duration, stop: &mut watch::Receiver<bool>) -> End {
        let (child, group) = (&mut self.child, &mut self.group);
        let words = output::log_lines(&self.label, child.stdout.take(), child.stderr.take());
        tokio::pin!(words);
        let ended = async {
            let end = wait(child, limit, stop).await;
            if !matches!(end, End::Exited(_)) {
                group.signal(Signal::TERM);
                if timeout(GRACE, child.wait()).await.is_err() {
                    group.signal(Signal::KILL);
                    // A process in an uninterruptible call outlives even that: tokio reaps it when it returns.
                    let _ = timeout(GRACE / 2, child.wait()).await;
                }
            }
            group.end().await;
            end
        };
        tokio::pin!(ended);
        let mut silent = false;
        let end = loop {
            tokio::select! {
                end = &mut ended => break end,
                () = &mut words, if !silent => silent = true,
            }
        };
        if !silent {
            // Whoever holds the pipes now has left the group: it is not ours to wait for.
            let _ = timeout(LAST_WORDS, words).await;
        }
        end
    }
}

async fn wait(child: &mut Child, limit: Duration, stop: &mut watch::Receiver<bool>) -> End {
    // A limit beyond what the clock can hold is none.
    let deadline = Instant::now().checked_add(limit);
    let expired = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        status = child.wait() => End::Exited(status),
        () = expired => End::TimedOut,
        _ = stop.wait_for(|stop| *stop) => End::Stopped,
    }
}

fn verdict(end: End, after: Duration, label: String, program: String) -> Result<(), HookError> {
    match end {
        End::TimedOut => Err(HookError::TimedOut { label, program, after }),
        End::Stopped => Err(HookError::Stopped { label, program }),
        End::Exited(Err(error)) => Err(HookError::NotStarted { label, program, error }),
        End::Exited(Ok(status)) => match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(HookError::Exit { label, program, code }),
            (None, signal) => Err(HookError::Killed { label, program, signal: signal.unwrap_or(0) }),
        },
    }
}

/// The process group of a command, until it is known to be gone. Dropped before that it is killed.
struct Group(Option<Pid>);

impl Group {
    /// ESRCH is the aim, and EPERM a process that changed its user: nothing more can be done then.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            let _ = rustix::process::kill_process_group(pid, signal);
        }
    }

    fn is_gone(&mut self) -> bool {
        let Some(pid) = self.0 else { return true };
        // As process 1 of a container we inherit what the command left behind, and nobody else reaps it.
        while let Ok(Some(_)) = rustix::process::waitpgid(pid, WaitOptions::NOHANG) {}
        if rustix::process::test_kill_process_group(pid).is_err() {
            // Its number may be given to others from now on.
            self.0 = None;
        }
        self.0.is_none()
    }

    /// Ends what the command left behind in its group: asked, then killed, within [`GRACE`].
    async fn end(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            if self.is_gone() {
                return;
            }
            self.signal(signal);
            let patience = Instant::now() + GRACE / 2;
            while !self.is_gone() && Instant::now() < patience {
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_gone() {
            self.signal(Signal::KILL);
        }
    }
}
