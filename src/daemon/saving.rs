//! Owns: the way of records into the state: one write a round, and what a state that could not be written lacks still.
//! Does not: decide what is kept, or when a token may be used.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::vault::{Stored, Vault};
use crate::core::engine::{Event, Persist};
use crate::core::settings::TokenName;
use crate::core::time::Boot;
use crate::host::clock;
use crate::host::store::{KeptRefresh, KeptToken, Record, Store, StoreError};

/// A state that could not be written is tried again in the first round after this.
const SAVE_AGAIN: Duration = Duration::from_secs(10);

/// So often it is looked whether the log still is where the next start finds it.
const LOOK: Duration = Duration::from_secs(30);

/// Room that is kept for the answer of each exchange that spends: so much at least, and so many times the last answer. On a
/// small disk that has not that much, the second will do.
const ROOMS: [(usize, usize); 2] = [(64 << 10, 4), (16 << 10, 2)];

pub(super) struct Saving {
    store: Store,
    records: Vec<Record>,
    tokens: Vec<Persist>,
    /// One of the records must be durable.
    sync: bool,
    /// What a state that could not be written lacks, when it is tried again, and why it lacks it.
    unsaved: Vec<Record>,
    save_again: Boot,
    trouble: Option<Arc<str>>,
    look_again: Boot,
    /// The room that is kept for what is being spent.
    flights: BTreeMap<TokenName, u64>,
}

impl Saving {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            records: Vec::new(),
            tokens: Vec::new(),
            sync: false,
            unsaved: Vec::new(),
            save_again: Boot(0),
            trouble: None,
            look_again: Boot(0),
            flights: BTreeMap::new(),
        }
    }

    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// A successor that came without a token: what it was made from is spent.
    pub fn push_successor(&mut self, kept: KeptRefresh) {
        self.records.push(Record::Refresh(kept));
        self.sync = true;
    }

    /// Makes durable that exchanges are begun, and room for their answers, before anything is sent: where that fails, nothing is
    /// to be spent. `flights` are their tokens, and the bytes of the last answer of each.
    pub fn begin(&mut self, begun: &[KeptRefresh], flights: &[(TokenName, usize)]) -> Result<(), StoreError> {
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

    /// Nothing is to be kept any more of an exchange of this token.
    pub fn landed(&mut self, name: &TokenName) {
        if self.flights.remove(name).is_some() {
            self.store.keep_room(self.flights.values().sum());
        }
    }

    pub fn push_token(&mut self, token: Persist) {
        self.tokens.push(token);
    }

    /// One write for everything that is to be in the state, what it lacks since an earlier one failed included. What
    /// became of each token is the answer.
    pub fn save(&mut self, vault: &Vault) -> Vec<Event> {
        let fresh = std::mem::take(&mut self.records);
        let tokens = std::mem::take(&mut self.tokens);
        let is_idle = fresh.is_empty() && tokens.is_empty();
        if is_idle && (self.unsaved.is_empty() || clock::now().boot < self.save_again) {
            self.look();
            return Vec::new();
        }
        let mut records = std::mem::take(&mut self.unsaved);
        records.extend(fresh);
        let sync = std::mem::take(&mut self.sync) || tokens.iter().any(|token| token.sync);
        tokens.iter().for_each(|token| keep(token, vault, &mut records));
        let failed = self.store.append(&records, sync).err();
        if let (Some(error), true) = (&failed, tokens.is_empty() && !is_idle) {
            tracing::warn!("{error}; tokens in use are not affected");
        }
        let mut kept = BTreeSet::new();
        if failed.as_ref().is_some_and(|error| !matches!(error, StoreError::TooLong { .. })) {
            self.unsaved = newest_of_each(records);
            self.save_again = clock::now().boot.plus(SAVE_AGAIN);
            // There may be room for what is lost otherwise, and for no more.
            if sync && self.save_vital() {
                kept.extend(tokens.iter().filter(|token| token.sync).map(|token| token.name.clone()));
            }
        } else {
            kept.extend(tokens.iter().map(|token| token.name.clone()));
        }
        kept.iter().for_each(|name| self.landed(name));
        self.trouble = failed.map(|error| error.to_string().into());
        let answer = |Persist { name, generation, .. }| match &self.trouble {
            Some(message) if !kept.contains(&name) => {
                Event::PersistFailed { name, generation, message: message.clone() }
            }
            _ => Event::Persisted { name, generation },
        };
        tokens.into_iter().map(answer).collect()
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

    fn look(&mut self) {
        let now = clock::now().boot;
        if now < self.look_again {
            return;
        }
        self.look_again = now.plus(LOOK);
        let trouble: Option<Arc<str>> = self.store.look().err().map(|error| error.to_string().into());
        if let Some(error) = trouble.as_ref().filter(|error| self.trouble.as_ref() != Some(error)) {
            tracing::warn!("{error}; tokens in use are not affected");
        }
        self.trouble = trouble;
    }

    /// The last chance of what the state lacks still. What is lost with this process is said.
    pub fn save_rest(&mut self, vault: &Vault) {
        self.save_again = Boot(0);
        // Nobody is there any more for the answers.
        self.save(vault);
        let why = self.trouble.as_deref().unwrap_or_default();
        for name in self.unsaved.iter().filter_map(successor_of) {
            tracing::error!(
                token = %name,
                "token {name}: the refresh token that its issuer gave last could not be kept, and is lost as this ends: {why}. If \
                 the issuer does not take the one before it any more, put a new first one into its file"
            );
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

fn keep(token: &Persist, vault: &Vault, records: &mut Vec<Record>) {
    let Some(stored) = vault.get(&token.name, token.generation) else { return };
    let Stored { token: bytes, refresh_token, scope, .. } = stored;
    records.push(Record::Token(KeptToken {
        name: token.name.clone(),
        generation: token.generation,
        made_from: token.made_from,
        issued_at: token.issued.issued_at,
        expires_at: token.issued.expires_at,
        obtained_at: token.obtained_at,
        token: bytes.clone(),
        refresh_token: refresh_token.clone(),
        scope: scope.clone(),
    }));
    if refresh_token.is_some() {
        records.push(Record::RefreshGone(token.name.clone()));
    }
}

/// The last record of each subject, in their order.
fn newest_of_each(mut records: Vec<Record>) -> Vec<Record> {
    let mut seen = HashSet::new();
    records.reverse();
    records.retain(|record| seen.insert(record.subject()));
    records.reverse();
    records
}
