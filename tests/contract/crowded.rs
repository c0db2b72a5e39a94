//! What hangs is many: a dead mount with more folders than there are threads, a pid file there that each rotation reads, a name
//! service that does not answer. The threads that deliver elsewhere, and what is seen elsewhere, are there all the same.

use std::fmt::Write;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::strace::{end_tracer, injecting};
use support::{Jwt, Mounts, SECRET, Sandbox, eventually, has_strace, skipped, token, until};

/// More than the daemon has threads.
const MANY: usize = 150;

const HANGS: &str = "newfstatat,statx,openat,getdents64:delay_enter=300s";

/// The look of each minute would be later.
const AT_ONCE: Duration = Duration::from_secs(20);

#[test]
fn a_dead_mount_with_many_folders_leaves_threads_for_others() {
    let test = "a_dead_mount_with_many_folders_leaves_threads_for_others";
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new(test, &sandbox) else { return };
    if !has_strace(test) {
        return;
    }
    let far = sandbox.mkdir("far");
    mounts.bind(&far, &far);
    std::os::unix::fs::symlink("far", sandbox.path("link")).expect("ln -s");
    let mut config = String::new();
    for number in 0..MANY {
        sandbox.mkdir(&format!("far/{number}"));
        sandbox.put(&format!("far/{number}/s"), SECRET);
        let way = if number < MANY / 2 { "far" } else { "link" };
        let one = token(&format!("far{number}")).secret(&format!("secret.file = \"far/{number}/s\""));
        write!(config, "{}", one.plain(&format!("../{way}/{number}/t"))).expect("a text");
    }
    sandbox.config(format!("{config}{}", token("near")));
    let wrapper = [mounts.enter().map(String::from).into(), injecting(HANGS, &[&far])].concat();
    let daemon = sandbox.daemon().under(&wrapper).spawn();
    until("the other token is there", || sandbox.out("near.token").exists());
    for _ in 0..3 {
        assert!(sandbox.rotate(&["near"]), "{}", daemon.log());
    }
    // A file that is new to it is watched too.
    sandbox.mkdir("v");
    sandbox.put("v/s", SECRET);
    sandbox.config(format!("{config}{}{}", token("near"), token("more").secret("secret.file = \"v/s\"")));
    until("the new token is there", || sandbox.out("more.token").exists());
    let new = "n".repeat(32);
    sandbox.put("v/s", &new);
    let is_new = || Jwt::signed_with(&sandbox.read("more.token"), new.as_bytes()).is_ok();
    eventually(AT_ONCE, "the change is seen", || is_new().then_some(()));
    end_tracer(&daemon, Signal::KILL);
    daemon.kill9();
}

/// Each try takes a thread that does not come back.
#[test]
fn a_pid_file_that_hangs_takes_no_thread_from_others_however_often_it_is_read() {
    let test = "a_pid_file_that_hangs_takes_no_thread_from_others_however_often_it_is_read";
    if !has_strace(test) {
        return;
    }
    let sandbox = Sandbox::new();
    let pid_file = sandbox.put("service.pid", "1\n");
    let signal = format!("signal = {{ pid_file = {pid_file:?}, signal = \"HUP\" }}\ntimeout = \"50ms\"");
    let names: Vec<String> = (0..8).map(|number| format!("t{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hooked: String = names.iter().map(|name| token(name).hook("after_rotate", &signal).to_string()).collect();
    let hook = sandbox.script("hook", "echo ran >>hooked");
    let near = token("near").hook("after_rotate", &format!("command = [{hook:?}]"));
    sandbox.config(format!("{hooked}{near}"));
    let daemon = sandbox.daemon().under(&injecting(HANGS, &[&pid_file])).ready();
    let failed = || daemon.log().matches("service.pid").count();
    while failed() < MANY {
        let before = failed();
        assert!(sandbox.rotate(&names), "{}", daemon.log());
        until("it is given up once more", || failed() > before);
    }
    assert!(sandbox.rotate(&["near"]), "{}", daemon.log());
    let runs = || fs::read_to_string(sandbox.path("hooked")).unwrap_or_default().lines().count();
    until("the other hook ran again", || runs() >= 2);
    end_tracer(&daemon, Signal::KILL);
    daemon.kill9();
}

#[test]
fn a_name_service_that_does_not_answer_keeps_no_token_of_ours_away() {
    let test = "a_name_service_that_does_not_answer_keeps_no_token_of_ours_away";
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new(test, &sandbox) else { return };
    // It takes what is asked, and says nothing.
    let Ok(silent) = UdpSocket::bind("127.66.6.6:53") else {
        skipped(test, "no port 53 is to be had");
        return;
    };
    silent.set_nonblocking(true).expect("a socket");
    let resolver = sandbox.put("resolv.conf", "nameserver 127.66.6.6\noptions timeout:30 attempts:5\n");
    let order = sandbox.put("nsswitch.conf", "hosts: files dns\n");
    for (from, to) in [(&resolver, "/etc/resolv.conf"), (&order, "/etc/nsswitch.conf")] {
        fs::set_permissions(from, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("chmod");
        mounts.bind(from, Path::new(to));
    }
    let mut config = token("near").to_string();
    for number in 0..MANY {
        let url = format!("https://host{number}.example.test/token");
        write!(
            config,
            "[token.far{number}]\nsource = \"oauth2\"\ngrant = \"client_credentials\"\ntoken_url = \"{url}\"\n\
             client_id = \"c\"\nclient_secret.file = \"secret\"\nrequired = false\n"
        )
        .expect("a text");
    }
    sandbox.config(config);
    let daemon = sandbox.daemon().under(&mounts.enter()).spawn();
    // All that it looks up at a time was asked for.
    let (mut asked, mut buffer) = (0, [0; 512]);
    until("names are looked up", || {
        while silent.recv(&mut buffer).is_ok() {
            asked += 1;
        }
        asked >= 32
    });
    for _ in 0..3 {
        assert!(sandbox.rotate(&["near"]), "{}", daemon.log());
    }
    daemon.kill9();
}
