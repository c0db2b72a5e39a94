//! Owns: what the process denies to itself, to what it runs, and to others of its user, at the start of `run` and `once`.
//! Does not: sandbox. That is the unit's: its settings hold for hooks too, and are seen by who reads it.

use std::ffi::OsStr;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// With the value 1, hooks may gain privileges (sudo).
pub(crate) const ALLOW_NEW_PRIVILEGES: &str = "RENEWD_ALLOW_NEW_PRIVILEGES";

/// Denies all of it; `allowed` is the value of [`ALLOW_NEW_PRIVILEGES`]. What the kernel or a sandbox refuses is logged and
/// not fatal.
///
/// To be called while there is one thread: others, and what they run, inherit it from the one that starts them.
pub(crate) fn harden(allowed: Option<&OsStr>) {
    // No core dump, no debugger and no reading of this process's memory by others of its user (PR_SET_DUMPABLE, prctl(2)).
    //
    // What it costs: files in `/proc/self` belong to root then. Without privileges the process still opens what is behind its
    // own `/proc/self/fd`, but no longer `/proc/self/environ`; programs that it runs are dumpable again.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("other processes of this user may read this one's memory: {error}");
    }
    match allowed.map(OsStr::as_encoded_bytes) {
        Some(b"1") => return,
        None | Some(b"" | b"0") => {}
        Some(_) => tracing::warn!("{ALLOW_NEW_PRIVILEGES} is neither 1 nor 0: taken for 0, hooks cannot use sudo"),
    }
    // Neither this process nor what it runs gains a privilege by executing a program (PR_SET_NO_NEW_PRIVS), for ever.
    //
    // What it costs: sudo and other setuid programs fail in a hook, and file capabilities count for nothing there.
    if let Err(error) = rustix::thread::set_no_new_privs(true) {
        tracing::warn!("hooks may gain privileges by setuid programs: {error}");
    }
}

/// Has a write beyond the limit of a file's size (RLIMIT_FSIZE) fail as any other, by EFBIG, instead of ending the process by
/// SIGXFSZ. What this process runs is ended by it as ever: a handler is not handed on (execve(2)).
pub(crate) fn outlive_file_limits() {
    let nobody = std::sync::Arc::default();
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, nobody) {
        tracing::warn!("a limit of the size of files would end this process: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn nobody_may_look_but_our_own_descriptors_stay_ours() {
        harden(None);
        let now = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(now, DumpableBehavior::NotDumpable);
        assert!(rustix::thread::no_new_privs().unwrap());
        let file = tempfile::tempfile().unwrap();
        File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    }
}
