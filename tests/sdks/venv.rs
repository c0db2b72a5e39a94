//! Owns: the SDKs' installation, and their absence told aloud.
//! Does not: run them (`job.rs`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A python that has the SDKs.
#[derive(Clone)]
pub struct Venv {
    python: PathBuf,
}

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// The SDKs, installed at the first call. `None`: `test` has to be skipped, which is said on stderr, not captured.
pub fn venv(test: &str) -> Option<Venv> {
    static INSTALLED: OnceLock<Result<Venv, String>> = OnceLock::new();
    match INSTALLED.get_or_init(install) {
        Ok(venv) => Some(venv.clone()),
        Err(why) => {
            let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(std::env::var_os("RENEWD_NEED_PEERS").is_none(), "{test} would be skipped: {why}");
            let _ = writeln!(std::io::stderr(), "sdks: skipped {count}: {test}: {why}");
            None
        }
    }
}

fn install() -> Result<Venv, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("sdks");
    let mut command = Command::new(here("install"));
    let done = command.arg(&folder).stdin(Stdio::null()).output();
    let done = done.map_err(|e| format!("tests/sdks/install: {e}"))?;
    match done.status.code() {
        Some(0) => Ok(Venv { python: folder.join("venv/bin/python") }),
        Some(75) => {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            Err(said.lines().last().unwrap_or("it said nothing").to_owned())
        }
        _ => panic!("tests/sdks/install: {done:#?}"),
    }
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks").join(name)
}

impl Venv {
    /// `python tests/sdks/SCRIPT` with nothing in its environment but a home.
    pub fn command(&self, script: &str, home: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).current_dir(home);
        command.arg("-I").arg(here(script));
        command
    }
}
