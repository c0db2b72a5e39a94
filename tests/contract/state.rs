//! The promise: a restart keeps a token that is valid, made from the same credential and settings, and not due.
//! State belongs to one config; one writer at a time holds its lock; damaged state is said, put aside, and begun anew.
//! What is removed, and what is not: `state_removal.rs`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::{Daemon, Jwt, Sandbox, eventually, is_root, long, names_in, skipped, token, until};

/// All files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names_in(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_restart_keeps_tokens() {
    let sandbox = Sandbox::new();
    let texts = [token("a").to_string(), token("b").env("e", "B").to_string()];
    sandbox.config(texts.concat() + &token("bare").without_output().to_string());
    let daemon = sandbox.start();
    let (a, e) = (sandbox.read("a.token"), sandbox.read("e"));
    let bare = daemon.token("bare");
    assert_eq!(bare["state"], "valid", "{bare}");
    daemon.stop();
    assert_eq!(sandbox.read("a.token"), a, "stopping touched it");

    let daemon = sandbox.start();
    assert_eq!((sandbox.read("a.token"), sandbox.read("e")), (a.clone(), e.clone()));
    assert_eq!(daemon.token("bare")["sha256"], bare["sha256"], "no output: obtained again");
    assert_eq!(daemon.token("bare")["issued_at"], bare["issued_at"]);
    daemon.kill9();

    // A reboot empties /run.
    fs::remove_dir_all(sandbox.path("out")).expect("rm -r");
    sandbox.mkdir("out");
    let daemon = sandbox.start();
    assert_eq!((sandbox.read("a.token"), sandbox.read("e")), (a.clone(), e));
    daemon.stop();
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(sandbox.read("a.token"), a, "`once` obtained again what the daemon had");
}

#[test]
fn a_token_whose_credential_or_settings_changed_is_obtained_anew() {
    let sandbox = Sandbox::new();
    let other = "other-secret-of-32-bytes-0123456";
    // The older one is valid still: it may be ready before the new one is there.
    let renewed = |daemon: Daemon<'_>| {
        until("the new token", || daemon.log().contains("token a is renewed"));
        daemon.stop();
    };
    let start = |text: &dyn std::fmt::Display| {
        sandbox.config(format!("{text}{}", token("b")));
        renewed(sandbox.start());
    };
    start(&token("a"));
    let (a, b) = (sandbox.jwt("a"), sandbox.jwt("b"));
    start(&token("a").line("claims = { aud = \"new\" }"));
    let claims = sandbox.jwt("a");
    assert_eq!(claims.claims["aud"], "new");
    start(&token("a").line("claims = { aud = \"new\" }").line("lifetime = \"30m\""));
    let lifetime = sandbox.jwt("a");
    assert_eq!(lifetime.number("exp") - lifetime.number("iat"), 1800);
    sandbox.put("other", other);
    start(&token("a").secret("secret.file = \"other\""));
    Jwt::signed_with(&sandbox.read("a.token"), other.as_bytes()).expect("by the other secret");
    // The same path, another content: the credential changed, not the config.
    sandbox.put("other", "z".repeat(32));
    renewed(sandbox.start());
    Jwt::signed_with(&sandbox.read("a.token"), "z".repeat(32).as_bytes()).expect("by the new one");
    assert_ne!(a.text, claims.text);
    assert_eq!(sandbox.jwt("b"), b, "the neighbour was obtained again");
}

#[test]
fn a_changed_output_is_delivered_from_the_token_at_hand() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    sandbox.start().stop();
    let a = sandbox.read("a.token");
    sandbox.config(token("a").output("format = \"header\"\npath = \"out/h\"\nmode = \"0644\""));
    sandbox.start().stop();
    assert_eq!(sandbox.read("h"), format!("Authorization: Bearer {a}\n"));
    let mode = fs::metadata(sandbox.out("h")).expect("h").permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[test]
fn an_output_that_somebody_changed_is_delivered_again() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let a = sandbox.read("a.token");
    sandbox.put("out/a.token", "garbage");
    daemon.stop();
    let daemon = sandbox.start();
    assert_eq!(sandbox.read("a.token"), a, "at the next start");
    fs::remove_file(sandbox.out("a.token")).expect("rm");
    daemon.stop();
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(sandbox.read("a.token"), a, "at the next `once`");
    sandbox.put("out/a.token", "garbage");
    sandbox.ours(&["once", "a"]).expect(0);
    assert_eq!(sandbox.read("a.token"), a, "at the next `once NAME`");
    fs::set_permissions(sandbox.out("a.token"), fs::Permissions::from_mode(0o666)).expect("chmod");
    sandbox.ours(&["once"]).expect(0);
    let mode = fs::metadata(sandbox.out("a.token")).expect("a").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "a mode that somebody widened");
}

