//! The promise: what the machine lacks at the start fails the token, output or listener concerned alone; the rest runs.
//! `status`, STATUS= and the log tell; it is looked at again as a retry, and heals by itself.
//! `once` delivers what it can and exits 78; `check` calls each lack an error. Reloads: `reload_refused.rs`.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use support::{Daemon, Jwt, SECRET, Sandbox, TokenText, eventually, token, until};

const RETRY: &str = "[defaults]\nretry = { initial = \"100ms\", max = \"300ms\" }\n";
const HEALED: Duration = Duration::from_secs(10);

/// One token for each lack, with the word that must be told of it.
fn lacking() -> Vec<(&'static str, &'static str, TokenText)> {
    let plain = "format = \"token\"\n";
    vec![
        ("folder", "no-folder", token("folder").plain("no-folder/t")),
        (
            "user",
            "no-such-user",
            token("user").output(&format!("{plain}path = \"out/user.token\"\nowner = \"no-such-user\"")),
        ),
        (
            "group",
            "no-such-group",
            token("group").output(&format!("{plain}path = \"out/group.token\"\ngroup = \"no-such-group\"")),
        ),
        ("secret", "no-secret", token("secret").secret("secret.file = \"no-secret\"")),
        ("key", "no-key", token("key").algorithm("ES256").secret("private_key.file = \"no-key\"")),
        (
            "template",
            "no-template",
            token("template")
                .output("format = \"template\"\ntemplate = \"no-template\"\npath = \"out/template.token\""),
        ),
        ("link", "a-link", token("link").plain("a-link")),
        ("dir", "a-dir", token("dir").plain("a-dir")),
    ]
}

fn prepare(sandbox: &Sandbox) -> String {
    sandbox.put("victim", "keep");
    symlink(sandbox.path("victim"), sandbox.out("a-link")).expect("ln -s");
    sandbox.mkdir("out/a-dir");
    let texts: String = lacking().iter().map(|(.., text)| text.to_string()).collect();
    format!("{RETRY}{}{texts}{}", token("good"), token("better"))
}

#[test]
fn the_rest_runs_and_all_of_it_is_told() {
    let sandbox = Sandbox::new();
    let body = prepare(&sandbox);
    sandbox.config_with("ready_timeout = \"2s\"", body);
    let mut daemon = sandbox.daemon().spawn();
    // What is lacking holds nobody up: the good ones do not wait for ready_timeout.
    until("the good ones", || ["good", "better"].iter().all(|n| sandbox.try_jwt(n).is_some()));
    daemon.wait_ready();
    let status = daemon.status();
    let error = status["config"]["error"].as_str().unwrap_or_default();
    let log = daemon.log();
    let line = daemon.status_line();
    for (name, word, _) in lacking() {
        let token = daemon.token(name);
        assert_eq!(token["state"], "pending", "{token:#}");
        assert_eq!(token["reason"], "machine", "{token:#}");
        let last = token["last_error"].as_str().unwrap_or_default();
        assert!(last.contains(word), "{name}: last_error {last:?}");
        assert!(log.contains(word), "{name}: not in the log");
        assert!(error.contains(word), "{name}: not in config.error: {error}");
    }
    assert!(!line.is_empty(), "STATUS= tells nothing");
    for name in ["good", "better"] {
        assert_eq!(daemon.token(name)["state"], "valid");
        assert!(daemon.token(name)["last_error"].is_null());
    }
    let victim = fs::read_to_string(sandbox.path("victim")).expect("the victim");
    assert_eq!(victim, "keep");
    assert!(daemon.alive());
    daemon.stop();
}

fn heals(sandbox: &Sandbox, daemon: &Daemon<'_>, name: &str, file: &str) {
    eventually(HEALED, &format!("{name} is delivered"), || {
        let text = fs::read_to_string(sandbox.out(file)).ok()?;
        Jwt::parse(&text).is_ok().then_some(())
    });
    until("valid", || daemon.token(name)["state"] == "valid");
    let token = daemon.token(name);
    assert!(token["last_error"].is_null() && token["reason"].is_null(), "{token:#}");
}

