//! Width, colour and what goes into a pipe.

use serde_json::json;

use super::stand_in::{StandIn, night};
use super::terminal::{Terminal, status};
use support::Sandbox;

/// The drawing that the unit tests keep, by its name.
fn kept(name: &str) -> String {
    let path = format!("{}/tests/snapshots/status/{name}.snap", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a snapshot");
    text.splitn(3, "---\n").nth(2).expect("its text").to_owned()
}

#[test]
fn the_night_fits_terminals_of_any_width() {
    let sandbox = Sandbox::new();
    let _daemon = StandIn::new(&sandbox, night(), 1);
    for columns in [80, 120, 40] {
        let mut command = status(&sandbox, &[]);
        command.env("NO_COLOR", "1");
        let (ended, text) = Terminal::start(command, columns, 24).end();
        assert_eq!(ended.code(), Some(1));
        assert_eq!(text, kept(&format!("night_{columns}")), "{columns}");
        // With colours it is the same text.
        let (_, coloured) = Terminal::start(status(&sandbox, &[]), columns, 24).end();
        assert!(coloured.contains("\x1b[1;31mexpired\x1b[0m"), "{coloured}");
        assert_eq!(plain(&coloured), text);
    }
    // $COLUMNS counts more, into a pipe too (watch(1) sets it).
    let mut command = status(&sandbox, &[]);
    command.env("NO_COLOR", "1").env("COLUMNS", "40");
    assert_eq!(Terminal::start(command, 120, 24).end().1, kept("night_40"));
    let mut command = status(&sandbox, &[]);
    command.env("COLUMNS", "40");
    assert_eq!(sandbox.finish(command, "").expect(1).stdout, kept("night_40"));
    // A terminal that does not know its size has 80 columns.
    let mut command = status(&sandbox, &[]);
    command.env("NO_COLOR", "1").env("COLUMNS", "none");
    assert_eq!(Terminal::start(command, 0, 0).end().1, kept("night_80"));
}

#[test]
fn into_a_pipe_nothing_is_folded_or_coloured() {
    let sandbox = Sandbox::new();
    let _daemon = StandIn::new(&sandbox, night(), 1);
    let piped = sandbox.finish(status(&sandbox, &[]), "").expect(1);
    assert_eq!(piped.stdout, kept("night_in_a_pipe"));
    assert_eq!(piped.stderr, "");
}

#[test]
fn colour_is_for_those_who_want_it() {
    let sandbox = Sandbox::new();
    let _daemon = StandIn::new(&sandbox, night(), 1);
    for (variables, terminal, pipe) in [
        (&[][..], true, false),
        (&[("NO_COLOR", "1")], false, false),
        (&[("NO_COLOR", "")], true, false),
        (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false, false),
        (&[("CLICOLOR_FORCE", "1")], true, true),
        (&[("CLICOLOR", "0")], false, false),
        (&[("TERM", "dumb")], false, false),
    ] {
        let mut command = status(&sandbox, &[]);
        command.envs(variables.iter().copied());
        let piped = sandbox.finish(command, "").expect(1).stdout;
        let mut command = status(&sandbox, &[]);
        command.envs(variables.iter().copied());
        let (_, shown) = Terminal::start(command, 100, 24).end();
        assert_eq!((shown.contains('\x1b'), piped.contains('\x1b')), (terminal, pipe), "{variables:?}");
        let mut command = status(&sandbox, &["--json"]);
        command.envs(variables.iter().copied());
        assert!(!Terminal::start(command, 100, 24).end().1.contains('\x1b'), "{variables:?}");
    }
}

#[test]
fn the_answers_of_the_daemon_decide_how_it_ends() {
    let sandbox = Sandbox::new();
    let daemon = StandIn::new(&sandbox, night(), 0);
    sandbox.finish(status(&sandbox, &[]), "").expect(0);
    daemon.says(json!({"ok": false, "exit": 64, "errors": ["token x is not in the config"]}));
    for args in [&["x"][..], &["--watch", "x"]] {
        let ran = sandbox.finish(status(&sandbox, args), "").expect(64);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "error: token x is not in the config\n"));
    }
    drop(daemon);
    sandbox.finish(status(&sandbox, &[]), "").expect(69);
    sandbox.finish(status(&sandbox, &["--watch"]), "").expect(69);
}

#[test]
fn what_no_daemon_said_is_told_in_the_first_line() {
    let sandbox = Sandbox::new();
    let mut document = night();
    document["from"] = "state".into();
    let _daemon = StandIn::new(&sandbox, document, 1);
    let piped = sandbox.finish(status(&sandbox, &[]), "").expect(1).stdout;
    let first = "no daemon answers: what follows is read from the state in /var/lib/renewd and from the files\n";
    assert!(piped.starts_with(first), "{piped}");
}

/// Without escape sequences of colour.
fn plain(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |all, piece| all + piece.split_once('m').expect("a colour").1)
}
