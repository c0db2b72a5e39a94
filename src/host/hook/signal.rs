//! Owns: a hook that signals the process whose number stands in a pid file.
//! Does not: trust that file further than its permissions do.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::error::HookError;
use crate::core::crypto::Exposure;
use crate::core::settings::HookSignal;
use crate::process::threads;

/// Sends `signal` to the process that `pid_file` names.
pub(super) async fn send(pid_file: &Path, signal: HookSignal, limit: Duration) -> Result<(), HookError> {
    let fail = |problem| HookError::PidFile { path: pid_file.to_owned(), problem };
    let path = pid_file.to_owned();
    let found =
        threads::within(limit, pid_file, move || Ok(read(&path))).await.map_err(|error| fail(error.to_string()))?;
    let (pid, owner) = found.map_err(|problem| match problem {
        PidFileProblem::Gone => HookError::NoPidFile { path: pid_file.to_owned() },
        PidFileProblem::Other(problem) => fail(problem),
    })?;
    let sent = may_name(owner, pid)
        .and_then(|()| rustix::process::kill_process(pid, of(signal)).map_err(|error| explain(error, pid)));
    sent.map_err(|problem| HookError::Signal {
        path: pid_file.to_owned(),
        signal: signal.word(),
        pid: pid.as_raw_nonzero().get(),
        problem,
    })
}

fn of(signal: HookSignal) -> Signal {
    match signal {
        HookSignal::Hup => Signal::HUP,
        HookSignal::Int => Signal::INT,
        HookSignal::Term => Signal::TERM,
        HookSignal::Usr1 => Signal::USR1,
        HookSignal::Usr2 => Signal::USR2,
        HookSignal::Winch => Signal::WINCH,
        HookSignal::Cont => Signal::CONT,
    }
}

fn explain(error: Errno, pid: Pid) -> String {
    match error {
        Errno::SRCH => no_process(pid),
        Errno::PERM => "not permitted: it runs as another user".to_owned(),
        error => error.to_string(),
    }
}

fn no_process(pid: Pid) -> String {
    format!("there is no process {pid}: the service is not running, or the file is an old one")
}

/// Why a pid file names nobody.
enum PidFileProblem {
    Gone,
    Other(String),
}

impl<T: Into<String>> From<T> for PidFileProblem {
    fn from(what: T) -> Self {
        Self::Other(what.into())
    }
}

/// The process that the file names, and the file's owner.
fn read(pid_file: &Path) -> Result<(Pid, u32), PidFileProblem> {
    let mut file = open(pid_file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PidFileProblem::Gone,
        _ => format!("cannot be read: {error}").into(),
    })?;
    let meta = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
    if !meta.is_file() {
        return Err("is not a regular file".into());
    }
    if Exposure::anybody_writes(meta.mode()) {
        return Err("anybody may write it: chmod o-w".into());
    }
    let mut text = Vec::new();
    file.by_ref().take(64).read_to_end(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    let pid = parse(&text).ok_or("holds no process number, or more than one")?;
    if pid <= 1 {
        return Err(format!("names process {pid}, which is no service").into());
    }
    if u32::try_from(pid) == Ok(std::process::id()) {
        return Err("names renewd itself".into());
    }
    let pid = Pid::from_raw(pid).ok_or("holds no process number")?;
    Ok((pid, meta.uid()))
}

/// Without waiting for the writer of a FIFO.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0)).open(path)
}

/// Digits alone, with white space around at most.
fn parse(text: &[u8]) -> Option<i32> {
    let digits = std::str::from_utf8(text).ok()?.trim_ascii();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// A file of an unprivileged user may name that user's processes only: else it would borrow our right to signal others.
fn may_name(owner: u32, pid: Pid) -> Result<(), String> {
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    match std::fs::metadata(format!("/proc/{pid}")) {
        Ok(process) if process.uid() == owner => Ok(()),
        Ok(_) => Err(format!("it is not of the user ({owner}) who owns that file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_process(pid)),
        Err(error) => Err(format!("cannot tell whose it is: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_digits_alone() {
        for (text, pid) in [
            ("123\n", Some(123)),
            (" 123 \n", Some(123)),
            ("0", Some(0)),
            ("", None),
            ("\n", None),
            ("-5", None),
            ("+5", None),
            ("1 2", None),
            ("12\n13\n", None),
            ("0x10", None),
            ("99999999999", None),
        ] {
            assert_eq!(parse(text.as_bytes()), pid, "{text:?}");
        }
    }
}
