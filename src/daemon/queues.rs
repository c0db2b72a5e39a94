//! Owns: whose turn it is at a folder: one batch at a time, so that one that hangs holds up no other; and so many folders of a
//! mount at a time, so that a mount which hangs, with however many folders, leaves threads for the others.
//! Does not: know what is done there, or start a thread.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::core::engine::{Event, OpId};
use crate::core::settings::{Fingerprint, TargetPath};
use crate::core::time::Boot;
use crate::host::clock;
use crate::host::deliver::Job;
use crate::process::mounts::Mounts;

/// So many files a batch: a token that is due soon waits for no more than these.
const BATCH: usize = 2048;
/// So many folders of one mount at a time.
const FOLDERS_PER_MOUNT: usize = 32;
/// What is mounted is looked at again after this.
const LOOK: Duration = Duration::from_secs(1);

/// An operation that waits for its folder.
pub(super) enum FolderWork {
    Write {
        op: OpId,
        job: Job,
    },
    Remove {
        op: OpId,
        path: TargetPath,
        digests: Vec<Fingerprint>,
    },
    /// Removes what a crash left beside these files.
    Sweep {
        names: BTreeSet<OsString>,
    },
}

impl FolderWork {
    /// What is told where the batch did not come to its end.
    pub(super) fn broken(&self, message: &Arc<str>) -> Option<Event> {
        let message = message.clone();
        match self {
            Self::Write { op, job } => Some(Event::DeliverFailed { path: job.path.clone(), op: *op, message }),
            Self::Remove { op, path, .. } => {
                Some(Event::Removed { path: path.clone(), op: *op, failed: Some(message) })
            }
            Self::Sweep { .. } => None,
        }
    }
}

/// A folder at which a batch is under way, or that waits for its turn.
struct FolderQueue {
    /// `None`: that of `/`, or of what is not known.
    mount: Option<PathBuf>,
    waiting: VecDeque<FolderWork>,
    /// Files that are believed to be as they shall: looked at when nothing else waits.
    checks: VecDeque<FolderWork>,
}

impl FolderQueue {
    fn batch(&mut self) -> Vec<FolderWork> {
        let mut batch: Vec<FolderWork> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        let room = BATCH - batch.len();
        batch.extend(self.checks.drain(..self.checks.len().min(room)));
        batch
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.checks.is_empty()
    }
}

/// The folders of one mount.
#[derive(Default)]
struct MountQueue {
    running: usize,
    ready: VecDeque<PathBuf>,
}

#[derive(Default)]
pub(super) struct FolderQueues {
    queues: HashMap<PathBuf, FolderQueue>,
    by_mount: HashMap<Option<PathBuf>, MountQueue>,
    mounts: Mounts,
    looked: Option<Boot>,
}

impl FolderQueues {
    /// Whether nothing is under way, and nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// `real`: the folder without the links that lead there, as far as they are known.
    pub(super) fn push(&mut self, folder: &Path, real: &Path, work: FolderWork, is_check: bool) {
        self.open(folder, real);
        if let Some(queue) = self.queues.get_mut(folder) {
            let queue = if is_check { &mut queue.checks } else { &mut queue.waiting };
            queue.push_back(work);
        }
    }

    /// Before all that waits there.
    pub(super) fn push_first(&mut self, folder: &Path, real: &Path, work: FolderWork) {
        self.open(folder, real);
        if let Some(queue) = self.queues.get_mut(folder) {
            queue.waiting.push_front(work);
        }
    }

    fn open(&mut self, folder: &Path, real: &Path) {
        if self.queues.contains_key(folder) {
            return;
        }
        let now = clock::now().boot;
        if self.looked.is_none_or(|at| at.plus(LOOK) <= now) {
            (self.mounts, self.looked) = (Mounts::now(), Some(now));
        }
        let mount = self.mounts.of(real).map(Path::to_path_buf);
        self.by_mount.entry(mount.clone()).or_default().ready.push_back(folder.to_path_buf());
        let queue = FolderQueue { mount, waiting: VecDeque::new(), checks: VecDeque::new() };
        self.queues.insert(folder.to_path_buf(), queue);
    }

    /// The next batch that may be done now.
    pub(super) fn take(&mut self) -> Option<(PathBuf, Vec<FolderWork>)> {
        let mount_queue = self
            .by_mount
            .values_mut()
            .find(|mount_queue| mount_queue.running < FOLDERS_PER_MOUNT && !mount_queue.ready.is_empty())?;
        let folder = mount_queue.ready.pop_front()?;
        let batch = self.queues.get_mut(&folder)?.batch();
        mount_queue.running += 1;
        Some((folder, batch))
    }

    /// A folder's batch has ended.
    pub(super) fn done(&mut self, folder: &Path) {
        let Some(queue) = self.queues.get(folder) else { return };
        let is_empty = queue.is_empty();
        if let Some(mount_queue) = self.by_mount.get_mut(&queue.mount) {
            mount_queue.running -= 1;
            if !is_empty {
                mount_queue.ready.push_back(folder.to_path_buf());
            } else if mount_queue.running == 0 && mount_queue.ready.is_empty() {
                self.by_mount.remove(&queue.mount);
            }
        }
        if is_empty {
            self.queues.remove(folder);
        }
    }
}
