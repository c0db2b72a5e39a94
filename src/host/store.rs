//! Owns: what renewd remembers over a restart: one append-only log a config in `state_dir`, its lock, its compaction.
//! Memory holds no second copy of a token: the store knows where in the log each record that counts stands.
//! Does not: decide what is kept, or when a record must be durable.

mod draft;
mod glimpse;
mod place;
mod reader;
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

use self::draft::{Draft, publish, put_aside};
use self::place::Place;
use self::scan::{Newer, Scan, Span};
use super::walk::Owner;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};

pub use self::glimpse::{Glimpse, glimpse};
pub use self::place::Worker;
pub use self::record::{FirstSending, KeptLine, KeptRefresh, KeptTarget, KeptToken, Record};

/// A log is compacted when it is longer than this and more than so many times what counts in it.
const COMPACT_FROM: u64 = 64 << 10;
const COMPACT_TIMES: u64 = 4;

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
        "the state in {folder:?} belongs to the user {owner}, and this runs as {user}: run it as {owner} or as root; if {user} is \
         whom the daemon is to run as, chown the folder, or name another state_dir"
    )]
    Foreign { folder: PathBuf, owner: Owner, user: Owner },
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
        Self::Io { path: path.into(), doing, cause }
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
    pub targets: BTreeMap<TargetPath, KeptTarget>,
    pub refreshes: BTreeMap<TokenName, KeptRefresh>,
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
    /// The header is that of an older version, whose program would take a record of ours for damage: the log is written anew
    /// before anything is appended.
    outdated: bool,
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
    pub fn open(state_dir: &Path, config: &Path, seed_if_new: u64, worker: Worker) -> Result<(Self, Kept), StoreError> {
        let place = Place::open(state_dir)?;
        let name = name_of(config);
        let lock = place.lock(&format!("{name}.lock"), config, worker)?;
        let log_name = format!("{name}.log");
        let found = match place.file(&log_name, OFlags::empty()) {
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(place.failed(&log_name, "opening", errno.into())),
            Ok(log) => {
                let scan = read(&log).map_err(|e| place.failed(&log_name, "reading", e))?;
                let scan =
                    scan.map_err(|Newer(version)| StoreError::Newer { log: place.path.join(&log_name), version })?;
                Some((log, scan))
            }
        };
        let begun =
            Begun::from(&place, &name, found, seed_if_new).map_err(|e| place.failed(&log_name, "beginning", e))?;
        let kept = Kept {
            seed: begun.scan.seed.unwrap_or(seed_if_new),
            tokens: begun.scan.tokens,
            targets: begun.scan.targets,
            refreshes: begun.scan.refreshes,
            damaged: begun.damaged,
        };
        let Draft { log, live, end } = begun.draft;
        let mut store = Self {
            place,
            name,
            log,
            end,
            live_bytes: live.values().map(|span| u64::from(span.len)).sum(),
            live,
            outdated: begun.outdated,
            torn: false,
            compact_from: COMPACT_FROM,
            _lock: lock,
        };
        if let Err(error) = store.bring_up_to_date() {
            // A full disk must not keep the daemon from starting: what is there is read, and nothing is appended meanwhile.
            tracing::warn!("{error}; it is tried again before anything is written");
        }
        Ok((store, kept))
    }

    /// Appends all `records` by one write, and with `sync` makes them durable before it returns.
    ///
    /// # Errors
    /// A write that failed (a full disk) leaves the log as it was, and the next append may succeed.
    pub fn append(&mut self, records: &[Record], sync: bool) -> Result<(), StoreError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(records.iter().map(Record::room).sum::<usize>()));
        let mut spans = Vec::with_capacity(records.len());
        for record in records {
            let at = bytes.len();
            record.encode(&mut bytes).ok_or(StoreError::TooLong { bytes: record.room() })?;
            spans.push(at..bytes.len());
        }
        self.bring_up_to_date()?;
        self.write(&bytes).map_err(|e| self.failed("writing", e))?;
        for (record, span) in records.iter().zip(spans) {
            self.count(record, self.end + span.start as u64, span.len());
        }
        self.end += bytes.len() as u64;
        if sync {
            rustix::io::retry_on_intr(|| rustix::fs::fdatasync(&self.log))
                .map_err(|errno| self.failed("syncing", errno.into()))?;
        }
        if self.end > self.compact_from.max(COMPACT_TIMES * self.live_bytes) {
            self.compact();
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            self.log.set_len(self.end)?;
            self.torn = false;
        }
        let result = self.log.write_all_at(bytes, self.end);
        if result.is_err() {
            self.torn = self.log.set_len(self.end).is_err();
        }
        result
    }

    fn count(&mut self, record: &Record, at: u64, len: usize) {
        let subject = record.subject();
        // `encode` refuses what is longer.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let before = match record.ends() {
            true => self.live.remove(&subject),
            false => {
                self.live_bytes += u64::from(len);
                self.live.insert(subject, Span { at, len })
            }
        };
        self.live_bytes -= before.map_or(0, |span| u64::from(span.len));
    }

    /// What was appended is safe without it: one that fails is told, and tried again when the log has doubled.
    fn compact(&mut self) {
        if let Err(error) = self.rewrite() {
            self.compact_from = 2 * self.end;
            tracing::warn!("{}", self.failed("compacting (it is tried again later)", error));
        }
    }

    /// Puts a log of this version, with what counts of the present one, in its place.
    fn rewrite(&mut self) -> io::Result<()> {
        let draft = Draft::write(&self.place, &self.name, Some(&self.log), &self.live, None)?;
        publish(&self.place, &self.name)?;
        let Draft { log, live, end } = draft;
        (self.log, self.live, self.end) = (log, live, end);
        (self.torn, self.outdated, self.compact_from) = (false, false, COMPACT_FROM);
        Ok(())
    }

    fn bring_up_to_date(&mut self) -> Result<(), StoreError> {
        if !self.outdated {
            return Ok(());
        }
        self.rewrite().map_err(|error| self.failed("writing it anew in the format of this version", error))
    }

    fn failed(&self, doing: &'static str, cause: io::Error) -> StoreError {
        self.place.failed(&format!("{}.log", self.name), doing, cause)
    }
}

