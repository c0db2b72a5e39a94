//! The promise: a refresh token file that the operator replaced wins over the stored successor; where anything else
//! changed, the successor is used. It is on disk before its access token is delivered, and is never spent twice for want
//! of a disk.

use std::fs;
use std::time::Duration;

use crate::idp::{Grace, Step, refresh_token};
use crate::portal::{FAMILY, KINDS, Kind, LONG, Portal};
use support::{PATIENCE, Tmpfs, eventually, until};

#[test]
fn where_only_settings_changed_the_newest_is_used() {
    for kind in KINDS {
        let portal = Portal::new(kind, Grace::None);
        let daemon = portal.sandbox.start();
        portal.assert_alive(&daemon);
        let changed = match kind {
            Kind::OAuth2 => {
                ["scope = \"read\"", "params = { audience = \"api\" }", "resource = \"https://api.example\""]
            }
            Kind::Http => ["ttl = \"1h\"", "headers = { x-a = \"b\" }", "timeout = \"9s\""],
        };
        for lines in changed {
            let before = portal.idp.seen().len();
            daemon.reloaded_by(|| drop(portal.config(lines)));
            println!("{kind:?}, {lines}: {:?}", portal.idp.seen());
            assert!(portal.idp.seen().len() <= before + 1, "{:?}", portal.idp.seen());
            portal.assert_alive(&daemon);
        }
        // While it is down, too.
        daemon.stop();
        portal.config("rotate_before = \"7m\"");
        portal.assert_goes_on();
    }
}

#[test]
fn another_output_or_client_secret_spends_nothing_old() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let secret = "client_secret.file = \"client.secret\"";
    let entry = |lines: &str| portal.entry(lines).replace("\"none\"", "\"client_secret_post\"");
    portal.sandbox.put("client.secret", "one");
    portal.sandbox.config(entry(secret));
    let daemon = portal.sandbox.start();
    daemon.reloaded_by(|| drop(portal.sandbox.put_by_rename("client.secret", "two")));
    until("obtained with the new secret", || portal.idp.seen() == ["portal.0", "portal.1"]);
    daemon.reloaded_by(|| drop(portal.sandbox.config(entry(secret).replace("portal.token", "moved.token"))));
    until("moved", || portal.sandbox.out("moved.token").exists());
    assert_eq!(portal.idp.seen(), ["portal.0", "portal.1"]);
    assert!(!portal.idp.is_revoked(FAMILY));
    daemon.stop();
}

#[test]
fn a_file_that_the_operator_replaced_wins() {
    for kind in KINDS {
        let portal = Portal::new(kind, Grace::None);
        let daemon = portal.sandbox.start();
        portal.assert_alive(&daemon);
        let new = portal.idp.family("new");
        daemon.reloaded_by(|| drop(portal.sandbox.put_by_rename("first.refresh", &new)));
        until("the new one was used", || portal.idp.seen().last() == Some(&new));
        assert!(portal.sandbox.rotate(&[FAMILY]));
        assert_eq!(portal.idp.seen().last().unwrap(), "new.1");
        // A slip: what is none, and then the file as it was before.
        daemon.reloaded_by(|| drop(portal.sandbox.put_by_rename("first.refresh", "a.slip")));
        assert_eq!(portal.failure(&daemon)["reason"], "rejected");
        daemon.reloaded_by(|| drop(portal.sandbox.put_by_rename("first.refresh", &new)));
        assert!(portal.sandbox.rotate(&[FAMILY]));
        assert_eq!(portal.idp.seen().last().unwrap(), "new.2", "its successor is used");
        assert!(!portal.idp.is_revoked("new"));
        daemon.stop();
    }
}

/// Replaced while the old one is being exchanged: the answer is kept, and the new one is used next.
#[test]
fn a_file_that_is_replaced_in_the_middle_of_an_exchange_wins_after_it() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let daemon = portal.sandbox.start();
    let new = portal.idp.family("new");
    portal.idp.be_slow(Duration::from_millis(700));
    let rotating = portal.rotate_beside();
    until("an exchange is under way", || portal.idp.seen().len() == 2);
    portal.sandbox.put_by_rename("first.refresh", &new);
    rotating.join().unwrap();
    eventually(PATIENCE, "the new one's token is delivered", || (portal.delivered()? == "access.new.1").then_some(()));
    assert_eq!(portal.idp.most_at_once(), 1);
    assert!(!portal.idp.is_revoked(FAMILY));
    daemon.stop();
}

