//! A night with fifteen tokens of which ten fail in ten ways, drawn at several widths; the page about one token; what fits
//! a screen; what is said when the daemon is away.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::document::StatusDocument;
use super::fit::fit;
use super::line::{Line, columns, paint};
use super::table::{Sheet, table};
use super::watch::LastHeard;
use super::when::Clock;
use super::{page, printer};
use crate::core::config::Setting;
use crate::core::printable::is_unseen;
use crate::host::control::{ClientError, Response};
use crate::host::written::WrittenToken;

fn night() -> Value {
    serde_json::from_str(include_str!("../../../tests/contract/status_drawn/night.json")).expect("JSON")
}

fn clock() -> Clock {
    Clock { now: "2026-11-27T03:03:00Z".parse().expect("a time"), zone: TimeZone::UTC }
}

fn drawn(status: &Value, width: Option<usize>) -> String {
    let clock = clock();
    paint(&table(&StatusDocument::read(status), &Sheet { width, clock: &clock }).lines(), false)
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../../tests/snapshots/status", omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

/// The words of a text: what folding must not change.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn a_night_fits_its_terminal() {
    for width in [80, 120, 40] {
        let text = drawn(&night(), Some(width));
        assert!(text.lines().all(|line| columns(line) <= width), "{width}:\n{text}");
        snapshot(&format!("night_{width}"), &text);
    }
    snapshot("night_in_a_pipe", &drawn(&night(), None));
}

#[test]
fn no_word_is_broken_at_any_width() {
    let clock = clock();
    let night = night();
    let document = StatusDocument::read(&night);
    for width in 24..=200 {
        let text = drawn(&night, Some(width));
        assert!(text.lines().all(|line| columns(line) <= width), "{width}:\n{text}");
        let found = words(&text);
        let whole = document.tokens.iter().flat_map(|token| token.troubles(&clock));
        for sentence in whole {
            for word in words(&sentence).iter().filter(|word| columns(word) + 4 <= width) {
                assert!(found.contains(word), "{word} at {width}:\n{text}");
            }
        }
    }
}

#[test]
fn into_a_pipe_it_is_one_line_a_token_in_the_usual_columns() {
    let text = drawn(&night(), None);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("15 tokens: 6 valid, 2 expired, 3 pending, 4 retrying; 10 need attention"));
    let titles = lines.next().expect("titles");
    assert_eq!(words(titles), ["NAME", "STATE", "AGE", "LEFT", "NEXT", "SHA256", "ERROR"]);
    assert_eq!(lines.count(), 15);
}

#[test]
fn the_worst_comes_first_and_what_has_failed_longest() {
    let night = night();
    let document = StatusDocument::read(&night);
    let names: Vec<&str> = document.by_need().iter().map(|token| token.name.as_str()).collect();
    assert_eq!(
        names[..11],
        [
            "maps",
            "crm",
            "crm-export",
            "nightly",
            "reports",
            "warehouse",
            "portal",
            "metrics",
            "search",
            "deploy",
            "sunbird"
        ]
    );
}

#[test]
fn text_from_outside_cannot_steer_the_terminal() {
    for width in [Some(80), None] {
        let text = drawn(&night(), width);
        assert!(!text.chars().any(|c| c != '\n' && is_unseen(c)), "{text:?}");
    }
    let text = printer::json(&night(), true);
    assert!(!text.chars().any(|c| c != '\n' && is_unseen(c)));
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), night());
}

#[test]
fn a_well_day_is_one_line_and_the_rows() {
    let mut status = night();
    let tokens = status["tokens"].as_array_mut().expect("tokens");
    tokens.retain(|token| token["state"] == "valid" && token["reason"].is_null());
    assert_eq!(drawn(&status, Some(80)).lines().next(), Some("5 tokens: all valid"));
    status["tokens"].as_array_mut().expect("tokens").truncate(1);
    assert_eq!(drawn(&status, Some(80)).lines().next(), Some("1 token: valid"));
    status["tokens"] = json!([]);
    assert_eq!(drawn(&status, Some(80)), "no tokens\n");
}

