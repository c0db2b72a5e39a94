//! Owns: threads that read files over and over, as consumers do, and keep what they had to complain of.
//! Does not: know what a good file is; each reader is told.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::now;

/// What one read saw. The time was taken before the file was opened: whatever had expired then, had expired in the file.
pub struct Seen<'a> {
    pub text: &'a str,
    pub meta: &'a Metadata,
    pub before: f64,
}

/// What all reads together saw.
#[derive(Default, Debug)]
pub struct Report {
    pub reads: usize,
    /// How many different contents, over all files.
    pub distinct: usize,
    pub complaints: Vec<String>,
}

/// Reader threads, until they are stopped.
#[derive(Default)]
pub struct Readers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Report>>,
}

impl Readers {
    pub fn new() -> Self {
        Self::default()
    }

    /// One more thread that opens `path` again and again. A file that is missing is a complaint too.
    pub fn watch<F>(&mut self, path: PathBuf, pause: Duration, check: F)
    where
        F: Fn(Seen<'_>) -> Result<(), String> + Send + 'static,
    {
        let stop = Arc::clone(&self.stop);
        self.threads.push(std::thread::spawn(move || {
            let mut report = Report::default();
            let mut contents = HashSet::new();
            while !stop.load(Ordering::Relaxed) {
                let before = now();
                let verdict = read(&path).and_then(|(text, meta)| {
                    let verdict = check(Seen { text: &text, meta: &meta, before });
                    contents.insert(text);
                    verdict
                });
                report.reads += 1;
                if let Err(complaint) = verdict {
                    report.complaints.push(format!("{}: {complaint}", path.display()));
                }
                std::thread::sleep(pause);
            }
            report.distinct = contents.len();
            report
        }));
    }

    /// Ends all threads and adds up what they saw.
    pub fn stop(mut self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Report::default();
        for thread in std::mem::take(&mut self.threads) {
            let one = thread.join().expect("a reader that does not panic");
            all.reads += one.reads;
            all.distinct += one.distinct;
            all.complaints.extend(one.complaints);
        }
        all
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Report {
    /// Itself, if there is nothing to complain of.
    #[track_caller]
    pub fn content(self) -> Self {
        assert!(
            self.complaints.is_empty(),
            "{} of {} reads: {:#?}",
            self.complaints.len(),
            self.reads,
            &self.complaints[..self.complaints.len().min(5)]
        );
        self
    }
}

/// Text and metadata of one opened file: both of the same inode.
fn read(path: &PathBuf) -> Result<(String, Metadata), String> {
    let said = |e: std::io::Error| e.to_string();
    let mut file = File::open(path).map_err(said)?;
    let meta = file.metadata().map_err(said)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(said)?;
    Ok((text, meta))
}
