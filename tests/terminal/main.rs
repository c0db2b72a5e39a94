//! What a person at a terminal meets first: `init`, the completions of bash, zsh and fish, the man pages, and `inspect` of
//! what lies on disk. The real binary, real shells, pseudo terminals.
//! A shell or tool that is not here is told, and its test skipped; `RENEWD_NEED_PEERS=1` makes that a failure.
#![forbid(unsafe_code)]

mod completions;
mod init;
mod init_at_a_terminal;
mod init_for_the_system;
mod inspect;
mod man;
mod pty;

use std::io::Write;
use std::path::PathBuf;

/// Where a program is, by $PATH; else `test` is to be skipped, which is said on stderr, not captured.
fn program(test: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(test, &format!("{name} is not here"));
    }
    found
}

fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("RENEWD_NEED_PEERS").is_none(), "{test} would be skipped: {why}");
    let _ = writeln!(std::io::stderr(), "terminal: skipped: {test}: {why}");
}
