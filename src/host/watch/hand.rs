//! Owns: the watches of inotify, set and dropped on a thread of their own: a call that hangs takes them along, and they are made anew
//! without the place where that was.
//! Does not: decide what is watched.
//!
//! There are two: of what happens to the names of a folder, and of what happens to what the names stand for. A log that is
//! written beside the config is no event of the first, and no file of the second.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use notify::{Config, ErrorKind, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::shared::SharedWatch;
use crate::core::time::Wall;
use crate::host::clock;

/// Setting watches that makes no step for so long hangs.
const STUCK: Duration = Duration::from_secs(1);
/// A thread is free within so many times that, or none is.
const STEPS_WITHOUT_A_THREAD: u32 = 5;

/// What is told of a place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Events {
    /// Of a folder: names that come and go or are given to somebody else, and where it goes itself.
    Names,
    /// All that counts in a file, or in all files of a folder, and when one is opened or written.
    All,
}

impl Events {
    fn mask(self) -> EventKindMask {
        let names = EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME;
        match self {
            // A file that this process may not read yet can only be watched from its folder: install(1) writes one first, and
            // gives it to who shall read it then.
            Self::Names => names | EventKindMask::MODIFY_META,
            Self::All => {
                names
                    | EventKindMask::MODIFY_DATA
                    | EventKindMask::MODIFY_META
                    | EventKindMask::ACCESS_OPEN
                    | EventKindMask::ACCESS_CLOSE
            }
        }
    }
}

/// A place, and what is told of it.
pub(super) type WatchedPlace = (PathBuf, Events);

/// One change of the watches.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Set(WatchedPlace),
    Drop(WatchedPlace),
}

/// What became of the changes.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) set: Vec<WatchedPlace>,
    /// What is not there any more.
    pub(super) gone: Vec<WatchedPlace>,
    /// What could not be watched, and why.
    pub(super) refused: Vec<(WatchedPlace, String)>,
    /// There is no inotify, or no thread for it.
    pub(super) none: Option<String>,
    /// It hung at this place: all watches are lost.
    pub(super) hung: Option<PathBuf>,
}

/// Which change the thread is at.
#[derive(Default)]
struct At {
    step: u64,
    path: PathBuf,
    is_over: bool,
    /// Nobody waits for it any more: it hangs there.
    is_left: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two inotify instances.
struct InotifyPair(HashMap<Events, RecommendedWatcher>);

pub(super) struct Hand {
    shared: Weak<SharedWatch>,
    pair: Option<InotifyPair>,
    /// Where threads hang, and since when: nothing is set there meanwhile.
    stuck: Arc<Mutex<HashMap<PathBuf, Wall>>>,
}

impl Hand {
    pub(super) fn new(shared: Weak<SharedWatch>) -> Self {
        Self { shared, pair: None, stuck: Arc::default() }
    }

    /// Whether there are any watches: after they were lost all are to be set anew.
    pub(super) fn is_there(&self) -> bool {
        self.pair.is_some()
    }

    /// Places at which a thread hangs.
    pub(super) fn stuck(&self) -> Vec<(PathBuf, Wall)> {
        lock(&self.stuck).iter().map(|(path, since)| (path.clone(), *since)).collect()
    }

