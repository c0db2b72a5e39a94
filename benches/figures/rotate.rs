//! The processor time of a rotation in a daemon that rotates 500 tokens each second, in memory, against that of the floor.
//! RENEWD_LONG=1: for half a minute.

use std::fs;
use std::time::Duration;

use support::bench::daemon::Daemon;
use support::bench::{in_memory, table};
use support::long;

use crate::floor::floor;
use crate::tokens::Tokens;

const EACH_SECOND: usize = 500;

pub(crate) fn figures() {
    let folder = in_memory();
    // Times of tokens are whole seconds: each is due one second after it was issued, and all within the same.
    let lifetime = "10s\"\nrotate_every = \"1s\"\njitter = 0.0\nmin_interval = \"1s";
    let tokens = Tokens { lifetime, ..Tokens::new(folder.path(), EACH_SECOND) };
    tokens.prepare();
    let bare = bare(&tokens);
    tokens.forget();
    let daemon = Daemon::start(tokens.command("run"), tokens.folder);
    std::thread::sleep(Duration::from_secs(3));
    let seconds = if long() { 30 } else { 8 };
    let (before, began) = (daemon.processor_time(), newest(&tokens));
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, ended) = (daemon.processor_time(), newest(&tokens));
    daemon.stop();
    let rotations = ended.saturating_sub(began) * EACH_SECOND as u64;
    assert!(rotations > 0, "nothing was rotated");
    let each = micros(after.saturating_sub(before)) / rotations as f64;
    table::title(&format!(
        "{EACH_SECOND} tokens rotated each second for {seconds} s, HS256, in memory: processor time"
    ));
    table::plain("the floor, of a token", bare, "us");
    table::plain("the daemon, of a rotation", each, "us");
    table::line("... against the floor", each / bare, 1.8, "");
}

/// Microseconds a token, of many rounds like those of the daemon.
fn bare(tokens: &Tokens<'_>) -> f64 {
    let rounds = 20;
    let before = own_time();
    for _ in 0..rounds {
        floor(&tokens.out(), tokens.number, tokens.signed);
    }
    micros(own_time().saturating_sub(before)) / (rounds * tokens.number) as f64
}

/// The second in which the last token was written.
fn newest(tokens: &Tokens<'_>) -> u64 {
    let written =
        fs::metadata(tokens.file(tokens.number - 1)).and_then(|meta| meta.modified()).expect("the last token");
    written.duration_since(std::time::UNIX_EPOCH).expect("a time of now").as_secs()
}

/// Of this thread.
fn own_time() -> Duration {
    support::bench::daemon::scheduled("/proc/thread-self/schedstat".as_ref()).expect("this thread's time")
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