#[test]
fn each_heals_by_itself() {
    let sandbox = Sandbox::new();
    let plain = "format = \"token\"\n";
    let texts = [
        token("folder").plain("no-folder/t"),
        token("secret").secret("secret.file = \"no-secret\""),
        token("template").output("format = \"template\"\ntemplate = \"no-template\"\npath = \"out/x\""),
        token("vain").output("format = \"template\"\ntemplate = \"vain\"\npath = \"out/y\""),
        token("link").plain("a-link"),
        token("dir").plain("a-dir"),
        // One output of two: obtained, delivered where it can be, and retrying.
        token("half").plain("half.token").output(&format!("{plain}path = \"out/half/t\"")),
    ];
    let body: String = texts.iter().map(ToString::to_string).collect();
    sandbox.put("victim", "keep");
    symlink(sandbox.path("victim"), sandbox.out("a-link")).expect("ln -s");
    sandbox.mkdir("out/a-dir");
    sandbox.put("vain", "{{ tokn }}");
    sandbox.config_with("ready_timeout = \"1s\"", format!("{RETRY}{body}"));
    let daemon = sandbox.start();
    let half = sandbox.jwt("half");
    assert_eq!(daemon.token("half")["state"], "retrying");
    assert_eq!(daemon.token("half")["reason"], "machine");

    sandbox.mkdir("out/no-folder");
    heals(&sandbox, &daemon, "folder", "no-folder/t");
    sandbox.put("no-secret", "w".repeat(32));
    heals(&sandbox, &daemon, "secret", "secret.token");
    sandbox.put("no-template", "{{ token }}");
    heals(&sandbox, &daemon, "template", "x");
    sandbox.put("vain", "{{ token }}");
    heals(&sandbox, &daemon, "vain", "y");
    fs::remove_file(sandbox.out("a-link")).expect("rm");
    heals(&sandbox, &daemon, "link", "a-link");
    fs::remove_dir(sandbox.out("a-dir")).expect("rmdir");
    heals(&sandbox, &daemon, "dir", "a-dir");
    sandbox.mkdir("out/half");
    heals(&sandbox, &daemon, "half", "half/t");
    assert_eq!(sandbox.read("half/t"), half.text, "obtained again for its second output");
    assert_eq!(sandbox.jwt("half"), half);
    until("config.error is null", || daemon.config_error().is_empty());
    let victim = fs::read_to_string(sandbox.path("victim")).expect("the victim");
    assert_eq!(victim, "keep");
    daemon.stop();
}

/// A slip of the pen in a template leaves the file as it is, and is told.
#[test]
fn a_template_that_asks_in_vain_is_refused_by_a_reload() {
    let sandbox = Sandbox::new();
    sandbox.put("tpl", "one {{ token }}");
    sandbox.config(token("a").output("format = \"template\"\ntemplate = \"tpl\"\npath = \"out/x\""));
    let daemon = sandbox.start();
    let one = sandbox.read("x");
    for wrong in ["two {{ tokn }}", "two {{ token | uper }}", "two {{ claims.role }}"] {
        sandbox.put("tpl", wrong);
        until("it is told", || daemon.config_error().contains("cannot be filled in: line 1: "));
        sandbox.ours(&["reload"]).expect(78);
        assert_eq!(sandbox.read("x"), one);
        sandbox.put("tpl", "one {{ token }}");
        until("it is mended", || daemon.config_error().is_empty());
    }
    sandbox.put("tpl", "three {{ token }}");
    until("the template", || sandbox.read("x") == one.replace("one", "three"));
    daemon.stop();
}

#[test]
fn check_names_every_lack_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.config(prepare(&sandbox));
    let ran = sandbox.ours(&["check"]).expect(78);
    let text = fs::read_to_string(sandbox.path("config.toml")).expect("the config");
    for (name, word, _) in lacking() {
        assert!(ran.stderr.contains(word), "{name}: {}", ran.stderr);
        let line = text.lines().position(|l| l.contains(word)).expect("its line") + 1;
        let place = format!("config.toml:{line}:");
        assert!(ran.stderr.contains(&place), "{name} at {place}: {}", ran.stderr);
    }
    assert!(ran.stderr.contains('^'), "no caret");
}

