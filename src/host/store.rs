//! Owns: what renewd remembers over a restart: one append-only log a config in `state_dir`, its lock, its compaction.
//! Memory holds no second copy of a token: the store knows where in the log each record that counts stands.
//! Does not: decide what is kept, or when a record must be durable.

mod place;
mod record;
mod scan;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use self::place::Place;
use self::scan::{HEADER, Newer, Scan, Span};
use super::walk::Owner;
use crate::core::settings::{Fingerprint, TokenName};

pub use self::record::{KeptTarget, KeptToken, Record};

/// A log is compacted when it is longer than this and more than so many times what counts in it.
const COMPACT_FROM: u64 = 64 << 10;
const COMPACT_TIMES: u64 = 4;
/// Bytes copied at once by a compaction.
const COPY: usize = 256 << 10;

/// Why the state cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the state of {config:?} is in use by {}: stop it first, or ask it (renewd status, renewd rotate)",
        pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
    )]
    Locked { pid: Option<u32>, config: PathBuf },
    #[error(
        "state {log:?} was written by a newer renewd (format {version}, this one knows {known}): run that one, or move the file away \
         to begin anew",
        known = record::VERSION
    )]
    Newer { log: PathBuf, version: u32 },
    #[error(
        "state_dir {folder:?} belongs to {owner}, renewd runs as {user}: chown it, or name another"
    )]
    Foreign {
        folder: PathBuf,
        owner: Owner,
        user: Owner,
    },
    #[error(
        "state_dir {folder:?} is open to others (mode {mode:04o}) and holds more than state: name a folder of its own, or \
         chmod 0700 it"
    )]
    Exposed { folder: PathBuf, mode: u32 },
    #[error("a state record of {bytes} bytes is too long; it was not kept")]
    TooLong { bytes: usize },
    #[error("state {path:?}: {doing} failed: {cause}{}", advice(path, cause))]
    Io {
        path: PathBuf,
        doing: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl StoreError {
    fn io(path: &Path, doing: &'static str, cause: io::Error) -> Self {
        Self::Io {
            path: path.into(),
            doing,
            cause,
        }
    }
}

fn advice(path: &Path, cause: &io::Error) -> String {
    match Errno::from_io_error(cause) {
        Some(Errno::ROFS) => format!(
            ": it is read-only here: give the unit StateDirectory= or ReadWritePaths={}",
            path.parent().unwrap_or(path).display()
        ),
        Some(Errno::ACCESS | Errno::PERM) => format!(
            ": {} lacks the right: chown it, or name another state_dir",
            Owner(rustix::process::geteuid().as_raw())
        ),
        Some(Errno::NOSPC | Errno::DQUOT) => ": free space; nothing that was kept is lost".into(),
        _ => String::new(),
    }
}

/// What the state says at the start.
#[derive(Debug)]
pub struct Kept {
    /// Drawn once for each config: jitter and backoff are hashed from it.
    pub seed: u64,
    pub tokens: BTreeMap<TokenName, KeptToken>,
    pub targets: BTreeMap<PathBuf, KeptTarget>,
    /// Set where the state was damaged: one line that says so, and where it was put.
    pub damaged: Option<String>,
}

/// The open state of one config. Its lock is held until it is dropped.
#[derive(Debug)]
pub struct Store {
    place: Place,
    /// 16 hex digits of the config's path.
    name: String,
    log: File,
    end: u64,
    live: HashMap<Fingerprint, Span>,
    live_bytes: u64,
    /// A failed write may have left something behind `end` that could not be cut off yet.
    torn: bool,
    /// Not before the log is so long: a compaction that failed is not tried at each append.
    compact_from: u64,
    _lock: File,
}

impl Store {
    /// Opens the state of the config `config` (its absolute path as given) in `state_dir`, which is made where it is
    /// missing, and takes its lock. A state that is new, or begun anew, gets the seed `seed_if_new`.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process has it open. Nothing that is there is lost by any of the errors.
    pub fn open(
        state_dir: &Path,
        config: &Path,
        seed_if_new: u64,
    ) -> Result<(Self, Kept), StoreError> {
        let place = Place::open(state_dir)?;
        let name = name_of(config);
        let lock = place.lock(&format!("{name}.lock"), config)?;
        let log_name = format!("{name}.log");
        let log_path = place.path.join(&log_name);
        let io = |doing| move |errno: Errno| StoreError::io(&log_path, doing, errno.into());
        let log = match place.file(&log_name, OFlags::empty()) {
            Err(Errno::NOENT) => None,
            other => Some(other.map_err(io.clone()("opening"))?),
        };
        let scan = match &log {
            None => Scan::default(),
            Some(log) => read(log, &place.path.join(&log_name))?,
        };
        todo_open(place, name, log, scan, lock, seed_if_new)
    }
}

fn name_of(config: &Path) -> String {
    let Fingerprint(digest) = Fingerprint::of(config.as_os_str().as_bytes());
    let mut name = data_encoding::HEXLOWER.encode(&digest);
    name.truncate(16);
    name
}
