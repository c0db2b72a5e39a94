//! `source = "github-app"` end to end: the real binary against a stub that answers as GitHub's REST API documents, and verifies
//! the app's JWT with openssl.
#![forbid(unsafe_code)]

mod hub;

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use hub::{Hub, error};
use support::http::{Act, answer};
use support::{Daemon, PATIENCE, Ran, Sandbox, eventually, now, openssl};

const TOKEN: &str = "ghs_16C7e42F292c6912E7710c838347Ae178B4a";

struct Case {
    sandbox: Sandbox,
    hub: Hub,
}

impl Case {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let hub = Hub::start(sandbox.dir());
        Self { sandbox, hub }
    }

    /// `[token.gh]` with these lines, delivered as JSON.
    fn config(&self, lines: &str) {
        let api = self.hub.url();
        let api = if lines.contains("api_url") { String::new() } else { format!("api_url = \"{api}\"\n") };
        self.sandbox.config(format!(
            "[token.gh]\nsource = \"github-app\"\napp_id = \"{}\"\nprivate_key.file = \"app.pem\"\n{api}{lines}\n\
             min_interval = \"0s\"\n[[token.gh.output]]\nformat = \"json\"\npath = \"out/gh.json\"\n",
            hub::APP
        ));
        fs::set_permissions(self.sandbox.path("app.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn once(&self, lines: &str) -> Ran {
        self.config(lines);
        self.hub.forget();
        self.sandbox.ours(&["once"])
    }

    /// The requests, each as method and path.
    fn lines(&self) -> Vec<String> {
        self.hub.asked().iter().map(|seen| format!("{} {}", seen.method, seen.path.replace("/api/v3", ""))).collect()
    }

    /// A daemon that knows nothing of the failures of earlier ones.
    fn anew(&self) -> Daemon<'_> {
        // The first time there is none.
        let _ = fs::remove_dir_all(self.sandbox.path("state"));
        self.sandbox.daemon().spawn()
    }

    /// What `status` tells of the token once a try has failed.
    fn failure(&self) -> Value {
        eventually(PATIENCE, "it has failed", || {
            let ran = self.sandbox.ours(&["status", "--json"]);
            let status: Value = serde_json::from_str(&ran.stdout).ok()?;
            let token = status["tokens"][0].clone();
            (token["failures"].as_u64()? > 0).then_some(token)
        })
    }

    fn delivered(&self) -> Value {
        serde_json::from_str(&self.sandbox.read("gh.json")).expect("JSON")
    }
}

#[test]
fn an_installation_is_named_or_looked_up() {
    let case = Case::new();
    let post = |id: u8| format!("POST /app/installations/{id}/access_tokens");
    for (lines, id, lookups) in [
        ("installation_id = \"1\"", 1, vec![]),
        ("installation_owner = \"acme\"", 1, vec!["GET /orgs/acme/installation"]),
        ("installation_owner = \"joe\"", 2, vec!["GET /orgs/joe/installation", "GET /users/joe/installation"]),
        ("repository = \"acme/jobs\"", 3, vec!["GET /repos/acme/jobs/installation"]),
    ] {
        case.once(lines).expect(0);
        let mut wanted: Vec<String> = lookups.into_iter().map(str::to_owned).collect();
        wanted.push(post(id));
        assert_eq!(case.lines(), wanted);
        let delivered = case.delivered();
        assert_eq!(delivered["token"], format!("{TOKEN}{id}"));
        let at: jiff::Timestamp = delivered["expires_at"].as_str().unwrap().parse().unwrap();
        assert!((3500.0..=3601.0).contains(&(at.as_second() as f64 - now())), "{delivered}");
    }
}

#[test]
fn what_is_asked_is_what_github_documents() {
    let case = Case::new();
    case.once("installation_id = \"1\"\npermissions = { contents = \"read\", pull_requests = \"write\" }\nrepositories = [\"jobs\", \"docs\"]")
        .expect(0);
    let asked = case.hub.asked().pop().unwrap();
    assert_eq!(asked.header("accept"), Some("application/vnd.github+json"));
    assert_eq!(asked.header("x-github-api-version"), Some("2022-11-28"));
    assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("renewd/")));
    let wanted =
        json!({"repositories": ["jobs", "docs"], "permissions": {"contents": "read", "pull_requests": "write"}});
    assert_eq!(asked.json(), wanted);
    case.once("installation_id = \"2\"").expect(0);
    assert_eq!(case.hub.asked().pop().unwrap().json(), json!({}));
}

