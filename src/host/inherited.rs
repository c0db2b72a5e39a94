//! Owns: signals as whoever started this process left them (execve(2) hands on which are blocked and which are ignored), and
//! as the kernel has them for process 1 of a container, which no signal ends by itself (pid_namespaces(7)).
//! Does not: do what a signal asks for; `run`, `once` and the page of `status` have handlers of their own.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use nix::sys::signal::SigSet;
use signal_hook::consts::{FORBIDDEN, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU};
use signal_hook::flag;

/// As long as it is true, a signal that is to end this process does.
static ENDS: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Of the standard signals (signal(7)).
const LAST: i32 = 31;

/// Sets right what would keep this process from working: nothing is blocked, the end of a child is no secret to its parent
/// (SIGCHLD ignored), SIGTERM ends it, and as process 1 it ends at what ends others.
///
/// To be called while there is one thread: others inherit the mask from the one that starts them.
pub(crate) fn set_right() {
    if let Err(error) = put_right() {
        tracing::warn!("signals stay as they were handed on: {error}");
    }
}

fn put_right() -> io::Result<()> {
    SigSet::empty().thread_set_mask()?;
    // A handler of ours is no part of what a program gets that is started from here: it has the default again.
    flag::register(SIGCHLD, Arc::default())?;
    let is_first = rustix::process::getpid().is_init();
    let ignored = ignored();
    // That the others are ignored may be meant so: nohup(1), and shells that start something in the background.
    let ending: &[i32] = match is_first {
        true => &[SIGTERM, SIGINT, SIGHUP, SIGQUIT],
        false if ignored.contains(&SIGTERM) => &[SIGTERM],
        false => return Ok(()),
    };
    let ends = ENDS.get_or_init(|| Arc::new(AtomicBool::new(true)));
    ending
        .iter()
        .try_for_each(|signal| flag::register_conditional_shutdown(*signal, 128 + signal, ends.clone()).map(drop))
}

/// From here on this process has handlers of its own for what is to end it.
pub(crate) fn ends_by_itself() {
    ENDS.get().into_iter().for_each(|ends| ends.store(false, Ordering::SeqCst));
}

/// What is started from here on gets the default of each signal that was ignored when this process was started.
pub(crate) fn give_defaults() {
    for signal in ignored() {
        if let Err(error) = flag::register(signal, Arc::default()) {
            tracing::warn!("what is started from here ignores signal {signal}: {error}");
        }
    }
}

/// A program that could not be put in the place of this process has left SIGPIPE with its default (execve(2) is prepared for that).
pub(crate) fn outlive_pipes() {
    // Without it a reader that went away ends this process, which was about to end.
    let _ = flag::register(SIGPIPE, Arc::default());
}

/// As `/proc/self/status` has it (proc_pid_status(5)); none where there is no /proc. SIGPIPE is the runtime's own affair, and a
/// terminal's two would be sent again without end where a handler came back from them.
fn ignored() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let is_ours = |signal: &i32| ![SIGPIPE, SIGTTIN, SIGTTOU].contains(signal) && !FORBIDDEN.contains(signal);
    (1..=LAST).filter(|signal| mask & (1 << (signal - 1)) != 0).filter(is_ours).collect()
}
