//! The promise: what systemd is told is true. READY=1 when the files are there, or after ready_timeout with the names of
//! those missing; EXTEND_TIMEOUT_USEC= while it waits; WATCHDOG=1 as asked; STOPPING=1, and an end within 2 s.
//! Lines for the journal carry their priority where stderr is the journal, and nowhere else.

use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;

use support::{Jwt, SECRET, Sandbox, token, until};

#[test]
fn ready_comes_when_every_file_is_there() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..200).map(|i| format!("t{i}")).collect();
    let body: String = names
        .iter()
        .map(|n| token(n).plain(&format!("{n}.token")).env("all.env", &n.to_uppercase()).to_string())
        .collect();
    sandbox.config(body);
    let (out, wanted) = (sandbox.path("out"), names.clone());
    let (tell, told) = mpsc::channel();
    let daemon = sandbox
        .daemon()
        .at_ready(move || {
            let whole = |text: String| Jwt::signed_with(&text, SECRET.as_bytes()).is_ok();
            let missing = wanted
                .iter()
                .filter(|n| !std::fs::read_to_string(out.join(format!("{n}.token"))).is_ok_and(whole))
                .count();
            let lines = std::fs::read_to_string(out.join("all.env")).map_or(0, |t| t.lines().count());
            let _ = tell.send((missing, lines));
        })
        .ready();
    let (missing, lines) = told.recv().expect("the look at READY");
    assert_eq!((missing, lines), (0, names.len()), "at READY=1");
    println!("READY after {:?}", daemon.messages()[0].at - daemon.started);
    assert_eq!(daemon.count("READY=1"), 1);
    daemon.stop();
}

/// A service manager that is busy: its queue is full (net.unix.max_dgram_qlen) by the time there is READY=1 to tell.
#[test]
fn ready_is_told_to_who_reads_late() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let notify = sandbox.path("late");
    let manager = std::os::unix::net::UnixDatagram::bind(&notify).expect("a socket");
    manager.set_nonblocking(true).expect("nonblocking");
    let stuffing = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    stuffing.set_nonblocking(true).expect("nonblocking");
    while stuffing.send_to(b"STATUS=another unit", &notify).is_ok() {}
    let daemon = sandbox.daemon().env("NOTIFY_SOCKET", notify.to_str().expect("UTF-8")).spawn();
    until("it is ready by itself", || daemon.log().contains("ready: "));
    let mut buffer = [0; 4096];
    until("READY=1 is told", || {
        let read = manager.recv(&mut buffer).ok();
        read.is_some_and(|length| buffer[..length].starts_with(b"READY=1"))
    });
    daemon.stop();
}

#[test]
fn ready_waits_for_ready_timeout_and_names_what_is_missing() {
    let sandbox = Sandbox::new();
    let missing = token("missing-one").plain("nowhere/t");
    let optional = token("optional").plain("nowhere/u").line("required = false");
    sandbox.config_with("ready_timeout = \"2s\"", format!("{missing}{optional}{}", token("good")));
    let mut daemon = sandbox.daemon().spawn();
    daemon.wait_ready();
    let messages = daemon.messages();
    let ready = messages.iter().position(|m| m.has("READY=1")).expect("ready");
    let waited = messages[ready].at - daemon.started;
    assert!(waited >= Duration::from_secs(2), "READY=1 after {waited:?}");
    let extended = messages[..ready].iter().any(|m| m.has("EXTEND_TIMEOUT_USEC="));
    assert!(extended, "{messages:#?}");
    sandbox.jwt("good");
    until("STATUS= names it", || daemon.status_line().contains("missing-one"));
    let until_then: String = messages[..=ready].iter().map(|m| m.text.clone()).collect();
    let names = until_then.contains("missing-one");
    assert!(names, "not told by the time of READY=1: {until_then}");
    daemon.stop();
}

#[test]
fn what_is_not_required_holds_nothing_up() {
    let sandbox = Sandbox::new();
    let optional = token("optional").plain("nowhere/u").line("required = false");
    sandbox.config_with("ready_timeout = \"1h\"", format!("{optional}{}", token("good")));
    let daemon = sandbox.start();
    sandbox.jwt("good");
    sandbox.ours(&["status"]).expect(0);
    sandbox.ours(&["status", "optional"]).expect(1);
    daemon.stop();
}

#[test]
fn a_required_token_that_comes_late_makes_it_ready() {
    let sandbox = Sandbox::new();
    let retry = "retry = { initial = \"100ms\", max = \"200ms\" }";
    let late = token("late").plain("late/t").line(retry);
    sandbox.config_with("ready_timeout = \"1h\"", format!("{late}{}", token("good")));
    let mut daemon = sandbox.daemon().spawn();
    until("the good one", || sandbox.try_jwt("good").is_some());
    until("it extends its time", || daemon.count("EXTEND_TIMEOUT_USEC=") > 0);
    assert_eq!(daemon.count("READY=1"), 0);
    sandbox.mkdir("out/late");
    daemon.wait_ready();
    assert!(sandbox.out("late/t").exists());
    daemon.stop();
}

