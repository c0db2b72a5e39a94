//! Owns: what a failed delivery tells the person on call: the file, the step, the cause and what to do about it.
//! Does not: hold or show a byte of what was to be written.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::host::walk::{Owner, WalkError};

/// Why a file was not delivered, removed or swept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeliverError {
    #[error("{file:?}: {cause}")]
    Folder {
        file: PathBuf,
        #[source]
        cause: WalkError,
    },
    #[error("{file:?} is {what}; renewd replaces regular files only, and follows no link there: {advice}")]
    Irregular { file: PathBuf, what: &'static str, advice: &'static str },
    #[error(
        "{file:?} was not written: it is the same file as the output {other:?}, for its folder is mounted in both places now: \
         unmount one of them, or give each output a file of its own"
    )]
    Shared { file: PathBuf, other: PathBuf },
    #[error("{0:?} names no file: name one in its folder")]
    NoName(PathBuf),
    #[error(
        "{file:?} was not written: its file system does not keep the mode, owner or group it was given: name a folder on \
         another one, or leave them out"
    )]
    NotKept { file: PathBuf },
    #[error("{}", told(file, *step, *errno))]
    Failed { file: PathBuf, step: Step, errno: Errno },
}

/// What was being done when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Look,
    Create,
    /// To this group number.
    Group(u32),
    Mode,
    /// Of a mode with setuid, setgid or the sticky bit.
    Special,
    /// To this user number.
    Owner(u32),
    Write,
    Sync,
    Rename,
    SyncFolder,
    Read,
    Remove,
    List,
}

impl DeliverError {
    pub(super) fn folder(file: &Path, cause: WalkError) -> Self {
        Self::Folder { file: file.to_path_buf(), cause }
    }

    pub(super) fn failed(file: &Path, step: Step, errno: Errno) -> Self {
        Self::Failed { file: file.to_path_buf(), step, errno }
    }

    pub(super) fn irregular(file: &Path, kind: FileType) -> Self {
        let (what, advice) = match kind {
            FileType::Symlink => ("a symlink", "remove it, or let the config name the file it leads to"),
            FileType::Directory => ("a folder", "remove it, or let the config name a file in it"),
            FileType::Fifo => ("a pipe", "remove it"),
            FileType::Socket => ("a socket", "remove it"),
            _ => ("a device", "let the config name another path"),
        };
        Self::Irregular { file: file.to_path_buf(), what, advice }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look => f.write_str("looking at it"),
            Self::Create => f.write_str("creating its temporary file"),
            Self::Group(gid) => write!(f, "giving it to group {gid}"),
            Self::Mode | Self::Special => f.write_str("setting its mode"),
            Self::Owner(uid) => write!(f, "giving it to {}", Owner(*uid)),
            Self::Write => f.write_str("writing"),
            Self::Sync => f.write_str("syncing it to disk"),
            Self::Rename => f.write_str("renaming it into place"),
            Self::SyncFolder => f.write_str("syncing its folder to disk"),
            Self::Read => f.write_str("reading it"),
            Self::Remove => f.write_str("removing it"),
            Self::List => f.write_str("listing it"),
        }
    }
}

fn told(file: &Path, step: Step, errno: Errno) -> String {
    let folder = match step {
        Step::List => file,
        _ => file.parent().unwrap_or(file),
    };
    format!("{file:?}: {step} failed: {errno}: {}", advice(folder, step, errno))
}

