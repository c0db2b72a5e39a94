//! What happens beside the config costs the daemon nothing: readers of a token file there, and a log that is written. Alone in its
//! process: it counts the wake-ups of threads.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

use renewd::host::watch::{Mark, Watcher};

/// How often the threads of notify were woken.
fn wakes() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
    let of_notify =
        tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("notify")));
    let count = |task: std::path::PathBuf| -> u64 {
        let status = fs::read_to_string(task.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse().unwrap()
    };
    let counts: Vec<u64> = of_notify.map(count).collect();
    assert_eq!(counts.len(), 2);
    counts.iter().sum()
}

#[tokio::test]
async fn neighbours_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().canonicalize().unwrap().join(name);
    let (config, token, log) = (name("config.toml"), name("sunbird.token"), name("log"));
    for file in [&config, &token, &log] {
        fs::write(file, "x").unwrap();
    }
    let mut watcher = Watcher::new();
    watcher.set(&BTreeSet::from([config]), &BTreeSet::new(), Mark::now());
    watcher.settled().await;
    let mut open = File::options().append(true).open(&log).unwrap();
    let before = wakes();
    for _ in 0..1000 {
        drop(File::open(&token).unwrap());
        writeln!(open, "a line").unwrap();
        // One that is opened for each line.
        writeln!(File::options().append(true).open(&log).unwrap(), "a line").unwrap();
        // So that each would be an event that wakes the watcher's thread.
        std::thread::sleep(Duration::from_micros(200));
    }
    let after = wakes();
    assert_eq!(after, before, "1,000 readers and 2,000 lines of a log woke the watcher {} times", after - before);
}
