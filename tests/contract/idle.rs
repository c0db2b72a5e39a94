//! A daemon that has nothing to do costs nothing: it wakes up twice a minute to look at everything, and what it looks at, where all
//! is as it was, wakes none of its other threads. `RENEWD_LONG=1`: over two minutes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use support::{Sandbox, long, sleeps};

/// It looks after 30 s, and nothing else is waited for here; the rest is for a slow machine.
const LATEST: Duration = Duration::from_secs(90);
/// Where no thread slept anew for so long, what followed from a wake-up is over.
const QUIET: Duration = Duration::from_secs(2);

/// The next moment at which all threads are at rest and have slept more often than `known`.
fn rest_after(pid: u32, known: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let begun = Instant::now();
    let (mut last, mut since) = (sleeps(pid), Instant::now());
    while *known == last || since.elapsed() < QUIET {
        assert!(begun.elapsed() < LATEST, "no rest: {last:?}");
        std::thread::sleep(Duration::from_millis(50));
        let now = sleeps(pid);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

#[test]
fn a_look_at_all_that_is_well_wakes_one_thread_once() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("more");
    sandbox.mkdir("config.d");
    let mut body = String::new();
    for index in 0..100 {
        let folder = if index % 10 == 0 { "more" } else { "out" };
        let _ = write!(
            body,
            "[token.t{index}]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret.file = \"secret\"\nlifetime = \"10h\"\n\
             [[token.t{index}.output]]\nformat = \"token\"\npath = \"{folder}/t{index}\"\n"
        );
    }
    let socket = sandbox.path("credentials.sock");
    sandbox.config_with(&format!("credential_socket = {socket:?}\n"), body);
    let daemon = sandbox.start();
    let pid = daemon.pid();
    let before = rest_after(pid, &BTreeMap::new());
    let looks = if long() { 4 } else { 1 };
    let after = (0..looks).fold(before.clone(), |known, _| rest_after(pid, &known));
    let woken: u64 = after.values().sum::<u64>() - before.values().sum::<u64>();
    // One may have to wait a moment for a lock of the kernel.
    assert!(woken <= looks + 1, "{looks} looks woke the threads {woken} times: {before:?}, {after:?}");
}
