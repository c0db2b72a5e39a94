//! Owns: the way to the SDKs, as a python that has them.
//! Does not: run them (`job.rs`).

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{python, repository};

/// A python that has the SDKs.
#[derive(Clone)]
pub(crate) struct Venv {
    python: PathBuf,
}

/// `None`: `test` has to be skipped.
pub(crate) fn venv(test: &str) -> Option<Venv> {
    Some(Venv { python: python(test, "sdks")? })
}

impl Venv {
    /// `python tests/sdks/SCRIPT` with nothing in its environment but a home.
    pub(crate) fn command(&self, script: &str, home: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).current_dir(home);
        command.arg("-I").arg(repository().join("tests/sdks").join(script));
        command
    }
}
