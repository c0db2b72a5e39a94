//! Owns: what a token is made from, as one digest: of the ready settings of its source (each says what of it counts), and of
//! its credentials, by their digests alone, which are noted where credentials are asked for.
//!
//! The digest is kept in the state: a change of its form obtains every token of that source anew.
//! Does not: find credentials, or compare anything.

use serde_json::{Value, json};

use super::making::Credentials;
use crate::core::crypto::SecretEncoding;
use crate::core::settings::{Fingerprint, JwtSettings, SourceKind, SourcePlan, millis};

/// What a token of this source is made from. A source without ready settings (`Lacking`) makes none.
pub(super) fn fingerprint(source: &SourcePlan, credentials: &Credentials) -> Fingerprint {
    let text = match source {
        SourcePlan::Jwt(settings) => jwt(settings, credentials),
        SourcePlan::Lacking(kind, ()) => return lacking(*kind),
        obtained => self::obtained(obtained, credentials).to_string(),
    };
    Fingerprint::of(text.as_bytes())
}

/// Of a token that cannot be obtained: no token was made from it.
pub(super) fn lacking(kind: SourceKind) -> Fingerprint {
    Fingerprint::of(json!([format!("{} lacking", kind.word())]).to_string().as_bytes())
}

fn obtained(source: &SourcePlan, credentials: &Credentials) -> Value {
    let ttl = source.ttl().copied().map(millis);
    json!([format!("{} 1", source.kind().word()), source.canonical(), digests(credentials).collect::<Vec<_>>(), ttl])
}

/// Written without a tree of values: there are thousands of these.
fn jwt(settings: &JwtSettings, credentials: &Credentials) -> String {
    let (algorithm, key, key_claim, lifetime, skew, claims, header, switches) = settings.parts();
    let (encoding, digest) = (credentials.encoding.map(SecretEncoding::word), digests(credentials).next());
    let all = ("jwt 1", algorithm, key, key_claim, lifetime, skew, claims, header, switches, encoding, digest);
    // Texts, numbers and values that were read: nothing that JSON has no form for.
    serde_json::to_string(&all).unwrap_or_default()
}

fn digests(credentials: &Credentials) -> impl Iterator<Item = Option<[u8; 16]>> {
    credentials.digests.iter().map(|digest| digest.map(|digest| digest.0))
}
