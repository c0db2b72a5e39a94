//! Owns: whose request goes first where many wait for one host: by how the token's last try went.
//! Does not: hold the queue; `source/net/turns` does.

use super::State;
use super::event::Reason;
use super::record::TokenRecord;
use crate::core::settings::TokenName;

/// How the last try of a token went, from the best to the worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LastTry {
    /// It ended well.
    Good,
    /// There was none, or it was with other settings.
    None,
    /// It was answered, and brought no token.
    Refused,
    /// No answer came, or none but that it is out of order.
    Silent,
}

/// The least goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Precedence {
    /// How the last try ended.
    pub last: LastTry,
    /// Failures in a row: one that fails for long waits behind one that has just begun to.
    pub failures: u32,
}

impl Precedence {
    /// Of one that was never tried.
    pub const NEW: Self = Self { last: LastTry::None, failures: 0 };
}

impl State {
    /// What the token's next request goes before, and what before it.
    pub fn precedence(&self, name: &TokenName) -> Precedence {
        self.tokens.named(name).map_or(Precedence::NEW, of)
    }
}

fn of(token: &TokenRecord) -> Precedence {
    let now = token.rare.trouble.as_ref().map(|trouble| (trouble.reason, trouble.failures));
    let earlier = || token.rare.streak.as_ref()?.last.as_ref().map(|(reason, _)| (*reason, 1));
    // A parent's failure and the machine's are none of the host's.
    let of_host = |(reason, _): &(Reason, u32)| {
        !matches!(reason, Reason::Machine | Reason::Delivery | Reason::Hook | Reason::LoginDue)
    };
    if let Some((reason, failures)) = now.or_else(earlier).filter(of_host) {
        let last = if reason == Reason::Unreachable { LastTry::Silent } else { LastTry::Refused };
        return Precedence { last, failures };
    }
    let is_authenticated = token.held.as_ref().is_some_and(|held| held.issued.fingerprint == token.wire.fingerprint);
    Precedence { last: if is_authenticated { LastTry::Good } else { LastTry::None }, failures: 0 }
}
