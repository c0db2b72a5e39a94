//! From an edit of the config to the new token in its file: the write of the config is closed, the file has changed.
//! RENEWD_LONG=1: more edits.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use support::bench::daemon::Daemon;
use support::bench::{in_memory, millis, quantile, table};
use support::long;

use crate::start::memory_goal;
use crate::tokens::Tokens;

pub(crate) fn figures() {
    // Milliseconds, of the median and of the slowest of a hundred.
    for (number, goals, edits) in [(1, (60.0, 60.0), 60), (1_000, (60.0, 80.0), 40), (10_000, (60.0, 100.0), 25)] {
        let folder = in_memory();
        edit(folder.path(), number, goals, if long() { 200 } else { edits });
    }
}

fn edit(folder: &Path, number: usize, goals: (f64, f64), edits: usize) {
    let tokens = Tokens::new(folder, number);
    tokens.prepare();
    let mut command = tokens.command("run");
    command.env("RENEWD_LOG", "error");
    let daemon = Daemon::start(command, folder);
    let changed = number / 2;
    let mut times = Vec::new();
    for edit in 0..edits {
        let text = tokens.text(|index| {
            let hours = if index == changed { 2 + edit % 2 } else { 1 };
            format!("{hours}h")
        });
        daemon.forget_messages();
        let before = inode(&tokens.file(changed));
        let fresh = folder.join("config.new");
        fs::write(&fresh, text).expect("the new config");
        rustix::fs::chmod(&fresh, rustix::fs::Mode::from_raw_mode(0o600)).expect("chmod");
        let edited = Instant::now();
        fs::rename(&fresh, tokens.config()).expect("the edit");
        while inode(&tokens.file(changed)) == before {
            assert!(edited.elapsed() < Duration::from_secs(20), "the edit was not taken up");
            std::thread::sleep(Duration::from_micros(200));
        }
        times.push(edited.elapsed());
        // One edit at a time: the next begins when this one is done with.
        daemon.wait_for("READY=1");
    }
    let resident = daemon.resident() as f64 / 1024.0;
    daemon.stop();
    table::title(&format!("one of {number} tokens edited, {edits} times, in memory"));
    table::line("config edit to new file, p50", millis(quantile(&mut times, 0.5)), goals.0, "ms");
    table::line("config edit to new file, p99", millis(quantile(&mut times, 0.99)), goals.1, "ms");
    table::line("memory after them (VmRSS)", resident, memory_goal(number), "MiB");
}

fn inode(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |meta| meta.ino())
}
