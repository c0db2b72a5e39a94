//! Owns: reading a log's bytes: which records count, where the good part ends, and what damage means.
//! Does not: touch files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::damage::{self, Damaged};
use super::doubt::Doubts;
use super::record::{self, FRAME, KeptRefresh, KeptTarget, MARK, OLDEST, Record, VERSION};
use crate::core::engine::FailureStreak;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};
use crate::core::time::Wall;
use crate::core::token::Token;

const MAGIC: [u8; 8] = *b"renewd\0s";
/// Magic, version, CRC-32 of both.
pub(super) const HEADER: usize = 16;

/// What the state says at the start.
#[derive(Default, Debug)]
pub struct Kept {
    /// Drawn once for each config: jitter and backoff are hashed from it.
    pub seed: u64,
    /// The last good one of each, expired or not.
    pub tokens: BTreeMap<TokenName, Arc<Token>>,
    /// Files that are renewd's to replace and remove.
    pub targets: BTreeMap<TargetPath, KeptTarget>,
    /// What the tokens' own records do not tell of refresh tokens.
    pub refreshes: BTreeMap<TokenName, KeptRefresh>,
    /// Tokens that failed when the state was written last.
    pub streaks: BTreeMap<TokenName, FailureStreak>,
    /// Tokens that were obtained by who delivers nothing, and are not delivered yet.
    pub owed_hooks: BTreeSet<TokenName>,
    /// The end of a refresh token that was told, of each token.
    pub logins_told: BTreeMap<TokenName, Wall>,
    /// Set where the state was damaged, or is that of a newer renewd: one line that says so, and where it was put.
    pub damaged: Option<String>,
}

/// Where a record that counts stands in the log, its frame included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct RecordRange {
    pub(super) at: u64,
    pub(super) len: u32,
}

/// What a log says.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) seed: Option<u64>,
    /// But for its seed.
    pub(super) kept: Kept,
    pub(super) live: HashMap<Fingerprint, RecordRange>,
    /// The end of the last good record.
    pub(super) end: usize,
    /// Where the first damage is.
    pub(super) damaged_at: Option<usize>,
    /// Its header is that of an older version: it takes no record of this one.
    pub(super) outdated: bool,
    /// What follows from damage, and no record says yet.
    pub(super) owed: Vec<Record>,
    pub(super) doubts: Doubts,
}

/// The version of a log that is newer than this program.
pub(super) struct Newer(pub(super) u32);

pub(super) fn header() -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let version = u32::from(VERSION).to_le_bytes();
    let crc = record::checksum(u32::from(VERSION), &MAGIC).to_le_bytes();
    for (to, from) in bytes.iter_mut().zip(MAGIC.iter().chain(&version).chain(&crc)) {
        *to = *from;
    }
    bytes
}

/// The version that a good header tells; this part of the format never changes.
fn version_of(bytes: &[u8]) -> Option<u32> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let version = u32::from_le_bytes(*version);
    let good = *magic == MAGIC && *rest.first_chunk::<4>()? == record::checksum(version, magic).to_le_bytes();
    good.then_some(version)
}

/// Reads all records. What a crash cut off at the end is left out without a word. Damage anywhere else leaves in doubt the
/// tokens before it whose newest record may be what was lost.
pub(super) fn scan(bytes: &[u8]) -> Result<Scan, Newer> {
    let mut scan = Scan::default();
    match version_of(bytes) {
        Some(version) if version == u32::from(VERSION) => scan.end = HEADER,
        Some(version) if version > u32::from(VERSION) => return Err(Newer(version)),
        Some(version) if version >= u32::from(OLDEST) => (scan.end, scan.outdated) = (HEADER, true),
        _ => scan.skip_damage(bytes, 0),
    }
    while scan.end < bytes.len() {
        match record_at(bytes, scan.end) {
            Some((record, len)) => scan.take(record, len),
            None if next_record(bytes, scan.end).is_none() && record::is_torn(bytes, scan.end) => {
                break;
            }
            None => scan.skip_damage(bytes, scan.end),
        }
    }
    if scan.damaged_at.is_some() {
        scan.settle_doubts();
    }
    Ok(scan)
}

fn record_at(bytes: &[u8], at: usize) -> Option<(Record, u32)> {
    let body = record::frame_at(bytes, at)?;
    let len = u32::try_from(FRAME + body.len()).ok()?;
    Some((Record::decode(bytes.get(body)?)?, len))
}

