//! Owns: what the benches share: folders, the binary run and timed in them, a fake service manager, and tables whose ratios were
//! measured in the same run.
//! Does not: measure; each bench does.

pub mod daemon;
pub mod table;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The binary that is measured: the one built with the bench, or that in RENEWD_BIN, to compare two.
pub fn measured() -> PathBuf {
    std::env::var_os("RENEWD_BIN").map_or_else(super::binary, PathBuf::from)
}

/// It, told nothing yet, and silent.
pub fn renewd() -> Command {
    let mut command = Command::new(measured());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("RENEWD_LOG", "error");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A folder of this bench alone on the disk that holds the build.
pub fn on_disk() -> tempfile::TempDir {
    folder_in(&super::target())
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

/// Waits until the disk has nothing of ours to write any more.
pub fn settle(folder: &Path) {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, rustix::fs::Mode::empty()).expect("the folder");
    rustix::fs::syncfs(folder).expect("a quiet disk");
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
