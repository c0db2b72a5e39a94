//! Owns: a process group, until it is known to be gone.
//! Does not: start one.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use tokio::time::{Instant, sleep};

/// Between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_millis(500);

/// The process group of a program. Dropped before it is known to be gone, it is killed.
pub(super) struct Group(Option<Pid>);

impl Group {
    pub(super) fn of(leader: Pid) -> Self {
        Self(Some(leader))
    }

    /// ESRCH is the aim, and EPERM a process that changed its user: nothing more can be done then.
    pub(super) fn signal(&self, signal: Signal) {
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

    /// Ends what the program left behind in its group: asked, then killed, within [`GRACE`].
    pub(super) async fn end(&mut self) {
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
