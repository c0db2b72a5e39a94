//! Owns: the way of records into the state: one write a round, and what a state that could not be written lacks still.
//! Does not: decide what is kept, or when a token may be used.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::vault::{Stored, Vault};
use crate::core::engine::{Event, Persist};
use crate::core::time::Boot;
use crate::host::clock;
use crate::host::store::{KeptRefresh, KeptToken, Record, Store, StoreError};

/// A state that could not be written is tried again in the first round after this.
const SAVE_AGAIN: Duration = Duration::from_secs(10);

pub(super) struct Saving {
    store: Store,
    records: Vec<Record>,
    tokens: Vec<Persist>,
    /// One of the records must be durable.
    sync: bool,
    /// What a state that could not be written lacks, and when it is tried again.
    unsaved: Vec<Record>,
    save_again: Boot,
}

impl Saving {
    pub fn new(store: Store) -> Self {
        Self { store, records: Vec::new(), tokens: Vec::new(), sync: false, unsaved: Vec::new(), save_again: Boot(0) }
    }

    pub fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// A successor that came without a token: what it was made from is spent.
    pub fn push_successor(&mut self, kept: KeptRefresh) {
        self.records.push(Record::Refresh(kept));
        self.sync = true;
    }

    /// Makes durable that exchanges are begun, before anything is sent: where that fails, nothing is to be spent.
    pub fn begin(&mut self, begun: &[KeptRefresh]) -> Result<(), StoreError> {
        if begun.is_empty() {
            return Ok(());
        }
        let mut records = self.unsaved.clone();
        records.extend(begun.iter().cloned().map(Record::Refresh));
        self.store.append(&records, true)?;
        self.unsaved.clear();
        Ok(())
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
        let sync = std::mem::take(&mut self.sync) || tokens.iter().any(|token| token.sync);
        tokens.iter().for_each(|token| keep(token, vault, &mut records));
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
