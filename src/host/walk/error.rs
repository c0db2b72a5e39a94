//! Owns: why a folder cannot be used, in words.
//! Does not: look at one.

use std::path::PathBuf;

use rustix::io::Errno;

use crate::host::account;

/// As many links as the kernel itself follows for one path (path_resolution(7)).
pub(super) const MAX_LINKS: usize = 40;

/// Why a folder cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WalkError {
    #[error("folder {folder:?} is not an absolute path")]
    Relative { folder: PathBuf },
    #[error(
        "folder {folder:?} is missing ({at:?} does not exist); renewd creates none: create it, or have systemd create it \
         (RuntimeDirectory=, StateDirectory=, tmpfiles.d)"
    )]
    Missing { folder: PathBuf, at: PathBuf },
    #[error("{at:?} is not a folder, so no file can be delivered below {folder:?}: name another path")]
    NotAFolder { folder: PathBuf, at: PathBuf },
    #[error("folder {folder:?} leads through more than {MAX_LINKS} links, perhaps in a circle: name the folder itself")]
    TooManyLinks { folder: PathBuf },
    #[error(
        "folder {folder:?} is refused: the step from {from:?} ({from_owner}) to {to:?} ({to_owner}) is unsafe, the owner of the \
         first could put something else in the place of the second: make both belong to the same user or the first to root, \
         or name another folder"
    )]
    UnsafeStep { folder: PathBuf, from: PathBuf, from_owner: Owner, to: PathBuf, to_owner: Owner },
    #[error(
        "folder {folder:?} is refused: anybody may write to {at:?} (mode {mode:04o}, no sticky bit): chmod o-w or +t it, \
         or name another folder"
    )]
    WorldWritable { folder: PathBuf, at: PathBuf, mode: u32 },
    #[error(
        "folder {folder:?} is refused: {at:?} belongs to {owner}, who could put something else in the place of what {user} \
         makes there: name a folder of {user} or root"
    )]
    Others { folder: PathBuf, at: PathBuf, owner: Owner, user: Owner },
    #[error(
        "folder {folder:?}: {user} may not {what} {at:?} ({errno}): give it the right (chmod, chgrp and \
         SupplementaryGroups=), or name another folder"
    )]
    Denied { folder: PathBuf, at: PathBuf, user: Owner, what: &'static str, errno: Errno },
    #[error("folder {folder:?}: {at:?} cannot be opened: {errno}")]
    Io { folder: PathBuf, at: PathBuf, errno: Errno },
}

/// A user as messages show it: by name, where it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner(pub u32);

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&account::user_name(self.0))
    }
}
