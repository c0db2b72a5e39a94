//! Owns: `source = "jwt"`: a JWS signed on this machine (RFC 7515 compact serialization): its keys, how it is read, and its settings.
//! Does not: sign, read claims and header (`claims`), or compare its lifetime with the schedule.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::core::config::keys::common::{ENCODING, PLACES, PRIVATE_KEY};
use crate::core::config::keys::{KeyEntry, entries};
use crate::core::config::section::{Section, SectionReader};
use crate::core::config::stage::{RawKey, Written};
use crate::core::config::{claims, credential};
use crate::core::crypto::Algorithm;
use crate::core::diagnostic::{Diagnostic, Located, Span};
use crate::core::plan::Making;
use crate::core::settings::{Lifetime, Members, Ready, SourceSettings, Stage, millis};
use crate::core::words::words;

words! {
    /// Where the value of `key` goes.
    pub enum KeyClaim {
        /// The claim `iss` (RFC 7519 4.1.1).
        Iss = "iss",
        /// The header member `kid` (RFC 7515 4.1.4).
        Kid = "kid",
    }
}

#[derive(Clone, Debug)]
pub struct JwtSettings<S: Stage = Ready> {
    pub algorithm: S::Must<Algorithm>,
    pub signing_key: S::Must<S::Key>,
    /// The public name of the credential: `iss` or `kid`. Absent where `claims.iss` or `header.kid` says it.
    pub key: Option<String>,
    pub key_claim: KeyClaim,
    pub lifetime: S::OrDefault<Lifetime>,
    pub skew: S::OrDefault<Duration>,
    /// Claims as configured, in order, without the switches below.
    pub claims: Members,
    /// Header members as configured, in order; never `alg`.
    pub header: Members,
    pub iat: bool,
    pub exp: S::OrDefault<bool>,
    pub nbf: bool,
    pub jti: bool,
}

/// What a signature follows from, but for the key: algorithm, `key` and where it goes, lifetime, skew, claims, header, switches.
type JwtParts<'s> = (
    &'static str,
    Option<&'s str>,
    &'static str,
    Option<u64>,
    u64,
    &'s Map<String, Value>,
    &'s Map<String, Value>,
    [bool; 4],
);

impl<S: Stage> SourceSettings<S> for JwtSettings<S> {}

impl JwtSettings {
    /// What a token follows from, but for its key.
    pub(crate) fn canonical(&self) -> Value {
        serde_json::to_value(self.parts()).unwrap_or_default()
    }

    /// The same as it is written.
    pub(crate) fn parts(&self) -> JwtParts<'_> {
        let Self { algorithm, signing_key: _, key, key_claim, lifetime, skew, claims, header, iat, exp, nbf, jti } =
            self;
        let lifetime = match lifetime {
            Lifetime::For(span) => Some(span.as_secs()),
            Lifetime::Never => None,
        };
        let switches = [*iat, *exp, *nbf, *jti];
        (algorithm.word(), key.as_deref(), key_claim.word(), lifetime, millis(*skew), claims, header, switches)
    }
}

