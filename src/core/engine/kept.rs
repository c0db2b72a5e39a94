//! Owns: what of a failing spell outlives a run: what is kept, and how a later run goes on with it.
//! Does not: begin or end a spell; see `settle`.

use std::sync::Arc;

use super::State;
use super::event::{Action, FailedHook, FailingSpell, Reason};
use super::record::{Spell, Token, Trouble};
use super::wiring::TokenWire;
use crate::core::settings::TokenName;
use crate::core::time::{Boot, Now};

impl State {
    /// Goes on with the spells that an earlier run left. To be called before the first plan.
    pub fn restore_spells(&mut self, spells: impl IntoIterator<Item = (TokenName, FailingSpell)>, now: Now) {
        for (name, kept) in spells {
            let wire = || Box::new(Token::new(Arc::new(TokenWire::unknown(name.clone()))));
            let token = self.tokens.entry(name.clone()).or_insert_with(wire);
            if let Some(hook) = &kept.hook {
                token.hooks.get_or_insert_default().trouble = Some(Trouble {
                    at: now.boot,
                    failures: hook.failures,
                    reason: Reason::Hook,
                    message: hook.message.clone(),
                    retry_at: if hook.is_tried_again { now.boot } else { Boot(u64::MAX) },
                    not_before: Boot(0),
                });
            }
            token.spell = Some(Box::new(Spell {
                since: now.boot,
                before: now.wall.since(kept.since),
                told: kept.is_told,
                tries: kept.tries,
                last: (kept.reason != Reason::Hook).then(|| (kept.reason, kept.message.clone())),
            }));
            token.kept_spell = Some(Box::new(kept));
        }
    }

    /// What failed in an earlier run is over once all is well in this one. True where it was not before.
    pub(super) fn forget_earlier_failure(&mut self, name: &TokenName, now: Now) -> bool {
        let is_earlier = |token: &Token| token.spell.as_ref().is_some_and(|spell| spell.last.is_some());
        if !self.tokens.get(name).is_some_and(|token| is_earlier(token)) || !self.is_settled(name, now) {
            return false;
        }
        let spell = self.tokens.get_mut(name).and_then(|token| token.spell.as_mut());
        spell.and_then(|spell| spell.last.take()).is_some()
    }

    /// Has the state say how the token fails, where it says something else.
    pub(super) fn keep_spell(&mut self, name: &TokenName, now: Now, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get(name) else { return };
        let spell = match (&token.spell, &token.kept_spell) {
            (None, None) => return,
            (None, Some(_)) => None,
            (Some(spell), kept) => {
                // One that is being mended is told of when it is.
                let Some((reason, message, _)) = self.failing(token) else { return };
                let hook = token.hooks.as_ref().and_then(|hooks| hooks.trouble.as_ref());
                Some(Box::new(FailingSpell {
                    since: kept.as_ref().map_or_else(|| spell.began(now), |kept| kept.since),
                    tries: spell.tries,
                    is_told: spell.told,
                    reason,
                    message,
                    hook: hook.map(|hook| FailedHook {
                        failures: hook.failures,
                        message: hook.message.clone(),
                        is_tried_again: hook.retry_at < Boot(u64::MAX),
                    }),
                }))
            }
        };
        let Some(token) = self.tokens.get_mut(name) else { return };
        if token.kept_spell != spell {
            token.kept_spell.clone_from(&spell);
            out.push(Action::KeepSpell { name: name.clone(), spell });
        }
    }
}
