//! The promise: a change of what the config reads is seen whatever is mounted on the way to it, a reload walks there anew, and a
//! place that hangs, or a watch that is refused, keeps no other file from being watched. Links, renames and moved folders:
//! `tests/watch.rs`; what a look finds each minute is shown there too.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::strace::{Tracer, injecting};
use support::{Mounts, SECRET, Sandbox, eventually, has_a_minute, has_strace, long, token, until};

/// Seen at once, and not by the look of each minute.
const AT_ONCE: Duration = Duration::from_secs(20);

fn seen(what: &str, mut check: impl FnMut() -> bool) {
    eventually(AT_ONCE, what, || check().then_some(()));
}

/// A secret of 32 bytes that is not the others.
fn secret(number: usize) -> String {
    format!("{number:032}")
}

fn is_signed_with(sandbox: &Sandbox, secret: &str) -> bool {
    let text = fs::read_to_string(sandbox.out("a.token")).unwrap_or_default();
    support::Jwt::signed_with(&text, secret.as_bytes()).is_ok()
}

/// Writes a file below a mount, where only the namespace sees it.
fn write(mounts: &Mounts, path: &Path, text: &str) {
    let script = "umask 077; printf %s \"$1\" >\"$2\"";
    mounts.run(&["sh", "-c", script, "sh", text, path.to_str().expect("UTF-8")]);
}

#[test]
fn a_secret_below_a_mount_that_comes_and_is_renewed() {
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new("a_secret_below_a_mount_that_comes_and_is_renewed", &sandbox) else { return };
    let volume = sandbox.mkdir("volume");
    sandbox.put("volume/s", secret(0));
    sandbox.config(token("a").secret("secret.file = \"volume/s\""));
    let daemon = sandbox.daemon().under(&mounts.enter()).ready();
    for round in 1..=2 {
        if round > 1 {
            mounts.unmount(&volume);
        }
        mounts.tmpfs(&volume);
        let (first, second) = (secret(round * 10), secret(round * 10 + 1));
        write(&mounts, &volume.join("s"), &first);
        sandbox.ours(&["reload"]).expect(0);
        seen("the mounted secret", || is_signed_with(&sandbox, &first));
        write(&mounts, &volume.join("s"), &second);
        seen("the change below the mount", || is_signed_with(&sandbox, &second));
    }
    daemon.stop();
}

/// As docker and compose mount configs and secrets: the folder it is mounted in is told of nothing.
#[test]
fn files_that_are_mounted_by_themselves() {
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new("files_that_are_mounted_by_themselves", &sandbox) else { return };
    let other = sandbox.mkdir("other");
    sandbox.mkdir("config.d");
    let text = |aud: &str| {
        let a = token("a").line(&format!("claims = {{ aud = \"{aud}\" }}")).plain("a.token");
        let a = a.output("format = \"template\"\ntemplate = \"letter\"\npath = \"out/letter\"");
        format!("include = [\"config.d/*.toml\"]\n{}", sandbox.config_text("", a))
    };
    let included = |aud: &str| {
        let b = token("b").secret("secret.file = \"../secret\"").line(&format!("claims = {{ aud = \"{aud}\" }}"));
        b.output("format = \"token\"\npath = \"../out/b.token\"").to_string()
    };
    let names = ["config.toml", "letter", "secret", "config.d/b.toml"];
    let there = |name: &str| other.join(name.replace('/', "_"));
    let old = [text("old"), "old\n".into(), SECRET.into(), included("old")];
    let new = [text("new"), "new\n".into(), secret(1), included("new")];
    for (name, old) in names.iter().zip(&old) {
        sandbox.put(name, "");
        sandbox.put(there(name).strip_prefix(sandbox.dir()).expect("below").to_str().expect("UTF-8"), old);
        mounts.bind(&there(name), &sandbox.path(name));
    }
    // More secrets than are watched one by one.
    for number in 0..40 {
        sandbox.put(&format!("more-{number}"), secret(number));
    }
    let daemon = sandbox.daemon().under(&mounts.enter()).ready();
    let is_new = |name: &str, secret: &str| match name {
        "config.toml" => support::Jwt::signed_with(&sandbox.read("a.token"), secret.as_bytes())
            .is_ok_and(|jwt| jwt.claims["aud"] == "new"),
        "letter" => sandbox.read("letter") == "new\n",
        "secret" => is_signed_with(&sandbox, secret),
        _ => support::Jwt::signed_with(&sandbox.read("b.token"), secret.as_bytes())
            .is_ok_and(|jwt| jwt.claims["aud"] == "new"),
    };
    for (name, new) in names.iter().zip(&new) {
        let secret = if *name == "secret" || *name == "config.d/b.toml" { secret(1) } else { SECRET.to_owned() };
        assert!(!is_new(name, &secret), "{name}");
        fs::write(there(name), new).expect("write");
        seen(name, || is_new(name, &secret));
    }
    // One that is mounted anew is another file: a reload finds it, and from then on it is watched.
    let (first, second) = (self::secret(2), self::secret(3));
    mounts.unmount(&sandbox.path("secret"));
    let renewed = sandbox.put("other/renewed", &first);
    mounts.bind(&renewed, &sandbox.path("secret"));
    daemon.send(rustix::process::Signal::HUP);
    seen("the file that was mounted anew", || is_signed_with(&sandbox, &first));
    fs::write(&renewed, &second).expect("write");
    seen("its change", || is_signed_with(&sandbox, &second));
    daemon.stop();
}

