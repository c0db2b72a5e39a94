//! Owns: the log as a file that the next start finds: written anew where it cannot be gone on with, compacted, and put back
//! where it lost its name.
//! Does not: append.

use std::io;
use std::path::PathBuf;

use super::draft::{Draft, publish, put_aside};
use super::place::StateFolder;
use super::{COMPACT_FROM, Store, StoreError, lock_name};

impl Store {
    /// Makes the log one that may be appended to. Where that took another one and the old one was put aside, says where.
    pub(super) fn renew(&mut self) -> Result<Option<PathBuf>, StoreError> {
        if !self.is_found() {
            tracing::warn!(
                "state {:?} is gone or was replaced while it was in use: it is written anew from what is known here",
                self.place.path.join(self.log_name())
            );
            self.move_in()?;
        }
        if !self.stale {
            return Ok(None);
        }
        self.rewrite().map_err(|error| self.failed("writing it anew", error))
    }

    fn is_found(&self) -> bool {
        self.place.is_there()
            && self.place.holds(&lock_name(&self.name), &self.lock)
            && self.place.holds(&self.log_name(), &self.log)
    }

    /// Takes the folder that is at the state's path now, with its lock. What is known stands in the old log, which has no
    /// name but is open.
    fn move_in(&mut self) -> Result<(), StoreError> {
        let place = StateFolder::open(&self.place.path)?;
        let lock_name = lock_name(&self.name);
        if !place.holds(&lock_name, &self.lock) {
            self.lock = place.lock(&lock_name, &self.config, self.worker)?;
        }
        self.place = place;
        self.stale = true;
        Ok(())
    }

    /// What was appended is safe without it: one that fails is told, and tried again when the log has doubled.
    pub(super) fn compact(&mut self) {
        if let Err(error) = self.rewrite() {
            self.compact_from = 2 * self.end;
            tracing::warn!("{}", self.failed("compacting (it is tried again later)", error));
        }
    }

    /// Puts a log of this version, with what counts of the present one, in its place. Whatever step fails, `self` is of the one
    /// that has the name.
    pub(super) fn rewrite(&mut self) -> io::Result<Option<PathBuf>> {
        let draft = Draft::write(&self.place, &self.name, Some(&self.log), &self.live, &self.owed, self.room)?;
        let aside = self.aside.map(|why| put_aside(&self.place, &self.name, why)).transpose()?;
        self.aside = None;
        publish(&self.place, &self.name, &draft)?;
        let Draft { log, live, end } = draft;
        self.live_bytes = live.values().map(|span| u64::from(span.len)).sum();
        (self.log, self.live, self.end) = (log, live, end);
        (self.torn, self.stale, self.compact_from) = (false, false, COMPACT_FROM);
        self.reserved = end + self.room;
        self.owed.clear();
        self.is_name_unsynced = true;
        if let Err(error) = self.sync_name() {
            // After a power loss the old one may have the name, which holds all that was promised: nothing is promised anew
            // before this is done.
            tracing::warn!("{}", self.failed("syncing the folder of", error));
        }
        Ok(aside)
    }

    pub(super) fn sync_name(&mut self) -> io::Result<()> {
        self.place.sync()?;
        self.is_name_unsynced = false;
        Ok(())
    }
}
