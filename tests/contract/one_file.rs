//! The promise: renewd never writes to a path that two tokens claim, whatever ways lead to it: folders and files are told by
//! device and inode, also when two come to be one after the start.

use std::fs;
use std::time::Duration;

use support::{Mounts, Sandbox, TokenText, eventually, token, until};

fn twice(second: TokenText) -> String {
    format!("{}{second}", token("one").plain("one/api"))
}

#[test]
fn a_folder_that_is_mounted_twice_is_one_folder() {
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new("a_folder_that_is_mounted_twice_is_one_folder", &sandbox) else { return };
    let (one, two) = (sandbox.mkdir("out/one"), sandbox.mkdir("out/two"));
    sandbox.mkdir("out/one/deep");
    mounts.bind(&one, &two);
    let check = |text: String| {
        sandbox.config(text);
        let mut command = sandbox.command(&mounts.enter());
        command.args(["check", "-c"]).arg(sandbox.path("config.toml"));
        sandbox.finish(command, "")
    };
    let ran = check(twice(token("two").plain("two/api"))).expect(78);
    assert!(ran.stderr.contains("two outputs write") && ran.stderr.contains("mounted in two places"), "{ran:#?}");
    let ran = check(format!("{}{}", token("one").plain("one/deep/api"), token("two").plain("two/deep/api"))).expect(78);
    assert!(ran.stderr.contains("two outputs write"), "{ran:#?}");
    // Another name there is another file, and lines of one env file are one file too.
    check(twice(token("two").plain("two/other"))).expect(0);
    check(format!("{}{}", token("one").env("one/jobs.env", "ONE"), token("two").env("two/jobs.env", "TWO"))).expect(0);
    let ran =
        check(format!("{}{}", token("one").env("one/jobs.env", "A"), token("two").env("two/jobs.env", "A"))).expect(78);
    assert!(ran.stderr.contains("stands twice"), "{ran:#?}");
}

#[test]
fn an_env_file_through_two_mounts_holds_both_lines() {
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new("an_env_file_through_two_mounts_holds_both_lines", &sandbox) else { return };
    let (one, two) = (sandbox.mkdir("out/one"), sandbox.mkdir("out/two"));
    mounts.bind(&one, &two);
    sandbox.config(format!("{}{}", token("one").env("one/jobs.env", "ONE"), token("two").env("two/jobs.env", "TWO")));
    let daemon = sandbox.daemon().under(&mounts.enter()).ready();
    let text = sandbox.read("one/jobs.env");
    assert!(text.lines().count() == 2 && text.contains("ONE=") && text.contains("TWO="), "{text}");
    daemon.stop();
}

#[test]
fn two_files_that_come_to_be_one_are_not_written_over_each_other() {
    let sandbox = Sandbox::new();
    let test = "two_files_that_come_to_be_one_are_not_written_over_each_other";
    let Some(mounts) = Mounts::new(test, &sandbox) else { return };
    let (one, two) = (sandbox.mkdir("out/one"), sandbox.mkdir("out/two"));
    sandbox.config(format!(
        "[defaults]\nretry = {{ initial = \"100ms\", max = \"300ms\" }}\n{}",
        twice(token("two").plain("two/api"))
    ));
    let daemon = sandbox.daemon().under(&mounts.enter()).ready();
    let ours = sandbox.read("one/api");
    assert_ne!(sandbox.read("two/api"), ours);
    mounts.bind(&one, &two);
    let told = |name: &str, other: &str| {
        assert!(!sandbox.rotate(&[name]), "{name} was delivered");
        let row = daemon.token(name);
        let error = row["last_error"].as_str().unwrap_or_default();
        assert!(error.contains("same file") && error.contains(other), "{row:#}");
        assert_eq!(row["reason"], "delivery", "{row:#}");
    };
    told("two", "one/api");
    assert_eq!(sandbox.read("one/api"), ours, "the other token's file was written over");
    told("one", "two/api");
    assert_eq!(sandbox.read("one/api"), ours);
    // Apart again, both are delivered.
    mounts.unmount(&two);
    for name in ["one", "two"] {
        eventually(Duration::from_secs(10), name, || daemon.token(name)["last_error"].is_null().then_some(()));
    }
    assert_ne!(sandbox.read("one/api"), ours);
    daemon.stop();
}

/// A link in the way that is swapped later makes two folders one as well.
#[test]
fn two_files_that_a_link_makes_one_are_not_written_over_each_other() {
    let sandbox = Sandbox::new();
    let (one, two) = (sandbox.mkdir("out/one"), sandbox.mkdir("out/two"));
    sandbox.link_in_place(&two, "link");
    sandbox.config(twice(token("two").plain("link/api")));
    let daemon = sandbox.start();
    let ours = sandbox.read("one/api");
    sandbox.link_in_place(&one, "link");
    // The swap is not one of a file that is watched, so that no reload tells of it first.
    assert!(!sandbox.rotate(&["two"]));
    until("it is told", || daemon.token("two")["last_error"].to_string().contains("same file"));
    assert_eq!(sandbox.read("one/api"), ours);
    daemon.stop();
}

/// A hard link is another name, not another way to the name: each delivery makes a new file.
#[test]
fn hard_links_are_two_files() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("one"), token("two")));
    sandbox.put("out/one.token", "old");
    fs::hard_link(sandbox.out("one.token"), sandbox.out("two.token")).expect("ln");
    sandbox.ours(&["check"]).expect(0);
    let daemon = sandbox.start();
    assert_ne!(sandbox.jwt("one").claims["iss"], sandbox.jwt("two").claims["iss"]);
    assert!(sandbox.rotate(&["one", "two"]));
    daemon.stop();
}
