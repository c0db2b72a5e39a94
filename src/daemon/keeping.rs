//! Owns: what is done with the state by the thread that has it at the time: one write a batch, what an earlier one could not
//! write included, and the room that is kept for what is being spent.
//! Does not: decide when a batch is written (saving.rs does), or anything of a token.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::core::settings::TokenName;
use crate::host::store::{KeptRefresh, Record, Store, StoreError};

/// Room that is kept for the answer of each exchange that spends: so much at least, and so many times the last answer. On a
/// small disk that has not that much, the second will do.
const ROOMS: [(usize, usize); 2] = [(64 << 10, 4), (16 << 10, 2)];

/// What is to be done with the state at once, in this order.
#[derive(Default)]
pub(super) struct Batch {
    /// In the order of what they tell.
    pub records: Vec<Record>,
    /// Tokens that are among them, and whether each must be durable.
    pub tokens: Vec<(TokenName, bool)>,
    /// One of the records must be durable.
    pub sync: bool,
    /// Tokens whose exchange is over: nothing is to be kept free for it any more. No batch is written for that alone.
    pub landed: BTreeSet<TokenName>,
    /// Exchanges that are begun, as they are to be told.
    pub begun: Vec<KeptRefresh>,
    /// Their tokens, and the bytes of the last answer of each.
    pub flights: Vec<(TokenName, usize)>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.flights.is_empty()
    }
}

/// What became of a batch.
pub(crate) struct BatchReport {
    /// Tokens that are in the state now.
    pub kept: BTreeSet<TokenName>,
    /// Why not all of it is there.
    pub failed: Option<Arc<str>>,
    /// Whether what is begun may be sent; without flights it may.
    pub may_send: Result<(), Arc<str>>,
    /// Something is to be tried again.
    pub owes: bool,
    /// Tokens whose newest refresh token is nowhere but in memory.
    pub unkept: Vec<TokenName>,
}

impl BatchReport {
    /// An error of ours: nothing is known of what was written.
    pub(super) fn broken() -> Self {
        let message: Arc<str> = "an internal error, see the log; please report it".into();
        let may_send = Err(message.clone());
        Self { kept: BTreeSet::new(), failed: Some(message), may_send, owes: false, unkept: Vec::new() }
    }
}

/// The state, and what it lacks.
pub(super) struct StateKeeper {
    store: Store,
    /// What a state that could not be written lacks.
    unsaved: Vec<Record>,
    /// The room that is kept for what is being spent.
    flights: BTreeMap<TokenName, u64>,
    trouble: Option<Arc<str>>,
}

impl StateKeeper {
    pub(super) fn new(store: Store) -> Self {
        Self { store, unsaved: Vec::new(), flights: BTreeMap::new(), trouble: None }
    }

    /// Does a batch; one that holds nothing tries again what the state lacks.
    pub(super) fn carry_out(&mut self, batch: Batch) -> BatchReport {
        let Batch { records, tokens, sync, landed, begun, flights } = batch;
        let is_idle = records.is_empty() && self.unsaved.is_empty();
        let kept = if is_idle { BTreeSet::new() } else { self.save(records, &tokens, sync) };
        landed.iter().chain(&kept).for_each(|name| self.landed(name));
        let may_send = self.begin(&begun, &flights).map_err(|error| error.to_string().into());
        BatchReport {
            kept,
            failed: self.trouble.clone(),
            may_send,
            owes: !self.unsaved.is_empty(),
            unkept: successors(&self.unsaved),
        }
    }