/// The keys of such a token.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// The signature's algorithm (RFC 7518 3.1, RFC 8037 3.1).
    algorithm: Choice(Algorithm::WORDS) = r#""HS256""#, required;
    /// The public name of the credential; becomes the claim iss, or the header's kid.
    key: Text = r#""398e54e888da42f8d089""#;
    /// Where `key` goes: the claim iss, or the header member kid.
    key_claim: Choice(KeyClaim::WORDS) = r#""iss""#, default(r#""iss""#);
    /// The secret of HS256, HS384 and HS512, in one of five places.
    secret: Table(&[PLACES, ENCODING]) = r#"{ file = "sunbird.secret" }"#;
    ..PRIVATE_KEY;
    /// Allows a secret that is shorter than the hash (RFC 7518 3.2).
    allow_weak_secret: Bool = "true", default("false");
    /// Claims with any value JSON has. iat, exp, nbf and jti are switches: true or false (default: iat, exp, jti on;
    /// nbf off).
    claims: Free = r#"{ aud = "api", sub = "" }"#;
    /// Header members; any but alg.
    header: Free = r#"{ kid = "k1", typ = "JWT" }"#;
};

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> JwtSettings<Written> {
    let algorithm = token.choice(cx, "algorithm", Algorithm::parse);
    let key = token.text(cx, "key");
    let key_claim = token.choice(cx, "key_claim", KeyClaim::parse).map(|claim| claim.value);
    let key_claim = key_claim.or_else(|| KeyClaim::parse(token.default("key_claim"))).unwrap_or(KeyClaim::Iss);
    let secret = credential::read(cx, token, "secret", "secret");
    let private_key = credential::read(cx, token, "private_key", "private key");
    let allow_weak = token.bool_or_default(cx, "allow_weak_secret");
    let claims = claims::read(cx, token);
    let (header, header_kid) = claims::header(cx, token);
    check_credential(cx, token, algorithm);
    if let Some(key) = &key {
        let (name, other) = match key_claim {
            KeyClaim::Iss => ("claims.iss", claims.iss),
            KeyClaim::Kid => ("header.kid", header_kid),
        };
        check_key(cx, key, name, other);
    }
    let signing_key = match (secret, private_key) {
        (Some(from), _) => Some(RawKey::Secret { from, allow_weak }),
        (None, private_key) => private_key.map(RawKey::Private),
    };
    JwtSettings {
        algorithm: algorithm.map(|algorithm| algorithm.value),
        signing_key,
        key: key.map(|key| key.value),
        key_claim,
        lifetime: token.lifetime_value(cx, "lifetime"),
        skew: token.duration(cx, "skew"),
        claims: claims.members.into(),
        header: header.into(),
        iat: claims.iat.unwrap_or(true),
        exp: claims.exp,
        nbf: claims.nbf.unwrap_or(false),
        jti: claims.jti.unwrap_or(true),
    }
}

/// HS takes a secret, the others a private key: one of the two, and the right one.
pub(in crate::core::config) fn check_credential(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    algorithm: Option<Located<Algorithm>>,
) {
    let secret = token.key_span(cx, "secret");
    let private_key = token.key_span(cx, "private_key");
    let symmetric = algorithm.map(|algorithm| (algorithm, algorithm.value.is_symmetric()));
    match (secret, private_key, symmetric) {
        (Some(secret), Some(key), _) => cx.diagnostics.push(
            Diagnostic::error("`private_key` beside `secret`")
                .at(key)
                .note(secret, "also here")
                .help("HS algorithms take `secret`, the others `private_key`"),
        ),
        (None, None, Some((_, false))) => {
            token.require(cx, "private_key");
        }
        (None, None, _) => {
            token.require(cx, "secret");
        }
        (Some(span), None, Some((algorithm, false))) => mismatch(cx, span, algorithm, "secret", "private_key"),
        (None, Some(span), Some((algorithm, true))) => mismatch(cx, span, algorithm, "private_key", "secret"),
        _ => {}
    }
}

fn mismatch(cx: &mut SectionReader<'_>, span: Span, algorithm: Located<Algorithm>, there: &str, wanted: &str) {
    cx.diagnostics.push(
        Diagnostic::error(format!("`{there}` with algorithm {}", algorithm.value.word()))
            .at(span)
            .note(algorithm.span, "the algorithm")
            .help(format!("{} signs with `{wanted}`", algorithm.value.word())),
    );
}

fn check_key(cx: &mut SectionReader<'_>, key: &Located<String>, name: &str, other: Option<Span>) {
    if let Some(other) = other {
        cx.diagnostics.push(
            Diagnostic::error(format!("`{name}` beside `key`"))
                .at(other)
                .note(key.span, "`key` becomes it")
                .help("keep one of the two"),
        );
    }
}

/// None where there is no usable key, which was told.
pub(super) fn plan<'r>(raw: &'r JwtSettings<Written>, making: &mut Making<'_, 'r>) -> Option<JwtSettings> {
    let algorithm = raw.algorithm?;
    // The wrong one of the two was told already.
    let key = match raw.signing_key.as_ref()? {
        RawKey::Secret { from, allow_weak } if algorithm.is_symmetric() => {
            making.secret_key(from, algorithm, *allow_weak)
        }
        RawKey::Private(from) if !algorithm.is_symmetric() => making.private_key(from, algorithm),
        _ => None,
    };
    Some(JwtSettings {
        algorithm,
        signing_key: key?,
        key: raw.key.clone(),
        key_claim: raw.key_claim,
        lifetime: making.lifetime,
        skew: making.skew,
        claims: raw.claims.clone(),
        header: raw.header.clone(),
        iat: raw.iat,
        exp: making.lifetime != Lifetime::Never,
        nbf: raw.nbf,
        jti: raw.jti,
    })
}