#[test]
fn the_watchdog_is_fed_as_asked() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let usec = Duration::from_millis(1200);
    let daemon = sandbox.daemon().env("WATCHDOG_USEC", &usec.as_micros().to_string()).ready();
    until("six feedings", || daemon.count("WATCHDOG=1") >= 6);
    let times: Vec<_> = daemon.messages().into_iter().filter(|m| m.has("WATCHDOG=1")).map(|m| m.at).collect();
    let gaps: Vec<Duration> = times.windows(2).map(|w| w[1] - w[0]).collect();
    println!("{gaps:?}");
    assert!(gaps.iter().all(|g| *g < usec), "the manager would have killed it: {gaps:?}");
    let whole = times[times.len() - 1] - times[0];
    let mean = whole / gaps.len() as u32;
    assert!(mean > usec / 10, "each {mean:?}: hot");
    daemon.stop();
}

/// A watchdog that is meant for another process, or none at all.
#[test]
fn no_watchdog_where_none_was_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a").line("lifetime = \"2s\""));
    let daemon = sandbox.daemon().env("WATCHDOG_USEC", "400000").env("WATCHDOG_PID", "1").ready();
    let first = sandbox.jwt("a").number("iat");
    until("time goes by", || sandbox.try_jwt("a").is_some_and(|a| a.number("iat") >= first + 2));
    assert_eq!(daemon.count("WATCHDOG=1"), 0);
    daemon.stop();
}

#[test]
fn it_ends_at_once_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.script("hang", "trap '' TERM INT HUP\nsleep 120");
    let hang = format!("command = [\"{}\"]\ntimeout = \"1h\"", sandbox.path("hang").display());
    sandbox.config(format!("{}{}", token("a"), token("b").hook("after_rotate", &hang)));
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = sandbox.start();
        assert!(sandbox.rotate(&["b"]));
        let (status, took) = daemon.end(signal);
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert!(took < Duration::from_secs(2), "{signal:?}: {took:?}");
        until("STOPPING=1", || daemon.count("STOPPING=1") == 1);
        sandbox.jwt("a");
        assert!(!sandbox.path("control.sock").exists(), "the socket was left behind");
    }
}

/// Also while it still waits for what is required.
#[test]
fn it_ends_while_it_starts() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a").plain("nowhere/t"), token("b")));
    let mut daemon = sandbox.daemon().spawn();
    until("it runs", || sandbox.try_jwt("b").is_some());
    let (status, took) = daemon.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(daemon.count("READY=1"), 0);
}

#[test]
fn usr1_logs_the_status() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("first-token"), token("second-token")));
    let mut daemon = sandbox.start();
    let before = daemon.log().len();
    daemon.send(Signal::USR1);
    until("the log tells of both", || {
        let log = daemon.log();
        let fresh = &log[before..];
        ["first-token", "second-token", "valid"].iter().all(|w| fresh.contains(w))
    });
    assert!(daemon.alive());
    daemon.stop();
}

#[test]
fn an_abstract_notify_socket_will_do_and_none_too() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    sandbox.daemon().on_abstract_socket().ready().stop();
    let daemon = sandbox.daemon().env("NOTIFY_SOCKET", "/nowhere/notify").spawn();
    until("it serves all the same", || sandbox.rotate(&["a"]));
    daemon.stop();
    let daemon = sandbox.daemon().env("NOTIFY_SOCKET", "").spawn();
    until("it serves without", || sandbox.rotate(&["a"]));
    daemon.stop();
}

/// sd-daemon(3): `<N>` before each line, where JOURNAL_STREAM names the device and inode of stderr.
#[test]
fn lines_carry_their_priority_in_the_journal_only() {
    let sandbox = Sandbox::new();
    let missing = token("missing").plain("nowhere/t").line("required = false");
    sandbox.config(format!("{missing}{}", token("a")));
    let prefixed = |line: &str| {
        let bytes = line.as_bytes();
        bytes.len() > 3 && bytes[0] == b'<' && (b'0'..=b'7').contains(&bytes[1]) && bytes[2] == b'>'
    };
    let daemon = sandbox.daemon().on_journal().ready();
    until("the lack is logged", || daemon.log().contains("nowhere"));
    let log = daemon.log();
    for line in log.lines() {
        assert!(prefixed(line), "{line:?} in\n{log}");
    }
    let lack = log.lines().find(|l| l.contains("nowhere")).expect("the line");
    let priority: u8 = lack[1..2].parse().expect("a digit");
    assert!((3..=4).contains(&priority), "a lack is an error or a warning: {lack}");
    daemon.stop();
    let daemon = sandbox.daemon().env("JOURNAL_STREAM", "1:2").ready();
    until("the lack is logged", || daemon.log().contains("nowhere"));
    let log = daemon.log();
    assert!(!log.lines().any(prefixed), "stderr is not the journal:\n{log}");
    daemon.stop();
}

#[test]
fn nothing_but_data_goes_to_stdout() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    daemon.send(Signal::USR1);
    daemon.reloaded_by(|| {
        sandbox.config("[broken");
    });
    let stdout = std::fs::read_to_string(&daemon.stdout).expect("its stdout");
    assert_eq!(stdout, "");
    daemon.stop();
}
