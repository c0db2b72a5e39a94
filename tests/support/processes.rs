//! Owns: what /proc tells of processes: of those that a test's scripts started the ids that they wrote down, whether one still does
//! something, and how often one's threads slept.
//! Does not: start or end any.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The process ids that scripts wrote, one a line; none where there is no file yet.
pub fn pids(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A process that waits to be reaped does nothing any more.
pub fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// How often each thread of a process went to sleep by itself, by its number: each wake-up ends in one. Threads that have ended are
/// not among them.
pub fn sleeps(pid: u32) -> BTreeMap<String, u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let count = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((thread.file_name().to_string_lossy().into_owned(), line.trim().parse().ok()?))
    };
    threads.flatten().filter_map(count).collect()
}
