//! Owns: those who ask for a token, a rotation or validity, and when they get their answer.
//! Does not: know who they are; the edge keeps the connection that belongs to a `RequestId`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::State;
use super::event::{Action, Answer, Reason, RequestId, Want};
use super::record::{Held, Target, Token};
use super::state::{Asked, Waiter};
use crate::core::settings::TokenName;
use crate::core::time::Now;

/// `rotate` and `once` wait this long for min_interval to be over.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Why a `Token` want cannot be served, however long it waits.
const TOO_SHORT: &str = "a new token does not live as long as was asked; ask for less or set a longer lifetime";

impl State {
    pub(super) fn wanted(&mut self, id: RequestId, want: Want, timeout: Duration, now: Now, out: &mut Vec<Action>) {
        // A run that had come to its end goes on for it.
        self.exited = self.stopping && self.exited;
        if self.stopping {
            out.push(Action::Reply { id, answer: Answer::NotNow(Vec::new()) });
            return;
        }
        let named = match &want {
            Want::Rotate { names, .. } | Want::Valid { names, .. } => names.clone(),
            Want::Token { name, .. } | Want::Patient { name } => [name.clone()].into(),
        };
        let in_config = |name: &&TokenName| self.tokens.get(*name).is_none_or(|token| token.leaving.is_some());
        if let Some(name) = named.iter().find(in_config) {
            out.push(Action::Reply { id, answer: Answer::Unknown(name.clone()) });
            return;
        }
        let names = if named.is_empty() { self.all_meant(&want) } else { named.iter().cloned().collect() };
        let mut waiter = Waiter {
            id,
            asked: asked(&want, &names),
            deadline: now.boot.plus(timeout),
            open: BTreeMap::new(),
            failed: Vec::new(),
        };
        for name in names {
            self.open(&mut waiter, &want, name, now);
        }
        let touched: Vec<TokenName> = waiter.open.keys().cloned().collect();
        self.waiters.push(waiter);
        self.dirty_tokens.extend(touched);
        self.answer(now, out);
    }

    /// What no name at all stands for.
    fn all_meant(&self, want: &Want) -> Vec<TokenName> {
        let every = self.tokens.iter().filter(|(_, token)| token.leaving.is_none());
        let meant = every.filter(|(_, t)| !matches!(want, Want::Valid { .. }) || t.wire.required);
        meant.map(|(name, _)| name.clone()).collect()
    }

    /// Marks one token as wanted by the waiter, or its wish as failed where it cannot be served in time.
    fn open(&mut self, waiter: &mut Waiter, want: &Want, name: TokenName, now: Now) {
        let Some(token) = self.tokens.get(&name) else { return };
        let (force, satisfied) = match want {
            Want::Valid { .. } => {
                waiter.open.insert(name, 0);
                return;
            }
            Want::Rotate { force, .. } => (*force, false),
            Want::Token { min_valid, .. } => (false, is_enough(token, *min_valid, now)),
            Want::Patient { .. } => (false, is_enough(token, Duration::ZERO, now)),
        };
        if satisfied {
            let generation = token.generation();
            waiter.open.insert(name, generation);
            return;
        }
        if let Some(why) = self.hopeless(token, want, force, now) {
            waiter.failed.push((name, why));
            return;
        }
        let Some(token) = self.tokens.get_mut(&name) else { return };
        // A flight under way began before the wish: `rotate` wants a later one.
        let generation = match want {
            Want::Rotate { .. } => self.last_generation + 1,
            _ => token.generation() + 1,
        };
        token.wanted = token.wanted.max(generation);
        token.forced |= force;
        token.tried = false;
        if let Some(trouble) = token.trouble.as_mut() {
            trouble.hurry(now.boot);
        }
        waiter.open.insert(name, generation);
    }

    /// Why a wish cannot be served in time.
    fn hopeless(&self, token: &Token, want: &Want, force: bool, now: Now) -> Option<Arc<str>> {
        match want {
            // What is lacking may come in time. A refused credential is not tried for each unit that starts.
            Want::Patient { .. } => {
                token.trouble.as_ref().filter(|t| t.reason == Reason::Rejected).map(|t| t.message.clone())
            }
            _ => self.unobtainable(token).or_else(|| held_back(token, force, now)),
        }
    }

