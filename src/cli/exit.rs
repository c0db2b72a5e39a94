//! Owns: how a command ends: its exit code, and what it says where it fails.
//! Does not: decide which.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use super::aside::tell_line;
use crate::core::printable::printable;
use crate::host::load;

/// How a command ended (sysexits.h, and systemd.exec(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 64,
    NoDaemon = 69,
    NotNow = 75,
    WrongConfig = 78,
}

impl Exit {
    /// For a config that will not do, or that lacks something: wrong, unless something could only not be read just now.
    pub(crate) fn refused(loaded: &load::Loaded) -> Self {
        if loaded.is_passing { Self::Failed } else { Self::WrongConfig }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that ended early: what is to be said, which is nothing where it was said already, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

/// What a command comes to.
pub(crate) type Ended = Result<ExitCode, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn say(self) -> Exit {
        if !self.message.is_empty() {
            say(&self.message);
        }
        self.exit
    }
}

impl From<Exit> for Failure {
    fn from(exit: Exit) -> Self {
        Self::new(exit, "")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// Says what went wrong. The words may come from a server or from who listens at a socket: they do not steer the terminal.
pub(crate) fn say(error: impl Display) {
    tell_line!("error: {}", printable(&error.to_string()));
}
