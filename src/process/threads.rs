//! Owns: the runtime's threads for what may block. They are started once and kept, so that a limit of processes that is
//! reached later (TasksMax=, a pids limit, RLIMIT_NPROC) takes none of them away.
//! Does not: decide what runs on them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::mounts;

/// Threads that are there from the start. More are started while all of these are busy, as far as the system gives them.
const KEPT: usize = 4;
/// Threads at most: a folder that hangs takes one.
const MOST: usize = 128;
/// So many of them may be [`within`] at a time: the others are for deliveries.
const WITHIN: usize = 32;
/// ... and so many at one place: where that hangs, each new try would take one more, and they are for other places too.
const AT_ONE_PLACE: usize = 4;
/// What the runtime opens: an epoll, an event, and a pair of sockets for signals, with some to spare.
const DESCRIPTORS: usize = 8;
/// The system starts a thread within this, or has none.
const START: Duration = Duration::from_secs(5);

/// A runtime on this thread, with `KEPT` further threads for `spawn_blocking` that stay until it ends.
///
/// tokio lets a task wait for a busy thread where the system gives no further one (EAGAIN of clone(2)), but panics where it
/// has none at all: therefore the first ones are made here.
///
/// # Errors
/// The system gives no thread, or no descriptor for the runtime itself.
pub(crate) fn runtime() -> io::Result<Runtime> {
    // What tokio would panic with is an error here.
    let probe = std::thread::Builder::new().spawn(|| ()).map_err(explained)?;
    probe.join().map_err(|_| io::Error::other("a thread ended by a panic"))?;
    // No file is opened for it: a container may have no /dev.
    let spare: Result<Vec<_>, _> = (0..DESCRIPTORS).map(|_| eventfd(0, EventfdFlags::CLOEXEC)).collect();
    drop(spare?);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST)
        .thread_keep_alive(Duration::MAX)
        .thread_name("renewd-worker")
        .build()?;
    // Each is held until all are there: or one of them would do the tasks of all.
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let (here, arrived) = sync_channel(KEPT);
    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for _ in 0..KEPT {
            let (gate, here) = (gate.clone(), here.clone());
            runtime.spawn_blocking(move || {
                // Nobody counts it any more where one of the others did not come.
                let _ = here.send(());
                drop(gate.lock());
            });
        }
    }));
    let all = started.is_ok() && (0..KEPT).all(|_| arrived.recv_timeout(START).is_ok());
    drop(closed);
    if all {
        return Ok(runtime);
    }
    runtime.shutdown_background();
    Err(explained(io::ErrorKind::WouldBlock.into()))
}

/// EAGAIN of clone(2) in words; any other error as it is.
pub(crate) fn explained(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::WouldBlock {
        return error;
    }
    let what = "the system gives no further thread or process: see TasksMax= of the unit, the container's limit of processes, \
                or ulimit -u";
    io::Error::new(io::ErrorKind::WouldBlock, what)
}

/// What `work`, which may hang, comes to on a thread of its own. `None`: it takes longer than `limit`, and nobody waits for it any
/// more, or no thread can be had.
pub(crate) fn answer_within<T: Send + 'static>(
    limit: Duration,
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, answer) = sync_channel(1);
    std::thread::Builder::new().name(name.into()).spawn(move || drop(done.send(work()))).ok()?;
    answer.recv_timeout(limit).ok()
}

static ROOM: Semaphore = Semaphore::const_new(WITHIN);
static ROOMS: Mutex<BTreeMap<PathBuf, Weak<Semaphore>>> = Mutex::new(BTreeMap::new());

/// Does what may hang at `path` on a thread, and waits for it, for `limit` at most. What comes later is dropped.
///
/// A call that hangs keeps its thread. Those that come to the same place meanwhile (the same mount, else the same path) wait for
/// it, few of them on threads of their own.
///
/// # Errors
/// Those of `work`; it takes longer; it panics.
pub(crate) async fn within<T: Send + 'static>(
    limit: Duration,
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let room = room_at(mounts::place_of(path));
    let done = tokio::time::timeout(limit, async {
        // Nobody closes them. The thread holds them until its call comes back, whoever waits for that.
        let held = (room.acquire_owned().await, ROOM.acquire().await);
        tokio::task::spawn_blocking(move || {
            let _held = held;
            work()
        })
        .await
    });
    let hangs = |_| {
        let limit = humantime::format_duration(limit);
        io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit}: does its file system hang?"))
    };
    done.await.map_err(hangs)?.map_err(io::Error::other)?
}

fn room_at(place: PathBuf) -> Arc<Semaphore> {
    let mut rooms = ROOMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(room) = rooms.get(&place).and_then(Weak::upgrade) {
        return room;
    }
    rooms.retain(|_, room| room.strong_count() > 0);
    let room = Arc::new(Semaphore::new(AT_ONE_PLACE));
    rooms.insert(place, Arc::downgrade(&room));
    room
}
