//! Owns: an end for commands that look at files before they have anything to wait for: a config, a unit file that names one, or a
//! state on a file system that hangs.
//! Does not: bound what has a time of its own, or the calls themselves, which nothing can.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::exit::{Exit, say};

/// Looking at files takes no longer, unless one of them hangs.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a command ends where it hangs, and when, where it has a time of its own.
static END: Mutex<(Exit, Option<Instant>)> = Mutex::new((Exit::Failed, None));

/// From now on a look that hangs ends with this exit code; `end`: not before then.
pub(crate) fn ends(exit: Exit, end: Option<Instant>) {
    *END.lock().unwrap_or_else(PoisonError::into_inner) = (exit, end);
}

/// A look that is under way, until it is dropped.
pub(crate) struct Look {
    _over: Option<Sender<()>>,
}

impl Look {
    /// `what` is what takes so long: "looking at ...".
    pub(super) fn begin(what: String) -> Self {
        let (exit, end) = *END.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = end.map_or(PATIENCE, |end| end.saturating_duration_since(Instant::now()));
        let (over, is_over) = channel::<()>();
        let watch = move || {
            if is_over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                say(format!("{what} has taken {} s: does a file system hang?", limit.as_secs()));
                std::process::exit(exit as i32);
            }
        };
        match std::thread::Builder::new().name("look-watch".into()).spawn(watch) {
            Ok(_) => Self { _over: Some(over) },
            // It takes as long as it takes.
            Err(_) => Self { _over: None },
        }
    }
}
