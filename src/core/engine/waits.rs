//! Owns: how long a token that failed waits for its next try, by what is left of it and of those that are made with it, and what
//! a clock that is set does to such waits.
//! Does not: decide whether a try is due; `token` does.

use std::sync::Arc;
use std::time::Duration;

use super::State;
use super::event::Reason;
use super::record::{TokenRecord, Trouble};
use super::slots::TokenId;
use crate::core::pause::{self, Ends, Shortage};
use crate::core::schedule;
use crate::core::time::{Boot, Now, Wall};

impl State {
    /// The next trouble of a token after one more failure, with the moment of the next try.
    pub(super) fn trouble(
        &self,
        id: TokenId,
        reason: Reason,
        message: &Arc<str>,
        retry_after: Option<Duration>,
        now: Now,
    ) -> Trouble {
        let message = message.clone();
        let Some(token) = self.tokens.get(id) else {
            return Trouble {
                at: now.boot,
                failures: 1,
                reason,
                message,
                retry_at: now.boot,
                not_before: Boot(0),
                shortage: None,
            };
        };
        let failures = token.rare.trouble.as_ref().map_or(0, |trouble| trouble.failures).saturating_add(1);
        let (wait, shortage) = self.wait(id, token, reason, failures, now);
        let not_before = retry_after.map_or(Boot(0), |wait| now.boot.plus(wait));
        // A server tells all who ask the same moment: the pause is drawn anew behind it, or they would come at once.
        let retry_at = match reason {
            _ if self.is_once() => Boot(u64::MAX),
            reason if reason.is_refusal() => now.boot.plus(wait).max(not_before),
            _ => now.boot.max(not_before).plus(wait),
        };
        let mut trouble = Trouble { at: now.boot, failures, reason, message, retry_at, not_before, shortage };
        // What was asked before the clock was set was asked by the wrong one.
        if reason == Reason::Rejected && token.asked_at.get().is_some_and(|asked| asked < self.clock_set_at) {
            trouble.clock_was_set();
        }
        trouble
    }

    fn wait(
        &self,
        id: TokenId,
        token: &TokenRecord,
        reason: Reason,
        failures: u32,
        now: Now,
    ) -> (Duration, Option<Shortage>) {
        let retry = &token.wire.schedule.retry;
        let own = token.ends(now.wall);
        let mut others = Ends::default();
        // As long as the old one is at hand, the others can do with that.
        if !token.is_at_hand(now.wall) {
            self.add_ends_of_children(id, now.wall, &mut others);
        }
        let many = |wait: Duration| wait.max(pause::spacing(failures));
        if !reason.is_refusal() {
            let drawn = schedule::draw(self.seed, &token.wire.name, token.last_generation, failures);
            let wait = |ends: Ends| pause::after_failure(retry, failures, ends, drawn, now.wall);
            return (wait(own).min(many(wait(others))), None);
        }
        let before = token.rare.trouble.as_ref().and_then(|trouble| trouble.shortage);
        let shortage = Shortage::of(own.and(others), retry.rejected, before, now.wall);
        let wait = |ends: Ends| pause::after_refusal(retry.rejected, shortage, ends, now.wall);
        (wait(own).min(many(wait(others))), shortage)
    }

    fn add_ends_of_children(&self, id: TokenId, now: Wall, ends: &mut Ends) {
        for child in self.children.get(&id).into_iter().flatten() {
            let Some(token) = self.tokens.get(*child) else { continue };
            if token.leaving.is_none() && token.rare.lack.is_none() && self.outputs_allow(*child, token) {
                *ends = ends.and(token.ends(now));
                self.add_ends_of_children(*child, now, ends);
            }
        }
    }

    /// A clock that was wrong may have made a signature, a certificate or a lifetime look wrong.
    pub(super) fn clock_changed(&mut self, now: Now) {
        self.clock_set_at = now.boot;
        let troubles = self.tokens.values_mut().filter_map(|token| token.rare.any()?.trouble.as_mut());
        troubles.for_each(|trouble| trouble.clock_was_set());
        self.touch_all();
    }
}

impl TokenRecord {
    /// Of itself, and of its refresh token, as long as that has not ended.
    fn ends(&self, now: Wall) -> Ends {
        let own = self.held.as_ref().and_then(|held| held.ends());
        let login = self.rare.login.map(|login| login.at).filter(|end| *end > now);
        own.into_iter().chain(login).fold(Ends::default(), |ends, end| ends.and(Ends::one(end, now)))
    }
}
