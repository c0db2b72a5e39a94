//! The promise: what a login brought is in the state whole, or not begun, wherever either side is killed; only root and the daemon's
//! own user bring one, and only for the settings that the daemon runs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::issuer::{Mail, access_token};
use support::{Dice, eventually, long, until};

#[test]
fn a_login_that_is_killed_while_it_waits_leaves_all_as_it_was() {
    let mail = Mail::new();
    let daemon = mail.sandbox.start();
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    mail.issuer.says([(400, "authorization_pending"); 99]);
    let mut login = mail.logging_in();
    until("it asks", || mail.issuer.asked("device_code").len() > 2);
    login.kill().expect("kill");
    login.wait().expect("wait");
    assert!(mail.sandbox.rotate(&["mail"]));
    assert_eq!(mail.delivered(), Some(access_token(1, 1)));
    daemon.stop();
}

/// From the issuer's last answer on, each side is killed at some moment.
#[test]
fn killed_anywhere_the_family_is_whole_or_not_begun() {
    let mut dice = Dice::new("killed_anywhere_the_family_is_whole_or_not_begun");
    let runs = if long() { 100 } else { 8 };
    let (mut whole, mut not_begun) = (0, 0);
    for run in 0..runs {
        let mail = Mail::new();
        let daemon = mail.sandbox.start();
        let mut login = mail.logging_in();
        until("somebody has logged in", || mail.issuer.logins() == 1);
        std::thread::sleep(Duration::from_micros(dice.below(30_000)));
        // Either of them, then the other.
        if run % 2 == 0 {
            login.kill().expect("kill");
            daemon.kill9();
        } else {
            daemon.kill9();
            login.kill().expect("kill");
        }
        login.wait().expect("wait");
        let daemon = mail.sandbox.start();
        let is_kept = mail.sandbox.rotate(&["mail"]);
        if is_kept {
            whole += 1;
            assert!(mail.issuer.is_alive(1), "{:?}", mail.issuer.asked("refresh_token"));
        } else {
            not_begun += 1;
            assert_eq!(daemon.token("mail")["reason"], "login", "{:#}", daemon.token("mail"));
            assert!(mail.issuer.asked("refresh_token").is_empty(), "nothing of it was used");
        }
        daemon.stop();
    }
    println!("{whole} whole, {not_begun} not begun");
}

/// The old family is being exchanged when the new one comes: neither is lost, and the new one counts.
#[test]
fn a_login_waits_for_the_exchange_that_is_under_way() {
    let mail = Mail::new();
    let daemon = mail.sandbox.start();
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    for _ in 0..5 {
        let mut command = mail.sandbox.command(&[]);
        command.args(["rotate", "--force", "-c"]).arg(mail.sandbox.path("config.toml"));
        let mut rotating = mail.sandbox.detached(command);
        mail.sandbox.ours(&["login", "mail"]).expect(0);
        rotating.wait().expect("wait");
        let newest = mail.issuer.logins();
        assert!(mail.sandbox.rotate(&["mail"]));
        let delivered = mail.delivered().unwrap();
        assert!(delivered.starts_with(&format!("access.{newest}.")), "{delivered}");
        assert!((1..=newest).all(|family| mail.issuer.is_alive(family)));
    }
    daemon.stop();
}

#[test]
fn what_is_wrong_is_told_before_anybody_logs_in() {
    let mail = Mail::new();
    let ran = mail.sandbox.ours(&["login", "other"]).expect(64);
    assert!(ran.stderr.contains("token other is not in the config"), "{ran:#?}");
    let daemon = mail.sandbox.start();
    for request in [
        json!({ "command": "login", "name": "mail", "settings": "00" }),
        json!({ "command": "login", "name": "mail", "settings": "0".repeat(32), "token": {
            "token": "t", "refresh_token": "r", "issued_at": 0, "obtained_at": 0, "expires_at": null,
            "login_expires_at": null, "scope": null,
        } }),
    ] {
        let answer = mail.sandbox.ask(&request).expect("an answer");
        let error = answer["errors"][0].as_str().unwrap_or_default();
        assert!(answer["exit"] == 1 && error.contains("other settings"), "{answer}");
    }
    assert_eq!(mail.waits_for(&daemon, "login")["state"], "pending");
    daemon.stop();
    // Of no use on this machine: nobody is bothered.
    mail.config("flow = \"device\"", "ca_file = \"gone.pem\"");
    let ran = mail.sandbox.ours(&["login", "mail"]).expect(1);
    assert!(ran.stderr.contains("gone.pem"), "{ran:#?}");
    mail.sandbox
        .config("[token.mail]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret.file = \"secret\"\nlifetime = \"1h\"\n");
    let ran = mail.sandbox.ours(&["login", "mail"]).expect(1);
    assert!(ran.stderr.contains("takes no login"), "{ran:#?}");
    assert!(mail.issuer.server.seen().is_empty());
}

/// A first refresh token in the config counts until somebody logs in, and another one put there counts again.
#[test]
fn a_login_wins_over_the_file_until_the_file_is_another_one() {
    let mail = Mail::new();
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    mail.sandbox.put("first.refresh", mail.issuer.current(1));
    mail.config("flow = \"device\"", "refresh_token.file = \"first.refresh\"");
    let daemon = mail.sandbox.start();
    eventually(support::PATIENCE, "the file's is used", || (mail.delivered()? == access_token(1, 1)).then_some(()));
    mail.sandbox.ours(&["login", "mail"]).expect(0);
    assert!(mail.sandbox.rotate(&["mail"]));
    assert_eq!(mail.delivered(), Some(access_token(2, 1)));
    let before = mail.issuer.current(1);
    daemon.reloaded_by(|| drop(mail.sandbox.put_by_rename("first.refresh", &before)));
    eventually(support::PATIENCE, "the file's again", || (mail.delivered()? == access_token(1, 2)).then_some(()));
    assert_eq!(daemon.token("mail")["reason"], Value::Null);
    daemon.stop();
}
