//! Owns: the state folder and the lock in it: made, judged, entered, and held by one process.
//! Does not: know what a log says.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::StoreError;
use crate::host::walk::{Folder, Owner, open_own_folder, sync_folder};

/// A lock that is held is asked for so often: its holder may be on its way out (a restart), or between fork and exec of a
/// child that holds it for that moment; or it may have to sign yet.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(10);
/// As long as the number in the lock is that of a process which is gone, the holder has not signed yet.
const TRIES_UNSIGNED: u32 = 50;

/// The state folder, open.
#[derive(Debug)]
pub(super) struct StateFolder {
    pub(super) path: PathBuf,
    fd: OwnedFd,
}

impl StateFolder {
    /// Makes the folder and its parents (0700) where they are missing. One that others may enter is tightened if it holds
    /// nothing but state, and refused if it is a folder of other things too, or if its way is not safe: whoever can put
    /// another folder in its place would have the tokens.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |doing| move |error| StoreError::io(path, doing, error);
        let unsafe_way = |cause| StoreError::Unsafe { folder: path.into(), cause };
        let there = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
        if there != path {
            open_own_folder(there).map_err(unsafe_way)?;
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("making"))?;
        }
        // Asked before it is walked to: somebody else's is closed to us, and whose it is says what to do.
        let me = rustix::process::geteuid().as_raw();
        let refuse_foreign = |owner| match owner == me {
            true => Ok(()),
            false => Err(StoreError::Foreign { folder: path.into(), owner: Owner(owner), user: Owner(me) }),
        };
        refuse_foreign(rustix::fs::stat(path).map_err(|errno| io("opening")(errno.into()))?.st_uid)?;
        let Folder { fd, stat, .. } = open_own_folder(path).map_err(unsafe_way)?;
        let place = Self { path: path.into(), fd };
        refuse_foreign(stat.st_uid)?;
        if stat.st_mode & 0o077 != 0 {
            place.tighten(stat.st_mode & 0o7777)?;
        }
        if there != path {
            sync_made(there, path);
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
        Ok(fd.into())
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
    }

    /// A second name for a file, or a copy where the file system has no second names.
    pub(super) fn second_name(&self, from: &str, to: &str) -> io::Result<()> {
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => self.copy(from, to),
            other => other.map_err(Into::into),
        }
    }

    fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        let mut from = self.file(from, OFlags::empty())?;
        let mut copy = self.file(to, OFlags::CREATE | OFlags::EXCL)?;
        let copied = io::copy(&mut from, &mut copy).and_then(|_| copy.sync_all());
        if copied.is_err() {
            // It may be what fills the disk.
            let _ = self.remove(to);
        }
        copied
    }

    /// Which file has this name.
    pub(super) fn id_at(&self, name: &str) -> Result<Inode, Errno> {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// Whether this folder still is the one that the next start finds.
    pub(super) fn is_there(&self) -> bool {
        let found = rustix::fs::stat(&self.path).map(|stat| (stat.st_dev, stat.st_ino));
        is_same(found, id_of(&self.fd))
    }

    /// Whether a file that is open still has this name.
    pub(super) fn holds(&self, name: &str, file: &File) -> bool {
        is_same(self.id_at(name), id_of(file))
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())
    }

    pub(super) fn failed(&self, name: &str, doing: &'static str, cause: io::Error) -> StoreError {
        StoreError::io(&self.path.join(name), doing, cause)
    }

    pub(super) fn sync(&self) -> Result<(), Errno> {
        sync_folder(&self.fd)
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
                    let _ = sign(&file, worker, config);
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

/// Device and inode.
pub(super) type Inode = (u64, u64);

pub(super) fn id_of(file: impl AsFd) -> Result<Inode, Errno> {
    rustix::fs::fstat(file).map(|stat| (stat.st_dev, stat.st_ino))
}

/// Only what is known to be another file is one: a look that fails says nothing.
fn is_same(found: Result<Inode, Errno>, own: Result<Inode, Errno>) -> bool {
    match (found, own) {
        (Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE), _) => false,
        (Ok(found), Ok(own)) => found == own,
        _ => true,
    }
}

/// Makes the names of folders durable that were just made below `there`; `path` is the last of them.
fn sync_made(there: &Path, path: &Path) {
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(there)) {
        let synced = File::open(folder).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        if let Err(errno) = synced.and_then(|folder| sync_folder(folder.as_fd())) {
            tracing::warn!("state_dir {path:?} was made, but may be lost with the power: {folder:?}: {errno}");
        }
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

/// What is written in a lock: the process that has or had it, and who kept the tokens last. Behind that stands the config's
/// path.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Signature {
    pub(super) pid: Option<u32>,
    pub(super) keeper: Option<Worker>,
}

/// The first line counts for the lock: it is whole at any moment.
fn sign(file: &File, worker: Worker, config: &Path) -> io::Result<()> {
    let keeper = match worker {
        Worker::Passing => read_signature(file).keeper,
        other => Some(other),
    };
    let word = match keeper {
        Some(Worker::Daemon) => "run",
        Some(Worker::Once) => "once",
        _ => "",
    };
    let mut lines = format!("{}\n{word}\n", std::process::id()).into_bytes();
    // Whose it is, for who finds the state by another path of the same file.
    lines.extend_from_slice(config.as_os_str().as_bytes());
    lines.push(b'\n');
    file.write_all_at(&lines, 0)?;
    file.set_len(lines.len() as u64)
}

pub(super) fn read_signature(file: &File) -> Signature {
    let mut bytes = [0; 32];
    let count = file.read_at(&mut bytes, 0).unwrap_or(0);
    // The path behind it may be cut, and be no UTF-8.
    let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default());
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