fn advice(folder: &Path, step: Step, errno: Errno) -> String {
    let user = Owner(rustix::process::geteuid().as_raw());
    match (step, errno) {
        (_, Errno::ROFS) => format!(
            "the folder is read-only here: under ProtectSystem= the unit needs ReadWritePaths={}, else remount it writable",
            folder.display()
        ),
        (_, Errno::NOSPC) => format!(
            "the file system is full: free space or inodes (df -h, df -i {}); it is tried again",
            folder.display()
        ),
        (_, Errno::DQUOT) => {
            "the disk quota of the file's owner or group is used up: free space or raise it; it is tried again".into()
        }
        (_, Errno::FBIG) => {
            "the limit of a file's size is reached (LimitFSIZE=, ulimit -f): raise it; it is tried again".into()
        }
        (_, Errno::IO) => "the disk reports an error: see the kernel's log; the old file may still be in place".into(),
        (_, Errno::NAMETOOLONG) => "a file's name has 255 bytes at most: shorten it".into(),
        (_, Errno::NOENT) => {
            format!("folder {folder:?} is missing; renewd creates none: create it, or have systemd create it")
        }
        (Step::Owner(_), Errno::PERM) => {
            "changing the owner takes root or CAP_CHOWN: run renewd as root, give its unit \
             AmbientCapabilities=CAP_CHOWN, or leave `owner` out and share the file by `group`"
                .into()
        }
        (Step::Group(gid), Errno::PERM) => format!(
            "{user} is not in group {gid}: add it (SupplementaryGroups={gid} in the unit), or run renewd as root or with CAP_CHOWN"
        ),
        (Step::Owner(_) | Step::Group(_), Errno::INVAL) => {
            let what = if matches!(step, Step::Owner(_)) { "owner" } else { "group" };
            format!(
                "this file system knows no {what} by that number (a user namespace has its own numbers): name another, or run \
                 renewd outside"
            )
        }
        (Step::Mode, Errno::PERM) => {
            "this file system takes no modes (vfat, some network ones): name a folder on another one".into()
        }
        (Step::Special, Errno::PERM) => {
            "setuid and setgid need the file to be renewd's own and its group one of its own: leave \
             these bits out of `mode`, or run renewd as root"
                .into()
        }
        (Step::Rename, Errno::BUSY) => {
            "it is a mount point, which cannot be replaced: mount its folder instead of the file".into()
        }
        (Step::Rename, Errno::ISDIR) => "a folder stands in its place: remove it".into(),
        (Step::Create, Errno::ACCESS | Errno::PERM) => format!(
            "{user} may not write to folder {folder:?}: give it the right (chown, chgrp and SupplementaryGroups=)"
        ),
        (Step::Rename | Step::Remove, Errno::ACCESS | Errno::PERM) => format!(
            "{user} may not replace what is not its own in folder {folder:?} (sticky bit, or chattr +i): give the folder to \
             {user}, take its sticky bit, or give renewd CAP_FOWNER"
        ),
        (Step::Read, Errno::ACCESS | Errno::PERM) => {
            format!("{user} may not read it, so it cannot be told whether it is renewd's: remove it by hand")
        }
        (_, Errno::ACCESS | Errno::PERM) => format!("{user} lacks the right: see folder {folder:?}"),
        (_, Errno::STALE | Errno::TIMEDOUT) => "the network file system does not answer: it is tried again".into(),
        (_, Errno::MFILE) => {
            "renewd's own limit of open files is reached: raise LimitNOFILE= of its unit, or ulimit -n; it is tried again".into()
        }
        (_, Errno::NFILE) => "the machine's limit of open files is reached (fs.file-max): it is tried again".into(),
        (Step::SyncFolder, _) => "it is in place, but may be lost with the power: it is written again".into(),
        _ => "it is tried again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_for_what_it_is() {
        let cases = [
            (Step::Mode, Errno::PERM, "takes no modes"),
            (Step::Special, Errno::PERM, "setuid and setgid"),
            (Step::Create, Errno::MFILE, "renewd's own limit of open files"),
            (Step::Create, Errno::NFILE, "the machine's limit of open files"),
            (Step::Owner(70_000), Errno::INVAL, "this file system knows no owner by that number"),
            (Step::Group(70_000), Errno::INVAL, "this file system knows no group by that number"),
        ];
        for (step, errno, wanted) in cases {
            let text = DeliverError::failed(Path::new("/run/x/token"), step, errno).to_string();
            assert!(text.contains(wanted), "{text}");
        }
    }
}
