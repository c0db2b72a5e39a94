//! Owns: how a new plan changes the state: what stays, what is obtained again, what leaves.
//! The first plan is no other case: it comes upon what an earlier run left.
//! Does not: read or check a config.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::{Action, FormerLine, Note};
use super::record::TokenRecord;
use super::slots::{Slots, TargetId, TokenId};
use super::state::{Readiness, Reread};
use super::target_record::{FileLine, Leaving, TargetRecord};
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
        self.set_families(&wiring.tokens);
        self.set_targets(&wiring.targets, until, !by_itself, now);
        self.index();
        if self.readiness == Readiness::Unplanned {
            self.readiness = Readiness::Waiting { until: now.boot.plus(wiring.ready_timeout) };
        }
        let changed = self.touch_changed(now);
        self.touch_by_and_by(&changed);
        self.grant_wishes(now, out);
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
        let named: BTreeSet<TokenId> = wires.iter().filter_map(|wire| self.tokens.find(&wire.name)).collect();
        for (id, token) in self.tokens.iter_mut() {
            if !named.contains(&id) && token.leaving.is_none() {
                token.leaving = Some(until);
            }
        }
        self.order.clear();
        self.order.reserve_exact(wires.len());
        for wire in wires {
            let id = self.set_token(wire, first, hurry, now);
            self.order.push(id);
            let token = self.tokens.get(id);
            if let Some(held) = token.filter(|_| first).and_then(|token| token.held.as_ref())
                && held.issued.fingerprint == wire.fingerprint
            {
                let doubt = token.and_then(|token| token.uncertain(now.wall));
                let (name, expires_at) = (wire.name.clone(), held.ends());
                out.push(Action::Note(Note::Kept { name, expires_at, doubt }));
            }
        }
    }

    fn set_token(&mut self, wire: &TokenWire, first: bool, hurry: bool, now: Now) -> TokenId {
        let id = self.tokens.find_or_insert(&wire.name, || TokenRecord::new(wire.into()));
        let held = self.tokens.get(id).and_then(|token| token.held.as_ref().map(|held| (held, token.rare.login)));
        let due = held.map(|(held, login)| self.due(&wire.name, &wire.schedule, &held.issued, login));
        let Some(token) = self.tokens.get_mut(id) else { return id };
        token.leaving = None;
        let changed = token.wire.fingerprint != wire.fingerprint;
        let spends = token.wire.single_use;
        token.wire = wire.into();
        if token.rare.lack != wire.lack {
            token.rare.lack.clone_from(&wire.lack);
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
            if let Some(rare) = token.rare.any() {
                rare.trouble = None;
            }
            token.blamed = false;
        } else if let Some(trouble) = token.rare.any().and_then(|rare| rare.trouble.as_mut()).filter(|_| hurry) {
            trouble.hurry(now.boot);
        }
        id
    }

    fn set_targets(&mut self, plans: &[Arc<TargetPlan>], until: Boot, hurry: bool, now: Now) {
        let known = plans.iter().filter_map(|plan| Some((self.targets.find(&plan.path)?, plan)));
        let planned: BTreeMap<TargetId, &Arc<TargetPlan>> = known.collect();
        let tokens = &self.tokens;
        let line = |plan: &Arc<LinePlan>| FileLine {
            token: tokens.find(&plan.token).unwrap_or(TokenId::NONE),
            plan: plan.clone(),
        };
        for (id, target) in self.targets.iter_mut() {
            let names_now = |token: &TokenName| {
                planned.get(&id).is_some_and(|plan| plan.lines.iter().any(|line| line.token == *token))
            };
            if let Some(rare) = target.rare.any() {
                rare.leaving.retain_mut(|leaving| {
                    leaving.until = leaving.until.min(until);
                    !names_now(&leaving.line.token)
                });
            }
            let gone = target.lines.iter().enumerate().filter(|(_, line)| !names_now(&line.plan.token));
            let former = |line: &Arc<LinePlan>| FormerLine { token: line.token.clone(), plan: Some(line.clone()) };
            let leaving = |at, line: &FileLine| Leaving { token: line.token, line: former(&line.plan), until, at };
            let gone: Vec<Leaving> = gone.map(|(at, line)| leaving(at, line)).collect();
            if !gone.is_empty() {
                target.rare.leaving.extend(gone);
            }
            target.verify |= hurry;
            if let Some(trouble) = target.rare.any().and_then(|rare| rare.trouble.as_mut()).filter(|_| hurry) {
                trouble.hurry(now.boot);
            }
            match planned.get(&id) {
                Some(plan) => target.set(plan, plan.lines.iter().map(line).collect()),
                None => target.lines.clear(),
            }
        }
        for plan in plans {
            self.targets.find_or_insert(&plan.path, || {
                let mut target = TargetRecord::new();
                target.set(plan, plan.lines.iter().map(line).collect());
                target
            });
        }
    }

    /// Which files are a token's.
    fn index(&mut self) {
        self.release();
        self.tokens.values_mut().for_each(|token| token.targets.clear());
        for id in self.targets.by_name() {
            let Some(target) = self.targets.get_mut(id) else { continue };
            for leaving in target.rare.any().into_iter().flat_map(|rare| &mut rare.leaving) {
                leaving.token = self.tokens.find(&leaving.line.token).unwrap_or(TokenId::NONE);
            }
            for token in target.tokens() {
                if let Some(token) = self.tokens.get_mut(token)
                    && token.targets.last() != Some(&id)
                {
                    token.targets.push(id);
                }
            }
        }
    }

    /// Which tokens are a token's parents, and its children.
    fn set_families(&mut self, wires: &[TokenWire]) {
        self.children.clear();
        for wire in wires {
            let parents: Vec<TokenId> = wire.parents.iter().map(|parent| self.token_id(parent)).collect();
            let id = self.token_id(&wire.name);
            for parent in &parents {
                self.children.entry(*parent).or_default().push(id);
            }
            if let Some(token) = self.tokens.get_mut(id)
                && token.rare.parents != parents
            {
                token.rare.parents = parents;
            }
        }
        // Those that leave have none any more: nothing is obtained for them.
        for token in self.tokens.values_mut().filter(|token| token.leaving.is_some()) {
            if let Some(rare) = token.rare.any() {
                rare.parents = Vec::new();
            }
        }
    }

    /// Numbers of tokens and files that are gone may be given to others, as far as nothing speaks of them.
    fn release(&mut self) {
        if self.waiters.is_empty() && self.hooks_running.is_empty() && self.hooks_waiting.is_empty() {
            let written = |targets: &Slots<TargetId, TargetPath, TargetRecord>| -> BTreeSet<TokenId> {
                targets.values().flat_map(TargetRecord::spoken_of).collect()
            };
            self.tokens.release(|| written(&self.targets));
        }
        self.targets.release(BTreeSet::new);
    }
}