/// With no reload and no event: within a minute.
#[test]
fn a_mount_that_nobody_tells_of_is_found_within_a_minute() {
    let test = "a_mount_that_nobody_tells_of_is_found_within_a_minute";
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new(test, &sandbox) else { return };
    if !has_a_minute(test) {
        return;
    }
    let volume = sandbox.mkdir("volume");
    sandbox.put("volume/s", secret(0));
    sandbox.config(token("a").secret("secret.file = \"volume/s\""));
    let daemon = sandbox.daemon().under(&mounts.enter()).ready();
    mounts.tmpfs(&volume);
    write(&mounts, &volume.join("s"), &secret(1));
    eventually(Duration::from_secs(75), "the mount", || is_signed_with(&sandbox, &secret(1)).then_some(()));
    write(&mounts, &volume.join("s"), &secret(2));
    seen("a change below it", || is_signed_with(&sandbox, &secret(2)));
    mounts.unmount(&volume);
    eventually(Duration::from_secs(75), "the end of the mount", || is_signed_with(&sandbox, &secret(0)).then_some(()));
    daemon.stop();
}

#[test]
fn includes_in_wild_folders_and_in_folders_with_a_bracket() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("etc [x]/config.d/a");
    sandbox.mkdir("etc [x]/more[1].d");
    let one = |name: &str| {
        let (secret, out) = (sandbox.path("secret"), sandbox.out(&format!("{name}.token")));
        let output = format!("format = \"token\"\npath = {out:?}");
        token(name).secret(&format!("secret.file = {secret:?}")).output(&output).to_string()
    };
    let text = "include = [\"config.d/*/token.toml\", \"more[[]1].d/*.toml\", \"one[[]2].toml\"]\n";
    sandbox.put("etc [x]/config.toml", format!("{text}{}", sandbox.config_text("", one("z"))));
    let daemon = sandbox.daemon().config("etc [x]/config.toml").ready();
    let places = [
        ("a", "config.d/a/token.toml"),
        ("b", "config.d/b/token.toml"),
        ("c", "more[1].d/c.toml"),
        ("d", "one[2].toml"),
    ];
    for (name, place) in places {
        if name == "b" {
            sandbox.mkdir("etc [x]/config.d/b");
        }
        let place = format!("etc [x]/{place}");
        sandbox.put(&place, one(name));
        seen(place.as_str(), || sandbox.try_jwt(name).is_some());
        sandbox.put(&place, one(name).replace("key-", "new-"));
        let key = format!("new-{name}");
        seen("an edit of it", || sandbox.try_jwt(name).is_some_and(|jwt| jwt.claims["iss"] == key.as_str()));
        fs::remove_file(sandbox.path(&place)).expect("rm");
        seen("its end", || !sandbox.out(&format!("{name}.token")).exists());
    }
    daemon.stop();
}

