//! Owns: looking off the loop at what was written, and at what else is looked at now and then: one folder after another, and where
//! one hangs the others go on without it. What is as it was is not told, so that a look at what is well wakes nobody.
//! Does not: decide what a change means; the engine does.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::message::{LookId, Seen};
use super::{Message, Messages};
use crate::core::settings::TargetPath;
use crate::core::time::Boot;
use crate::host::clock;
use crate::host::deliver::{Stamp, look};
use crate::host::names;

/// A folder whose look has not come back after this hangs: it is not looked at again until it does.
pub(super) const HANGS: Duration = Duration::from_secs(1);
/// Who waits for a look is told of a folder that has not answered for so long.
const SLOW: Duration = Duration::from_millis(500);
/// A look that makes no step for so long is left where it is, and another thread takes the folders that wait.
const STUCK: Duration = Duration::from_millis(200);

/// The files of one folder, with how they were left.
pub(super) struct FolderLook {
    pub path: PathBuf,
    pub files: Vec<(TargetPath, Stamp)>,
}

/// One who waits for several folders.
struct FolderWaiter {
    id: LookId,
    left: AtomicUsize,
}

enum QueuedLook {
    Folder { folder: FolderLook, asker: Option<Arc<FolderWaiter>> },
    Chore(Chore),
}

/// What is looked at beside the files that were written, and tells by itself what is news. Who gives it sees to it that there is
/// one of its kind at a time.
pub(super) type Chore = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct LookQueue {
    waiting: VecDeque<QueuedLook>,
    /// Looks that are under way, with when the first of them began.
    under_way: HashMap<PathBuf, (usize, Boot)>,
    /// Grows with each look that comes back.
    steps: u64,
    is_guarded: bool,
}

impl LookQueue {
    fn hangs(&self, folder: &Path, now: Boot) -> bool {
        self.under_way.get(folder).is_some_and(|(_, since)| since.plus(HANGS) <= now)
    }
}

#[derive(Default)]
struct SharedLooks {
    queue: Mutex<LookQueue>,
    /// Nothing waits any more.
    emptied: Condvar,
}

pub(super) struct Looks {
    shared: Arc<SharedLooks>,
    messages: Messages,
    last: LookId,
}

impl SharedLooks {
    /// Nothing that panics is done under this lock.
    fn queue(&self) -> MutexGuard<'_, LookQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looks {
    pub(super) fn new(messages: &Messages) -> Self {
        Self { shared: Arc::default(), messages: messages.clone(), last: 0 }
    }

    /// Does the chores, and looks at all of these; what has changed comes as [`Message::Looked`].
    pub(super) fn begin(&self, folders: Vec<FolderLook>, chores: Vec<Chore>) {
        // What no thread has taken since the last time is in these again; a chore is not.
        self.shared.queue().waiting.retain(|look| !matches!(look, QueuedLook::Folder { asker: None, .. }));
        let folders = self.that_answer(folders).into_iter().map(|folder| QueuedLook::Folder { folder, asker: None });
        self.queue(chores.into_iter().map(QueuedLook::Chore).chain(folders).collect());
    }

    /// The same for somebody who waits: the last message bears this number. `None`: there is nothing to wait for.
    pub(super) fn ask(&mut self, folders: Vec<FolderLook>) -> Option<LookId> {
        let folders = self.that_answer(folders);
        if folders.is_empty() {
            return None;
        }
        self.last += 1;
        let asker = Arc::new(FolderWaiter { id: self.last, left: AtomicUsize::new(folders.len()) });
        let queued = |folder| QueuedLook::Folder { folder, asker: Some(asker.clone()) };
        self.queue(folders.into_iter().map(queued).collect());
        Some(self.last)
    }

    /// Those that do not hang by now.
    fn that_answer(&self, folders: Vec<FolderLook>) -> Vec<FolderLook> {
        let now = clock::now().boot;
        let queue = self.shared.queue();
        folders.into_iter().filter(|folder| !queue.hangs(&folder.path, now)).collect()
    }

    /// Since when a folder does not answer.
    pub(super) fn hangs_since(&self, folder: &Path, now: Boot) -> Option<Boot> {
        let queue = self.shared.queue();
        queue.under_way.get(folder).map(|(_, since)| *since).filter(|since| since.plus(SLOW) <= now)
    }

