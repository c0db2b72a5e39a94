//! Owns: one token's plan: its schedule, its hooks, and what `source` makes of its source.
//! Does not: plan its outputs (`targets` does, by file).

use std::sync::Arc;

use super::credential::Keyring;
use super::lacks::Ledger;
use super::{schedule, source};
use crate::core::config::{RawConfig, RawToken};
use crate::core::environment::Environment;
use crate::core::facts::Facts;
use crate::core::settings::{HookPlan, Schedule, TokenPlan};

pub(super) fn plan_all(raw: &RawConfig, facts: &Facts, env: &Environment, ledger: &mut Ledger) -> Vec<Arc<TokenPlan>> {
    let mut keyring = Keyring::new(facts, env);
    let mut hooks = HookSettings { facts, last: [None, None] };
    let mut schedule = Arc::default();
    let mut tokens = Vec::with_capacity(raw.tokens.len());
    for token in &raw.tokens {
        let timing = schedule::plan(token, &raw.defaults, ledger);
        let made = source::plan(token, &timing, facts, &mut keyring, ledger);
        let after_rotate = hooks.plan(token, "after_rotate", 0, ledger);
        let on_failure = hooks.plan(token, "on_failure", 1, ledger);
        // There was a mistake in the text, and no plan will come of it.
        let Some(made) = made else {
            continue;
        };
        tokens.push(Arc::new(TokenPlan {
            name: token.name.value.copied(),
            fingerprint: made.fingerprint,
            source: made.source,
            schedule: shared(&mut schedule, timing.schedule),
            required: token.required,
            parents: token.parents.iter().map(|parent| parent.value.copied()).collect(),
            single_use: made.single_use,
            after_rotate,
            on_failure,
            units: token.units.clone().into(),
            lack: made.lack.map(Box::new),
        }));
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

struct HookSettings<'r> {
    facts: &'r Facts,
    /// The tokens of a config often have the same hook: it is shared with the token before.
    last: [Option<Arc<HookPlan>>; 2],
}

impl HookSettings<'_> {
    fn plan(&mut self, token: &RawToken, name: &str, slot: usize, ledger: &mut Ledger) -> Option<Arc<HookPlan>> {
        let raw = if slot == 0 { token.after_rotate.as_ref() } else { token.on_failure.as_ref() }?;
        if let Some(program) = raw.plan.program() {
            let whose = format!("{name} of token `{}`", token.name.value);
            ledger.program(self.facts, &whose, program, raw.span);
        }
        let last = self.last.get_mut(slot)?;
        if last.as_deref() != Some(&raw.plan) {
            *last = Some(Arc::new(raw.plan.clone()));
        }
        last.clone()
    }
}
