//! The promise: whatever call of the state fails, once, the next start finds the newest refresh token that was promised. strace
//! fails each call of each kind, one by one, on the real binary; the server has no grace, and revokes a family whose
//! refresh token comes twice.
//! Does not: run where strace may not trace; that is printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use renewd::core::settings::Fingerprint;
use renewd::host::store::{KeptTarget, Record, Store, Worker};
use rustix::process::{Pid, Signal, kill_process};

use crate::idp::{Grace, refresh_token};
use crate::portal::{FAMILY, Kind, Portal};
use support::{PATIENCE, eventually, has_strace, until};

/// Calls on the state, and how they fail.
const FAULTS: [(&str, &str); 17] = [
    ("openat", "EMFILE"),
    ("openat", "EIO"),
    ("read", "EIO"),
    ("pread64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("fsync", "ENOSPC"),
    ("fsync", "EINVAL"),
    ("renameat", "EIO"),
    ("ftruncate", "EIO"),
    ("fallocate", "ENOSPC"),
    ("fallocate", "EOPNOTSUPP"),
    ("flock", "ENOLCK"),
    ("unlinkat", "EIO"),
    ("newfstatat,fstat,statx", "EIO"),
];

/// How the state stands when the run begins that meets the fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stands {
    AsEver,
    /// Its log is compacted by the next append.
    Full,
    /// One byte of another token's record is damaged.
    Damaged,
    /// There is none.
    Missing,
}

