//! Owns: that a person is told before a refresh token ends which no rotation prolongs, once for each such end.
//! Does not: rotate for its sake; a token falls due in time by `schedule`.

use std::time::Duration;

use super::State;
use super::event::{Action, HookKind, Note, Reason};
use super::record::TokenRecord;
use super::slots::TokenId;
use crate::core::settings::TokenName;
use crate::core::time::{Now, Wall};

/// Ends that differ by less are one.
const SAME: Duration = Duration::from_secs(60);

impl State {
    /// Takes over what an earlier run told. To be called before the first plan.
    pub fn restore_logins(&mut self, told: impl IntoIterator<Item = (TokenName, Wall)>) {
        for (name, end) in told {
            if let Some(token) = self.tokens.find(&name).and_then(|id| self.tokens.get_mut(id)) {
                token.rare.login_told = Some(end);
            }
        }
    }

    pub(super) fn settle_login(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get(id) else { return };
        let (end, told) = (token.login_due(now.wall), token.rare.login_told);
        if end == told || token.leaving.is_some() || !self.planned {
            return;
        }
        let (name, has_hook) = (token.wire.name.clone(), token.wire.on_failure.is_some());
        let Some(token) = self.tokens.get_mut(id) else { return };
        token.rare.login_told = end;
        self.changed = true;
        out.push(Action::KeepLoginTold { name: name.clone(), end });
        out.push(Action::Note(Note::LoginDue { name, end }));
        if has_hook {
            self.queue_hook(id, end.map_or(HookKind::Recovered, |_| HookKind::Failing(Reason::LoginDue)));
        }
    }
}

impl TokenRecord {
    /// The end of its refresh token, where that is to be told. What was told stands until that end has moved: after a restart
    /// nobody knows yet whether the next rotation moves it.
    pub(super) fn login_due(&self, now: Wall) -> Option<Wall> {
        let end = self.rare.login?.at;
        // An issuer that tells what is left in whole seconds, counted from each answer, does not mean another moment.
        let is_same = |told: &Wall| end.since(*told).max(told.since(end)) < SAME;
        self.rare.login_told.filter(is_same).or_else(|| (self.login_told_at()? <= now).then_some(end))
    }

    /// When that is to be told.
    pub(super) fn login_told_at(&self) -> Option<Wall> {
        let held = self.held.as_ref()?;
        self.rare.login?.told_at(self.wire.schedule.warn_before, held.issued.life)
    }
}
