//! The promise: what passes by itself (no memory, no descriptors, a disk or a server that stumbles) while the config is read is
//! no mistake in the text. At the start it ends with 1, so that the unit tries again; on a reload the old config runs on, it
//! is told, and is read again each minute; `check` and `once` end with 1.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::strace::{Tracer, end_tracer, injecting};
use support::{Sandbox, eventually, has_a_minute, has_strace, token, until};

const PASSING: [&str; 8] = ["EMFILE", "ENFILE", "ENOMEM", "EIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EINTR"];

/// A config that reads one file of each kind.
fn prepare(sandbox: &Sandbox) {
    sandbox.mkdir("config.d");
    sandbox.put(
        "config.d/b.toml",
        token("b")
            .secret("secret.file = \"../secret\"")
            .output("format = \"token\"\npath = \"../out/b.token\"")
            .to_string(),
    );
    sandbox.put("letter", "{{ token }}\n");
    let a = token("a").plain("a.token").output("format = \"template\"\ntemplate = \"letter\"\npath = \"out/letter\"");
    let text = sandbox.config_text("", format!("[defaults]\nretry = {{ initial = \"100ms\", max = \"200ms\" }}\n{a}"));
    sandbox.put("config.toml", format!("include = [\"config.d/*.toml\"]\n{text}"));
}

/// This call of these paths fails so.
fn failing(call: &str, error: &str, paths: &[&Path]) -> Vec<String> {
    injecting(&format!("{call}:error={error}"), paths)
}

fn ran(sandbox: &Sandbox, argv: &[String], words: &[&str]) -> support::Ran {
    let wrapper: Vec<&str> = argv.iter().map(String::as_str).collect();
    let mut command = sandbox.command(&wrapper);
    command.args(words).arg("-c").arg(sandbox.path("config.toml"));
    sandbox.finish(command, "")
}

