//! Owns: what process 1 of a container owes to the others there: whoever has lost its parent becomes its child, and stays a
//! zombie until it is reaped. What programs of our own left behind is among them, where it left their process groups.
//! Does not: wait for our own programs, whose exit codes are for those who started them.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rustix::process::Pid;
use signal_hook::consts::SIGCHLD;
use signal_hook_tokio::Signals;
use tokio::process::{Child, Command};

/// One of our own that has ended stands in the way of those behind it until it was waited for: they are looked for again.
const AGAIN: Duration = Duration::from_secs(1);

/// A program that has no number after this hangs before it begins, and keeps nobody else from being reaped. Were it to begin and
/// end at once later, its exit code might be lost.
const HANGS: Duration = Duration::from_secs(5);

static OWN: Mutex<Programs> = Mutex::new(Programs { starting: Vec::new(), running: BTreeSet::new() });

/// The programs that this process has started.
struct Programs {
    /// Those that have no number yet, since when.
    starting: Vec<Instant>,
    running: BTreeSet<i32>,
}

fn own() -> MutexGuard<'static, Programs> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program of our own, for as long as somebody may wait for it.
pub(super) struct Own(i32);

impl Drop for Own {
    fn drop(&mut self) {
        own().running.remove(&self.0);
    }
}

struct Starting(Instant);

impl Starting {
    fn begin() -> Self {
        let now = Instant::now();
        own().starting.push(now);
        Self(now)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let mut own = own();
        if let Some(at) = own.starting.iter().position(|since| *since == self.0) {
            own.starting.swap_remove(at);
        }
    }
}

/// Starts a program that nobody else reaps.
pub(super) fn spawn(command: &mut Command) -> io::Result<(Child, Pid, Own)> {
    let starting = Starting::begin();
    let child = command.spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("it has no process id"))?;
    own().running.insert(pid.as_raw_nonzero().get());
    drop(starting);
    Ok((child, pid, Own(pid.as_raw_nonzero().get())))
}

/// As process 1: reaps what others left behind, for as long as it is polled. Elsewhere it does nothing.
pub(crate) async fn reap() {
    if !rustix::process::getpid().is_init() {
        return;
    }
    let mut ended = match Signals::new([SIGCHLD]) {
        Ok(ended) => ended,
        Err(error) => {
            tracing::warn!("what others leave behind in this container is not reaped: {error}");
            return;
        }
    };
    loop {
        if reap_now() {
            tokio::time::sleep(AGAIN).await;
        } else if ended.next().await.is_none() {
            return;
        }
    }
}

/// True where some may be left.
fn reap_now() -> bool {
    loop {
        let own = own();
        if own.starting.iter().any(|since| since.elapsed() < HANGS) {
            return true;
        }
        // It is looked at first: a program of our own is not to lose its exit code.
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        let pid = match waitid(Id::All, look | WaitPidFlag::WNOWAIT) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            // Nobody has ended, or there is no child (ECHILD).
            _ => return false,
        };
        if own.running.contains(&pid.as_raw()) || waitid(Id::Pid(pid), look).is_err() {
            return true;
        }
    }
}
