//! Owns: the keys of `source = "jwt"`.
//! Does not: read claims and header (`claims`), or compare its lifetime with the schedule.

use super::raw_source::RawJwt;
use super::section::{Reader, Section};
use super::{claims, credential};
use crate::core::finding::{At, Finding, Place};
use crate::core::key::Algorithm;
use crate::core::settings::KeyClaim;

pub(super) fn read(cx: &mut Reader<'_>, token: &Section<'_, '_>) -> RawJwt {
    let mut jwt = RawJwt::default();
    if token.require(cx, "algorithm") {
        jwt.algorithm = token.choice(cx, "algorithm", Algorithm::parse);
    }
    jwt.key = token.text(cx, "key");
    jwt.key_claim = token.choice(cx, "key_claim", |word| match word {
        "iss" => Some(KeyClaim::Iss),
        "kid" => Some(KeyClaim::Kid),
        _ => None,
    });
    jwt.secret = credential::read(cx, token, "secret");
    jwt.private_key = credential::read(cx, token, "private_key");
    jwt.allow_weak_secret = token.bool(cx, "allow_weak_secret").is_some_and(|on| on.value);
    claims::read(cx, token, &mut jwt);
    check_credential(cx, token, jwt.algorithm);
    check_key(cx, &jwt);
    jwt
}

/// HS takes a secret, the others a private key: one of the two, and the right one.
pub(super) fn check_credential(cx: &mut Reader<'_>, token: &Section<'_, '_>, algorithm: Option<At<Algorithm>>) {
    let secret = token.key_place(cx, "secret");
    let private_key = token.key_place(cx, "private_key");
    let symmetric = algorithm.map(|algorithm| (algorithm, algorithm.value.min_secret_bytes().is_some()));
    match (secret, private_key, symmetric) {
        (Some(secret), Some(key), _) => cx.findings.push(
            Finding::error("`private_key` beside `secret`")
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
        (Some(place), None, Some((algorithm, false))) => mismatch(cx, place, algorithm, "secret", "private_key"),
        (None, Some(place), Some((algorithm, true))) => mismatch(cx, place, algorithm, "private_key", "secret"),
        _ => {}
    }
}

fn mismatch(cx: &mut Reader<'_>, place: Place, algorithm: At<Algorithm>, there: &str, wanted: &str) {
    cx.findings.push(
        Finding::error(format!("`{there}` with algorithm {}", algorithm.value.name()))
            .at(place)
            .note(algorithm.place, "the algorithm")
            .help(format!("{} signs with `{wanted}`", algorithm.value.name())),
    );
}

fn check_key(cx: &mut Reader<'_>, jwt: &RawJwt) {
    let Some(key) = &jwt.key else { return };
    let claim = jwt.key_claim.map_or(KeyClaim::Iss, |claim| claim.value);
    let (name, other) = match claim {
        KeyClaim::Iss => ("claims.iss", jwt.claims.iss),
        KeyClaim::Kid => ("header.kid", jwt.header_kid),
    };
    if let Some(other) = other {
        cx.findings.push(
            Finding::error(format!("`{name}` beside `key`"))
                .at(other)
                .note(key.place, "`key` becomes it")
                .help("keep one of the two"),
        );
    }
}
