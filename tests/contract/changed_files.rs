//! The promise: a file that somebody else removed or changed is noticed within 40 s, and by `status`, `wait` and `rotate`
//! at once; it is delivered again and said once. Two that fight for a file are told, and a folder that hangs keeps nobody
//! from an answer. What the engine decides of it: `sim`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use crate::strace::injecting;
use support::{Sandbox, eventually, has_strace, token, until};

/// Ways in which somebody else may leave a file, each with the word that the log has for it.
type Deed = (&'static str, fn(&Path), &'static str);

const DEEDS: [Deed; 5] = [
    ("removed", |path| fs::remove_file(path).expect("rm"), "removed"),
    ("overwritten", |path| fs::write(path, "not ours").expect("write"), "changed"),
    (
        "replaced",
        |path| {
            let beside = path.with_extension("beside");
            fs::write(&beside, "not ours").expect("write");
            fs::rename(beside, path).expect("mv");
        },
        "changed",
    ),
    (
        "opened for all",
        |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("chmod");
        },
        "changed",
    ),
    ("linked", |path| fs::hard_link(path, path.with_extension("link")).expect("ln"), "changed"),
];

#[test]
fn wait_status_and_rotate_judge_by_what_a_reader_would_find() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    let daemon = sandbox.start();
    let made = sandbox.read("a.token");
    let file = sandbox.out("a.token");
    // Not more of them: that would be a fight.
    for (number, (what, deed, word)) in DEEDS[..2].iter().enumerate() {
        deed(&file);
        let asked = if number % 2 == 0 { &["wait", "a", "--timeout", "20s"][..] } else { &["status", "a"] };
        let ran = sandbox.ours(asked);
        if number % 2 == 0 {
            assert_eq!(ran.code, Some(0), "{what}: {ran:?}");
            assert_eq!(sandbox.read("a.token"), made, "{what}");
        }
        until(what, || {
            let is_ours = |meta: fs::Metadata| meta.mode() & 0o7777 == 0o600 && meta.nlink() == 1;
            sandbox.read("a.token") == made && fs::metadata(&file).is_ok_and(is_ours)
        });
        let said = || daemon.log().lines().filter(|line| line.contains("written again")).count();
        until("it is said", || said() == number + 1);
        assert!(
            daemon.log().lines().rfind(|line| line.contains("written again")).is_some_and(|line| line.contains(word))
        );
        assert!(daemon.log().contains("a.token was"), "the file is named");
    }
    assert_eq!(daemon.log().matches("token a is renewed").count(), 1, "it is the same token");
    // One that was only touched is as it was: nothing is written or said.
    let before = fs::metadata(&file).expect("stat").ino();
    fs::File::options()
        .append(true)
        .open(&file)
        .expect("open")
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .expect("touch");
    sandbox.ours(&["wait", "a"]).expect(0);
    assert_eq!(fs::metadata(&file).expect("stat").ino(), before);
    assert_eq!(daemon.log().matches("written again").count(), 2);
    // The others are asked for nothing.
    fs::remove_file(sandbox.out("b.token")).expect("rm");
    sandbox.ours(&["rotate", "--force", "b"]).expect(0);
    sandbox.jwt("b");
    daemon.stop();
}

#[test]
fn modes_and_links_of_somebody_else_are_noticed() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let (made, file) = (sandbox.read("a.token"), sandbox.out("a.token"));
    for (what, deed, _) in &DEEDS[2..] {
        deed(&file);
        // A look that a busy machine holds up for too long is not waited for: then the next one finds it.
        until(&format!("{what}: it is as it was"), || {
            sandbox.ours(&["wait", "a", "--timeout", "20s"]).expect(0);
            fs::metadata(&file).is_ok_and(|meta| (meta.mode() & 0o7777, meta.nlink()) == (0o600, 1))
        });
        assert_eq!(sandbox.read("a.token"), made, "{what}");
    }
    daemon.stop();
}