    /// Carries the changes out, one after another.
    pub(super) async fn work(&mut self, changes: Vec<Change>) -> Applied {
        let at: Arc<Mutex<At>> = Arc::default();
        let (answer, mut answered) = oneshot::channel();
        let (pair, shared, place, stuck) = (self.pair.take(), self.shared.clone(), at.clone(), self.stuck.clone());
        // A thread that is kept: none has to be started.
        tokio::task::spawn_blocking(move || {
            let mut pair = pair.unwrap_or_else(|| InotifyPair(HashMap::new()));
            let done = pair.carry_out(changes, &shared, &place);
            let mut at = lock(&place);
            at.is_over = true;
            if at.is_left {
                // It stopped at the place that had hung, whatever was to be done behind that.
                lock(&stuck).remove(&at.path);
            }
            drop(at);
            // Where nobody waits any more the watches go.
            if let Err((pair, _)) = answer.send((pair, done)) {
                pair.end();
            }
        });
        let (mut before, mut patience) = (0, STEPS_WITHOUT_A_THREAD);
        loop {
            match timeout(STUCK, &mut answered).await {
                Ok(Ok((pair, done))) => {
                    match &done.none {
                        None => self.pair = Some(pair),
                        Some(_) => pair.end(),
                    }
                    return done;
                }
                Ok(Err(_)) => return Applied { none: Some("its thread failed".into()), ..Applied::default() },
                Err(_) => {
                    let mut at = lock(&at);
                    if at.step == 0 {
                        patience -= 1;
                        if patience == 0 {
                            return Applied { none: Some("no thread is free".into()), ..Applied::default() };
                        }
                    } else if at.step == before && !at.is_over {
                        at.is_left = true;
                        lock(&self.stuck).insert(at.path.clone(), clock::now().wall);
                        return Applied { hung: Some(at.path.clone()), ..Applied::default() };
                    }
                    before = at.step;
                }
            }
        }
    }
}

impl InotifyPair {
    fn carry_out(&mut self, changes: Vec<Change>, shared: &Weak<SharedWatch>, at: &Mutex<At>) -> Applied {
        let mut done = Applied::default();
        for change in changes {
            let (Change::Set((path, events)) | Change::Drop((path, events))) = &change;
            {
                let mut at = lock(at);
                if at.is_left {
                    return done;
                }
                (at.step, at.path) = (at.step + 1, path.clone());
            }
            let watcher = match self.get(*events, shared) {
                Ok(watcher) => watcher,
                Err(why) => {
                    done.none = Some(why);
                    return done;
                }
            };
            match change {
                // It fails where the watch is gone already, which is what is wanted.
                Change::Drop((path, _)) => drop(watcher.unwatch(&path)),
                Change::Set(watch) => match watcher.watch(&watch.0, RecursiveMode::NonRecursive) {
                    Ok(()) => done.set.push(watch),
                    // It went while it was looked at.
                    Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => done.gone.push(watch),
                    Err(error) => {
                        let why = explain(&error);
                        done.refused.push((watch, why));
                    }
                },
            }
        }
        done
    }

    fn get(&mut self, events: Events, shared: &Weak<SharedWatch>) -> Result<&mut RecommendedWatcher, String> {
        use std::collections::hash_map::Entry;
        match self.0.entry(events) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                // notify does not say that it had no thread.
                let probe = std::thread::Builder::new().name("probe".into()).spawn(|| {});
                probe.map_err(|error| format!("no thread is to be had: {error}"))?.join().unwrap_or_default();
                Ok(place.insert(open(events, shared.clone()).map_err(|error| explain(&error))?))
            }
        }
    }

    /// notify panics where its thread could not be had.
    fn end(self) {
        // Nothing of it is used afterwards.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(self)));
    }
}

fn open(events: Events, shared: Weak<SharedWatch>) -> notify::Result<RecommendedWatcher> {
    let take = move |event: notify::Result<notify::Event>| {
        if let Some(shared) = shared.upgrade()
            && shared.lock().take(&event, Instant::now())
        {
            shared.wake.notify_one();
        }
    };
    RecommendedWatcher::new(take, Config::default().with_event_kinds(events.mask()))
}

fn explain(error: &notify::Error) -> String {
    let limit = |name| {
        let path = format!("/proc/sys/fs/inotify/{name}");
        let value = std::fs::read_to_string(path).unwrap_or_default();
        format!("raise fs.inotify.{name} (now {}) with sysctl", value.trim())
    };
    match &error.kind {
        ErrorKind::MaxFilesWatch => limit("max_user_watches"),
        ErrorKind::Io(error) if is_mfile(error) => match std::fs::File::open("/dev/null") {
            // Nothing else can be opened either: it is no limit of inotify's (inotify_init(2) has one word for both).
            Err(error) if is_mfile(&error) => {
                "renewd's own limit of open files is reached: raise LimitNOFILE= of its unit, or ulimit -n".to_owned()
            }
            _ => limit("max_user_instances"),
        },
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "its folder must be readable to be watched".to_owned()
        }
        ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

fn is_mfile(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

/// What is said of a place that cannot be watched.
pub(super) fn unwatched(path: &Path, why: &str) -> String {
    format!("changes in {} are not told: {why}", path.display())
}
