//! Owns: what stands in a minted token's header and payload at a given moment, and what changes when one is refreshed.
//! Does not: sign, read a clock, or draw a jti.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::{Map, Value};

use super::jose::{JoseError, Jws};
use super::settings::{JwtSettings, KeyClaim, Lifetime};
use super::time::Wall;

/// What is drawn at the edge for each token: 128 random bits (RFC 7519 4.1.7).
pub(crate) type Jti = [u8; 16];

/// The span of a refreshed token that had none before.
const SPAN_OF_NONE: Duration = Duration::from_secs(3600);

/// A payload, and when it expires.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) json: Vec<u8>,
    pub(crate) expires_at: Option<Wall>,
}

/// The header, base64url: typ and alg first, then the rest in its order.
pub(crate) fn header(settings: &JwtSettings) -> String {
    let mut object = Object::new();
    match settings.header.get("typ") {
        Some(typ) => object.set("typ", typ),
        None => object.set("typ", "JWT"),
    }
    object.set("alg", settings.algorithm.word());
    if let (KeyClaim::Kid, Some(key)) = (settings.key_claim, &settings.key) {
        object.set("kid", key);
    }
    object.members(settings.header.iter().filter(|(name, _)| *name != "typ"));
    BASE64URL_NOPAD.encode(&object.done())
}

/// The claims at `now`: iss, iat, nbf, exp and jti as switched, then the configured ones in their order.
pub(crate) fn payload(settings: &JwtSettings, now: Wall, jti: Jti) -> Payload {
    let issued = now.whole().minus(settings.skew).secs();
    let expires_at = match settings.lifetime {
        Lifetime::For(lifetime) if settings.exp => Some(now.whole().plus(lifetime).whole()),
        _ => None,
    };
    let mut object = Object::new();
    if let (KeyClaim::Iss, Some(key)) = (settings.key_claim, &settings.key) {
        object.set("iss", key);
    }
    if settings.iat {
        object.set("iat", issued);
    }
    if settings.nbf {
        object.set("nbf", issued);
    }
    if let Some(at) = expires_at {
        object.set("exp", at.secs());
    }
    if settings.jti {
        object.set("jti", BASE64URL_NOPAD.encode(&jti));
    }
    object.members(settings.claims.iter());
    Payload { json: object.done(), expires_at }
}

/// How an old token becomes a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshClaims {
    pub(crate) now: Wall,
    /// Backdates iat and nbf.
    pub(crate) skew: Duration,
    /// `None`: as long as the old one was good for, an hour where it had no end.
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) jti: Jti,
}

impl RefreshClaims {
    /// The old claims with fresh times: null ones are dropped (nulls inside a claim stay), iat, exp and jti are renewed
    /// or added, nbf only renewed, and all others kept as they are written.
    pub(crate) fn apply(&self, old: &Jws) -> Result<Payload, JoseError> {
        let issued = self.now.whole().minus(self.skew).secs();
        let lifetime = self.lifetime.unwrap_or(Lifetime::For(span(&old.claims()?)));
        let expires_at = match lifetime {
            Lifetime::For(lifetime) => Some(self.now.whole().plus(lifetime).whole()),
            Lifetime::Never => None,
        };
        let jti = BASE64URL_NOPAD.encode(&self.jti);
        let claims = old.raw_claims()?;
        let has = |claim: &str| claims.iter().any(|(name, _)| name == claim);
        let mut object = Object::new();
        for (name, value) in &claims {
            match (name.as_str(), value.get()) {
                ("iat", _) => object.set("iat", issued),
                ("exp", _) => expires_at.iter().for_each(|at| object.set("exp", at.secs())),
                ("jti", _) => object.set("jti", &jti),
                (_, "null") => {}
                ("nbf", _) => object.set("nbf", issued),
                (name, _) => object.set(name, value),
            }
        }
        if !has("iat") {
            object.set("iat", issued);
        }
        if let (false, Some(at)) = (has("exp"), expires_at) {
            object.set("exp", at.secs());
        }
        if !has("jti") {
            object.set("jti", &jti);
        }
        Ok(Payload { json: object.done(), expires_at })
    }
}

/// exp - iat in whole seconds; NumericDates may have fractions (RFC 7519 2).
fn span(claims: &Map<String, Value>) -> Duration {
    let number = |name| claims.get(name).and_then(Value::as_f64);
    match (number("iat"), number("exp")) {
        (Some(iat), Some(exp)) if exp - iat >= 1.0 => Duration::from_secs((exp - iat) as u64),
        _ => SPAN_OF_NONE,
    }
}

/// A JSON object that is written from first to last: nothing is built up to be thrown away, ten thousand times over.
struct Object(Vec<u8>);

impl Object {
    fn new() -> Self {
        let mut text = Vec::with_capacity(256);
        text.push(b'{');
        Self(text)
    }

    /// Strings and values: writing them to memory cannot fail.
    fn json(&mut self, value: impl Serialize) {
        let written = serde_json::to_writer(&mut self.0, &value);
        debug_assert!(written.is_ok());
    }

    fn set(&mut self, name: &str, value: impl Serialize) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.json(name);
        self.0.push(b':');
        self.json(value);
    }

    fn members<'a>(&mut self, members: impl Iterator<Item = (&'a String, &'a Value)>) {
        members.for_each(|(name, value)| self.set(name, value));
    }

    fn done(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

#[cfg(test)]
mod tests;
