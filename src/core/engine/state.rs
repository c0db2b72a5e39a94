//! Owns: what the engine remembers: tokens, targets, timers, askers, hooks. Times, names and fingerprints only.
//! Does not: change it; `step` and the files beside this one do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::doubt::Doubt;
use super::event::{HookKind, Issued, OpId, RequestId, Restored, RestoredTarget, Want};
use super::rare::Rare;
use super::record::{HeldToken, TokenRecord};
use super::slots::{Slots, TargetId, TokenId};
use super::target_record::{Leaving, TargetRarities, TargetRecord};
use super::wiring::KeptWire;
use crate::core::schedule::{self, Due, LoginEnd};
use crate::core::settings::{Schedule, TargetPath, TokenName};
use crate::core::time::{Boot, Now, Wall};

/// So many files or tokens of a plan are settled at a time: less than a millisecond of work.
const SOME: usize = 256;

/// What kind of run this is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunMode {
    /// `run`: until it is told to stop.
    Daemon,
    /// `once` and what works as it does: each due token is tried once, then the run is over.
    Once {
        /// Only these (and their parents); `None`: all.
        only: Option<BTreeSet<TokenName>>,
        /// What falls due within this counts as due.
        ahead: Duration,
        /// Whether what left the config is removed.
        removes: bool,
    },
}

/// Whose timer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum TimerOf {
    Token(TokenId),
    Target(TargetId),
}

/// Somebody who waits for an answer.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Waiter {
    pub id: RequestId,
    /// Whoever is meant by no name is named.
    pub want: Want,
    pub deadline: Boot,
    /// Tokens not yet served, each with the generation wanted.
    pub open: BTreeMap<TokenId, u64>,
    /// `Rotate`: those that are renewed.
    pub done: Vec<TokenId>,
    pub failed: Vec<(TokenName, Arc<str>)>,
}

/// A wish for what lacks something: the config is read again before it is judged.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Wish {
    pub waiter: Waiter,
    /// A reading that does not come back is not waited for any longer.
    pub read_by: Boot,
    /// The reading that is under way began after the wish.
    pub is_read: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Readiness {
    /// No plan yet.
    Unplanned,
    Waiting {
        until: Boot,
    },
    Told,
}

/// When the config is read again by itself.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Reread {
    pub at: Boot,
    pub tries: u32,
    pub under_way: bool,
}

/// What of the last plan is still to be settled, the next one last.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Later {
    pub tokens: Vec<TokenId>,
    pub targets: Vec<TargetId>,
    /// So many at a time.
    pub some: usize,
}

impl Default for Later {
    fn default() -> Self {
        Self { tokens: Vec::new(), targets: Vec::new(), some: SOME }
    }
}

/// The engine's whole memory. It is driven by [`step`](super::step) alone.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) seed: u64,
    pub(super) mode: RunMode,
    pub(super) planned: bool,
    pub(super) tokens: Slots<TokenId, TokenName, TokenRecord>,
    pub(super) targets: Slots<TargetId, TargetPath, TargetRecord>,
    pub(super) children: BTreeMap<TokenId, Vec<TokenId>>,
    pub(super) order: Vec<TokenId>,
    pub(super) boot_timers: BTreeSet<(Boot, TimerOf)>,
    pub(super) wall_timers: BTreeSet<(Wall, TokenId)>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) wishes: Vec<Wish>,
    pub(super) hooks_running: BTreeSet<TokenId>,
    pub(super) hooks_waiting: VecDeque<(TokenId, HookKind)>,
    pub(super) readiness: Readiness,
    pub(super) refused: Option<Arc<str>>,
    pub(super) reread: Option<Reread>,
    pub(super) stopping: bool,
    pub(super) failed_once: bool,
    /// When the clock was set last, in this run.
    pub(super) clock_set_at: Boot,
    /// The newest generation of all: they are never given twice, not even to a name that comes back.
    pub(super) last_generation: u64,
    pub(super) next_op: OpId,
    /// Flights, tokens being persisted and operations on files that are under way.
    pub(super) busy: usize,
    pub(super) changed: bool,
    /// How many tokens are valid, retrying, expired, pending.
    pub(super) counts: [usize; 4],
    pub(super) required_missing: usize,
    pub(super) dirty_tokens: BTreeSet<TokenId>,
    pub(super) dirty_targets: BTreeSet<TargetId>,
    pub(super) later: Later,
}

