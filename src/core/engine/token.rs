//! Owns: a token's way from the wish to have it to being at hand: obtain, persist, adopt; and what its failures mean.
//! Does not: write files (`target`) or read plans (`plan`).

use std::sync::Arc;
use std::time::Duration;

use super::State;
use super::doubt::Doubt;
use super::event::{Action, Issued, Note, Persist, Reason};
use super::record::{HeldToken, Incoming, TokenRecord};
use super::slots::TokenId;
use crate::core::schedule::{self, LoginEnd};
use crate::core::settings::TokenName;
use crate::core::time::{Boot, Now, Wall};

/// Whether a token must be obtained.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Need {
    No,
    /// On schedule, or by a wish that waits for min_interval.
    Due,
    /// There is none, its settings or credential changed, the clock was set back, or it was forced.
    Now,
}

impl State {
    /// Starts what a token needs, as far as nothing stands in the way.
    pub(super) fn settle_obtaining(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        self.retry_persisting(id, now, out);
        self.forget_idle_trouble(id, now);
        let Some(token) = self.tokens.get(id) else { return };
        if !self.may_obtain(id, token) || self.blocked_until(token, now) > now.boot {
            return;
        }
        let (fingerprint, parents) = (token.wire.fingerprint, token.rare.parents.clone());
        let Some(parents) = self.parents_at_hand(&parents, now) else { return };
        let once = self.is_once();
        let Some(token) = self.tokens.get_mut(id) else { return };
        self.last_generation += 1;
        let generation = self.last_generation;
        token.last_generation = generation;
        token.asked_at = Some(now.boot).into();
        token.tried = once;
        token.flight = Some(generation);
        self.busy += 1;
        out.push(Action::Obtain { name: self.name(id), generation, fingerprint, parents });
    }

    /// A failure counts only as long as a new token is needed (a clock set back may end that).
    fn forget_idle_trouble(&mut self, id: TokenId, now: Now) {
        let Some(token) = self.tokens.get(id).filter(|token| token.rare.trouble.is_some()) else { return };
        let idle = token.flight.is_none() && token.rare.incoming.is_none() && !self.is_once();
        if idle
            && self.need(token, now) == Need::No
            && let Some(rare) = self.tokens.get_mut(id).and_then(|token| token.rare.any())
        {
            rare.trouble = None;
        }
    }

    /// Whether an obtaining could be started at all: nothing of it is under way, and this run may.
    fn may_obtain(&self, id: TokenId, token: &TokenRecord) -> bool {
        !self.stopping
            && self.planned
            && token.flight.is_none()
            && token.rare.incoming.is_none()
            && token.leaving.is_none()
            && token.rare.lack.is_none()
            && !token.tried
            && self.is_selected(token)
            && self.outputs_allow(id, token)
    }

    /// A token is obtained unless all its outputs lack something (it has none: unless nothing).
    pub(super) fn outputs_allow(&self, id: TokenId, token: &TokenRecord) -> bool {
        let mut named = self.targets_of(id, token).peekable();
        named.peek().is_none() || named.any(|target| target.rare.lack.is_none())
    }

    fn need(&self, token: &TokenRecord, now: Now) -> Need {
        let Some(held) = &token.held else { return Need::Now };
        let wire = &token.wire;
        let wanted = token.wanted > held.issued.generation;
        if held.issued.fingerprint != wire.fingerprint
            || schedule::issued_in_future(&wire.schedule, held.issued.life, now.wall)
            || (wanted && token.forced)
        {
            Need::Now
        } else if wanted || held.due.is_past(now.wall.plus(self.ahead())) {
            Need::Due
        } else {
            Need::No
        }
    }

    /// Whether another one than the one at hand is due or wanted.
    pub(super) fn is_needed(&self, token: &TokenRecord, now: Now) -> bool {
        self.need(token, now) != Need::No
    }

    /// When the next try may start; the end of time where there is no need of one.
    pub(super) fn blocked_until(&self, token: &TokenRecord, now: Now) -> Boot {
        let hold = match (self.need(token, now), &token.held) {
            (Need::No, _) => return Boot(u64::MAX),
            (Need::Due, Some(held)) => held.hold_until,
            _ => Boot(0),
        };
        token.rare.trouble.as_ref().map_or(hold, |trouble| hold.max(trouble.retry_at))
    }

    /// The parents' generations, or `None` where one is not usable yet: then it is asked for.
    fn parents_at_hand(&mut self, parents: &[TokenId], now: Now) -> Option<Vec<(TokenName, u64)>> {
        let mut at_hand = Vec::with_capacity(parents.len());
        let mut all = true;
        for &parent in parents {
            match self.tokens.get_mut(parent) {
                Some(token) if token.is_at_hand(now.wall) => {
                    at_hand.push((token.wire.name.clone(), token.generation()));
                }
                Some(token) => {
                    all = false;
                    if !token.asked {
                        token.asked = true;
                        self.dirty_tokens.insert(parent);
                    }
                }
                None => all = false,
            }
        }
        all.then_some(at_hand)
    }

