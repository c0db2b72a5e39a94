//! The promise: a command ends, whatever hangs: the config's own folder, the state, the daemon. `wait` does within its time.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::strace::{injecting, let_go_at_its_end};
use support::{Sandbox, has_strace, token};

const HANGS: &str = "openat,statx,newfstatat,readlink,readlinkat:delay_enter=40s";

/// Runs a command on a config whose folder hangs: its exit code, and what it said.
fn ran(sandbox: &Sandbox, args: &[&str]) -> (Option<i32>, String) {
    let far = sandbox.path("far");
    let config = sandbox.path("far/config.toml");
    let wrapper = injecting(HANGS, &[&far, &config]);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let mut command = sandbox.command(&wrapper);
    command.arg(args[0]).arg("-c").arg(&config).args(&args[1..]);
    let said = sandbox.path(&format!("said-{}", args[0]));
    let out = std::fs::File::create(&said).expect("a file");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out).spawn().expect("strace");
    let ended = let_go_at_its_end(&mut child);
    (ended.code(), std::fs::read_to_string(said).expect("what it said"))
}

#[test]
fn each_command_ends_though_the_folder_of_the_config_hangs() {
    if !has_strace("each_command_ends_though_the_folder_of_the_config_hangs") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.mkdir("far");
    let config = sandbox.config_text("", token("a").secret("secret.file = \"../secret\"").plain("../out/a"));
    sandbox.put("far/config.toml", config);
    let commands: [(&[&str], i32); 9] = [
        (&["run"], 1),
        (&["once"], 1),
        (&["check"], 1),
        (&["status"], 1),
        (&["rotate"], 1),
        (&["reload"], 1),
        (&["token", "a"], 75),
        (&["exec", "a", "--", "true"], 75),
        (&["wait", "--timeout", "1s"], 75),
    ];
    std::thread::scope(|scope| {
        for (args, code) in commands {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let (ended, said) = ran(sandbox, args);
                assert_eq!(ended, Some(code), "{args:?}: {said}");
                assert!(said.contains("hang"), "{args:?}: {said}");
            });
        }
    });
}

#[test]
fn a_daemon_that_is_stopped_is_told_and_wait_ends_in_its_time() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    daemon.send(Signal::STOP);
    let began = Instant::now();
    let ran = sandbox.ours(&["wait", "--timeout", "1s"]).expect(75);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(ran.stderr.contains("has not answered within"), "{ran:#?}");
    daemon.send(Signal::CONT);
    sandbox.ours(&["wait"]).expect(0);
    daemon.stop();
}