/// Nobody asks: the daemon's own look finds it.
#[test]
fn a_removed_output_is_there_again_within_40_s() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("out/sub");
    sandbox.config(format!("{}{}", token("a").plain("a.token").plain("sub/a"), token("shared").env("jobs.env", "S")));
    let daemon = sandbox.start();
    let before = (sandbox.read("sub/a"), sandbox.read("jobs.env"));
    fs::remove_dir_all(sandbox.out("sub")).expect("rm -r");
    sandbox.mkdir("out/sub");
    sandbox.put("out/jobs.env", "S=somebody-else's\n");
    eventually(Duration::from_secs(40), "both are there again", || {
        let now = (fs::read_to_string(sandbox.out("sub/a")).ok()?, fs::read_to_string(sandbox.out("jobs.env")).ok()?);
        (now == before).then_some(())
    });
    daemon.stop();
}

/// Another program writes the same file whenever it changes.
#[test]
fn two_that_write_one_file_are_told_and_not_fed() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let file = sandbox.out("a.token");
    let mut inodes = vec![fs::metadata(&file).expect("stat").ino()];
    until("it is told", || {
        sandbox.put_by_rename("out/a.token", "mine");
        let theirs = fs::metadata(&file).map(|meta| meta.ino()).expect("stat");
        let row = daemon.token("a");
        let told = row["reason"] == "delivery" && row["last_error"].to_string().contains("somebody else");
        if !told {
            // Written again, or told: one of the two.
            until("an answer", || {
                daemon.token("a")["reason"] == "delivery" || fs::metadata(&file).is_ok_and(|meta| meta.ino() != theirs)
            });
            inodes.push(fs::metadata(&file).map(|meta| meta.ino()).expect("stat"));
        }
        told
    });
    assert!(inodes.len() <= 6, "written {} times", inodes.len());
    sandbox.ours(&["status", "a"]).expect(1);
    for _ in 0..20 {
        sandbox.ours(&["status"]).expect(1);
    }
    assert_eq!(sandbox.read("a.token"), "mine", "not written again for each who asks");
    assert_eq!(daemon.log().matches("somebody else changes or removes it").count(), 1, "{}", daemon.log());
    // The other one is gone: who asks for a rotation has it.
    assert!(sandbox.rotate(&["a"]));
    sandbox.jwt("a");
    daemon.stop();
}

/// A file that was changed by somebody else stays when its entry leaves, also where that was not noticed yet.
#[test]
fn what_somebody_else_put_there_stays_when_the_entry_leaves() {
    // Where a look comes between the two changes, the file is written again and goes with its entry: once more, then.
    assert!((0..20).any(|_| left_what_somebody_else_put_there()), "a look came between each time");
}

/// `false` where the change was noticed before the entry left.
fn left_what_somebody_else_put_there() -> bool {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    let daemon = sandbox.start();
    daemon.reloaded_by(|| {
        sandbox.put("out/a.token", "somebody else's");
        sandbox.config(token("b"));
    });
    let is_said = |words: &str| daemon.log().contains(words);
    until("it is said, or written again", || {
        is_said("changed by somebody else and stays") || is_said("somebody else, written again")
    });
    let stayed = !is_said("written again");
    if stayed {
        assert_eq!(sandbox.read("a.token"), "somebody else's");
    }
    daemon.stop();
    stayed
}

/// Each call that looks at a file of that folder takes 1.5 s, so that a look takes 3: what a dead NFS server does for good.
#[test]
fn a_folder_that_hangs_keeps_nobody_from_an_answer() {
    if !has_strace("a_folder_that_hangs_keeps_nobody_from_an_answer") {
        return;
    }
    let sandbox = Sandbox::new();
    let slow = sandbox.mkdir("out/slow");
    sandbox.config(format!("{}{}", token("a").plain("slow/a"), token("b")));
    let hold = injecting("newfstatat:delay_enter=1500ms", &[&slow]);
    let daemon = sandbox.daemon().under(&hold).ready();
    fs::remove_file(sandbox.out("b.token")).expect("rm");
    let ran = sandbox.ours(&["status", "--json"]);
    assert!(ran.took < Duration::from_millis(2800), "{:?}", ran.took);
    // It is told that it was not looked at; the other folder was.
    let status: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let problem = status["tokens"][0]["outputs"][0]["problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem.contains("could not be looked at"), "{status:#}");
    until("b is there again", || sandbox.out("b.token").exists());
    sandbox.ours(&["wait", "b", "--timeout", "5s"]).expect(0);
    daemon.kill9();
}
