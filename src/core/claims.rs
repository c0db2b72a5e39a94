//! Owns: what stands in a minted token's header and payload at a given moment, and what changes when one is refreshed.
//! Does not: sign, read a clock, or draw a jti.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
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
        Some(typ) => object.value("typ", typ),
        None => object.text("typ", "JWT"),
    }
    object.text("alg", settings.algorithm.word());
    if let (KeyClaim::Kid, Some(key)) = (settings.key_claim, &settings.key) {
        object.text("kid", key);
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
        object.text("iss", key);
    }
    if settings.iat {
        object.number("iat", issued);
    }
    if settings.nbf {
        object.number("nbf", issued);
    }
    if let Some(at) = expires_at {
        object.number("exp", at.secs());
    }
    if settings.jti {
        object.text("jti", &BASE64URL_NOPAD.encode(&jti));
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
        let mut object = Object::new();
        let (mut iat, mut exp, mut has_jti) = (false, false, false);
        for (name, value) in &old.raw_claims()? {
            match (name.as_str(), value.get()) {
                ("iat", _) => {
                    iat = true;
                    object.number("iat", issued);
                }
                ("exp", _) => {
                    exp = true;
                    expires_at.iter().for_each(|at| object.number("exp", at.secs()));
                }
                ("jti", _) => {
                    has_jti = true;
                    object.text("jti", &jti);
                }
                (_, "null") => {}
                ("nbf", _) => object.number("nbf", issued),
                (name, raw) => object.raw(name, raw),
            }
        }
        if !iat {
            object.number("iat", issued);
        }
        if let (false, Some(at)) = (exp, expires_at) {
            object.number("exp", at.secs());
        }
        if !has_jti {
            object.text("jti", &jti);
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

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.json(name);
        self.0.push(b':');
    }

    /// Strings and values: writing them to memory cannot fail.
    fn json(&mut self, value: impl serde::Serialize) {
        let written = serde_json::to_writer(&mut self.0, &value);
        debug_assert!(written.is_ok());
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.json(value);
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        self.json(value);
    }

    fn value(&mut self, name: &str, value: &Value) {
        self.name(name);
        self.json(value);
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.extend_from_slice(json.as_bytes());
    }

    fn members<'a>(&mut self, members: impl Iterator<Item = (&'a String, &'a Value)>) {
        members.for_each(|(name, value)| self.value(name, value));
    }

    fn done(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

#[cfg(test)]
mod tests;
