//! Owns: the bytes of the tokens at hand, by name and generation, and what each is obtained with next. The engine says
//! when one is not needed any more.
//! Does not: decide anything, or show a token in `Debug`.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::core::credential::RefreshToken;
use crate::core::engine::Doubt;
use crate::core::settings::{ByName, Fingerprint, TokenName};
use crate::core::time::Wall;
use crate::core::token::Token;
use crate::host::store::{FirstSending, KeptRefresh, Record};

#[derive(Debug, Default)]
pub(crate) struct Vault {
    /// By their names, which stand in them: one of each generation.
    tokens: HashTable<Arc<Token>>,
    /// Where the newest token does not tell what is used next, or it is being spent: as the state has it.
    refreshes: BTreeMap<TokenName, KeptRefresh>,
}

impl Vault {
    /// Takes a token in: what it was made from is spent.
    pub(super) fn put(&mut self, token: Arc<Token>) {
        self.refreshes.remove(&token.name);
        self.restore(token);
    }

    pub(super) fn restore(&mut self, token: Arc<Token>) {
        self.discard(&token.name, token.generation);
        self.tokens.insert_unique(token.name.hashed(), token, |token| token.name.hashed());
    }

    pub(super) fn get(&self, name: &TokenName, generation: u64) -> Option<&Arc<Token>> {
        self.tokens.find(name.hashed(), |token| is_it(token, name, generation))
    }

    pub(super) fn restore_refresh(&mut self, kept: KeptRefresh) {
        self.refreshes.insert(kept.name.clone(), kept);
    }

    /// What the state is to say of what this token is obtained with next, beside the token itself.
    pub(super) fn refresh_record(&self, name: &TokenName) -> Record {
        match self.refreshes.get(name) {
            Some(kept) => Record::Refresh(kept.clone()),
            None => Record::RefreshGone(name.clone()),
        }
    }

    /// An exchange was begun in an earlier run, and how it ended is not known.
    pub(super) fn is_unsettled(&self, name: &TokenName) -> bool {
        self.refreshes.get(name).is_some_and(|kept| kept.begun)
    }

    /// What an earlier run knew to speak against the token in place.
    pub(super) fn doubt(&self, name: &TokenName) -> Option<Doubt> {
        self.refreshes.get(name).and_then(|kept| kept.doubt)
    }

    /// When this refresh token was first sent, where no answer tells yet what became of it.
    pub(super) fn first_sent(&self, name: &TokenName, token: Fingerprint) -> Option<Wall> {
        let sent = self.refreshes.get(name).filter(|kept| kept.begun).and_then(|kept| kept.sent);
        sent.filter(|sent| sent.token == token).map(|sent| sent.at)
    }

    /// Whether this refresh token has a successor which the state lost.
    pub(super) fn is_spent(&self, name: &TokenName, token: Fingerprint) -> bool {
        let sent = self.refreshes.get(name).filter(|kept| !kept.begun).and_then(|kept| kept.sent);
        sent.is_some_and(|sent| sent.token == token)
    }

    /// How many bytes the last answer left here.
    pub(super) fn answer_len(&self, name: &TokenName) -> usize {
        self.newest(name).map_or(0, |stored| {
            let refresh = stored.refresh_token.as_ref().map_or(0, |refresh| refresh.token.expose().len());
            stored.value.expose().len() + refresh
        })
    }

    /// What is to be in the state before the refresh token is sent; `None` where it is there already.
    pub(super) fn to_begin(&self, name: &TokenName, token: Fingerprint, now: Wall) -> Option<KeptRefresh> {
        if self.first_sent(name, token).is_some() {
            return None;
        }
        let kept = self.refreshes.get(name);
        Some(KeptRefresh {
            name: name.clone(),
            next: kept.and_then(|kept| kept.next.clone()),
            begun: true,
            sent: Some(FirstSending { at: now, token }),
            doubt: kept.and_then(|kept| kept.doubt),
        })
    }

    /// An exchange failed: what the state is to say of it, where that is another thing than it says.
    pub(super) fn settle(&mut self, name: &TokenName, doubt: Option<Doubt>) -> Option<Record> {
        // That one is spent stays so.
        let before = self.refreshes.get(name).filter(|kept| kept.begun || kept.sent.is_none())?;
        let after = match doubt {
            Some(_) => KeptRefresh { doubt, ..before.clone() },
            None => KeptRefresh { begun: false, sent: None, doubt, ..before.clone() },
        };
        if after == *before {
            return None;
        }
        if after.next.is_none() && doubt.is_none() {
            self.refreshes.remove(name);
            return Some(Record::RefreshGone(name.clone()));
        }
        self.restore_refresh(after.clone());
        Some(Record::Refresh(after))
    }

    /// The exchange was answered, if by nothing of use: another sending of the same refresh token is a new exchange.
    pub(super) fn answered(&mut self, name: &TokenName) {
        if let Some(kept) = self.refreshes.get_mut(name) {
            (kept.begun, kept.sent) = (false, None);
        }
    }

    fn all(&self, name: &TokenName) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.iter_hash(name.hashed()).filter(|token| token.name == *name)
    }

    /// The newest token of this name.
    pub(super) fn newest(&self, name: &TokenName) -> Option<&Arc<Token>> {
        self.all(name).max_by_key(|stored| stored.generation)
    }

    /// What it is obtained with next: what an answer brought that was of no use, or what the newest token that has one left.
    pub(super) fn refresh_token(&self, name: &TokenName) -> Option<&RefreshToken> {
        if let Some(next) = self.refreshes.get(name).and_then(|kept| kept.next.as_ref()) {
            return Some(next);
        }
        let all = self.all(name).filter(|stored| stored.refresh_token.is_some());
        all.max_by_key(|stored| stored.generation)?.refresh_token.as_deref()
    }

    /// The end of what it is obtained with next, where the issuer told it: then a person has to log in again.
    pub(super) fn login_expires_at(&self, name: &TokenName) -> Option<Wall> {
        self.refresh_token(name)?.expires_at
    }

    pub(super) fn discard(&mut self, name: &TokenName, generation: u64) {
        if let Ok(entry) = self.tokens.find_entry(name.hashed(), |token| is_it(token, name, generation)) {
            entry.remove();
        }
    }

    /// Lets go of all its tokens. What it is obtained with next stays: the one in the config is spent, should the entry
    /// come back.
    pub(super) fn forget(&mut self, name: &TokenName) -> Option<KeptRefresh> {
        let next = self.refresh_token(name).cloned();
        while let Ok(entry) = self.tokens.find_entry(name.hashed(), |token| token.name == *name) {
            entry.remove();
        }
        self.refreshes.remove(name);
        let left = KeptRefresh { name: name.clone(), next: Some(next?), begun: false, sent: None, doubt: None };
        self.refreshes.insert(name.clone(), left.clone());
        Some(left)
    }
}

fn is_it(token: &Token, name: &TokenName, generation: u64) -> bool {
    token.generation == generation && token.name == *name
}
