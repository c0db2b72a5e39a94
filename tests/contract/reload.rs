//! The promise: a change to the config, or to any file it reads, reloads; only what changed is obtained again.
//! In place, by rename, by a symlink swap as Kubernetes does it, by SIGHUP; a half-written file is not read.
//! RELOADING=1 and READY=1 stand around it, never before the first READY=1. Refusals: `reload_refused.rs`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::Signal;

use support::{Daemon, Jwt, SECRET, Sandbox, TokenText, token, until};

fn with_aud(aud: &str) -> TokenText {
    token("a").line(&format!("claims = {{ aud = \"{aud}\" }}"))
}

fn aud_is(sandbox: &Sandbox, aud: &str) -> bool {
    sandbox.try_jwt("a").is_some_and(|a| a.claims["aud"] == aud)
}

fn signed_by(sandbox: &Sandbox, name: &str, secret: &str) -> bool {
    let text = fs::read_to_string(sandbox.out(&format!("{name}.token"))).unwrap_or_default();
    Jwt::signed_with(&text, secret.as_bytes()).is_ok()
}

#[test]
fn in_place_and_by_rename() {
    let sandbox = Sandbox::new();
    let text = |aud: &str| sandbox.config_text("", format!("{}{}", with_aud(aud), token("b")));
    sandbox.put("config.toml", text("0"));
    let mut daemon = sandbox.start();
    let b = sandbox.read("b.token");
    for round in 1..=6 {
        let aud = round.to_string();
        if round % 2 == 0 {
            sandbox.put("config.toml", text(&aud));
        } else {
            sandbox.put_by_rename("config.toml", text(&aud));
        }
        until("the change is in the file", || aud_is(&sandbox, &aud));
    }
    // Away and back, as some editors do it.
    fs::rename(sandbox.path("config.toml"), sandbox.path("config.bak")).expect("mv");
    sandbox.put("config.toml", text("back"));
    until("moved away and written anew", || aud_is(&sandbox, "back"));
    assert_eq!(sandbox.read("b.token"), b, "an unchanged token was obtained again");
    assert!(daemon.alive());
}

/// A file is stamped by a clock that goes in steps of milliseconds: whether it was read before or after its last edit is
/// not known then. It is read again, and where nothing is new nobody is told, and nothing is tried again for it.
#[test]
fn a_start_right_after_an_edit_is_no_reload() {
    let sandbox = Sandbox::new();
    sandbox.config(with_aud("old"));
    let daemon = sandbox.start();
    daemon.reloaded_by(|| drop(sandbox.config(with_aud("new"))));
    assert_eq!(daemon.log().matches("the config is read").count(), 1, "{}", daemon.log());
    assert_eq!((daemon.count("RELOADING=1"), daemon.count("READY=1")), (1, 2));
    daemon.stop();
}

#[test]
fn kubernetes_symlink_swaps_of_config_and_secret() {
    let sandbox = Sandbox::new();
    let generation = |number: u32, aud: &str, secret: &str| {
        let folder = format!("mnt/..{number}");
        sandbox.mkdir(&folder);
        let text = with_aud(aud)
            .secret("secret.file = \"secret\"")
            .output(&format!("format = \"token\"\npath = \"{}\"", sandbox.out("a.token").display()));
        sandbox.put(&format!("{folder}/config.toml"), sandbox.config_text("", text));
        sandbox.put(&format!("{folder}/secret"), secret);
    };
    let swap = |number: u32| {
        symlink(format!("..{number}"), sandbox.path("mnt/..tmp")).expect("ln -s");
        fs::rename(sandbox.path("mnt/..tmp"), sandbox.path("mnt/..data")).expect("mv");
    };
    generation(1, "one", SECRET);
    swap(1);
    for name in ["config.toml", "secret"] {
        symlink(format!("..data/{name}"), sandbox.path(&format!("mnt/{name}"))).expect("ln -s");
    }
    let _daemon = sandbox.daemon().config("mnt/config.toml").ready();
    assert!(aud_is(&sandbox, "one"));
    for round in 2..=4u32 {
        let aud = format!("round-{round}");
        generation(round, &aud, SECRET);
        swap(round);
        until("the config was swapped", || aud_is(&sandbox, &aud));
        fs::remove_dir_all(sandbox.path(&format!("mnt/..{}", round - 1))).expect("rm -r");
    }
    generation(5, "round-4", &"k".repeat(32));
    swap(5);
    until("the secret was swapped", || signed_by(&sandbox, "a", &"k".repeat(32)));
}