#[test]
fn the_state_folder_is_for_its_owner_alone() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.daemon().under(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""]).ready();
    let mode = |path: &Path| fs::metadata(path).expect("stat").permissions().mode() & 0o7777;
    assert_eq!(mode(&sandbox.path("state")), 0o700);
    for file in files_below(&sandbox.path("state")) {
        assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
    }
    daemon.stop();
}

type Damage = fn(Vec<u8>) -> Vec<u8>;

#[test]
fn damaged_state_is_said_and_put_aside() {
    let damages: [(&str, Damage); 3] = [
        ("garbage", |_| b"this is no state at all\n".repeat(40)),
        ("zeros", |bytes| vec![0; bytes.len()]),
        ("a flipped byte at the start", |mut bytes| {
            bytes[0] ^= 0xff;
            bytes
        }),
    ];
    for (what, damage) in damages {
        let sandbox = Sandbox::new();
        sandbox.config(format!("{}{}", token("a"), token("b")));
        sandbox.start().stop();
        let a = sandbox.read("a.token");
        // The file that holds the token; what else there is (a lock) is none of our business.
        let holding: Vec<PathBuf> = files_below(&sandbox.path("state"))
            .into_iter()
            .filter(|p| {
                let bytes = fs::read(p).expect("read");
                bytes.windows(a.len()).any(|w| w == a.as_bytes())
            })
            .collect();
        assert_eq!(holding.len(), 1, "files that hold the token: {holding:?}");
        let broken = damage(fs::read(&holding[0]).expect("read"));
        fs::write(&holding[0], &broken).expect("write");

        let mut daemon = sandbox.start();
        let log = daemon.log().to_lowercase();
        assert!(log.contains("state"), "{what}: nothing said: {log}");
        let aside =
            files_below(&sandbox.path("state")).into_iter().any(|p| fs::read(p).is_ok_and(|bytes| bytes == broken));
        assert!(aside, "{what}: the damaged state is gone");
        let begun = sandbox.jwt("a").text;
        sandbox.jwt("b");
        assert!(daemon.alive());
        daemon.stop();
        sandbox.start().stop();
        assert_eq!(sandbox.read("a.token"), begun, "{what}: the new state does not hold");
    }
}

/// What a crash in the middle of an append leaves is no damage: the whole records before it count.
#[test]
fn a_torn_tail_loses_nothing_before_it() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    sandbox.start().stop();
    let (a, b) = (sandbox.read("a.token"), sandbox.read("b.token"));
    for file in files_below(&sandbox.path("state")) {
        let bytes = fs::read(&file).expect("read");
        if bytes.windows(a.len()).any(|w| w == a.as_bytes()) {
            // The beginning of the last record once more, cut off.
            let mark = &bytes[bytes.windows(3).position(|w| w == b"rnw").expect("a record")..][..4];
            let last = bytes.windows(4).rposition(|w| w == mark).expect("the last");
            fs::write(&file, [&bytes[..], &bytes[last..][..7]].concat()).expect("write");
        }
    }
    sandbox.start().stop();
    assert_eq!((sandbox.read("a.token"), sandbox.read("b.token")), (a, b));
}

#[test]
fn one_writer_at_a_time() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let mut daemon = sandbox.start();
    let a = sandbox.read("a.token");
    let pid = daemon.pid().to_string();
    let second = sandbox.ours(&["run"]).expect(1);
    assert!(second.stderr.contains(&pid), "the first's pid is not named: {}", second.stderr);
    let once = sandbox.ours(&["once"]).expect(1);
    assert!(once.stderr.contains(&pid), "{}", once.stderr);
    assert!(daemon.alive());
    assert_eq!(sandbox.read("a.token"), a);
    assert_eq!(daemon.token("a")["state"], "valid", "the socket was taken away");
    daemon.kill9();
    sandbox.ours(&["once"]).expect(0);
    sandbox.start().stop();
}

