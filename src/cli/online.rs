//! Owns: `renewd check --online`: every token is tried, parents before their children, and told in a line; and which are in use,
//! for an issuer may end one when it issues the next.
//! Does not: deliver or keep what it obtains, or spend a refresh token.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use futures_util::future::join_all;

use super::Surroundings;
use super::aside::tell_line;
use super::progress::Progress;
use crate::core::printable::printable;
use crate::core::secret::Secret;
use crate::core::settings::{Plan, SourceKind, TokenName, TokenPlan};
use crate::core::token::Token;
use crate::host::clock;
use crate::host::store::glimpse;
use crate::process::threads;
use crate::source::probe::{ProbeResult, probe};
use crate::source::{Given, Shared, SourceError};

type Tried = BTreeMap<TokenName, Result<ProbeResult, SourceError>>;

/// What is tried, and what is known of it.
struct Tries<'p> {
    /// In order of the plan: those that are named and what they are made from; nobody named: all.
    tokens: Vec<&'p Arc<TokenPlan>>,
    named: &'p BTreeSet<TokenName>,
    /// Good still, and made from the settings of now.
    in_use: BTreeMap<TokenName, Arc<Token>>,
    /// The state cannot be read: any may be in use.
    is_unknown: bool,
    shared: Arc<Shared>,
}

/// Tries the named tokens of a plan, or all; true if none failed.
pub(super) fn check(
    plan: &Plan,
    named: &BTreeSet<TokenName>,
    around: &Surroundings,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let tries = Tries::of(plan, named);
    tries.warn();
    let runtime = threads::runtime()?;
    let progress = Progress::of(around, "tokens tried", tries.tokens.len());
    let tried = runtime.block_on(tries.all(&progress));
    drop(progress);
    // A name that is still looked up is not waited for.
    runtime.shutdown_background();
    let is_told = |token: &&&Arc<TokenPlan>| !around.is_quiet() || tried.get(&token.name).is_none_or(Result::is_err);
    for token in tries.tokens.iter().filter(is_told) {
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

impl<'p> Tries<'p> {
    fn of(plan: &'p Plan, named: &'p BTreeSet<TokenName>) -> Self {
        let kept = glimpse(&plan.daemon.state_dir, &plan.path).map(|seen| seen.map(|seen| seen.kept.tokens));
        let is_unknown = kept.is_err();
        let now = clock::now().wall;
        let mut kept = kept.ok().flatten().unwrap_or_default();
        let mut wanted = named.clone();
        // Parents stand anywhere in a config.
        loop {
            let of_wanted = plan.tokens.iter().filter(|token| wanted.contains(&token.name));
            let parents: Vec<TokenName> = of_wanted.flat_map(|token| token.parents.iter().cloned()).collect();
            let before = wanted.len();
            wanted.extend(parents);
            if wanted.len() == before {
                break;
            }
        }
        let tokens: Vec<&Arc<TokenPlan>> =
            plan.tokens.iter().filter(|token| wanted.is_empty() || wanted.contains(&token.name)).collect();
        let is_good = |token: &TokenPlan, kept: &Token| {
            kept.fingerprint == token.fingerprint && kept.life.expires_at.is_none_or(|end| end > now)
        };
        let in_use = tokens.iter().filter_map(|token| kept.remove(&token.name).filter(|kept| is_good(token, kept)));
        let in_use = in_use.map(|kept| (kept.name.clone(), kept)).collect();
        Self { tokens, named, in_use, is_unknown, shared: Arc::new(Shared::new(|| clock::now().wall)) }
    }

    /// Says before anything is asked for what that may do.
    fn warn(&self) {
        let is_asked = |token: &&&Arc<TokenPlan>| self.named.contains(&token.name) && self.is_at_stake(token);
        for token in self.tokens.iter().filter(is_asked) {
            let name = &token.name;
            tell_line!(
                "warning: {name}: another token is asked for, and some issuers end the one in use then; if its readers are \
                 refused, `renewd rotate {name}` delivers a new one"
            );
        }
    }

    /// Whether another token might end the one in use. One that is signed here is nobody's to end, and what a command or a refresh
    /// token brings is not obtained here in any case.
    fn is_at_stake(&self, token: &TokenPlan) -> bool {
        let may_be_ended = !token.single_use && !matches!(token.source.kind(), SourceKind::Jwt | SourceKind::Command);
        may_be_ended && (self.is_unknown || self.in_use.contains_key(&token.name))
    }

    /// In rounds: those whose parents were tried go together.
    async fn all(&self, progress: &Progress) -> Tried {
        let mut tried = Tried::new();
        loop {
            let ready = |token: &&&&Arc<TokenPlan>| {
                !tried.contains_key(&token.name) && token.parents.iter().all(|parent| tried.contains_key(parent))
            };
            let round: Vec<&&Arc<TokenPlan>> = self.tokens.iter().filter(|token| ready(&token)).collect();
            if round.is_empty() {
                return tried;
            }
            let asked = round.iter().map(|token| async {
                let answer = self.one(token, &tried).await;
                progress.step();
                answer
            });
            let answered = join_all(asked).await;
            tried.extend(round.iter().map(|token| token.name.clone()).zip(answered));
        }
    }

    async fn one(&self, token: &TokenPlan, tried: &Tried) -> Result<ProbeResult, SourceError> {
        // Not even reached: there are endpoints that issue a token whatever the method of the request is.
        if !self.named.contains(&token.name) && self.is_at_stake(token) {
            return Ok(ProbeResult::Left(self.spared_words(token)));
        }
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(SourceError::no_random_numbers)?;
        let parents = token.parents.iter().filter_map(|parent| self.at_hand(parent, tried)).collect();
        let given = Given::new(token.name.clone(), clock::now().wall, nonce, &self.shared);
        probe(token, Given { parents, ..given }).await
    }

    fn spared_words(&self, token: &TokenPlan) -> String {
        let name = &token.name;
        let good = match self.in_use.get(name) {
            Some(kept) => {
                let end = kept.life.expires_at.map(|end| format!(" and is good until {}", end.rfc3339()));
                let obtained = kept.life.obtained_at.rfc3339();
                format!("the token in use was obtained from there at {obtained}{}", end.unwrap_or_default())
            }
            None => "the state cannot be read, and a token may be in use".into(),
        };
        format!("{good}; another might end it: `renewd check --online {name}` asks for one")
    }

    /// The parent that was obtained just now, or the one in use.
    fn at_hand(&self, parent: &TokenName, tried: &Tried) -> Option<(TokenName, Secret<String>)> {
        match (tried.get(parent), self.in_use.get(parent)) {
            (Some(Ok(ProbeResult::Obtained { token, .. })), _) => Some((parent.clone(), token.value.clone())),
            (_, Some(kept)) => Some((parent.clone(), kept.value.clone())),
            _ => None,
        }
    }
}
