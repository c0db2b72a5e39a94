//! Owns: what the benches share: a folder with a config of many tokens, the binary run in it, a fake service manager, and
//! tables whose ratios were measured in the same run.
//! Does not: measure; each bench does.

pub mod daemon;
pub mod floor;
pub mod table;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// 32 bytes, as long as HS256 wants.
pub const SECRET: &str = "07c6e2t1rb92987fnrd705jkk8582p9e";

/// Whether there is time for the long form: set RENEWD_LONG=1.
pub fn is_long() -> bool {
    std::env::var_os("RENEWD_LONG").is_some_and(|value| value == "1")
}

/// The binary that is measured: the one built with the bench, or that in RENEWD_BIN, to compare two.
pub fn renewd() -> Command {
    let binary = std::env::var_os("RENEWD_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_renewd").into());
    let mut command = Command::new(binary);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("RENEWD_LOG", "error");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A folder of this bench alone on the disk that holds the build.
pub fn on_disk() -> tempfile::TempDir {
    folder_in(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

/// ... and one in memory, where /run lives.
pub fn in_memory() -> tempfile::TempDir {
    folder_in(Path::new("/dev/shm"))
}

fn folder_in(parent: &Path) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("renewd-bench-").tempdir_in(parent).expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    folder
}

/// How the tokens of a config are signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    Hs256,
    Rs256,
    Es256,
}

impl Signed {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

/// A config of many tokens, each with one file.
pub struct Tokens<'a> {
    pub folder: &'a Path,
    pub number: usize,
    pub signed: Signed,
    /// Of all tokens; so that an edit changes them.
    pub lifetime: &'a str,
}

impl<'a> Tokens<'a> {
    pub fn new(folder: &'a Path, number: usize) -> Self {
        Self { folder, number, signed: Signed::Hs256, lifetime: "1h" }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    pub fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    pub fn file(&self, index: usize) -> PathBuf {
        self.out().join(format!("t{index}.token"))
    }

    /// Writes the config and what it names.
    pub fn prepare(&self) -> &Self {
        fs::create_dir_all(self.out()).expect("out/");
        private(&self.folder.join("secret"), SECRET.as_bytes());
        match self.signed {
            Signed::Hs256 => {}
            Signed::Rs256 => private(&self.folder.join("key"), floor::rsa_key().as_bytes()),
            Signed::Es256 => private(&self.folder.join("key"), floor::ec_key().as_bytes()),
        }
        private(&self.config(), self.text(|_| self.lifetime.to_owned()).as_bytes());
        self
    }

    /// The config's text; `lifetime` says each token's own.
    pub fn text(&self, lifetime: impl Fn(usize) -> String) -> String {
        let state = self.folder.join("state");
        let socket = self.folder.join("control.sock");
        let mut text = format!("[daemon]\nstate_dir = {state:?}\ncontrol_socket = {socket:?}\n");
        let key = if self.signed == Signed::Hs256 { "secret.file = \"secret\"" } else { "private_key.file = \"key\"" };
        for i in 0..self.number {
            let (algorithm, lifetime) = (self.signed.name(), lifetime(i));
            let _ = write!(
                text,
                "\n[token.t{i}]\nsource = \"jwt\"\nalgorithm = \"{algorithm}\"\nkey = \"key{i}\"\n{key}\nlifetime = \"{lifetime}\"\n\
                 [[token.t{i}.output]]\nformat = \"token\"\npath = \"out/t{i}.token\"\n"
            );
        }
        text
    }

    /// `COMMAND -c config.toml`
    pub fn command(&self, command: &str) -> Command {
        let mut renewd = renewd();
        renewd.arg(command).arg("-c").arg(self.config());
        renewd
    }

    /// All begins anew: no state, no file.
    pub fn forget(&self) {
        for folder in ["state", "out"] {
            let _ = fs::remove_dir_all(self.folder.join(folder));
        }
        fs::create_dir_all(self.out()).expect("out/");
        settle(self.folder);
    }
}

/// Waits until the disk has nothing of ours to write any more.
pub fn settle(folder: &Path) {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, rustix::fs::Mode::empty()).expect("the folder");
    rustix::fs::syncfs(folder).expect("a quiet disk");
}

fn private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
}

/// What one run of a command took.
#[derive(Clone, Copy)]
pub struct Took {
    pub time: Duration,
    /// The most memory it had, in KiB; looked at each millisecond.
    pub peak: u64,
}

/// Runs a command that must end well.
pub fn run(mut command: Command) -> Took {
    let started = Instant::now();
    let mut child = command.spawn().expect("the command starts");
    let pid = child.id();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                peak = peak.max(daemon::status_field(pid, "VmHWM").unwrap_or(0));
                std::thread::sleep(Duration::from_millis(1));
            }
            peak
        });
        let status = child.wait().expect("wait");
        let time = started.elapsed();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(status.success(), "{command:?}: {status}");
        Took { time, peak: watcher.join().expect("the watcher") }
    })
}

/// Time alone, nothing beside it: for what ends within milliseconds.
pub fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    let status = command.status().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let took = started.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

/// The value below which the given part of them lies.
pub fn quantile(values: &mut [Duration], part: f64) -> Duration {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values[(last as f64 * part).round() as usize]
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