#[test]
fn check_calls_a_hook_that_cannot_be_executed_an_error() {
    let sandbox = Sandbox::new();
    sandbox.put("not-executable", "#!/bin/sh\n");
    for command in ["./no-such-hook", "no-such-command-anywhere", "./not-executable"] {
        let command = command.replace("./", &format!("{}/", sandbox.dir().display()));
        let hook = format!("command = [\"{command}\"]");
        sandbox.config(token("a").hook("after_rotate", &hook));
        let ran = sandbox.ours(&["check"]).expect(78);
        assert!(ran.stderr.contains(&command), "{}", ran.stderr);
        // It is no reason to leave the file undelivered.
        let daemon = sandbox.daemon().spawn();
        until("the token is delivered", || sandbox.try_jwt("a").is_some());
        daemon.kill9();
    }
}

#[test]
fn once_delivers_what_it_can_and_exits_78() {
    let sandbox = Sandbox::new();
    sandbox.config(prepare(&sandbox));
    let ran = sandbox.ours(&["once"]).expect(78);
    for (name, word, _) in lacking() {
        assert!(ran.stderr.contains(word), "{name}: {}", ran.stderr);
    }
    for name in ["good", "better"] {
        sandbox.jwt(name);
    }
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
    // A folder that is missing is not created.
    assert!(!sandbox.out("no-folder").exists());
}

/// A place for the control socket that cannot be had is a lack of the listener alone.
#[test]
fn no_control_socket_is_no_reason_to_end() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    let text = |socket: &str| {
        let daemon = format!("[daemon]\nstate_dir = \"{dir}/state\"\ncontrol_socket = \"{dir}/{socket}\"\n");
        format!("{daemon}{}", token("a").line("lifetime = \"2s\""))
    };
    sandbox.put("occupied", "a file of somebody else");
    for socket in ["missing/control.sock", "occupied"] {
        sandbox.put("config.toml", text(socket));
        let mut daemon = sandbox.start();
        sandbox.jwt("a");
        assert!(daemon.alive(), "{socket}");
        until("the log tells", || daemon.log().contains(socket));
        daemon.stop();
        sandbox.ours(&["check"]).expect(78);
    }
    let content = fs::read_to_string(sandbox.path("occupied")).expect("the file");
    assert_eq!(content, "a file of somebody else");
}

/// A folder that anybody may write without the sticky bit is refused, before each delivery.
#[test]
fn a_folder_that_anybody_may_write_gets_no_token() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let open = sandbox.mkdir("out/open");
    let chmod = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).expect("chmod");
    chmod(0o777);
    let body = format!("{RETRY}{}{}", token("a").plain("open/t").line("required = false"), token("b"));
    sandbox.config(body);
    let daemon = sandbox.start();
    until("it is told", || !daemon.token("a")["last_error"].is_null());
    assert!(!sandbox.out("open/t").exists());
    chmod(0o1777);
    until("sticky will do", || sandbox.out("open/t").exists());
    chmod(0o777);
    let text = sandbox.read("open/t");
    assert!(!sandbox.rotate(&["a"]));
    assert_eq!(sandbox.read("open/t"), text);
    daemon.stop();
}

#[test]
fn files_that_others_may_write_are_errors_and_that_others_may_read_are_warnings() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let chmod = |name: &str, mode| {
        fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(mode)).expect("chmod");
    };
    for name in ["config.toml", "secret"] {
        chmod(name, 0o602);
        sandbox.ours(&["check"]).expect(78);
        chmod(name, 0o620);
        let ran = sandbox.ours(&["check"]).expect(0);
        assert!(ran.stderr.contains(name), "no warning: {ran:#?}");
        chmod(name, 0o600);
    }
    chmod("secret", 0o644);
    let ran = sandbox.ours(&["check"]).expect(0);
    assert!(ran.stderr.contains("secret"), "no warning: {ran:#?}");
    chmod("secret", 0o600);
    sandbox.config(token("b").secret(&format!("secret.value = \"{SECRET}\"")));
    chmod("config.toml", 0o664);
    let both = sandbox.ours(&["check"]).expect(0);
    assert_eq!(both.stderr.matches("warning: ").count(), 2, "{both:#?}");
    chmod("config.toml", 0o600);
    let quiet = sandbox.ours(&["check"]).expect(0);
    assert!(!quiet.stderr.contains("warning"), "{quiet:#?}");
}

