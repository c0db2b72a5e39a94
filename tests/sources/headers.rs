//! What stands in an answer's header: when to ask again, and what time it is for the server.

use std::fmt::Write;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::binary::token;
use crate::setting::{oauth2, refused};
use support::http::{Server, answer, json, refusal};
use support::{Sandbox, openssl, until};

#[test]
fn a_limit_that_is_spent_is_waited_for_and_is_no_refusal() {
    let date = |seconds: i64| {
        let at = Timestamp::now() + SignedDuration::from_secs(seconds);
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    let epoch = |seconds: i64| (Timestamp::now().as_second() + seconds).to_string();
    let reset: fn(&str) -> String = |seconds| seconds.to_owned();
    let cases = [
        (429, vec![("RateLimit-Reset", reset("30"))], Some(30)),
        (429, vec![("X-RateLimit-Reset", epoch(100))], Some(100)),
        (403, vec![("X-RateLimit-Remaining", reset("0")), ("X-RateLimit-Reset", epoch(100))], Some(100)),
        (429, vec![("RateLimit", reset(r#""default";r=0;t=50"#))], Some(50)),
        (403, vec![("X-RateLimit-Remaining", reset("7")), ("X-RateLimit-Reset", epoch(100))], None),
        // By the server's clock, whatever this machine's says.
        (429, vec![("Date", date(7200)), ("X-RateLimit-Reset", epoch(7300))], Some(100)),
        (503, vec![("Date", date(-7200)), ("Retry-After", date(-7100))], Some(100)),
    ];
    for (status, headers, wait) in cases {
        let sent = headers.clone();
        let server = Server::start(move |_| {
            let act = answer(status, "text/plain", "");
            sent.iter().fold(act, |act, (name, value)| act.header(name, value.clone()))
        });
        let error = refused(oauth2(&server.url("/")));
        let told = error.retry_after.map(|told| told.as_secs());
        let near = |told: u64| wait.is_some_and(|wait| (wait - 5..=wait).contains(&told));
        assert!(told.map_or(wait.is_none(), near), "{headers:?}: {told:?}");
        assert_eq!(error.reason.as_str(), if wait.is_some() { "unreachable" } else { "rejected" }, "{headers:?}");
    }
}

#[test]
fn a_code_that_names_the_credential_is_a_refusal_though_the_limit_is_spent() {
    let server = Server::start(|_| {
        let refused = refusal(401, r#"{"error":"invalid_client"}"#);
        refused.header("X-RateLimit-Remaining", "0").header("X-RateLimit-Reset", "100")
    });
    let error = refused(oauth2(&server.url("/")));
    assert_eq!((error.reason.as_str(), error.retry_after), ("rejected", Some(Duration::from_secs(100))));
}

/// Every source that asks over HTTP, and the discovery of an issuer: each is left alone until the reset.
#[test]
fn every_source_obeys_the_reset() {
    let sandbox = Sandbox::new();
    let server = Server::start(|_| answer(429, "application/json", "{}").header("X-RateLimit-Reset", "600"));
    let (url, out) = (server.url(""), sandbox.out(""));
    sandbox.put("app.pem", openssl(&["genrsa", "2048"], b""));
    let sources = [
        (
            "oauth2",
            format!(
                "token_url = \"{url}/t\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\nclient_secret.file = \"secret\""
            ),
        ),
        (
            "oauth2",
            format!(
                "issuer = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\nclient_secret.file = \"secret\""
            ),
        ),
        ("http", format!("url = \"{url}/t\"\nresponse = {{ token = \"/t\" }}\nttl = \"1h\"")),
        (
            "github-app",
            format!("app_id = \"1\"\ninstallation_id = \"1\"\nprivate_key.file = \"app.pem\"\napi_url = \"{url}\""),
        ),
    ];
    let mut config = String::new();
    for (number, (source, keys)) in sources.iter().enumerate() {
        let out = out.join(format!("t{number}"));
        write!(
            config,
            "[token.t{number}]\nsource = \"{source}\"\n{keys}\n[[token.t{number}.output]]\nformat = \"token\"\npath = \"{}\"\n",
            out.display()
        )
        .unwrap();
    }
    sandbox.config_with("ready_timeout = \"1s\"", config);
    let daemon = sandbox.start();
    for number in 0..sources.len() {
        let name = format!("t{number}");
        until("it was asked for", || daemon.token(&name)["failures"] == 1);
        let token = daemon.token(&name);
        let next: Timestamp = token["next_try_at"].as_str().unwrap().parse().unwrap();
        let wait = next.as_second() - Timestamp::now().as_second();
        assert!((580..=680).contains(&wait), "{wait} s: {token:#}");
        assert_eq!(token["reason"], "unreachable", "{token:#}");
    }
    daemon.stop();
}

#[test]
fn a_clock_that_is_off_is_told_with_the_refusal_and_in_status() {
    let sandbox = Sandbox::new();
    let server = Server::start(|seen| {
        let at = Timestamp::now() + Duration::from_secs(if seen.path == "/off" { 7200 } else { 20 });
        let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let refused = refusal(401, r#"{"error":"invalid_client"}"#);
        if seen.path == "/off" {
            refused.header("Date", date)
        } else {
            json(r#"{"access_token":"a","expires_in":60}"#).header("Date", date)
        }
    });
    let config: String =
        ["off", "on"].iter().map(|name| token(&sandbox, name, &server.url(&format!("/{name}")), "")).collect();
    sandbox.config_with("ready_timeout = \"1s\"", config);
    let daemon = sandbox.start();
    until("both were asked for", || daemon.token("off")["failures"] == 1 && daemon.token("on")["state"] == "valid");
    let (off, on) = (daemon.token("off"), daemon.token("on"));
    let behind = off["clock_offset_seconds"].as_i64().unwrap();
    assert!((-7200..=-7190).contains(&behind), "{off:#}");
    let error = off["last_error"].as_str().unwrap();
    assert!(
        error.contains("; this machine's clock is 1h 59m behind the server's") || error.contains("clock is 2h behind"),
        "{error}"
    );
    assert!((-20..=-10).contains(&on["clock_offset_seconds"].as_i64().unwrap()), "{on:#}");
    let page = |name: &str| sandbox.ours(&["status", name]).text();
    assert!(page("off").contains("behind the server's"), "{}", page("off"));
    assert!(!page("on").contains("the server's"), "{}", page("on"));
    daemon.stop();
}
