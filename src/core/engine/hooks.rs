//! Owns: when a hook runs: one at a time for a token, eight at a time in all, and a rotation meanwhile once more; and what
//! its failure means: a trouble of its token, tried again only where it could not be started.
//! Does not: run it.

use std::sync::Arc;

use super::State;
use super::event::{Action, HookEnd, HookKind, Note, Reason};
use super::record::{HeldToken, HookRun, TokenRecord, Trouble, Untold};
use super::slots::TokenId;
use super::target_record::TargetRecord;
use crate::core::pause;
use crate::core::schedule;
use crate::core::time::{Boot, Now, Wall};

const AT_ONCE: usize = 8;

/// Sets the draws for hooks apart from those for tries and files.
const HOOKS: u32 = 1 << 21;

impl State {
    pub(super) fn queue_hook(&mut self, id: TokenId, kind: HookKind) {
        let Some(token) = self.tokens.get_mut(id).filter(|_| !self.stopping) else { return };
        let twice = kind == HookKind::AfterRotate && std::mem::replace(&mut token.hook_queued, true);
        if !twice {
            self.hooks_waiting.push_back((id, kind));
        }
    }

    pub(super) fn start_hooks(&mut self, now: Now, out: &mut Vec<Action>) {
        while self.hooks_running.len() < AT_ONCE && !self.stopping {
            let is_idle = |(id, _): &(TokenId, HookKind)| !self.hooks_running.contains(id);
            let Some(at) = self.hooks_waiting.iter().position(is_idle) else { return };
            let Some((id, kind)) = self.hooks_waiting.remove(at) else { return };
            let expires_at = self.tokens.get(id).and_then(|token| self.told_end(id, token));
            let Some(token) = self.tokens.get_mut(id) else { continue };
            token.hook_queued &= kind != HookKind::AfterRotate;
            let hooks = token.rare.hooks.get_or_insert_default();
            hooks.last = Some(HookRun { kind, started: now.boot, ended: None, error: None });
            // This run is the next try.
            if kind == HookKind::AfterRotate {
                hooks.trouble.iter_mut().for_each(|trouble| trouble.retry_at = Boot(u64::MAX));
            } else {
                hooks.untold.iter_mut().for_each(|untold| untold.retry_at = Boot(u64::MAX));
            }
            self.hooks_running.insert(id);
            out.push(Action::Hook { name: self.name(id), kind, expires_at });
        }
    }

    /// The end that a hook is told: of what stands in the token's files, as far as is known, the first to end. A newer one
    /// may be at hand that no file holds yet.
    fn told_end(&self, id: TokenId, token: &TokenRecord) -> Option<Wall> {
        let stands =
            |target: &TargetRecord| target.line_of(id).or_else(|| target.lost_line_of(id)).map(|at| at.expires_at);
        let ends: Vec<Option<Wall>> = self.targets_of(id, token).filter_map(stands).collect();
        if ends.is_empty() {
            return token.held.as_ref().and_then(HeldToken::ends);
        }
        ends.into_iter().flatten().min()
    }

