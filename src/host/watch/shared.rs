//! Owns: what the watcher's threads, its task and the one that waits share.
//! Does not: watch anything.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::pending::Pending;

/// Between the threads that read inotify, the task, and the one that waits.
#[derive(Default)]
pub(super) struct SharedWatch {
    pub(super) pending: Mutex<Pending>,
    pub(super) wake: Notify,
    pub(super) troubles: Mutex<Vec<String>>,
}

impl SharedWatch {
    /// Nothing that can hang is done under this lock.
    pub(super) fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, what: impl FnOnce(&mut Pending)) {
        what(&mut self.lock());
        self.wake.notify_one();
    }

    pub(super) fn trouble(&self, troubles: Vec<String>) {
        *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }
}
