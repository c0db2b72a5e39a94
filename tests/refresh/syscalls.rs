//! The promise of `kill.rs`, from inside: strace kills the daemon at the entry of each system call of an exchange that
//! matters, one by one, with no hook in the binary. By the same means it is measured how long an answer is in memory alone.
//! Does not: run where strace may not trace; that is printed.

use std::fs;
use std::path::Path;

use crate::idp::{Grace, refresh_token};
use crate::portal::{FAMILY, Kind, LONG, Portal, Traced};
use support::{has_strace, long, names_in};

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
    if !has_strace("with_a_grace_no_system_call_is_a_place_to_lose_a_family") {
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
    if !has_strace("without_a_grace_a_family_is_lost_only_between_the_answer_and_the_write") {
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

/// One system call of the daemon.
struct Called {
    at: f64,
    end: f64,
    what: Call,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    Write,
    Sync,
    Request,
    Answer,
    Rename,
}

/// What one exchange does, in this order: said in the state, sent, answered, kept, delivered.
const ORDER: [Call; 7] = [Call::Write, Call::Sync, Call::Request, Call::Answer, Call::Write, Call::Sync, Call::Rename];

/// From the last bytes of the answer to the successor's fdatasync, as the kernel saw them.
#[test]
fn the_order_holds_and_the_window_is_measured() {
    if !has_strace("the_order_holds_and_the_window_is_measured") {
        return;
    }
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    // A file for each thread: no call is cut in two by another's.
    let trace = portal.sandbox.mkdir("trace").join("of");
    let calls = "trace=writev,recvfrom,pwrite64,fdatasync,renameat";
    let strace = ["strace", "-ff", "-qq", "--seccomp-bpf", "-ttt", "-T", "-s", "32", "-e", calls, "-o"];
    let wrapper: Vec<&str> = strace.iter().copied().chain([trace.to_str().unwrap()]).collect();
    let daemon = portal.sandbox.daemon().under(&wrapper).ready();
    let traced = Traced::below(&daemon);
    let rotations = if long() { 1000 } else { 60 };
    for _ in 0..rotations {
        portal.assert_alive(&daemon);
    }
    drop(traced);
    drop(daemon);
    let calls = calls_in(trace.parent().unwrap());
    let answers: Vec<usize> = (0..calls.len()).filter(|at| calls[*at].what == Call::Answer).collect();
    assert_eq!(answers.len(), rotations + 1, "an answer each");
    let (mut written, mut synced) = (Vec::new(), Vec::new());
    for at in answers {
        let exchange = &calls[at - 3..at + 4];
        let order: Vec<Call> = exchange.iter().map(|call| call.what).collect();
        assert_eq!(order, ORDER);
        assert!(exchange.windows(2).all(|pair| pair[0].end <= pair[1].at), "each before the next begins");
        written.push(exchange[4].end - exchange[3].end);
        synced.push(exchange[5].end - exchange[3].end);
    }
    for (what, mut times) in [("written", written), ("durable", synced)] {
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize] * 1e6;
        let (median, p99, of) = (at(0.5), at(0.99), times.len());
        println!("from the answer to {what}: median {median:.0} us, p99 {p99:.0} us, of {of} (traced)");
    }
}

/// All calls of all threads that matter here, by time. The state's other records come in between: what is written beside
/// tokens is not synced, so a write counts where a sync follows it.
fn calls_in(folder: &Path) -> Vec<Called> {
    let mut calls: Vec<Called> = Vec::new();
    for name in names_in(folder) {
        let text = fs::read_to_string(folder.join(name)).expect("a trace");
        let mut of_thread: Vec<Called> = text.lines().filter_map(called).collect();
        let is_synced: Vec<bool> = (0..of_thread.len())
            .map(|at| of_thread[at].what != Call::Write || of_thread.get(at + 1).is_some_and(|c| c.what == Call::Sync))
            .collect();
        let mut keep = is_synced.into_iter();
        of_thread.retain(|_| keep.next() == Some(true));
        calls.extend(of_thread);
    }
    calls.sort_by(|a, b| a.at.total_cmp(&b.at));
    calls
}

fn called(line: &str) -> Option<Called> {
    let (at, call) = line.split_once(' ')?;
    let at: f64 = at.parse().ok()?;
    let took: f64 = line.rsplit_once('<')?.1.trim_end_matches('>').parse().ok()?;
    let what = match call.split_once('(')?.0 {
        "pwrite64" => Call::Write,
        "fdatasync" => Call::Sync,
        "writev" if call.contains("POST /token") => Call::Request,
        "recvfrom" if call.contains("HTTP/1.1 200") => Call::Answer,
        "renameat" if call.contains("portal.token") => Call::Rename,
        _ => return None,
    };
    Some(Called { at, end: at + took, what })
}
