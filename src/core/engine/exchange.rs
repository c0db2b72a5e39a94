//! Owns: what becomes of the token in place while an exchange of its refresh token is open, and after it failed.
//! Does not: know how it failed; the sources tell that.

use super::doubt::Doubt;
use super::event::Action;
use super::slots::TokenId;
use super::state::State;

impl State {
    /// The server may have carried out the exchange whose answer was lost: the same refresh token is on its way again.
    pub(super) fn answer_lost(&mut self, id: TokenId, generation: u64) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        if token.flight == Some(generation) {
            self.changed = true;
            token.doubt = Some(token.doubt.map_or(Doubt::Lost, |doubt| doubt.and(Some(Doubt::Lost))));
        }
    }

    /// An exchange that failed leaves what was doubtful before as it was, or worse.
    pub(super) fn settle_exchange(&mut self, id: TokenId, doubt: Option<Doubt>, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get_mut(id).filter(|token| token.wire.single_use || doubt.is_some()) else {
            return;
        };
        let doubt = token.doubt.map_or(doubt, |before| Some(before.and(doubt)));
        token.doubt = doubt;
        out.push(Action::Settle { name: self.name(id), doubt });
    }
}