    /// One write for everything that is to be in the state, what it lacks since an earlier one failed included. The answer
    /// is which of the tokens are there now.
    fn save(&mut self, fresh: Vec<Record>, tokens: &[(TokenName, bool)], sync: bool) -> BTreeSet<TokenName> {
        let is_told = !tokens.is_empty() || fresh.is_empty();
        let mut records = std::mem::take(&mut self.unsaved);
        records.extend(fresh);
        let failed = self.store.append(&records, sync).err();
        if let (Some(error), false) = (&failed, is_told) {
            tracing::warn!("{error}; tokens in use are not affected");
        }
        let mut kept = BTreeSet::new();
        if failed.as_ref().is_some_and(|error| !matches!(error, StoreError::TooLong { .. })) {
            self.unsaved = newest_of_each(records);
            // There may be room for what is lost otherwise, and for no more.
            if sync && self.save_vital() {
                kept.extend(tokens.iter().filter(|(_, sync)| *sync).map(|(name, _)| name.clone()));
            }
        } else {
            kept.extend(tokens.iter().map(|(name, _)| name.clone()));
        }
        self.trouble = failed.map(|error| error.to_string().into());
        kept
    }

    /// Keeps what nobody can give once more, alone; whether that could be done.
    fn save_vital(&mut self) -> bool {
        let (vital, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.unsaved).into_iter().partition(is_vital);
        // Where all of it is, it was tried just now.
        let kept = !rest.is_empty() && self.store.append(&vital, true).is_ok();
        self.unsaved = rest;
        if !kept {
            self.unsaved.splice(0..0, vital);
        }
        kept
    }

    /// Sees to it that the next start finds the state. What is wrong with it by now, if anything, where that is news.
    pub(super) fn look(&mut self) -> Option<Option<Arc<str>>> {
        if !self.unsaved.is_empty() {
            // That is tried again before long, and told.
            return None;
        }
        let trouble: Option<Arc<str>> = self.store.look().err().map(|error| error.to_string().into());
        if trouble == self.trouble {
            return None;
        }
        if let Some(error) = &trouble {
            tracing::warn!("{error}; tokens in use are not affected");
        }
        self.trouble.clone_from(&trouble);
        Some(trouble)
    }

    /// Makes durable that exchanges are begun, and room for their answers, before anything is sent: where that fails, nothing
    /// is to be spent.
    fn begin(&mut self, begun: &[KeptRefresh], flights: &[(TokenName, usize)]) -> Result<(), StoreError> {
        if flights.is_empty() {
            return Ok(());
        }
        let mut records = self.unsaved.clone();
        records.extend(begun.iter().cloned().map(Record::Refresh));
        let mut failed = None;
        for (least, times) in ROOMS {
            let mut all = self.flights.clone();
            all.extend(flights.iter().map(|(name, last)| (name.clone(), (times * last).max(least) as u64)));
            match self.store.begin(&records, all.values().sum()) {
                Ok(()) => {
                    self.flights = all;
                    self.unsaved.clear();
                    return Ok(());
                }
                Err(error) if error.is_full() => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Nothing is to be kept free any more for an exchange of this token.
    fn landed(&mut self, name: &TokenName) {
        if self.flights.remove(name).is_some() {
            self.store.keep_room(self.flights.values().sum());
        }
    }
}

/// Records of refresh tokens.
fn is_vital(record: &Record) -> bool {
    matches!(record, Record::Refresh(_) | Record::RefreshGone(_)) || successor_of(record).is_some()
}

fn successor_of(record: &Record) -> Option<&TokenName> {
    match record {
        Record::Token(kept) => kept.refresh_token.as_ref().map(|_| &kept.name),
        Record::Refresh(kept) => kept.next.as_ref().map(|_| &kept.name),
        _ => None,
    }
}

/// Tokens of which these records tell what they are obtained with next.
pub(super) fn successors(records: &[Record]) -> Vec<TokenName> {
    records.iter().filter_map(successor_of).cloned().collect()
}

/// The last record of each subject, in their order.
pub(super) fn newest_of_each(mut records: Vec<Record>) -> Vec<Record> {
    let mut seen = HashSet::new();
    records.reverse();
    records.retain(|record| seen.insert(record.subject()));
    records.reverse();
    records
}
