//! Owns: running a program to its end and leaving no process of it behind: its own process group, its time, SIGTERM and
//! then SIGKILL. Hooks (host) and the source `command` both run programs, and neither room may name the other: so this
//! is a room of its own, below both.
//! Does not: decide what is run or what its end means, or give it an environment. `threads` are those of our own process.

pub(crate) mod captured;
mod group;
pub(crate) mod lines;
pub(crate) mod mounts;
pub(crate) mod orphans;
pub(crate) mod threads;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::{Instant, sleep_until, timeout};

use self::group::{GRACE, Group};
use self::orphans::Own;

/// Variables that every program may have, whoever it runs as: where things are found, how words are written, and the way to the
/// network, which is the one that renewd takes too.
pub(crate) const HARMLESS: [&str; 14] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "TZ",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Set in a process that works as somebody else than who started it.
pub(crate) const ACTING: &str = "RENEWD_ACTING_AS";

/// Variables that are meant for this process alone: programs it runs must not have them.
const OWN_VARIABLES: [&str; 14] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY",
    "MAINPID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "SYSTEMD_EXEC_PID",
    "FDSTORE",
    ACTING,
];

/// What a process that has exited left in its pipes is read for this long at most.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A program in the environment of this process, without what is meant for this one alone and without `scrub`, the variables that
/// hold secrets.
pub(crate) fn in_our_environment(argv: &[String], scrub: &[String]) -> Command {
    let mut words = argv.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command.args(words);
    for name in OWN_VARIABLES.iter().copied().chain(scrub.iter().map(String::as_str)) {
        command.env_remove(name);
    }
    command
}

/// How the wait for a program ended. In all cases its process group is gone.
#[derive(Debug)]
pub(crate) enum End {
    Exited(io::Result<ExitStatus>),
    TimedOut,
    Stopped,
}

/// A program that was started. Dropped before its end, it is killed with all of its group.
pub(crate) struct Running {
    child: Child,
    group: Group,
    _own: Own,
}

impl Running {
    /// Starts it in a process group of its own, without standard input; what it prints comes through pipes. Its file is read
    /// meanwhile, which is waited for on a thread, within `limit`: one that comes later is killed.
    ///
    /// # Errors
    /// It cannot be started: see exec(3).
    pub(crate) async fn start(mut command: Command, limit: Duration) -> io::Result<Self> {
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = PathBuf::from(command.as_std().get_program());
        let started = move || {
            let (child, pid, own) = orphans::spawn(&mut command).map_err(threads::explained)?;
            Ok(Self { child, group: Group::of(pid), _own: own })
        };
        threads::within(limit, &program, started).await
    }

    /// What it prints: to be read while it is attended.
    pub(crate) fn output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for it, for `limit` at most or until `stop` is ready, and ends its group; `reading` goes on meanwhile, and for
    /// a moment longer.
    pub(crate) async fn attend(
        &mut self,
        limit: Duration,
        stop: impl Future<Output = ()>,
        reading: impl Future<Output = ()>,
    ) -> End {
        tokio::pin!(reading);
        let ended = self.finish(limit, stop);
        tokio::pin!(ended);
        let mut silent = false;
        let end = loop {
            tokio::select! {
                end = &mut ended => break end,
                () = &mut reading, if !silent => silent = true,
            }
        };
        if !silent {
            // Whoever holds the pipes now has left the group: it is not ours to wait for.
            let _ = timeout(LAST_WORDS, reading).await;
        }
        end
    }

    async fn finish(&mut self, limit: Duration, stop: impl Future<Output = ()>) -> End {
        let end = wait(&mut self.child, limit, stop).await;
        if !matches!(end, End::Exited(_)) {
            self.group.signal(Signal::TERM);
            if timeout(GRACE, self.child.wait()).await.is_err() {
                self.group.signal(Signal::KILL);
                // A process in an uninterruptible call outlives even that: tokio reaps it when it returns.
                let _ = timeout(GRACE / 2, self.child.wait()).await;
            }
        }
        self.group.end().await;
        end
    }
}

async fn wait(child: &mut Child, limit: Duration, stop: impl Future<Output = ()>) -> End {
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
        () = stop => End::Stopped,
    }
}
