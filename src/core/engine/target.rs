//! Owns: what a file shall hold, and the one operation at a time that makes it so. Fenced by path: an answer that bears
//! another number than the operation under way changes nothing.
//! Does not: render or write.

use std::sync::Arc;
use std::time::Duration;

use super::State;
use super::event::{Action, Found, LineAt, Note, OpId, Reason};
use super::record::Trouble;
use super::settle::Timers;
use super::slots::{TargetId, TokenId};
use super::state::TimerOf;
use super::target_record::{Content, Lines, Op, TargetRecord};
use crate::core::pause;
use crate::core::schedule;
use crate::core::settings::{LinePlan, Retry, Schedule};
use crate::core::time::{Boot, Now, Wall};

/// A write that has not come back after this is told as trouble; it is still waited for.
const SLOW: Duration = Duration::from_secs(10);

impl State {
    /// Starts what brings the file to what it shall hold, unless something is under way there.
    pub(super) fn settle_target(&mut self, id: TargetId, now: Now, out: &mut Vec<Action>) {
        let Some(target) = self.targets.get_mut(id) else { return };
        let rare = target.rare.any();
        let leaving = rare.map(|rare| rare.leaving.extract_if(.., |leaving| leaving.until <= now.boot));
        let gone: Vec<TokenId> = leaving.into_iter().flatten().map(|leaving| leaving.token).collect();
        target.stale |= !gone.is_empty();
        self.dirty_tokens.extend(gone);
        let Some(target) = self.targets.get(id) else { return };
        if let Some(op) = &target.rare.op {
            if op.since().plus(SLOW) <= now.boot && target.rare.trouble.is_none() {
                self.tell_slow(id, now);
            }
            return;
        }
        // In a fight that may be over, another content is no answer to the other one.
        let waits =
            target.rare.trouble.as_ref().is_some_and(|trouble| trouble.retry_at > now.boot) && !target.waits_for_calm();
        if waits || !self.planned || (self.stopping && !self.awaits_spent(target)) {
            return;
        }
        let Some(target) = self.targets.get(id) else { return };
        if target.lines.is_empty() && target.rare.leaving.is_empty() {
            self.take_away(id, now, out);
            return;
        }
        // With nothing of the config in it, the file is left as it is until it goes.
        if target.lines.is_empty() || target.rare.lack.is_some() || !self.is_about(target) {
            return;
        }
        let shall = self.shall_hold(target);
        if shall.is_empty() {
            if target.stale {
                self.take_away(id, now, out);
            }
            return;
        }
        let same = target.written.as_ref().is_some_and(|c| c.spec == target.spec && c.lines == shall);
        if same && !target.verify {
            if let Some(target) = self.targets.get_mut(id)
                && target.rare.meddling.is_some()
                && target.is_calm(now.boot)
            {
                self.touch_tokens_of(id);
            }
            return;
        }
        if target.written.is_none() && !target.stale && self.all_expired(&shall, now.wall) {
            return;
        }
        self.write(id, shall, now, out);
    }

    /// Whether a stop waited for what this file is to hold: a refresh token was spent for it, and the older one that stands
    /// there may be good no more.
    fn awaits_spent(&self, target: &TargetRecord) -> bool {
        let mut tokens = target.lines.iter().filter_map(|line| self.tokens.get(line.token));
        tokens.any(|token| token.is_landing && token.wire.single_use)
    }

    /// `once NAME` touches no file of others.
    fn is_about(&self, target: &TargetRecord) -> bool {
        self.removes()
            || target.lines.iter().any(|line| self.tokens.get(line.token).is_some_and(|token| self.is_selected(token)))
    }