#[test]
fn an_entry_that_left_and_came_back_goes_on_with_its_successor() {
    for kind in KINDS {
        let portal = Portal::new(kind, Grace::None);
        let fence = support::token("fence").to_string();
        portal.sandbox.config(format!("{}{fence}", portal.entry("")));
        let daemon = portal.sandbox.start();
        portal.assert_alive(&daemon);
        // For longer than the grace of a file that leaves.
        daemon.reloaded_by(|| drop(portal.sandbox.config(&fence)));
        until("its file is gone", || portal.delivered().is_none());
        daemon.reloaded_by(|| drop(portal.sandbox.config(format!("{}{fence}", portal.entry("")))));
        until("it is back", || portal.delivered().is_some());
        portal.assert_alive(&daemon);
        daemon.stop();
        // While it is down.
        portal.sandbox.config(&fence);
        portal.sandbox.start().stop();
        assert_eq!(portal.delivered(), None);
        portal.config("");
        portal.assert_goes_on();
    }
}

/// An answer of no use all the same names the successor: the next try sends that one.
#[test]
fn the_successor_is_kept_from_an_answer_that_is_of_no_use() {
    for kind in KINDS {
        let bodies: &[&str] = match kind {
            Kind::OAuth2 => &[
                r#"{"access_token":"a b","expires_in":9,"refresh_token":"{next}"}"#,
                r#"{"access_token":"a","token_type":"mac","expires_in":9,"refresh_token":"{next}"}"#,
                r#"{"expires_in":9,"refresh_token":"{next}"}"#,
            ],
            Kind::Http => &[
                r#"{"result":{"access_token":"a b","expires_in":9,"refresh_token":"{next}"}}"#,
                r#"{"result":{"token":"a","expires_in":9,"refresh_token":"{next}"}}"#,
            ],
        };
        for body in bodies {
            println!("{kind:?}: {body}");
            let portal = Portal::new(kind, Grace::None);
            let daemon = portal.sandbox.start();
            portal.idp.say_next(200, body);
            portal.sandbox.rotate(&[FAMILY]);
            until("it is tried again", || portal.idp.seen().len() > 2);
            assert_eq!(portal.idp.seen()[2], "portal.2");
            portal.assert_alive(&daemon);
            // The last thing that a run does.
            portal.idp.say_next(200, body);
            daemon.stop();
            portal.sandbox.ours(&["once", "--ahead", "2h"]).expect(1);
            let daemon = portal.sandbox.start();
            portal.assert_alive(&daemon);
            daemon.stop();
        }
    }
}

/// A refresh token is spent on an answer that does not tell when its token ends: withholding it would spend another one at each try.
#[test]
fn a_token_whose_end_is_not_told_is_delivered_and_spends_no_other() {
    for kind in KINDS {
        let bodies: &[&str] = match kind {
            Kind::OAuth2 => &[r#"{"access_token":"a","token_type":"Bearer","refresh_token":"{next}"}"#],
            Kind::Http => &[
                r#"{"result":{"access_token":"a","refresh_token":"{next}"}}"#,
                r#"{"result":{"access_token":"a","expires_in":-1,"refresh_token":"{next}"}}"#,
            ],
        };
        for body in bodies {
            println!("{kind:?}: {body}");
            let portal = Portal::new(kind, Grace::None);
            let daemon = portal.sandbox.start();
            portal.idp.say_next(200, body);
            assert!(portal.sandbox.rotate(&[FAMILY]));
            assert_eq!(portal.delivered().as_deref(), Some("a"));
            assert_eq!(portal.idp.seen(), ["portal.0", "portal.1"]);
            let told = "the token is delivered all the same, and taken to be good for an hour; set ttl";
            assert!(daemon.log().contains(told), "{}", daemon.log());
            portal.assert_alive(&daemon);
            daemon.stop();
        }
    }
}

/// A small state disk; `None` where it cannot be had.
fn small_disk(portal: &Portal, test: &str, size: &str) -> Option<Tmpfs> {
    Tmpfs::at(test, &portal.sandbox.mkdir("state"), &format!("size={size},mode=0700"))
}

/// Takes what is left of it.
fn fill(portal: &Portal) {
    drop(fs::write(portal.sandbox.path("state/filler"), vec![0; 2 << 20]));
}

/// The disk fills up before: nothing is spent that could not be kept.
#[test]
fn on_a_full_state_disk_nothing_is_spent() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let Some(_disk) = small_disk(&portal, "on_a_full_state_disk_nothing_is_spent", "64k") else { return };
    let daemon = portal.sandbox.start();
    let mut number = 1;
    // What is left of the log's last page takes a few more.
    loop {
        fill(&portal);
        let before = portal.idp.seen().len();
        portal.sandbox.rotate(&[FAMILY]);
        if portal.idp.seen().len() == before {
            break;
        }
        number += 1;
        assert!(number < 200, "never full");
    }
    let failure = portal.failure(&daemon);
    assert!(failure["last_error"].as_str().unwrap().contains("free space"), "{failure:#}");
    assert_eq!(failure["state"], "retrying");
    fs::remove_file(portal.sandbox.path("state/filler")).unwrap();
    portal.assert_alive(&daemon);
    daemon.stop();
}

