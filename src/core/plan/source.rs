//! Owns: a token's source from raw to ready: its settings with every credential in them, or what the machine lacks.
//! Does not: find credentials (`credential` does), or obtain anything.

use super::credential::Keyring;
use super::fingerprint::{self, fingerprint};
use super::lacks::Ledger;
use super::making::Making;
use super::schedule::Timing;
use crate::core::config::RawToken;
use crate::core::facts::Facts;
use crate::core::settings::{Fingerprint, Lack, SourcePlan};

/// What became of a source.
pub(super) struct PlannedSource {
    pub source: SourcePlan,
    pub fingerprint: Fingerprint,
    pub single_use: bool,
    pub lack: Option<Lack>,
}

/// `None`: a mistake in the text, which was told.
pub(super) fn plan<'r>(
    token: &'r RawToken,
    timing: &Timing,
    facts: &Facts,
    keyring: &mut Keyring<'r>,
    ledger: &mut Ledger,
) -> Option<PlannedSource> {
    let kind = token.source.kind();
    let mut making = Making::new(&token.name.value, (timing.lifetime, timing.schedule.skew), facts, keyring, ledger);
    let source = token.source.plan(&mut making);
    // What is wrong in the text is told already where it was read.
    if making.refused || (source.is_none() && making.lack.is_none()) {
        return None;
    }
    let Making { lack, credentials, .. } = making;
    // Where no credential is lacking, but the CA's file or the program, the token in place stays the one of its settings.
    let fingerprint =
        source.as_ref().map_or_else(|| fingerprint::lacking(kind), |source| fingerprint(source, &credentials));
    Some(PlannedSource {
        single_use: token.source.first_refresh_token().is_some() || token.source.login().is_some(),
        fingerprint,
        source: source.filter(|_| lack.is_none()).unwrap_or(SourcePlan::Lacking(kind, ())),
        lack,
    })
}
