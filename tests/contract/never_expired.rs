//! The promise: a token that can be obtained is never past its expiry in its file.
//! Shown with tokens that live for 2 s, read each millisecond; the time is taken before the file is opened.
//! In memory, for a disk that others keep busy stalls for as long as such a token has left.
//! Also while hooks hang, clients of the socket say nothing, and the config changes all the time.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use support::{Jwt, Readers, SECRET, Sandbox, long, token};

const PAUSE: Duration = Duration::from_millis(1);

fn watch(readers: &mut Readers, sandbox: &Sandbox, name: &str) {
    let path = sandbox.out(&format!("{name}.token"));
    readers.watch(path, PAUSE, |seen| Jwt::good_at(seen.text, SECRET.as_bytes(), seen.before).map(drop));
}

#[test]
fn two_second_tokens_are_never_past_their_expiry() {
    let sandbox = Sandbox::in_memory();
    let two = "lifetime = \"2s\"";
    let texts = [
        token("a").line(two),
        token("b").line(two).line("jitter = 0.5"),
        token("c").line(two).line("rotate_before = \"1s\""),
        token("d").line(two).line("skew = \"30s\""),
    ];
    sandbox.config(texts.map(|t| t.to_string()).concat());
    let mut daemon = sandbox.start();
    let mut readers = Readers::new();
    for name in ["a", "b", "c", "d"] {
        watch(&mut readers, &sandbox, name);
    }
    let seconds = if long() { 300 } else { 20 };
    std::thread::sleep(Duration::from_secs(seconds));
    let report = readers.stop().content();
    println!("{} reads, {} tokens", report.reads, report.distinct);
    let least = 4 * seconds as usize / 2;
    assert!(report.distinct >= least, "only {} tokens", report.distinct);
    let most = 4 * (seconds as usize + 2);
    assert!(report.distinct <= most, "hot: {} tokens", report.distinct);
    assert!(daemon.alive());
}

#[test]
fn nothing_that_hangs_and_no_reload_makes_one_late() {
    let sandbox = Sandbox::in_memory();
    sandbox.script("hang", "sleep 120");
    let hang = format!("command = [\"{}\"]\ntimeout = \"3s\"", sandbox.path("hang").display());
    let body = |round: u32| {
        let two = "lifetime = \"2s\"";
        let changing = token("c").line(&format!("claims = {{ round = {round} }}"));
        format!("{}{}{changing}", token("a").line(two).hook("after_rotate", &hang), token("b").line(two),)
    };
    sandbox.config(body(0));
    let daemon = sandbox.start();
    let mut readers = Readers::new();
    watch(&mut readers, &sandbox, "a");
    watch(&mut readers, &sandbox, "b");
    let silent: Vec<UnixStream> =
        (0..50).filter_map(|_| UnixStream::connect(sandbox.path("control.sock")).ok()).collect();
    assert_eq!(silent.len(), 50);
    let began = Instant::now();
    let mut round = 0;
    while began.elapsed() < Duration::from_secs(8) {
        round += 1;
        daemon.reloaded_by(|| {
            sandbox.config(body(round));
        });
    }
    assert_eq!(sandbox.jwt("c").claims["round"], round);
    let report = readers.stop().content();
    assert!(report.distinct >= 8, "only {} tokens", report.distinct);
    assert!(round >= 10, "only {round} reloads");
    daemon.stop();
}
