//! Owns: what the process denies to itself and to others of its user at the start of `run`.
//! Does not: sandbox. That is the unit's: its settings hold for hooks too, and are seen by who reads it.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// No core dump, no debugger and no reading of this process's memory by others of its user (PR_SET_DUMPABLE, prctl(2)).
///
/// What it costs: files in `/proc/self` belong to root then. A process may still list and open its own
/// `/proc/self/fd`; programs that it runs are dumpable again.
///
/// no_new_privs is not set: every hook would inherit it, and `sudo`, or any setuid program, would fail there.
/// The unit sets `NoNewPrivileges=yes` where no hook needs one.
///
/// # Errors
/// A kernel or sandbox that refuses prctl: to be logged, not fatal.
pub fn deny_core_dumps() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
