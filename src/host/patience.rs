//! Owns: readings of many files that must come to an end though one of the file systems hangs (a dead NFS server, FUSE): each
//! call says what it is about to touch, and where one does not come back in time the reading is made once more without that
//! place. The thread that hangs is left to end when its call does; until then its place is not touched again.
//! Does not: bound the calls themselves, which nothing can.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::process::mounts::{self, Mounts};
use crate::process::threads;

/// A call that takes longer hangs.
const HANGS: Duration = Duration::from_secs(2);
/// A mount that does not answer within this hangs, where a call below it does.
const ANSWERS: Duration = Duration::from_millis(500);
/// A place that is no file.
const NAMES: &str = "the look-up of users and groups (nsswitch.conf(5))";
/// With more places that hang than these a reading is not tried again: each costs a thread.
const PLACES: usize = 16;

/// Places that readings of this process hang at, for as long as they do.
static STUCK: Mutex<Vec<(PathBuf, Weak<PatientReading>)>> = Mutex::new(Vec::new());

thread_local! {
    static MINE: RefCell<Option<Arc<PatientReading>>> = const { RefCell::new(None) };
}

/// What one reading is at.
#[derive(Default)]
struct PatientReading {
    /// Not touched: they do not answer.
    left_out: Vec<PathBuf>,
    touching: Mutex<Option<(PathBuf, Instant)>>,
}

impl PatientReading {
    fn touching(&self) -> MutexGuard<'_, Option<(PathBuf, Instant)>> {
        self.touching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long its last call may take still, or what that call touches.
    fn left(&self) -> Result<Duration, PathBuf> {
        match &*self.touching() {
            Some((path, since)) => HANGS.checked_sub(since.elapsed()).ok_or_else(|| path.clone()),
            None => Ok(HANGS),
        }
    }
}

/// To be called before each call that names the file `path`; its place is the folder that it is in.
///
/// # Errors
/// ETIMEDOUT: that place does not answer, and is not to be touched.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    touch_folder(path.parent().unwrap_or(path))
}

/// The same for a call that names a folder.
///
/// # Errors
/// As above.
pub(super) fn touch_folder(path: &Path) -> io::Result<()> {
    MINE.with_borrow(|mine| {
        let Some(reading) = mine else { return Ok(()) };
        let path = mounts::plain(path);
        if reading.left_out.iter().any(|place| path.starts_with(place)) {
            return Err(Errno::TIMEDOUT.into());
        }
        *reading.touching() = Some((path.into_owned(), Instant::now()));
        Ok(())
    })
}

/// The same for a call that asks for a user or a group: nsswitch.conf(5) may have a server asked.
///
/// # Errors
/// As above.
pub(super) fn touch_names() -> io::Result<()> {
    touch_folder(Path::new(NAMES))
}

/// To be called where what follows touches no file for long.
pub(super) fn rest() {
    MINE.with_borrow(|mine| {
        if let Some(reading) = mine {
            *reading.touching() = None;
        }
    });
}

