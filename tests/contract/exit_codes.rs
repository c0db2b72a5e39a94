//! The promise: exit codes scripts rely on. 0 done, 1 failed, 64 usage, 69 no daemon, 75 not now, 78 the config.
//! One table a code, all of the commands that ask the daemon or read the config; data on stdout, all else on stderr.
//! What `generate`, `refresh` and `inspect` print is theirs to show; their codes are here.

use std::path::Path;
use std::time::Duration;

use support::{Ran, SECRET, Sandbox, token, until};

#[track_caller]
fn is(ran: Ran, code: i32) -> Ran {
    let ran = ran.expect(code);
    if code != 0 && code != 1 {
        assert_eq!(ran.stdout, "", "an error on stdout");
        assert!(!ran.stderr.is_empty(), "an error that says nothing");
    }
    ran
}

#[test]
fn usage_is_64() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let bad: [&[&str]; 15] = [
        &[],
        &["nonsense"],
        &["run", "--no-such-flag"],
        &["run", "extra"],
        &["once", "-c"],
        &["once", "--ahead", "soon"],
        &["wait", "--timeout", "x"],
        &["status", "--jsn"],
        &["generate"],
        &["generate", "--key", "k", "--secret", SECRET],
        &["generate", "--key", "k", "--secret-file", "secret", "--alg", "HS257"],
        &["refresh"],
        &["token"],
        &["exec", "a"],
        &["completions", "no-such-shell"],
    ];
    for args in bad {
        is(sandbox.run(args), 64);
    }
    is(sandbox.ours(&["once", "nosuch"]), 64);
    is(sandbox.ours(&["token", "nosuch"]), 64);
    is(sandbox.ours(&["exec", "nosuch", "--", "true"]), 64);
    let daemon = sandbox.start();
    for args in [&["status", "nosuch"][..], &["rotate", "nosuch"], &["rotate", "a", "nosuch"], &["wait", "nosuch"]] {
        let ran = is(sandbox.ours(args), 64);
        assert!(ran.stderr.contains("nosuch"), "{ran:#?}");
    }
    daemon.stop();
}

#[test]
fn no_daemon_is_69() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    // Where a daemon of this machine serves, the search would end at its socket: not ours to touch.
    let searched = !Path::new("/run/renewd/control.sock").exists();
    for command in ["status", "rotate", "reload"] {
        if searched {
            is(sandbox.ours(&[command]), 69);
        }
        is(sandbox.run(&[command, "--socket", "nowhere.sock"]), 69);
    }
    // A socket that nobody listens on any more.
    sandbox.start().kill9();
    assert!(sandbox.path("control.sock").exists());
    if searched {
        // What it left is shown, and is not called a daemon's word.
        let ran = sandbox.ours(&["status"]).expect(69);
        assert!(ran.stdout.starts_with("no daemon answers"), "{ran:#?}");
    }
    sandbox.start().stop();
}

#[test]
fn a_wrong_or_missing_config_is_78() {
    let sandbox = Sandbox::new();
    for command in ["check", "once", "run"] {
        is(sandbox.ours(&[command]), 78);
    }
    // A machine that has one of its own would be found.
    if !Path::new("/etc/renewd/config.toml").exists() {
        is(sandbox.run(&["check"]), 78);
    }
    let missing = token("a").secret("").to_string();
    let unbuilt = "[token.a]\nsource = \"jwtt\"\n".to_owned();
    for text in ["nonsense".into(), String::new(), "# a comment\n".into(), missing, unbuilt] {
        sandbox.put("config.toml", &text);
        for command in ["check", "once", "run"] {
            let ran = is(sandbox.ours(&[command]), 78);
            assert!(ran.stderr.contains("config.toml"), "{command}, {text:?}: {}", ran.stderr);
        }
    }
    sandbox.put("config.toml", sandbox.config_text("", ""));
    is(sandbox.ours(&["check"]), 0);
}

#[test]
fn done_is_0() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    for args in [&["--help"][..], &["--version"], &["once", "--help"], &["schema"], &["completions", "bash"]] {
        let ran = is(sandbox.run(args), 0);
        assert!(!ran.stdout.is_empty(), "{args:?}: {ran:#?}");
    }
    is(sandbox.ours(&["check"]), 0);
    is(sandbox.ours(&["once"]), 0);
    let config = sandbox.path("config.toml");
    let config = config.to_str().expect("UTF-8");
    is(sandbox.run_with(&["check"], "", &[("RENEWD_CONFIG", config)]), 0);
    sandbox.mkdir("xdg/renewd");
    std::fs::copy(config, sandbox.path("xdg/renewd/config.toml")).expect("cp");
    sandbox.put("xdg/renewd/secret", SECRET);
    sandbox.mkdir("xdg/renewd/out");
    let xdg = sandbox.path("xdg");
    let xdg = xdg.to_str().expect("UTF-8");
    is(sandbox.run_with(&["check"], "", &[("XDG_CONFIG_HOME", xdg)]), 0);
    let daemon = sandbox.start();
    for args in [&["status"][..], &["rotate", "--force"], &["reload"], &["wait"], &["token", "a"]] {
        is(sandbox.ours(args), 0);
    }
    daemon.stop();
}

