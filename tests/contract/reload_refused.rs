//! The promise: a config that does not load is refused whole, and the old one runs on.
//! The error is logged, shown by `status`, and STATUS= names the file and the place; it is looked at again at each change.
//! A changed path in `[daemon]` needs a restart: said in the log and by `status`.

use std::fs;
use std::time::{Duration, Instant};

use support::{Daemon, SECRET, Sandbox, eventually, has_a_minute, token, until};

/// Writes a bad config, waits until it is told, and gives what `status` says.
fn refused(sandbox: &Sandbox, daemon: &Daemon<'_>, text: &[u8]) -> String {
    daemon.reloaded_by(|| {
        sandbox.put("config.toml", text);
    });
    let mut error = String::new();
    until("status tells", || {
        error = daemon.config_error();
        !error.is_empty()
    });
    error
}

#[test]
fn nothing_of_a_bad_config_is_taken() {
    let sandbox = Sandbox::new();
    let clock = token("clock").line("lifetime = \"3s\"");
    let good = sandbox.config_text("", format!("{}{}{clock}", token("a"), token("b")));
    // A good change of a, a new token, and b removed: with each of these mistakes none of it may happen.
    let changed = token("a").line("claims = { aud = \"taken\" }");
    let with = |mistake: &str| sandbox.config_text("", format!("{changed}{}{clock}{mistake}", token("new")));
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("syntax", with("[token.c\n").into()),
        ("an unknown key", with("[token.c]\nsource = \"jwt\"\nclams = 1\n").into()),
        ("a wrong value", with(&token("c").line("lifetime = \"soon\"").to_string()).into()),
        ("no source", with("[token.c]\n").into()),
        ("a path twice", with(&token("c").plain("a.token").to_string()).into()),
        ("no UTF-8", [with("# ").as_bytes(), b"\xff\xfe\n"].concat()),
        ("deep", with(&format!("x = {}", "[".repeat(5000))).into()),
        ("empty", Vec::new()),
        ("comments alone", b"# nothing here\n\n# any more\n".to_vec()),
        ("a secret file that is missing", with(&token("c").secret("secret.file = \"none\"").to_string()).into()),
        ("a folder that is missing", with(&token("c").plain("none/t").to_string()).into()),
        (
            "an unknown user",
            with(&token("c").output("format = \"token\"\npath = \"out/c\"\nowner = \"no-such-user-here\"").to_string())
                .into(),
        ),
    ];
    sandbox.put("config.toml", &good);
    let mut daemon = sandbox.start();
    let (a, b) = (sandbox.read("a.token"), sandbox.read("b.token"));
    for (what, text) in &bad {
        let error = refused(&sandbox, &daemon, text);
        println!("{what}: {error}");
        assert_eq!(sandbox.read("a.token"), a, "{what}: half of it was taken");
        assert_eq!(sandbox.read("b.token"), b, "{what}");
        assert!(!sandbox.out("new.token").exists(), "{what}");
        assert!(daemon.alive(), "{what}");
    }
    let first = sandbox.jwt("clock").number("iat");
    until("rotation goes on", || sandbox.try_jwt("clock").is_some_and(|c| c.number("iat") > first));
    // The first and the last of them again is no change of what ran: the tokens stay.
    daemon.reloaded_by(|| {
        sandbox.put("config.toml", &good);
    });
    until("the error is gone", || daemon.config_error().is_empty());
    assert_eq!((sandbox.read("a.token"), sandbox.read("b.token")), (a, b));
    daemon.stop();
}

#[test]
fn the_place_is_named_everywhere() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let text = sandbox.config_text("", token("a").line("lifetime = \"for ages\""));
    let line = text.lines().position(|l| l.contains("ages")).expect("the line") + 1;
    let place = format!("config.toml:{line}");
    let error = refused(&sandbox, &daemon, text.as_bytes());
    assert!(error.contains(&place), "status: {error}");
    until("STATUS= names the place", || daemon.status_line().contains(&place));
    assert!(daemon.log().contains(&place), "the log");
    let human = sandbox.ours(&["status"]);
    assert!(human.text().contains(&place), "{human:#?}");
    sandbox.config(token("a"));
    until("STATUS= is healed", || !daemon.status_line().contains(&place));
    daemon.stop();
}

