//! Owns: why a hook failed, in words.
//! Does not: run one.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a hook failed. Whose it was knows who ran it.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("{program} (or the interpreter that it names) was not found: install it or correct the command")]
    NotFound { program: String },
    #[error("{program} cannot be executed: permission denied")]
    NotExecutable { program: String },
    #[error("{program} cannot be started: {error}")]
    NotStarted { program: String, error: io::Error },
    #[error("{program} exited with status {code}")]
    Exit { program: String, code: i32 },
    #[error("{program} was killed by signal {signal}")]
    Killed { program: String, signal: i32 },
    #[error("{program} was stopped: it ran longer than its timeout of {}", humantime::format_duration(*after))]
    TimedOut { program: String, after: Duration },
    #[error("{program} was stopped: renewd is stopping")]
    Stopped { program: String },
    #[error(
        "pid file {} is not there: the service does not run yet, or writes its number elsewhere",
        path.display()
    )]
    NoPidFile { path: PathBuf },
    #[error("pid file {}: {problem}", path.display())]
    PidFile { path: PathBuf, problem: String },
    #[error("SIG{signal} to process {pid}, named by {}: {problem}", path.display())]
    Signal { path: PathBuf, signal: &'static str, pid: i32, problem: String },
}

impl HookError {
    /// Whether it could not be started at all.
    pub fn is_of_the_start(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NotExecutable { .. } | Self::NotStarted { .. })
    }
}