/// A log on the way to be used.
struct Begun {
    draft: Draft,
    scan: Scan,
    outdated: bool,
    damaged: Option<String>,
}

impl Begun {
    /// A good log is used as it is, cut where a crash tore it. None, or a damaged one, is replaced by a new one.
    fn from(place: &Place, name: &str, found: Option<(File, Scan)>, seed: u64) -> io::Result<Self> {
        let log_name = format!("{name}.log");
        let (old, mut scan) = match found {
            None => (None, Scan::default()),
            Some((log, mut scan)) if scan.damaged_at.is_none() && scan.seed.is_some() => {
                let end = scan.end as u64;
                if log.metadata()?.len() > end {
                    log.set_len(end)?;
                }
                let live = std::mem::take(&mut scan.live);
                let outdated = scan.outdated;
                return Ok(Self { draft: Draft { log, live, end }, scan, outdated, damaged: None });
            }
            Some((log, scan)) => (Some(log), scan),
        };
        let live = std::mem::take(&mut scan.live);
        let new_seed = scan.seed.is_none().then_some(seed);
        let draft = Draft::write(place, name, old.as_ref(), &live, new_seed)?;
        let damaged = match scan.damaged_at {
            None => None,
            Some(at) => {
                let aside = put_aside(place, name)?;
                Some(format!(
                    "state {:?} was damaged at byte {at}: it was put aside as {aside:?} and begun anew; tokens that cannot be \
                     told any more are obtained again",
                    place.path.join(&log_name)
                ))
            }
        };
        publish(place, name)?;
        Ok(Self { draft, scan, outdated: false, damaged })
    }
}

fn read(mut log: &File) -> io::Result<Result<Scan, Newer>> {
    let len = usize::try_from(log.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    log.read_to_end(&mut bytes)?;
    Ok(scan::scan(&bytes))
}

fn name_of(config: &Path) -> String {
    let Fingerprint(digest) = Fingerprint::of(config.as_os_str().as_bytes());
    let mut name = data_encoding::HEXLOWER.encode(&digest);
    name.truncate(16);
    name
}