fn state_file(portal: &Portal, ending: &str) -> PathBuf {
    let config = portal.sandbox.path("config.toml");
    let Fingerprint(digest) = Fingerprint::of(config.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    portal.sandbox.path("state").join(format!("{}.{ending}", &name[..16]))
}

fn stand(portal: &Portal, stands: Stands) {
    if stands == Stands::Missing {
        return;
    }
    portal.sandbox.ours(&["once"]).expect(0);
    let (state, config) = (portal.sandbox.path("state"), portal.sandbox.path("config.toml"));
    let log = state_file(portal, "log");
    let len = || fs::metadata(&log).unwrap().len() as usize;
    let (mut store, _) = Store::open(&state, &config, 7, Worker::Passing).unwrap();
    let mut append = |room: usize| {
        let path = PathBuf::from(format!("/{}", "x".repeat(room)));
        let target = KeptTarget { path: path.into(), digests: Vec::new(), lines: Vec::new() };
        store.append(&[Record::Target(target.clone()), Record::TargetGone(target.path)], false).unwrap();
    };
    match stands {
        Stands::Full => {
            let before = len();
            append(10);
            let frames = len() - before - 20;
            while len() < (64 << 10) - 6000 {
                append(1000);
            }
            append(((64 << 10) - 20 - len() - frames) / 2);
            assert!(((64 << 10) - 60..=64 << 10).contains(&len()), "{}", len());
        }
        Stands::Damaged => {
            let at = len() + 100;
            append(1000);
            let mut bytes = fs::read(&log).unwrap();
            bytes[at] ^= 1;
            fs::write(&log, bytes).unwrap();
        }
        Stands::AsEver | Stands::Missing => {}
    }
}

/// Traces what touches the state alone.
fn strace(portal: &Portal, trace: &Path, inject: &str) -> Command {
    let state = portal.sandbox.path("state");
    let files = ["log", "new", "lock"].map(|ending| state_file(portal, ending));
    let mut words = vec!["strace", "-f", "-qq", "-o", trace.to_str().unwrap()];
    for path in [&state].into_iter().chain(&files) {
        words.extend(["-P", path.to_str().unwrap()]);
    }
    words.extend(["-e", inject]);
    let mut command = portal.sandbox.command(&words);
    command.args(["once", "--ahead", "2h", "-c"]).arg(portal.sandbox.path("config.toml"));
    command
}

fn each_fault(stands: Stands) {
    for (call, errno) in FAULTS {
        let mut nth = 0;
        loop {
            nth += 1;
            let place = format!("{stands:?}: {call} {nth} fails with {errno}");
            let portal = Portal::new(Kind::OAuth2, Grace::None);
            stand(&portal, stands);
            let trace = portal.sandbox.path("trace");
            let inject = format!("inject={call}:error={errno}:when={nth}");
            let ran = portal.sandbox.finish(strace(&portal, &trace, &inject), "");
            if !fs::read_to_string(&trace).unwrap_or_default().contains("(INJECTED)") {
                break;
            }
            assert!(matches!(ran.code, Some(0 | 1)), "{place}: {ran:#?}");
            let has_words = call != "flock" || ran.stderr.contains("gives no locks");
            assert!(has_words, "{place}: {ran:#?}");
            assert!(ran.took < Duration::from_secs(20), "{place}: {ran:#?}");
            let again = portal.sandbox.ours(&["once", "--ahead", "2h"]);
            let seen = portal.idp.seen();
            assert_eq!(again.code, Some(0), "{place}: {ran:#?}\n{again:#?}\n{seen:?}");
            assert!(!portal.idp.is_revoked(FAMILY), "{place}: {ran:#?}\n{seen:?}");
            assert!(portal.state_holds(&portal.idp.current(FAMILY)), "{place}: the newest is in the state");
        }
        println!("{stands:?}: {call}, {errno}: {} of them", nth - 1);
    }
}

#[test]
fn no_failed_call_of_an_exchange_loses_a_family() {
    if has_strace("no_failed_call_of_an_exchange_loses_a_family") {
        each_fault(Stands::AsEver);
    }
}

#[test]
fn no_failed_call_of_a_compaction_loses_a_family() {
    if has_strace("no_failed_call_of_a_compaction_loses_a_family") {
        each_fault(Stands::Full);
    }
}

#[test]
fn no_failed_call_beside_damage_loses_a_family() {
    if has_strace("no_failed_call_beside_damage_loses_a_family") {
        each_fault(Stands::Damaged);
    }
}

#[test]
fn no_failed_call_of_a_new_state_loses_a_family() {
    if has_strace("no_failed_call_of_a_new_state_loses_a_family") {
        each_fault(Stands::Missing);
    }
}

/// The disk fails for good once the answer is there. `once` goes on trying, and SIGTERM shortens that.
#[test]
fn a_successor_that_cannot_be_kept_is_tried_for_a_bounded_time_and_told_to_be_lost() {
    if !has_strace("a_successor_that_cannot_be_kept_is_tried_for_a_bounded_time_and_told_to_be_lost") {
        return;
    }
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    portal.sandbox.ours(&["once"]).expect(0);
    let said = portal.sandbox.path("said");
    let mut command = strace(&portal, Path::new("/dev/null"), "inject=fdatasync,fsync:error=EIO:when=2+");
    let mut child = command.stderr(fs::File::create(&said).unwrap()).stdout(Stdio::null()).spawn().unwrap();
    let said = || fs::read_to_string(&said).unwrap();
    until("it is tried again", || said().matches("Input/output error").count() >= 3);
    let strace = child.id();
    let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
    let traced = Pid::from_raw(children.split_whitespace().next().unwrap().parse().unwrap()).unwrap();
    let began = Instant::now();
    kill_process(traced, Signal::TERM).unwrap();
    let status = eventually(PATIENCE, "it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1), "{}", said());
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(said().contains(&format!("token {FAMILY}: the refresh token that its issuer gave last")), "{}", said());
    assert!(said().contains("is lost"), "{}", said());
    // Nobody has the lock any more.
    assert_eq!(portal.idp.seen().len(), 2);
    assert!(!portal.sandbox.ours(&["once", "--ahead", "2h"]).stderr.contains("in use"));
}

/// The limit of a file's size is reached before the answer would be: the process lives, and nothing is sent.
#[test]
fn nothing_is_sent_where_the_state_may_not_grow() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    portal.sandbox.ours(&["once"]).expect(0);
    let mut command = portal.sandbox.command(&["prlimit", "--fsize=4096"]);
    command.args(["once", "--ahead", "2h", "-c"]).arg(portal.sandbox.path("config.toml"));
    let ran = portal.sandbox.finish(command, "").expect(1);
    assert!(ran.stderr.contains("its refresh token is not sent") && ran.stderr.contains("LimitFSIZE="), "{ran:#?}");
    assert_eq!(portal.idp.current(FAMILY), refresh_token(FAMILY, 1));
    assert_eq!(portal.idp.seen().len(), 1);
    portal.sandbox.ours(&["once", "--ahead", "2h"]).expect(0);
}
