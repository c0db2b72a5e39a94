//! Owns: in which order a plan is carried out: what it changes first, and then the rest, some at a time, so that neither that nor
//! what happens meanwhile waits until thousands of files are looked at.
//! Does not: settle anything.

use std::collections::BTreeSet;

use super::State;
use super::record::{TokenRecord, TokenView};
use super::slots::{TargetId, TokenId};
use super::state::Later;
use super::target_record::TargetRecord;

/// What a plan changes.
pub(super) struct Changed {
    tokens: BTreeSet<TokenId>,
    targets: BTreeSet<TargetId>,
}

impl State {
    /// Has a plan of more than so many files or tokens carried out that many at a time; for tests.
    pub fn settle_at_a_time(&mut self, number: usize) {
        self.later.some = number;
    }

    /// Whether something of the last plan is still to be settled.
    pub(super) fn is_settling(&self) -> bool {
        !self.later.tokens.is_empty() || !self.later.targets.is_empty()
    }

    /// Marks what the plan that has come changes: tokens that are to be obtained or leave, their files, and files that are new,
    /// hold something else, or are in trouble.
    pub(super) fn touch_changed(&mut self, now: super::Now) -> Changed {
        let is_changed = |token: &TokenRecord| token.leaving.is_some() || self.is_needed(token, now);
        let tokens: BTreeSet<TokenId> =
            self.tokens.iter().filter(|(_, token)| is_changed(token)).map(|(id, _)| id).collect();
        let theirs = tokens.iter().filter_map(|id| self.tokens.get(*id)).flat_map(|token| &token.targets);
        let mut targets: BTreeSet<TargetId> = theirs.copied().collect();
        for (id, target) in self.targets.iter_mut() {
            target.rare.tidy();
            if is_new(target) {
                targets.insert(id);
            }
        }
        self.dirty_tokens.extend(&tokens);
        self.dirty_targets.extend(&targets);
        Changed { tokens, targets }
    }

    /// Marks all the rest: at once where it is not much, else some at each wake-up.
    pub(super) fn touch_by_and_by(&mut self, changed: &Changed) {
        let targets = self.targets.iter().map(|(id, _)| id).filter(|id| !changed.targets.contains(id));
        self.later.targets = targets.collect();
        let tokens = self.tokens.iter().map(|(id, _)| id).filter(|id| !changed.tokens.contains(id));
        self.later.tokens = tokens.collect();
        self.later.targets.reverse();
        self.later.tokens.reverse();
        if self.is_once() || self.stopping || self.later.targets.len().max(self.later.tokens.len()) <= self.later.some {
            self.touch_rest();
        }
        self.count_later();
    }

    /// Who asks meanwhile is told of all: a token that is new is pending until it is settled.
    fn count_later(&mut self) {
        for at in 0..self.later.tokens.len() {
            let Some(token) = self.later.tokens.get(at).and_then(|id| self.tokens.get_mut(*id)) else { continue };
            let new = TokenView { counted: true, required: token.wire.required, ..token.view };
            let old = std::mem::replace(&mut token.view, new);
            if new != old {
                self.count(old, new);
            }
        }
    }

    /// Marks the next ones, files first.
    pub(super) fn touch_some(&mut self) {
        let Later { tokens, targets, some } = &mut self.later;
        if targets.is_empty() {
            let from = tokens.len().saturating_sub(*some);
            self.dirty_tokens.extend(tokens.drain(from..));
        } else {
            let from = targets.len().saturating_sub(*some);
            self.dirty_targets.extend(targets.drain(from..));
        }
        if !self.is_settling() {
            self.touch_rest();
        }
    }

    /// Marks all that is left, and gives its room back.
    pub(super) fn touch_rest(&mut self) {
        self.dirty_tokens.extend(std::mem::take(&mut self.later.tokens));
        self.dirty_targets.extend(std::mem::take(&mut self.later.targets));
    }

    /// Marks everything.
    pub(super) fn touch_all(&mut self) {
        self.touch_rest();
        self.dirty_tokens.extend(self.tokens.iter().map(|(id, _)| id));
        self.dirty_targets.extend(self.targets.iter().map(|(id, _)| id));
    }
}