#[test]
fn at_the_start_it_is_1_and_not_78() {
    if !has_strace("at_the_start_it_is_1_and_not_78") {
        return;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let [config, include, folder] = ["config.toml", "config.d/b.toml", "config.d"].map(|name| sandbox.path(name));
    let calls = [("openat", &config), ("read", &config), ("openat", &include), ("read", &include), ("openat", &folder)];
    for error in PASSING {
        // A file is opened and read again at once where that was interrupted.
        for (call, path) in calls.iter().filter(|(_, path)| error != "EINTR" || *path == &folder) {
            let ran = ran(&sandbox, &failing(call, error, &[path]), &["run"]);
            assert_eq!(ran.code, Some(1), "{call} of {path:?} {error}: {ran:#?}");
            assert!(ran.stderr.contains("just now"), "{call} of {path:?} {error}: {ran:#?}");
            assert!(!ran.stderr.contains("renewd check"), "nothing is wrong in the text: {ran:#?}");
        }
    }
}

#[test]
fn a_mistake_is_78_all_the_same() {
    if !has_strace("a_mistake_is_78_all_the_same") {
        return;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let config = sandbox.path("config.toml");
    for error in ["ENOENT", "EACCES", "ELOOP"] {
        let ran = ran(&sandbox, &failing("openat", error, &[&config]), &["run"]);
        assert_eq!(ran.code, Some(78), "{error}: {ran:#?}");
    }
}

#[test]
fn a_secret_or_template_that_cannot_be_read_just_now_is_a_lack_that_heals() {
    if !has_strace("a_secret_or_template_that_cannot_be_read_just_now_is_a_lack_that_heals") {
        return;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    for (error, file) in
        PASSING.iter().zip(["secret", "letter"].into_iter().cycle()).filter(|(error, _)| **error != "EINTR")
    {
        let path = sandbox.path(file);
        let mut daemon = sandbox.daemon().under(&failing("openat", error, &[&path])).spawn();
        until(&format!("{file} {error}: told"), || {
            daemon.log().contains("just now") || daemon.log().contains("does not answer")
        });
        end_tracer(&daemon, Signal::TERM);
        daemon.wait_ready();
        until(&format!("{file} {error}: healed"), || {
            daemon.token("a")["last_error"].is_null() && daemon.config_error().is_empty()
        });
        daemon.kill9();
        for words in [["check"], ["once"]] {
            let ran = ran(&sandbox, &failing("openat", error, &[&path]), &words);
            assert_eq!(ran.code, Some(1), "{words:?} {file} {error}: {ran:#?}");
        }
    }
}

/// The process's own limit, whatever is opened when it is reached.
#[test]
fn a_limit_of_descriptors_is_never_78() {
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let group = "format = \"token\"\npath = \"out/c.token\"\ngroup = \"root\"";
    let hook = "command = [\"/bin/true\"]";
    let c = token("c").secret("secret.file = \"../secret\"").output(group).hook("after_rotate", hook);
    sandbox.put("config.d/c.toml", c.to_string().replace("out/c", "../out/c"));
    sandbox.ours(&["check"]).expect(0);
    let mut ends = std::collections::BTreeSet::new();
    for limit in 3..24 {
        let limit = format!("--nofile={limit}");
        for words in [&["check"][..], &["once"], &["run"]] {
            // A daemon that starts is ended.
            let wrapper = ["timeout", "--signal=TERM", "1", "prlimit", &limit];
            let mut command = sandbox.command(if words[0] == "run" { &wrapper } else { &wrapper[3..] });
            command.args(words).arg("-c").arg(sandbox.path("config.toml"));
            let ran = sandbox.finish(command, "");
            // 127: not even the program's libraries can be opened.
            assert!(matches!(ran.code, Some(0 | 1 | 124 | 127)), "{words:?} {limit}: {ran:#?}");
            ends.insert(ran.code);
        }
    }
    assert!(ends.contains(&Some(0)) && ends.contains(&Some(1)), "{ends:?}");
}

#[test]
fn accounts_and_programs_that_cannot_be_looked_up_just_now() {
    if !has_strace("accounts_and_programs_that_cannot_be_looked_up_just_now") {
        return;
    }
    let sandbox = Sandbox::new();
    let program = sandbox.script("hook", "exit 0");
    let hook = format!("command = [{program:?}]");
    // systemd's name service knows root without the file.
    let groups = std::fs::read_to_string("/etc/group").expect("/etc/group");
    let names = groups.lines().filter_map(|line| line.split(':').next());
    let group = names.into_iter().find(|name| !["root", "nobody", "nogroup"].contains(name)).expect("a group");
    let group = format!("format = \"token\"\npath = \"out/a.token\"\ngroup = {group:?}");
    sandbox.config(token("a").output(&group).hook("after_rotate", &hook));
    sandbox.ours(&["check"]).expect(0);
    for error in PASSING.iter().filter(|error| **error != "EINTR") {
        for (call, path) in [("openat", Path::new("/etc/group")), ("statx", &program)] {
            let ran = ran(&sandbox, &failing(call, error, &[path]), &["check"]);
            assert_eq!(ran.code, Some(1), "{call} {path:?} {error}: {ran:#?}");
        }
    }
}

/// With the folder of the includes unreadable for a moment, no token of theirs is taken for one that was removed.
#[test]
fn on_a_reload_nothing_is_taken_or_removed_and_it_is_told() {
    if !has_strace("on_a_reload_nothing_is_taken_or_removed_and_it_is_told") {
        return;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let daemon = sandbox.start();
    let before = ["a.token", "b.token", "letter"].map(|name| sandbox.read(name));
    for file in ["config.toml", "config.d", "config.d/b.toml", "secret", "letter"] {
        let tracer = Tracer::attach(&daemon, "openat:error=EIO", &[&sandbox.path(file)]);
        let ran = sandbox.ours(&["reload"]);
        assert_eq!(ran.code, Some(1), "{file}: {ran:#?}");
        assert!(ran.stderr.contains("just now"), "{file}: {ran:#?}");
        until("status tells", || daemon.config_error().contains("just now"));
        drop(tracer);
        sandbox.ours(&["reload"]).expect(0);
        until("status is healed", || daemon.config_error().is_empty());
    }
    assert_eq!(["a.token", "b.token", "letter"].map(|name| sandbox.read(name)), before);
    daemon.stop();
}

#[test]
fn a_reload_that_failed_so_is_made_again_within_a_minute() {
    let test = "a_reload_that_failed_so_is_made_again_within_a_minute";
    if !has_a_minute(test) || !has_strace(test) {
        return;
    }
    let sandbox = Sandbox::new();
    prepare(&sandbox);
    let daemon = sandbox.start();
    let tracer = Tracer::attach(&daemon, "openat:error=ESTALE", &[&sandbox.path("config.toml")]);
    sandbox.put("config.toml", sandbox.config_text("", token("a").line("claims = { aud = \"new\" }")));
    until("it is told", || daemon.config_error().contains("just now"));
    drop(tracer);
    eventually(Duration::from_secs(75), "read again", || {
        sandbox.try_jwt("a").filter(|a| a.claims["aud"] == "new").map(|_| ())
    });
    assert!(daemon.config_error().is_empty());
    daemon.stop();
}
