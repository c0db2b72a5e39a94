//! Owns: one token's plan: its source's settings, what it is made from, its hooks.
//! Does not: plan its outputs (`targets` does, by file).

use std::sync::Arc;

use serde_json::json;

use super::credential::{Keyring, Ready};
use super::lacks::Ledger;
use super::schedule::{self, Timing};
use crate::core::config::{Raw, RawAction, RawHook, RawJwt, RawToken};
use crate::core::environment::Environment;
use crate::core::facts::Facts;
use crate::core::finding::Severity;
use crate::core::key::SigningKey;
use crate::core::settings::{
    Fingerprint, HookAction, HookPlan, JwtSettings, KeyClaim, Lifetime, Schedule, SourceKind, SourcePlan, TokenName,
    TokenPlan,
};

pub(super) fn plan_all(raw: &Raw, facts: &Facts, env: &Environment, ledger: &mut Ledger) -> Vec<TokenPlan> {
    let mut keyring = Keyring::new(facts, env);
    let mut hooks = Hooks { facts, last: [None, None] };
    let mut schedule = Arc::default();
    let mut tokens = Vec::with_capacity(raw.tokens.len());
    for token in &raw.tokens {
        let timing = schedule::plan(token, &raw.defaults, ledger);
        let (ready, lack) = keyring.key(token, ledger);
        let after_rotate = hooks.plan(token, "after_rotate", 0, ledger);
        let on_failure = hooks.plan(token, "on_failure", 1, ledger);
        // Without an algorithm there was a mistake in the text, and no plan will come of it.
        let Some(made_from) = made_from(token, &timing, ready.as_ref()) else {
            continue;
        };
        let jwt = ready.and_then(|ready| settings(token, &timing, ready.key));
        tokens.push(TokenPlan {
            name: token.name.value.clone(),
            made_from,
            source: jwt.map_or(SourcePlan::Lacking(SourceKind::Jwt), |jwt| SourcePlan::Jwt(Arc::new(jwt))),
            schedule: shared(&mut schedule, timing.schedule),
            required: token.required.unwrap_or(true),
            parents: token.parents.iter().map(|parent| parent.value.clone()).collect::<Vec<TokenName>>(),
            single_use: false,
            after_rotate,
            on_failure,
            units: token.units.clone(),
            lack,
        });
    }
    tokens
}

/// The schedule of the token before, where it is the same.
fn shared(last: &mut Arc<Schedule>, schedule: Schedule) -> Arc<Schedule> {
    if **last != schedule {
        *last = Arc::new(schedule);
    }
    Arc::clone(last)
}

fn settings(token: &RawToken, timing: &Timing, signing_key: Arc<SigningKey>) -> Option<JwtSettings> {
    let jwt = &token.jwt;
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

/// A canonical text of all that a token's content follows from, and the credential's digest. It is kept in the state:
/// a change of its form obtains every token anew.
fn made_from(token: &RawToken, timing: &Timing, ready: Option<&Ready>) -> Option<Fingerprint> {
    let jwt = &token.jwt;
    let lifetime = match timing.lifetime {
        Lifetime::For(span) => Some(span.as_secs()),
        Lifetime::Never => None,
    };
    let text = json!([
        "jwt 1",
        jwt.algorithm?.value.name(),
        jwt.key.as_ref().map(|key| &key.value),
        match key_claim(jwt) {
            KeyClaim::Iss => "iss",
            KeyClaim::Kid => "kid",
        },
        lifetime,
        timing.schedule.skew.as_millis().min(u128::from(u64::MAX)) as u64,
        jwt.claims.members,
        jwt.header,
        switches(jwt, timing),
        jwt.secret.as_ref().map(|secret| secret.encoding.name()),
        ready.map(|ready| ready.digest.0),
    ]);
    Some(Fingerprint::of(text.to_string().as_bytes()))
}

struct Hooks<'r> {
    facts: &'r Facts,
    /// The tokens of a config often have the same hook: it is shared with the token before.
    last: [Option<Arc<HookPlan>>; 2],
}

impl Hooks<'_> {
    fn plan(&mut self, token: &RawToken, name: &str, slot: usize, ledger: &mut Ledger) -> Option<Arc<HookPlan>> {
        let raw = if slot == 0 { token.after_rotate.as_ref() } else { token.on_failure.as_ref() }?;
        self.look(token, raw, name, ledger);
        let last = self.last.get_mut(slot)?;
        if let Some(last) = last.as_ref().filter(|last| same(last, raw)) {
            return Some(Arc::clone(last));
        }
        let action = match &raw.action {
            RawAction::Command(argv) => HookAction::Command(argv.value.clone()),
            RawAction::Signal { pid_file, signal } => {
                HookAction::Signal { pid_file: pid_file.clone(), signal: *signal }
            }
        };
        let hook = Arc::new(HookPlan { action, timeout: raw.timeout, after: raw.after });
        *last = Some(Arc::clone(&hook));
        Some(hook)
    }

    fn look(&self, token: &RawToken, raw: &RawHook, name: &str, ledger: &mut Ledger) {
        let RawAction::Command(argv) = &raw.action else {
            return;
        };
        let Some(program) = argv.value.first() else {
            return;
        };
        if let Some(Some(problem)) = self.facts.programs.get(program) {
            let message = format!("{name} of token `{}`: `{program}` {problem}", token.name.value);
            let help = "install it, make it executable, or name it by its absolute path";
            ledger.lack(argv.place, message, help, Severity::Lack);
        }
    }
}

fn same(plan: &HookPlan, raw: &RawHook) -> bool {
    plan.timeout == raw.timeout
        && plan.after == raw.after
        && match (&plan.action, &raw.action) {
            (HookAction::Command(a), RawAction::Command(b)) => *a == b.value,
            (HookAction::Signal { pid_file, signal }, RawAction::Signal { pid_file: file, signal: other }) => {
                pid_file == file && signal == other
            }
            _ => false,
        }
}