#[test]
fn secrets_templates_and_their_links() {
    let sandbox = Sandbox::new();
    sandbox.put("tpl", "one {{ token }}");
    sandbox.mkdir("real");
    sandbox.put("real/s", SECRET);
    symlink("real/s", sandbox.path("link")).expect("ln -s");
    let a = token("a").plain("a.token").output("format = \"template\"\ntemplate = \"tpl\"\npath = \"out/x\"");
    let b = token("b").secret("secret.file = \"link\"");
    sandbox.config(format!("{a}{b}"));
    let _daemon = sandbox.start();
    let (old_a, old_b) = (sandbox.read("a.token"), sandbox.read("b.token"));

    sandbox.put("tpl", "two {{ token }}");
    until("the template", || sandbox.read("x") == format!("two {old_a}"));
    sandbox.put_by_rename("tpl", "three {{ token }}");
    until("the template, by rename", || sandbox.read("x") == format!("three {old_a}"));
    assert_eq!(sandbox.read("a.token"), old_a, "a template is no credential");

    sandbox.put("secret", "p".repeat(32));
    until("the secret, in place", || signed_by(&sandbox, "a", &"p".repeat(32)));
    sandbox.put_by_rename("secret", "r".repeat(32));
    until("the secret, by rename", || signed_by(&sandbox, "a", &"r".repeat(32)));
    assert_eq!(sandbox.read("b.token"), old_b, "b has another secret");

    sandbox.put("real/s", "t".repeat(32));
    until("behind a link", || signed_by(&sandbox, "b", &"t".repeat(32)));
    sandbox.put("real/u", "u".repeat(32));
    symlink("real/u", sandbox.path("link.new")).expect("ln -s");
    fs::rename(sandbox.path("link.new"), sandbox.path("link")).expect("mv");
    until("another link", || signed_by(&sandbox, "b", &"u".repeat(32)));
}

#[test]
fn sighup_reloads_and_keeps_what_did_not_change() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    let daemon = sandbox.start();
    let a = sandbox.read("a.token");
    fs::remove_file(sandbox.out("a.token")).expect("rm");
    daemon.reloaded_by(|| daemon.send(Signal::HUP));
    until("a deleted output is delivered again", || sandbox.out("a.token").exists());
    assert_eq!(sandbox.read("a.token"), a);
    for _ in 0..20 {
        daemon.send(Signal::HUP);
    }
    assert!(sandbox.rotate(&["b"]), "after many signals");
    assert_eq!(sandbox.read("a.token"), a);
    daemon.stop();
}

#[test]
fn reloading_and_ready_stand_around_it() {
    let sandbox = Sandbox::new();
    sandbox.config(with_aud("0"));
    let daemon = sandbox.start();
    daemon.reloaded_by(|| {
        sandbox.config(with_aud("1"));
    });
    daemon.reloaded_by(|| {
        sandbox.config("[broken");
    });
    daemon.reloaded_by(|| {
        sandbox.config(with_aud("2"));
    });
    daemon.reloaded_by(|| daemon.send(Signal::HUP));
    let mut reloading = false;
    for message in &daemon.messages() {
        if message.has("RELOADING=1") {
            assert!(!reloading, "RELOADING=1 twice");
            let stamp = message.text.lines().find_map(|l| l.strip_prefix("MONOTONIC_USEC="));
            let usec: u64 = stamp.expect("in the same datagram").parse().expect("a number");
            assert!(usec > 0);
            reloading = true;
        } else if message.has("READY=1") {
            reloading = false;
        }
    }
    assert!(!reloading, "READY=1 never came back");
    assert!(aud_is(&sandbox, "2"));
    daemon.stop();
}

