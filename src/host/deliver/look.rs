//! Owns: what tells a file from another, or from itself before it was changed, without reading it; and looking at many of one
//! folder.
//! Does not: judge, or know what was written.

use std::ffi::OsStr;
use std::path::Path;

use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;

use crate::core::time::Wall;
use crate::host::walk::{WalkError, open_folder};

/// How a file stood. One that was replaced, written, or given another mode or owner has another stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    dev: u64,
    ino: u64,
    size: i64,
    /// Nanoseconds since the epoch.
    modified: i64,
    /// Of the last change of content, mode, owner or name (stat(2), st_ctime).
    changed: i64,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        let nanos = |secs: i64, part: u64| {
            secs.saturating_mul(1_000_000_000).saturating_add(i64::try_from(part).unwrap_or_default())
        };
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: stat.st_size,
            modified: nanos(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanos(stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
        }
    }

    /// Permission bits, at most 0o7777.
    pub fn mode(&self) -> u32 {
        self.mode & 0o7777
    }

    pub fn uid(&self) -> u32 {
        self.uid
    }

    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// When its content was written.
    pub fn written_at(&self) -> Wall {
        Wall(self.modified.div_euclid(1_000_000))
    }

    /// When anything of it was changed last.
    pub fn changed_at(&self) -> Wall {
        Wall(self.changed.div_euclid(1_000_000))
    }
}

/// Looks at files of one folder (absolute; links in it are resolved and judged anew), in the order of `names`; `None`: there
/// is none. Follows no link in the last component.
///
/// # Errors
/// Each file's own, or the folder's for all of them, where it cannot be entered. A folder that is missing holds none.
pub(crate) fn look<'a>(folder: &Path, names: impl Iterator<Item = &'a OsStr>) -> Vec<Result<Option<Stamp>, Errno>> {
    let open = match open_folder(folder) {
        Ok(open) => open,
        Err(WalkError::Missing { .. } | WalkError::NotAFolder { .. }) => return names.map(|_| Ok(None)).collect(),
        Err(WalkError::Denied { errno, .. } | WalkError::Io { errno, .. }) => {
            return names.map(|_| Err(errno)).collect();
        }
        Err(_) => return names.map(|_| Err(Errno::PERM)).collect(),
    };
    let one = |name: &OsStr| match rustix::fs::statat(&open.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Stamp::of(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    };
    names.map(one).collect()
}
