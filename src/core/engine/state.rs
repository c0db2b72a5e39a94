//! Owns: what the engine remembers: tokens, targets, timers, askers, hooks. Times, names and fingerprints only.
//! Does not: change it; `step` and the files beside this one do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::event::{HookKind, Issued, LineAt, OpId, Reason, RequestId, Restored, RestoredTarget, TokenWire};
use crate::core::schedule::{self, Due, Life};
use crate::core::settings::{FileSpec, Fingerprint, LinePlan, Schedule, TargetPath, TargetPlan, TokenName};
use crate::core::time::{Boot, Now, Wall};

/// What kind of run this is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `run`: until it is told to stop.
    Daemon,
    /// `once` and what works as it does: each due token is tried once, then `Exit`.
    Once {
        /// Only these (and their parents); `None`: all.
        only: Option<BTreeSet<TokenName>>,
        /// What falls due within this counts as due.
        ahead: Duration,
        /// Whether what left the config is removed.
        removes: bool,
    },
}

/// A token at hand.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Held {
    pub generation: u64,
    pub made_from: Fingerprint,
    pub issued: Issued,
    pub obtained_at: Wall,
    pub due: Due,
    /// `min_interval`: not obtained again on schedule before this.
    pub hold_until: Boot,
}

impl Held {
    pub fn life(&self) -> Life {
        Life { issued_at: self.issued.issued_at, expires_at: self.issued.expires_at, obtained_at: self.obtained_at }
    }

    pub fn is_expired(&self, now: Wall) -> bool {
        self.issued.expires_at.is_some_and(|end| end <= now)
    }

    /// `None`: it never expires.
    pub fn left(&self, now: Wall) -> Option<Duration> {
        self.issued.expires_at.map(|end| end.since(now))
    }

    pub fn has_left(&self, now: Wall, least: Duration) -> bool {
        !self.is_expired(now) && self.left(now).is_none_or(|left| left >= least)
    }
}

/// A run of failures.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Trouble {
    pub failures: u32,
    pub reason: Reason,
    pub message: Arc<str>,
    pub retry_at: Boot,
    /// Retry-After: nothing goes below it.
    pub not_before: Boot,
}

impl Trouble {
    /// A changed setting, a reload or somebody's wish tries again at once, but for Retry-After.
    pub fn hurry(&mut self, now: Boot) {
        self.retry_at = now.max(self.not_before);
    }
}

/// A spell in which a token fails somehow, from its first failure to its last.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Spell {
    pub since: Boot,
    /// `on_failure` was run for it.
    pub told: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Flight {
    pub generation: u64,
    pub made_from: Fingerprint,
}

/// A token that was obtained and waits to be persisted.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Incoming {
    pub held: Held,
    pub single_use: bool,
    /// Set after a failed try: when to try again.
    pub retry_at: Option<Boot>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub wire: Arc<TokenWire>,
    pub held: Option<Held>,
    pub incoming: Option<Box<Incoming>>,
    pub flight: Option<Box<Flight>>,
    /// The generation of the newest try.
    pub last_generation: u64,
    /// Somebody wants a generation of at least this.
    pub wanted: u64,
    /// ... and does not wait for min_interval.
    pub forced: bool,
    /// `Once`: tried already.
    pub tried: bool,
    /// A child needs it, though `Once` did not name it.
    pub asked: bool,
    /// A parent of it was obtained again because it was refused; a second refusal is its own failure.
    pub blamed: bool,
    pub trouble: Option<Box<Trouble>>,
    pub spell: Option<Spell>,
    /// Obtained in this run and not yet on disk everywhere: the hook comes then.
    pub owes_hook: bool,
    /// `after_rotate` stands in the queue already.
    pub hook_queued: bool,
    /// Its entry is gone; forgotten at this moment.
    pub leaving: Option<Boot>,
    pub targets: Vec<TargetPath>,
    pub view: View,
    pub boot_timer: Option<Boot>,
    pub wall_timer: Option<Wall>,
}

impl Token {
    pub fn new(wire: Arc<TokenWire>) -> Self {
        Self {
            wire,
            held: None,
            incoming: None,
            flight: None,
            last_generation: 0,
            wanted: 0,
            forced: false,
            tried: false,
            asked: false,
            blamed: false,
            trouble: None,
            spell: None,
            owes_hook: false,
            hook_queued: false,
            leaving: None,
            targets: Vec::new(),
            view: View::default(),
            boot_timer: None,
            wall_timer: None,
        }
    }

    pub fn generation(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.generation)
    }

    /// At hand, not expired, and made from the settings and credential of now.
    pub fn is_usable(&self, now: Wall) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_expired(now) && held.made_from == self.wire.made_from)
    }
}