    /// What the machine lacks, where that keeps the token from being obtained at all.
    fn unobtainable(&self, token: &Token) -> Option<Arc<str>> {
        let of_outputs = || self.targets_of(token).find_map(|target| target.lack.clone());
        token.wire.lack.clone().or_else(|| if self.outputs_allow(token) { None } else { of_outputs() })
    }

    /// Strikes the token off the lists of those whom it now serves, and answers who has no more to wait for.
    pub(super) fn serve(&mut self, name: &TokenName, now: Now, out: &mut Vec<Action>) {
        if self.waiters.is_empty() {
            return;
        }
        let Some(token) = self.tokens.get(name) else { return };
        let undelivered = self.undelivered(token);
        let mut waiters = std::mem::take(&mut self.waiters);
        for waiter in &mut waiters {
            let Some(generation) = waiter.open.get(name) else { continue };
            if is_served(&waiter.asked, token, *generation, now) {
                waiter.open.remove(name);
            } else if let Some(why) = &undelivered
                && waiter.asked == Asked::Rotate
                && token.generation() >= *generation
            {
                waiter.open.remove(name);
                waiter.failed.push((name.clone(), why.clone()));
            }
        }
        self.waiters = waiters;
        self.answer(now, out);
    }

    /// The token could not be obtained: those who wait for what was tried are told; a later wish is tried still.
    pub(super) fn disappoint(
        &mut self,
        name: &TokenName,
        reason: Reason,
        message: &Arc<str>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(tried) = self.tokens.get(name).map(|token| token.last_generation) else { return };
        let gives_up = |asked: &Asked| match asked {
            Asked::Rotate | Asked::Token(..) => true,
            Asked::Patient(_) => reason == Reason::Rejected,
            Asked::Valid(..) => false,
        };
        for waiter in self.waiters.iter_mut().filter(|waiter| gives_up(&waiter.asked)) {
            if waiter.open.get(name).is_some_and(|generation| *generation <= tried) {
                waiter.open.remove(name);
                waiter.failed.push((name.clone(), message.clone()));
            }
        }
        self.answer(now, out);
    }

    /// Why one of its files does not hold it, once nothing is under way in the others.
    fn undelivered(&self, token: &Token) -> Option<Arc<str>> {
        if self.targets_of(token).any(|target| target.op.is_some()) {
            return None;
        }
        let why = |target: &Target| target.trouble.as_ref().map(|trouble| trouble.message.clone());
        self.targets_of(token).find_map(|target| why(target).or_else(|| target.lack.clone()))
    }

    fn answer(&mut self, now: Now, out: &mut Vec<Action>) {
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain_mut(|waiter| {
            self.reopen(waiter, now);
            if !waiter.open.is_empty() {
                return true;
            }
            out.push(Action::Reply { id: waiter.id, answer: self.verdict(waiter, now) });
            false
        });
        self.waiters = waiters;
    }

    /// `wait` means all at the same time: one that was served may have expired meanwhile.
    fn reopen(&self, waiter: &mut Waiter, now: Now) {
        let Asked::Valid(names, _) = &waiter.asked else { return };
        if waiter.open.is_empty() {
            let lapsed =
                |name: &&TokenName| self.tokens.get(*name).is_some_and(|t| !is_served(&waiter.asked, t, 0, now));
            let lapsed: Vec<TokenName> = names.iter().filter(lapsed).cloned().collect();
            waiter.open.extend(lapsed.into_iter().map(|name| (name, 0)));
        }
    }

    fn verdict(&self, waiter: &mut Waiter, now: Now) -> Answer {
        let failed = std::mem::take(&mut waiter.failed);
        let (name, min_valid) = match &waiter.asked {
            Asked::Token(name, min_valid) => (name, *min_valid),
            Asked::Patient(name) => (name, Duration::ZERO),
            _ if failed.is_empty() => return Answer::Done,
            _ => return Answer::Failed(failed),
        };
        if !failed.is_empty() {
            return Answer::NotNow(failed);
        }
        match self.tokens.get(name).and_then(|token| token.held.as_ref()) {
            Some(held) if held.has_left(now.wall, min_valid) => Answer::Token { generation: held.generation },
            _ => Answer::NotNow(vec![(name.clone(), TOO_SHORT.into())]),
        }
    }

