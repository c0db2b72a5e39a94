//! From the start of `renewd run` to READY=1, its memory at rest, and how often it wakes when nothing is to be done.
//! RENEWD_LONG=1: more rounds, 100,000 tokens too, two minutes of idleness. RENEWD_IDLE=SECONDS: so long.

use std::path::Path;
use std::time::Duration;

use support::bench::daemon::Daemon;
use support::bench::{in_memory, millis, quantile, table};
use support::long;

use crate::floor::floor;
use crate::tokens::Tokens;

pub(crate) fn figures() {
    binary();
    let numbers = [(1, 5.0), (1_000, 40.0), (10_000, 150.0), (100_000, 1_500.0)];
    let mut of_one = None;
    for (number, goal) in &numbers[..if long() { 4 } else { 3 }] {
        let folder = in_memory();
        let tokens = Tokens::new(folder.path(), *number);
        tokens.prepare();
        let resident = start(&tokens, *goal);
        let of_one = *of_one.get_or_insert(resident);
        if *number > 1 {
            let further = (resident - of_one) * 1024.0 / (*number - 1) as f64;
            table::line("... for each further token", further, 1.2, "KiB");
        }
    }
    idle();
}

fn binary() {
    let path = support::bench::measured();
    let size = Path::new(&path).metadata().expect("the binary").len();
    table::title("the binary");
    table::line("size", size as f64 / 1024.0 / 1024.0, 8.0, "MiB");
}

/// What it tells is the memory at rest after a restart, MiB.
fn start(tokens: &Tokens<'_>, goal: f64) -> f64 {
    let floor = (0..3).map(|_| {
        tokens.forget();
        floor(&tokens.out(), tokens.number, tokens.signed)
    });
    let floor = millis(floor.min().expect("three"));
    tokens.forget();
    let fresh = Daemon::start(tokens.command("run"), tokens.folder);
    let first = millis(fresh.ready_after);
    let after_first = memory(&fresh);
    fresh.stop();
    let rounds = if long() { 20 } else { 5 };
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let daemon = Daemon::start(tokens.command("run"), tokens.folder);
            let time = daemon.ready_after;
            daemon.stop();
            time
        })
        .collect();
    let kept = Daemon::start(tokens.command("run"), tokens.folder);
    let at_rest = memory(&kept);
    kept.stop();
    table::title(&format!("{} tokens, HS256, in memory", tokens.number));
    table::line("start to READY, all valid (median)", millis(quantile(&mut times, 0.5)), goal, "ms");
    table::plain("start to READY, none there yet", first, "ms");
    table::line("... against the floor", first / floor, 3.0, "");
    let goal = memory_goal(tokens.number);
    table::line("memory at rest after all were renewed (VmRSS)", after_first.resident, goal, "MiB");
    table::plain("... its own after a restart (Private_Dirty)", at_rest.private, "MiB");
    table::plain("... proportional (Pss)", at_rest.proportional, "MiB");
    table::line("memory at rest after a restart (VmRSS)", at_rest.resident, goal, "MiB");
    at_rest.resident
}

/// MiB: those of one token, and 1.2 KiB for each further one.
pub(crate) fn memory_goal(tokens: usize) -> f64 {
    6.0 + tokens.saturating_sub(1) as f64 * 1.2 / 1024.0
}

struct Memory {
    resident: f64,
    private: f64,
    proportional: f64,
}

/// What is left when it has come to rest, and the threads have ended that are there for 10 s only.
fn memory(daemon: &Daemon) -> Memory {
    std::thread::sleep(Duration::from_secs(12));
    let mib = |kib: u64| kib as f64 / 1024.0;
    Memory {
        resident: mib(daemon.resident()),
        private: mib(daemon.private()),
        proportional: mib(daemon.proportional()),
    }
}

fn idle() {
    let given = std::env::var("RENEWD_IDLE").ok().and_then(|seconds| seconds.parse().ok());
    let seconds: u64 = given.unwrap_or(if long() { 120 } else { 5 });
    let folder = in_memory();
    let tokens = Tokens::new(folder.path(), 100);
    tokens.prepare();
    let daemon = Daemon::start(tokens.command("run"), tokens.folder);
    // The threads that wrote the files end when they had nothing to do for 10 s.
    std::thread::sleep(Duration::from_secs(11));
    let before = daemon.sleeps();
    std::thread::sleep(Duration::from_secs(seconds));
    let woken = daemon.sleeps().saturating_sub(before);
    daemon.stop();
    table::title(&format!("idle, 100 tokens, for {seconds} s"));
    let allowed = (seconds as f64 / 30.0).ceil().max(1.0);
    table::line("wake-ups of all threads", woken as f64, allowed, "");
}