    pub(super) fn hook_done(&mut self, id: TokenId, kind: HookKind, end: HookEnd, now: Now, out: &mut Vec<Action>) {
        if !self.hooks_running.remove(&id) {
            return;
        }
        // A service that was not started yet needs no signal, and its file is missing at each rotation until then.
        let may_be_known = matches!(end, HookEnd::NoPidFile(_)) && kind == HookKind::AfterRotate;
        let (message, is_tried_again) = match end {
            HookEnd::Done => (None, false),
            HookEnd::Failed(message) | HookEnd::NoPidFile(message) => (Some(message), false),
            HookEnd::NotStarted(message) => (Some(message), !self.is_once()),
            HookEnd::Dropped => {
                let hooks =
                    self.tokens.get_mut(id).and_then(|token| token.rare.any().and_then(|rare| rare.hooks.as_mut()));
                hooks.into_iter().for_each(|hooks| hooks.last = None);
                return;
            }
        };
        let failures = message.as_ref().map_or(0, |_| self.hook_failures(id, kind) + 1);
        let retry_at = if is_tried_again { self.retry_hook(id, failures, now) } else { Boot(u64::MAX) };
        self.changed = true;
        self.touch(id);
        let Some(hooks) =
            self.tokens.get_mut(id).and_then(|token| token.rare.any().and_then(|rare| rare.hooks.as_mut()))
        else {
            return;
        };
        if let Some(last) = hooks.last.as_mut() {
            (last.ended, last.error) = (Some(now.boot), message.clone());
        }
        let Some(message) = message else {
            if kind == HookKind::AfterRotate {
                hooks.trouble = None;
            } else {
                hooks.untold = None;
            }
            out.push(Action::Note(Note::HookDone { name: self.name(id), kind }));
            return;
        };
        let mut is_known = false;
        if kind == HookKind::AfterRotate {
            let message = told(&message, is_tried_again);
            is_known = may_be_known && hooks.trouble.as_ref().is_some_and(|trouble| trouble.message == message);
            let (at, reason, not_before) = (now.boot, Reason::Hook, Boot(0));
            hooks.trouble = Some(Trouble { at, failures, reason, message, retry_at, not_before, shortage: None });
            self.failed_once = true;
            self.count_try(id, now);
        } else {
            hooks.untold = is_tried_again.then_some(Untold { kind, failures, retry_at });
        }
        let retry_in = is_tried_again.then(|| retry_at.since(now.boot));
        out.push(Action::Note(Note::HookFailed { name: self.name(id), kind, message, retry_in, is_known }));
    }

    /// How often that hook has failed in a row.
    fn hook_failures(&self, id: TokenId, kind: HookKind) -> u32 {
        let hooks = self.tokens.get(id).and_then(|token| token.rare.hooks.as_ref());
        let failures = hooks.and_then(|hooks| match kind {
            HookKind::AfterRotate => hooks.trouble.as_ref().map(|trouble| trouble.failures),
            HookKind::Failing(_) | HookKind::Recovered => hooks.untold.as_ref().map(|untold| untold.failures),
        });
        failures.unwrap_or(0)
    }

    fn retry_hook(&self, id: TokenId, failures: u32, now: Now) -> Boot {
        let Some(token) = self.tokens.get(id) else { return Boot(u64::MAX) };
        let drawn = schedule::draw(self.seed, &token.wire.name, token.generation(), failures.saturating_add(HOOKS));
        now.boot.plus(pause::backoff(&token.wire.schedule.retry, failures, None, drawn))
    }

    /// Queues what could not be started, once its time has come.
    pub(super) fn settle_hooks(&mut self, id: TokenId, now: Now) {
        let Some(token) = self.tokens.get_mut(id) else { return };
        let (has_after_rotate, has_on_failure) = (token.wire.after_rotate, token.wire.on_failure.is_some());
        let Some(hooks) = token.rare.any().and_then(|rare| rare.hooks.as_mut()) else { return };
        if !has_after_rotate {
            // What is not in the config any more troubles nobody.
            hooks.trouble = None;
        }
        let trouble = hooks.trouble.as_mut().filter(|trouble| trouble.retry_at <= now.boot);
        let is_due = trouble.map(|trouble| trouble.retry_at = Boot(u64::MAX)).is_some();
        hooks.untold.take_if(|_| !has_on_failure);
        let untold = hooks.untold.as_mut().filter(|untold| untold.retry_at <= now.boot);
        let untold = untold.map(|untold| (untold.retry_at = Boot(u64::MAX), untold.kind));
        if is_due {
            self.queue_hook(id, HookKind::AfterRotate);
        }
        if let Some(((), kind)) = untold {
            self.queue_hook(id, kind);
        }
    }
}

fn told(message: &Arc<str>, is_tried_again: bool) -> Arc<str> {
    let next = if is_tried_again { "it is tried again" } else { "it runs again after the next rotation" };
    format!("{message}; {next}").into()
}
