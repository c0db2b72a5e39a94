//! Owns: what damage leaves in doubt. A token whose newest record may be what was damaged is obtained again, with the newest
//! refresh token that is known; one that another record tells to be spent is never sent.
//! Does not: find damage (`scan` does).

use std::collections::{BTreeMap, BTreeSet};

use super::record::{FirstSending, KeptRefresh, Record};
use crate::core::credential::RefreshToken;
use crate::core::settings::{Fingerprint, TokenName};
use crate::core::time::Wall;

/// What the records tell of the refresh tokens of one name, the superseded ones too.
#[derive(Default)]
struct KnownRefreshes {
    /// The last one that any record has.
    newest: Option<RefreshToken>,
    /// The first one that was sent.
    first_sent: Option<Fingerprint>,
    /// One that has a successor which no record has.
    spent: Option<Fingerprint>,
}

/// The history of a log, as far as damage makes it count.
#[derive(Default)]
pub(super) struct Doubts {
    known: BTreeMap<TokenName, KnownRefreshes>,
    /// Tokens whose newest record may be lost.
    lost: BTreeSet<TokenName>,
}

impl Doubts {
    /// Each whole record, in order, before it takes effect. `before` is what is known of its name's exchange.
    pub(super) fn see(&mut self, record: &Record, before: Option<&KeptRefresh>) {
        match record {
            Record::Token(kept) => {
                let known = self.known.entry(kept.name.clone()).or_default();
                if kept.refresh_token.is_some() {
                    known.newest = kept.refresh_token.as_deref().cloned();
                    known.spent = None;
                    self.lost.remove(&kept.name);
                }
            }
            Record::Refresh(kept) => {
                let known = self.known.entry(kept.name.clone()).or_default();
                if kept.next.is_some() {
                    known.newest.clone_from(&kept.next);
                }
                let Some(sent) = kept.sent else { return };
                known.first_sent.get_or_insert(sent.token);
                // A later one was sent: it came in an answer that no record has.
                known.spent = match &known.newest {
                    Some(newest) if digest(newest) != sent.token => Some(digest(newest)),
                    None if known.first_sent != Some(sent.token) => known.first_sent,
                    _ if kept.begun => None,
                    // Told by an earlier start.
                    _ => Some(sent.token),
                };
            }
            Record::RefreshGone(name) if self.lost.contains(name) => {
                // It stands behind the token that the exchange brought, which is what was lost.
                let known = self.known.entry(name.clone()).or_default();
                known.spent = before.and_then(|before| before.sent).map(|sent| sent.token).or(known.spent);
            }
            _ => {}
        }
    }

    /// The name's record may be what was damaged.
    pub(super) fn lose(&mut self, name: &TokenName) {
        self.lost.insert(name.clone());
    }

    /// All names that were lost so far, once.
    pub(super) fn take_lost(&mut self) -> BTreeSet<TokenName> {
        std::mem::take(&mut self.lost)
    }

    /// A damaged record has this refresh token. It may be the damaged part, and is unknown to its issuer then, which is no
    /// harm; the one before it may be spent.
    pub(super) fn salvage(&mut self, name: &TokenName, refresh: RefreshToken) {
        let known = self.known.entry(name.clone()).or_default();
        match &known.newest {
            Some(newest) if newest.first != refresh.first => known.spent = Some(digest(newest)),
            _ => known.newest = Some(refresh),
        }
    }

    /// What a token that is in doubt is obtained with.
    pub(super) fn refresh_of(&self, name: &TokenName, found: Option<&KeptRefresh>) -> Option<KeptRefresh> {
        let known = self.known.get(name)?;
        let next = found.and_then(|found| found.next.clone()).or_else(|| known.newest.clone());
        let doubt = found.and_then(|found| found.doubt);
        let is_spent = known.spent.is_some_and(|spent| match &next {
            // An issuer that keeps the same one for ever never spends it.
            Some(next) => spent == digest(next) && spent != next.first,
            None => true,
        });
        if is_spent {
            let token = known.first_sent.filter(|_| next.is_none()).or(known.spent)?;
            let sent = Some(FirstSending { at: Wall(0), token });
            return Some(KeptRefresh { name: name.clone(), next, begun: false, sent, doubt });
        }
        let before = found.cloned();
        let refresh =
            before.unwrap_or_else(|| KeptRefresh { name: name.clone(), next: None, begun: false, sent: None, doubt });
        Some(KeptRefresh { next, ..refresh }).filter(|refresh| refresh.next.is_some() || refresh.begun)
    }
}

fn digest(token: &RefreshToken) -> Fingerprint {
    Fingerprint::of(token.token.expose().as_bytes())
}
