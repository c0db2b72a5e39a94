//! Owns: programs of others that tests need: what `tests/peers/install` puts below target/, what is on this machine, how a server of theirs
//! is started and ended, and the word of it where a test has to be skipped. `RENEWD_NEED_PEERS=1` makes a skip a failure.
//! Does not: know what they do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
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

/// Says that `test` is skipped for want of a program; fails instead where none may be wanting.
pub fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("RENEWD_NEED_PEERS").is_none(), "{test} would be skipped: {why}");
    skipped(test, why);
}

/// Says on stderr, not captured, that `test` or a part of it is skipped on this machine, and how many of this program were until
/// now.
pub fn skipped(test: &str, why: &str) {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    let _ = writeln!(std::io::stderr(), "skipped {count}: {test}: {why}");
}

/// A server of others that is told to end by the end of its stdin, and says in its first line where it listens.
pub struct Serving {
    child: Child,
    stdin: Option<ChildStdin>,
    /// The words of that line.
    said: Vec<String>,
}

impl Serving {
    /// Starts it, and waits for its line.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let stdin = child.stdin.take();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("the server's line");
        Self { child, stdin, said: line.split_whitespace().map(str::to_owned).collect() }
    }

    /// The port in the word at this place.
    #[track_caller]
    pub fn port(&self, at: usize) -> u16 {
        let word = self.said.get(at).and_then(|word| word.parse().ok());
        word.unwrap_or_else(|| panic!("the server did not start: {:?}", self.said))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
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
