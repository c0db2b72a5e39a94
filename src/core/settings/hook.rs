//! Owns: what is done when a token has been delivered, or fails.
//! Does not: do it.

use std::path::PathBuf;
use std::time::Duration;

use crate::core::words::words;

/// What a hook does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookAction {
    /// argv, run without a shell.
    Command(Vec<String>),
    /// A signal for the process whose number stands in a file.
    Signal {
        /// Absolute; read when the signal is sent.
        pid_file: PathBuf,
        /// Written with or without `SIG`.
        signal: HookSignal,
    },
}

words! {
    /// Signals a hook may send.
    pub enum HookSignal {
        Hup = "HUP",
        Int = "INT",
        Term = "TERM",
        Usr1 = "USR1",
        Usr2 = "USR2",
        Winch = "WINCH",
        Cont = "CONT",
    }
}

/// `[token.NAME.after_rotate]` and `[token.NAME.on_failure]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookPlan {
    /// A command or a signal, never both.
    pub action: HookAction,
    /// A command that runs longer is killed with its process group.
    pub timeout: Duration,
    /// `on_failure` only: how long a streak lasts before it is told. Zero elsewhere.
    pub after: Duration,
}

impl HookPlan {
    /// What is run, where it is a command.
    pub(crate) fn program(&self) -> Option<&str> {
        match &self.action {
            HookAction::Command(argv) => argv.first().map(String::as_str),
            HookAction::Signal { .. } => None,
        }
    }
}
