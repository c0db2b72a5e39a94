//! The promise: a token leaves its file only when it is replaced or its entry is gone from the config.
//! Then what renewd wrote, and nothing else, is removed: 2 s later, or at the next start where the daemon was down.
//! `once NAME` removes nothing, stopping the daemon neither.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use support::{Sandbox, eventually, token, until};

const SOON: Duration = Duration::from_secs(15);

fn gone(sandbox: &Sandbox, name: &str) {
    eventually(SOON, &format!("{name} is removed"), || (!sandbox.out(name).exists()).then_some(()));
}

#[test]
fn a_removed_entry_takes_its_files_with_it_after_two_seconds() {
    let sandbox = Sandbox::new();
    let b = token("b").plain("b.token").env("e", "B");
    let a = token("a").plain("a1").plain("a2").env("e", "A");
    sandbox.config(format!("{a}{b}"));
    let daemon = sandbox.start();
    let kept = sandbox.read("b.token");
    let began = Instant::now();
    sandbox.put_by_rename("config.toml", sandbox.config_text("", &b));
    for name in ["a1", "a2"] {
        gone(&sandbox, name);
        assert!(began.elapsed() >= Duration::from_secs(2), "after {:?}", began.elapsed());
    }
    until("a's line is gone, b's is there", || sandbox.read("e") == format!("B={kept}\n"));
    assert_eq!(sandbox.read("b.token"), kept);
    assert_eq!(daemon.status()["tokens"].as_array().map(Vec::len), Some(1));
    daemon.stop();
}

#[test]
fn an_entry_that_is_back_within_two_seconds_keeps_its_file() {
    let sandbox = Sandbox::new();
    let (a, b, fence) = (token("a"), token("b"), token("fence"));
    sandbox.config(format!("{a}{b}{fence}"));
    let daemon = sandbox.start();
    let kept = sandbox.read("b.token");
    daemon.reloaded_by(|| {
        sandbox.config(&a);
    });
    daemon.reloaded_by(|| {
        sandbox.config(format!("{a}{b}"));
    });
    // The fence left in the same reload: once its file is gone, b's would be too.
    gone(&sandbox, "fence.token");
    assert_eq!(sandbox.read("b.token"), kept, "obtained again");
    assert_eq!(daemon.token("b")["state"], "valid");
    daemon.stop();
    assert_eq!(sandbox.read("b.token"), kept);
}

#[test]
fn a_removed_output_goes_and_its_token_stays() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a").plain("one").plain("two"));
    let daemon = sandbox.start();
    let text = sandbox.read("one");
    sandbox.config(token("a").plain("two"));
    gone(&sandbox, "one");
    assert_eq!(sandbox.read("two"), text);
    sandbox.config(token("a").plain("three"));
    gone(&sandbox, "two");
    assert_eq!(sandbox.read("three"), text, "a moved output is no reason to obtain");
    daemon.stop();
}

#[test]
fn entries_that_left_while_it_was_down_are_cleaned_up_at_the_next_start() {
    let sandbox = Sandbox::new();
    let b = token("b").plain("b.token").env("e", "B");
    sandbox.config(format!("{}{b}", token("a").plain("a.token").env("e", "A")));
    sandbox.start().stop();
    let kept = sandbox.read("b.token");
    sandbox.config(&b);
    sandbox.ours(&["once", "b"]).expect(0);
    assert!(sandbox.out("a.token").exists(), "`once NAME` removed a file");
    let daemon = sandbox.start();
    gone(&sandbox, "a.token");
    until("the line is gone", || sandbox.read("e") == format!("B={kept}\n"));
    daemon.stop();
}

