//! The daemon itself where an exchange of a refresh token goes wrong: what it says of the token in place, in the log and in
//! `status --json`, over restarts too; and what it says of a scope that was not granted.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use renewd::core::engine::Doubt;
use renewd::host::store::glimpse;
use serde_json::{Value, json};

use support::http::{Act, Server, answer, json};
use support::{Daemon, Sandbox, until};

const ROTATING: u8 = 0;
const SILENT: u8 = 1;
const REFUSING: u8 = 2;
const USELESS: u8 = 3;
const WRONG_CLIENT: u8 = 4;

/// A server that rotates refresh tokens, or fails as it is told.
struct Idp {
    server: Server,
    mood: Arc<AtomicU8>,
}

impl Idp {
    fn start() -> Self {
        let mood = Arc::new(AtomicU8::new(ROTATING));
        let (moody, made) = (mood.clone(), AtomicUsize::new(0));
        let server = Server::start(move |_| match moody.load(Ordering::SeqCst) {
            SILENT => Act::Hang,
            REFUSING => answer(400, "application/json", r#"{"error":"invalid_grant"}"#),
            USELESS => json(r#"{"access_token":"","refresh_token":"of-the-useless"}"#),
            WRONG_CLIENT => answer(401, "application/json", r#"{"error":"invalid_client"}"#),
            _ => {
                let n = made.fetch_add(1, Ordering::SeqCst);
                json(format!(
                    r#"{{"access_token":"access-{n}","expires_in":3600,"refresh_token":"next-{n}","refresh_expires_in":86400,"scope":"read"}}"#
                ))
            }
        });
        Self { server, mood }
    }

    fn is(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn sent(&self) -> Vec<String> {
        self.server.seen().iter().filter_map(|seen| seen.field("refresh_token")).collect()
    }
}

/// The same refresh, as `oauth2` or as `http`.
fn token(source: &str, sandbox: &Sandbox, idp: &Idp, timeout: &str) -> String {
    let (url, out) = (idp.server.url("/token"), sandbox.out("t.token"));
    let request = match source {
        "oauth2" => format!(
            "source = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"refresh_token\"\nclient_id = \"jobs\"\nclient_secret.file = \"secret\""
        ),
        _ => format!(
            "source = \"http\"\nurl = \"{url}\"\nform = {{ refresh_token = \"{{{{ refresh_token }}}}\" }}\n\
             response = {{ token = \"/access_token\", expires_in = \"/expires_in\", refresh_token = \"/refresh_token\" }}"
        ),
    };
    format!(
        "[token.t]\n{request}\nrefresh_token.file = \"first.refresh\"\ntimeout = \"{timeout}\"\n\
         retry = {{ initial = \"1h\", max = \"1h\", rejected = \"1h\" }}\n\
         output = [{{ format = \"json\", path = \"{}\" }}]\n",
        out.display()
    )
}

fn time(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("a time: {value}"))
}

#[track_caller]
fn is_certain(daemon: &Daemon<'_>) {
    let row = daemon.token("t");
    assert_eq!((&row["certain"], &row["uncertain_why"]), (&json!(true), &Value::Null), "{row}");
}

#[track_caller]
fn is_doubted(daemon: &Daemon<'_>, words: &str) {
    let row = daemon.token("t");
    assert_eq!(row["certain"], false, "{row}");
    assert!(row["uncertain_why"].as_str().is_some_and(|why| why.contains(words)), "{words}: {row}");
    assert_eq!(row["state"], "retrying", "by its time it is good");
    assert!(!daemon.log().contains("still valid"), "{}", daemon.log());
}

/// `kill -9`, once the state holds how the last exchange ended: it is written after the answer was told.
fn kill_when_kept(sandbox: &Sandbox, daemon: Daemon<'_>, doubt: Option<Doubt>) {
    until("the end of the exchange is in the state", || {
        let state = glimpse(&sandbox.path("state"), &sandbox.path("config.toml")).expect("it can be read");
        let mut kept = state.into_iter().flat_map(|state| state.kept.refreshes.into_values());
        kept.all(|kept| kept.doubt == doubt && (doubt.is_some() || !kept.begun))
    });
    daemon.kill9();
}

/// A rotation that is to fail; it is over when this returns.
fn failing_rotation(sandbox: &Sandbox) {
    assert!(!sandbox.rotate(&["t"]), "it fails");
}

#[test]
fn a_token_whose_family_may_be_revoked_is_doubted_until_another_is_there() {
    for source in ["oauth2", "http"] {
        let (sandbox, idp) = (Sandbox::new(), Idp::start());
        sandbox.put("first.refresh", "first-1");
        sandbox.config(token(source, &sandbox, &idp, "700ms"));
        let daemon = sandbox.start();
        is_certain(&daemon);

        // The answer is lost twice: from the first time on it is said, while the second is waited for too.
        idp.is(SILENT);
        std::thread::scope(|scope| {
            scope.spawn(|| failing_rotation(&sandbox));
            until("the first answer is lost", || idp.server.seen().len() == 3);
            until("it is doubted", || daemon.token("t")["certain"] == false);
        });
        is_doubted(&daemon, "no answer tells whether it was exchanged");
        let end = daemon.token("t")["expires_at"].as_str().expect("an end").to_owned();
        let said =
            format!("may have been revoked by the issuer with its family; by its time it would be good until {end}");
        assert!(daemon.log().contains(&said), "{said}: {}", daemon.log());

        // Refused after that, it looks like theft over there.
        idp.is(REFUSING);
        failing_rotation(&sandbox);
        is_doubted(&daemon, "sent again after an exchange whose end is not known, and was refused");
        assert_eq!(daemon.token("t")["reason"], "rejected");
        // A clean refusal of the client makes nothing certain again.
        idp.is(WRONG_CLIENT);
        failing_rotation(&sandbox);
        is_doubted(&daemon, "sent again after an exchange");

        // Nor does a restart.
        kill_when_kept(&sandbox, daemon, Some(Doubt::Reused));
        let daemon = sandbox.start();
        until("it is tried again", || daemon.token("t")["reason"] == "rejected");
        is_doubted(&daemon, "sent again after an exchange");

        idp.is(ROTATING);
        sandbox.put("first.refresh", "first-2");
        until("another token", || daemon.token("t")["reason"].is_null() && daemon.token("t")["certain"] == true);
        is_certain(&daemon);
        assert_eq!(idp.sent().last().map(String::as_str), Some("first-2"));
        daemon.stop();
        let daemon = sandbox.start();
        is_certain(&daemon);
        daemon.stop();
    }
}

#[test]
fn what_was_not_exchanged_leaves_the_token_certain() {
    for source in ["oauth2", "http"] {
        let (sandbox, idp) = (Sandbox::new(), Idp::start());
        sandbox.put("first.refresh", "first-1");
        sandbox.config(token(source, &sandbox, &idp, "10s"));
        let daemon = sandbox.start();
        idp.is(WRONG_CLIENT);
        failing_rotation(&sandbox);
        is_certain(&daemon);
        assert!(daemon.log().contains("the one in place is still valid"), "{}", daemon.log());
        kill_when_kept(&sandbox, daemon, None);
        // The state knows that nothing is under way: what is valid is kept, and nobody is asked.
        let asked = idp.server.seen().len();
        let daemon = sandbox.start();
        is_certain(&daemon);
        assert_eq!(idp.server.seen().len(), asked);
        daemon.stop();
    }
}

#[test]
fn an_answer_of_no_use_leaves_the_token_in_place_in_doubt_and_the_successor_in_the_state() {
    let (sandbox, idp) = (Sandbox::new(), Idp::start());
    sandbox.put("first.refresh", "first-1");
    sandbox.config(token("oauth2", &sandbox, &idp, "10s"));
    let daemon = sandbox.start();
    idp.is(USELESS);
    failing_rotation(&sandbox);
    is_doubted(&daemon, "was exchanged, and the answer was of no use");
    kill_when_kept(&sandbox, daemon, Some(Doubt::Unread));
    idp.is(SILENT);
    let daemon = sandbox.start();
    assert_eq!(daemon.token("t")["certain"], false, "over a restart too");
    idp.is(ROTATING);
    assert!(sandbox.rotate(&["t"]), "{}", daemon.log());
    is_certain(&daemon);
    assert_eq!(idp.sent(), ["first-1", "next-0", "of-the-useless"]);
    daemon.stop();
}

/// kill -9 between the sending and the answer: the restart repeats the exchange, and counts from the first sending.
#[test]
fn an_exchange_cut_by_a_crash_counts_from_its_first_sending() {
    for source in ["oauth2", "http"] {
        let (sandbox, idp) = (Sandbox::new(), Idp::start());
        sandbox.put("first.refresh", "first-1");
        sandbox.config(token(source, &sandbox, &idp, "30s"));
        idp.is(SILENT);
        let daemon = sandbox.daemon().spawn();
        until("it is sent", || idp.sent().len() == 1);
        let sent_by = Timestamp::now();
        daemon.kill9();
        // Long enough to be told from the moment of the repetition by a clock of whole seconds.
        std::thread::sleep(Duration::from_millis(2100));
        idp.is(ROTATING);
        let daemon = sandbox.start();
        let row = daemon.token("t");
        let hour = jiff::SignedDuration::from_secs(3600);
        assert!(time(&row["expires_at"]) <= sent_by + hour, "{row}, sent before {sent_by}");
        assert!(time(&row["issued_at"]) <= sent_by, "{row}");
        assert!(time(&row["login_expires_at"]) <= sent_by + hour * 24, "{row}");
        assert_eq!(idp.sent(), ["first-1", "first-1"]);
        // The next one is a new exchange.
        let before = Timestamp::now();
        assert!(sandbox.rotate(&["t"]), "{}", daemon.log());
        assert!(time(&daemon.token("t")["issued_at"]).as_second() >= before.as_second(), "{}", daemon.token("t"));
        daemon.stop();
    }
}

#[test]
fn the_end_of_the_login_and_the_scope_are_told_over_restarts() {
    let (sandbox, idp) = (Sandbox::new(), Idp::start());
    sandbox.put("first.refresh", "first-1");
    sandbox.config(token("oauth2", &sandbox, &idp, "10s"));
    let daemon = sandbox.start();
    let row = daemon.token("t");
    let day = jiff::SignedDuration::from_secs(86400);
    let off = time(&row["login_expires_at"]).as_second() - (time(&row["issued_at"]) + day).as_second();
    assert!((0..=1).contains(&off), "{row}");
    assert_eq!(row["scope"], "read");
    daemon.stop();
    let daemon = sandbox.start();
    let again = daemon.token("t");
    assert_eq!((&again["login_expires_at"], &again["scope"]), (&row["login_expires_at"], &row["scope"]));
    daemon.stop();
}

#[test]
fn a_scope_that_is_missing_is_told_once_as_long_as_it_is_the_same() {
    let sandbox = Sandbox::new();
    let granted = Arc::new(Mutex::new("orders.read".to_owned()));
    let grants = granted.clone();
    let server = Server::start(move |_| {
        let scope = grants.lock().expect("a lock").clone();
        json(format!(r#"{{"access_token":"a","expires_in":3600,"scope":"{scope}"}}"#))
    });
    let config = |scope: &str| {
        sandbox.config(format!(
            "[token.t]\nsource = \"oauth2\"\ntoken_url = \"{}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
             client_secret.file = \"secret\"\nscope = \"{scope}\"\noutput = [{{ format = \"token\", path = \"{}\" }}]\n",
            server.url("/token"),
            sandbox.out("t.token").display()
        ));
    };
    config("orders.read orders.wriet");
    let ran = sandbox.ours(&["check", "--online"]).expect(0);
    let line = ran.stdout.lines().find(|line| line.starts_with("t: ok, obtained")).expect("a line");
    assert!(line.contains("warning: ") && line.contains("\"orders.wriet\""), "{line}");
    assert!(!line.contains("scope \"orders.read\""), "only what is missing: {line}");

    let told = |text: &str| text.matches("did not grant the scope").count();
    let daemon = sandbox.start();
    assert!(daemon.log().contains("token t: the issuer did not grant the scope \"orders.wriet\""), "{}", daemon.log());
    for _ in 0..2 {
        assert!(sandbox.rotate(&["t"]));
    }
    assert_eq!(told(&daemon.log()), 1, "{}", daemon.log());
    *granted.lock().expect("a lock") = "orders.list".into();
    assert!(sandbox.rotate(&["t"]));
    assert_eq!(told(&daemon.log()), 2, "another one is missing: {}", daemon.log());
    *granted.lock().expect("a lock") = "orders.wriet orders.read".into();
    assert!(sandbox.rotate(&["t"]));
    assert!(daemon.log().contains("grants all of its scope again"), "{}", daemon.log());
    *granted.lock().expect("a lock") = "orders.read".into();
    assert!(sandbox.rotate(&["t"]));
    assert_eq!(told(&daemon.log()), 3, "{}", daemon.log());
    daemon.stop();

    // A restart knows that it was told; other settings are another matter.
    let daemon = sandbox.start();
    assert!(sandbox.rotate(&["t"]));
    assert_eq!(told(&daemon.log()), 0, "{}", daemon.log());
    daemon.stop();
    config("orders.read orders.write");
    let ran = sandbox.ours(&["once"]).expect(0);
    assert!(ran.stderr.contains("\"orders.write\"") && told(&ran.stderr) == 1, "{}", ran.stderr);
    assert_eq!(told(&sandbox.ours(&["once"]).expect(0).stderr), 0);
}
