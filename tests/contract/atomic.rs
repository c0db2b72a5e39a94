//! The promise: who opens an output at any moment reads one whole token, the old or the new.
//! Never empty, torn, missing, or of the wrong mode or owner; each rotation makes a new file.
//! A symlink is neither followed nor replaced, and a failed write leaves what stood there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use support::{Jwt, Readers, SECRET, Sandbox, is_root, long, token, until};

const PAUSE: Duration = Duration::from_micros(200);

fn signed(text: &str) -> Result<Jwt, String> {
    Jwt::signed_with(text, SECRET.as_bytes())
}

fn mode_is(meta: &fs::Metadata, want: u32) -> Result<(), String> {
    let mode = meta.permissions().mode() & 0o7777;
    (mode == want).then_some(()).ok_or(format!("mode {mode:04o}"))
}

/// `NAME=token` lines, in this order and no others.
fn env_lines(text: &str, names: &[&str]) -> Result<(), String> {
    let body = text.strip_suffix('\n').ok_or("no newline at the end")?;
    let lines: Vec<&str> = body.split('\n').collect();
    if lines.len() != names.len() {
        return Err(format!("{} lines", lines.len()));
    }
    for (line, name) in lines.iter().zip(names) {
        let (left, value) = line.split_once('=').ok_or("a line without =")?;
        if left != *name {
            return Err(format!("{left} in the place of {name}"));
        }
        signed(value)?;
    }
    Ok(())
}

#[test]
fn readers_see_whole_files_through_2000_rotations() {
    let sandbox = Sandbox::in_memory();
    sandbox.put("tpl", "begin {{ token }} end\n");
    let names = ["a", "b", "c", "d"];
    let given_away = is_root("owner of hammered files");
    let mode = "mode = \"0640\"";
    let owner = if given_away { "owner = \"65534\"" } else { "" };
    let texts = [
        token("a").output(&format!("format = \"token\"\npath = \"out/a.token\"\n{mode}\n{owner}")).env("e", "A"),
        token("b").plain("b.token").env("e", "B"),
        token("c").plain("c.token").output("format = \"json\"\npath = \"out/j\"\nmode = \"0444\"").env("e", "C"),
        token("d").plain("d.token").output("format = \"template\"\ntemplate = \"tpl\"\npath = \"out/x\""),
    ];
    sandbox.config(texts.map(|t| t.to_string()).concat());
    let mut daemon = sandbox.start();

    let mut readers = Readers::new();
    readers.watch(sandbox.out("a.token"), PAUSE, move |seen| {
        mode_is(seen.meta, 0o640)?;
        if given_away && seen.meta.uid() != 65534 {
            return Err(format!("owner {}", seen.meta.uid()));
        }
        signed(seen.text).map(drop)
    });
    readers.watch(sandbox.out("e"), PAUSE, |seen| {
        mode_is(seen.meta, 0o600)?;
        env_lines(seen.text, &["A", "B", "C"])
    });
    readers.watch(sandbox.out("j"), PAUSE, |seen| {
        mode_is(seen.meta, 0o444)?;
        let json: Value = serde_json::from_str(seen.text).map_err(|e| e.to_string())?;
        signed(json["token"].as_str().unwrap_or_default()).map(drop)
    });
    readers.watch(sandbox.out("x"), PAUSE, |seen| {
        let inner = seen.text.strip_prefix("begin ");
        let inner = inner.and_then(|t| t.strip_suffix(" end\n"));
        signed(inner.ok_or("cut off")?).map(drop)
    });

    let rounds = if long() { 5000 } else { 500 };
    let mut all = HashSet::new();
    for round in 0..rounds {
        assert!(sandbox.rotate(&names), "round {round}");
        for name in names {
            let text = sandbox.read(&format!("{name}.token"));
            assert!(all.insert(text), "{name} was not new in round {round}");
        }
    }
    let report = readers.stop().content();
    println!("{} rotations, {} reads, {} contents", all.len(), report.reads, report.distinct);
    assert!(report.distinct > 100, "readers saw {} contents", report.distinct);
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
    assert!(daemon.alive());
}

