//! The promise: a login by a device code (RFC 8628) shows address and code, asks as the issuer says, and ends in a clear word
//! whatever the issuer answers; a login that failed changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use crate::issuer::{Mail, access_token, refresh_token};

const SECRETS: [&str; 3] = ["hunter2", "access.1", "device."];

#[track_caller]
fn shows_nothing(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in: {text}");
    }
}

#[test]
fn a_token_waits_for_its_login_and_has_it_through_the_daemon() {
    let mail = Mail::new();
    let hook = mail.sandbox.script("told", "echo $RENEWD_TOKEN_NAME $RENEWD_REASON >> told.log");
    mail.config(
        "flow = \"device\", scope = \"openid offline_access\", params = { audience = \"mail\" }",
        &format!("[token.mail.on_failure]\ncommand = [{:?}]\n", hook.to_str().unwrap()),
    );
    let daemon = mail.sandbox.start();
    let token = mail.waits_for(&daemon, "login");
    assert_eq!(token["state"], "pending", "{token:#}");
    let error = token["last_error"].as_str().unwrap();
    assert_eq!(error, "it waits for its login: run `renewd login mail`");
    support::until("on_failure is told", || {
        std::fs::read_to_string(mail.sandbox.path("told.log")).is_ok_and(|told| told.contains("mail login"))
    });
    assert!(mail.issuer.server.seen().is_empty(), "nobody is asked before: {:?}", mail.issuer.server.seen());

    mail.issuer.says([(400, "authorization_pending")]);
    let ran = mail.sandbox.ours(&["login", "mail"]).expect(0);
    assert!(ran.stderr.contains(&mail.issuer.server.url("/verify")) && ran.stderr.contains("WDJB-MJHT"), "{ran:#?}");
    shows_nothing(&ran.text());
    // Delivered at once, and kept.
    assert_eq!(mail.delivered(), Some(access_token(1, 0)));
    assert!(mail.state_holds(&refresh_token(1, 0)));
    assert_eq!(daemon.token("mail")["state"], "valid");
    let began = mail.issuer.server.seen_at("/device");
    let sent = began[0].form();
    let has = |name: &str, value: &str| sent.iter().any(|(known, found)| known == name && found == value);
    assert!(has("scope", "openid offline_access") && has("audience", "mail") && has("client_id", "mail"), "{sent:?}");
    // The next one is made with what the login brought.
    assert!(mail.sandbox.rotate(&["mail"]));
    assert_eq!(mail.delivered(), Some(access_token(1, 1)));
    assert!(mail.issuer.is_alive(1));
    shows_nothing(&daemon.log());
    daemon.stop();
    // And so after a restart.
    let daemon = mail.sandbox.start();
    assert!(mail.sandbox.rotate(&["mail"]));
    assert_eq!(mail.delivered(), Some(access_token(1, 2)));
    daemon.stop();
}

#[test]
fn without_a_daemon_it_goes_into_the_state() {
    let mail = Mail::new();
    let ran = mail.sandbox.ours(&["once"]).expect(1);
    assert!(ran.stderr.contains("renewd login mail"), "{ran:#?}");
    let ran = mail.sandbox.ours(&["login", "mail"]).expect(0);
    assert!(ran.stderr.contains("no daemon runs"), "{ran:#?}");
    shows_nothing(&ran.text());
    assert_eq!(mail.delivered(), Some(access_token(1, 0)));
    assert!(mail.issuer.asked("refresh_token").is_empty(), "the login's own token is the first");
    let daemon = mail.sandbox.start();
    assert!(mail.sandbox.rotate(&["mail"]));
    assert_eq!(mail.delivered(), Some(access_token(1, 1)));
    daemon.stop();
    // Once more, over a token that is at hand.
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    assert_eq!(mail.delivered(), Some(access_token(2, 0)));
    assert!(mail.issuer.is_alive(1), "the old family was not touched: {:?}", mail.issuer.asked("refresh_token"));
}

#[test]
fn it_asks_as_often_as_it_is_told() {
    let mail = Mail::new();
    mail.issuer.says([(400, "authorization_pending"), (400, "slow_down"), (503, "temporarily_unavailable")]);
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    let asked = mail.issuer.asked("device_code");
    let pauses: Vec<Duration> = asked.windows(2).map(|two| two[1].at - two[0].at).collect();
    assert_eq!(pauses.len(), 3, "{asked:#?}");
    for (pause, least) in pauses.iter().zip([1, 6, 12]) {
        // The request before took its time, too.
        let least = Duration::from_secs(least).saturating_sub(Duration::from_millis(300));
        assert!(*pause >= least && *pause < least + Duration::from_secs(5), "{pauses:?}");
    }
    assert!(asked.iter().all(|seen| seen.field("device_code").as_deref() == Some("device.hunter2")));
}

#[test]
fn what_fails_says_why_and_changes_nothing() {
    type Prepare = fn(&Mail);
    let cases: [(&str, Prepare); 7] = [
        ("says that the login was refused there", |mail| mail.issuer.says([(400, "access_denied")])),
        ("the code was not used in time", |mail| mail.issuer.says([(400, "expired_token")])),
        ("invalid_grant", |mail| mail.issuer.says([(400, "invalid_grant")])),
        ("offline_access", |mail| mail.issuer.odd("refresh_token", Value::Null)),
        ("it holds no user_code", |mail| mail.issuer.device("user_code", Value::Null)),
        ("its verification_uri is not a valid https address", |mail| {
            mail.issuer.device("verification_uri", json!("javascript:alert(1)"));
        }),
        ("set device_authorization_url", |mail| {
            mail.issuer.tells("device_authorization_endpoint", Value::Null);
        }),
    ];
    for (wanted, prepare) in cases {
        let mail = Mail::new();
        mail.sandbox.ours(&["login", "mail"]).expect(0);
        let before = mail.issuer.current(1);
        prepare(&mail);
        let daemon = mail.sandbox.start();
        let ran = mail.sandbox.ours(&["login", "mail"]).expect(1);
        assert!(ran.stderr.contains(wanted) && ran.stderr.contains("nothing was changed"), "{wanted}: {ran:#?}");
        shows_nothing(&ran.text());
        assert_eq!(mail.delivered(), Some(access_token(1, 0)));
        assert_eq!(mail.issuer.current(1), before, "the old family was not touched");
        assert!(mail.sandbox.rotate(&["mail"]));
        daemon.stop();
    }
}

#[test]
fn a_code_ends_when_the_issuer_said() {
    let mail = Mail::new();
    mail.issuer.device("expires_in", json!("2"));
    mail.issuer.says([(400, "authorization_pending"); 9]);
    let ran = mail.sandbox.ours(&["login", "mail"]).expect(1);
    assert!(ran.stderr.contains("not used in time") && ran.stderr.contains("good for 2s"), "{ran:#?}");
    assert!(mail.issuer.asked("device_code").len() <= 2);
}

#[test]
fn an_ended_family_says_to_log_in_again() {
    let mail = Mail::new();
    let daemon = mail.sandbox.start();
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    mail.issuer.ends(1);
    assert!(!mail.sandbox.rotate(&["mail"]));
    let token = daemon.token("mail");
    assert_eq!((&token["reason"], &token["state"]), (&json!("login"), &json!("retrying")), "{token:#}");
    assert!(token["last_error"].as_str().unwrap().contains("renewd login mail"), "{token:#}");
    assert_eq!(mail.delivered(), Some(access_token(1, 0)), "what is there stays");
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    assert_eq!(mail.delivered(), Some(access_token(2, 0)));
    assert_eq!(daemon.token("mail")["reason"], Value::Null);
    daemon.stop();
}
