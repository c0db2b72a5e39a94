//! Owns: processes that a test's scripts started: the ids that they wrote down, and whether one still does something.
//! Does not: start or end any.

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
