//! The promise: a control or credential socket whose file somebody removed or replaced (a cleaner of /tmp, systemd-tmpfiles, a
//! unit with the same RuntimeDirectory=) is bound anew by a reload, and within 30 s without one; who was connected has his
//! answer. A folder that hangs keeps neither the start nor the tokens waiting.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::strace::injecting;
use support::{Daemon, Sandbox, eventually, has_strace, token, until};

/// Both sockets in `run/`.
fn prepare(sandbox: &Sandbox) -> [PathBuf; 2] {
    let run = sandbox.mkdir("run");
    let [control, credentials] = ["control.sock", "credentials.sock"].map(|name| run.join(name));
    let text = sandbox.config_text(&format!("credential_socket = {credentials:?}"), token("a"));
    sandbox.put("config.toml", text.replace("/control.sock", "/run/control.sock"));
    [control, credentials]
}

fn answers(path: &PathBuf) -> bool {
    UnixStream::connect(path).is_ok()
}

fn both_answer(sockets: &[PathBuf; 2]) -> bool {
    sockets.iter().all(answers)
}

type Deed = (&'static str, fn(&Sandbox, &[PathBuf; 2]));

const DEEDS: [Deed; 4] = [
    ("removed", |_, sockets| sockets.iter().for_each(|path| fs::remove_file(path).expect("rm"))),
    ("their folder made anew", |sandbox, _| {
        fs::remove_dir_all(sandbox.path("run")).expect("rm -r");
        sandbox.mkdir("run");
    }),
    ("their folder moved away", |sandbox, _| {
        fs::rename(sandbox.path("run"), sandbox.path("away")).expect("mv");
        sandbox.mkdir("run");
    }),
    ("replaced by sockets of the dead", |_, sockets| {
        for path in sockets {
            fs::remove_file(path).expect("rm");
            drop(UnixListener::bind(path).expect("bind"));
        }
    }),
];

#[test]
fn a_reload_binds_them_anew() {
    let sandbox = Sandbox::new();
    let sockets = prepare(&sandbox);
    let daemon = sandbox.start();
    for (what, deed) in DEEDS {
        deed(&sandbox, &sockets);
        assert!(!both_answer(&sockets), "{what}");
        daemon.send(Signal::HUP);
        until(what, || both_answer(&sockets));
        let names = support::names_in(&sandbox.path("run"));
        assert_eq!(names, ["control.sock", "credentials.sock"], "{what}");
        for path in &sockets {
            let meta = fs::symlink_metadata(path).expect("stat");
            assert!(meta.file_type().is_socket() && meta.permissions().mode() & 0o7777 == 0o600, "{what}: {path:?}");
        }
        sandbox.ours(&["status"]).expect(0);
        sandbox.ours(&["rotate", "--force", "a"]).expect(0);
    }
    until("it is said", || daemon.log().matches("it is there again").count() == DEEDS.len() * 2);
    daemon.stop();
    assert!(support::names_in(&sandbox.path("run")).is_empty(), "they are removed at the stop");
}

/// Nobody asks and nothing tells.
#[test]
fn they_are_there_again_within_40_s() {
    let sandbox = Sandbox::new();
    let sockets = prepare(&sandbox);
    let daemon = sandbox.start();
    DEEDS[0].1(&sandbox, &sockets);
    eventually(Duration::from_secs(40), "both are there again", || both_answer(&sockets).then_some(()));
    daemon.stop();
}

#[test]
fn who_waits_has_his_answer_from_the_old_one() {
    let sandbox = Sandbox::new();
    let sockets = prepare(&sandbox);
    let daemon = sandbox.start();
    let mut waiting = UnixStream::connect(&sockets[0]).expect("connect");
    writeln!(waiting, r#"{{"command": "wait", "names": ["a"], "min_valid": 86400000, "timeout": 60000}}"#)
        .expect("ask");
    // Answered in turn: the one before was taken by then.
    sandbox.ours(&["status"]).expect(0);
    DEEDS[0].1(&sandbox, &sockets);
    daemon.send(Signal::HUP);
    until("bound anew", || both_answer(&sockets));
    let text = token("a").line("lifetime = \"3d\"").to_string();
    let config = fs::read_to_string(sandbox.path("config.toml")).expect("the config");
    let (head, _) = config.split_once("[token.a]").expect("a token");
    sandbox.put("config.toml", format!("{head}{text}"));
    waiting.set_read_timeout(Some(support::PATIENCE)).expect("a timeout");
    let mut line = String::new();
    BufReader::new(waiting).read_line(&mut line).expect("an answer");
    assert!(line.contains("\"ok\":true"), "{line}");
    daemon.stop();
}

#[test]
fn what_is_somebody_elses_stays() {
    let sandbox = Sandbox::new();
    let sockets = prepare(&sandbox);
    let daemon = sandbox.start();
    for path in &sockets {
        fs::remove_file(path).expect("rm");
    }
    let theirs = UnixListener::bind(&sockets[0]).expect("bind");
    fs::write(&sockets[1], "theirs").expect("write");
    daemon.send(Signal::HUP);
    until("both are told", || {
        let log = daemon.log();
        log.contains("another process listens there") && log.contains("a file that is no socket stands there")
    });
    assert_eq!(fs::read_to_string(&sockets[1]).expect("read"), "theirs");
    assert!(answers(&sockets[0]));
    // It is looked at again, and heals.
    drop(theirs);
    fs::remove_file(&sockets[1]).expect("rm");
    daemon.send(Signal::HUP);
    until("both answer", || {
        fs::symlink_metadata(&sockets[1]).is_ok_and(|meta| meta.file_type().is_socket()) && both_answer(&sockets)
    });
    sandbox.ours(&["status"]).expect(0);
    daemon.stop();
}

fn start_with_a_folder_that_hangs<'s>(sandbox: &'s Sandbox, sockets: &[PathBuf; 2]) -> Daemon<'s> {
    let calls = "/^(mkdir|connect|renameat|unlinkat|fchmodat|bind).*:delay_enter=8s";
    let hold = injecting(calls, &[&sandbox.path("run"), &sockets[0], &sockets[1]]);
    sandbox.daemon().under(&hold).spawn()
}

#[test]
fn a_folder_that_hangs_keeps_no_token_waiting() {
    if !has_strace("a_folder_that_hangs_keeps_no_token_waiting") {
        return;
    }
    let sandbox = Sandbox::new();
    let sockets = prepare(&sandbox);
    let began = Instant::now();
    let mut daemon = start_with_a_folder_that_hangs(&sandbox, &sockets);
    daemon.wait_ready();
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    sandbox.jwt("a");
    daemon.send(Signal::HUP);
    until("it is told", || daemon.log().contains("has not answered since"));
    // It comes when the folder answers.
    until("both answer", || both_answer(&sockets));
    daemon.kill9();
}