    pub(super) fn obtained(
        &mut self,
        id: TokenId,
        issued: Issued,
        login_ends: Option<Wall>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let generation = issued.generation;
        if !self.land(id, generation) {
            out.push(Action::Discard { name: self.name(id), generation });
            return;
        }
        let Some(token) = self.tokens.get(id) else { return };
        let wire = &token.wire;
        let single_use = wire.single_use;
        if token.leaving.is_some() && !single_use {
            out.push(Action::Discard { name: self.name(id), generation });
            return;
        }
        // A program or an issuer that keeps a cache hands out the one again that it gave before.
        let is_same = token.held.as_ref().is_some_and(|old| old.issued.sha256 == issued.sha256);
        let (before, obtained) = (token.rare.login, issued.life.obtained_at);
        let login = login_ends.map(|end| match before {
            Some(before) => before.next(end, obtained),
            None => LoginEnd::first(end, obtained),
        });
        let held = HeldToken {
            issued,
            due: self.due(&wire.name, &wire.schedule, &issued, login),
            hold_until: now.boot.plus(wire.schedule.min_interval),
            is_same,
        };
        out.push(persist(&wire.name, &held, single_use));
        let Some(token) = self.tokens.get_mut(id) else { return };
        token.rare.incoming = Some(Box::new(Incoming { held, login, single_use, retry_at: None }));
        self.busy += 1;
    }

    /// Ends the flight of this generation; false where it is another's, or nobody's any more.
    fn land(&mut self, id: TokenId, generation: u64) -> bool {
        let Some(token) = self.tokens.get_mut(id) else { return false };
        let lands = token.flight.take_if(|flight| *flight == generation).is_some();
        if lands {
            self.busy -= 1;
            self.touch(id);
        }
        lands
    }

    pub(super) fn persisted(&mut self, id: TokenId, generation: u64, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        let is_it = |incoming: &mut Box<Incoming>| incoming.held.issued.generation == generation;
        let Some(incoming) = token.rare.any().and_then(|rare| rare.incoming.take_if(is_it)) else { return };
        self.busy -= 1;
        self.adopt(id, incoming.held, incoming.login, out);
    }

    pub(super) fn persist_failed(
        &mut self,
        id: TokenId,
        generation: u64,
        message: &Arc<str>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        let Some(incoming) = token
            .rare
            .any()
            .and_then(|rare| rare.incoming.as_mut())
            .filter(|incoming| incoming.held.issued.generation == generation)
        else {
            return;
        };
        out.push(Action::Note(Note::PersistFailed { name: token.wire.name.clone(), message: message.clone() }));
        if !incoming.single_use {
            // The state is a convenience here: after a restart the token would only be obtained again.
            self.persisted(id, generation, out);
            return;
        }
        let trouble = self.trouble(id, Reason::Delivery, message, None, now);
        // One that runs once does not try anything again but this: what is lost here is lost for good.
        let retry_at = if self.is_once() { now.boot.plus(Duration::from_secs(1)) } else { trouble.retry_at };
        let Some(token) = self.tokens.get_mut(id) else { return };
        if let Some(incoming) = token.rare.any().and_then(|rare| rare.incoming.as_mut()) {
            incoming.retry_at = Some(retry_at);
        }
        token.rare.trouble = Some(Box::new(trouble));
        self.count_try(id, now);
        self.touch(id);
    }

    /// A spent credential's successor must reach the disk: the same bytes are tried until they do.
    fn retry_persisting(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        let Some(incoming) = token.rare.any().and_then(|rare| rare.incoming.as_mut()) else { return };
        if incoming.retry_at.is_some_and(|at| at <= now.boot) {
            incoming.retry_at = None;
            let persist = persist(&token.wire.name, &incoming.held, incoming.single_use);
            out.push(persist);
        }
    }

