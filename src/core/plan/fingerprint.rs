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
        obtained => self::obtained(obtained, credentials),
    };
    Fingerprint::of(text.to_string().as_bytes())
}

/// Of a token that cannot be obtained: no token was made from it.
pub(super) fn lacking(kind: SourceKind) -> Fingerprint {
    Fingerprint::of(json!([format!("{} lacking", kind.word())]).to_string().as_bytes())
}

fn obtained(source: &SourcePlan, credentials: &Credentials) -> Value {
    let ttl = source.ttl().copied().map(millis);
    json!([format!("{} 1", source.kind().word()), source.canonical(), digests(credentials), ttl])
}

fn jwt(settings: &JwtSettings, credentials: &Credentials) -> Value {
    let mut text = vec![json!("jwt 1")];
    if let Value::Array(members) = settings.canonical() {
        text.extend(members);
    }
    text.push(json!(credentials.encoding.map(SecretEncoding::word)));
    text.push(json!(digests(credentials).first()));
    Value::Array(text)
}

fn digests(credentials: &Credentials) -> Vec<Option<[u8; 16]>> {
    credentials.digests.iter().map(|digest| digest.map(|digest| digest.0)).collect()
}
