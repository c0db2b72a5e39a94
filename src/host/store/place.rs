//! Owns: the state folder and the lock in it: made, judged, entered, and held by one process.
//! Does not: know what a log says.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::StoreError;
use crate::host::walk::Owner;

/// A lock that is held is asked for so often: its holder may be on its way out (a restart), or between fork and exec of a
/// child that holds it for that moment; or it may have to sign yet.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);
/// As long as the number in the lock is that of a process which is gone, the holder has not signed yet.
const TRIES_UNSIGNED: u32 = 50;

/// The state folder, open.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    fd: OwnedFd,
    /// Whom new files are given: set where root works in the folder of an unprivileged daemon.
    heir: Option<(Uid, Gid)>,
}

impl Place {
    /// Makes the folder and its parents (0700) where they are missing. One that others may enter is tightened if it holds
    /// nothing but state, and refused if it is a folder of other things too.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |doing| move |error| StoreError::io(path, doing, error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("making"))?;
        let me = rustix::process::geteuid();
        // Asked before it is opened: somebody else's is closed to us, and whose it is says what to do.
        let stat = rustix::fs::stat(path).map_err(|errno| io("opening")(errno.into()))?;
        if stat.st_uid != me.as_raw() && !me.is_root() {
            return Err(StoreError::Foreign {
                folder: path.into(),
                owner: Owner(stat.st_uid),
                user: Owner(me.as_raw()),
            });
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| io("opening")(errno.into()))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| io("opening")(errno.into()))?;
        let place = Self {
            path: path.into(),
            fd,
            heir: (stat.st_uid != me.as_raw()).then(|| (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid))),
        };
        if stat.st_mode & 0o077 != 0 {
            place.tighten(stat.st_mode & 0o7777)?;
        }
        Ok(place)
    }

    fn tighten(&self, mode: u32) -> Result<(), StoreError> {
        let io = |errno: Errno| StoreError::io(&self.path, "tightening", errno.into());
        for entry in Dir::read_from(&self.fd).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && !is_state(name) {
                return Err(StoreError::Exposed { folder: self.path.clone(), mode });
            }
        }
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode & !0o077)).map_err(io)
    }

    /// Opens a file of the folder for reading and writing; `more` may ask to create it (0600).
    pub(super) fn file(&self, name: &str, more: OFlags) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        let fd = rustix::io::retry_on_intr(|| rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600)))?;
        if let Some((uid, gid)) = self.heir.filter(|_| more.contains(OFlags::CREATE)) {
            rustix::fs::fchown(&fd, Some(uid), Some(gid))?;
        }
        Ok(fd.into())
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
    }

    /// A second name for a file, or a new one where the file system has no second names.
    pub(super) fn link(&self, from: &str, to: &str) -> Result<(), Errno> {
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
                rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE)
            }
            other => other,
        }
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
    }

    pub(super) fn failed(&self, name: &str, doing: &'static str, cause: io::Error) -> StoreError {
        StoreError::io(&self.path.join(name), doing, cause)
    }

    pub(super) fn sync(&self) -> Result<(), Errno> {
        rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.fd))
    }

    /// Takes the lock for the life of the file that is returned.
    pub(super) fn lock(&self, name: &str, config: &Path, worker: Worker) -> Result<File, StoreError> {
        let io = |errno: Errno| StoreError::io(&self.path.join(name), "locking", errno.into());
        let file = self.file(name, OFlags::CREATE).map_err(io)?;
        let mut holder = None;
        for tried in 1..=TRIES_UNSIGNED {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    // The lock holds without it too: a full disk must not keep the daemon from starting.
                    let _ = sign(&file, worker);
                    return Ok(file);
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(errno) => return Err(io(errno)),
            }
            holder = read_signature(&file).pid;
            if tried >= TRIES && holder.is_some_and(is_alive) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Err(StoreError::Locked { pid: holder, config: config.into() })
    }
}

/// `0123456789abcdef.SOMETHING`, as `Store` names its files.
fn is_state(name: &[u8]) -> bool {
    name.split_at_checked(16)
        .is_some_and(|(hex, rest)| hex.iter().all(u8::is_ascii_hexdigit) && rest.first() == Some(&b'.'))
}

/// Who works on a state, as its lock tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worker {
    /// `run`.
    Daemon,
    /// `once`: by a timer or cron.
    Once,
    /// `token`, `exec`: who keeps the tokens is somebody else, and stays so.
    Passing,
}

/// What is written in a lock: the process that has or had it, and who kept the tokens last.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Signature {
    pub(super) pid: Option<u32>,
    pub(super) keeper: Option<Worker>,
}

/// The first line counts for the lock: it is whole at any moment.
fn sign(file: &File, worker: Worker) -> io::Result<()> {
    let keeper = match worker {
        Worker::Passing => read_signature(file).keeper,
        other => Some(other),
    };
    let word = match keeper {
        Some(Worker::Daemon) => "run\n",
        Some(Worker::Once) => "once\n",
        _ => "",
    };
    let lines = format!("{}\n{word}", std::process::id());
    file.write_all_at(lines.as_bytes(), 0)?;
    file.set_len(lines.len() as u64)
}

pub(super) fn read_signature(file: &File) -> Signature {
    let mut bytes = [0; 32];
    let count = file.read_at(&mut bytes, 0).unwrap_or(0);
    let text = bytes.get(..count).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let Some((pid, rest)) = text.split_once('\n') else { return Signature::default() };
    let keeper = match rest.lines().next() {
        Some("run") => Some(Worker::Daemon),
        Some("once") => Some(Worker::Once),
        _ => None,
    };
    Signature { pid: pid.parse().ok(), keeper }
}

pub(super) fn is_alive(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH)))
}
