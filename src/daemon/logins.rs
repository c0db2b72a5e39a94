//! Owns: what logins brought, until their tokens are asked for: then each stands in the place of its source's answer.
//! Does not: log in, or ask for a token.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::message::ToObtain;
use crate::core::engine::{Event, RequestId, Want};
use crate::core::settings::TokenName;
use crate::core::token::Token;
use crate::source::{Execution, Given, Source, SourceError};

/// Tokens of logins, as long as nobody has taken them in.
#[derive(Default)]
pub(super) struct Logins {
    tokens: BTreeMap<TokenName, Token>,
    /// Who waits for each, from the wish until it comes to its turn.
    wishes: BTreeMap<RequestId, TokenName>,
}

/// A token that is at hand already.
struct AtHand(Token);

impl Source for AtHand {
    fn cost(&self) -> Execution {
        Execution::Instant
    }

    fn obtain(&self, _: Given) -> BoxFuture<'_, Result<Token, SourceError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

impl Logins {
    /// Takes it in; `id` is the wish for it.
    pub(super) fn put(&mut self, token: Token, id: RequestId) {
        self.wishes.insert(id, token.name.clone());
        self.tokens.insert(token.name.clone(), token);
    }

    pub(super) fn has(&self, name: &TokenName) -> bool {
        self.tokens.contains_key(name)
    }

    /// What is to be obtained comes of a login, where there was one.
    pub(super) fn instead(&mut self, one: ToObtain) -> ToObtain {
        match self.tokens.remove(&one.name) {
            Some(token) if token.fingerprint == one.fingerprint => ToObtain { source: Arc::new(AtHand(token)), ..one },
            // The config became another one since.
            _ => one,
        }
    }

    /// A wish for what was taken in by a try that began before it wants no other one.
    pub(super) fn wish(&mut self, event: Event) -> Event {
        let Event::Wanted { id, timeout, .. } = &event else { return event };
        match self.wishes.remove(id) {
            Some(name) if !self.tokens.contains_key(&name) => {
                let want = Want::Valid { names: [name].into(), min_valid: Duration::ZERO };
                Event::Wanted { id: *id, want, timeout: *timeout }
            }
            _ => event,
        }
    }
}