/// `state` of `status --json`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum TokenState {
    Valid,
    Retrying,
    Expired,
    #[default]
    Pending,
}

impl TokenState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Retrying => "retrying",
            Self::Expired => "expired",
            Self::Pending => "pending",
        }
    }
}

/// What others see of a token; kept so that sums need no walk over all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct View {
    pub state: TokenState,
    /// All its outputs hold one that is valid, be it the old one.
    pub on_disk: bool,
    /// All its outputs hold the newest one.
    pub delivered: bool,
    /// When the first of them ends that readers find; `None`: none ever does.
    pub ends: Option<Wall>,
    pub counted: bool,
    pub required: bool,
}

/// What a file holds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Content {
    pub lines: Vec<LineAt>,
    pub spec: FileSpec,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Op {
    Write { id: OpId, since: Boot, content: Content },
    Remove { id: OpId, since: Boot },
}

impl Op {
    pub fn id(&self) -> OpId {
        match self {
            Self::Write { id, .. } | Self::Remove { id, .. } => *id,
        }
    }

    pub fn since(&self) -> Boot {
        match self {
            Self::Write { since, .. } | Self::Remove { since, .. } => *since,
        }
    }
}

/// A line whose entry is gone from the config.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Leaving {
    pub line: Arc<LinePlan>,
    pub until: Boot,
    /// Where it stood among the lines: there it stays until it goes.
    pub at: usize,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Target {
    pub lines: Vec<Arc<LinePlan>>,
    pub spec: FileSpec,
    pub lack: Option<Arc<str>>,
    pub leaving: Vec<Leaving>,
    /// What this run knows to be in the file.
    pub written: Option<Content>,
    /// An earlier run wrote it, or this one: it is ours to remove.
    pub ours: bool,
    /// A line of it is past its time: with no other to write, the file goes.
    pub stale: bool,
    /// The file must be looked at: somebody may have changed it.
    pub verify: bool,
    pub op: Option<Box<Op>>,
    pub trouble: Option<Box<Trouble>>,
    pub boot_timer: Option<Boot>,
}

impl Target {
    pub fn new() -> Self {
        Self {
            lines: Vec::new(),
            spec: FileSpec::default(),
            lack: None,
            leaving: Vec::new(),
            written: None,
            ours: false,
            stale: false,
            verify: true,
            op: None,
            trouble: None,
            boot_timer: None,
        }
    }

    pub fn set(&mut self, plan: &TargetPlan) {
        self.lines.clone_from(&plan.lines);
        self.spec = plan.spec;
        self.lack = plan.lack.as_ref().map(|lack| lack.message.clone());
    }

    pub fn names(&self, token: &TokenName) -> bool {
        self.lines.iter().any(|line| line.token == *token)
    }

    /// What the file is known to hold of a token.
    pub fn line_of(&self, token: &TokenName) -> Option<&LineAt> {
        self.written.as_ref()?.lines.iter().find(|at| at.line.token == *token)
    }

    /// Whether the file is known to hold this generation of a token.
    pub fn holds(&self, token: &TokenName, generation: u64) -> bool {
        self.line_of(token).is_some_and(|at| at.generation == generation)
    }

    /// Whether a reader finds a valid one there.
    pub fn holds_valid(&self, token: &TokenName, now: Wall) -> bool {
        self.line_of(token).is_some_and(|at| at.expires_at.is_none_or(|end| end > now))
    }
}

/// Whose timer it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum TimerOf {
    Token(TokenName),
    Target(TargetPath),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Asked {
    Rotate,
    Token(TokenName, Duration),
    Valid(BTreeSet<TokenName>, Duration),
}

/// Somebody who waits for an answer.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Waiter {
    pub id: RequestId,
    pub asked: Asked,
    pub deadline: Boot,
    /// Names not yet served, each with the generation wanted.
    pub open: BTreeMap<TokenName, u64>,
    pub failed: Vec<(TokenName, Arc<str>)>,
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

