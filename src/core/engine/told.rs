//! Owns: the words to those who ask for a token that is not tried now: why, since when, and until when.
//! Does not: decide who gets them; see `wanted`.

use std::sync::Arc;

use super::State;
use super::event::{Reason, Want};
use super::record::{HeldToken, TokenRecord};
use super::slots::TokenId;
use super::wanted::MIN_INTERVAL_WAIT;
use crate::core::time::Now;

impl State {
    /// Why a wish cannot be served in time.
    pub(super) fn hopeless(&self, id: TokenId, token: &TokenRecord, want: &Want, now: Now) -> Option<Arc<str>> {
        match want {
            // What is lacking may come in time. A refused credential is not tried for each unit that starts.
            Want::Token { is_patient: true, .. } => self.refused_words(token, now),
            Want::Rotate { force: true, .. } => self.unobtainable(id, token),
            Want::Rotate { .. } => {
                self.unobtainable(id, token).or_else(|| self.told_to_wait(token, now)).or_else(|| held_back(token, now))
            }
            _ => {
                let waits = || self.told_to_wait(token, now).or_else(|| self.refused_words(token, now));
                self.unobtainable(id, token).or_else(waits).or_else(|| held_back(token, now))
            }
        }
        .or_else(|| self.hopeless_parent(token, want, now))
    }

    /// The same of a token that it must be made from, and that is not at hand.
    fn hopeless_parent(&self, token: &TokenRecord, want: &Want, now: Now) -> Option<Arc<str>> {
        let parents = token.rare.parents.iter().filter_map(|parent| Some((*parent, self.tokens.get(*parent)?)));
        let mut missing = parents.filter(|(_, parent)| !parent.is_at_hand(now.wall));
        missing.find_map(|(id, parent)| {
            let why = self.hopeless(id, parent, want, now)?;
            Some(format!("needs token {}: {why}", parent.wire.name).into())
        })
    }

    /// What the machine lacks, where that keeps the token from being obtained at all.
    fn unobtainable(&self, id: TokenId, token: &TokenRecord) -> Option<Arc<str>> {
        let of_outputs = || self.targets_of(id, token).find_map(|target| target.rare.lack.clone());
        token.rare.lack.clone().or_else(|| if self.outputs_allow(id, token) { None } else { of_outputs() })
    }

    /// A server asked to be left alone (RFC 9110 10.2.3) for longer than the asker is patient.
    fn told_to_wait(&self, token: &TokenRecord, now: Now) -> Option<Arc<str>> {
        let trouble =
            token.rare.trouble.as_ref().filter(|trouble| trouble.not_before > now.boot.plus(MIN_INTERVAL_WAIT))?;
        let (said, until) = (now.wall_at(trouble.at).rfc3339(), now.wall_at(trouble.not_before).rfc3339());
        let (name, message) = (&token.wire.name, &trouble.message);
        let words = format!(
            "not asked: the server said at {said} to wait until {until}; `renewd rotate --force {name}` asks all the same. \
             What it answered then: {message}"
        );
        Some(words.into())
    }

    /// A credential that was refused is not sent again for each who asks.
    fn refused_words(&self, token: &TokenRecord, now: Now) -> Option<Arc<str>> {
        let is_refused =
            |reason: Reason| reason.is_refusal() && token.flight.is_none() && token.rare.incoming.is_none();
        let trouble =
            token.rare.trouble.as_ref().filter(|trouble| is_refused(trouble.reason) && trouble.retry_at > now.boot)?;
        if trouble.reason == Reason::Login {
            return Some(trouble.message.clone());
        }
        let (at, next) = (now.wall_at(trouble.at).rfc3339(), now.wall_at(trouble.retry_at).rfc3339());
        let (name, message) = (&token.wire.name, &trouble.message);
        let words = format!(
            "not asked: it was refused at {at} and is tried again at {next}; `renewd rotate {name}` tries it now. \
             The refusal: {message}"
        );
        Some(words.into())
    }

    /// What troubles a token, and since when: for who waited in vain.
    pub(super) fn still_failing(&self, id: TokenId, now: Now) -> Option<Arc<str>> {
        let token = self.tokens.get(id)?;
        let Some((_, message, _)) = self.failing(id, token) else { return min_interval_note(token, now) };
        let Some(streak) = &token.rare.streak else { return Some(message) };
        Some(format!("failing since {}: {message}", streak.began(now).rfc3339()).into())
    }
}

/// Why min_interval makes a wish hopeless: it ends only after the asker's patience.
fn held_back(token: &TokenRecord, now: Now) -> Option<Arc<str>> {
    let too_long = |held: &HeldToken| {
        held.hold_until > now.boot.plus(MIN_INTERVAL_WAIT) && held.issued.fingerprint == token.wire.fingerprint
    };
    token.held.as_ref().is_some_and(too_long).then(|| min_interval_note(token, now))?
}

fn min_interval_note(token: &TokenRecord, now: Now) -> Option<Arc<str>> {
    let held = token.held.as_ref().filter(|held| held.hold_until > now.boot)?;
    let at = now.wall_at(held.hold_until);
    Some(format!("min_interval allows the next one at {}; --force does not wait", at.rfc3339()).into())
}
