//! Owns: opening a folder by walking to it from `/`, each step judged as systemd-tmpfiles judges its own (CHASE_SAFE).
//! A folder that an unprivileged user could swap under the writer's feet is refused before anything is written to it.
//! Does not: create folders, or touch what lies in them.

mod error;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use self::error::MAX_LINKS;
pub(crate) use self::error::{Owner, WalkError};

/// A folder that was walked to.
#[derive(Debug)]
pub struct Folder {
    /// Open for reading: good for openat, renameat, unlinkat and fsync.
    pub fd: OwnedFd,
    /// Where the walk ended: absolute, without links and `..`.
    pub resolved: PathBuf,
    /// Of the folder itself, as it was opened.
    pub stat: Stat,
}

/// Walks from `/` to `folder`, one component at a time, every link resolved by hand.
///
/// Refused are a step from something of an unprivileged user (a folder or a link) to something of somebody else, and a
/// folder on the way, the last one included, that anybody may write without the sticky bit.
///
/// # Errors
/// What is wrong where, and what to do.
pub fn open_folder(folder: &Path) -> Result<Folder, WalkError> {
    if !folder.is_absolute() {
        return Err(WalkError::Relative { folder: folder.into() });
    }
    let mut walk = Walk::from_root(folder)?;
    while let Some(step) = walk.ahead.pop_front() {
        walk.step(&step)?;
    }
    walk.finish()
}

/// The same for a folder of the daemon's own things (its state, its sockets): it must belong to this user or to root too. So must
/// then all on the way to it; the folder that somebody made in a place where anybody may make one is refused.
///
/// # Errors
/// As above, and [`WalkError::Others`].
pub(crate) fn open_own_folder(folder: &Path) -> Result<Folder, WalkError> {
    let walked = open_folder(folder)?;
    refuse_others(folder, &walked)?;
    Ok(walked)
}

/// Refuses a folder that was walked to and belongs to another user than root and this one.
pub(super) fn refuse_others(folder: &Path, walked: &Folder) -> Result<(), WalkError> {
    let me = rustix::process::geteuid().as_raw();
    if [0, me].contains(&walked.stat.st_uid) {
        return Ok(());
    }
    let (owner, user) = (Owner(walked.stat.st_uid), Owner(me));
    Err(WalkError::Others { folder: folder.into(), at: walked.resolved.clone(), owner, user })
}

/// Makes the names in a folder durable. A file system that cannot sync folders (some FUSE ones) has nothing more to do.
pub(crate) fn sync_folder(folder: impl AsFd) -> Result<(), Errno> {
    match rustix::io::retry_on_intr(|| rustix::fs::fsync(&folder)) {
        Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
        other => other,
    }
}

/// The safe transition of systemd's chase(): from root to anybody, and from a user to himself.
fn unsafe_step(from: u32, to: u32) -> bool {
    from != 0 && from != to
}

enum WalkStep {
    Root,
    Up,
    Down(OsString),
}

/// What was stepped on last: a folder, or a link on the way to the next one.
struct Last {
    path: PathBuf,
    owner: u32,
}

