//! The promise: `kill -9` at any step of an exchange loses no family where the server has a grace; without one, only
//! between the server's work and the moment the successor is in the state.

use std::time::Duration;

use crate::idp::{Grace, Step, refresh_token};
use crate::portal::{FAMILY, KINDS, Kind, LONG, Portal};
use support::{Dice, eventually, long};

const STEPS: [Step; 5] = [Step::Connected, Step::Received, Step::Processed, Step::HalfAnswered, Step::Answered];

/// Kills the daemon while its second exchange stands at `step`, or so long after it; the state then knows the successor or not.
fn kill_at(portal: &Portal, step: Step, after: Duration) -> bool {
    let daemon = portal.sandbox.start();
    portal.idp.hold_at(step);
    let rotating = portal.rotate_beside();
    portal.idp.wait_held();
    if !after.is_zero() {
        std::thread::sleep(after);
    }
    daemon.kill9();
    portal.idp.let_go();
    rotating.join().expect("the one who asked");
    portal.state_holds(&refresh_token(FAMILY, 2))
}

#[test]
fn with_a_grace_the_family_outlives_every_kill() {
    for kind in KINDS {
        for grace in [Grace::SameSuccessor(LONG), Grace::NewSuccessor(LONG)] {
            for step in STEPS {
                println!("{kind:?}, {grace:?}, killed at {step:?}");
                let portal = Portal::new(kind, grace);
                kill_at(&portal, step, Duration::ZERO);
                let daemon = portal.sandbox.start();
                portal.assert_alive(&daemon);
                portal.assert_alive(&daemon);
                daemon.stop();
            }
        }
    }
}

#[test]
fn without_a_grace_only_what_was_answered_and_not_kept_is_lost() {
    for kind in KINDS {
        for step in STEPS {
            println!("{kind:?}, killed at {step:?}");
            let portal = Portal::new(kind, Grace::None);
            let kept = kill_at(&portal, step, Duration::ZERO);
            assert_lost_only_where_spent(&portal, step, kept);
        }
    }
}

/// The answer is out; it is on its way into the state, or there.
#[test]
fn an_answer_that_is_out_is_kept_or_lost_and_nothing_between() {
    let mut dice = Dice::new("kill after the answer");
    let runs = if long() { 300 } else { 20 };
    let mut lost = 0;
    for _ in 0..runs {
        let portal = Portal::new(Kind::OAuth2, Grace::None);
        // Half of them in the first moment: that is where the successor is in memory alone.
        let most = if dice.below(2) == 0 { 500 } else { 20_000 };
        let after = Duration::from_micros(dice.below(most));
        let kept = kill_at(&portal, Step::Answered, after);
        lost += u32::from(!kept);
        assert_lost_only_where_spent(&portal, Step::Answered, kept);
    }
    println!("killed 0 to 20 ms after the answer: {lost} of {runs} families lost");
}

fn assert_lost_only_where_spent(portal: &Portal, step: Step, kept: bool) {
    let spent = !matches!(step, Step::Connected | Step::Received);
    assert!(spent || !kept, "a successor that was never made");
    let mut daemon = portal.sandbox.daemon().spawn();
    if !spent || kept {
        daemon.wait_ready();
        portal.assert_alive(&daemon);
        daemon.stop();
        return;
    }
    daemon.wait_ready();
    portal.sandbox.rotate(&[FAMILY]);
    let failure = portal.failure(&daemon);
    assert_eq!(failure["reason"], "rejected", "{failure:#}");
    assert!(failure["last_error"].as_str().unwrap_or_default().contains("refresh_token"), "{failure:#}");
    // What the manual says: another one from the server, written over the file.
    portal.sandbox.put("first.refresh", portal.idp.family("again"));
    eventually(support::PATIENCE, "it is obtained again", || {
        (portal.delivered()?.starts_with("access.again.")).then_some(())
    });
    daemon.stop();
}

/// In the state first, in the file after it.
#[test]
fn what_is_delivered_is_kept() {
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let before = "access.portal.1";
    for number in 2..12 {
        let daemon = portal.sandbox.start();
        assert_eq!(portal.delivered().as_deref(), Some(format!("access.portal.{}", number - 1).as_str()), "{before}");
        let rotating = portal.rotate_beside();
        let wanted = format!("access.portal.{number}");
        eventually(support::PATIENCE, "it is delivered", || (portal.delivered()? == wanted).then_some(()));
        daemon.kill9();
        rotating.join().expect("the one who asked");
        assert!(portal.state_holds(&refresh_token(FAMILY, number)));
    }
    let daemon = portal.sandbox.start();
    portal.assert_alive(&daemon);
    daemon.stop();
}

/// A token that was not due is asked for; the exchange is cut; the one that stays is good for an hour. Nobody but the
/// restart can ask within the grace.
#[test]
fn a_cut_exchange_is_repeated_at_the_restart_and_not_when_the_token_is_due() {
    for kind in KINDS {
        for step in [Step::Received, Step::Processed, Step::HalfAnswered] {
            println!("{kind:?}, killed at {step:?}");
            let portal = Portal::new(kind, Grace::SameSuccessor(LONG));
            kill_at(&portal, step, Duration::ZERO);
            let daemon = portal.sandbox.start();
            eventually(Duration::from_secs(5), "the exchange is repeated", || {
                (portal.delivered()? == "access.portal.2").then_some(())
            });
            daemon.stop();
        }
    }
}
