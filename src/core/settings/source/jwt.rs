//! Owns: `source = "jwt"`: a JWS signed on this machine (RFC 7515 compact serialization).
//! Does not: sign.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::parts::millis;
use super::stage::{Ready, Stage};
use crate::core::crypto::{Algorithm, SigningKey};
use crate::core::settings::Lifetime;
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
    pub claims: Map<String, Value>,
    /// Header members as configured, in order; never `alg`.
    pub header: Map<String, Value>,
    pub iat: bool,
    pub exp: S::OrDefault<bool>,
    pub nbf: bool,
    pub jti: bool,
}

impl<S: Stage> JwtSettings<S> {
    /// Ready for use: with its key, and with what `[defaults]` may decide.
    pub(crate) fn ready(
        &self,
        signing_key: Arc<SigningKey>,
        lifetime: Lifetime,
        skew: Duration,
    ) -> Option<JwtSettings> {
        Some(JwtSettings {
            algorithm: *S::known(&self.algorithm)?,
            signing_key,
            key: self.key.clone(),
            key_claim: self.key_claim,
            lifetime,
            skew,
            claims: self.claims.clone(),
            header: self.header.clone(),
            iat: self.iat,
            exp: lifetime != Lifetime::Never,
            nbf: self.nbf,
            jti: self.jti,
        })
    }
}

impl JwtSettings {
    /// What a token follows from, but for its key.
    pub(crate) fn canonical(&self) -> Vec<Value> {
        let Self { algorithm, signing_key: _, key, key_claim, lifetime, skew, claims, header, iat, exp, nbf, jti } =
            self;
        let lifetime = match lifetime {
            Lifetime::For(span) => Some(span.as_secs()),
            Lifetime::Never => None,
        };
        vec![
            json!(algorithm.word()),
            json!(key),
            json!(key_claim.word()),
            json!(lifetime),
            json!(millis(*skew)),
            json!(claims),
            json!(header),
            json!([iat, exp, nbf, jti]),
        ]
    }
}