#[test]
fn nothing_is_reloading_before_the_first_ready() {
    let sandbox = Sandbox::new();
    let retry = "[defaults]\nretry = { initial = \"100ms\", max = \"300ms\" }\n";
    let lacking = token("late").output("format = \"token\"\npath = \"missing/t\"");
    sandbox.config(format!("{retry}{lacking}"));
    let mut daemon = sandbox.daemon().spawn();
    until("the socket", || sandbox.path("control.sock").exists());
    daemon.send(Signal::HUP);
    // This reload shows that the one before it was seen; the missing folder was lacking before and is no reason.
    sandbox.config(format!("{retry}{lacking}{}", token("fence")));
    until("the reload is taken", || sandbox.try_jwt("fence").is_some());
    assert_eq!(daemon.count("READY=1"), 0, "ready without a required token");
    sandbox.mkdir("missing");
    daemon.wait_ready();
    let messages = daemon.messages();
    let ready = messages.iter().position(|m| m.has("READY=1")).expect("ready");
    let before = messages[..=ready].iter().any(|m| m.has("RELOADING=1"));
    assert!(!before, "{messages:#?}");
}

/// A prefix of the new config that is valid by itself would take b's file away.
#[test]
fn a_half_written_config_is_not_read() {
    let sandbox = Sandbox::new();
    let clock = token("clock").line("lifetime = \"2s\"");
    let text = |aud: &str| (sandbox.config_text("", format!("{clock}{}", with_aud(aud))), token("b").to_string());
    let (head, tail) = text("older");
    sandbox.put("config.toml", head + &tail);
    let daemon = sandbox.start();
    // What is written before the start has come to watch is read at once, closed or not: nobody was told.
    let (head, tail) = text("old");
    daemon.reloaded_by(|| drop(sandbox.put_by_rename("config.toml", head + &tail)));
    let (a, b) = (sandbox.read("a.token"), sandbox.read("b.token"));
    let reloads = daemon.count("RELOADING=1");

    let (head, tail) = text("new");
    let mut file = OpenOptions::new().write(true).truncate(true).open(sandbox.path("config.toml")).expect("open");
    for piece in head.as_bytes().chunks(64) {
        file.write_all(piece).expect("write");
        file.flush().expect("flush");
    }
    // The fence: a token of 2 s is rotated twice meanwhile.
    let first = sandbox.jwt("clock").number("iat");
    until("time goes by", || sandbox.try_jwt("clock").is_some_and(|c| c.number("iat") >= first + 2));
    assert_eq!(daemon.count("RELOADING=1"), reloads, "read before it was closed");
    assert_eq!((sandbox.read("a.token"), sandbox.read("b.token")), (a, b.clone()));
    file.write_all(tail.as_bytes()).expect("write");
    drop(file);
    until("read once it is closed", || aud_is(&sandbox, "new"));
    assert_eq!(sandbox.read("b.token"), b);
    daemon.stop();
}

