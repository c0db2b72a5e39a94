//! A folder whose file system hangs is the trouble of what lies in it, and of nothing else: at the start too, and where it is the
//! state's. strace holds each call that names the folder for longer than any test waits.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::strace::{end_tracer, injecting};
use support::{Daemon, Sandbox, has_strace, token, until};

const LOOKS: &str = "newfstatat,statx,openat,getdents64:delay_enter=60s";
const WRITES: &str = "pwrite64,fdatasync,fsync:delay_enter=60s";

/// What holds it is taken away at once: it would wait for what it holds.
fn let_go(daemon: &Daemon<'_>) {
    end_tracer(daemon, Signal::KILL);
}

#[test]
fn one_that_hangs_at_the_start_keeps_no_other_token_away() {
    if !has_strace("one_that_hangs_at_the_start_keeps_no_other_token_away") {
        return;
    }
    let sandbox = Sandbox::new();
    let far = sandbox.mkdir("far");
    sandbox.put("far/secret", support::SECRET);
    let of_output = token("output").plain("../far/t");
    let of_secret = token("secret").secret("secret.file = \"far/secret\"");
    sandbox.config(format!("{of_output}{of_secret}{}", token("near")));
    let hold = injecting(LOOKS, &[&far, &sandbox.path("far/secret")]);
    let mut daemon = sandbox.daemon().under(&hold).spawn();
    let began = Instant::now();
    until("the other token is there", || sandbox.out("near.token").exists());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(sandbox.rotate(&["near"]), "{}", daemon.log());
    let status = daemon.status();
    let told = status.to_string();
    assert!(told.contains("does not answer"), "{status:#}");
    assert!(daemon.log().contains("does not answer for 2 s"), "{}", daemon.log());
    // A reload leaves it out again, and takes what has changed elsewhere.
    sandbox.config(format!("{of_output}{of_secret}{}{}", token("near"), token("more")));
    until("the new token is there", || sandbox.out("more.token").exists());
    assert!(daemon.alive());
    let_go(&daemon);
    until("what hung is delivered when it answers", || {
        sandbox.rotate(&["output", "secret"]);
        sandbox.path("far/t").exists() && sandbox.out("secret.token").exists()
    });
    daemon.stop();
}

#[test]
fn a_state_that_hangs_keeps_no_token_of_ours_away_and_no_stop() {
    if !has_strace("a_state_that_hangs_keeps_no_token_of_ours_away_and_no_stop") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    sandbox.ours(&["once", "a"]).expect(0);
    let log = fs::read_dir(sandbox.path("state")).expect("a state").flatten().map(|entry| entry.path());
    let log = log.into_iter().find(|path| path.extension().is_some_and(|is| is == "log")).expect("a log");
    let mut daemon = sandbox.daemon().under(&injecting(WRITES, &[&log])).ready();
    assert!(sandbox.out("b.token").exists());
    let before = sandbox.read("a.token");
    assert!(sandbox.rotate(&["a"]), "{}", daemon.log());
    assert_ne!(sandbox.read("a.token"), before);
    until("it is told", || daemon.status().to_string().contains("the state has not answered since 2"));
    assert_eq!(daemon.log().matches("the state has not answered since").count(), 1, "{}", daemon.log());
    sandbox.ours(&["status"]);
    let began = Instant::now();
    daemon.send(Signal::TERM);
    until("it ends", || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    });
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let_go(&daemon);
    until("it is gone", || !daemon.alive());
}

/// What starts a hook's program, and a pid file, may hang: nothing else waits.
#[test]
fn a_hook_that_hangs_before_it_starts_holds_nobody_up() {
    if !has_strace("a_hook_that_hangs_before_it_starts_holds_nobody_up") {
        return;
    }
    let sandbox = Sandbox::new();
    let hook = sandbox.script("hook", "true");
    let pid_file = sandbox.put("service.pid", "1\n");
    let program = token("program").hook("after_rotate", &format!("command = [{hook:?}]\ntimeout = \"2s\""));
    let signal = format!("signal = {{ pid_file = {pid_file:?}, signal = \"HUP\" }}\ntimeout = \"2s\"");
    let signal = token("signal").hook("after_rotate", &signal);
    sandbox.config(format!("{program}{signal}{}", token("near")));
    let hold = injecting("execve,openat:delay_enter=60s", &[&hook, &pid_file]);
    let daemon = sandbox.daemon().under(&hold).ready();
    for _ in 0..3 {
        let began = Instant::now();
        assert!(sandbox.rotate(&["near"]), "{}", daemon.log());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    until("the program is given up", || daemon.log().contains("program, after_rotate"));
    until("the pid file is given up", || daemon.log().contains("service.pid"));
    assert!(daemon.log().contains("does its file system hang?"), "{}", daemon.log());
    let_go(&daemon);
    daemon.kill9();
}
