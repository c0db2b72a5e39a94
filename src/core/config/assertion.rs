//! Owns: `assertion` of `source = "oauth2"` as written: whose it is, and which key signs it.
//! Does not: make one, or read keys.

use std::sync::Arc;
use std::time::Duration;

use super::keys::common::{ENCODING, PLACES, PRIVATE_KEY};
use super::keys::{self, KeyEntries, KeyEntry, entries};
use super::section::{Section, SectionReader};
use super::source::jwt;
use super::stage::{RawCredential, RawKey, Written};
use super::value::parse_duration;
use super::{claims, credential};
use crate::core::crypto::Algorithm;
use crate::core::diagnostic::{Diagnostic, Located};
use crate::core::settings::{AssertionSettings, AuthKind, GrantKind};

pub(super) const KEYS: KeyEntries = &[&entries! {
    /// The signature's algorithm. Needed but for client_secret_jwt, where it is HS256.
    algorithm: Choice(Algorithm::WORDS) = r#""RS256""#;
    ..PRIVATE_KEY;
    /// Instead of a private key, for HS256, HS384 and HS512.
    secret: Table(&[PLACES, ENCODING]) = r#"{ file = "assertion.secret" }"#;
    /// Claims with any value JSON has. Default: iss and sub are the client_id, aud is the token endpoint. exp, iat and
    /// jti are filled in for each.
    claims: Free = r#"{ sub = "robot@idp.example" }"#;
    /// Header members; any but alg.
    header: Free = r#"{ kid = "k1" }"#;
    /// From issue to expiry, in whole seconds.
    lifetime: Seconds = r#""5m""#, default(r#""5m""#);
    /// Backdates iat (and not exp), for a server whose clock is behind this one and that allows nothing for it.
    skew: Duration = r#""30s""#, default(r#""0s""#);
}];

/// `assertion`, which belongs to the grant or to the client; told where it is missing, or nobody's.
pub(super) fn read(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    grant: Option<Located<GrantKind>>,
    auth: Option<Located<AuthKind>>,
    allow_weak: bool,
) -> Option<AssertionSettings<Written>> {
    let (Some(grant), Some(auth)) = (grant, auth) else {
        return token.table(cx, "assertion").map(|section| members(cx, &section, allow_weak).0);
    };
    let is_grants = grant.value == GrantKind::JwtBearer;
    if is_grants || auth.value == AuthKind::KeyJwt {
        token.require(cx, "assertion");
    }
    let section = token.table(cx, "assertion")?;
    let (raw, algorithm) = members(cx, &section, allow_weak);
    match auth.value {
        _ if is_grants => by_algorithm(cx, &section, algorithm),
        AuthKind::KeyJwt => by_algorithm(cx, &section, algorithm),
        AuthKind::SecretJwt => by_client_secret(cx, &section, algorithm),
        _ => cx.diagnostics.push(
            Diagnostic::error(format!("`assertion` with grant \"{}\" and client_auth \"{}\"", grant.value.word(), auth.value.word()))
                .at(token.key_span(cx, "assertion").unwrap_or(section.header))
                .note(grant.span, "the grant")
                .help("it belongs to grant = \"jwt_bearer\", or to client_auth = \"private_key_jwt\" or \"client_secret_jwt\""),
        ),
    }
    if let Some(algorithm) = algorithm.filter(|algorithm| algorithm.value.is_symmetric())
        && auth.value == AuthKind::KeyJwt
    {
        cx.diagnostics.push(
            Diagnostic::error(format!("client_auth \"private_key_jwt\" with algorithm {}", algorithm.value.word()))
                .at(algorithm.span)
                .note(auth.span, "decides how the client authenticates")
                .help("use an algorithm with a private key, or client_auth = \"client_secret_jwt\" with client_secret"),
        );
    }
    Some(raw)
}

/// What `assertion` holds, and where its algorithm stands. A key that does not fit the algorithm is told elsewhere, and left out.
pub(super) fn members(
    cx: &mut SectionReader<'_>,
    section: &Section<'_, '_>,
    allow_weak: bool,
) -> (AssertionSettings<Written>, Option<Located<Algorithm>>) {
    let algorithm = section.choice(cx, "algorithm", Algorithm::parse);
    let private_key = credential::read(cx, section, "private_key", "assertion's private key");
    let secret = credential::read(cx, section, "secret", "assertion's secret");
    let key = match (algorithm.map(|algorithm| algorithm.value.is_symmetric()), secret, private_key) {
        (Some(true), Some(from), None) => Some(RawKey::Secret { from, allow_weak }),
        (Some(false), None, Some(key)) => Some(RawKey::Private(key)),
        _ => None,
    };
    let assertion = AssertionSettings {
        algorithm: algorithm.map(|algorithm| algorithm.value),
        key,
        claims: claims::of_assertion(cx, section),
        header: claims::header(cx, section).0,
        lifetime: section.duration_or_default(cx, "lifetime"),
        skew: section.duration_or_default(cx, "skew"),
    };
    (assertion, algorithm)
}

/// The client secret signs (OpenID Connect Core 9).
pub(super) fn of_client_secret(
    own: Option<&AssertionSettings<Written>>,
    secret: Option<Arc<RawCredential>>,
    allow_weak: bool,
) -> AssertionSettings<Written> {
    let algorithm = own.and_then(|own| own.algorithm).unwrap_or(Algorithm::HS256);
    // The wrong kind was told already.
    let secret = secret.filter(|_| algorithm.is_symmetric());
    AssertionSettings {
        algorithm: Some(algorithm),
        key: secret.map(|from| RawKey::Secret { from, allow_weak }),
        lifetime: own.map_or_else(default_lifetime, |own| own.lifetime),
        skew: own.map_or(Duration::ZERO, |own| own.skew),
        claims: own.map(|own| own.claims.clone()).unwrap_or_default(),
        header: own.map(|own| own.header.clone()).unwrap_or_default(),
    }
}

/// Of an assertion of which the config says nothing.
pub(super) fn default_lifetime() -> Duration {
    let default = keys::find(KEYS, "lifetime").map_or("", KeyEntry::default_text);
    parse_duration(default).unwrap_or_default()
}

/// A key of its own, of the algorithm's kind.
fn by_algorithm(cx: &mut SectionReader<'_>, section: &Section<'_, '_>, algorithm: Option<Located<Algorithm>>) {
    if section.has("algorithm") {
        jwt::check_credential(cx, section, algorithm);
        return;
    }
    cx.error(section.header, "`assertion.algorithm` is missing", "add: algorithm = \"RS256\"");
}

/// The client secret is its key (OpenID Connect Core 9).
fn by_client_secret(cx: &mut SectionReader<'_>, section: &Section<'_, '_>, algorithm: Option<Located<Algorithm>>) {
    for key in ["private_key", "secret"] {
        if let Some(span) = section.key_span(cx, key) {
            let help = "remove it, or use client_auth = \"private_key_jwt\"";
            cx.error(span, format!("`assertion.{key}` with client_auth \"client_secret_jwt\""), help);
        }
    }
    if let Some(algorithm) = algorithm.filter(|algorithm| !algorithm.value.is_symmetric()) {
        let title = format!("client_auth \"client_secret_jwt\" with algorithm {}", algorithm.value.word());
        cx.error(algorithm.span, title, "the client secret signs with HS256, HS384 or HS512");
    }
}
