//! Answers that a network lost, and scopes that are misspelt, at real issuers: what they make of it, and that renewd says no more
//! than it knows.

use serde_json::{Value, json};

use crate::host::token;
use crate::issuer::Issuer;
use crate::relay::{Loss, Relay};
use support::{Daemon, Sandbox};

const SECRET: &str = "a-secret-of-thirty-two-characters";

/// A refresh of the client `jobs` by the relay.
fn config(sandbox: &Sandbox, issuer: &Issuer, relay: &Relay, timeout: &str) {
    sandbox.put("client.secret", SECRET);
    sandbox.put("first.refresh", issuer.first_refresh_token("jobs"));
    sandbox.config(token(
        "t",
        &format!(
            "source = \"oauth2\"\ntoken_url = \"{}\"\ngrant = \"refresh_token\"\nclient_id = \"jobs\"\n\
             client_secret.file = \"client.secret\"\nrefresh_token.file = \"first.refresh\"\ntimeout = \"{timeout}\"\n\
             retry = {{ initial = \"1h\", max = \"1h\", rejected = \"1h\" }}",
            relay.url("/token")
        ),
    ));
}

fn oidc_clients() -> Value {
    json!([{"client_id": "jobs", "client_secret": SECRET, "grant_types": ["refresh_token", "client_credentials"],
        "redirect_uris": [], "response_types": [], "scope": "read write offline_access"}])
}

/// The issuer has ended the token in place, and by its time it would be good for long.
fn a_dead_token_is_not_called_valid(sandbox: &Sandbox, issuer: &Issuer, daemon: &Daemon<'_>) {
    assert_eq!(issuer.good(&sandbox.read("t.token"))["good"], false, "it is ended over there");
    let row = daemon.token("t");
    assert_eq!((&row["state"], &row["certain"]), (&json!("retrying"), &json!(false)), "{row}");
    assert!(row["uncertain_why"].is_string(), "{row}");
    let log = daemon.log();
    assert!(log.contains("may have been revoked by the issuer") && !log.contains("still valid"), "{log}");
}

#[test]
fn a_lost_answer_ends_the_family_at_an_openid_provider() {
    let sandbox = Sandbox::new();
    let test = "a_lost_answer_ends_the_family_at_an_openid_provider";
    let Some(idp) = Issuer::oidc(test, &sandbox, &oidc_clients(), None) else { return };
    let relay = Relay::start(&idp.token_url, Loss::Closed);
    config(&sandbox, &idp, &relay, "10s");
    let daemon = sandbox.start();
    assert_eq!(idp.good(&sandbox.read("t.token"))["good"], true);
    assert_eq!(daemon.token("t")["certain"], true);

    relay.lose(1);
    assert!(!sandbox.rotate(&["t"]), "the second sending is refused");
    let why = idp.asked_by("jobs").pop().expect("a request")["why"].take();
    assert_eq!(why, "refresh token already used");
    a_dead_token_is_not_called_valid(&sandbox, &idp, &daemon);
    assert_eq!(daemon.token("t")["reason"], "rejected");

    // Another login ends the doubt.
    daemon.reloaded_by(|| drop(sandbox.put("first.refresh", idp.first_refresh_token("jobs"))));
    support::until("another token", || daemon.token("t")["certain"] == true);
    assert_eq!(idp.good(&sandbox.read("t.token"))["good"], true);
    daemon.stop();
}

#[test]
fn each_refresh_ends_the_token_in_place_at_django() {
    let sandbox = Sandbox::new();
    let test = "each_refresh_ends_the_token_in_place_at_django";
    let Some(server) = Issuer::django(test, &sandbox, SECRET, 0, false) else { return };
    let relay = Relay::start(&server.token_url, Loss::Closed);
    config(&sandbox, &server, &relay, "10s");
    let daemon = sandbox.start();
    assert_eq!(server.good(&sandbox.read("t.token"))["good"], true);
    relay.lose(2);
    assert!(!sandbox.rotate(&["t"]), "both answers are lost");
    a_dead_token_is_not_called_valid(&sandbox, &server, &daemon);
    // So it is after a crash: the state tells.
    daemon.kill9();
    let daemon = sandbox.start();
    assert_eq!(daemon.token("t")["certain"], false);
    daemon.stop();
}

/// With a grace it answers a second sending with the pair of the first, and its whole lifetime again.
#[test]
fn a_grace_of_django_makes_no_token_live_longer() {
    let sandbox = Sandbox::new();
    let test = "a_grace_of_django_makes_no_token_live_longer";
    let Some(server) = Issuer::django(test, &sandbox, SECRET, 120, false) else { return };
    let relay = Relay::start(&server.token_url, Loss::Silent);
    relay.lose(1);
    config(&sandbox, &server, &relay, "3s");
    let daemon = sandbox.start();
    let asked = server.seen()["token"].take();
    assert_eq!(asked.as_array().map(Vec::len), Some(2), "{asked:#}");
    let book = server.good(&sandbox.read("t.token"));
    assert_eq!(book["good"], true);
    let told: jiff::Timestamp =
        daemon.token("t")["expires_at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    let ends = book["ends"].as_f64().expect("a time");
    assert!(told.as_second() as f64 <= ends + 1.0, "{told} is {:.1} s beyond its end", told.as_second() as f64 - ends);
    assert!(told.as_second() as f64 >= ends - 10.0, "{told} is {:.1} s before its end", ends - told.as_second() as f64);
    daemon.stop();
}

#[test]
fn a_misspelt_scope_is_told_of_an_openid_provider_and_an_authorization_server() {
    let sandbox = Sandbox::new();
    let test = "a_misspelt_scope_is_told_of_an_openid_provider_and_an_authorization_server";
    let authlib = json!([{"id": "jobs", "secret": SECRET, "auth": "client_secret_basic", "grants": ["client_credentials"],
        "scope": "read"}]);
    let Some(idp) = Issuer::oidc(test, &sandbox, &oidc_clients(), None) else { return };
    let Some(server) = Issuer::authlib(test, &sandbox, &authlib) else { return };
    sandbox.put("client.secret", SECRET);
    let of = |name: &str, url: &str, scope: &str| {
        let settings = format!(
            "source = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
             client_secret.file = \"client.secret\"\nscope = \"{scope}\""
        );
        token(name, &settings)
    };
    sandbox.config(
        of("idp", &idp.token_url, "read wriet")
            + &of("server", &server.token_url, "read wriet")
            + &of("good", &idp.token_url, "write read"),
    );
    let told = |text: &str, name: &str| {
        text.lines()
            .any(|line| line.contains(&format!("{name}: ")) && line.contains("did not grant the scope \"wriet\""))
    };
    let checked = sandbox.ours(&["check", "--online"]).expect(0).stdout;
    let ran = sandbox.ours(&["once"]).expect(0).stderr;
    for (name, is_told) in [("idp", true), ("server", true), ("good", false)] {
        assert_eq!((told(&checked, name), told(&ran, name)), (is_told, is_told), "{name}: {checked}{ran}");
    }
}
