//! Owns: how a source is tried without delivering anything: what may be had again is obtained, and where that would spend
//! a refresh token, its endpoint is only reached.
//! Does not: decide which are tried, or print.

use std::time::Duration;

use super::{Given, Source, SourceError, not_granted, of};
use crate::core::scope;
use crate::core::settings::TokenPlan;
use crate::core::token::Token;

/// What a try showed.
pub(crate) enum ProbeResult {
    /// A token came, and is good for so long; for ever where it says so.
    Obtained {
        token: Token,
        left: Option<Duration>,
        /// What of the scope is missing, in words.
        missing: Option<String>,
    },
    /// Somebody is there, whose certificate is right; no token was asked for.
    Reached(String),
    /// Nothing was tried, and why.
    Left(String),
}

/// Tries one. `Given` holds its parents, as far as there are any.
///
/// # Errors
/// It cannot be obtained, or its endpoint is not reached.
pub(crate) async fn probe(token: &TokenPlan, given: Given) -> Result<ProbeResult, SourceError> {
    let missing = token.parents.iter().find(|wanted| !given.parents.iter().any(|(name, _)| name == *wanted)).cloned();
    let Some(source) = of(&token.source) else {
        let lack = token.lack.as_ref().map_or("the machine lacks something", |lack| &lack.message);
        return Ok(ProbeResult::Left(lack.to_owned()));
    };
    if !source.is_probed() {
        return Ok(ProbeResult::Left("a command is not run".into()));
    }
    let why = match missing {
        _ if token.single_use => "its refresh token was not spent".into(),
        Some(parent) => format!("the token {parent}, which it takes, was not obtained"),
        None => return obtain(token, &*source, given).await,
    };
    Ok(ProbeResult::Reached(format!("{} is there; {why}", source.reach(&given).await?)))
}

async fn obtain(token: &TokenPlan, source: &dyn Source, given: Given) -> Result<ProbeResult, SourceError> {
    let shared = given.shared.clone();
    let obtained = source.obtain(given).await?;
    let granted = obtained.scope.as_deref();
    let missing = not_granted(&token.source, granted);
    let missing = (!missing.is_empty()).then(|| scope::told(&missing, granted.unwrap_or_default()));
    let left = obtained.life.expires_at.map(|at| at.since((shared.now)()));
    Ok(ProbeResult::Obtained { token: obtained, left, missing })
}
