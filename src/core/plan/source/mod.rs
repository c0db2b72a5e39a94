//! Owns: a token's source from raw to ready, in one file a kind: its settings with every credential in them, or what the
//! machine lacks.
//! Does not: find credentials (`credential` does), or obtain anything.

mod fingerprint;
mod google;
mod jwt;
mod making;
mod oauth2;

use std::sync::Arc;

use self::fingerprint::fingerprint;
use self::making::Making;
use super::credential::Keyring;
use super::lacks::Ledger;
use super::schedule::Timing;
use crate::core::config::{RawKey, RawSource, RawToken};
use crate::core::crypto::{Algorithm, SigningKey};
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
    let mut making = Making::new(token, facts, keyring, ledger);
    let source = match &token.source {
        RawSource::Jwt(raw) => jwt::plan(raw, timing, &mut making).map(|settings| SourcePlan::Jwt(settings.into())),
        RawSource::OAuth2(raw) => oauth2::plan(raw, &mut making).map(|settings| SourcePlan::OAuth2(settings.into())),
        RawSource::Http(raw) => {
            let (secret, refresh) = (making.secret(raw.secret.as_ref()), making.refresh(raw.refresh_token.as_ref()));
            raw.ready(secret, refresh, making.reach(&raw.reach)).map(|settings| SourcePlan::Http(settings.into()))
        }
        RawSource::GithubApp(raw) => {
            let (key, reach) = (github_key(raw.key.as_ref(), &mut making), making.reach(&raw.reach));
            key.and_then(|key| raw.ready(key, reach)).map(|settings| SourcePlan::GithubApp(settings.into()))
        }
        RawSource::Command(raw) => {
            let secret = making.secret(raw.secret.as_ref());
            making.look_for_program(raw);
            raw.ready(secret).map(|settings| SourcePlan::Command(settings.into()))
        }
        RawSource::Lacking(never) => match *never {},
    };
    // What is wrong in the text is told already where it was read.
    if making.refused || (source.is_none() && making.lack.is_none()) {
        return None;
    }
    let Making { lack, credentials, .. } = making;
    // Where no credential is lacking, but the CA's file or the program, the token in place stays the one of its settings.
    let fingerprint =
        source.as_ref().map_or_else(|| fingerprint::lacking(kind), |source| fingerprint(source, &credentials));
    Some(PlannedSource {
        single_use: token.source.first_refresh_token().is_some(),
        fingerprint,
        source: source.filter(|_| lack.is_none()).unwrap_or(SourcePlan::Lacking(kind)),
        lack,
    })
}

/// GitHub knows one algorithm ("Generating a JSON Web Token (JWT) for a GitHub App").
fn github_key<'r>(key: Option<&'r RawKey>, making: &mut Making<'_, 'r>) -> Option<Arc<SigningKey>> {
    match key? {
        RawKey::Private(from) => making.rsa_key(from, Algorithm::RS256),
        RawKey::Secret { .. } | RawKey::Certified(_) | RawKey::ServiceAccount(_) => None,
    }
}