    /// The lines of the tokens at hand, in order of the config, and those that are about to leave where they stood. A
    /// file of one token keeps the one that leaves only until the other is there.
    fn shall_hold(&self, target: &TargetRecord) -> Lines {
        let at_hand = |token: TokenId, line: &Arc<LinePlan>| {
            let held = self.tokens.get(token)?.held.as_ref()?;
            Some(LineAt { token, line: line.clone(), generation: held.issued.generation, expires_at: held.ends() })
        };
        let mut shall: Lines = target.lines.iter().filter_map(|line| at_hand(line.token, &line.plan)).collect();
        if target.lines.iter().all(|line| line.plan.format.kind().is_shared()) {
            for leaving in &target.rare.leaving {
                let line = leaving.line.plan.as_ref().filter(|line| line.format.kind().is_shared());
                if let Some(at) = line.and_then(|line| at_hand(leaving.token, line)) {
                    shall.insert(leaving.at.min(shall.len()), at);
                }
            }
        }
        if shall.is_empty() && self.removes() {
            shall.extend(
                target
                    .rare
                    .leaving
                    .iter()
                    .rev()
                    .find_map(|leaving| at_hand(leaving.token, leaving.line.plan.as_ref()?)),
            );
        }
        shall
    }

    /// Tokens that died in an earlier run are no reason to write a file.
    fn all_expired(&self, lines: &[LineAt], now: Wall) -> bool {
        lines
            .iter()
            .all(|at| self.tokens.get(at.token).and_then(|t| t.held.as_ref()).is_none_or(|held| held.is_expired(now)))
    }

    fn write(&mut self, id: TargetId, lines: Lines, now: Now, out: &mut Vec<Action>) {
        let op = self.next_op();
        let Some(target) = self.targets.get_mut(id) else { return };
        let verify = std::mem::take(&mut target.verify);
        let spec = target.spec;
        target.ours = true;
        target.rare.op =
            Some(Box::new(Op::Write { id: op, since: now.boot, content: Content { lines: lines.clone(), spec } }));
        self.busy += 1;
        out.push(Action::Deliver { path: self.path(id), op, spec, lines: lines.into_vec(), verify });
    }

    /// Nothing of the config stands in this file any more: what renewd wrote there goes.
    fn take_away(&mut self, id: TargetId, now: Now, out: &mut Vec<Action>) {
        let Some(target) = self.targets.get(id) else { return };
        let unnamed = target.lines.is_empty();
        if !target.ours {
            if unnamed {
                self.drop_target(id);
            }
            return;
        }
        if !self.removes() {
            return;
        }
        let op = self.next_op();
        if let Some(target) = self.targets.get_mut(id) {
            target.rare.op = Some(Box::new(Op::Remove { id: op, since: now.boot }));
            self.busy += 1;
            out.push(Action::Remove { path: self.path(id), op });
        }
    }

    fn drop_target(&mut self, id: TargetId) {
        if let Some(target) = self.targets.remove(id) {
            self.boot_timers.set(target.boot_timer.get(), None, TimerOf::Target(id));
        }
    }

    /// Ends the operation of this number; `None` where another one is under way.
    fn end_op(&mut self, id: TargetId, op: OpId) -> Option<Op> {
        let target = self.targets.get_mut(id)?;
        let ended = target.rare.any()?.op.take_if(|under_way| under_way.id() == op)?;
        self.busy -= 1;
        self.touch_target(id);
        self.touch_tokens_of(id);
        Some(*ended)
    }

    pub(super) fn touch_tokens_of(&mut self, id: TargetId) {
        let Some(target) = self.targets.get(id) else { return };
        self.dirty_tokens.extend(target.lines.iter().map(|line| line.token));
        self.dirty_tokens.extend(target.rare.leaving.iter().map(|leaving| leaving.token));
    }

    pub(super) fn count_tries(&mut self, id: TargetId, now: Now) {
        let Some(target) = self.targets.get(id) else { return };
        let tokens: Vec<TokenId> = target.lines.iter().map(|line| line.token).collect();
        tokens.into_iter().for_each(|token| self.count_try(token, now));
    }

    pub(super) fn delivered(&mut self, id: TargetId, op: OpId, is_new: bool, now: Now, out: &mut Vec<Action>) {
        let Some(Op::Write { content, .. }) = self.end_op(id, op) else { return };
        if let Some(target) = self.targets.get_mut(id) {
            // A line may have lapsed while the write was under way.
            let lapsed = |at: &LineAt| {
                !target.names(at.token) && target.rare.leaving.iter().all(|leaving| leaving.token != at.token)
            };
            target.stale = content.lines.iter().any(lapsed);
            // A look that the engine asked for itself, at a reload, may find it first.
            let was_touched = is_new && target.written.as_ref() == Some(&content);
            target.written = Some(content);
            let found = target.mended(is_new, now.boot);
            if let Some(found) = found.or(was_touched.then_some(Found::Unseen)) {
                out.push(Action::Note(Note::Restored { path: self.path(id), found }));
            }
        }
    }

