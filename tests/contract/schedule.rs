//! The promise: a token is rotated at rotate_at, rotate_before or rotate_every; jitter makes it earlier, never later.
//! Never more often than min_interval on schedule; a failed rotation is tried again; `once --ahead` looks ahead.
//! Plans are read from `status --json`, where they are exact; that they are kept is seen on the files.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use support::{Daemon, Sandbox, TokenText, eventually, now, token, until};

/// RFC 3339 UTC with Z as Unix seconds.
fn seconds(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no time"));
    let at: jiff::Timestamp = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    assert!(text.ends_with('Z'), "{text}");
    at.as_second()
}

/// Seconds from issue to the planned rotation.
fn planned(daemon: &Daemon<'_>, name: &str) -> i64 {
    let token = daemon.token(name);
    seconds(&token["next_rotation_at"]) - seconds(&token["issued_at"])
}

fn body(texts: &[TokenText]) -> String {
    texts.iter().map(ToString::to_string).collect()
}

/// The clock of the plan may have a part of a second that `issued_at` has not.
fn about(got: i64, want: i64, name: &str) {
    assert!((want - 1..=want + 1).contains(&got), "{name}: {got} s in the place of {want}");
}

#[test]
fn each_rule_gives_its_moment() {
    let sandbox = Sandbox::new();
    let exact = |name: &str, lines: &str| token(name).line("jitter = 0.0").line(lines);
    let texts = [
        exact("usual", "lifetime = \"1000s\""),
        exact("at", "lifetime = \"1000s\"\nrotate_at = 0.25"),
        exact("before", "lifetime = \"1000s\"\nrotate_before = \"100s\""),
        exact("every", "lifetime = \"1000s\"\nrotate_every = \"300s\""),
        exact("never", "lifetime = \"never\"\nrotate_every = \"30d\""),
        exact("held", "lifetime = \"1000s\"\nrotate_at = 0.1\nmin_interval = \"400s\""),
        exact("skewed", "lifetime = \"1000s\"\nrotate_before = \"100s\"\nskew = \"50s\""),
    ];
    sandbox.config(body(&texts));
    let daemon = sandbox.start();
    let wants = [("usual", 670), ("at", 250), ("before", 900), ("every", 300), ("never", 2_592_000), ("held", 400)];
    for (name, want) in wants {
        about(planned(&daemon, name), want, name);
    }
    assert!(daemon.token("never")["expires_at"].is_null());
    // skew backdates iat, not exp: the rotation stays 100 s before expiry.
    let skewed = daemon.token("skewed");
    about(seconds(&skewed["expires_at"]) - seconds(&skewed["next_rotation_at"]), 100, "skewed");
    daemon.stop();
}

#[test]
fn a_tokens_own_rule_replaces_that_of_the_defaults() {
    let sandbox = Sandbox::new();
    let defaults = "[defaults]\nlifetime = \"1000s\"\nrotate_before = \"100s\"\njitter = 0.0\n";
    let texts =
        [token("default"), token("own").line("rotate_at = 0.5"), token("every").line("rotate_every = \"200s\"")];
    sandbox.config(format!("{defaults}{}", body(&texts)));
    let daemon = sandbox.start();
    for (name, want) in [("default", 900), ("own", 500), ("every", 200)] {
        about(planned(&daemon, name), want, name);
    }
    daemon.stop();
    let both = token("a").line("rotate_at = 0.5\nrotate_before = \"1m\"");
    sandbox.config(both);
    sandbox.ours(&["check"]).expect(78);
}

