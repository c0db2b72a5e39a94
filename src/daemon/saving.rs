//! Owns: the way of records into the state: one write a round, and what a state that could not be written lacks still.
//! Does not: decide what is kept, or when a token may be used.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::vault::{Stored, Vault};
use crate::core::engine::{Event, Persist};
use crate::core::time::Boot;
use crate::host::clock;
use crate::host::store::{KeptToken, Record, Store, StoreError};

/// A state that could not be written is tried again in the first round after this.
const SAVE_AGAIN: Duration = Duration::from_secs(10);

pub(super) struct Saving {
    store: Store,
    records: Vec<Record>,
    tokens: Vec<Persist>,
    /// What a state that could not be written lacks, and when it is tried again.
    unsaved: Vec<Record>,
    save_again: Boot,
}

impl Saving {
    pub fn new(store: Store) -> Self {
        Self { store, records: Vec::new(), tokens: Vec::new(), unsaved: Vec::new(), save_again: Boot(0) }
    }

    pub fn push(&mut self, record: Record) {
        self.records.push(record);
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
            return Vec::new();
        }
        let mut records = std::mem::take(&mut self.unsaved);
        records.extend(fresh);
        let sync = tokens.iter().any(|token| token.sync);
        records.extend(tokens.iter().filter_map(|token| kept(token, vault)));
        let failed = self.store.append(&records, sync).err();
        if let (Some(error), true) = (&failed, tokens.is_empty() && !is_idle) {
            tracing::warn!("{error}; tokens in use are not affected");
        }
        if matches!(failed, Some(StoreError::Io { .. })) {
            self.unsaved = newest_of_each(records);
            self.save_again = clock::now().boot.plus(SAVE_AGAIN);
        }
        let failed = failed.map(|error| Arc::<str>::from(error.to_string()));
        let answer = |Persist { name, generation, .. }| match &failed {
            None => Event::Persisted { name, generation },
            Some(message) => Event::PersistFailed { name, generation, message: message.clone() },
        };
        tokens.into_iter().map(answer).collect()
    }

    /// The last chance of what the state lacks still.
    pub fn save_rest(&mut self, vault: &Vault) {
        self.save_again = Boot(0);
        // Nobody is there any more for the answers.
        self.save(vault);
    }
}

fn kept(token: &Persist, vault: &Vault) -> Option<Record> {
    let Stored { token: bytes, refresh_token, .. } = vault.get(&token.name, token.generation)?;
    Some(Record::Token(KeptToken {
        name: token.name.clone(),
        generation: token.generation,
        made_from: token.made_from,
        issued_at: token.issued.issued_at,
        expires_at: token.issued.expires_at,
        obtained_at: token.obtained_at,
        token: bytes.clone(),
        refresh_token: refresh_token.clone(),
    }))
}

/// The last record of each subject, in their order.
fn newest_of_each(mut records: Vec<Record>) -> Vec<Record> {
    let mut seen = HashSet::new();
    records.reverse();
    records.retain(|record| seen.insert(record.subject()));
    records.reverse();
    records
}
