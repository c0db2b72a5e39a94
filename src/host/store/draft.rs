//! Owns: writing a new log beside the old one, from the records that count, and putting it in the old one's place.
//! At each moment one of the two stands whole under the log's name.
//! Does not: decide when, or judge damage.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::place::Place;
use super::record::{self, Record};
use super::scan::{self, Span};
use crate::core::settings::Fingerprint;

/// Bytes copied at once.
const COPY: usize = 256 << 10;

/// A new log under the name `.new`, durable but for its name.
pub(super) struct Draft {
    pub(super) log: File,
    pub(super) live: HashMap<Fingerprint, Span>,
    pub(super) end: u64,
}

impl Draft {
    /// Copies the records `live` of `old`, in their order, after a header and the new seed, where there is one.
    pub(super) fn write(
        place: &Place,
        name: &str,
        old: Option<&File>,
        live: &HashMap<Fingerprint, Span>,
        seed: Option<u64>,
    ) -> io::Result<Self> {
        let new_name = format!("{name}.new");
        let log = place.file(&new_name, OFlags::CREATE | OFlags::TRUNC)?;
        let mut draft = Self { log, live: HashMap::with_capacity(live.len() + 1), end: 0 };
        let result = draft.fill(old, live, seed);
        if result.is_err() {
            // It may be what fills the disk.
            let _ = place.remove(&new_name);
        }
        result.map(|()| draft)
    }

    fn fill(&mut self, old: Option<&File>, live: &HashMap<Fingerprint, Span>, seed: Option<u64>) -> io::Result<()> {
        let mut order: Vec<_> = live.iter().map(|(subject, span)| (*span, *subject)).collect();
        order.sort_unstable();
        let longest = order.iter().map(|(span, _)| span.len as usize).max();
        let mut bytes = Zeroizing::new(Vec::with_capacity(COPY + longest.unwrap_or(0) + 256));
        bytes.extend_from_slice(&scan::header());
        if let Some(seed) = seed {
            let record = Record::Seed(seed);
            let (at, before) = (bytes.len() as u64, bytes.len());
            record.encode(&mut bytes).ok_or(io::ErrorKind::InvalidInput)?;
            let len = u32::try_from(bytes.len() - before).unwrap_or(u32::MAX);
            self.live.insert(record.subject(), Span { at, len });
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
            self.live.insert(subject, Span { at, ..span });
            if bytes.len() >= COPY {
                self.flush(&mut bytes)?;
            }
        }
        self.flush(&mut bytes)?;
        rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.log)).map_err(Into::into)
    }

    fn flush(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.log.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }
}

/// Puts the new log in the place of the old one, durably.
pub(super) fn publish(place: &Place, name: &str) -> io::Result<()> {
    place.rename(&format!("{name}.new"), &format!("{name}.log"))?;
    Ok(place.sync()?)
}

/// Gives the damaged log the first name that is free.
pub(super) fn put_aside(place: &Place, name: &str) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let aside = format!("{name}.damaged-{number}");
        match place.link(&format!("{name}.log"), &aside) {
            Err(Errno::EXIST) => number += 1,
            Err(errno) => return Err(errno.into()),
            Ok(()) => return Ok(place.path.join(aside)),
        }
    }
}