/// It fills up in the middle: there was room for the answer before anything was sent.
#[test]
fn a_state_disk_that_fills_up_in_the_middle_has_room_for_the_successor() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let name = "a_state_disk_that_fills_up_in_the_middle_has_room_for_the_successor";
    let Some(_disk) = small_disk(&portal, name, "64k") else { return };
    let daemon = portal.sandbox.start();
    let long = "x".repeat(8000);
    let body = format!(r#"{{"access_token":"{long}","expires_in":3600,"refresh_token":"{{next}}"}}"#);
    portal.idp.hold_at(Step::Received);
    let rotating = portal.rotate_beside();
    portal.idp.wait_held();
    portal.idp.say_next(200, &body);
    fill(&portal);
    portal.idp.let_go();
    until("it is delivered", || portal.delivered().as_deref() == Some(long.as_str()));
    rotating.join().unwrap();
    assert!(portal.state_holds(&refresh_token(FAMILY, 2)));
    daemon.stop();
}

/// It fills up in the middle, and the answer is longer than any before: the access token is held back, and the exchange is not repeated.
#[test]
fn a_state_disk_that_fills_up_in_the_middle_holds_the_token_back() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let Some(_disk) = small_disk(&portal, "a_state_disk_that_fills_up_in_the_middle_holds_the_token_back", "64k")
    else {
        return;
    };
    let daemon = portal.sandbox.start();
    // One that is far longer than the last does not fit into the room that is kept for it.
    let long = "x".repeat(30_000);
    let body = format!(r#"{{"access_token":"{long}","expires_in":3600,"refresh_token":"{{next}}"}}"#);
    portal.idp.hold_at(Step::Received);
    let rotating = portal.rotate_beside();
    portal.idp.wait_held();
    portal.idp.say_next(200, &body);
    fill(&portal);
    // The first connection is closed as it is; the one that asks again gets the answer.
    portal.idp.let_go();
    let failure = portal.failure(&daemon);
    assert_eq!(failure["reason"], "delivery", "{failure:#}");
    assert_eq!(portal.delivered().as_deref(), Some("access.portal.1"), "not before it is durable");
    let failures = failure["failures"].as_u64();
    until("it is tried again", || portal.failure(&daemon)["failures"].as_u64() > failures);
    assert_eq!(portal.idp.seen(), ["portal.0", "portal.1", "portal.1"], "and not asked again");
    fs::remove_file(portal.sandbox.path("state/filler")).unwrap();
    until("it is delivered", || portal.delivered().as_deref() == Some(long.as_str()));
    rotating.join().unwrap();
    assert!(portal.state_holds(&refresh_token(FAMILY, 2)));
    assert_eq!(portal.idp.seen().len(), 3);
    daemon.stop();
}

/// Where there is no grace the old one is of no use, and with one nothing is lost by asking: the daemon's own `timeout`.
#[test]
fn an_endpoint_that_does_not_answer_in_time_is_asked_once_more() {
    let portal = Portal::new(Kind::OAuth2, Grace::SameSuccessor(LONG));
    portal.config("timeout = \"1s\"");
    let daemon = portal.sandbox.start();
    portal.idp.hold_at(Step::Processed);
    assert!(portal.sandbox.rotate(&[FAMILY]), "{}", daemon.log());
    assert_eq!(portal.idp.seen(), ["portal.0", "portal.1", "portal.1"]);
    portal.idp.let_go();
    daemon.stop();
}
