//! The promise: what the daemon and `once` deny to themselves holds for the process, and no_new_privs for hooks too; a
//! hook that needs sudo has its way by RENEWD_ALLOW_NEW_PRIVILEGES=1, and `exec` takes nothing from its command.

use std::fs;
use std::os::unix::fs::MetadataExt;

use support::{Sandbox, is_root, token, until};

const ALLOW: &str = "RENEWD_ALLOW_NEW_PRIVILEGES";

/// A sandbox whose token `a` has a hook that writes down its own status.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let seen = sandbox.path("seen").display().to_string();
    sandbox.script("hook", &format!("cat /proc/$$/status > {seen}.new && mv {seen}.new {seen}"));
    let hook = format!("command = [\"{}\"]", sandbox.path("hook").display());
    sandbox.config(token("a").hook("after_rotate", &hook));
    sandbox
}

/// NoNewPrivs of a status as proc(5) shows it.
fn no_new_privs(status: &str) -> &str {
    status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:")).expect("a line for it").trim()
}

fn of_the_hook(sandbox: &Sandbox) -> String {
    until("the hook ran", || sandbox.path("seen").exists());
    let status = fs::read_to_string(sandbox.path("seen")).expect("what it saw");
    no_new_privs(&status).to_owned()
}

#[test]
fn the_daemon_and_its_hooks_gain_no_privilege() {
    let sandbox = sandbox();
    let daemon = sandbox.start();
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("its status");
    assert_eq!(no_new_privs(&status), "1");
    let threads = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("its threads");
    for thread in threads.flatten() {
        // One that has ended meanwhile is none.
        if let Ok(status) = fs::read_to_string(thread.path().join("status")) {
            assert_eq!(no_new_privs(&status), "1", "{}", thread.path().display());
        }
    }
    assert_eq!(of_the_hook(&sandbox), "1");
    daemon.stop();
}

#[test]
fn who_asks_for_it_may_use_sudo_in_hooks() {
    for (value, denied) in [("1", "0"), ("0", "1"), ("", "1"), ("yes", "1")] {
        let sandbox = sandbox();
        let daemon = sandbox.daemon().env(ALLOW, value).ready();
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("its status");
        assert_eq!(no_new_privs(&status), denied, "{value:?}");
        assert_eq!(of_the_hook(&sandbox), denied, "{value:?}");
        assert_eq!(daemon.log().contains(ALLOW), value == "yes", "{value:?}: {}", daemon.log());
        daemon.stop();
    }
}

#[test]
fn once_is_no_other() {
    for (env, denied) in [(&[][..], "1"), (&[(ALLOW, "1")][..], "0")] {
        let sandbox = sandbox();
        let config = sandbox.path("config.toml");
        sandbox.run_with(&["once", "-c", config.to_str().expect("UTF-8")], "", env).expect(0);
        assert_eq!(of_the_hook(&sandbox), denied, "{env:?}");
    }
}

#[test]
fn a_command_of_exec_keeps_what_it_had() {
    let sandbox = sandbox();
    let ran = sandbox.ours(&["exec", "a", "--", "cat", "/proc/self/status"]).expect(0);
    assert_eq!(no_new_privs(&ran.stdout), "0");
}

/// Not dumpable: what is in its `/proc` belongs to root, so others of its user can neither read its memory nor trace it.
#[test]
fn nobody_of_its_user_looks_into_the_daemon() {
    if !is_root("nobody_of_its_user_looks_into_the_daemon") {
        return;
    }
    let sandbox = sandbox();
    let whose = |path: std::path::PathBuf| std::os::unix::fs::chown(path, Some(65534), Some(65534)).expect("chown");
    for name in ["", "out", "home", "secret", "config.toml", "hook"] {
        whose(sandbox.path(name));
    }
    let under = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let daemon = sandbox.daemon().on_abstract_socket().under(&under).ready();
    let file = fs::metadata(format!("/proc/{}/mem", daemon.pid())).expect("its memory");
    assert_eq!(file.uid(), 0);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("its status");
    assert!(status.lines().any(|line| line.starts_with("Uid:\t65534\t")), "{status}");
    daemon.stop();
}