#[test]
fn check_tells_that_the_state_has_no_folder() {
    let sandbox = Sandbox::new();
    sandbox.put("config.toml", format!("[daemon]\nstate_dir = \"secret\"\n{}", token("a")));
    let ran = sandbox.ours(&["check"]).expect(78);
    assert!(ran.stderr.contains("config.toml:2:"), "{ran:#?}");
}

/// A token that is at hand needs no credential to be read.
#[test]
fn a_token_at_hand_is_given_without_its_secret() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{RETRY}{}", token("a")));
    sandbox.ours(&["once"]).expect(0);
    let made = sandbox.read("a.token");
    fs::remove_file(sandbox.path("secret")).expect("rm");
    let given = |min_valid: &str, code: i32| {
        let ran = sandbox.ours(&["token", "a", "--min-valid", min_valid]).expect(code);
        assert_eq!(ran.stdout.trim(), if code == 0 { &made } else { "" });
    };
    given("50m", 0);
    given("1h", 75);
    let daemon = sandbox.daemon().spawn();
    until("retrying", || sandbox.path("control.sock").exists() && daemon.token("a")["state"] == "retrying");
    given("50m", 0);
    given("1h", 75);
    daemon.stop();
}

#[test]
fn a_missing_folder_is_told_once_however_many_outputs_are_in_it() {
    let sandbox = Sandbox::new();
    let texts: String = (0..200).map(|n| token(&format!("t{n}")).plain(&format!("gone/t{n}")).to_string()).collect();
    sandbox.config_with("ready_timeout = \"1s\"", format!("{RETRY}{texts}{}", token("good")));
    let ran = sandbox.ours(&["check"]).expect(78);
    assert_eq!(ran.text().matches("does not exist").count(), 1, "{}", ran.text());
    assert!(ran.text().contains("and 199 more files"), "{}", ran.text());
    let mut daemon = sandbox.daemon().spawn();
    daemon.wait_ready();
    let told = |log: &str| log.lines().filter(|line| line.contains("does not exist")).count();
    assert!(told(&daemon.log()) <= 2, "{}", daemon.log());
    // Each token tells of its own file.
    let row = daemon.token("t7");
    assert!(row["last_error"].as_str().is_some_and(|error| error.contains("gone/t7`")), "{row}");
    sandbox.mkdir("out/gone");
    until("all are there", || (0..200).all(|n| sandbox.out(&format!("gone/t{n}")).exists()));
    daemon.stop();
}

/// However many outputs are in it, and whichever is the first.
#[test]
fn a_missing_folder_is_the_same_lack_with_fewer_outputs() {
    let sandbox = Sandbox::new();
    let of = |names: &[&str]| -> String {
        names.iter().map(|name| token(name).plain(&format!("gone/{name}")).to_string()).collect()
    };
    sandbox.config_with("ready_timeout = \"1s\"", format!("{}{}", of(&["a", "b", "c"]), token("good")));
    let daemon = sandbox.start();
    for left in [&["b", "c"][..], &["c"]] {
        sandbox.config_with("ready_timeout = \"1s\"", format!("{}{}", of(left), token("good")));
        sandbox.ours(&["reload"]).expect(0);
        assert_eq!(daemon.status()["tokens"].as_array().map(Vec::len), Some(left.len() + 1));
    }
    daemon.stop();
}

/// A folder that vanishes while the daemon runs is for its deliveries to tell: what lacks elsewhere heals all the same.
#[test]
fn a_folder_of_several_outputs_that_vanishes_keeps_nothing_from_healing() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("out/many");
    let many: String = ["a", "b", "c"].iter().map(|n| token(n).plain(&format!("many/{n}")).to_string()).collect();
    let late = token("late").plain("late/t");
    sandbox.config_with("ready_timeout = \"1s\"", format!("{RETRY}{many}{late}"));
    let daemon = sandbox.start();
    fs::remove_dir_all(sandbox.out("many")).expect("rm");
    sandbox.mkdir("out/late");
    until("the other token is there", || sandbox.out("late/t").exists());
    daemon.stop();
}
