//! Owns: `source = "jwt"`.
//! Does not: make tokens.

use std::sync::Arc;

use super::super::credential::Form;
use super::super::schedule::Timing;
use super::Making;
use crate::core::config::RawJwt;
use crate::core::key::SigningKey;
use crate::core::settings::{JwtSettings, KeyClaim, Lifetime};

pub(super) fn plan<'r>(raw: &'r RawJwt, timing: &Timing, making: &mut Making<'_, 'r>) -> Option<JwtSettings> {
    key(raw, making).and_then(|key| settings(raw, timing, key))
}

/// The key that signs. None where there is no usable one, which was told.
fn key<'r>(raw: &'r RawJwt, making: &mut Making<'_, 'r>) -> Option<Arc<SigningKey>> {
    let algorithm = raw.algorithm?.value;
    let (what, credential, form) = match (&raw.secret, &raw.private_key) {
        (Some(secret), _) => ("secret", secret, Form::Secret(secret.encoding)),
        (None, Some(key)) => ("private key", key, Form::PrivateKey),
        (None, None) => return None,
    };
    // The wrong one of the two was told already.
    if (form == Form::PrivateKey) == algorithm.min_secret_bytes().is_some() {
        return None;
    }
    making.key(what, credential, form, algorithm, raw.allow_weak_secret)
}

fn settings(jwt: &RawJwt, timing: &Timing, signing_key: Arc<SigningKey>) -> Option<JwtSettings> {
    let [iat, exp, nbf, jti] = switches(jwt, timing);
    Some(JwtSettings {
        algorithm: jwt.algorithm?.value,
        signing_key,
        key: jwt.key.as_ref().map(|key| key.value.clone()),
        key_claim: key_claim(jwt),
        lifetime: timing.lifetime,
        skew: timing.schedule.skew,
        claims: jwt.claims.members.clone(),
        header: jwt.header.clone(),
        iat,
        exp,
        nbf,
        jti,
    })
}

fn key_claim(jwt: &RawJwt) -> KeyClaim {
    jwt.key_claim.map_or(KeyClaim::Iss, |claim| claim.value)
}

/// Which of iat, exp, nbf and jti are on.
fn switches(jwt: &RawJwt, timing: &Timing) -> [bool; 4] {
    let claims = &jwt.claims;
    [
        claims.iat.unwrap_or(true),
        timing.lifetime != Lifetime::Never,
        claims.nbf.unwrap_or(false),
        claims.jti.unwrap_or(true),
    ]
}
