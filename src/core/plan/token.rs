//! Owns: one token's plan: its schedule, its hooks, and what `source` makes of its source.
//! Does not: plan its outputs (`targets` does, by file).

use std::sync::Arc;

use super::credential::Keyring;
use super::lacks::Ledger;
use super::{schedule, source};
use crate::core::config::{RawAction, RawConfig, RawHook, RawToken};
use crate::core::diagnostic::Severity;
use crate::core::environment::Environment;
use crate::core::facts::Facts;
use crate::core::settings::{HookAction, HookPlan, Schedule, TokenName, TokenPlan};

pub(super) fn plan_all(raw: &RawConfig, facts: &Facts, env: &Environment, ledger: &mut Ledger) -> Vec<TokenPlan> {
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
        tokens.push(TokenPlan {
            name: token.name.value.clone(),
            fingerprint: made.fingerprint,
            source: made.source,
            schedule: shared(&mut schedule, timing.schedule),
            required: token.required,
            parents: token.parents.iter().map(|parent| parent.value.clone()).collect::<Vec<TokenName>>(),
            single_use: made.single_use,
            after_rotate,
            on_failure,
            units: token.units.clone(),
            lack: made.lack,
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

struct HookSettings<'r> {
    facts: &'r Facts,
    /// The tokens of a config often have the same hook: it is shared with the token before.
    last: [Option<Arc<HookPlan>>; 2],
}

impl HookSettings<'_> {
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
            ledger.lack(argv.span, message, help, Severity::Lack);
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