    /// The new token takes the old one's place.
    fn adopt(&mut self, id: TokenId, held: HeldToken, login: Option<LoginEnd>, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        if let Some(rare) = token.rare.any() {
            rare.trouble = None;
            rare.login = None;
        }
        if login.is_some() {
            token.rare.login = login;
        }
        if let Some(streak) = token.rare.any().and_then(|rare| rare.streak.as_mut()) {
            streak.last.take_if(|(reason, _)| *reason != Reason::Delivery);
        }
        token.doubt = None;
        token.blamed = false;
        token.asked = false;
        if token.wanted <= held.issued.generation {
            token.forced = false;
        }
        token.is_landing = true;
        token.owes_hook |= !held.is_same;
        if let Some(old) = token.held.replace(held) {
            let (name, generation) = (token.wire.name.clone(), old.issued.generation);
            out.push(Action::Discard { name, generation });
        }
        for target in &token.targets {
            if let Some(trouble) = self
                .targets
                .get_mut(*target)
                .and_then(|target| target.rare.any().and_then(|rare| rare.trouble.as_mut()))
            {
                // It is another content: tried at once.
                trouble.retry_at = trouble.not_before;
            }
        }
        self.dirty_targets.extend(&token.targets);
        self.touch(id);
        for child in self.children.get(&id).cloned().unwrap_or_default() {
            if let Some(trouble) =
                self.tokens.get_mut(child).and_then(|child| child.rare.any().and_then(|rare| rare.trouble.as_mut()))
            {
                // It may have failed for want of this parent.
                trouble.retry_at = trouble.not_before;
            }
            self.touch(child);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn obtain_failed(
        &mut self,
        id: TokenId,
        generation: u64,
        reason: Reason,
        message: &Arc<str>,
        retry_after: Option<Duration>,
        doubt: Option<Doubt>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if self.land(id, generation) {
            self.settle_exchange(id, doubt, out);
            if let (Some(Doubt::Stale), Some(token)) = (doubt, self.tokens.get_mut(id)) {
                // An answer came: the next try is the first of a new row.
                if let Some(rare) = token.rare.any() {
                    rare.trouble = None;
                }
            }
            self.fail(id, reason, message, retry_after, now, out);
        }
    }

    /// The parent is obtained again, once; a second refusal is the child's own failure.
    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn parent_rejected(
        &mut self,
        id: TokenId,
        generation: u64,
        parent: TokenId,
        parent_generation: u64,
        message: &Arc<str>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if !self.land(id, generation) {
            return;
        }
        self.settle_exchange(id, None, out);
        let Some(child) = self.tokens.get_mut(id) else { return };
        if child.blamed {
            child.blamed = false;
            self.fail(id, Reason::Rejected, message, None, now, out);
            return;
        }
        child.blamed = true;
        child.tried = false;
        let Some(token) = self.tokens.get_mut(parent) else { return };
        if token.generation() <= parent_generation {
            token.wanted = token.wanted.max(parent_generation + 1);
            token.forced = true;
            token.asked = true;
            token.tried = false;
            if let Some(trouble) = token.rare.any().and_then(|rare| rare.trouble.as_mut()) {
                trouble.hurry(now.boot);
            }
        }
        self.touch(parent);
    }

    /// One more failure of a token; it is that of the children too that wait for it, and of those who asked.
    fn fail(
        &mut self,
        id: TokenId,
        reason: Reason,
        message: &Arc<str>,
        retry_after: Option<Duration>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let trouble = self.trouble(id, reason, message, retry_after, now);
        let Some(token) = self.tokens.get_mut(id) else { return };
        let (name, tried) = (token.wire.name.clone(), token.last_generation);
        out.push(Action::Note(Note::ObtainFailed {
            name: token.wire.name.clone(),
            reason,
            message: message.clone(),
            failures: trouble.failures,
            retry_in: trouble.retry_at.since(now.boot),
            standing: token.standing(now.wall),
        }));
        token.rare.trouble = Some(Box::new(trouble));
        token.asked = false;
        self.count_try(id, now);
        self.failed_once = true;
        self.touch(id);
        self.disappoint(id, tried, reason, message, now, out);
        let message: Arc<str> = format!("needs token {name}, which failed: {message}").into();
        for child in self.children.get(&id).cloned().unwrap_or_default() {
            if self.is_waiting_for_parent(child, now) {
                // The parent's try was theirs who wait for the child, whatever generation they want of it.
                self.disappoint(child, u64::MAX, reason, &message, now, out);
                self.fail(child, reason, &message, retry_after, now, out);
            }
        }
    }

    fn is_waiting_for_parent(&self, child: TokenId, now: Now) -> bool {
        let Some(token) = self.tokens.get(child) else { return false };
        let lacks_one = token.rare.parents.iter().any(|p| self.tokens.get(*p).is_none_or(|p| !p.is_at_hand(now.wall)));
        lacks_one && self.may_obtain(child, token) && self.blocked_until(token, now) <= now.boot
    }

    /// What a token's timers stand for: the next try on the boot-time clock, due and expiry on the wall clock.
    pub(super) fn obtain_timer(&self, id: TokenId, token: &TokenRecord, now: Now) -> Option<Boot> {
        if let Some(incoming) = &token.rare.incoming {
            return incoming.retry_at;
        }
        let at = self.may_obtain(id, token).then(|| self.blocked_until(token, now))?;
        (at > now.boot && at < Boot(u64::MAX)).then_some(at)
    }
}

fn persist(name: &TokenName, held: &HeldToken, sync: bool) -> Action {
    Action::Persist(Persist { name: name.clone(), generation: held.issued.generation, is_same: held.is_same, sync })
}
