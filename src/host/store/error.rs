//! Owns: why a state cannot be opened or written, and what the person on call can do about it.
//! Does not: hold or show a byte of a record.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{record, room};
use crate::host::walk::{Owner, WalkError};

/// Why the state cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the state of {config:?} is in use by {}: stop it first, or ask it (renewd status, renewd rotate)",
        pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
    )]
    Locked { pid: Option<u32>, config: PathBuf },
    #[error(
        "state {log:?} was written by a newer renewd (format {version}, this one knows {known}): run that one; `run` and `once` of \
         this one put it aside and begin anew",
        known = record::VERSION
    )]
    Newer { log: PathBuf, version: u32 },
    #[error(
        "the state in {folder:?} belongs to the user {owner}, and this runs as {user}: run it as {owner}; if {user} is whom the \
         daemon is to run as, chown the folder, or name another state_dir"
    )]
    Foreign { folder: PathBuf, owner: Owner, user: Owner },
    #[error(
        "state_dir {folder:?} is open to others (mode {mode:04o}) and holds more than state: name a folder of its own, or \
         chmod 0700 it"
    )]
    Exposed { folder: PathBuf, mode: u32 },
    #[error("state_dir: {cause}")]
    Unsafe {
        folder: PathBuf,
        #[source]
        cause: WalkError,
    },
    #[error("a state record of {bytes} bytes is too long; it was not kept")]
    TooLong { bytes: usize },
    #[error("state {path:?}: {doing} failed: {cause}{}", advice(path, doing, cause))]
    Io {
        path: PathBuf,
        doing: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl StoreError {
    /// There is no room: a full disk, a quota, or the limit of a file's size.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if room::is_full(cause))
    }

    pub(super) fn io(path: &Path, doing: &'static str, cause: io::Error) -> Self {
        Self::Io { path: path.into(), doing, cause }
    }
}

fn advice(path: &Path, doing: &str, cause: &io::Error) -> String {
    match Errno::from_io_error(cause) {
        Some(Errno::ROFS) => format!(
            ": it is read-only here: give the unit StateDirectory= or ReadWritePaths={}",
            path.parent().unwrap_or(path).display()
        ),
        Some(Errno::ACCESS | Errno::PERM) => format!(
            ": {} lacks the right: chown it, or name another state_dir",
            Owner(rustix::process::geteuid().as_raw())
        ),
        Some(Errno::NOSPC | Errno::DQUOT) => ": free space; nothing that was kept is lost".into(),
        Some(Errno::FBIG) => {
            ": the limit of a file's size is reached (LimitFSIZE=, ulimit -f): raise it; nothing that was kept is lost"
                .into()
        }
        Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) if doing == "locking" => {
            ": this file system gives no locks now (NFS whose lock service does not run, perhaps): start it, or name a \
             state_dir on a local disk"
                .into()
        }
        _ => String::new(),
    }
}