#[test]
fn what_is_not_from_a_daemon_says_so_first() {
    let mut status = night();
    status["from"] = "state".into();
    status["config"]["error"] = "config.toml:7:3: unknown key `lifetme`".into();
    status["config"]["restart_needed"] = json!(["state_dir"]);
    let text = drawn(&status, None);
    let head: Vec<&str> = text.lines().take(4).collect();
    assert_eq!(
        head,
        [
            "no daemon answers: what follows is read from the state in /var/lib/renewd and from the files",
            "15 tokens: 6 valid, 2 expired, 3 pending, 4 retrying; 10 need attention",
            "config: config.toml:7:3: unknown key `lifetme`",
            "config: [daemon] state_dir changed: that needs a restart",
        ]
    );
    let page = paged(&status, "sunbird", Some(80), &Err("x".into()));
    assert!(
        page.starts_with("no daemon answers: what follows is read from the state in /var/lib/renewd and\n"),
        "{page}"
    );
}

/// The document as renewd 0.1.0 answered it.
#[test]
fn an_older_daemon_is_drawn_with_what_it_says() {
    let mut status = night();
    let members = status.as_object_mut().expect("an object");
    ["renewd", "pid", "now", "from", "state_dir"].iter().for_each(|member| drop(members.remove(*member)));
    for token in status["tokens"].as_array_mut().expect("tokens") {
        let old = [
            "name",
            "source",
            "state",
            "required",
            "on_disk",
            "issued_at",
            "expires_at",
            "next_rotation_at",
            "sha256",
            "outputs",
            "failures",
            "last_error",
            "reason",
        ];
        token.as_object_mut().expect("an object").retain(|member, _| old.contains(&member.as_str()));
        for output in token["outputs"].as_array_mut().expect("outputs") {
            output
                .as_object_mut()
                .expect("an object")
                .retain(|member, _| ["path", "format"].contains(&member.as_str()));
        }
    }
    snapshot("night_of_an_older_daemon", &drawn(&status, Some(80)));
    snapshot(
        "page_of_an_older_daemon",
        &paged(
            &status,
            "crm",
            Some(80),
            &Err("/etc/renewd/config.toml cannot be read: Permission denied (os error 13)".into()),
        ),
    );
    assert_eq!(drawn(&json!({}), Some(80)), "no tokens\n");
    assert!(drawn(&json!({"tokens": [{}, 3]}), Some(80)).contains('?'));
}

fn paged(status: &Value, name: &str, width: Option<usize>, written: &Result<WrittenToken, String>) -> String {
    let clock = clock();
    let mut status = status.clone();
    status["tokens"].as_array_mut().expect("tokens").retain(|token| token["name"] == name);
    let document = StatusDocument::read(&status);
    let sheet = Sheet { width, clock: &clock };
    paint(&page::page(&document, &document.tokens[0], &sheet, written), false)
}

/// The page of a token that has everything.
fn rich() -> Value {
    let mut status = night();
    let portal = status["tokens"].as_array_mut().expect("tokens").iter_mut().find(|token| token["name"] == "portal");
    let portal = portal.expect("portal");
    portal["scope"] = "orders:read orders:write".into();
    portal["login_expires_at"] = "2026-12-11T08:00:00Z".into();
    portal["claims"] = json!({
        "registered": { "iss": "https://portal.example", "sub": "jobs", "aud": ["orders", "stock"], "exp": 1_795_750_260, "iat": 1_795_746_660 },
        "others": ["tenant", "plan"],
    });
    portal["last_hook"] = json!({ "hook": "on_failure", "started_at": "2026-11-27T02:46:09Z", "ended_at": "2026-11-27T02:46:10Z", "ok": true, "error": null });
    portal["events"] = json!([
        { "at": "2026-11-26T21:31:00Z", "what": "renewed, valid until 2026-11-26T22:31:00Z", "ok": true },
        { "at": "2026-11-27T02:31:01Z", "what": "written to /run/renewd/portal.token and to /run/renewd/portal.env", "ok": true },
        { "at": "2026-11-27T02:44:09Z", "what": "rejected: https://portal.example/auth/refresh refused the refresh token: 400 invalid_grant", "ok": false },
    ]);
    portal["outputs"].as_array_mut().expect("outputs").push(json!({
        "path": "/run/renewd/portal.env", "format": "env", "mode": null, "owner": null, "group": null,
        "written_at": null, "problem": "somebody removed it", "unseen": "gone",
    }));
    status
}

fn settings() -> WrittenToken {
    let setting = |key: &str, value: &str, line| Setting { key: key.into(), value: value.into(), line };
    WrittenToken {
        file: PathBuf::from("/etc/renewd/config.d/portal.toml"),
        changed: Some((
            PathBuf::from("/etc/renewd/config.d/portal.toml"),
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_748_400),
        )),
        token: vec![
            setting("source", "\"http\"", 2),
            setting("url", "\"https://portal.example/auth/refresh\"", 3),
            setting("refresh_token.file", "\"/etc/renewd/portal.refresh\"", 4),
            setting("output.path", "\"/run/renewd/portal.token\"", 9),
            setting(
                "after_rotate.command",
                "[\"/usr/local/libexec/orders/tell-the-orders-service\", ...] (1 argument not shown)",
                14,
            ),
        ],
        defaults: vec![setting("mode", "\"0640\"", 5)],
        built_in: vec![setting("rotate_at", "0.67", 0)],
    }
}

