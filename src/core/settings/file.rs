//! Owns: what a file is like beside its content, and what keeps one from being there.
//! Does not: make one.

use std::fmt;
use std::sync::Arc;

/// Permission bits of a file, at most 0o7777.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(pub u32);

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// Mode and ownership a file has before its secret is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileSpec {
    /// Set whatever the umask is.
    pub mode: Mode,
    /// `None`: as the process creates it (its own user).
    pub uid: Option<u32>,
    /// `None`: as the process creates it (its own group, or that of a setgid folder).
    pub gid: Option<u32>,
}

/// Something the machine lacks (contract: "Of the machine"). Says what and where in one line, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lack {
    /// One line for status and the log: what is missing, with its path or name. Never a secret.
    pub message: Arc<str>,
    /// As the plan's lacks have it: that of a folder is one for all its files.
    pub told: Arc<str>,
}