    fn queue(&self, looks: Vec<QueuedLook>) {
        let mut queue = self.shared.queue();
        queue.waiting.extend(looks);
        let waiting = queue.waiting.len();
        if waiting == 0 {
            return;
        }
        // The second takes over where the first hangs.
        let guards = waiting > 1 && !queue.is_guarded;
        queue.is_guarded |= guards;
        drop(queue);
        self.shared.clone().start_worker(&self.messages);
        if guards {
            let (shared, messages) = (self.shared.clone(), self.messages.clone());
            let guard = std::thread::Builder::new().name("look-guard".into());
            if guard.spawn(move || shared.guard(&messages)).is_err() {
                self.shared.queue().is_guarded = false;
            }
        }
    }
}

impl SharedLooks {
    /// Where no thread can be had the looks wait for the next time, and the chores go to the runtime's threads.
    fn start_worker(self: Arc<Self>, messages: &Messages) {
        let (shared, messages) = (self.clone(), messages.clone());
        // Not one of the runtime's: those are kept, and what they do wakes one of them, and the loop.
        let thread = std::thread::Builder::new().name("look".into());
        let Err(error) = thread.spawn(move || shared.work(&messages)) else { return };
        tracing::debug!("no thread to look at files: {error}");
        let Ok(runtime) = Handle::try_current() else { return };
        let mut queue = self.queue();
        for look in std::mem::take(&mut queue.waiting) {
            match look {
                QueuedLook::Chore(chore) => drop(runtime.spawn_blocking(chore)),
                look => queue.waiting.push_back(look),
            }
        }
    }

    fn work(&self, messages: &Messages) {
        while let Some((look, hangs)) = self.take() {
            let (folder, asker) = match look {
                QueuedLook::Folder { folder, asker } => (folder, asker),
                QueuedLook::Chore(chore) => {
                    self.carry_out(chore);
                    continue;
                }
            };
            let seen = if hangs { Vec::new() } else { self.look(&folder) };
            let asked = asker.filter(|asker| asker.left.fetch_sub(1, Ordering::AcqRel) == 1).map(|asker| asker.id);
            if !seen.is_empty() || asked.is_some() {
                // The daemon is gone: nobody waits for the answer.
                let _ = messages.send(Message::Looked { seen, asked });
            }
        }
    }

    fn carry_out(&self, chore: Chore) {
        // A fault of ours in one must not end the looks that wait.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(chore));
        self.queue().steps += 1;
    }

    fn look(&self, folder: &FolderLook) -> Vec<Seen> {
        // A fault of ours must not make a folder one that hangs for ever.
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| folder.look()));
        self.done(&folder.path);
        let seen = looked.unwrap_or_default();
        // The name service may hang, which says nothing of the folder.
        folder.files.iter().map(|(_, was)| was).for_each(names::learn);
        seen.iter().filter_map(|seen| seen.now.ok().flatten()).for_each(|now| names::learn(&now));
        seen
    }

    /// The next look, and whether its folder hangs by now: then it would only take one more thread.
    fn take(&self) -> Option<(QueuedLook, bool)> {
        let now = clock::now().boot;
        let mut queue = self.queue();
        let look = queue.waiting.pop_front();
        if queue.waiting.is_empty() {
            self.emptied.notify_all();
        }
        let look = look?;
        let QueuedLook::Folder { folder, .. } = &look else { return Some((look, false)) };
        let hangs = queue.hangs(&folder.path, now);
        if !hangs {
            queue.under_way.entry(folder.path.clone()).or_insert((0, now)).0 += 1;
        }
        Some((look, hangs))
    }

    fn done(&self, folder: &Path) {
        let mut queue = self.queue();
        queue.steps += 1;
        if let Some((count, _)) = queue.under_way.get_mut(folder) {
            *count -= 1;
            if *count == 0 {
                queue.under_way.remove(folder);
            }
        }
    }

    /// Starts another worker each time that none makes a step, until nothing waits.
    fn guard(self: Arc<Self>, messages: &Messages) {
        let mut queue = self.queue();
        loop {
            let before = queue.steps;
            let (mut now, _) = self
                .emptied
                .wait_timeout_while(queue, STUCK, |queue| !queue.waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            if now.waiting.is_empty() {
                now.is_guarded = false;
                return;
            }
            let is_stuck = now.steps == before;
            drop(now);
            if is_stuck {
                self.clone().start_worker(messages);
            }
            queue = self.queue();
        }
    }
}

impl FolderLook {
    fn look(&self) -> Vec<Seen> {
        let file_names = self.files.iter().map(|(path, _)| path.file_name().unwrap_or_default());
        let stamps = look(&self.path, file_names);
        let seen = self.files.iter().zip(stamps).filter_map(|((path, was), now)| {
            let now = now.map_err(drop);
            (now != Ok(Some(*was))).then(|| Seen { path: path.clone(), was: *was, now })
        });
        seen.collect()
    }
}