#[test]
fn included_files_come_change_and_go() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("config.d");
    let text = format!("include = [\"config.d/*.toml\"]\n{}", sandbox.config_text("", token("a")));
    sandbox.put("config.toml", text);
    let included = |aud: &str| {
        // Relative paths resolve against the folder of the file that names them.
        token("b")
            .line(&format!("claims = {{ aud = \"{aud}\" }}"))
            .secret("secret.file = \"../secret\"")
            .output("format = \"token\"\npath = \"../out/b.token\"")
            .to_string()
    };
    let b_is = |aud: &str| sandbox.try_jwt("b").is_some_and(|b| b.claims["aud"] == aud);
    let daemon = sandbox.start();
    let a = sandbox.read("a.token");
    sandbox.put("config.d/ignored.txt", "this is no TOML");
    sandbox.put("config.d/b.toml", included("1"));
    until("it came", || b_is("1"));
    sandbox.put("config.d/b.toml", included("2"));
    until("it changed in place", || b_is("2"));
    sandbox.put_by_rename("config.d/b.toml", included("3"));
    until("it changed by rename", || b_is("3"));
    fs::rename(sandbox.path("config.d/b.toml"), sandbox.path("config.d/c.toml")).expect("mv");
    until("the reload after the move", || daemon.config_error().is_empty() && sandbox.try_jwt("b").is_some());
    assert!(b_is("3"));
    // A name defined twice is an error; the old config runs on.
    sandbox.put("config.d/d.toml", included("4"));
    until("twice is refused", || daemon.config_error().contains("d.toml"));
    fs::remove_file(sandbox.path("config.d/d.toml")).expect("rm");
    until("healed", || daemon.config_error().is_empty());
    fs::remove_file(sandbox.path("config.d/c.toml")).expect("rm");
    until("it went", || !sandbox.out("b.token").exists());
    assert_eq!(sandbox.read("a.token"), a);
    daemon.stop();
}

#[test]
fn outputs_change_mode_format_and_place_with_the_token_at_hand() {
    let sandbox = Sandbox::new();
    let output = |lines: &str| token("a").output(&format!("path = \"out/t\"\n{lines}"));
    sandbox.config(output("format = \"token\""));
    let daemon = sandbox.start();
    let text = sandbox.read("t");
    let changed = |lines: &str, what: &str, done: &dyn Fn() -> bool| {
        sandbox.config(output(lines));
        until(what, done);
    };
    changed("format = \"token\"\nmode = \"0644\"", "mode", &|| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(sandbox.out("t")).is_ok_and(|m| m.permissions().mode() & 0o7777 == 0o644)
    });
    assert_eq!(sandbox.read("t"), text);
    changed("format = \"env\"\nvariable = \"T\"", "env", &|| sandbox.read("t") == format!("T={text}\n"));
    changed("format = \"env\"\nvariable = \"U\"", "variable", &|| sandbox.read("t") == format!("U={text}\n"));
    changed("format = \"header\"", "header", &|| sandbox.read("t").ends_with(&format!("{text}\n")));
    daemon.stop();
}

fn loaded_at(daemon: &Daemon<'_>) -> String {
    daemon.status()["config"]["loaded_at"].to_string()
}

/// 150 rewrites in a hurry, some broken: it lives, and the last one counts.
#[test]
fn the_last_of_many_changes_counts() {
    let sandbox = Sandbox::new();
    let body = |aud: &str| format!("{}{}", with_aud(aud), token("b"));
    sandbox.config(body("0"));
    let mut daemon = sandbox.start();
    let first = loaded_at(&daemon);
    let b = sandbox.read("b.token");
    let mut dice = support::Dice::new("the_last_of_many_changes_counts");
    for round in 0..150 {
        let text = match dice.below(10) {
            0 => "[broken".to_owned(),
            1 => String::new(),
            _ => sandbox.config_text("", body(&round.to_string())),
        };
        if dice.below(2) == 0 {
            sandbox.put("config.toml", text);
        } else {
            sandbox.put_by_rename("config.toml", text);
        }
        std::thread::sleep(Duration::from_millis(dice.below(12)));
    }
    sandbox.put_by_rename("config.toml", sandbox.config_text("", body("last")));
    until("the last one", || aud_is(&sandbox, "last"));
    until("no error is left", || daemon.config_error().is_empty());
    assert_eq!(sandbox.read("b.token"), b);
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
    assert!(daemon.alive() && loaded_at(&daemon) >= first);
}