#[test]
fn a_secret_that_goes_away_is_told_and_the_old_one_serves_on() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a").line("lifetime = \"2s\""), token("b")));
    let daemon = sandbox.start();
    let b = sandbox.read("b.token");
    fs::remove_file(sandbox.path("secret")).expect("rm");
    until("status tells", || daemon.config_error().contains("secret"));
    let first = sandbox.jwt("a").number("iat");
    until("rotated with the secret at hand", || sandbox.try_jwt("a").is_some_and(|a| a.number("iat") >= first + 2));
    assert!(sandbox.jwt("a").left() > 0.0);
    // An editor that truncates first: an empty secret is none.
    sandbox.put("secret", "");
    assert!(!daemon.config_error().is_empty());
    sandbox.put("secret", SECRET);
    until("it is back", || daemon.config_error().is_empty());
    assert_eq!(sandbox.read("b.token"), b, "the same secret is no new credential");
    daemon.stop();
}

#[test]
fn a_lack_that_was_there_at_the_start_does_not_refuse_a_reload() {
    let sandbox = Sandbox::new();
    let lacking = token("lacking").plain("missing/t").line("required = false");
    sandbox.config(format!("{lacking}{}", token("a")));
    let daemon = sandbox.start();
    sandbox.config(format!("{lacking}{}", token("a").line("claims = { aud = \"new\" }")));
    until("the change of another token", || sandbox.try_jwt("a").is_some_and(|a| a.claims["aud"] == "new"));
    assert!(daemon.config_error().contains("missing"), "lacks are told: {}", daemon.config_error());
    // A second one, that was not there, does.
    let second = token("second").plain("nowhere/t");
    let text = format!("{lacking}{second}{}", token("a").line("claims = { aud = \"newer\" }"));
    let error = refused(&sandbox, &daemon, sandbox.config_text("", text).as_bytes());
    assert!(error.contains("nowhere"), "{error}");
    assert_eq!(sandbox.jwt("a").claims["aud"], "new");
    // Once it is lacking no more, a reload takes it.
    sandbox.mkdir("out/nowhere");
    sandbox.ours(&["reload"]).expect(0);
    until("taken", || sandbox.jwt("a").claims["aud"] == "newer");
    until("and delivered", || sandbox.out("nowhere/t").exists());
    daemon.stop();
}

/// Looked at again once a minute where a lack was the reason, with no event at all.
#[test]
fn a_refused_lack_heals_by_itself_within_a_minute() {
    if !has_a_minute("a_refused_lack_heals_by_itself_within_a_minute") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let text = sandbox.config_text("", format!("{}{}", token("a"), token("b").plain("nowhere/t")));
    refused(&sandbox, &daemon, text.as_bytes());
    sandbox.mkdir("out/nowhere");
    let began = Instant::now();
    eventually(Duration::from_secs(75), "looked at again", || sandbox.out("nowhere/t").exists().then_some(()));
    println!("after {:?}", began.elapsed());
    daemon.stop();
}

#[test]
fn a_changed_path_of_the_daemon_needs_a_restart_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let text = sandbox.config_text("", token("a").line("claims = { aud = \"new\" }"));
    sandbox.put("config.toml", text.replace("control.sock", "elsewhere.sock"));
    until("the rest is taken", || sandbox.try_jwt("a").is_some_and(|a| a.claims["aud"] == "new"));
    until("the log says restart", || daemon.log().contains("restart"));
    assert!(!sandbox.path("elsewhere.sock").exists());
    let socket = sandbox.path("control.sock");
    let socket = socket.to_str().expect("UTF-8");
    let status = sandbox.run(&["status", "--socket", socket]).expect(0);
    let said = status.text() + &daemon.status().to_string();
    assert!(said.contains("restart"), "{said}");
    daemon.stop();
    let _daemon = sandbox.start();
    assert!(sandbox.path("elsewhere.sock").exists());
}
