//! Owns: lines of the log that others can cause as often as they like: told at once, then counted, and told once a minute.
//! Does not: know what they say.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Seldom(Mutex<LastTold>);

#[derive(Default)]
struct LastTold {
    at: Option<Instant>,
    /// Since then.
    more: usize,
}

impl Seldom {
    /// It happened once more. `Some`: a line is due, and tells how often it happened since the last one, if that is more than once.
    pub(super) fn happened(&self) -> Option<String> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.more += 1;
        let is_due = told.at.is_none_or(|at| at.elapsed() >= PAUSE);
        is_due.then(|| {
            told.at = Some(Instant::now());
            match std::mem::take(&mut told.more) {
                1 => String::new(),
                count => format!(" ({count} times since this was told last)"),
            }
        })
    }
}
