//! Owns: what the daemon makes of a source's answer: the token or the successor is kept, the engine told, and a scope that was
//! not granted said once.
//! Does not: decide what follows; the engine does.

use std::sync::Arc;

use super::Message;
use super::message::{Answered, ToObtain};
use super::runner::Runner;
use crate::core::engine::{Doubt, Event, Issued};
use crate::core::scope;
use crate::core::settings::TokenName;
use crate::core::token::Token;
use crate::source;

impl Runner {
    /// What a source answered, of whatever kind it is.
    pub(super) fn obtained(&mut self, answered: Answered) {
        let Answered { one: ToObtain { name, generation, fingerprint, parents, .. }, result } = answered;
        let error = match result {
            Ok(token) => {
                let token = Token { generation, fingerprint, ..token };
                self.tell_not_granted(&token);
                let (issued, login_ends) = (Issued::of(&token), token.login_ends());
                self.vault.put(Arc::new(token));
                self.push(Event::Obtained { name, issued, login_ends });
                return;
            }
            Err(error) => error,
        };
        if matches!(error.doubt, Some(Doubt::Unread | Doubt::Stale)) {
            self.vault.answered(&name);
        }
        match error.successor {
            Some(next) => self.keep_successor(&name, *next),
            None => self.saving.landed(&name),
        }
        let (message, failed) = (error.message.into(), name.clone());
        let refused = parents.into_iter().find(|(parent, _)| Some(parent) == error.refused_parent.as_ref());
        self.push(match refused {
            Some((parent, parent_generation)) => {
                Event::ParentRejected { name, generation, parent, parent_generation, message }
            }
            None => {
                let (reason, retry_after, doubt) = (error.reason, error.retry_after, error.doubt);
                Event::ObtainFailed { name, generation, reason, message, retry_after, doubt }
            }
        });
        self.go_on_with_login(&failed);
    }

    /// Told to a source that sends a refresh token once more.
    pub(super) fn on_lost_answer(&self, name: &TokenName, generation: u64) -> Arc<dyn Fn() + Send + Sync> {
        let (messages, name) = (self.messages.clone(), name.clone());
        Arc::new(move || {
            // The daemon is gone: nobody asks how the token stands.
            let _ = messages.send(Message::Event(Event::AnswerLost { name: name.clone(), generation }));
        })
    }

    /// Says which scopes are missing, once as long as they are the same ones.
    fn tell_not_granted(&mut self, token: &Token) {
        let (name, granted) = (&token.name, token.scope.as_deref());
        let missing = self.token(name).map(|plan| source::not_granted(&plan.source, granted)).unwrap_or_default();
        if missing.is_empty() {
            if self.not_granted.remove(name).is_some() {
                tracing::info!(token = %name, "token {name}: the issuer grants all of its scope again");
            }
        } else if self.not_granted.get(name) != Some(&missing) {
            tracing::warn!(token = %name, "token {name}: {}", scope::told(&missing, granted.unwrap_or_default()));
            self.not_granted.insert(name.clone(), missing);
        }
    }
}