/// Whoever lists the folder while files come: names that begin with a dot, never wider than the file's mode, and no
/// byte of a token in one that has not got its mode yet.
#[test]
fn temporary_files_are_hidden_and_narrow() {
    let sandbox = Sandbox::in_memory();
    sandbox.config(token("a").output("format = \"token\"\npath = \"out/a.token\"\nmode = \"0644\""));
    let _daemon = sandbox.daemon().under(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""]).ready();
    let folder = sandbox.path("out");
    let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for entry in fs::read_dir(&folder).expect("the folder").flatten() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    if name == "a.token" {
                        continue;
                    }
                    assert!(name.starts_with('.'), "{name} stands in the folder");
                    let Ok(mut file) = File::open(entry.path()) else {
                        continue;
                    };
                    seen.fetch_add(1, Ordering::Relaxed);
                    // The bytes first, then the mode: a mode that is set in between cannot be taken for a fault.
                    let mut text = String::new();
                    file.read_to_string(&mut text).expect("read");
                    let mode = file.metadata().expect("stat").permissions().mode() & 0o7777;
                    assert!(mode == 0o600 || mode == 0o644, "{name}: {mode:04o}");
                    assert!(text.is_empty() || mode == 0o644, "{name}: a secret in {mode:04o}");
                }
            }
        });
        for _ in 0..500 {
            assert!(sandbox.rotate(&["a"]));
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} temporary files looked into", seen.into_inner());
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn the_mode_is_the_configured_one_under_any_umask() {
    for umask in ["0", "022", "077"] {
        let sandbox = Sandbox::new();
        sandbox.config(token("a").output("format = \"token\"\npath = \"out/t\"\nmode = \"0640\""));
        let shell = format!("umask {umask}; exec \"$0\" \"$@\"");
        let mut command = sandbox.command(&["sh", "-c", &shell]);
        command.args(["once", "-c"]).arg(sandbox.path("config.toml"));
        sandbox.finish(command, "").expect(0);
        let meta = fs::metadata(sandbox.out("t")).expect("the output");
        assert_eq!(meta.permissions().mode() & 0o7777, 0o640, "umask {umask}");
    }
}

#[test]
fn each_rotation_is_a_new_file_and_the_old_one_stays_whole_for_who_holds_it() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let _daemon = sandbox.start();
    let old = sandbox.read("a.token");
    let mut held = File::open(sandbox.out("a.token")).expect("the output");
    fs::hard_link(sandbox.out("a.token"), sandbox.path("link")).expect("a hard link");
    assert!(sandbox.rotate(&["a"]));
    let mut text = String::new();
    held.read_to_string(&mut text).expect("read");
    assert_eq!(text, old, "the open file changed");
    let linked = fs::read_to_string(sandbox.path("link")).expect("the link");
    assert_eq!(linked, old, "the linked file changed");
    assert_ne!(sandbox.jwt("a").text, old);
}

#[test]
fn a_symlink_in_an_outputs_place_is_neither_followed_nor_replaced() {
    let sandbox = Sandbox::new();
    sandbox.put("victim", "keep");
    let retry = "retry = { initial = \"100ms\", max = \"300ms\" }";
    sandbox.config(format!("{}{}", token("a").line(retry), token("b")));
    let mut daemon = sandbox.start();
    sandbox.link_in_place(sandbox.path("victim"), "a.token");

    assert!(!sandbox.rotate(&["a"]), "a delivery through a symlink");
    until("a is retrying", || daemon.token("a")["state"] == "retrying");
    let failed = daemon.token("a");
    assert!(failed["failures"].as_u64() > Some(0), "{failed}");
    let error = failed["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("a.token"), "{failed}");
    assert!(sandbox.rotate(&["b"]), "one failure held up another");
    let link = fs::read_link(sandbox.out("a.token")).expect("still a link");
    assert_eq!(link, sandbox.path("victim"));
    let victim = fs::read_to_string(sandbox.path("victim")).expect("the victim");
    assert_eq!(victim, "keep");

    // The write is tried again, the token is not obtained again.
    let sha = daemon.token("a")["sha256"].clone();
    fs::remove_file(sandbox.out("a.token")).expect("rm");
    until("a heals by itself", || daemon.token("a")["state"] == "valid");
    assert_eq!(daemon.token("a")["sha256"], sha, "obtained again");
    sandbox.jwt("a");
    assert!(daemon.alive());
}

#[test]
fn of_several_outputs_the_good_ones_are_delivered() {
    let sandbox = Sandbox::new();
    let retry = "retry = { initial = \"100ms\", max = \"300ms\" }";
    sandbox.mkdir("other");
    let other = "format = \"token\"\npath = \"other/t\"";
    sandbox.config(token("a").line(retry).plain("a.token").output(other));
    let daemon = sandbox.start();
    let old = sandbox.jwt("a").text;
    fs::remove_dir_all(sandbox.path("other")).expect("rm -r");

    assert!(!sandbox.rotate(&["a"]), "rotated though an output could not be written");
    let new = sandbox.jwt("a").text;
    assert_ne!(new, old, "the good output waited for the bad one");
    assert_eq!(daemon.token("a")["state"], "retrying");
    assert_eq!(daemon.token("a")["reason"], "delivery");
    sandbox.mkdir("other");
    until("the other output", || fs::read_to_string(sandbox.path("other/t")).is_ok_and(|t| t == new));
    until("valid again", || daemon.token("a")["state"] == "valid");
    assert!(daemon.token("a")["last_error"].is_null());
}
