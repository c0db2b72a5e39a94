//! Owns: why a hook failed, in words.
//! Does not: run one.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a hook failed. Each says whose it was.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    #[error("{label}: {program} (or the interpreter that it names) was not found: install it or correct the command")]
    NotFound { label: String, program: String },
    #[error("{label}: {program} cannot be executed: permission denied")]
    NotExecutable { label: String, program: String },
    #[error("{label}: {program} cannot be started: {error}")]
    NotStarted { label: String, program: String, error: io::Error },
    #[error("{label}: {program} exited with status {code}")]
    Exit { label: String, program: String, code: i32 },
    #[error("{label}: {program} was killed by signal {signal}")]
    Killed { label: String, program: String, signal: i32 },
    #[error("{label}: {program} was stopped: it ran longer than its timeout of {}", humantime::format_duration(*after))]
    TimedOut { label: String, program: String, after: Duration },
    #[error("{label}: {program} was stopped: renewd is stopping")]
    Stopped { label: String, program: String },
    #[error(
        "{label}: pid file {} is not there: the service does not run yet, or writes its number elsewhere",
        path.display()
    )]
    NoPidFile { label: String, path: PathBuf },
    #[error("{label}: pid file {}: {problem}", path.display())]
    PidFile { label: String, path: PathBuf, problem: String },
    #[error("{label}: SIG{signal} to process {pid}, named by {}: {problem}", path.display())]
    Signal { label: String, path: PathBuf, signal: &'static str, pid: i32, problem: String },
}

impl HookError {
    /// Whether it could not be started at all.
    pub fn is_of_the_start(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NotExecutable { .. } | Self::NotStarted { .. })
    }
}
