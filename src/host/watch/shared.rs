//! Owns: what the watcher's threads, its task and the one that waits share.
//! Does not: watch anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::pending::Pending;
use super::route::{Errand, Ways, walk};

/// Between the threads that read inotify, the task, and the one that waits.
#[derive(Default)]
pub(super) struct SharedWatch {
    pub(super) pending: Mutex<Pending>,
    pub(super) wake: Notify,
    pub(super) troubles: Mutex<Vec<String>>,
    /// How all stands; none while something is amiss.
    pub(super) known: Mutex<Option<Arc<KnownErrands>>>,
}

/// How all stood at the last look.
pub(super) struct KnownErrands(pub(super) Vec<(Arc<Errand>, Arc<Ways>)>);

impl KnownErrands {
    /// Whether all stands so still. Walks to all of it, and hangs where a file system does.
    pub(super) fn stands(&self) -> bool {
        self.0.iter().all(|(errand, ways)| walk(errand, &|| ()).ways == **ways)
    }
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

    pub(super) fn know(&self, known: Option<KnownErrands>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known.map(Arc::new);
    }

    pub(super) fn trouble(&self, troubles: Vec<String>) {
        *self.troubles.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }
}
