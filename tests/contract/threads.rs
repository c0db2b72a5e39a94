//! The system gives no further thread or process: TasksMax=, a container's limit of processes and RLIMIT_NPROC answer alike,
//! EAGAIN. The user's limit is used up here by sleepers; root asks, whom no limit holds.

use std::os::unix::fs::chown;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use support::{Ran, Sandbox, is_root, token, until};

/// So many processes and threads may the user have: more than the daemon has at rest.
const LIMIT: u32 = 14;

/// A user of its own, and what runs as it.
struct User {
    wrapper: Vec<String>,
    sleepers: Vec<Child>,
}

impl User {
    /// Everything of the sandbox is given to a user that nobody else of the tests is.
    fn of(sandbox: &Sandbox, number: u32) -> Self {
        let uid = 61_000 + number;
        for name in ["", "out", "home", "secret", "config.toml"] {
            chown(sandbox.path(name), Some(uid), Some(uid)).expect("chown");
        }
        let wrapper = [
            "setpriv".into(),
            format!("--reuid={uid}"),
            format!("--regid={uid}"),
            "--clear-groups".into(),
            "prlimit".into(),
            format!("--nproc={LIMIT}"),
        ];
        Self { wrapper: wrapper.into(), sleepers: Vec::new() }
    }

    fn wrapper(&self) -> Vec<&str> {
        self.wrapper.iter().map(String::as_str).collect()
    }

    /// Takes all that the limit leaves.
    fn fill(&mut self) {
        // The limit holds for clone(2), not for root who becomes this user: then there is no room, whatever runs already.
        for _ in 0..=LIMIT {
            let mut command = Command::new(&self.wrapper[0]);
            command.args(&self.wrapper[1..]).args(["sleep", "300"]);
            self.sleepers.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("setpriv"));
        }
        until("no process can be had", || !self.has_room());
    }

    fn has_room(&self) -> bool {
        let mut command = Command::new(&self.wrapper[0]);
        command.args(&self.wrapper[1..]).args(["sh", "-c", "true & wait"]).stderr(Stdio::null());
        command.status().expect("setpriv").success()
    }

    /// Ends them: there is room again.
    fn free(&mut self) {
        for sleeper in &mut self.sleepers {
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
        self.sleepers.clear();
    }

    fn runs(&self, sandbox: &Sandbox, args: &[&str]) -> Ran {
        let mut command = sandbox.command(&self.wrapper());
        command.args([args[0], "-c"]).arg(sandbox.path("config.toml")).args(&args[1..]);
        sandbox.finish(command, "")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.free();
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("hooked").hook("after_rotate", "command = [\"true\"]")));
    sandbox
}

/// The process's threads for what may block.
fn workers(pid: u32) -> usize {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "renewd-worker").count()
}

#[test]
fn a_daemon_that_runs_goes_on_without_a_further_thread() {
    if !is_root("a_daemon_that_runs_goes_on_without_a_further_thread") {
        return;
    }
    let sandbox = sandbox();
    let mut user = User::of(&sandbox, 1);
    let mut daemon = sandbox.daemon().on_abstract_socket().under(&user.wrapper()).ready();
    assert!(workers(daemon.pid()) >= 4, "they are there before anything needs them, and stay");
    user.fill();
    // It signs, keeps and delivers with the threads that it has, and reads its config.
    let before = sandbox.read("a.token");
    assert!(sandbox.rotate(&["a"]), "{}", daemon.log());
    assert_ne!(sandbox.read("a.token"), before);
    sandbox.config(format!("{}{}", token("a"), token("b")));
    sandbox.ours(&["reload"]).expect(0);
    daemon.send(Signal::HUP);
    until("the new token is there", || sandbox.out("b.token").exists());
    // A file that somebody removes is noticed as ever.
    std::fs::remove_file(sandbox.out("b.token")).expect("rm");
    sandbox.ours(&["status"]);
    user.free();
    until("it is written again", || {
        sandbox.ours(&["status"]);
        sandbox.out("b.token").exists()
    });
    assert!(daemon.alive(), "{}", daemon.log());
    assert!(!daemon.log().contains("panic"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_hook_that_cannot_be_started_is_tried_again() {
    if !is_root("a_hook_that_cannot_be_started_is_tried_again") {
        return;
    }
    let sandbox = sandbox();
    sandbox.script("hook", "echo ran >>hooked");
    sandbox.config(token("a").hook("after_rotate", &format!("command = [{:?}]", sandbox.path("hook"))));
    let mut user = User::of(&sandbox, 2);
    chown(sandbox.path("hook"), Some(0), Some(0)).expect("chown");
    let daemon = sandbox.daemon().on_abstract_socket().under(&user.wrapper()).ready();
    let ran = || std::fs::read_to_string(sandbox.path("hooked")).unwrap_or_default().lines().count();
    until("the first run", || ran() == 1);
    user.fill();
    sandbox.rotate(&["a"]);
    until("it is said", || daemon.log().contains("after_rotate"));
    assert!(daemon.log().contains("no further thread or process"), "{}", daemon.log());
    user.free();
    until("the second run", || ran() == 2);
    daemon.stop();
}

/// The service manager starts it again: no exit code that would keep it from that.
#[test]
fn without_threads_nothing_is_started_and_that_is_said() {
    if !is_root("without_threads_nothing_is_started_and_that_is_said") {
        return;
    }
    let sandbox = sandbox();
    let mut user = User::of(&sandbox, 3);
    user.fill();
    for args in [&["run"][..], &["once"], &["token", "a"], &["exec", "a", "--", "true"]] {
        let ran = user.runs(&sandbox, args);
        let expected = if matches!(args[0], "token" | "exec") { 75 } else { 1 };
        assert_eq!(ran.code, Some(expected), "{args:?}: {ran:#?}");
        assert!(ran.stderr.contains("the system gives no further thread"), "{args:?}: {ran:#?}");
        assert!(!ran.stderr.contains("panic"), "{args:?}: {ran:#?}");
    }
    user.free();
    user.runs(&sandbox, &["once"]).expect(0);
}
