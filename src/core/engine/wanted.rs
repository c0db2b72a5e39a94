//! Owns: those who ask for a token, a rotation or validity, and when they get their answer.
//! Does not: know who they are; the edge keeps the connection that belongs to a `RequestId`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::State;
use super::event::{Action, Answer, Reason, RequestId, Rotated, Want};
use super::record::{HeldToken, TokenRecord};
use super::slots::TokenId;
use super::state::{Reread, Waiter, Wish};
use super::target_record::TargetRecord;
use crate::core::settings::TokenName;
use crate::core::time::Now;

/// `rotate` and `once` wait this long for min_interval to be over.
pub(super) const MIN_INTERVAL_WAIT: Duration = Duration::from_secs(10);

/// A reading of the config that a wish waits for is back by then, or the wish is judged without it.
const READING: Duration = Duration::from_secs(5);

/// Why a `TokenRecord` want cannot be served, however long it waits.
const TOO_SHORT: &str = "a new token does not live as long as was asked; ask for less or set a longer lifetime";

impl State {
    pub(super) fn wanted(&mut self, id: RequestId, want: Want, timeout: Duration, now: Now, out: &mut Vec<Action>) {
        if self.stopping {
            out.push(Action::Reply { id, answer: Answer::NotNow(Vec::new()) });
            return;
        }
        let is_lacking = self.lacks_for(&want);
        let deadline = now.boot.plus(timeout);
        let waiter = Waiter { id, want, deadline, open: BTreeMap::new(), done: Vec::new(), failed: Vec::new() };
        if is_lacking {
            // It waits for a reading of the config that begins after it.
            let is_read = self.read_now(now, out);
            self.wishes.push(Wish { waiter, read_by: now.boot.plus(READING), is_read });
        } else {
            self.judge(waiter, now, out);
        }
    }

    /// Opens the waiter for what can be served in time.
    fn judge(&mut self, mut waiter: Waiter, now: Now, out: &mut Vec<Action>) {
        let named = named(&waiter.want);
        let is_gone = |name: &&TokenName| self.tokens.named(name).is_none_or(|token| token.leaving.is_some());
        if let Some(name) = named.iter().find(is_gone) {
            out.push(Action::Reply { id: waiter.id, answer: Answer::Unknown(name.clone()) });
            return;
        }
        let meant = if named.is_empty() { self.all_meant(&waiter.want) } else { named };
        if let Want::Rotate { names, .. } | Want::Valid { names, .. } = &mut waiter.want {
            names.clone_from(&meant);
        }
        for name in meant {
            self.open(&mut waiter, self.token_id(&name), now);
        }
        self.dirty_tokens.extend(waiter.open.keys());
        self.waiters.push(waiter);
        self.answer(now, out);
    }

    /// What no name at all stands for.
    fn all_meant(&self, want: &Want) -> BTreeSet<TokenName> {
        let every = self.tokens.values().filter(|token| token.leaving.is_none());
        let meant = every.filter(|token| !matches!(want, Want::Valid { .. }) || token.wire.required);
        meant.map(|token| token.wire.name.clone()).collect()
    }

    /// Whether the config must be read again before the wish is judged: what the machine lacked may be there by now.
    fn lacks_for(&self, want: &Want) -> bool {
        let named = named(want);
        let is_due = !self.is_once() && matches!(want, Want::Rotate { .. } | Want::Token { is_patient: false, .. });
        let all = || self.tokens.iter().any(|(id, token)| self.lacks(id, token));
        is_due
            && if named.is_empty() {
                all()
            } else {
                named.iter().any(|name| self.lacks_with_parents(self.token_id(name)))
            }
    }

    fn lacks(&self, id: TokenId, token: &TokenRecord) -> bool {
        token.rare.lack.is_some() || self.targets_of(id, token).any(|target| target.rare.lack.is_some())
    }

