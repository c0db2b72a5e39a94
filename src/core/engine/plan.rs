//! Owns: how a new plan changes the state: what stays, what is obtained again, what leaves.
//! The first plan is no other case: it comes upon what an earlier run left.
//! Does not: read or check a config.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::{Action, FormerLine, Note};
use super::record::{Leaving, TargetRecord, TokenRecord};
use super::state::{Readiness, Reread};
use super::wiring::{TokenWire, Wiring};
use super::{GRACE, REREAD, State};
use crate::core::settings::{LinePlan, TargetPath, TargetPlan, TokenName};
use crate::core::time::{Boot, Now};

impl State {
    pub(super) fn apply(&mut self, wiring: &Wiring, now: Now, out: &mut Vec<Action>) {
        let first = !std::mem::replace(&mut self.planned, true);
        let by_itself = self.reread.as_ref().is_some_and(|reread| reread.under_way);
        self.refused = None;
        self.changed = true;
        self.plan_reread(wiring, now);
        let until = if !self.removes() {
            Boot(u64::MAX)
        } else if first {
            now.boot
        } else {
            now.boot.plus(GRACE)
        };
        self.set_tokens(&wiring.tokens, first, !by_itself, until, now, out);
        self.set_targets(&wiring.targets, until, !by_itself, now);
        self.index();
        if self.readiness == Readiness::Unplanned {
            self.readiness = Readiness::Waiting { until: now.boot.plus(wiring.ready_timeout) };
        }
        // What must be obtained anew goes first: its files do not wait for all that are only looked at.
        self.touch_changed();
        self.settle(now, out);
        self.touch_all();
        self.grant_wishes(now, out);
    }

    fn touch_changed(&mut self) {
        let is_changed = |token: &TokenRecord| {
            token.held.as_ref().is_some_and(|held| held.issued.fingerprint != token.wire.fingerprint)
        };
        for (name, token) in self.tokens.iter().filter(|(_, token)| is_changed(token)) {
            self.dirty_tokens.insert(name.clone());
            self.dirty_targets.extend(token.targets.iter().cloned());
        }
    }

    /// What is lacking is looked at again as a retry: soon at first, then once a minute.
    fn plan_reread(&mut self, wiring: &Wiring, now: Now) {
        let by_itself = self.reread.take().filter(|reread| reread.under_way);
        let tries = by_itself.map_or(0, |reread| reread.tries).min(6);
        if wiring.lacks {
            let wait = std::time::Duration::from_secs(1 << tries).min(REREAD);
            self.reread = Some(Reread { at: now.boot.plus(wait), tries: tries + 1, under_way: false });
        }
    }

    fn set_tokens(
        &mut self,
        wires: &[TokenWire],
        first: bool,
        hurry: bool,
        until: Boot,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let named: BTreeSet<&TokenName> = wires.iter().map(|wire| &wire.name).collect();
        for (name, token) in &mut self.tokens {
            if !named.contains(name) && token.leaving.is_none() {
                token.leaving = Some(until);
            }
        }
        self.order = wires.iter().map(|wire| wire.name.clone()).collect();
        for wire in wires {
            self.set_token(wire, first, hurry, now);
            let token = self.tokens.get(&wire.name);
            if let Some(held) = token.filter(|_| first).and_then(|token| token.held.as_ref())
                && held.issued.fingerprint == wire.fingerprint
            {
                let doubt = token.and_then(|token| token.uncertain(now.wall));
                let (name, expires_at) = (wire.name.clone(), held.ends());
                out.push(Action::Note(Note::Kept { name, expires_at, doubt }));
            }
        }
    }

    fn set_token(&mut self, wire: &TokenWire, first: bool, hurry: bool, now: Now) {
        let held = self.tokens.get(&wire.name).and_then(|token| token.held.as_ref());
        let due = held.map(|held| self.due(wire, &held.issued));
        let token =
            self.tokens.entry(wire.name.clone()).or_insert_with(|| Box::new(TokenRecord::new(Arc::new(wire.clone()))));
        token.leaving = None;
        let changed = token.wire.fingerprint != wire.fingerprint;
        let spends = token.wire.single_use;
        if *token.wire != *wire {
            token.wire = Arc::new(wire.clone());
        }
        if let (Some(held), Some(due)) = (token.held.as_mut(), due) {
            held.due = due;
            if first {
                // What is left of min_interval, by the only clock that outlived the restart.
                let end = held.issued.life.obtained_at.plus(wire.schedule.min_interval);
                let rest = end.since(now.wall).min(wire.schedule.min_interval);
                held.hold_until = now.boot.plus(rest);
            }
        }
        // A credential that is spent by its use is not spent twice: that flight is waited for.
        if changed && !spends && token.flight.take().is_some() {
            self.busy -= 1;
        }
        if changed {
            token.trouble = None;
            token.blamed = false;
        } else if let Some(trouble) = token.trouble.as_mut().filter(|_| hurry) {
            trouble.hurry(now.boot);
        }
    }

    fn set_targets(&mut self, plans: &[TargetPlan], until: Boot, hurry: bool, now: Now) {
        let planned: BTreeMap<&TargetPath, &TargetPlan> = plans.iter().map(|plan| (&plan.path, plan)).collect();
        for (path, target) in &mut self.targets {
            let names_now = |token: &TokenName| {
                planned.get(path).is_some_and(|plan| plan.lines.iter().any(|line| line.token == *token))
            };
            target.leaving.retain_mut(|leaving| {
                leaving.until = leaving.until.min(until);
                !names_now(&leaving.line.token)
            });
            let gone = target.lines.iter().enumerate().filter(|(_, line)| !names_now(&line.token));
            let former = |line: &Arc<LinePlan>| FormerLine { token: line.token.clone(), plan: Some(line.clone()) };
            let gone: Vec<Leaving> = gone.map(|(at, line)| Leaving { line: former(line), until, at }).collect();
            target.leaving.extend(gone);
            target.verify |= hurry;
            if let Some(trouble) = target.trouble.as_mut().filter(|_| hurry) {
                trouble.hurry(now.boot);
            }
            match planned.get(path) {
                Some(plan) => target.set(plan),
                None => target.lines.clear(),
            }
        }
        for plan in plans {
            if !self.targets.contains_key(&plan.path) {
                let mut target = TargetRecord::new();
                target.set(plan);
                self.targets.insert(plan.path.clone(), Box::new(target));
            }
        }
    }

    /// Which files are a token's, and which tokens are a token's children.
    fn index(&mut self) {
        for token in self.tokens.values_mut() {
            token.targets.clear();
        }
        for (path, target) in &self.targets {
            let leaving = target.leaving.iter().map(|leaving| &leaving.line.token);
            for name in target.lines.iter().map(|line| &line.token).chain(leaving) {
                if let Some(token) = self.tokens.get_mut(name)
                    && token.targets.last() != Some(path)
                {
                    // Most tokens have one: no room for more.
                    token.targets.reserve_exact(1);
                    token.targets.push(path.clone());
                }
            }
        }
        self.children.clear();
        for (name, token) in &self.tokens {
            for parent in &token.wire.parents {
                self.children.entry(parent.clone()).or_default().push(name.clone());
            }
        }
    }
}