fn next_record(bytes: &[u8], after: usize) -> Option<usize> {
    let from = after + 1;
    let marks = bytes.get(from..)?.windows(MARK.len()).enumerate();
    marks
        .filter(|(_, window)| *window == MARK)
        .map(|(offset, _)| from + offset)
        .find(|at| record_at(bytes, *at).is_some())
}

impl Scan {
    fn take(&mut self, record: Record, len: u32) {
        let at = self.end as u64;
        self.end += len as usize;
        let subject = record.subject();
        let name = match &record {
            Record::Refresh(kept) => Some(&kept.name),
            Record::RefreshGone(name) => Some(name),
            _ => None,
        };
        self.doubts.see(&record, name.and_then(|name| self.kept.refreshes.get(name)));
        match record.ends() {
            true => self.live.remove(&subject),
            false => self.live.insert(subject, RecordRange { at, len }),
        };
        match record {
            Record::Seed(seed) => self.seed = Some(seed),
            Record::Token(kept) => {
                self.kept.tokens.insert(kept.name.clone(), kept);
            }
            Record::TokenGone(name) => {
                self.kept.tokens.remove(&name);
            }
            Record::Target(kept) => {
                self.kept.targets.insert(kept.path.clone(), kept);
            }
            Record::TargetGone(path) => {
                self.kept.targets.remove(&path);
            }
            Record::Refresh(kept) => {
                self.kept.refreshes.insert(kept.name.clone(), kept);
            }
            Record::RefreshGone(name) => {
                self.kept.refreshes.remove(&name);
            }
            Record::Streak(name, streak) => {
                self.kept.streaks.insert(name, streak);
            }
            Record::StreakGone(name) => {
                self.kept.streaks.remove(&name);
            }
            Record::Owed(name) => {
                self.kept.owed_hooks.insert(name);
            }
            Record::OwedGone(name) => {
                self.kept.owed_hooks.remove(&name);
            }
            Record::LoginTold(name, end) => {
                self.kept.logins_told.insert(name, end);
            }
            Record::LoginToldGone(name) => {
                self.kept.logins_told.remove(&name);
            }
        }
    }

    fn skip_damage(&mut self, bytes: &[u8], at: usize) {
        self.damaged_at.get_or_insert(at);
        self.end = next_record(bytes, at).unwrap_or(bytes.len());
        self.suspect(damage::damaged_at(bytes, at, self.end));
    }

    /// There is damage from `at` to `end`.
    fn suspect(&mut self, damaged: Option<Damaged>) {
        let names: BTreeSet<TokenName> = self.kept.tokens.keys().chain(self.kept.refreshes.keys()).cloned().collect();
        let suspects = match damaged {
            Some(Damaged::OfNone) => return,
            Some(Damaged::Of(name, refresh)) => {
                if let Some(refresh) = refresh {
                    self.doubts.salvage(&name, refresh);
                }
                let mut near: BTreeSet<TokenName> = names.into_iter().filter(|one| is_near(one, &name)).collect();
                near.insert(name);
                near
            }
            None => names,
        };
        for name in suspects {
            if self.kept.tokens.remove(&name).is_some() {
                self.live.remove(&Record::TokenGone(name.clone()).subject());
            }
            self.doubts.lose(&name);
        }
    }

    /// Once all is read: what the tokens in doubt are obtained with, and what of that no record says yet.
    fn settle_doubts(&mut self) {
        // In a log that is damaged the end of an exchange may be lost, and its answer be there.
        let at = |scan: &Self, record: Record| scan.live.get(&record.subject()).map(|span| span.at);
        for name in self.kept.tokens.keys() {
            let token = at(self, Record::TokenGone(name.clone()));
            let refresh = at(self, Record::RefreshGone(name.clone()));
            if self.kept.tokens.get(name).is_some_and(|kept| kept.refresh_token.is_some())
                && refresh.is_some()
                && token > refresh
            {
                self.kept.refreshes.remove(name);
                self.live.remove(&Record::RefreshGone(name.clone()).subject());
            }
        }
        for name in self.doubts.take_lost() {
            let found = self.kept.refreshes.get(&name);
            let Some(settled) = self.doubts.refresh_of(&name, found) else { continue };
            if found == Some(&settled) {
                continue;
            }
            let record = Record::Refresh(settled.clone());
            self.live.remove(&record.subject());
            self.owed.push(record);
            self.kept.refreshes.insert(name, settled);
        }
    }
}

/// Whether one damaged byte may have made one of the other.
fn is_near(one: &TokenName, other: &TokenName) -> bool {
    let (one, other) = (one.as_str().as_bytes(), other.as_str().as_bytes());
    one.len() == other.len() && one.iter().zip(other).filter(|(a, b)| a != b).count() <= 1
}
