//! Owns: the whole daemon, decided: `step(state, event, now) -> actions`. Obtaining, persisting, delivering, removing,
//! retrying, hooks, readiness and the askers' answers are decided here and nowhere else.
//! Does not: do anything. The world reports by `Event` and carries out `Action`.
//!
//! `step` marks what an event touched and then settles each marked token and target: settling looks at what is, not
//! at what happened, so that an event that comes late, twice or never leaves nothing half decided.

mod doubt;
mod event;
mod exchange;
mod found;
mod hooks;
mod kept;
mod later;
mod login;
mod plan;
mod precedence;
mod rare;
mod record;
mod settle;
mod slots;
mod state;
mod status;
mod target;
mod target_record;
mod token;
mod told;
mod waits;
mod wanted;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use doubt::Certainty;
pub use doubt::Doubt;
pub use event::*;
pub use precedence::{LastTry, Precedence};
pub use record::TokenState;
pub use slots::{TargetId, TokenId};
pub use state::{RunMode, State};
pub(crate) use status::{Counts, LastHook, TokenStatus};
pub use wiring::{TokenWire, Wiring};

use super::time::{Boot, Now};
use state::{Readiness, TimerOf};

/// How long the entry of a token or output must be gone before its file is removed.
const GRACE: Duration = Duration::from_secs(2);

/// A config that was refused because of the machine is read again after this.
const REREAD: Duration = Duration::from_secs(60);

/// Takes one event into the state and says what shall be done. Pure: the same inputs give the same answer.
pub fn step(state: &mut State, event: Event, now: Now) -> Vec<Action> {
    let mut out = Vec::new();
    match event {
        Event::Plan(wiring) => state.apply(&wiring, now, &mut out),
        Event::PlanRefused { message, lack } => state.refuse(message, lack, now, &mut out),
        Event::Obtained { name, issued, login_ends } => match state.tokens.find(&name) {
            Some(id) => state.obtained(id, issued, login_ends, now, &mut out),
            None => out.push(Action::Discard { name, generation: issued.generation }),
        },
        Event::ObtainFailed { name, generation, reason, message, retry_after, doubt } => {
            let id = state.token_id(&name);
            state.obtain_failed(id, generation, reason, &message, retry_after, doubt, now, &mut out);
        }
        Event::AnswerLost { name, generation } => state.answer_lost(state.token_id(&name), generation),
        Event::ParentRejected { name, generation, parent, parent_generation, message } => {
            let (id, parent) = (state.token_id(&name), state.token_id(&parent));
            state.parent_rejected(id, generation, parent, parent_generation, &message, now, &mut out);
        }
        Event::Persisted { name, generation } => state.persisted(state.token_id(&name), generation, &mut out),
        Event::PersistFailed { name, generation, message } => {
            state.persist_failed(state.token_id(&name), generation, &message, now, &mut out);
        }
        Event::Delivered { path, op, is_new } => {
            state.delivered(state.target_id(&path), op, is_new, now, &mut out);
        }
        Event::Found { path, found } => state.found(state.target_id(&path), found, now, &mut out),
        Event::DeliverFailed { path, op, message } => {
            state.deliver_failed(state.target_id(&path), op, &message, now, &mut out);
        }
        Event::Removed { path, op, failed } => {
            state.removed(state.target_id(&path), op, failed, now, &mut out);
        }
        Event::HookDone { name, kind, end } => {
            // Its entry may be gone meanwhile.
            let id = state.tokens.known(&name).unwrap_or(TokenId::NONE);
            state.hook_done(id, kind, end, now, &mut out);
        }
        Event::Wake => state.touch_some(),
        Event::ClockChanged => state.clock_changed(now),
        Event::Wanted { id, want, timeout } => state.wanted(id, want, timeout, now, &mut out),
        Event::Unwanted { id } => state.unwanted(id),
        Event::Shutdown => state.shut_down(&mut out),
    }
    state.ring(now);
    state.settle(now, &mut out);
    state.answer_overdue(now, &mut out);
    state.start_hooks(now, &mut out);
    state.tell_ready(now, &mut out);
    state.reread_when_due(now, &mut out);
    // Not in the midst of a plan: nobody would read all that is passed through.
    if !state.is_settling() && std::mem::take(&mut state.changed) {
        out.push(Action::Status);
    }
    out
}

