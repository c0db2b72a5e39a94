//! `--watch`: on a terminal, into a pipe, while the daemon is away, and at its end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::stand_in::{StandIn, night};
use super::terminal::{Terminal, status};
use support::{PATIENCE, Sandbox, eventually, token, until};

#[test]
fn a_watch_goes_on_when_the_daemon_restarts_and_leaves_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.config(token("api"));
    let daemon = sandbox.start();
    let terminal = Terminal::start(status(&sandbox, &["--watch"]), 80, 10);
    terminal.shows("1 token: valid");
    terminal.shows("api valid");
    assert_eq!(terminal.is_taken(), (true, true));
    daemon.stop();
    terminal.shows("no daemon since ");
    terminal.shows("last known at");
    // What it last said stays below that, as it was then.
    terminal.shows("api valid");
    let row = || terminal.screen().lines().find(|line| line.starts_with("api ")).map(str::to_owned);
    let then = row();
    let recent = |screen: &str| ["(now)", "(1s ago)", "(2s ago)"].iter().any(|time| screen.contains(time));
    until("it has been away for three seconds", || !recent(&terminal.screen()));
    assert_eq!(row(), then);
    let daemon = sandbox.start();
    until("the notice goes", || !terminal.screen().contains("no daemon since"));
    terminal.shows("1 token: valid");
    terminal.resize(40, 10);
    terminal.shows("NAME STATE AGE LEFT NEXT api valid");
    daemon.stop();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let daemon = sandbox.start();
        let terminal = Terminal::start(status(&sandbox, &["--watch"]), 80, 10);
        terminal.shows("api valid");
        terminal.send(signal);
        until("the terminal is given back", || terminal.is_taken() == (false, false));
        assert_eq!(terminal.screen(), "");
        assert_eq!(terminal.end().0.signal(), Some(signal.as_raw()));
        daemon.stop();
    }
}

#[test]
fn a_watch_fits_its_screen_and_follows_its_size() {
    let sandbox = Sandbox::new();
    let daemon = StandIn::new(&sandbox, night(), 1);
    let terminal = Terminal::start(status(&sandbox, &["--watch"]), 80, 16);
    terminal.shows("... and 5 more, all valid");
    assert!(terminal.screen().starts_with("15 tokens: 6 valid"), "{}", terminal.screen());
    terminal.resize(80, 8);
    terminal.shows("... and 11 more: 6 valid, 1 pending, 4 retrying");
    // Large enough for all.
    terminal.resize(200, 60);
    terminal.shows("crm.secret");
    terminal.shows("kong valid");
    assert!(!terminal.screen().contains("more"), "{}", terminal.screen());
    // Ctrl-Z gives the terminal back, and takes it again.
    terminal.send(Signal::TSTP);
    until("it is stopped", || terminal.is_stopped());
    until("the terminal is given back", || terminal.is_taken() == (false, false));
    terminal.send(Signal::CONT);
    until("it goes on", || terminal.is_taken() == (true, true));
    terminal.shows("15 tokens: 6 valid");
    // A daemon that hangs is not taken for one that answers, and holds up nobody.
    daemon.says(Value::Null);
    terminal.shows("the daemon has not answered for ");
    terminal.send(Signal::INT);
    drop(daemon);
    assert_eq!(terminal.end().0.signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn into_a_pipe_a_watch_prints_when_something_has_changed() {
    let sandbox = Sandbox::new();
    sandbox.config(token("api"));
    let daemon = sandbox.start();
    let out = sandbox.path("out.txt");
    let mut command = status(&sandbox, &["--watch"]);
    let mut child = command.stdout(File::create(&out).expect("a file")).spawn().expect("the binary starts");
    let text = || std::fs::read_to_string(&out).expect("the output");
    let tables = || text().matches("1 token: valid\n").count();
    until("the first table", || tables() == 1);
    assert!(sandbox.rotate(&["api"]));
    until("the token changed", || tables() == 2);
    daemon.stop();
    until("the daemon is away", || text().contains("no daemon since "));
    assert_eq!(tables(), 2);
    let daemon = sandbox.start();
    until("the daemon is back", || tables() == 3);
    daemon.stop();
    until("it is away again", || text().matches("no daemon since ").count() == 2);
    child.kill().expect("kill");
    child.wait().expect("wait");
    let text = text();
    assert!(!text.contains('\x1b'), "{text}");
    // Each begins with its time.
    for part in text.trim_end().split("\n\n") {
        let time = part.lines().next().expect("a line").strip_suffix(" UTC").expect("a zone").replace(' ', "T") + "Z";
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    }
}

#[test]
fn a_dumb_terminal_gets_no_escape_sequences() {
    let sandbox = Sandbox::new();
    let daemon = StandIn::new(&sandbox, night(), 1);
    let mut command = status(&sandbox, &["--watch"]);
    command.env("TERM", "dumb");
    let terminal = Terminal::start(command, 80, 100);
    terminal.shows("15 tokens: 6 valid, 2 expired");
    // Tries that move on are no news; a token that is well again is.
    let mut document = night();
    document["tokens"][8]["tries"] = 714.into();
    document["tokens"][8]["next_try_at"] = "2026-11-27T03:03:02Z".into();
    daemon.says(json!({"ok": false, "exit": 1, "status": document}));
    document["tokens"][8]["state"] = "valid".into();
    daemon.says(json!({"ok": false, "exit": 1, "status": document}));
    terminal.shows("15 tokens: 7 valid, 2 expired");
    terminal.send(Signal::INT);
    let (_, text) = terminal.end();
    assert_eq!(text.matches("15 tokens: ").count(), 2, "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn json_is_one_document_a_line_through_a_restart() {
    let sandbox = Sandbox::new();
    sandbox.config(token("api"));
    let daemon = sandbox.start();
    let mut command = status(&sandbox, &["--watch", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("UTF-8")).expect("JSON") };
    assert_eq!(next()["version"], 1);
    assert_eq!(next()["tokens"][0]["name"], "api");
    let sha256 = next()["tokens"][0]["sha256"].clone();
    daemon.stop();
    let daemon = sandbox.start();
    assert!(sandbox.rotate(&["api"]));
    eventually(PATIENCE, "the new daemon's words", || (next()["tokens"][0]["sha256"] != sha256).then_some(()));
    // Whoever stops to read ends it.
    drop(lines);
    eventually(PATIENCE, "the watch ends", || child.try_wait().expect("wait"));
    daemon.stop();
}

#[test]
fn a_watch_whose_pipe_is_closed_ends_though_nothing_changes() {
    let sandbox = Sandbox::new();
    let _daemon = StandIn::new(&sandbox, night(), 1);
    let mut command = status(&sandbox, &["--watch"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.any(|line| line.expect("UTF-8").starts_with("15 tokens: ")));
    drop(lines);
    let ended = eventually(PATIENCE, "the watch ends", || child.try_wait().expect("wait"));
    assert_eq!(ended.code(), Some(1));
}