#[test]
fn two_configs_share_a_state_folder_and_touch_nothing_of_each_other() {
    let sandbox = Sandbox::new();
    let text = |socket: &str, body: &str| {
        let dir = sandbox.dir().display();
        format!("[daemon]\nstate_dir = \"{dir}/state\"\ncontrol_socket = \"{dir}/{socket}\"\n{body}\n")
    };
    let mine = |names: &[&str]| -> String { names.iter().map(|n| token(n).to_string()).collect() };
    sandbox.put("one.toml", text("one.sock", &mine(&["a", "b"])));
    sandbox.put("two.toml", text("two.sock", &mine(&["c", "d"])));
    let one = sandbox.daemon().config("one.toml").ready();
    let two = sandbox.daemon().config("two.toml").ready();
    let before = ["a", "b", "c", "d"].map(|n| sandbox.read(&format!("{n}.token")));
    two.stop();
    // d leaves while the second is down; the first one's start and end are nothing to it.
    sandbox.put("two.toml", text("two.sock", &mine(&["c"])));
    one.stop();
    sandbox.daemon().config("one.toml").ready().stop();
    let after = ["a", "b", "c", "d"].map(|n| sandbox.read(&format!("{n}.token")));
    assert_eq!(before, after);
    let _two = sandbox.daemon().config("two.toml").ready();
    eventually(Duration::from_secs(10), "d's file is removed by its own config", || {
        (!sandbox.out("d.token").exists()).then_some(())
    });
    assert_eq!(["a", "b", "c"].map(|n| sandbox.read(&format!("{n}.token"))), before[..3]);
}

#[test]
fn a_relative_config_path_is_the_same_config() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a").line("claims = { aud = \"x\" }"));
    sandbox.run(&["once", "-c", "config.toml"]).expect(0);
    let a = sandbox.read("a.token");
    fs::remove_file(sandbox.out("a.token")).expect("rm");
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(sandbox.read("a.token"), a);
}

#[test]
fn folders_come_from_the_environment_where_the_config_names_none() {
    let sandbox = Sandbox::new();
    let state = sandbox.mkdir("var/state");
    let runtime = sandbox.mkdir("run");
    sandbox.put(
        "config.toml",
        token("a").plain("a.token").output("format = \"token\"\npath = \"$RUNTIME_DIRECTORY/a\"").to_string(),
    );
    let list = format!("{}:/nowhere/else", runtime.display());
    let daemon = sandbox
        .daemon()
        .env("STATE_DIRECTORY", &format!("{}:/nowhere", state.display()))
        .env("RUNTIME_DIRECTORY", &list)
        .ready();
    assert!(runtime.join("control.sock").exists(), "the control socket");
    let delivered = fs::read_to_string(runtime.join("a")).expect("an output in the runtime folder");
    assert_eq!(delivered, sandbox.read("a.token"));
    assert!(!files_below(&state).is_empty(), "the state");
    let config = sandbox.path("config.toml");
    let config = config.to_str().expect("UTF-8");
    let env = [("RUNTIME_DIRECTORY", list.as_str())];
    sandbox.run_with(&["status", "-c", config], "", &env).expect(0);
    // Without the variable, the path of the output is an error of the config.
    sandbox.run(&["check", "-c", config]).expect(78);
    daemon.stop();
}

/// A full disk under `state_dir` harms no token; what could not be kept is kept when there is room again.
#[test]
fn what_a_full_disk_kept_out_of_the_state_is_put_there_later() {
    if !is_root("what_a_full_disk_kept_out_of_the_state_is_put_there_later") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let small = "mkdir -p state && mount -t tmpfs -o size=256k,mode=700 none state && exec \"$0\" \"$@\"";
    let daemon = sandbox.daemon().under(&["unshare", "-m", "sh", "-c", small]).ready();
    let state = PathBuf::from(format!("/proc/{}/root{}", daemon.pid(), sandbox.path("state").display()));
    let fill = state.join("fill");
    let mut file = fs::File::create(&fill).expect("a file");
    while file.write_all(&[0; 512]).is_ok() {}
    until("the state is full", || sandbox.rotate(&["a"]) && daemon.log().contains("not in the state"));
    let newest = sandbox.jwt("a").text;
    drop(file);
    fs::remove_file(&fill).expect("rm");
    let held = |bytes: Vec<u8>| bytes.windows(newest.len()).any(|part| part == newest.as_bytes());
    eventually(Duration::from_secs(45), "the newest token is in the state", || {
        files_below(&state).into_iter().filter_map(|path| fs::read(path).ok()).any(held).then_some(())
    });
    daemon.stop();
}

/// The look at it finds that, though nothing was to be written.
#[test]
fn a_state_that_is_gone_and_cannot_be_made_anew_is_told_by_status() {
    if !long() {
        return skipped(
            "a_state_that_is_gone_and_cannot_be_made_anew_is_told_by_status",
            "takes a minute: RENEWD_LONG=1",
        );
    }
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    fs::rename(sandbox.path("state"), sandbox.path("away")).expect("mv");
    // No folder can be made there.
    sandbox.put("state", "");
    let error = || daemon.config_error();
    eventually(Duration::from_secs(75), "it is told", || error().contains("state_dir").then_some(()));
    fs::remove_file(sandbox.path("state")).expect("rm");
    eventually(Duration::from_secs(75), "it is well again", || error().is_empty().then_some(()));
    assert!(sandbox.path("state").is_dir());
    daemon.stop();
}
