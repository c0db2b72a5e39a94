//! Owns: the loop that settles what an event touched, and what follows from how a token then stands: its view, its
//! timers, its streak, its hooks, its end.
//! Does not: know what happened; it looks at what is.

use std::sync::Arc;

use super::State;
use super::event::{Action, HookKind, LineAt, Note, Reason, Rotated};
use super::record::{HeldToken, Streak, TokenRecord, TokenState, TokenView};
use super::slots::{TargetId, TokenId};
use super::state::{RunMode, TimerOf};
use super::target_record::TargetRecord;
use crate::core::schedule::Due;
use crate::core::time::{Boot, Now, Wall};

impl State {
    /// Settles until nothing is marked. Each round only marks what it changed, so it ends.
    pub(super) fn settle(&mut self, now: Now, out: &mut Vec<Action>) {
        loop {
            if let Some(id) = self.dirty_targets.pop_first() {
                self.settle_target(id, now, out);
                self.time_target(id, now);
                if let Some(target) = self.targets.get_mut(id) {
                    target.rare.tidy();
                }
            } else if let Some(id) = self.dirty_tokens.pop_first() {
                self.settle_obtaining(id, now, out);
                self.settle_hooks(id, now);
                self.settle_login(id, now, out);
                self.observe(id, now, out);
                self.serve(id, now, out);
                self.time_token(id, now);
                self.let_go(id, now, out);
                if let Some(token) = self.tokens.get_mut(id) {
                    token.rare.tidy();
                }
            } else {
                return;
            }
        }
    }

    /// What troubles a token: its own failure, a lack, one of its files, or its hook.
    pub(super) fn failing(&self, id: TokenId, token: &TokenRecord) -> Option<(Reason, Arc<str>, u32)> {
        if let Some(trouble) = &token.rare.trouble {
            return Some((trouble.reason, trouble.message.clone(), trouble.failures));
        }
        if let Some(lack) = &token.rare.lack {
            return Some((Reason::Machine, lack.clone(), 1));
        }
        let mut lacking = None;
        for target in self.targets_of(id, token) {
            if let Some(trouble) = &target.rare.trouble {
                return Some((trouble.reason, trouble.message.clone(), trouble.failures));
            }
            lacking = lacking.or_else(|| target.rare.lack.clone());
        }
        let hook = || token.rare.hooks.as_ref()?.trouble.as_ref();
        let of_hook = || hook().map(|trouble| (trouble.reason, trouble.message.clone(), trouble.failures));
        let earlier = || token.rare.streak.as_ref()?.last.clone();
        let of_earlier = || earlier().map(|(reason, message)| (reason, message, 1));
        lacking.map(|lack| (Reason::Machine, lack, 1)).or_else(of_hook).or_else(of_earlier)
    }

