//! Owns: what renewd remembers over a restart: one append-only log a config in `state_dir`, its lock, its compaction.
//! Memory holds no second copy of a token: the store knows where in the log each record that counts stands.
//! Does not: decide what is kept, or when a record must be durable.

mod damage;
mod doubt;
mod draft;
mod error;
mod glimpse;
mod kept;
mod place;
mod record;
mod room;
mod scan;
mod twin;
mod upkeep;
mod value;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use self::draft::{Draft, SetAside, publish};
use self::kept::{name_of, read};
use self::place::StateFolder;
use self::scan::{Newer, RecordRange, Scan};
use crate::core::settings::Fingerprint;

pub(crate) use self::error::StoreError;
pub use self::glimpse::glimpse;
pub use self::place::Worker;
pub use self::record::{FirstSending, KeptLine, KeptRefresh, KeptTarget, Record};
pub use self::scan::Kept;
pub(crate) use self::twin::twins;

/// A log is compacted when it is longer than this and more than so many times what counts in it.
const COMPACT_FROM: u64 = 64 << 10;
const COMPACT_TIMES: u64 = 4;

/// The open state of one config. Its lock is held until it is dropped.
#[derive(Debug)]
pub struct Store {
    place: StateFolder,
    /// Whose state it is, and for what it is open: for the lock.
    config: PathBuf,
    worker: Worker,
    /// 16 hex digits of the config's path.
    name: String,
    log: File,
    end: u64,
    live: HashMap<Fingerprint, RecordRange>,
    live_bytes: u64,
    /// The log is to be written anew before anything is appended: its header is that of an older version, whose program
    /// would take a record of ours for damage; it was damaged; a sync failed, and nobody knows what of it is on the disk; or
    /// it has no name any more.
    stale: bool,
    /// What the next log holds beyond what this one says.
    owed: Vec<Record>,
    /// The log gets a second name before another one takes its place.
    aside: Option<SetAside>,
    /// The log has its name, but a power loss may take it.
    is_name_unsynced: bool,
    /// A failed write may have left something behind `end` that could not be cut off yet.
    torn: bool,
    /// Up to here the log has room on the disk.
    reserved: u64,
    /// So much is kept free behind the end, for successors of what is being spent just now.
    room: u64,
    /// Not before the log is so long: a compaction that failed is not tried at each append.
    compact_from: u64,
    lock: File,
}

impl Store {
    /// Opens the state of the config `config` (its absolute path as given) in `state_dir`, which is made where it is
    /// missing, and takes its lock. A state that is new, or begun anew, gets the seed `seed_if_new`.
    ///
    /// # Errors
    /// Another process has it open, or it cannot be read, trusted or written. Nothing that is there is lost by any of the errors.
    pub fn open(state_dir: &Path, config: &Path, seed_if_new: u64, worker: Worker) -> Result<(Self, Kept), StoreError> {
        let place = StateFolder::open(state_dir)?;
        let name = name_of(config);
        let lock = place.lock(&lock_name(&name), config, worker)?;
        // What a crash left of a log that was never used. It may be what fills the disk.
        let _ = place.remove(&format!("{name}.new"));
        let log_name = format!("{name}.log");
        let (log, read) = match place.file(&log_name, OFlags::empty()) {
            Ok(log) => {
                let read = read(&log).map_err(|e| place.failed(&log_name, "reading", e))?;
                (log, read)
            }
            Err(Errno::NOENT) => {
                begin(&place, &name, seed_if_new).map_err(|e| place.failed(&log_name, "beginning", e))?
            }
            Err(errno) => return Err(place.failed(&log_name, "opening", errno.into())),
        };
        let (mut scan, aside, what) = match read {
            Ok(scan) => match scan.damaged_at {
                None => (scan, None, String::new()),
                Some(at) => (scan, Some(SetAside::Damaged), format!("was damaged at byte {at}")),
            },
            Err(Newer(version)) => {
                let known = record::VERSION;
                let what = format!("was written by a newer renewd (format {version}, this one knows {known})");
                (Scan::default(), Some(SetAside::Newer), what)
            }
        };
        let mut owed = std::mem::take(&mut scan.owed);
        owed.extend(scan.seed.is_none().then_some(Record::Seed(seed_if_new)));
        let live = std::mem::take(&mut scan.live);
        let mut store = Self {
            end: scan.end as u64,
            live_bytes: live.values().map(|span| u64::from(span.len)).sum(),
            live,
            stale: scan.outdated || aside.is_some() || !owed.is_empty(),
            owed,
            aside,
            is_name_unsynced: false,
            torn: log.metadata().is_ok_and(|meta| meta.len() > scan.end as u64),
            reserved: 0,
            room: 0,
            compact_from: COMPACT_FROM,
            place,
            config: config.into(),
            worker,
            name,
            log,
            lock,
        };
        let damaged = store.begin_anew(&what);
        let seed = scan.seed.unwrap_or(seed_if_new);
        Ok((store, Kept { seed, damaged, ..scan.kept }))
    }

    /// Writes a log that cannot be gone on with anew; says what was wrong with it, and where it is.
    fn begin_anew(&mut self, what: &str) -> Option<String> {
        let is_newer = self.aside == Some(SetAside::Newer);
        let written = self.renew();
        if let Err(error) = &written {
            // A full disk must not keep the daemon from starting: what is there is read, and nothing is appended meanwhile.
            tracing::warn!("{error}; it is tried again before anything is written");
        }
        if what.is_empty() {
            return None;
        }
        let log = self.place.path.join(self.log_name());
        let aside = match &written {
            Ok(Some(aside)) => format!("it was put aside as {aside:?} and begun anew"),
            _ => "it is put aside and begun anew as soon as that can be done".into(),
        };
        let rest = match is_newer {
            true => {
                "tokens are obtained again, with the refresh tokens of the config; to go back to the newer one, put that file back"
            }
            false => "tokens that cannot be told any more are obtained again",
        };
        Some(format!("state {log:?} {what}: {aside}; {rest}"))
    }

