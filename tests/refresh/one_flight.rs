//! The promise: one exchange of a refresh token at a time, over all processes; an answer that was lost is asked for again
//! at once, once.

use std::time::Duration;

use crate::idp::{Grace, Step};
use crate::portal::{FAMILY, KINDS, Kind, LONG, Portal};
use support::{PATIENCE, eventually};

#[test]
fn an_answer_that_was_lost_is_asked_for_again_at_once_and_once() {
    for kind in KINDS {
        let portal = Portal::new(kind, Grace::SameSuccessor(LONG));
        let daemon = portal.sandbox.start();
        portal.idp.forget();
        portal.idp.reset_next();
        assert!(portal.sandbox.rotate(&[FAMILY]), "{}", daemon.log());
        assert_eq!(portal.idp.seen(), ["portal.1", "portal.1"]);
        portal.idp.hold_at(Step::HalfAnswered);
        let rotating = portal.rotate_beside();
        portal.idp.wait_held();
        portal.idp.let_go();
        rotating.join().unwrap();
        assert_eq!(portal.idp.seen(), ["portal.1", "portal.1", "portal.2", "portal.2"]);
        portal.assert_alive(&daemon);
        daemon.stop();
    }
}

#[test]
fn without_a_grace_a_lost_answer_is_a_refusal_that_says_what_to_do() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let daemon = portal.sandbox.start();
    portal.idp.forget();
    portal.idp.reset_next();
    assert!(!portal.sandbox.rotate(&[FAMILY]));
    assert_eq!(portal.idp.seen(), ["portal.1", "portal.1"], "once more and no further");
    let failure = portal.failure(&daemon);
    assert_eq!((&failure["reason"], &failure["state"]), (&"rejected".into(), &"retrying".into()));
    daemon.stop();
}

/// A daemon, and everything that obtains tokens without one, at once.
#[test]
fn processes_take_turns() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    portal.idp.be_slow(Duration::from_millis(200));
    let daemon = portal.sandbox.start();
    let elsewhere = portal.sandbox.path("nowhere.sock");
    let elsewhere = elsewhere.to_str().unwrap();
    std::thread::scope(|scope| {
        for round in 0..3 {
            let rotating = portal.rotate_beside();
            let once = scope.spawn(|| portal.sandbox.ours(&["once", "--ahead", "2h"]));
            let token = scope.spawn(|| portal.sandbox.ours(&["token", FAMILY, "--min-valid", "2h"]));
            let alone =
                scope.spawn(|| portal.sandbox.ours(&["token", FAMILY, "--min-valid", "2h", "--socket", elsewhere]));
            let exec = scope.spawn(|| portal.sandbox.ours(&["exec", FAMILY, "--", "true"]));
            rotating.join().unwrap();
            let once = once.join().unwrap();
            assert_eq!(once.code, Some(1), "round {round}: beside a daemon: {once:#?}");
            assert!(once.stderr.contains(&format!("process {}", daemon.pid())), "{once:#?}");
            token.join().unwrap().expect(75);
            alone.join().unwrap().expect(75);
            exec.join().unwrap().expect(0);
        }
    });
    assert!(!portal.idp.is_revoked(FAMILY), "{:?}", portal.idp.seen());
    assert_eq!(portal.idp.most_at_once(), 1);
    daemon.stop();
}

/// Without a daemon: whoever comes first exchanges, the others wait for nothing and spend nothing.
#[test]
fn commands_without_a_daemon_take_turns() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    portal.idp.be_slow(Duration::from_millis(300));
    for _ in 0..3 {
        let codes: Vec<Option<i32>> = std::thread::scope(|scope| {
            let one = |args: &'static [&'static str]| scope.spawn(|| portal.sandbox.ours(args).code);
            let all = [
                one(&["once", "--ahead", "2h"]),
                one(&["token", FAMILY]),
                one(&["exec", FAMILY, "--", "true"]),
                one(&["once", "--ahead", "2h", FAMILY]),
            ];
            all.map(|thread| thread.join().unwrap()).to_vec()
        });
        assert!(codes.contains(&Some(0)), "{codes:?}");
    }
    assert!(!portal.idp.is_revoked(FAMILY), "{:?}", portal.idp.seen());
    assert_eq!(portal.idp.most_at_once(), 1);
    let daemon = portal.sandbox.start();
    portal.assert_alive(&daemon);
    daemon.stop();
}

#[test]
fn a_restart_goes_on_with_the_stored_successor() {
    for kind in KINDS {
        let portal = Portal::new(kind, Grace::None);
        for _ in 0..3 {
            let daemon = portal.sandbox.start();
            portal.assert_alive(&daemon);
            daemon.stop();
        }
        assert_eq!(
            portal.idp.seen(),
            ["portal.0", "portal.1", "portal.2", "portal.3"],
            "none is obtained by a restart"
        );
        // The first one is gone from the file's folder as well as from use: only a change of it counts.
        let ran = portal.sandbox.ours(&["once", "--ahead", "2h"]).expect(0);
        assert_eq!(portal.idp.seen().last().unwrap(), "portal.4", "{ran:#?}");
        eventually(PATIENCE, "delivered", || (portal.delivered()? == "access.portal.5").then_some(()));
    }
}