/// Does `work` on a thread of its own, with the rights of this one, and again without each place that does not answer; hands its
/// result to `then` on this thread.
///
/// The result is dropped on the thread that made it, which ends with that: an allocator that has memory for each thread (glibc's
/// malloc) can give all of it back, for nothing that stays stands among it.
///
/// Where no thread can be had the work is done here, without a bound.
///
/// # Panics
/// Where `work` or `then` does.
pub(super) fn patiently<T: Send + Sync + 'static, R>(
    work: impl Fn() -> T + Clone + Send + 'static,
    then: impl FnOnce(&T) -> R,
) -> R {
    loop {
        let reading = Arc::new(PatientReading { left_out: stuck(), touching: Mutex::default() });
        let (done, answer) = sync_channel(1);
        let (over, wait_until_over) = sync_channel::<()>(0);
        let (theirs, at) = (work.clone(), reading.clone());
        let run = move || {
            MINE.set(Some(at));
            let result = Arc::new(theirs());
            // It is not stuck any more, whoever looks.
            MINE.set(None);
            // Nobody waits for one that hung.
            if done.send(Arc::clone(&result)).is_ok() {
                // Nothing is sent: it ends when the other end is dropped.
                let _ = wait_until_over.recv();
            }
        };
        let thread = match std::thread::Builder::new().name("renewd-reading".into()).spawn(run) {
            Ok(thread) => thread,
            Err(error) => {
                tracing::debug!("the config is read without a bound: {}", threads::explained(error));
                return then(&work());
            }
        };
        let path = loop {
            let left = reading.left();
            let wait = left.as_ref().copied().unwrap_or_default().max(Duration::from_millis(1));
            match (answer.recv_timeout(wait), left) {
                (Ok(result), _) => {
                    let made = then(&result);
                    drop(result);
                    drop(over);
                    return made;
                }
                (Err(RecvTimeoutError::Timeout), Err(path)) if reading.left_out.len() < PLACES => break path,
                (Err(RecvTimeoutError::Timeout), _) => {}
                (Err(RecvTimeoutError::Disconnected), _) => match thread.join() {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(()) => return then(&work()),
                },
            }
        };
        let place = place_of(&path, &reading.left_out);
        tell(&path, &place);
        places().push((place, Arc::downgrade(&reading)));
    }
}

fn tell(path: &Path, place: &Path) {
    let (seconds, shown) = (HANGS.as_secs(), path.display());
    if path == Path::new(NAMES) {
        return tracing::warn!("{NAMES} does not answer for {seconds} s: owners and groups are left out until it does");
    }
    tracing::warn!(
        path = %shown,
        "{shown} does not answer for {seconds} s: what is below {} is left out until it does; does its file system hang?",
        place.display()
    );
}

/// The mount that a path lies in, where it hangs as a whole or another place of it hangs too; else the folder, or the one above where
/// another one of that hangs too: links may lead from all of them to what hangs.
fn place_of(path: &Path, known: &[PathBuf]) -> PathBuf {
    let mounts = Mounts::now();
    if let Some(mount) = mounts.of(path)
        && (known.iter().any(|other| mounts.of(other) == Some(mount)) || !answers(mount))
    {
        return mount.to_path_buf();
    }
    let above = path.parent().filter(|above| above.parent().is_some());
    let hangs_too =
        |above: &&Path| known.iter().any(|other| other.parent() == Some(above) && mounts.of(other).is_none());
    above.filter(hangs_too).unwrap_or(path).to_path_buf()
}

/// Whether the server of a mount tells how full it is, which is asked each time (statfs(2)).
fn answers(mount: &Path) -> bool {
    let asked = mount.to_path_buf();
    threads::answer_within(ANSWERS, "renewd-statfs", move || rustix::fs::statfs(&asked).is_ok()).is_some()
}

fn places() -> MutexGuard<'static, Vec<(PathBuf, Weak<PatientReading>)>> {
    STUCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The places at which a thread hangs still.
fn stuck() -> Vec<PathBuf> {
    let mut places = places();
    places.retain(|(_, reading)| reading.strong_count() > 0);
    places.iter().map(|(place, _)| place.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_that_answers_is_left_out_for_its_second_place() {
        let of = |known: &[PathBuf]| place_of(Path::new("/proc/self/fdinfo"), known);
        assert_eq!(of(&[]), Path::new("/proc/self/fdinfo"));
        assert_eq!(of(&["/proc/1".into()]), Path::new("/proc"));
        assert_eq!(of(&["/no/1".into()]), Path::new("/proc/self/fdinfo"));
    }

    #[test]
    fn a_reading_goes_on_without_a_place_that_hangs_and_with_it_when_it_answers() {
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let read = move || {
            let wait = wait.clone();
            let work = move || match touch(Path::new("/nowhere/that/hangs/file")) {
                Ok(()) => {
                    let ended = wait.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    rest();
                    ended.is_err()
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    false
                }
            };
            patiently(work, |answered| *answered)
        };
        assert!(!read(), "it is left out");
        assert!(!read(), "no further thread goes there");
        drop(go_on);
        while !stuck().is_empty() {
            std::thread::yield_now();
        }
        assert!(read(), "it answers");
    }
}
