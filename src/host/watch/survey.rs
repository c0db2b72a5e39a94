//! Owns: walking to the watched files off the loop, on threads that may hang: where one makes no step for a while it is left where
//! it is, another one takes the rest, and it is not walked there again until it comes back.
//! Does not: decide what a difference means, or watch anything.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::route::{Errand, Walked, walk};
use crate::core::time::Wall;
use crate::host::clock;
use crate::process::mounts::Mounts;

/// A walk that makes no step for so long hangs.
const STUCK: Duration = Duration::from_millis(500);
/// So many may hang at a time: the threads are for others too.
const HANGING: usize = 16;
/// A thread is free within so many times that, or none is.
const STEPS_WITHOUT_A_THREAD: u32 = 10;

/// What is walked to together: the folder of files as the config names it, or an include.
pub(super) type WalkKey = PathBuf;

/// Errands that no thread has taken yet, and how many steps were made.
#[derive(Default)]
struct Errands {
    waiting: Mutex<VecDeque<(WalkKey, Arc<Errand>)>>,
    steps: AtomicU64,
}

/// Walks, and what they come to.
pub(super) struct Survey {
    answers: UnboundedSender<(WalkKey, Walked)>,
    answered: UnboundedReceiver<(WalkKey, Walked)>,
    /// Walks that hang, and since when.
    hanging: HashMap<WalkKey, Wall>,
}

impl Survey {
    pub(super) fn new() -> Self {
        let (answers, answered) = unbounded_channel();
        Self { answers, answered, hanging: HashMap::new() }
    }

    /// Walks all errands but those that hang still, and those in a mount where one does, and hands over what each comes to.
    /// Ends when all have answered, or hang; false where no thread was free, so that not all was looked at.
    pub(super) async fn walk(
        &mut self,
        errands: impl Iterator<Item = (WalkKey, Arc<Errand>)>,
        mut take: impl FnMut(WalkKey, Walked),
    ) -> bool {
        let mounts = if self.hanging.is_empty() { Mounts::default() } else { Mounts::now() };
        let held: HashSet<&Path> = self.hanging.keys().filter_map(|key| mounts.of(key)).collect();
        let hangs =
            |key: &WalkKey| self.hanging.contains_key(key) || mounts.of(key).is_some_and(|at| held.contains(at));
        let waiting: VecDeque<_> = errands.filter(|(key, _)| !hangs(key)).collect();
        let mut left: HashMap<WalkKey, Wall> =
            waiting.iter().map(|(key, _)| (key.clone(), clock::now().wall)).collect();
        let work = Arc::new(Errands { waiting: Mutex::new(waiting), steps: AtomicU64::new(0) });
        let mut is_whole = true;
        let mut is_served = false;
        let mut patience = STEPS_WITHOUT_A_THREAD;
        while !left.is_empty() {
            if patience == 0 || self.hanging.len() >= HANGING {
                is_whole = false;
                break;
            }
            if !is_served {
                self.start(&work);
                is_served = true;
            }
            let before = work.steps.load(Ordering::Relaxed);
            match timeout(STUCK, self.answered.recv()).await {
                Ok(Some((key, walked))) => {
                    // Of an earlier survey it is as good.
                    self.hanging.remove(&key);
                    left.remove(&key);
                    take(key, walked);
                }
                Ok(None) => break,
                Err(_) if work.steps.load(Ordering::Relaxed) != before => {}
                Err(_) => {
                    let mut waiting = work.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let is_waiting = |key: &WalkKey| waiting.iter().any(|(other, _)| other == key);
                    let stuck: Vec<_> = left.extract_if(|key, _| !is_waiting(key)).collect();
                    let mounts = Mounts::now();
                    let held: HashSet<&Path> = stuck.iter().filter_map(|(key, _)| mounts.of(key)).collect();
                    let hangs = |key: &WalkKey| mounts.of(key).is_some_and(|at| held.contains(at));
                    waiting.retain(|(key, _)| !hangs(key));
                    left.retain(|key, _| !hangs(key));
                    // None: the thread that shall take the rest has not begun.
                    is_served = stuck.is_empty();
                    patience = if stuck.is_empty() { patience - 1 } else { STEPS_WITHOUT_A_THREAD };
                    self.hanging.extend(stuck);
                }
            }
        }
        // What nobody has begun is not begun later.
        work.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        is_whole
    }

    /// The threads are the runtime's, which are kept: none has to be started.
    fn start(&self, work: &Arc<Errands>) {
        let (work, answers) = (work.clone(), self.answers.clone());
        let take = move |work: &Errands| work.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        tokio::task::spawn_blocking(move || {
            while let Some((key, errand)) = take(&work) {
                let step = || {
                    work.steps.fetch_add(1, Ordering::Relaxed);
                };
                let walked = walk(&errand, &step);
                if answers.send((key, walked)).is_err() {
                    return;
                }
            }
        });
    }

    /// The next that answers after all, with the time it took.
    pub(super) async fn late(&mut self) -> (WalkKey, Walked, Duration) {
        loop {
            let Some((key, walked)) = self.answered.recv().await else { return std::future::pending().await };
            if let Some(since) = self.hanging.remove(&key) {
                return (key, walked, clock::now().wall.since(since));
            }
        }
    }

    /// Places that do not answer, with since when.
    pub(super) fn hanging(&self) -> impl Iterator<Item = (&Path, Wall)> {
        self.hanging.iter().map(|(key, since)| (key.as_path(), *since))
    }
}