    fn lacks_with_parents(&self, id: TokenId) -> bool {
        let Some(token) = self.tokens.get(id) else { return false };
        self.lacks(id, token) || token.rare.parents.iter().any(|parent| self.lacks_with_parents(*parent))
    }

    /// Has the config read; false where a reading is under way already.
    fn read_now(&mut self, now: Now, out: &mut Vec<Action>) -> bool {
        let reread = self.reread.get_or_insert(Reread { at: now.boot, tries: 0, under_way: false });
        let is_free = !std::mem::replace(&mut reread.under_way, true);
        if is_free {
            out.push(Action::Reread);
        }
        is_free
    }

    /// A reading is over: the wishes that came before it are judged by what is now; the others wait for one of their own.
    pub(super) fn grant_wishes(&mut self, now: Now, out: &mut Vec<Action>) {
        let (granted, later): (Vec<Wish>, Vec<Wish>) = self.wishes.drain(..).partition(|wish| wish.is_read);
        self.wishes = later;
        if !self.wishes.is_empty() && self.read_now(now, out) {
            self.wishes.iter_mut().for_each(|wish| wish.is_read = true);
        }
        granted.into_iter().for_each(|wish| self.judge(wish.waiter, now, out));
    }

    /// Marks one token as wanted by the waiter, or its wish as failed where it cannot be served in time.
    fn open(&mut self, waiter: &mut Waiter, id: TokenId, now: Now) {
        let Some(token) = self.tokens.get(id) else { return };
        let want = &waiter.want;
        let satisfied = match want {
            Want::Valid { .. } => {
                waiter.open.insert(id, 0);
                return;
            }
            Want::Rotate { .. } => false,
            Want::Token { min_valid, .. } => is_enough(token, *min_valid, now),
        };
        if satisfied {
            let generation = token.generation();
            waiter.open.insert(id, generation);
            return;
        }
        if let Some(why) = self.hopeless(id, token, want, now) {
            waiter.failed.push((token.wire.name.clone(), why));
            return;
        }
        let force = matches!(want, Want::Rotate { force: true, .. });
        let Some(token) = self.tokens.get_mut(id) else { return };
        // A flight under way began before the wish: `rotate` wants a later one.
        let generation = match want {
            Want::Rotate { .. } => self.last_generation + 1,
            _ => token.generation() + 1,
        };
        token.wanted = token.wanted.max(generation);
        token.forced |= force;
        token.tried = false;
        if matches!(want, Want::Rotate { .. }) {
            self.hurry_files(id, now);
        }
        self.hurry(id, force, now);
        waiter.open.insert(id, generation);
    }

