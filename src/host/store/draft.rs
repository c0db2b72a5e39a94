//! Owns: writing a new log beside the old one, from the records that count, and putting it in the old one's place.
//! At each moment one of the two stands whole under the log's name.
//! Does not: decide when, or judge damage.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::place::{self, StateFolder};
use super::record::{self, Record};
use super::room;
use super::scan::{self, RecordRange};
use crate::core::settings::Fingerprint;

/// Bytes copied at once.
const COPY: usize = 256 << 10;

/// A new log under the name `.new`, durable but for its name.
pub(super) struct Draft {
    pub(super) log: File,
    pub(super) live: HashMap<Fingerprint, RecordRange>,
    pub(super) end: u64,
}

impl Draft {
    /// Copies the records `live` of `old`, in their order, after a header and the `new` records, and keeps `room` behind them.
    pub(super) fn write(
        place: &StateFolder,
        name: &str,
        old: Option<&File>,
        live: &HashMap<Fingerprint, RecordRange>,
        new: &[Record],
        room: u64,
    ) -> io::Result<Self> {
        let new_name = format!("{name}.new");
        let log = place.file(&new_name, OFlags::CREATE | OFlags::TRUNC)?;
        let mut draft = Self { log, live: HashMap::with_capacity(live.len() + new.len()), end: 0 };
        let result = draft.fill(old, live, new, room);
        if result.is_err() {
            // It may be what fills the disk.
            let _ = place.remove(&new_name);
        }
        result.map(|()| draft)
    }

    fn fill(
        &mut self,
        old: Option<&File>,
        live: &HashMap<Fingerprint, RecordRange>,
        new: &[Record],
        room: u64,
    ) -> io::Result<()> {
        let mut order: Vec<_> = live.iter().map(|(subject, span)| (*span, *subject)).collect();
        order.sort_unstable();
        let longest = order.iter().map(|(span, _)| span.len as usize).max();
        let of_new: usize = new.iter().map(Record::room).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(COPY + longest.unwrap_or(0) + of_new + 256));
        bytes.extend_from_slice(&scan::header());
        for record in new {
            let (at, before) = (bytes.len() as u64, bytes.len());
            record.encode(&mut bytes).ok_or(io::ErrorKind::InvalidInput)?;
            let len = u32::try_from(bytes.len() - before).unwrap_or(u32::MAX);
            self.live.insert(record.subject(), RecordRange { at, len });
        }
        for (span, subject) in order {
            let start = bytes.len();
            bytes.resize(start + span.len as usize, 0);
            let frame = bytes.get_mut(start..).unwrap_or_default();
            old.ok_or(io::ErrorKind::NotFound)?.read_exact_at(frame, span.at)?;
            if record::frame_at(&bytes, start).is_none_or(|body| body.end != bytes.len()) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a record reads back damaged"));
            }
            let at = self.end + start as u64;
            self.live.insert(subject, RecordRange { at, ..span });
            if bytes.len() >= COPY {
                self.flush(&mut bytes)?;
            }
        }
        self.flush(&mut bytes)?;
        room::reserve(&self.log, self.end, self.end + room)?;
        rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.log)).map_err(Into::into)
    }

    fn flush(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.log.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }
}

/// Puts the new log in the place of the old one; from then on it is the one that counts. Its name is not durable yet.
pub(super) fn publish(place: &StateFolder, name: &str, draft: &Draft) -> io::Result<()> {
    let (new_name, log_name) = (format!("{name}.new"), format!("{name}.log"));
    let Err(errno) = place.rename(&new_name, &log_name) else { return Ok(()) };
    // A network file system may tell of a failure and have done it.
    if place::id_of(&draft.log).is_ok_and(|id| place.id_at(&log_name) == Ok(id)) {
        return Ok(());
    }
    let _ = place.remove(&new_name);
    Err(errno.into())
}

/// Gives the log, which cannot be used, a second name: the first one that is free.
pub(super) fn put_aside(place: &StateFolder, name: &str, why: SetAside) -> io::Result<PathBuf> {
    let why = match why {
        SetAside::Damaged => "damaged",
        SetAside::Newer => "newer",
    };
    let mut number = 1_u32;
    loop {
        let aside = format!("{name}.{why}-{number}");
        match place.second_name(&format!("{name}.log"), &aside) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
            Ok(()) => return Ok(place.path.join(aside)),
        }
    }
}

/// Why a log is put aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SetAside {
    Damaged,
    /// Of a newer renewd.
    Newer,
}