impl State {
    /// A state that begins with what an earlier run left. `seed` is drawn once at the edge and kept.
    pub fn new(mode: RunMode, seed: u64, tokens: Vec<Restored>, targets: Vec<RestoredTarget>, now: Now) -> Self {
        let mut state = Self {
            seed,
            mode,
            planned: false,
            tokens: Slots::new(),
            targets: Slots::new(),
            children: BTreeMap::new(),
            order: Vec::new(),
            boot_timers: BTreeSet::new(),
            wall_timers: BTreeSet::new(),
            waiters: Vec::new(),
            wishes: Vec::new(),
            hooks_running: BTreeSet::new(),
            hooks_waiting: VecDeque::new(),
            readiness: Readiness::Unplanned,
            refused: None,
            reread: None,
            stopping: false,
            failed_once: false,
            clock_set_at: Boot(0),
            last_generation: 0,
            next_op: 0,
            busy: 0,
            changed: false,
            counts: [0; 4],
            required_missing: 0,
            dirty_tokens: BTreeSet::new(),
            dirty_targets: BTreeSet::new(),
            later: Later::default(),
        };
        let schedule = Arc::<Schedule>::default();
        for restored in tokens {
            state.restore(restored, schedule.clone(), now);
        }
        for restored in targets {
            // Those that the first plan names stay; the others have their time from then on.
            let leaving = restored.lines.into_iter().enumerate();
            let until = Boot(u64::MAX);
            let leaving = leaving.map(|(at, line)| Leaving { token: state.token_id(&line.token), line, until, at });
            let leaving = leaving.collect();
            let rare = Rare::set(TargetRarities { leaving, ..TargetRarities::default() });
            let target = || TargetRecord { rare, ours: true, ..TargetRecord::new() };
            state.targets.find_or_insert(&restored.path, target);
        }
        state
    }

    /// The settings of a restored token are not known before the first plan: it stands under ones that ask for nothing.
    fn restore(&mut self, restored: Restored, schedule: Arc<Schedule>, now: Now) {
        let wire = KeptWire::unknown(restored.name.clone(), restored.issued.fingerprint, schedule);
        let mut token = TokenRecord::new(wire);
        let generation = restored.issued.generation;
        token.last_generation = generation;
        self.last_generation = self.last_generation.max(generation);
        token.held = Some(HeldToken { issued: restored.issued, due: Due::Never, hold_until: now.boot, is_same: false });
        let login = restored.login_ends.map(|at| LoginEnd::first(at, restored.issued.life.obtained_at));
        if login.is_some() {
            token.rare.login = login;
        }
        (token.is_landing, token.owes_hook) = (restored.owes_hook, restored.owes_hook);
        token.doubt = restored.doubt.or(restored.unsettled.then_some(Doubt::Cut));
        if restored.unsettled {
            token.wanted = generation + 1;
            token.forced = true;
        }
        self.tokens.find_or_insert(&restored.name, || token);
    }

    /// When this token falls due, jitter drawn for this generation.
    pub(super) fn due(&self, name: &TokenName, schedule: &Schedule, issued: &Issued, login: Option<LoginEnd>) -> Due {
        schedule::due(schedule, issued.life, login, schedule::draw(self.seed, name, issued.generation, 0))
    }

    pub(super) fn next_op(&mut self) -> OpId {
        self.next_op += 1;
        self.next_op
    }

    pub(super) fn is_once(&self) -> bool {
        matches!(self.mode, RunMode::Once { .. })
    }

    pub(super) fn removes(&self) -> bool {
        !matches!(self.mode, RunMode::Once { removes: false, .. })
    }

    /// Whether this run is about that token at all.
    pub(super) fn is_selected(&self, token: &TokenRecord) -> bool {
        match &self.mode {
            RunMode::Once { only: Some(only), .. } => token.asked || only.contains(&token.wire.name),
            _ => true,
        }
    }

    pub(super) fn ahead(&self) -> Duration {
        match &self.mode {
            RunMode::Once { ahead, .. } => *ahead,
            RunMode::Daemon => Duration::ZERO,
        }
    }

    pub(super) fn touch(&mut self, id: TokenId) {
        self.dirty_tokens.insert(id);
    }

    pub(super) fn touch_target(&mut self, id: TargetId) {
        self.dirty_targets.insert(id);
    }

    pub(super) fn name(&self, id: TokenId) -> TokenName {
        self.tokens.name(id).clone()
    }

    pub(super) fn path(&self, id: TargetId) -> TargetPath {
        self.targets.name(id).clone()
    }

    pub(super) fn target_id(&self, path: &TargetPath) -> TargetId {
        self.targets.find(path).unwrap_or(TargetId::NONE)
    }

    pub(super) fn token_id(&self, name: &TokenName) -> TokenId {
        self.tokens.find(name).unwrap_or(TokenId::NONE)
    }
}
