//! Owns: `renewd check --online`: every token is tried, parents before their children, and told in a line.
//! Does not: deliver or keep what it obtains, or spend a refresh token.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use futures_util::future::join_all;

use super::Surroundings;
use super::progress::Progress;
use crate::core::printable::printable;
use crate::core::secret::Secret;
use crate::core::settings::{Plan, TokenName, TokenPlan};
use crate::host::clock;
use crate::process::threads;
use crate::source::probe::{ProbeResult, probe};
use crate::source::{Given, Shared, SourceError};

type Tried = BTreeMap<TokenName, Result<ProbeResult, SourceError>>;

/// Tries all tokens of a plan; true if none failed.
pub(super) fn check(plan: &Plan, around: &Surroundings, out: &mut dyn Write) -> io::Result<bool> {
    let runtime = threads::runtime()?;
    let progress = Progress::of(around, "tokens tried", plan.tokens.len());
    let tried = runtime.block_on(all(plan, &progress));
    drop(progress);
    // A name that is still looked up is not waited for.
    runtime.shutdown_background();
    let is_told = |token: &&Arc<TokenPlan>| !around.is_quiet() || tried.get(&token.name).is_none_or(Result::is_err);
    for token in plan.tokens.iter().filter(is_told) {
        let said = tried.get(&token.name).map_or_else(|| "was not tried".into(), said);
        writeln!(out, "{}: {}", token.name, printable(&said))?;
    }
    Ok(tried.values().all(Result::is_ok))
}

fn said(tried: &Result<ProbeResult, SourceError>) -> String {
    match tried {
        Ok(ProbeResult::Obtained { left, missing, .. }) => {
            let whole = |left: &std::time::Duration| std::time::Duration::from_secs(left.as_secs());
            let good = match left {
                Some(left) => format!("good for {}, and thrown away", humantime::format_duration(whole(left))),
                None => "it never expires, and was thrown away".into(),
            };
            let warning = missing.as_ref().map(|missing| format!("; warning: {missing}")).unwrap_or_default();
            format!("ok, obtained: {good}{warning}")
        }
        Ok(ProbeResult::Reached(what)) => format!("ok, {what}"),
        Ok(ProbeResult::Left(why)) => format!("not tried: {why}"),
        Err(error) => format!("failed, {}: {error}", error.reason.as_str()),
    }
}

/// In rounds: those whose parents were tried go together.
async fn all(plan: &Plan, progress: &Progress) -> Tried {
    let shared = Arc::new(Shared::new(|| clock::now().wall));
    let mut tried = Tried::new();
    loop {
        let ready = |token: &&Arc<TokenPlan>| {
            !tried.contains_key(&token.name) && token.parents.iter().all(|parent| tried.contains_key(parent))
        };
        let round: Vec<&Arc<TokenPlan>> = plan.tokens.iter().filter(ready).collect();
        if round.is_empty() {
            return tried;
        }
        let asked = round.iter().map(|token| async {
            let answer = one(token, &tried, &shared).await;
            progress.step();
            answer
        });
        let answered = join_all(asked).await;
        tried.extend(round.iter().map(|token| token.name.clone()).zip(answered));
    }
}

async fn one(token: &TokenPlan, tried: &Tried, shared: &Arc<Shared>) -> Result<ProbeResult, SourceError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(SourceError::no_random_numbers)?;
    let parents = token.parents.iter().filter_map(|parent| at_hand(parent, tried)).collect();
    let given = Given::new(token.name.clone(), clock::now().wall, nonce, shared);
    probe(token, Given { parents, ..given }).await
}

fn at_hand(parent: &TokenName, tried: &Tried) -> Option<(TokenName, Secret<String>)> {
    match tried.get(parent) {
        Some(Ok(ProbeResult::Obtained { token, .. })) => Some((parent.clone(), token.value.clone())),
        _ => None,
    }
}
