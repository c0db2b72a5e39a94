//! Owns: `source = "jwt"`.
//! Does not: make tokens.

use super::super::schedule::Timing;
use super::making::Making;
use crate::core::config::{RawKey, Written};
use crate::core::settings::JwtSettings;

/// None where there is no usable key, which was told.
pub(super) fn plan<'r>(
    raw: &'r JwtSettings<Written>,
    timing: &Timing,
    making: &mut Making<'_, 'r>,
) -> Option<JwtSettings> {
    let algorithm = raw.algorithm?;
    // The wrong one of the two was told already.
    let key = match raw.signing_key.as_ref()? {
        RawKey::Secret { from, allow_weak } if algorithm.is_symmetric() => {
            making.secret_key(from, algorithm, *allow_weak)
        }
        RawKey::Private(from) if !algorithm.is_symmetric() => making.private_key(from, algorithm),
        _ => None,
    };
    raw.ready(key?, timing.lifetime, timing.schedule.skew)
}