#[test]
fn jitter_is_early_only_and_drawn_anew() {
    let sandbox = Sandbox::new();
    let text = |name: &str| token(name).line("lifetime = \"10000s\"\nrotate_at = 0.5\njitter = 0.2");
    let names: Vec<String> = (0..10).map(|i| format!("t{i}")).collect();
    let texts: Vec<TokenText> = names.iter().map(|n| text(n)).collect();
    sandbox.config(body(&texts));
    let daemon = sandbox.start();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut drawn = BTreeSet::new();
    for round in 0..5 {
        let mut of_round = BTreeSet::new();
        let status = daemon.status();
        for token in status["tokens"].as_array().expect("tokens") {
            let wait = seconds(&token["next_rotation_at"]) - seconds(&token["issued_at"]);
            assert!((3999..=5001).contains(&wait), "round {round}: {wait} s of 5000");
            of_round.insert(wait);
        }
        assert!(of_round.len() > 3, "equal tokens, equal moments: {of_round:?}");
        drawn.extend(of_round);
        assert!(sandbox.rotate(&all));
    }
    assert!(drawn.len() > 20, "not drawn anew: {drawn:?}");
    let (first, last) = (drawn.first().expect("some"), drawn.last().expect("some"));
    assert!(last - first > 500, "all near each other: {first} to {last}");
    daemon.stop();
}

