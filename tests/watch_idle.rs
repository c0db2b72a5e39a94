//! Readers of a token file beside the config cost the daemon next to nothing. Alone in its process: it measures it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::time::Duration;

use renewd::host::watch::{Mark, Watcher};
use rustix::time::{ClockId, clock_gettime};

#[test]
fn readers_of_a_neighbour_cost_little() {
    let folder = tempfile::tempdir().unwrap();
    let (config, token) = (folder.path().join("config.toml"), folder.path().join("sunbird.token"));
    fs::write(&config, "x").unwrap();
    fs::write(&token, "x").unwrap();
    let mut watcher = Watcher::new();
    watcher.set(&BTreeSet::from([config]), &BTreeSet::new(), Mark::now());
    let clocks = || [ClockId::ProcessCPUTime, ClockId::ThreadCPUTime].map(clock_gettime);
    let [all, readers] = clocks();
    for _ in 0..1000 {
        drop(File::open(&token).unwrap());
        // So that each opening is an event that wakes the watcher's thread.
        std::thread::sleep(Duration::from_micros(200));
    }
    let [all_now, readers_now] = clocks();
    let spent = Duration::try_from((all_now - all) - (readers_now - readers)).unwrap();
    println!("1,000 readers cost the watcher {spent:?}");
    assert!(spent < Duration::from_millis(200), "{spent:?}");
}