    /// The next try is now, of the parents too that it waits for.
    fn hurry(&mut self, id: TokenId, force: bool, now: Now) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        match token.rare.any().and_then(|rare| rare.trouble.as_mut()) {
            Some(trouble) if force => trouble.force(now.boot),
            Some(trouble) => trouble.hurry(now.boot),
            None => {}
        }
        self.dirty_tokens.insert(id);
        for parent in token.rare.parents.clone() {
            if self.tokens.get(parent).is_some_and(|parent| !parent.is_at_hand(now.wall)) {
                self.hurry(parent, force, now);
            }
        }
    }

    /// Files whose write failed are tried at once: what was in the way may be mended.
    fn hurry_files(&mut self, id: TokenId, now: Now) {
        let Some(token) = self.tokens.get(id) else { return };
        for target in token.targets.clone() {
            if let Some(trouble) =
                self.targets.get_mut(target).and_then(|target| target.rare.any().and_then(|rare| rare.trouble.as_mut()))
            {
                trouble.hurry(now.boot);
                self.dirty_targets.insert(target);
            }
        }
    }

    /// Strikes the token off the lists of those whom it now serves, and answers who has no more to wait for.
    pub(super) fn serve(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        if self.waiters.is_empty() {
            return;
        }
        let Some(token) = self.tokens.get(id) else { return };
        let undelivered = self.undelivered(id, token);
        let mut waiters = std::mem::take(&mut self.waiters);
        for waiter in &mut waiters {
            let Some(generation) = waiter.open.get(&id) else { continue };
            let rotates = matches!(waiter.want, Want::Rotate { .. });
            if is_served(&waiter.want, token, *generation, now) {
                waiter.open.remove(&id);
                if rotates {
                    waiter.done.push(id);
                }
            } else if let Some(why) = &undelivered
                && rotates
                && token.generation() >= *generation
            {
                waiter.open.remove(&id);
                waiter.failed.push((token.wire.name.clone(), why.clone()));
            }
        }
        self.waiters = waiters;
        self.answer(now, out);
    }

    /// The token could not be obtained: those who wait for what was tried (generations up to that) are told; a later wish
    /// is tried still.
    pub(super) fn disappoint(
        &mut self,
        id: TokenId,
        tried: u64,
        reason: Reason,
        message: &Arc<str>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let gives_up = |want: &Want| match want {
            Want::Rotate { .. } => true,
            Want::Token { is_patient, .. } => !is_patient || reason.is_refusal(),
            Want::Valid { .. } => false,
        };
        for waiter in self.waiters.iter_mut().filter(|waiter| gives_up(&waiter.want)) {
            if waiter.open.get(&id).is_some_and(|generation| *generation <= tried) {
                waiter.open.remove(&id);
                waiter.failed.push((self.tokens.name(id).clone(), message.clone()));
            }
        }
        self.answer(now, out);
    }

    /// Why one of its files does not hold it, once nothing is under way in the others.
    fn undelivered(&self, id: TokenId, token: &TokenRecord) -> Option<Arc<str>> {
        if self.targets_of(id, token).any(|target| target.rare.op.is_some()) {
            return None;
        }
        let why = |target: &TargetRecord| target.rare.trouble.as_ref().map(|trouble| trouble.message.clone());
        self.targets_of(id, token).find_map(|target| why(target).or_else(|| target.rare.lack.clone()))
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
        let Want::Valid { names, .. } = &waiter.want else { return };
        if waiter.open.is_empty() {
            let is_lapsed =
                |id: &TokenId| self.tokens.get(*id).is_some_and(|token| !is_served(&waiter.want, token, 0, now));
            let lapsed: Vec<TokenId> = names.iter().map(|name| self.token_id(name)).filter(is_lapsed).collect();
            waiter.open.extend(lapsed.into_iter().map(|id| (id, 0)));
        }
    }

    fn verdict(&self, waiter: &mut Waiter, now: Now) -> Answer {
        let failed = std::mem::take(&mut waiter.failed);
        let (name, min_valid) = match &waiter.want {
            Want::Token { name, min_valid, .. } => (name, *min_valid),
            _ if !failed.is_empty() => return Answer::Failed(failed),
            Want::Rotate { .. } => return Answer::Rotated(self.renewed(&mut waiter.done)),
            Want::Valid { .. } => return Answer::Done,
        };
        if !failed.is_empty() {
            return Answer::NotNow(failed);
        }
        match self.tokens.named(name).and_then(|token| token.held.as_ref()) {
            Some(held) if held.has_left(now.wall, min_valid) => {
                Answer::Token { name: name.clone(), generation: held.issued.generation }
            }
            _ => Answer::NotNow(vec![(name.clone(), TOO_SHORT.into())]),
        }
    }

    fn renewed(&self, done: &mut Vec<TokenId>) -> Vec<Rotated> {
        let renewed = |id: TokenId| {
            let held = self.tokens.get(id).and_then(|token| token.held.as_ref());
            let (expires_at, is_same) = held.map_or((None, false), |held| (held.ends(), held.is_same));
            Rotated { name: self.name(id), expires_at, is_same }
        };
        let mut renewed: Vec<Rotated> = std::mem::take(done).into_iter().map(renewed).collect();
        renewed.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        renewed
    }

    pub(super) fn answer_overdue(&mut self, now: Now, out: &mut Vec<Action>) {
        for wish in self.wishes.extract_if(.., |wish| wish.read_by <= now.boot).collect::<Vec<_>>() {
            self.judge(wish.waiter, now, out);
        }
        if self.waiters.iter().any(|waiter| waiter.deadline <= now.boot) {
            self.give_up("the time to wait for it is over", now, out);
        }
    }

    pub(super) fn answer_all(&mut self, why: &str, out: &mut Vec<Action>) {
        let unread = self.wishes.drain(..);
        out.extend(unread.map(|wish| Action::Reply { id: wish.waiter.id, answer: Answer::NotNow(Vec::new()) }));
        for waiter in std::mem::take(&mut self.waiters) {
            let lines = self.with_open(waiter.failed, &waiter.open, |_| why.into());
            out.push(Action::Reply { id: waiter.id, answer: Answer::NotNow(lines) });
        }
    }

    /// The entry of a token is gone for good: who waits for it is told.
    pub(super) fn desert(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        for waiter in &mut self.waiters {
            if waiter.open.remove(&id).is_some() {
                waiter.failed.push((self.tokens.name(id).clone(), "its entry left the config".into()));
            }
        }
        self.answer(now, out);
    }

    /// Nobody listens to that answer any more.
    pub(super) fn unwanted(&mut self, id: RequestId) {
        self.waiters.retain(|waiter| waiter.id != id);
        self.wishes.retain(|wish| wish.waiter.id != id);
    }

    fn give_up(&mut self, why: &str, now: Now, out: &mut Vec<Action>) {
        let waiters = std::mem::take(&mut self.waiters);
        let (ended, kept) = waiters.into_iter().partition(|waiter: &Waiter| waiter.deadline <= now.boot);
        self.waiters = kept;
        for waiter in ended {
            let why = |id| self.still_failing(id, now).unwrap_or_else(|| why.into());
            let lines = self.with_open(waiter.failed, &waiter.open, why);
            out.push(Action::Reply { id: waiter.id, answer: Answer::NotNow(lines) });
        }
    }

    /// What failed, and a line for each that is waited for still, in order of their names.
    fn with_open(
        &self,
        mut lines: Vec<(TokenName, Arc<str>)>,
        open: &BTreeMap<TokenId, u64>,
        why: impl Fn(TokenId) -> Arc<str>,
    ) -> Vec<(TokenName, Arc<str>)> {
        let mut open: Vec<(TokenName, Arc<str>)> = open.keys().map(|id| (self.name(*id), why(*id))).collect();
        open.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        lines.append(&mut open);
        lines
    }
}

/// Whom a wish names; nobody: all.
fn named(want: &Want) -> BTreeSet<TokenName> {
    match want {
        Want::Rotate { names, .. } | Want::Valid { names, .. } => names.clone(),
        Want::Token { name, .. } => [name.clone()].into(),
    }
}

fn is_served(want: &Want, token: &TokenRecord, generation: u64, now: Now) -> bool {
    match want {
        Want::Rotate { .. } => token.generation() >= generation && token.view.delivered,
        Want::Token { .. } => token.generation() >= generation,
        Want::Valid { min_valid, .. } => {
            let left = token.view.ends.get().map(|end| end.since(now.wall));
            token.view.on_disk && left.is_none_or(|left| left >= *min_valid)
        }
    }
}

/// Whether the token at hand will do.
fn is_enough(token: &TokenRecord, min_valid: Duration, now: Now) -> bool {
    // Of a credential that cannot be read nobody knows whether it is another one.
    let usable = token.is_usable(now.wall) || token.rare.lack.is_some();
    let enough = |held: &HeldToken| !held.is_expired(now.wall) && held.has_left(now.wall, min_valid);
    usable && token.held.as_ref().is_some_and(enough)
}