    pub(super) fn deliver_failed(
        &mut self,
        id: TargetId,
        op: OpId,
        message: &Arc<str>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if self.end_op(id, op).is_none() {
            return;
        }
        let trouble = self.target_trouble(id, message, now);
        out.push(Action::Note(Note::DeliverFailed {
            path: self.path(id),
            message: message.clone(),
            failures: trouble.failures,
            retry_in: trouble.retry_at.since(now.boot),
        }));
        self.failed_once = true;
        self.count_tries(id, now);
        let Some(target) = self.targets.get_mut(id) else { return };
        target.rare.trouble = Some(Box::new(trouble));
        if let Some(meddling) = target.rare.any().and_then(|rare| rare.meddling.as_mut()) {
            meddling.is_told = false;
        }
        // Its last step may have failed after the rename.
        target.verify = true;
    }

    pub(super) fn removed(
        &mut self,
        id: TargetId,
        op: OpId,
        failed: Option<Arc<str>>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if self.end_op(id, op).is_none() {
            return;
        }
        if let Some(message) = failed {
            let trouble = self.target_trouble(id, &message, now);
            self.failed_once = true;
            if let Some(target) = self.targets.get_mut(id) {
                target.rare.trouble = Some(Box::new(trouble));
                out.push(Action::Note(Note::RemovalFailed { path: self.path(id), message }));
            }
            return;
        }
        let Some(target) = self.targets.get_mut(id) else { return };
        target.written = None;
        target.ours = false;
        target.stale = false;
        if let Some(rare) = target.rare.any() {
            rare.trouble = None;
        }
        target.verify = true;
    }

    fn tell_slow(&mut self, id: TargetId, now: Now) {
        let message: Arc<str> = format!(
            "the write to {} has not come back for {} s; still waiting for it",
            self.path(id).display(),
            SLOW.as_secs()
        )
        .into();
        let trouble = self.target_trouble(id, &message, now);
        if let Some(target) = self.targets.get_mut(id) {
            target.rare.trouble = Some(Box::new(trouble));
        }
        self.touch_tokens_of(id);
    }

    /// The next trouble of a target: retried as its first token's failures are, more often when a token there runs out.
    fn target_trouble(&self, id: TargetId, message: &Arc<str>, now: Now) -> Trouble {
        let target = self.targets.get(id);
        let failures = target.and_then(|t| t.rare.trouble.as_ref()).map_or(0, |t| t.failures).saturating_add(1);
        let tokens = || target.into_iter().flat_map(|t| &t.lines).filter_map(|line| self.tokens.get(line.token));
        let retry: Retry = tokens().next().map_or(Schedule::default().retry, |t| t.wire.schedule.retry);
        let left = tokens().filter_map(|t| t.held.as_ref()?.left(now.wall)).min();
        let drawn = tokens()
            .next()
            .map_or(0.5, |t| schedule::draw(self.seed, &t.wire.name, t.generation(), failures.saturating_add(1 << 20)));
        let wait = pause::backoff(&retry, failures, left, drawn);
        let retry_at = if self.is_once() { Boot(u64::MAX) } else { now.boot.plus(wait) };
        let message = message.clone();
        Trouble {
            at: now.boot,
            failures,
            reason: Reason::Delivery,
            message,
            retry_at,
            not_before: Boot(0),
            shortage: None,
        }
    }

    /// When the target must be looked at again by itself.
    pub(super) fn target_timer(&self, target: &TargetRecord, now: Now) -> Option<Boot> {
        let slow = target.rare.op.as_ref().filter(|_| target.rare.trouble.is_none()).map(|op| op.since().plus(SLOW));
        let retry = target.rare.trouble.as_ref().filter(|_| target.rare.op.is_none()).map(|trouble| trouble.retry_at);
        let leaves = target.rare.leaving.iter().map(|leaving| leaving.until).min();
        let all = [slow, retry, leaves].into_iter().flatten();
        all.filter(|at| *at > now.boot && *at < Boot(u64::MAX)).min()
    }
}