struct Walk<'a> {
    folder: &'a Path,
    at: OwnedFd,
    stat: Stat,
    resolved: PathBuf,
    last: Last,
    ahead: VecDeque<WalkStep>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn from_root(folder: &'a Path) -> Result<Self, WalkError> {
        let root = Path::new("/");
        let (at, stat) = open_path(CWD, root.as_os_str()).map_err(|e| told(folder, root, "open", e))?;
        let mut walk = Self {
            folder,
            at,
            stat,
            resolved: root.into(),
            last: Last { path: root.into(), owner: stat.st_uid },
            ahead: VecDeque::new(),
            links: 0,
        };
        walk.refuse_world_writable()?;
        walk.put_ahead(folder, false);
        Ok(walk)
    }

    /// Puts the components of `path` before what is still to be walked.
    fn put_ahead(&mut self, path: &Path, restart: bool) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => self.ahead.push_front(WalkStep::Down(name.into())),
                Component::ParentDir => self.ahead.push_front(WalkStep::Up),
                Component::RootDir if restart => self.ahead.push_front(WalkStep::Root),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    fn step(&mut self, step: &WalkStep) -> Result<(), WalkError> {
        let (name, path) = match step {
            WalkStep::Root => (OsStr::new("/"), PathBuf::from("/")),
            WalkStep::Up => (OsStr::new(".."), self.resolved.parent().unwrap_or(&self.resolved).to_path_buf()),
            WalkStep::Down(name) => (name.as_os_str(), self.resolved.join(name)),
        };
        let (fd, stat) =
            open_path(self.at.as_fd(), name).map_err(|errno| told(self.folder, &path, "enter the folder of", errno))?;
        self.refuse_unsafe(&path, stat.st_uid)?;
        self.last = Last { path: path.clone(), owner: stat.st_uid };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                (self.at, self.stat, self.resolved) = (fd, stat, path);
                self.refuse_world_writable()
            }
            FileType::Symlink => self.follow(&fd, &path),
            _ => Err(WalkError::NotAFolder { folder: self.folder.into(), at: path }),
        }
    }

    fn follow(&mut self, link: &OwnedFd, path: &Path) -> Result<(), WalkError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(WalkError::TooManyLinks { folder: self.folder.into() });
        }
        let to = rustix::fs::readlinkat(link, "", Vec::new())
            .map_err(|errno| told(self.folder, path, "read the link", errno))?;
        self.put_ahead(Path::new(&OsString::from_vec(to.into_bytes())), true);
        Ok(())
    }

    fn refuse_unsafe(&self, to: &Path, to_owner: u32) -> Result<(), WalkError> {
        if !unsafe_step(self.last.owner, to_owner) {
            return Ok(());
        }
        Err(WalkError::UnsafeStep {
            folder: self.folder.into(),
            from: self.last.path.clone(),
            from_owner: Owner(self.last.owner),
            to: to.into(),
            to_owner: Owner(to_owner),
        })
    }

    fn refuse_world_writable(&self) -> Result<(), WalkError> {
        let mode = Mode::from_raw_mode(self.stat.st_mode);
        if !mode.contains(Mode::WOTH) || mode.contains(Mode::SVTX) {
            return Ok(());
        }
        Err(WalkError::WorldWritable {
            folder: self.folder.into(),
            at: self.resolved.clone(),
            mode: mode.as_raw_mode(),
        })
    }

    /// An O_PATH descriptor cannot be fsynced: the same folder is opened once more, for reading.
    fn finish(self) -> Result<Folder, WalkError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::io::retry_on_intr(|| rustix::fs::openat(&self.at, ".", flags, Mode::empty()))
            .map_err(|errno| told(self.folder, &self.resolved, "enter and read", errno))?;
        Ok(Folder { fd, resolved: self.resolved, stat: self.stat })
    }
}

/// O_DIRECTORY has an automount point mounted; a link or a file is then opened without it.
fn open_path(at: BorrowedFd<'_>, name: &OsStr) -> Result<(OwnedFd, Stat), Errno> {
    let open = |more| {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
        rustix::io::retry_on_intr(|| rustix::fs::openat(at, name.as_bytes(), flags, Mode::empty()))
    };
    let fd = match open(OFlags::DIRECTORY) {
        Err(Errno::NOTDIR | Errno::LOOP) => open(OFlags::empty())?,
        other => other?,
    };
    let stat = rustix::fs::statat(&fd, "", AtFlags::EMPTY_PATH)?;
    Ok((fd, stat))
}

fn told(folder: &Path, at: &Path, what: &'static str, errno: Errno) -> WalkError {
    let (folder, at) = (folder.to_path_buf(), at.to_path_buf());
    match errno {
        Errno::NOENT => WalkError::Missing { folder, at },
        Errno::NOTDIR => WalkError::NotAFolder { folder, at },
        Errno::ACCESS | Errno::PERM => {
            WalkError::Denied { folder, at, user: Owner(rustix::process::geteuid().as_raw()), what, errno }
        }
        _ => WalkError::Io { folder, at, errno },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_owner_himself_may_hand_on() {
        assert!(!unsafe_step(0, 0));
        assert!(!unsafe_step(0, 1000));
        assert!(!unsafe_step(1000, 1000));
        assert!(unsafe_step(1000, 0));
        assert!(unsafe_step(1000, 1001));
    }
}