    /// Appends all `records` by one write, and with `sync` makes them durable before it returns: they may take the room that
    /// is kept for what is being spent, and the others may not.
    ///
    /// # Errors
    /// A write that failed (a full disk) leaves the log as it was, and the next append may succeed.
    pub fn append(&mut self, records: &[Record], sync: bool) -> Result<(), StoreError> {
        self.put(records, sync, if sync { 0 } else { self.room })
    }

    /// Makes `records` durable, and so many bytes of room behind them, which are kept from then on (see
    /// [`keep_room`](Self::keep_room)).
    ///
    /// # Errors
    /// There is no such room, or as for [`append`](Self::append).
    pub fn begin(&mut self, records: &[Record], room: u64) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut self.room, room);
        let begun = self.put(records, true, room);
        if begun.is_err() {
            self.room = before;
        }
        begun
    }

    /// From now on so much is kept free.
    pub fn keep_room(&mut self, room: u64) {
        self.room = room;
    }

    /// Sees to it that the next start finds this log.
    ///
    /// # Errors
    /// It had lost its name, and could not be written anew.
    pub fn look(&mut self) -> Result<(), StoreError> {
        self.renew().map(drop)
    }

    fn put(&mut self, records: &[Record], sync: bool, room: u64) -> Result<(), StoreError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(records.iter().map(Record::room).sum::<usize>()));
        let mut spans = Vec::with_capacity(records.len());
        for record in records {
            let at = bytes.len();
            record.encode(&mut bytes).ok_or(StoreError::TooLong { bytes: record.room() })?;
            spans.push(at..bytes.len());
        }
        self.renew()?;
        let mut written = self.write(&bytes, sync, room);
        // What counts no more may be what fills the disk, or the log up to its limit.
        if written.as_ref().is_err_and(|(_, error)| room::is_full(error))
            && self.end > 2 * self.live_bytes
            && self.rewrite().is_ok()
        {
            written = self.write(&bytes, sync, room);
        }
        written.map_err(|(doing, error)| self.failed(doing, error))?;
        for (record, span) in records.iter().zip(spans) {
            self.count(record, self.end + span.start as u64, span.len());
        }
        self.end += bytes.len() as u64;
        if sync && self.is_name_unsynced {
            self.sync_name().map_err(|error| self.failed("syncing the folder of", error))?;
        }
        if self.end > self.compact_from.max(COMPACT_TIMES * self.live_bytes) {
            self.compact();
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], sync: bool, room: u64) -> Result<(), (&'static str, io::Error)> {
        self.cut().map_err(|error| ("cutting", error))?;
        if room > 0 {
            self.reserve(bytes.len() as u64 + room).map_err(|error| ("making room in", error))?;
        }
        if let Err(error) = self.log.write_all_at(bytes, self.end) {
            self.take_back();
            return Err(("writing", error));
        }
        if sync && let Err(errno) = rustix::io::retry_on_intr(|| rustix::fs::fdatasync(&self.log)) {
            // The kernel tells of a write that failed once, and forgets it (fsync(2)).
            self.stale = true;
            self.take_back();
            return Err(("syncing", errno.into()));
        }
        Ok(())
    }

    /// Cuts off what a write that failed left.
    fn take_back(&mut self) {
        self.torn = true;
        if self.cut().is_ok() && self.room > 0 {
            // The cut gave the room back.
            let _ = self.reserve(self.room);
        }
    }

    fn cut(&mut self) -> io::Result<()> {
        if self.torn {
            self.log.set_len(self.end)?;
            (self.torn, self.reserved) = (false, 0);
        }
        Ok(())
    }

    fn reserve(&mut self, room: u64) -> io::Result<()> {
        let to = self.end + room;
        if to > self.reserved {
            let made = room::reserve(&self.log, self.end, to);
            // Padding may have come to a part of it.
            self.torn |= made.is_err();
            made?;
            self.reserved = to;
        }
        Ok(())
    }

    fn count(&mut self, record: &Record, at: u64, len: usize) {
        let subject = record.subject();
        // `encode` refuses what is longer.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let before = match record.ends() {
            true => self.live.remove(&subject),
            false => {
                self.live_bytes += u64::from(len);
                self.live.insert(subject, RecordRange { at, len })
            }
        };
        self.live_bytes -= before.map_or(0, |span| u64::from(span.len));
    }

    fn log_name(&self) -> String {
        format!("{}.log", self.name)
    }

    fn failed(&self, doing: &'static str, cause: io::Error) -> StoreError {
        self.place.failed(&self.log_name(), doing, cause)
    }
}

/// A new state.
fn begin(place: &StateFolder, name: &str, seed: u64) -> io::Result<(File, Result<Scan, Newer>)> {
    let draft = Draft::write(place, name, None, &HashMap::new(), &[Record::Seed(seed)], 0)?;
    publish(place, name, &draft)?;
    place.sync()?;
    let Draft { log, live, end } = draft;
    let end = usize::try_from(end).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok((log, Ok(Scan { seed: Some(seed), live, end, ..Scan::default() })))
}

fn lock_name(name: &str) -> String {
    format!("{name}.lock")
}