#[test]
fn what_somebody_else_changed_stays() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}{}", token("a"), token("fence"), token("b")));
    let daemon = sandbox.start();
    // Both at one moment for the daemon: a look in between would write the file again while its entry is there still.
    daemon.send(Signal::STOP);
    sandbox.put("out/a.token", "a note of mine");
    sandbox.config(token("b"));
    daemon.send(Signal::CONT);
    gone(&sandbox, "fence.token");
    assert_eq!(sandbox.read("a.token"), "a note of mine");
    daemon.stop();

    // The same where it happened while the daemon was down.
    sandbox.config(format!("{}{}{}", token("c"), token("fence"), token("b")));
    sandbox.start().stop();
    sandbox.put("out/c.token", "another note");
    sandbox.config(token("b"));
    let daemon = sandbox.start();
    gone(&sandbox, "fence.token");
    assert_eq!(sandbox.read("c.token"), "another note");
    assert_eq!(sandbox.read("a.token"), "a note of mine");
    daemon.stop();
}

/// A file that the entry had before somebody made it a link, a folder or his own is not ours either.
#[test]
fn nothing_is_removed_through_a_link() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}{}", token("a"), token("fence"), token("b")));
    let daemon = sandbox.start();
    let text = sandbox.read("a.token");
    sandbox.put("elsewhere", &text);
    sandbox.link_in_place(sandbox.path("elsewhere"), "a.token");
    sandbox.config(token("b"));
    gone(&sandbox, "fence.token");
    assert!(sandbox.path("elsewhere").exists());
    assert!(fs::symlink_metadata(sandbox.out("a.token")).is_ok(), "the link is somebody else's");
    daemon.stop();
}

#[test]
fn a_path_that_moves_to_another_token_is_never_removed() {
    let sandbox = Sandbox::new();
    let body = |owner: &str, other: &str| format!("{}{}", token(owner).plain("shared"), token(other).plain("other"));
    sandbox.config(format!("{}{}", body("a", "b"), token("fence")));
    let daemon = sandbox.start();
    daemon.reloaded_by(|| {
        sandbox.config(body("b", "a"));
    });
    let owner = |file: &str| {
        let jwt = support::Jwt::parse(&sandbox.read(file)).expect("a token");
        jwt.claims["iss"].as_str().unwrap_or_default().to_owned()
    };
    until("swapped", || owner("shared") == "key-b" && owner("other") == "key-a");
    gone(&sandbox, "fence.token");
    assert_eq!((owner("shared"), owner("other")), ("key-b".into(), "key-a".into()));
    daemon.stop();
}

#[test]
fn a_config_that_is_gone_or_broken_removes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b").line("lifetime = \"2s\"")));
    let daemon = sandbox.start();
    let a = sandbox.read("a.token");
    fs::remove_file(sandbox.path("config.toml")).expect("rm");
    until("it is told", || !daemon.config_error().is_empty());
    // The fence: b is rotated until more than 2 s have passed.
    let first = sandbox.jwt("b").number("iat");
    until("b goes on", || sandbox.try_jwt("b").is_some_and(|b| b.number("iat") > first + 3));
    assert_eq!(sandbox.read("a.token"), a);
    daemon.stop();
    sandbox.ours(&["once"]).expect(78);
    assert_eq!(sandbox.read("a.token"), a);
}

/// However many writes fail before the entry goes, what stands in the file was written by renewd and goes with it.
#[test]
fn what_stands_after_failed_writes_is_removed_too() {
    let sandbox = Sandbox::new();
    let b = token("b").plain("../home/b.token");
    sandbox.config(format!("{}{b}", token("a")));
    let daemon = sandbox.start();
    let kept = sandbox.read("a.token");
    let widen = |mode| fs::set_permissions(sandbox.path("out"), fs::Permissions::from_mode(mode)).expect("chmod");
    widen(0o777);
    for _ in 0..12 {
        assert!(!sandbox.rotate(&["a"]), "written into a folder that anybody may write");
    }
    assert_eq!(sandbox.read("a.token"), kept);
    widen(0o755);
    sandbox.config(&b);
    gone(&sandbox, "a.token");
    daemon.stop();
}