#[test]
fn what_failed_is_1() {
    let sandbox = Sandbox::new();
    let retry = "retry = { initial = \"100ms\", max = \"300ms\" }";
    sandbox.mkdir("out/sub");
    sandbox.config(format!("{}{}", token("a").plain("sub/t").line(retry), token("b")));
    let daemon = sandbox.start();
    std::fs::remove_dir_all(sandbox.out("sub")).expect("rm -r");
    let ran = is(sandbox.ours(&["rotate", "--force", "a"]), 1);
    assert!(ran.stderr.contains("sub"), "what failed is not said: {ran:#?}");
    is(sandbox.ours(&["rotate", "--force", "b"]), 0);
    daemon.stop();

    let garbage = ["generate", "--key", "k", "--secret-file", "short"];
    sandbox.put("short", "short");
    is(sandbox.run(&garbage), 1);
    is(sandbox.run(&["inspect", "garbage"]), 1);
    is(sandbox.run(&["refresh", "garbage", "--key", "k", "--secret-file", "secret"]), 1);
    let made = is(sandbox.run(&["generate", "--key", "k", "--secret-file", "secret"]), 0);
    let made = made.stdout.trim();
    is(sandbox.run(&["inspect", made, "--secret-file", "secret"]), 0);
    sandbox.put("other", "o".repeat(32));
    is(sandbox.run(&["inspect", made, "--secret-file", "other"]), 1);
    is(sandbox.run(&["refresh", made, "--key", "other", "--secret-file", "secret"]), 1);
}

#[test]
fn not_now_is_75() {
    let sandbox = Sandbox::new();
    let missing = token("missing").plain("nowhere/t").line("required = false");
    sandbox.config(format!("{missing}{}", token("a").line("lifetime = \"1h\"")));
    let daemon = sandbox.start();
    is(sandbox.ours(&["wait"]), 0);
    let ran = is(sandbox.ours(&["wait", "--timeout", "1s", "missing"]), 75);
    assert!(ran.took >= Duration::from_secs(1), "{:?}", ran.took);
    assert!(ran.stderr.contains("missing"), "{ran:#?}");
    is(sandbox.ours(&["wait", "--timeout", "1s", "--min-valid", "2h", "a"]), 75);
    is(sandbox.ours(&["wait", "--timeout", "1s", "--min-valid", "10m", "a"]), 0);
    is(sandbox.ours(&["status"]), 0);
    is(sandbox.ours(&["status", "missing"]), 1);
    is(sandbox.ours(&["status", "a"]), 0);
    daemon.stop();
}

/// Whatever went wrong with the daemon: 1 would be the command's own.
#[test]
fn exec_that_ran_nothing_is_75() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let socket = std::os::unix::net::UnixListener::bind(sandbox.path("control.sock")).expect("bind");
    std::thread::scope(|scope| {
        scope.spawn(|| drop(socket.accept()));
        is(sandbox.ours(&["exec", "a", "--", "echo", "ran"]), 75);
    });
}

/// `wait` returns as soon as what it waits for is there.
#[test]
fn wait_wakes_when_the_token_comes() {
    let sandbox = Sandbox::new();
    let retry = "retry = { initial = \"100ms\", max = \"300ms\" }";
    let late = token("late").plain("late/t").line(retry);
    sandbox.config(format!("{late}{}", token("a")));
    let daemon = sandbox.daemon().spawn();
    until("it runs", || sandbox.try_jwt("a").is_some() && sandbox.path("control.sock").exists());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sandbox.ours(&["wait", "--timeout", "50s"]));
        sandbox.ours(&["wait", "a", "--timeout", "50s"]).expect(0);
        assert!(!waiting.is_finished());
        sandbox.mkdir("out/late");
        let ran = waiting.join().expect("wait").expect(0);
        assert!(sandbox.out("late/t").exists());
        assert!(ran.took < Duration::from_secs(40), "{:?}", ran.took);
    });
    daemon.stop();
}
