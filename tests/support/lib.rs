//! Owns: what the tests share: a sandbox, a running daemon with a fake service manager, readers, a JWT eye of its own.
//! It knows the binary only by its command line, files, signals and sockets; no line of renewd is called from here.
//! A crate of its own, so that each test program takes what it needs, and it is compiled once for all of them.
//! Does not: assert promises. The test programs do.

pub mod bench;
mod daemon;
pub mod forge;
pub mod http;
mod jwt;
mod mounts;
mod openssl;
mod pages;
mod peers;
pub mod pki;
mod processes;
mod readers;
mod sandbox;
mod token_text;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use daemon::Daemon;
pub use jwt::Jwt;
pub use mounts::{Mounts, Tmpfs};
pub use openssl::{openssl, openssl_in};
pub use pages::{Block, Page, files_below, manual, pages};
pub use peers::{Serving, peer, program, python, skip, skipped};
pub use processes::{pids, runs, sleeps};
pub use readers::Readers;
pub use sandbox::{Ran, SECRET, Sandbox, names_in};
pub use token_text::{TokenText, token};

/// How long a test waits for something that has no time of its own in the contract. Generous: the machine may be loaded.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The folder of the repository.
pub fn repository() -> &'static Path {
    let ancestors = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    ancestors.into_iter().nth(2).expect("this crate is in tests/support")
}

/// The folder of the build that this test program is part of.
pub fn target() -> PathBuf {
    this_program().ancestors().nth(3).expect("target/debug/deps/PROGRAM").to_owned()
}

/// The binary under test. Cargo names it to the test programs that it runs (RENEWD_BINARY=PATH takes another one); for a test
/// program that is run by hand it is the one built beside it.
pub fn binary() -> PathBuf {
    let named = ["RENEWD_BINARY", "CARGO_BIN_EXE_renewd"].into_iter().find_map(std::env::var_os);
    named.map_or_else(beside_this_program, |path| repository().join(path))
}

fn beside_this_program() -> PathBuf {
    this_program().ancestors().nth(2).expect("target/debug/deps/PROGRAM").join("renewd")
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("a test program knows where it is")
}

/// Polls until `check` gives something; panics with `what` once `limit` has passed.
pub fn eventually<T>(limit: Duration, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Polls with patience until `check` is true.
pub fn until(what: &str, mut check: impl FnMut() -> bool) {
    eventually(PATIENCE, what, || check().then_some(()));
}

/// Seconds since the Unix epoch.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs_f64()
}

/// Whether the long forms were asked for (`RENEWD_LONG=1`).
pub fn long() -> bool {
    std::env::var_os("RENEWD_LONG").is_some_and(|v| v == "1")
}

/// The same for a test that has no short form; says so where it has to be skipped.
pub fn has_a_minute(test: &str) -> bool {
    if !long() {
        skipped(test, "takes a minute: RENEWD_LONG=1");
    }
    long()
}

/// Whether system calls can be made to fail or to take long; says so when a test has to be skipped.
pub fn has_strace(test: &str) -> bool {
    let ran = std::process::Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let has = ran.is_ok_and(|ran| ran.status.success());
    if !has {
        skipped(test, "strace is missing or may not trace");
    }
    has
}

/// Whether files can be given away; says so when a test has to skip that part.
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(test, "needs root");
    }
    root
}

/// A small seeded generator (xorshift64*): a failure is repeated with `RENEWD_SEED`.
pub struct Dice(u64);

impl Dice {
    /// Seeded from `RENEWD_SEED`, else from the clock; the seed is printed.
    pub fn new(test: &str) -> Self {
        let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
        let seed = std::env::var("RENEWD_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(drawn);
        println!("{test}: RENEWD_SEED={seed}");
        Self(seed.max(1))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % end
    }
}