    /// The files that the config gives to a token.
    pub(super) fn targets_of<'a>(
        &'a self,
        id: TokenId,
        token: &'a TokenRecord,
    ) -> impl Iterator<Item = &'a TargetRecord> {
        let named = token.targets.iter().filter_map(|target| self.targets.get(*target));
        named.filter(move |target| target.names(id))
    }

    fn view(&self, id: TokenId, token: &TokenRecord, is_failing: bool, now: Wall) -> TokenView {
        let generation = token.generation();
        let held_ends = token.held.as_ref().and_then(HeldToken::ends);
        let on_disk = self.targets_of(id, token).all(|target| target.holds_valid(id, now));
        let delivered = self.targets_of(id, token).all(|target| target.holds(id, generation));
        // Somebody else took away what was delivered: it is not pending, and not valid for anybody.
        let is_lost = !self.targets_of(id, token).any(|target| target.holds_valid(id, now))
            && self.targets_of(id, token).any(|target| target.lost_line_of(id).is_some());
        let lasts = |at: &LineAt| at.expires_at.is_none_or(|end| end > now);
        let state = match &token.held {
            None => TokenState::Pending,
            Some(held) if held.is_expired(now) => TokenState::Expired,
            // What readers find counts: a token that cannot be written helps nobody.
            Some(_) if !on_disk && !self.targets_of(id, token).any(|target| target.holds_valid(id, now)) => {
                let was_there = self.targets_of(id, token).any(|target| target.line_of(id).is_some());
                let mut lost = self.targets_of(id, token).filter_map(|target| target.lost_line_of(id));
                match was_there {
                    false if lost.any(lasts) => TokenState::Retrying,
                    false if !is_lost => TokenState::Pending,
                    _ => TokenState::Expired,
                }
            }
            Some(_) if is_failing => TokenState::Retrying,
            Some(_) => TokenState::Valid,
        };
        let is_valid = matches!(state, TokenState::Valid | TokenState::Retrying);
        TokenView {
            state,
            on_disk: is_valid && on_disk,
            is_lost,
            delivered: is_valid && delivered,
            ends: held_ends.into_iter().chain(self.ends_on_disk(id, token)).min().into(),
            counted: token.leaving.is_none(),
            required: token.wire.required,
        }
    }

    /// When the older ones end that stand in files still, or did before somebody else took them away.
    fn ends_on_disk<'a>(&'a self, id: TokenId, token: &'a TokenRecord) -> impl Iterator<Item = Wall> {
        let lines = self.targets_of(id, token).filter_map(move |t| t.line_of(id).or_else(|| t.lost_line_of(id)));
        lines.filter(|at| at.generation != token.generation()).filter_map(|at| at.expires_at)
    }

    fn observe(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get(id) else { return };
        let failing = self.failing(id, token);
        let view = self.view(id, token, failing.is_some(), now.wall);
        let old = token.view;
        if view != old {
            self.count(old, view);
            // One that was not valid before was renewed meanwhile, or its failure was told.
            let was_valid = matches!(old.state, TokenState::Valid | TokenState::Retrying);
            if view.state == TokenState::Expired && was_valid && view.counted {
                out.push(Action::Note(Note::Expired { name: self.name(id) }));
            }
        }
        let Some(token) = self.tokens.get_mut(id) else { return };
        token.view = view;
        if view.delivered && std::mem::take(&mut token.is_landing) {
            self.rotation_done(id, now, out);
        }
        if self.forget_earlier_failure(id, now) {
            return self.touch(id);
        }
        match failing {
            Some((reason, _, _)) => self.streak(id, reason, now),
            None if self.is_settled(id, now) => self.end_streak(id, out),
            None => {}
        }
        self.keep_streak(id, now, out);
    }

    pub(super) fn count(&mut self, old: TokenView, new: TokenView) {
        self.changed = true;
        if old.counted {
            self.counts[old.state as usize] -= 1;
            self.required_missing -= usize::from(old.required && !old.on_disk);
        }
        if new.counted {
            self.counts[new.state as usize] += 1;
            self.required_missing += usize::from(new.required && !new.on_disk);
        }
    }

    fn rotation_done(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        let is_new = std::mem::take(&mut token.owes_hook);
        // One that failed has not gone well for these bytes yet.
        let has_failed = token.rare.hooks.as_ref().is_some_and(|hooks| hooks.trouble.is_some());
        let Some(held) = &token.held else { return };
        let next = match held.due {
            Due::At(at) => Some(at.max(now.wall.plus(held.hold_until.since(now.boot)))),
            Due::Never => None,
        };
        let rotated = Rotated { name: token.wire.name.clone(), expires_at: held.ends(), is_same: !is_new };
        out.push(Action::Note(Note::Rotated { rotated, next }));
        if (is_new || has_failed) && token.wire.after_rotate {
            self.queue_hook(id, HookKind::AfterRotate);
        }
    }

    /// A failure streak begins or goes on; `on_failure` is told once in it.
    fn streak(&mut self, id: TokenId, reason: Reason, now: Now) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        let on_failure = token.wire.on_failure;
        let streak = token.rare.streak.get_or_insert_with(|| Box::new(Streak::new(now.boot)));
        let Some(after) = on_failure else { return };
        if !streak.told && (reason.is_refusal() || streak.lasts(after) <= now.boot) {
            streak.told = true;
            self.queue_hook(id, HookKind::Failing(reason));
        }
    }

    /// A try under way, or a file still to be written, may fail as the one before: only when all is well a streak is over.
    pub(super) fn is_settled(&self, id: TokenId, now: Now) -> bool {
        let Some(token) = self.tokens.get(id) else { return true };
        let is_idle = token.flight.is_none() && token.rare.incoming.is_none();
        token.leaving.is_some() || (is_idle && token.view.delivered && !self.is_needed(token, now))
    }

    fn end_streak(&mut self, id: TokenId, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        let Some(streak) = token.rare.any().and_then(|rare| rare.streak.take()) else { return };
        out.push(Action::Note(Note::Recovered { name: token.wire.name.clone() }));
        if streak.told && token.wire.on_failure.is_some() {
            self.queue_hook(id, HookKind::Recovered);
        }
    }

    /// One more failed try, of whatever kind.
    pub(super) fn count_try(&mut self, id: TokenId, now: Now) {
        if let Some(token) = self.tokens.get_mut(id) {
            let streak = token.rare.streak.get_or_insert_with(|| Box::new(Streak::new(now.boot)));
            streak.tries = streak.tries.saturating_add(1);
            streak.last = None;
        }
    }

    fn time_token(&mut self, id: TokenId, now: Now) {
        let Some(token) = self.tokens.get(id) else { return };
        let streak_told = token.rare.streak.as_ref().filter(|streak| !streak.told);
        let streak = streak_told.and_then(|streak| Some(streak.lasts(token.wire.on_failure?)));
        let leaving = token.leaving.filter(|until| *until < Boot(u64::MAX));
        let boot = [self.obtain_timer(id, token, now), streak, leaving, token.next_hook()].into_iter().flatten();
        let boot = boot.filter(|at| *at > now.boot).min();
        let held = token.held.as_ref();
        let due = held.and_then(|held| match held.due {
            Due::At(at) => Some(at),
            Due::Never => None,
        });
        let expires = held.and_then(HeldToken::ends);
        let on_disk = self.ends_on_disk(id, token).filter(|at| *at > now.wall).min();
        let login = token.login_told_at();
        let wall = [due, expires, on_disk, login].into_iter().flatten().filter(|at| *at > now.wall).min();
        let (old_boot, old_wall) = (token.boot_timer.get(), token.wall_timer.get());
        if old_boot != boot {
            self.boot_timers.set(old_boot, boot, TimerOf::Token(id));
        }
        if old_wall != wall {
            self.wall_timers.set(old_wall, wall, id);
        }
        if let Some(token) = self.tokens.get_mut(id) {
            (token.boot_timer, token.wall_timer) = (boot.into(), wall.into());
        }
    }

    fn time_target(&mut self, id: TargetId, now: Now) {
        let Some(target) = self.targets.get(id) else { return };
        let (old, new) = (target.boot_timer.get(), self.target_timer(target, now));
        if old != new {
            self.boot_timers.set(old, new, TimerOf::Target(id));
            if let Some(target) = self.targets.get_mut(id) {
                target.boot_timer = new.into();
            }
        }
    }

    /// Forgets a token whose entry has been gone for long enough, once no file is about to lose it any more.
    fn let_go(&mut self, id: TokenId, now: Now, out: &mut Vec<Action>) {
        let Some(token) = self.tokens.get(id) else { return };
        let spending = token.rare.incoming.is_some() || (token.flight.is_some() && token.wire.single_use);
        if token.leaving.is_none_or(|until| until > now.boot) || spending {
            return;
        }
        let in_use = |target: &TargetId| {
            self.targets
                .get(*target)
                .is_some_and(|target| target.rare.leaving.iter().any(|leaving| leaving.token == id))
        };
        if token.targets.iter().any(in_use) || matches!(self.mode, RunMode::Once { removes: false, .. }) {
            return;
        }
        if let Some(token) = self.tokens.remove(id) {
            self.busy -= usize::from(token.flight.is_some());
            self.boot_timers.set(token.boot_timer.get(), None, TimerOf::Token(id));
            self.wall_timers.set(token.wall_timer.get(), None, id);
            self.count(token.view, TokenView::default());
            if token.rare.kept_streak.is_some() {
                out.push(Action::KeepStreak { name: self.name(id), streak: None });
            }
            if token.rare.login_told.is_some() {
                out.push(Action::KeepLoginTold { name: self.name(id), end: None });
            }
            out.push(Action::Forget { name: self.name(id) });
            self.desert(id, now, out);
        }
    }
}

/// A set of timers ordered by time; each of its keys stands in it once.
pub(super) trait Timers<At, Of> {
    fn set(&mut self, old: Option<At>, new: Option<At>, of: Of);
}

impl<At: Ord, Of: Ord + Clone> Timers<At, Of> for std::collections::BTreeSet<(At, Of)> {
    fn set(&mut self, old: Option<At>, new: Option<At>, of: Of) {
        if let Some(at) = old {
            self.remove(&(at, of.clone()));
        }
        if let Some(at) = new {
            self.insert((at, of));
        }
    }
}
