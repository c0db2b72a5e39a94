//! Owns: the thread on which the config is read, from the first time to the last. glibc's malloc has memory for each thread, and
//! gives back what is free at its end alone: plans that were made now here and now there would keep a share of each.
//! Does not: read (host/load does) or judge (reload.rs does).

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

use crate::core::environment::Environment;
use crate::core::plan::FormerPlan;
use crate::host::load::{Loaded, load, load_again};
use crate::process::threads;

/// What it is given to do, with what the reading before has left.
pub(super) type ReadingJob = Box<dyn FnOnce(&mut Option<Arc<FormerPlan>>) + Send>;

/// The thread that reads. It ends when nobody can give it anything to do any more.
pub(super) struct ReadingThread(Sender<ReadingJob>);

impl ReadingThread {
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start() -> io::Result<Self> {
        let (jobs, to_do): (_, Receiver<ReadingJob>) = channel();
        let work = move || {
            let mut former = None;
            for job in to_do {
                // A fault of ours in one reading must not take the thread from the next.
                if catch_unwind(AssertUnwindSafe(|| job(&mut former))).is_err() {
                    former = None;
                }
            }
        };
        std::thread::Builder::new().name("renewd-config".into()).spawn(work).map_err(threads::explained)?;
        Ok(Self(jobs))
    }

    /// Does it there, after what was given before.
    pub(super) fn give(&self, job: ReadingJob) {
        // It ends with the process.
        let _ = self.0.send(job);
    }

    /// Reads a config there, and waits for it.
    pub(super) fn read(&self, config: &Path, env: &Arc<Environment>) -> Loaded {
        let (done, answer) = sync_channel(1);
        let (path, theirs) = (config.to_path_buf(), Arc::clone(env));
        // Who asked waits for it; where it broke off, nobody is told here.
        let job = move |former: &mut _| drop(done.send(load_again(&path, &theirs, former)));
        self.give(Box::new(job));
        answer.recv().unwrap_or_else(|_| load(config, env))
    }
}