#[test]
fn the_page_about_one_token() {
    let status = rich();
    for width in [80, 120, 40] {
        let text = paged(&status, "portal", Some(width), &Ok(settings()));
        assert!(text.lines().all(|line| columns(line) <= width), "{width}:\n{text}");
        snapshot(&format!("page_{width}"), &text);
    }
    let piped = paged(&status, "portal", None, &Ok(settings()));
    assert!(
        piped.contains("\n  rejected: failing since 02:44:09 UTC (18m 51s ago), 3 tries, next try in 11m 31s\n"),
        "{piped}"
    );
}

fn fitted(status: &Value, width: usize, height: usize) -> Vec<String> {
    let clock = clock();
    let document = StatusDocument::read(status);
    let lines = fit(table(&document, &Sheet { width: Some(width), clock: &clock }), height);
    lines.iter().map(|line| line.paint(false)).collect()
}

#[test]
fn a_watch_fits_its_screen() {
    for height in 2..=80 {
        for width in [40, 80, 120] {
            let lines = fitted(&night(), width, height);
            assert!(lines.len() <= height, "{width}x{height}: {lines:#?}");
            assert!(lines[0].starts_with("15 tokens: "), "{lines:#?}");
        }
    }
    snapshot("screen_80x24", &fitted(&night(), 80, 24).join("\n"));
    // All ten that need somebody are seen, and what is left out is told.
    let short = fitted(&night(), 80, 16);
    assert!(short.iter().any(|line| line.starts_with("deploy ")), "{short:#?}");
    assert_eq!(short.last().map(String::as_str), Some("... and 5 more, all valid"), "{short:#?}");
    let shorter = fitted(&night(), 80, 8);
    assert_eq!(
        shorter.last().map(String::as_str),
        Some("... and 11 more: 6 valid, 1 pending, 4 retrying"),
        "{shorter:#?}"
    );
}

fn told(known: &LastHeard, waits: Option<std::time::Duration>) -> Vec<String> {
    known.notice(&clock(), waits).into_iter().map(|text| Line::plain(text).paint(false)).collect()
}

#[test]
fn what_is_no_longer_current_says_so() {
    let mut known = LastHeard::default();
    let answer = |status: Value| Response { status: Some(status), ..Response::done() };
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let not_there = || ClientError::NotThere { path: "/run/r.sock".into(), cause: std::io::ErrorKind::NotFound.into() };
    known.hear(Ok(answer(night())), at("2026-11-27T03:01:00Z"));
    assert!(told(&known, None).is_empty());
    let waits = told(&known, Some(std::time::Duration::from_millis(4_200)));
    assert_eq!(waits, ["the daemon has not answered for 4s; last known at 03:01:00 UTC:"]);
    known.hear(Err(not_there()), at("2026-11-27T03:01:01Z"));
    known.hear(Err(not_there()), at("2026-11-27T03:02:59Z"));
    let gone = "no daemon since 03:01:01 UTC (1m 59s ago): no daemon listens at /run/r.sock: entity not found; last known at 03:01:00 UTC:";
    assert_eq!(told(&known, None), [gone]);
    let mut of_state = night();
    of_state["from"] = "state".into();
    known.hear(Ok(answer(of_state)), at("2026-11-27T03:03:00Z"));
    assert_eq!(told(&known, None), ["no daemon since 03:01:01 UTC (1m 59s ago)"]);
    // A timer's tokens never had one.
    let mut of_timer = LastHeard::default();
    let mut of_state = night();
    of_state["from"] = "state".into();
    of_timer.hear(Ok(answer(of_state)), at("2026-11-27T03:03:00Z"));
    assert_eq!(told(&of_timer, None), ["no daemon answers: this is read from the state and the files"]);
    known.hear(Ok(answer(night())), at("2026-11-27T03:03:00Z"));
    assert!(told(&known, None).is_empty());
    known.hear(Ok(Response::failed(64, vec!["token x is not in the config".into()])), at("2026-11-27T03:03:00Z"));
    assert_eq!(told(&known, None), ["error: token x is not in the config; last known at 03:03:00 UTC:"]);
}