#[test]
fn refusals_are_told_in_githubs_words_with_what_to_do() {
    let case = Case::new();
    let message = |status, text: &str| Some(error(status, text));
    let html = Some(answer(502, "text/html", "<html>hunter2"));
    let no_token = Some(answer(201, "application/json", json!({"token": null}).to_string()));
    let with_token = format!("leaked {TOKEN}1 and more");
    for (instead, lines, wanted, reason) in [
        (
            message(401, "Bad credentials"),
            "1",
            "answered 401 Unauthorized: Bad credentials; does private_key",
            "rejected",
        ),
        (message(403, "This installation has been suspended"), "1", "installation 1 is suspended", "rejected"),
        (None, "9", "answered 404 Not Found: Not Found; installation 9 is not there", "rejected"),
        (
            message(422, "The permissions requested are not granted to this installation."),
            "1",
            "not granted to this installation.; installation 1 does not have",
            "rejected",
        ),
        (message(422, &with_token), "1", "leaked [masked] and more", "rejected"),
        (message(500, "Server Error"), "1", "answered 500 Internal Server Error: Server Error", "unreachable"),
        (html, "1", "answered 502 Bad Gateway", "unreachable"),
        (no_token, "1", "nothing at \"/token\"", "invalid_answer"),
    ] {
        case.hub.answer_instead(instead);
        case.config(&format!("installation_id = \"{lines}\""));
        let daemon = case.anew();
        let token = case.failure();
        assert_eq!(token["reason"], reason, "{token}");
        let told = token["last_error"].as_str().unwrap();
        assert!(told.contains(wanted), "{told}");
        let log = daemon.log();
        assert!(!log.contains("hunter2") && !log.contains(TOKEN), "{log}");
        daemon.stop();
    }
}

#[test]
fn what_is_looked_up_and_not_there_is_told() {
    let case = Case::new();
    for (lines, wanted) in [
        ("installation_owner = \"nobody\"", "an installation for owner nobody is not there: is the app installed"),
        ("repository = \"acme/secret\"", "an installation for repository acme/secret is not there"),
    ] {
        let ran = case.once(lines).expect(1);
        assert!(ran.stderr.contains(wanted), "{ran:#?}");
    }
    let wrong = format!("installation_id = \"1\"\napi_url = \"{}\"", case.hub.url().replace("/api/v3", ""));
    let ran = case.once(&wrong).expect(1);
    assert!(ran.stderr.contains("ends in /api/v3") && !ran.text().contains("hunter2"), "{ran:#?}");
}

#[test]
fn another_apps_key_is_refused() {
    let case = Case::new();
    let key = case.sandbox.path("app.pem");
    openssl(&["genrsa", "-out", key.to_str().unwrap(), "2048"], b"");
    let ran = case.once("installation_id = \"1\"").expect(1);
    assert!(
        ran.stderr.contains("A JSON web token could not be decoded; does private_key belong to this app"),
        "{ran:#?}"
    );
}

#[test]
fn a_limit_is_no_refusal_and_its_time_is_kept() {
    let case = Case::new();
    let reset = |seconds: i64| (now() as i64 + seconds).to_string();
    let spent = |answer: Act| answer.header("X-RateLimit-Remaining", "0");
    let left = |answer: Act| answer.header("X-RateLimit-Remaining", "4999");
    let exceeded = "API rate limit exceeded for installation ID 1.";
    let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    for (limit, wait) in [
        (spent(error(403, exceeded)).header("X-RateLimit-Reset", reset(900)), 900.0),
        (spent(error(429, exceeded)).header("X-RateLimit-Reset", reset(600)), 600.0),
        (left(error(403, "x")).header("X-RateLimit-Reset", reset(900)).header("Retry-After", "120"), 120.0),
        (left(error(403, secondary)).header("X-RateLimit-Reset", reset(900)), 60.0),
        (error(429, "Too many requests"), 60.0),
    ] {
        let shown = format!("{limit:?}");
        case.hub.answer_instead(Some(limit));
        case.config("installation_id = \"1\"\nretry = { initial = \"1s\", max = \"1s\" }");
        let daemon = case.anew();
        let token = case.failure();
        assert_eq!(token["reason"], "unreachable", "{shown}: {token}");
        let next: jiff::Timestamp = token["next_rotation_at"].as_str().unwrap().parse().unwrap();
        let until_next = next.as_second() as f64 - now();
        assert!((wait - 40.0..=wait * 1.2 + 2.0).contains(&until_next), "{shown}: {until_next}");
        daemon.stop();
    }
}

#[test]
fn a_hub_that_hangs_is_left_at_sigterm() {
    let case = Case::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    case.config(&format!("installation_id = \"1\"\napi_url = \"http://{}\"", listener.local_addr().unwrap()));
    let mut daemon = case.sandbox.daemon().spawn();
    let (connection, _) = listener.accept().unwrap();
    let (status, took) = daemon.end(rustix::process::Signal::TERM);
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(connection);
}