/// The engine's whole memory. It is driven by [`step`](super::step) alone.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    pub(super) seed: u64,
    pub(super) mode: Mode,
    pub(super) planned: bool,
    pub(super) tokens: BTreeMap<TokenName, Box<Token>>,
    pub(super) targets: BTreeMap<TargetPath, Box<Target>>,
    pub(super) children: BTreeMap<TokenName, Vec<TokenName>>,
    pub(super) order: Vec<TokenName>,
    pub(super) boot_timers: BTreeSet<(Boot, TimerOf)>,
    pub(super) wall_timers: BTreeSet<(Wall, TokenName)>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) hooks_running: BTreeSet<TokenName>,
    pub(super) hooks_waiting: VecDeque<(TokenName, HookKind)>,
    pub(super) readiness: Readiness,
    pub(super) refused: Option<Arc<str>>,
    pub(super) reread: Option<Reread>,
    pub(super) stopping: bool,
    pub(super) exited: bool,
    pub(super) failed_once: bool,
    /// The newest generation of all: they are never given twice, not even to a name that comes back.
    pub(super) last_generation: u64,
    pub(super) next_op: OpId,
    /// Flights, tokens being persisted and operations on files that are under way.
    pub(super) busy: usize,
    pub(super) told_wake: Option<Option<Boot>>,
    pub(super) changed: bool,
    /// How many tokens are valid, retrying, expired, pending.
    pub(super) counts: [usize; 4],
    pub(super) required_missing: usize,
    pub(super) dirty_tokens: BTreeSet<TokenName>,
    pub(super) dirty_targets: BTreeSet<TargetPath>,
}

impl State {
    /// A state that begins with what an earlier run left. `seed` is drawn once at the edge and kept.
    pub fn new(mode: Mode, seed: u64, tokens: Vec<Restored>, targets: Vec<RestoredTarget>, now: Now) -> Self {
        let mut state = Self {
            seed,
            mode,
            planned: false,
            tokens: BTreeMap::new(),
            targets: BTreeMap::new(),
            children: BTreeMap::new(),
            order: Vec::new(),
            boot_timers: BTreeSet::new(),
            wall_timers: BTreeSet::new(),
            waiters: Vec::new(),
            hooks_running: BTreeSet::new(),
            hooks_waiting: VecDeque::new(),
            readiness: Readiness::Unplanned,
            refused: None,
            reread: None,
            stopping: false,
            exited: false,
            failed_once: false,
            last_generation: 0,
            next_op: 0,
            busy: 0,
            told_wake: None,
            changed: false,
            counts: [0; 4],
            required_missing: 0,
            dirty_tokens: BTreeSet::new(),
            dirty_targets: BTreeSet::new(),
        };
        let schedule = Arc::<Schedule>::default();
        for restored in tokens {
            state.restore(restored, schedule.clone(), now);
        }
        for restored in targets {
            let target = Target { lines: restored.lines, ours: true, ..Target::new() };
            state.targets.insert(restored.path, Box::new(target));
        }
        state
    }

    /// The settings of a restored token are not known before the first plan: it stands under ones that ask for nothing.
    fn restore(&mut self, restored: Restored, schedule: Arc<Schedule>, now: Now) {
        let wire = TokenWire {
            name: restored.name.clone(),
            made_from: restored.made_from,
            schedule,
            required: false,
            parents: Vec::new(),
            single_use: false,
            after_rotate: false,
            on_failure: None,
            lack: None,
        };
        let mut token = Token::new(Arc::new(wire));
        token.last_generation = restored.generation;
        self.last_generation = self.last_generation.max(restored.generation);
        token.held = Some(Held {
            generation: restored.generation,
            made_from: restored.made_from,
            issued: restored.issued,
            obtained_at: restored.obtained_at,
            due: Due::Never,
            hold_until: now.boot,
        });
        self.tokens.insert(restored.name, Box::new(token));
    }

    /// When this token falls due, jitter drawn for this generation.
    pub(super) fn due(&self, wire: &TokenWire, life: Life, generation: u64) -> Due {
        schedule::due(&wire.schedule, life, schedule::draw(self.seed, &wire.name, generation, 0))
    }

    pub(super) fn next_op(&mut self) -> OpId {
        self.next_op += 1;
        self.next_op
    }

    pub(super) fn is_once(&self) -> bool {
        matches!(self.mode, Mode::Once { .. })
    }

    pub(super) fn removes(&self) -> bool {
        !matches!(self.mode, Mode::Once { removes: false, .. })
    }

    /// Whether this run is about that token at all.
    pub(super) fn is_selected(&self, name: &TokenName) -> bool {
        match &self.mode {
            Mode::Once { only: Some(only), .. } => {
                only.contains(name) || self.tokens.get(name).is_some_and(|token| token.asked)
            }
            _ => true,
        }
    }

    pub(super) fn ahead(&self) -> Duration {
        match &self.mode {
            Mode::Once { ahead, .. } => *ahead,
            Mode::Daemon => Duration::ZERO,
        }
    }

    pub(super) fn touch(&mut self, name: &TokenName) {
        self.dirty_tokens.insert(name.clone());
    }

    pub(super) fn touch_target(&mut self, path: &TargetPath) {
        self.dirty_targets.insert(path.clone());
    }
}
