//! The promise of `kill.rs`, from inside: strace kills the daemon at the entry of each system call of an exchange that
//! matters, one by one, with no hook in the binary. By the same means it is measured how long an answer is in memory alone.
//! Does not: run where strace may not trace; that is printed.

use std::fs;
use std::time::Duration;

use crate::idp::{Grace, refresh_token};
use crate::portal::{FAMILY, Kind, LONG, Portal, Traced, may_trace};
use crate::support::{eventually, long};

/// What an exchange does to the world: the connection, the request and the answer, the state, and the file.
const CALLS: [&str; 9] =
    ["connect", "sendto", "writev", "recvfrom", "pwrite64", "fdatasync", "fchmod", "fsync", "renameat"];

/// Runs `once` on a token that is due, killed at the `nth` entry of `call`; false where there was none.
fn killed_at(portal: &Portal, call: &str, nth: usize) -> bool {
    let inject = format!("inject={call}:signal=KILL:when={nth}");
    let mut command = portal.sandbox.command(&["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject]);
    command.args(["once", "--ahead", "2h", "-c"]).arg(portal.sandbox.path("config.toml"));
    let ran = portal.sandbox.finish(command, "");
    if ran.code == Some(0) {
        return false;
    }
    assert_eq!(ran.code, None, "ended by a signal as its child was: {ran:#?}");
    true
}

fn at_each_call(grace: Grace, judge: impl Fn(&Portal, &str)) {
    for call in CALLS {
        let mut nth = 0;
        loop {
            nth += 1;
            let portal = Portal::new(Kind::OAuth2, grace);
            portal.sandbox.ours(&["once"]).expect(0);
            if !killed_at(&portal, call, nth) {
                break;
            }
            judge(&portal, &format!("{call} {nth}"));
        }
        println!("{call}: killed at {} of them", nth - 1);
    }
}

#[test]
fn with_a_grace_no_system_call_is_a_place_to_lose_a_family() {
    if !may_trace("with_a_grace_no_system_call_is_a_place_to_lose_a_family") {
        return;
    }
    at_each_call(Grace::NewSuccessor(LONG), |portal, place| {
        let spent = portal.idp.current(FAMILY) != refresh_token(FAMILY, 1);
        let kept = portal.state_holds(&portal.idp.current(FAMILY));
        // Not due any more but by what was cut.
        let again = portal.sandbox.ours(&["once"]);
        assert_eq!(again.code, Some(0), "{place}: {again:#?}");
        let unsettled = spent && !kept;
        assert!(!unsettled || portal.idp.seen().len() >= 3, "{place}: the cut exchange was not repeated");
        portal.sandbox.ours(&["once", "--ahead", "2h"]).expect(0);
        assert!(!portal.idp.is_revoked(FAMILY), "{place}: {:?}", portal.idp.seen());
    });
}

#[test]
fn without_a_grace_a_family_is_lost_only_between_the_answer_and_the_write() {
    if !may_trace("without_a_grace_a_family_is_lost_only_between_the_answer_and_the_write") {
        return;
    }
    let lost = std::cell::RefCell::new(Vec::new());
    at_each_call(Grace::None, |portal, place| {
        let spent = portal.idp.current(FAMILY) != refresh_token(FAMILY, 1);
        let kept = portal.state_holds(&refresh_token(FAMILY, 2));
        portal.sandbox.ours(&["once", "--ahead", "2h"]);
        let revoked = portal.idp.is_revoked(FAMILY);
        assert_eq!(revoked, spent && !kept, "{place}: spent: {spent}, kept: {kept}, {:?}", portal.idp.seen());
        if revoked {
            lost.borrow_mut().push(place.to_owned());
        }
    });
    let lost = lost.into_inner();
    println!("lost where killed at: {}", lost.join(", "));
    let reading = |place: &String| ["recvfrom", "pwrite64"].iter().any(|call| place.starts_with(call));
    assert!(lost.iter().all(reading), "{lost:?}");
}

/// From the last bytes of the answer to the successor's fdatasync, as the kernel saw them.
#[test]
fn the_window_is_measured() {
    if !may_trace("the_window_is_measured") {
        return;
    }
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let trace = portal.sandbox.path("trace");
    let calls = ["strace", "-f", "-qq", "--seccomp-bpf", "-ttt", "-T", "-e", "trace=recvfrom,pwrite64,fdatasync", "-o"];
    let wrapper: Vec<&str> = calls.iter().copied().chain([trace.to_str().unwrap()]).collect();
    let mut daemon = portal.sandbox.daemon().under(&wrapper).ready();
    let traced = Traced::below(&daemon);
    let rotations = if long() { 1000 } else { 60 };
    for _ in 0..rotations {
        portal.assert_alive(&daemon);
    }
    assert!(daemon.alive());
    let (mut written, mut synced) = (Vec::new(), Vec::new());
    eventually(Duration::from_secs(5), "the trace is there", || {
        (written, synced) = windows(&fs::read_to_string(&trace).ok()?);
        (written.len() >= rotations).then_some(())
    });
    for (what, mut times) in [("written", written), ("durable", synced)] {
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize] * 1e6;
        println!(
            "from the answer to {what}: median {:.0} us, p99 {:.0} us, of {} (traced)",
            at(0.5),
            at(0.99),
            times.len()
        );
        assert!(at(0.5) < 1e6, "a window of a second is none to put into a manual");
    }
    drop(traced);
}

/// The seconds from each answer to the end of the write after it, and to the end of its fdatasync.
fn windows(trace: &str) -> (Vec<f64>, Vec<f64>) {
    let (mut written, mut synced, mut answered, mut wrote) = (Vec::new(), Vec::new(), None, false);
    for line in trace.lines() {
        let mut words = line.split_whitespace();
        let (Some(at), Some(call)) = (words.nth(1).and_then(|at| at.parse::<f64>().ok()), words.next()) else {
            continue;
        };
        let took = line.rsplit_once('<').and_then(|(_, took)| took.trim_end_matches('>').parse::<f64>().ok());
        let end = at + took.unwrap_or(0.0);
        if call.starts_with("recvfrom(") && line.contains("HTTP/1.1 200") {
            (answered, wrote) = (Some(end), false);
        } else if call.starts_with("pwrite64(") && !wrote {
            wrote = true;
            written.extend(answered.map(|answered| end - answered));
        } else if call.starts_with("fdatasync(") && wrote {
            synced.extend(answered.take().map(|answered| end - answered));
        }
    }
    (written, synced)
}
