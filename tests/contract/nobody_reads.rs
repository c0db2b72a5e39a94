//! What is told on standard error hangs on nobody: a full disk, or a reader that went away, changes no exit code and holds up no
//! token.

use std::fs::{File, OpenOptions};
use std::io::pipe;
use std::process::{Command, Stdio};

use support::{Sandbox, eventually, token};

/// The exit code where standard error is this file.
fn code_of(mut command: Command, err: impl Into<Stdio>) -> Option<i32> {
    let out = Stdio::null();
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("the binary starts");
    let ended = eventually(support::PATIENCE, "it ends", || child.try_wait().expect("wait"));
    ended.code()
}

/// Nothing can be written there, as to a log on a full disk.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full")
}

#[test]
fn a_token_is_delivered_though_the_log_is_on_a_full_disk() {
    let sandbox = Sandbox::new();
    // It is warned of: others may read it.
    sandbox.config(token("a"));
    std::fs::set_permissions(sandbox.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("chmod");
    let warned = sandbox.ours(&["check"]).expect(0);
    assert!(warned.stderr.contains("warning"), "{warned:#?}");
    let mut once = sandbox.command(&[]);
    once.arg("once").arg("-c").arg(sandbox.path("config.toml"));
    assert_eq!(code_of(once, full()), Some(0));
    assert!(sandbox.out("a.token").exists());
}

#[test]
fn each_command_ends_as_it_would_where_somebody_reads() {
    let sandbox = Sandbox::new();
    sandbox.put("broken.toml", "token = 1\n");
    sandbox.config(token("a"));
    let config = sandbox.path("config.toml");
    let config = config.to_str().expect("UTF-8");
    let commands: [&[&str]; 14] = [
        &["check", "-c", "broken.toml"],
        &["once", "-c", "broken.toml"],
        &["run", "-c", "broken.toml"],
        &["token", "-c", "broken.toml", "a"],
        &["exec", "-c", "broken.toml", "a", "--", "true"],
        &["exec", "-c", config, "a", "--", "/no/such/program"],
        &["once", "-c", config, "no-such-token"],
        &["status", "-c", config, "--socket", "nowhere"],
        &["rotate", "-c", config],
        &["reload", "-c", config],
        &["wait", "-c", config, "--timeout", "1ms"],
        &["init", "-c", config, "--for", "kong"],
        &["inspect", "garbage"],
        &["no-such-command"],
    ];
    for args in commands {
        let command = || {
            let mut command = sandbox.command(&[]);
            command.args(args);
            command
        };
        let usual = code_of(command(), Stdio::null());
        assert_ne!(usual, Some(0), "{args:?}");
        assert_eq!(code_of(command(), full()), usual, "{args:?}, on a full disk");
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        assert_eq!(code_of(command(), writer), usual, "{args:?}, without a reader");
    }
}