/// What a dead server does for good, each call that names the folder does for 20 s: others rotate, `status` tells, and a change
/// elsewhere is seen.
#[test]
fn a_place_that_hangs_keeps_no_other_from_being_watched() {
    if !has_strace("a_place_that_hangs_keeps_no_other_from_being_watched") {
        return;
    }
    for inject in ["%file:delay_enter=20s", "inotify_add_watch:delay_enter=20s"] {
        let sandbox = Sandbox::new();
        let far = sandbox.mkdir("far");
        sandbox.put("far/s", SECRET);
        sandbox.mkdir("v1");
        let near = token("near").line("lifetime = \"20s\"\nrotate_every = \"1s\"");
        let near = near.secret("secret.file = \"v/secret\"");
        sandbox.put("v1/secret", SECRET);
        std::os::unix::fs::symlink("v1", sandbox.path("v")).expect("ln -s");
        sandbox.config(format!("{}{near}", token("far").secret("secret.file = \"far/s\"")));
        let daemon = sandbox.start();
        let tracer = Tracer::attach(&daemon, inject, &[&far, &far.join("s")]);
        // The way to a watched file leads elsewhere: all ways are walked anew. The far folder is touched so that it is watched anew.
        if inject.starts_with("inotify") {
            fs::rename(&far, sandbox.path("away")).expect("mv");
            fs::rename(sandbox.path("away"), &far).expect("mv");
        } else {
            sandbox.mkdir("v2");
            sandbox.put("v2/secret", secret(1));
            std::os::unix::fs::symlink("v2", sandbox.path("next")).expect("ln -s");
            fs::rename(sandbox.path("next"), sandbox.path("v")).expect("mv");
        }
        until("it is told", || daemon.log().contains("far has not answered since"));
        let began = std::time::Instant::now();
        let status = sandbox.ours(&["status", "--json"]);
        assert!(began.elapsed() < Duration::from_secs(5), "{inject}: {status:?}");
        assert!(status.stdout.contains("has not answered since"), "{inject}: {status:#?}");
        let first = sandbox.read("near.token");
        seen("the other is rotated", || sandbox.read("near.token") != first);
        drop(tracer);
        // A change that was made meanwhile, or is made now, is seen once the place answers.
        sandbox.put("far/s", secret(9));
        let signed = || support::Jwt::signed_with(&sandbox.read("far.token"), secret(9).as_bytes()).is_ok();
        eventually(Duration::from_secs(90), "it answers again", || signed().then_some(()));
        // From then on it is watched as ever, and nothing else is told.
        let again = || sandbox.ours(&["reload"]).code == Some(0) && daemon.config_error().is_empty();
        eventually(Duration::from_secs(90), "the trouble is over", || again().then_some(()));
        sandbox.put("far/s", secret(8));
        let signed = || support::Jwt::signed_with(&sandbox.read("far.token"), secret(8).as_bytes()).is_ok();
        seen("a change there", signed);
        daemon.stop();
    }
}

/// The look of each minute serves meanwhile (`tests/watch.rs`), and `status` tells.
#[test]
fn a_watch_that_is_refused_is_told_with_what_to_do() {
    if !has_strace("a_watch_that_is_refused_is_told_with_what_to_do") {
        return;
    }
    let cases = [
        ("inotify_add_watch:error=ENOSPC", "max_user_watches"),
        ("inotify_init1:error=EMFILE", "max_user_instances"),
        ("inotify_add_watch:error=EACCES", "must be readable"),
    ];
    for (inject, word) in cases {
        let sandbox = Sandbox::new();
        sandbox.config(token("a"));
        let mut daemon = sandbox.daemon().under(&injecting(inject, &[])).spawn();
        daemon.wait_ready();
        until("it is told", || daemon.log().contains(word) && daemon.log().contains("each minute"));
        assert!(daemon.config_error().contains(word), "{}", daemon.config_error());
        sandbox.config(token("a").line("claims = { aud = \"new\" }"));
        sandbox.ours(&["reload"]).expect(0);
        until("a reload takes it all the same", || sandbox.jwt("a").claims["aud"] == "new");
        if long() {
            sandbox.config(token("a").line("claims = { aud = \"newer\" }"));
            eventually(Duration::from_secs(75), "the look", || {
                (sandbox.jwt("a").claims["aud"] == "newer").then_some(())
            });
        }
        daemon.kill9();
    }
}