impl State {
    /// Marks everything whose time has come.
    fn ring(&mut self, now: Now) {
        while self.boot_timers.first().is_some_and(|(at, _)| *at <= now.boot) {
            let Some((_, of)) = self.boot_timers.pop_first() else { break };
            match of {
                TimerOf::Token(id) => {
                    if let Some(token) = self.tokens.get_mut(id) {
                        token.boot_timer = None.into();
                    }
                    self.dirty_tokens.insert(id);
                }
                TimerOf::Target(id) => {
                    if let Some(target) = self.targets.get_mut(id) {
                        target.boot_timer = None.into();
                    }
                    self.dirty_targets.insert(id);
                }
            }
        }
        while self.wall_timers.first().is_some_and(|(at, _)| *at <= now.wall) {
            let Some((_, id)) = self.wall_timers.pop_first() else { break };
            if let Some(token) = self.tokens.get_mut(id) {
                token.wall_timer = None.into();
            }
            self.dirty_tokens.insert(id);
        }
    }

    fn shut_down(&mut self, out: &mut Vec<Action>) {
        self.stopping = true;
        self.touch_rest();
        self.hooks_waiting.clear();
        // Only spent credentials are waited for: what else a source answers is thrown away.
        for token in self.tokens.values_mut().filter(|token| !token.wire.single_use) {
            self.busy -= usize::from(token.flight.take().is_some());
        }
        self.answer_all("renewd is stopping", out);
    }

    fn refuse(&mut self, message: Arc<str>, lack: bool, now: Now, out: &mut Vec<Action>) {
        self.refused = Some(message);
        self.changed = true;
        let tries = self.reread.take().map_or(0, |reread| reread.tries);
        if lack || tries > 0 {
            self.reread = Some(state::Reread { at: now.boot.plus(REREAD), tries: tries + 1, under_way: false });
        }
        self.grant_wishes(now, out);
    }

    fn tell_ready(&mut self, now: Now, out: &mut Vec<Action>) {
        let Readiness::Waiting { until } = self.readiness else { return };
        let is_missing = self.required_missing > 0 || self.is_settling();
        if self.is_once() || self.stopping || (is_missing && now.boot < until) {
            return;
        }
        self.readiness = Readiness::Told;
        out.push(Action::Ready { missing: self.missing() });
    }

    fn reread_when_due(&mut self, now: Now, out: &mut Vec<Action>) {
        if self.is_once() || self.stopping {
            return;
        }
        if let Some(reread) = self.reread.as_mut().filter(|reread| !reread.under_way && reread.at <= now.boot) {
            reread.under_way = true;
            out.push(Action::Reread);
        }
    }

    /// The earliest moment at which anything changes by itself, on the boot-time clock: then, and at any step of the wall
    /// clock, an event is due.
    pub fn next_wake(&self, now: Now) -> Option<Boot> {
        let boot = self.boot_timers.first().map(|(at, _)| *at);
        let wall = self.wall_timers.first().map(|(at, _)| now.boot.plus(at.since(now.wall)));
        let stays = !self.is_once() && !self.stopping;
        let ready = match self.readiness {
            Readiness::Waiting { until } if stays => Some(until),
            _ => None,
        };
        let reread = self.reread.as_ref().filter(|reread| stays && !reread.under_way).map(|reread| reread.at);
        let asked = self.waiters.iter().map(|waiter| waiter.deadline).min();
        let wished = self.wishes.iter().map(|wish| wish.read_by).min();
        let later = self.is_settling().then_some(now.boot);
        [boot, wall, ready, reread, asked, wished, later].into_iter().flatten().min()
    }

    /// The run is over: nothing is under way that must be waited for. Who stops waits for writes and spent credentials alone.
    pub fn is_finished(&self, now: Now) -> bool {
        if self.stopping {
            return self.busy == 0;
        }
        self.is_once()
            && self.planned
            && self.busy == 0
            && self.hooks_running.is_empty()
            && self.hooks_waiting.is_empty()
            && self.waiters.is_empty()
            && !self.tokens.iter().any(|(id, token)| self.is_held_back_briefly(id, token, now))
    }

    /// Whether a token is due, and min_interval will soon allow it.
    fn is_held_back_briefly(&self, id: TokenId, token: &record::TokenRecord, now: Now) -> bool {
        self.obtain_timer(id, token, now).is_some_and(|at| at <= now.boot.plus(wanted::MIN_INTERVAL_WAIT))
    }
}
