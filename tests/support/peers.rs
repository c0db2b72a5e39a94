//! Owns: programs of others that tests need: what `tests/peers/install` puts below target/, what is on this machine, and the word
//! of it where a test has to be skipped. `RENEWD_NEED_PEERS=1` makes a skip a failure.
//! Does not: run them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::{repository, target};

/// A peer's folder, or why this machine cannot have it.
type Installed = Result<PathBuf, String>;

/// Where a peer of `tests/peers/install` is, installed at the first call. `None`: `test` has to be skipped, which is said.
pub fn peer(test: &str, name: &str) -> Option<PathBuf> {
    static PEERS: Mutex<BTreeMap<String, Arc<OnceLock<Installed>>>> = Mutex::new(BTreeMap::new());
    let once = Arc::clone(PEERS.lock().expect("the peers").entry(name.to_owned()).or_default());
    match once.get_or_init(|| install(name)) {
        Ok(folder) => Some(folder.clone()),
        Err(why) => {
            skip(test, why);
            None
        }
    }
}

/// The same, as the python of a virtual environment.
pub fn python(test: &str, name: &str) -> Option<PathBuf> {
    peer(test, name).map(|folder| folder.join("bin/python"))
}

/// Where a program is, by $PATH. `None`: `test` has to be skipped, which is said.
pub fn program(test: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(test, &format!("{name} is not here"));
    }
    found
}

/// Says on stderr, not captured, that `test` is skipped, and how many of this program were until now; fails instead where
/// nothing may be.
pub fn skip(test: &str, why: &str) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(std::env::var_os("RENEWD_NEED_PEERS").is_none(), "{test} would be skipped: {why}");
    let _ = writeln!(std::io::stderr(), "skipped {count}: {test}: {why}");
}

fn install(name: &str) -> Installed {
    let folder = target().join("peers");
    let done = Command::new(repository().join("tests/peers/install"))
        .args([folder.as_os_str(), name.as_ref()])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("tests/peers/install: {e}"))?;
    match done.status.code() {
        Some(0) => Ok(folder.join(name)),
        Some(75) => Err(String::from_utf8_lossy(&done.stderr).lines().last().unwrap_or("it said nothing").to_owned()),
        _ => panic!("tests/peers/install: {done:#?}"),
    }
}