    pub(super) fn answer_overdue(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.waiters.iter().any(|waiter| waiter.deadline <= now.boot) {
            self.give_up("the time to wait for it is over", now, out);
        }
    }

    pub(super) fn answer_all(&mut self, why: &str, out: &mut Vec<Action>) {
        for waiter in std::mem::take(&mut self.waiters) {
            let mut lines = waiter.failed;
            lines.extend(waiter.open.into_keys().map(|name| (name, why.into())));
            out.push(Action::Reply { id: waiter.id, answer: Answer::NotNow(lines) });
        }
    }

    /// The entry of a token is gone for good: who waits for it is told.
    pub(super) fn desert(&mut self, name: &TokenName, now: Now, out: &mut Vec<Action>) {
        for waiter in &mut self.waiters {
            if waiter.open.remove(name).is_some() {
                waiter.failed.push((name.clone(), "its entry left the config".into()));
            }
        }
        self.answer(now, out);
    }

    /// Nobody listens to that answer any more.
    pub(super) fn unwanted(&mut self, id: RequestId) {
        self.waiters.retain(|waiter| waiter.id != id);
    }

    fn give_up(&mut self, why: &str, now: Now, out: &mut Vec<Action>) {
        let waiters = std::mem::take(&mut self.waiters);
        let (ended, kept) = waiters.into_iter().partition(|waiter: &Waiter| waiter.deadline <= now.boot);
        self.waiters = kept;
        for waiter in ended {
            let line = |name: TokenName| {
                let trouble = self.tokens.get(&name).and_then(|token| self.failing(token));
                let held_back = self.tokens.get(&name).and_then(|token| min_interval_note(token, now));
                let message = trouble.map(|(_, message, _)| message).or(held_back).unwrap_or_else(|| why.into());
                (name, message)
            };
            let mut lines = waiter.failed;
            lines.extend(waiter.open.into_keys().map(line));
            out.push(Action::Reply { id: waiter.id, answer: Answer::NotNow(lines) });
        }
    }
}

fn asked(want: &Want, names: &[TokenName]) -> Asked {
    match want {
        Want::Rotate { .. } => Asked::Rotate,
        Want::Token { name, min_valid } => Asked::Token(name.clone(), *min_valid),
        Want::Patient { name } => Asked::Patient(name.clone()),
        Want::Valid { min_valid, .. } => Asked::Valid(names.iter().cloned().collect(), *min_valid),
    }
}

fn is_served(asked: &Asked, token: &Token, generation: u64, now: Now) -> bool {
    match asked {
        Asked::Rotate => token.generation() >= generation && token.view.delivered,
        Asked::Token(..) | Asked::Patient(_) => token.generation() >= generation,
        Asked::Valid(_, min_valid) => {
            let left = token.view.ends.map(|end| end.since(now.wall));
            token.view.on_disk && left.is_none_or(|left| left >= *min_valid)
        }
    }
}

/// Whether the token at hand will do.
fn is_enough(token: &Token, min_valid: Duration, now: Now) -> bool {
    // Of a credential that cannot be read nobody knows whether it is another one.
    let usable = token.is_usable(now.wall) || token.wire.lack.is_some();
    let enough = |held: &Held| !held.is_expired(now.wall) && held.has_left(now.wall, min_valid);
    usable && token.held.as_ref().is_some_and(enough)
}

/// Why min_interval makes a wish hopeless: it ends only after the asker's patience.
fn held_back(token: &Token, force: bool, now: Now) -> Option<Arc<str>> {
    let held = token.held.as_ref()?;
    let too_long = held.hold_until > now.boot.plus(PATIENCE) && held.made_from == token.wire.made_from;
    if force || !too_long { None } else { min_interval_note(token, now) }
}

fn min_interval_note(token: &Token, now: Now) -> Option<Arc<str>> {
    let held = token.held.as_ref().filter(|held| held.hold_until > now.boot)?;
    let at = now.wall.plus(held.hold_until.since(now.boot));
    Some(format!("min_interval allows the next one at {}; --force does not wait", at.rfc3339()).into())
}