/// What the files show over a few seconds. A lower bound is strict but for the part of a second that iat hides.
#[test]
fn plans_are_kept() {
    let sandbox = Sandbox::new();
    let exact = |name: &str, lines: &str| token(name).line("jitter = 0.0").line(lines);
    let texts = [
        exact("at", "lifetime = \"10s\"\nrotate_at = 0.2"),
        exact("before", "lifetime = \"10s\"\nrotate_before = \"8s\""),
        exact("every", "lifetime = \"1h\"\nrotate_every = \"2s\""),
        exact("held", "lifetime = \"10s\"\nrotate_at = 0.05\nmin_interval = \"3s\""),
    ];
    sandbox.config(body(&texts));
    let daemon = sandbox.start();
    let names = ["at", "before", "every", "held"];
    let mut seen: Vec<Vec<(f64, String)>> = vec![Vec::new(); names.len()];
    let began = now();
    while now() - began < 9.5 {
        for (name, list) in names.iter().zip(&mut seen) {
            let text = sandbox.read(&format!("{name}.token"));
            if list.last().is_none_or(|(_, last)| *last != text) {
                list.push((now(), text));
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for (name, list) in names.iter().zip(&seen) {
        let gaps: Vec<f64> = list.windows(2).map(|w| w[1].0 - w[0].0).collect();
        println!("{name}: {gaps:.2?}");
        // The first gap began before it was watched.
        let rest = &gaps[1..];
        let (low, high) = if *name == "held" { (2.9, 6.0) } else { (0.95, 4.5) };
        assert!(!rest.is_empty(), "{name}: {gaps:?}");
        assert!(rest.iter().all(|g| (low..=high).contains(g)), "{name}: {gaps:?}");
    }
    daemon.stop();
}

#[test]
fn a_failed_rotation_is_tried_again_until_it_succeeds() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("out/sub");
    let text = token("a").plain("sub/t").line("retry = { initial = \"100ms\", max = \"400ms\" }");
    sandbox.config(format!("{text}{}", token("b").line("lifetime = \"2s\"")));
    let mut daemon = sandbox.start();
    fs::remove_dir_all(sandbox.out("sub")).expect("rm -r");
    assert!(!sandbox.rotate(&["a"]));
    until("several tries", || daemon.token("a")["failures"].as_u64() >= Some(4));
    let failing = daemon.token("a");
    assert_eq!(failing["state"], "retrying", "{failing}");
    assert_eq!(failing["reason"], "delivery", "{failing}");
    assert!(sandbox.jwt("b").left() > 0.0, "its neighbour suffered");
    sandbox.mkdir("out/sub");
    eventually(Duration::from_secs(10), "healed", || sandbox.out("sub/t").exists().then_some(()));
    until("valid", || daemon.token("a")["state"] == "valid");
    let healed = daemon.token("a");
    assert_eq!(healed["failures"], 0, "{healed}");
    assert!(healed["last_error"].is_null() && healed["reason"].is_null(), "{healed}");
    assert!(daemon.alive());
}

#[test]
fn once_does_what_is_due_and_ahead_what_falls_due() {
    let sandbox = Sandbox::new();
    let text = |name: &str, at: f64| {
        token(name).line(&format!("lifetime = \"2h\"\nrotate_at = {at}\njitter = 0.0\nmin_interval = \"1ms\""))
    };
    // Due in 12 and in 60 minutes.
    sandbox.config(body(&[text("soon", 0.1), text("late", 0.5)]));
    sandbox.ours(&["once"]).expect(0);
    let both = || (sandbox.read("soon.token"), sandbox.read("late.token"));
    let first = both();
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(both(), first, "nothing was due");
    sandbox.ours(&["once", "--ahead", "5m"]).expect(0);
    assert_eq!(both(), first, "nothing falls due in 5 minutes");
    sandbox.ours(&["once", "--ahead", "30m"]).expect(0);
    let second = both();
    assert_ne!(second.0, first.0, "soon falls due within 30 minutes");
    assert_eq!(second.1, first.1);
    sandbox.ours(&["once", "--ahead", "90m", "late"]).expect(0);
    let third = both();
    assert_eq!(third.0, second.0, "it was not named");
    assert_ne!(third.1, second.1);
    // What the daemon finds is what `once` left.
    let daemon = sandbox.start();
    assert_eq!(both(), third);
    daemon.stop();
}

/// What is due is tried: a min_interval that is nearly over is waited for, a longer one is kept.
#[test]
fn once_waits_for_a_short_min_interval() {
    let sandbox = Sandbox::new();
    let apart = |name: &str, span: &str| token(name).line(&format!("min_interval = \"{span}\""));
    sandbox.config(body(&[apart("short", "2s"), apart("long", "20m")]));
    sandbox.ours(&["once"]).expect(0);
    let (short, long) = (sandbox.read("short.token"), sandbox.read("long.token"));
    sandbox.ours(&["once", "--ahead", "2h"]).expect(0);
    assert_ne!(sandbox.read("short.token"), short);
    assert_eq!(sandbox.read("long.token"), long, "within its min_interval");
}

#[test]
fn claims_of_time_are_what_lifetime_and_skew_say() {
    let sandbox = Sandbox::new();
    let texts = [
        token("plain").line("lifetime = \"90s\""),
        token("skewed").line("lifetime = \"90s\"\nskew = \"30s\"\nclaims = { nbf = true }"),
        token("bare").line("lifetime = \"90s\"\nclaims = { iat = false, jti = false }"),
    ];
    sandbox.config(body(&texts));
    let before = now();
    sandbox.ours(&["once"]).expect(0);
    let after = now();
    let between = |value: i64, shift: f64, what: &str| {
        let value = value as f64;
        let good = value > before + shift - 1.0 && value <= after + shift;
        assert!(good, "{what}: {value} from {before:.2} to {after:.2}, shifted by {shift}");
    };
    let plain = sandbox.jwt("plain");
    between(plain.number("iat"), 0.0, "iat");
    between(plain.number("exp"), 90.0, "exp");
    assert!(plain.claims.get("nbf").is_none() && plain.claims["jti"].is_string());
    let skewed = sandbox.jwt("skewed");
    between(skewed.number("iat"), -30.0, "iat with skew");
    between(skewed.number("nbf"), -30.0, "nbf with skew");
    between(skewed.number("exp"), 90.0, "exp with skew");
    let bare = sandbox.jwt("bare");
    assert!(bare.claims.get("iat").is_none() && bare.claims.get("jti").is_none(), "{}", bare.claims);
}

#[test]
fn contradictions_are_refused() {
    let sandbox = Sandbox::new();
    let bad = [
        "rotate_at = 0.0",
        "rotate_at = 1.0",
        "rotate_at = -0.5",
        "lifetime = \"1h\"\nrotate_before = \"1h\"",
        "lifetime = \"1h\"\nrotate_every = \"2h\"",
        "lifetime = \"1h\"\nmin_interval = \"1h\"",
        "lifetime = \"never\"",
        "lifetime = \"never\"\nrotate_before = \"1m\"",
        "claims = { exp = false }",
        "jitter = -0.1",
        "lifetime = \"0s\"",
        "lifetime = 3600",
    ];
    for lines in bad {
        sandbox.config(token("a").line(lines));
        let ran = sandbox.ours(&["check"]);
        assert_eq!(ran.code, Some(78), "{lines}: {ran:#?}");
        assert!(ran.stderr.contains("config.toml:"), "{lines}: {}", ran.stderr);
    }
}