/// Whether a file is to be written, or taken away, or something is the matter with it.
fn is_new(target: &mut TargetRecord) -> bool {
    let is_other = |written: &super::target_record::Content| {
        let lines = written.lines.iter().map(|at| (at.token, &at.line));
        written.spec != target.spec || !lines.eq(target.lines.iter().map(|line| (line.token, &line.plan)))
    };
    !target.ours
        || target.lines.is_empty()
        || target.written.as_ref().is_some_and(is_other)
        || target.rare.any().is_some()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use smallvec::SmallVec;

    use super::super::{Action, Event, Issued, Now, Restored, RestoredTarget, RunMode, TokenWire, Wiring, step};
    use super::*;
    use crate::core::schedule::Life;
    use crate::core::settings::{FileSpec, Fingerprint, Format, LinePlan, Schedule, TargetPath, TargetPlan, TokenName};
    use crate::core::time::{Boot, Wall};

    const NOW: Now = Now { wall: Wall::from_secs(1_700_000_000), boot: Boot(1_000) };

    fn name(i: usize) -> TokenName {
        TokenName::new(&format!("t{i}")).unwrap()
    }

    fn path(i: usize) -> TargetPath {
        PathBuf::from(format!("/out/{i}")).into()
    }

    /// Four tokens with a file each, of which `changed` has other settings.
    fn plan(changed: Option<usize>) -> Event {
        let wire = |i| TokenWire {
            name: name(i),
            fingerprint: Fingerprint([u8::from(changed == Some(i)); 16]),
            schedule: Schedule::default().into(),
            required: true,
            parents: Vec::new(),
            single_use: false,
            after_rotate: false,
            on_failure: None,
            lack: None,
        };
        let target = |i| {
            let lines = SmallVec::from([Arc::new(LinePlan { token: name(i), format: Format::Token })]);
            TargetPlan { shown: path(i), path: path(i), spec: FileSpec::default(), lines, lack: None }
        };
        let (tokens, targets) = ((0..4).map(wire).collect(), (0..4).map(target).map(Arc::new).collect());
        Event::Plan(Arc::new(Wiring { tokens, targets, ready_timeout: Duration::from_secs(60), lacks: false }))
    }

    fn restored() -> State {
        let expires_at = Some(NOW.wall.plus(Duration::from_secs(3_000)));
        let life = Life { issued_at: NOW.wall, expires_at, obtained_at: NOW.wall };
        let token = |i| {
            let issued = Issued {
                generation: i as u64 + 1,
                fingerprint: Fingerprint::default(),
                life,
                sha256: Fingerprint::default(),
            };
            Restored { name: name(i), issued, unsettled: false, doubt: None, owes_hook: false, login_ends: None }
        };
        let target =
            |i| RestoredTarget { path: path(i), lines: vec![super::super::FormerLine { token: name(i), plan: None }] };
        let mut state = State::new(RunMode::Daemon, 1, (0..4).map(token).collect(), (0..4).map(target).collect(), NOW);
        state.settle_at_a_time(1);
        state
    }

    /// What of it counts here: which token is obtained, which file is written, and READY.
    fn told(actions: &[Action]) -> Vec<String> {
        let told = |action: &Action| match action {
            Action::Obtain { name, .. } => Some(format!("obtain {name}")),
            Action::Deliver { path, .. } => Some(format!("deliver {}", path.display())),
            Action::Ready { .. } => Some("ready".into()),
            _ => None,
        };
        actions.iter().filter_map(told).collect()
    }

    fn wake(state: &mut State) -> Vec<Action> {
        assert_eq!(state.next_wake(NOW), Some(NOW.boot), "there is more to do");
        assert!(!state.is_at_rest());
        step(state, Event::Wake, NOW)
    }

    #[test]
    fn what_a_plan_changes_goes_first_and_the_rest_some_at_a_time() {
        let mut state = restored();
        assert_eq!(told(&step(&mut state, plan(Some(2)), NOW)), ["deliver /out/2", "obtain t2"]);
        assert_eq!(told(&wake(&mut state)), ["deliver /out/0"]);
        assert_eq!(told(&wake(&mut state)), ["deliver /out/1"]);
        // Another plan takes its place.
        assert_eq!(told(&step(&mut state, plan(None), NOW)), [] as [&str; 0]);
        assert_eq!(told(&wake(&mut state)), ["deliver /out/3"]);
    }

    #[test]
    fn ready_is_told_when_every_file_was_looked_at() {
        let mut state = restored();
        let mut actions = step(&mut state, plan(None), NOW);
        let mut is_ready = false;
        while state.is_settling() || actions.iter().any(|action| matches!(action, Action::Deliver { .. })) {
            let delivered: Vec<Event> = actions
                .drain(..)
                .filter_map(|action| match action {
                    Action::Deliver { path, op, .. } => Some(Event::Delivered { path, op, is_new: false }),
                    _ => None,
                })
                .collect();
            for event in delivered.into_iter().chain([Event::Wake]) {
                assert!(!is_ready, "it was told before {event:?}");
                actions.extend(step(&mut state, event, NOW));
                is_ready = actions.iter().any(|action| matches!(action, Action::Ready { .. }));
            }
        }
        assert!(is_ready && state.is_at_rest() && state.next_wake(NOW).is_none_or(|at| at > NOW.boot));
    }
}
