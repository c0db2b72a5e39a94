//! How long a delivery of many files takes, against a bare loop that does the same durable work one file after another:
//! create, write, fsync, rename, fsync the folder. And what the other ways to make many files durable would cost.
//! Arguments: folders to write in (default: the temporary folder and /dev/shm).

use std::hint::black_box;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use renewd::core::secret::Secret;
use renewd::core::settings::{FileSpec, Mode};
use renewd::host::deliver::{Job, deliver};
use rustix::fs::{Advice, CWD, OFlags, fadvise, fchmod, fsync, openat, renameat, syncfs};

const CONTENT: [u8; 300] = [b'x'; 300];

fn main() {
    let mut folders: Vec<PathBuf> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).map(PathBuf::from).collect();
    if folders.is_empty() {
        folders = vec![std::env::temp_dir(), "/dev/shm".into()];
    }
    for folder in folders {
        for (files, runs) in [(1, 50), (4, 50), (100, 5), (10_000, 2)] {
            println!("\n{} files of 300 bytes in {}", files, folder.display());
            table(&folder, files, runs);
        }
    }
}

type Way<'a> = (&'a str, Box<dyn Fn(&Path, usize)>);

fn table(folder: &Path, files: usize, runs: usize) {
    let mut ways: Vec<Way<'_>> = vec![("bare loop", Box::new(bare)), ("deliver()", Box::new(delivered))];
    for threads in [1, 2, 4, 8] {
        let label = ["", "1 thread", "2 threads", "", "4 threads", "", "", "", "8 threads"][threads];
        ways.push((label, Box::new(move |at, files| spread(at, files, threads))));
    }
    for threads in [1, 8] {
        let label = if threads == 1 { "late, 1" } else { "late, 8" };
        ways.push((label, Box::new(move |at, files| late(at, files, threads))));
    }
    ways.push(("one syncfs", Box::new(one_syncfs)));

    // The ways take turns, so that a busy moment of the machine meets all of them.
    let mut best = vec![Duration::MAX; ways.len()];
    for _ in 0..runs {
        for ((_, way), best) in ways.iter().zip(&mut best) {
            *best = (*best).min(timed(folder, files, way));
        }
    }
    for ((label, _), best_of) in ways.iter().zip(&best) {
        let ratio = best_of.as_secs_f64() / best[0].as_secs_f64();
        println!("  {label:<12} {:>10.3} ms  {ratio:>6.2} of the bare loop", best_of.as_secs_f64() * 1e3);
    }
}

/// Replaces files that are there, as a rotation does.
fn timed(folder: &Path, files: usize, way: &dyn Fn(&Path, usize)) -> Duration {
    let at = tempfile::tempdir_in(folder).expect("a folder to write in");
    for i in 0..files {
        std::fs::write(at.path().join(format!("token{i}")), CONTENT).expect("a first file");
    }
    syncfs(open(at.path())).expect("a quiet disk");
    let start = Instant::now();
    way(at.path(), files);
    start.elapsed()
}

fn delivered(at: &Path, files: usize) {
    let jobs: Vec<_> = (0..files)
        .map(|i| Job {
            path: at.join(format!("token{i}")).into(),
            spec: FileSpec { mode: Mode(0o640), uid: None, gid: None },
            bytes: Secret::new(CONTENT.to_vec()),
            verify: false,
        })
        .collect();
    assert!(black_box(deliver(at, &jobs)).iter().all(Result::is_ok));
}

fn open(folder: &Path) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, folder, flags, rustix::fs::Mode::empty()).expect("the folder")
}

fn temp(i: usize) -> String {
    format!(".token{i}.renewd-0badcafe")
}

fn create(folder: &OwnedFd, i: usize) -> OwnedFd {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let file = openat(folder, temp(i), flags, mode).expect("a temporary file");
    fchmod(&file, rustix::fs::Mode::from_raw_mode(0o640)).expect("its mode");
    assert_eq!(rustix::io::write(&file, &CONTENT), Ok(CONTENT.len()));
    file
}

fn rename(folder: &OwnedFd, i: usize) {
    renameat(folder, temp(i), folder, format!("token{i}")).expect("the rename");
}

fn bare(at: &Path, files: usize) {
    let folder = open(at);
    for i in 0..files {
        fsync(create(&folder, i)).expect("the file's fsync");
        rename(&folder, i);
        fsync(&folder).expect("the folder's fsync");
    }
}

fn spread(at: &Path, files: usize, threads: usize) {
    let folder = open(at);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= files {
                        break;
                    }
                    fsync(create(&folder, i)).expect("the file's fsync");
                    rename(&folder, i);
                }
            });
        }
    });
    fsync(&folder).expect("the folder's fsync");
}

/// 64 are written, the disk begins with all of them, each is synced, all are renamed.
fn late(at: &Path, files: usize, threads: usize) {
    let folder = open(at);
    for from in (0..files).step_by(64) {
        let window = from..files.min(from + 64);
        let open: Vec<OwnedFd> = window.clone().map(|i| create(&folder, i)).collect();
        open.iter().for_each(|file| fadvise(file, 0, None, Advice::DontNeed).expect("the advice"));
        let next = AtomicUsize::new(0);
        let sync = || {
            while let Some(file) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                fsync(file).expect("the file's fsync");
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(sync)));
            sync();
        });
        window.for_each(|i| rename(&folder, i));
    }
    fsync(&folder).expect("the folder's fsync");
}

fn one_syncfs(at: &Path, files: usize) {
    let folder = open(at);
    for i in 0..files {
        create(&folder, i);
    }
    syncfs(&folder).expect("syncfs");
    for i in 0..files {
        rename(&folder, i);
    }
    fsync(&folder).expect("the folder's fsync");
}
