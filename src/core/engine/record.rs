//! Owns: what the engine remembers of one token and of one file.
//! Does not: change it, or know of the others; see `state` for the whole.

use std::sync::Arc;
use std::time::Duration;

use super::doubt::{Certainty, Doubt};
use super::event::{FailureStreak, FormerLine, Found, HookKind, Issued, LineAt, OpId, Reason};
use super::slots::{TargetId, TokenId};
use super::wiring::TokenWire;
use crate::core::schedule::Due;
use crate::core::settings::{FileSpec, LinePlan, TargetPlan};
use crate::core::time::{Boot, Now, Wall};

/// A token at hand.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct HeldToken {
    pub issued: Issued,
    pub due: Due,
    /// `min_interval`: not obtained again on schedule before this.
    pub hold_until: Boot,
    /// The issuer gave once more the one that was at hand before.
    pub is_same: bool,
}

impl HeldToken {
    pub(super) fn is_expired(&self, now: Wall) -> bool {
        self.ends().is_some_and(|end| end <= now)
    }

    /// `None`: never.
    pub(super) fn ends(&self) -> Option<Wall> {
        self.issued.life.expires_at
    }

    /// `None`: it never expires.
    pub(super) fn left(&self, now: Wall) -> Option<Duration> {
        self.ends().map(|end| end.since(now))
    }

    pub(super) fn has_left(&self, now: Wall, least: Duration) -> bool {
        !self.is_expired(now) && self.left(now).is_none_or(|left| left >= least)
    }
}

/// A run of failures.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Trouble {
    /// When the newest failure came.
    pub at: Boot,
    pub failures: u32,
    pub reason: Reason,
    pub message: Arc<str>,
    pub retry_at: Boot,
    /// Retry-After: nothing goes below it.
    pub not_before: Boot,
}

impl Trouble {
    /// A changed setting, a reload or somebody's wish tries again at once, but for Retry-After.
    pub(super) fn hurry(&mut self, now: Boot) {
        self.retry_at = now.max(self.not_before);
    }

    /// `--force`: tried at once, whatever a server said.
    pub(super) fn force(&mut self, now: Boot) {
        self.not_before = Boot(0);
        self.retry_at = now;
    }
}

/// A streak in which a token fails somehow, from its first failure to its last.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Streak {
    pub since: Boot,
    /// How long it had lasted when this run took it over from an earlier one.
    pub before: Duration,
    /// `on_failure` was run for it.
    pub told: bool,
    /// Tries that failed in it.
    pub tries: u32,
    /// What failed last in an earlier run, as long as this one does not know better.
    pub last: Option<(Reason, Arc<str>)>,
}

impl Streak {
    pub(super) fn new(since: Boot) -> Self {
        Self { since, before: Duration::ZERO, told: false, tries: 0, last: None }
    }

    /// When it has lasted for so long.
    pub(super) fn lasts(&self, long: Duration) -> Boot {
        self.since.plus(long.saturating_sub(self.before))
    }

    pub(super) fn began(&self, now: Now) -> Wall {
        now.wall_at(self.since).minus(self.before)
    }
}

/// The newest run of a hook.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct HookRun {
    pub kind: HookKind,
    pub started: Boot,
    pub ended: Option<Boot>,
    pub error: Option<Arc<str>>,
}

/// An `on_failure` that could not be started.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Untold {
    pub kind: HookKind,
    pub failures: u32,
    pub retry_at: Boot,
}

/// What became of a token's hooks.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct HookRecord {
    pub last: Option<HookRun>,
    /// `after_rotate` failed, and has not gone well since.
    pub trouble: Option<Trouble>,
    pub untold: Option<Untold>,
}

/// A token that was obtained and waits to be persisted.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Incoming {
    pub held: HeldToken,
    pub single_use: bool,
    /// Set after a failed try: when to try again.
    pub retry_at: Option<Boot>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct TokenRecord {
    pub wire: Arc<TokenWire>,
    pub held: Option<HeldToken>,
    pub incoming: Option<Box<Incoming>>,
    /// The generation that is under way.
    pub flight: Option<u64>,
    /// The generation of the newest try.
    pub last_generation: u64,
    /// When that try began, in this run.
    pub asked_at: Option<Boot>,
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
    /// Why the issuer may have ended the token at hand; until another one takes its place.
    pub doubt: Option<Doubt>,
    pub streak: Option<Box<Streak>>,
    /// What the state has of it.
    pub kept_streak: Option<Box<FailureStreak>>,
    /// Obtained in this run and not yet on disk everywhere: that it is renewed is told then.
    pub is_landing: bool,
    /// No hook was told of these bytes yet.
    pub owes_hook: bool,
    /// `after_rotate` stands in the queue already.
    pub hook_queued: bool,
    /// `None`: none has run.
    pub hooks: Option<Box<HookRecord>>,
    /// Its entry is gone; forgotten at this moment.
    pub leaving: Option<Boot>,
    /// In order of their paths.
    pub targets: Vec<TargetId>,
    /// In order of the config.
    pub parents: Vec<TokenId>,
    pub view: TokenView,
    pub boot_timer: Option<Boot>,
    pub wall_timer: Option<Wall>,
}

impl TokenRecord {
    pub(super) fn new(wire: Arc<TokenWire>) -> Self {
        Self {
            wire,
            held: None,
            incoming: None,
            flight: None,
            last_generation: 0,
            asked_at: None,
            wanted: 0,
            forced: false,
            tried: false,
            asked: false,
            blamed: false,
            trouble: None,
            doubt: None,
            streak: None,
            kept_streak: None,
            is_landing: false,
            owes_hook: false,
            hook_queued: false,
            hooks: None,
            leaving: None,
            targets: Vec::new(),
            parents: Vec::new(),
            view: TokenView::default(),
            boot_timer: None,
            wall_timer: None,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.issued.generation)
    }

    /// When one of its hooks that could not be started is tried again.
    pub(super) fn next_hook(&self) -> Option<Boot> {
        let hooks = self.hooks.as_ref()?;
        let trouble = hooks.trouble.as_ref().map(|trouble| trouble.retry_at);
        let untold = hooks.untold.as_ref().map(|untold| untold.retry_at);
        trouble.into_iter().chain(untold).filter(|at| *at < Boot(u64::MAX)).min()
    }

    /// At hand, not expired, and made from the settings and credential of now.
    pub(super) fn is_usable(&self, now: Wall) -> bool {
        self.held.as_ref().is_some_and(|held| !held.is_expired(now) && held.issued.fingerprint == self.wire.fingerprint)
    }

    /// The doubt about the token at hand, as long as it would be good by its time.
    pub(super) fn uncertain(&self, now: Wall) -> Option<Doubt> {
        self.doubt.filter(|_| self.held.as_ref().is_some_and(|held| !held.is_expired(now)))
    }

    pub(super) fn standing(&self, now: Wall) -> Certainty {
        match &self.held {
            Some(held) if !held.is_expired(now) && self.doubt.is_some() => Certainty::Doubtful { until: held.ends() },
            Some(held) if !held.is_expired(now) => Certainty::Valid,
            _ => Certainty::Gone,
        }
    }

    /// Usable for another token: no newer one is wanted in its place.
    pub(super) fn is_at_hand(&self, now: Wall) -> bool {
        self.is_usable(now) && self.wanted <= self.generation()
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
pub(super) struct TokenView {
    pub state: TokenState,
    /// All its outputs hold one that is valid, be it the old one.
    pub on_disk: bool,
    /// Somebody else took away what was delivered, and no output of it holds a valid one now.
    pub is_lost: bool,
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
    pub(super) fn id(&self) -> OpId {
        match self {
            Self::Write { id, .. } | Self::Remove { id, .. } => *id,
        }
    }

    pub(super) fn since(&self) -> Boot {
        match self {
            Self::Write { since, .. } | Self::Remove { since, .. } => *since,
        }
    }
}

/// A line whose entry is gone from the config.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Leaving {
    pub token: TokenId,
    pub line: FormerLine,
    pub until: Boot,
    /// Where it stood among the lines: there it stays until it goes.
    pub at: usize,
}

/// Somebody else's hand in a file.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Meddling {
    /// How it was found last, until it is written again.
    pub found: Option<Found>,
    /// What stood there before.
    pub lost: Option<Content>,
    /// How often it was written in answer, in a row: from when, and when last.
    pub times: u32,
    pub since: Boot,
    pub wrote: Boot,
    /// The file's trouble is the fight itself.
    pub is_told: bool,
}

/// A line of the config.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    pub token: TokenId,
    pub plan: Arc<LinePlan>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct TargetRecord {
    pub lines: Vec<Line>,
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
    pub meddling: Option<Box<Meddling>>,
    pub boot_timer: Option<Boot>,
}

impl TargetRecord {
    pub(super) fn new() -> Self {
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
            meddling: None,
            boot_timer: None,
        }
    }

    pub(super) fn set(&mut self, plan: &TargetPlan, lines: Vec<Line>) {
        self.lines = lines;
        self.spec = plan.spec;
        self.lack = plan.lack.as_ref().map(|lack| lack.message.clone());
    }

    /// When its write is tried again, where one failed.
    pub(super) fn next_try(&self, now: Boot) -> Option<Boot> {
        let trouble = self.trouble.as_ref()?;
        match &self.op {
            Some(_) => Some(now),
            None => (!self.waits_for_calm()).then_some(trouble.retry_at),
        }
    }

    /// Its trouble is a fight alone, and the file is as it shall be: whether the other one has given up is to be seen.
    pub(super) fn waits_for_calm(&self) -> bool {
        self.written.is_some() && !self.verify && self.meddling.as_ref().is_some_and(|meddling| meddling.is_told)
    }

    /// Those that have a line in it, or had one.
    pub(super) fn tokens(&self) -> impl Iterator<Item = TokenId> {
        let leaving = self.leaving.iter().map(|leaving| leaving.token);
        self.lines.iter().map(|line| line.token).chain(leaving)
    }

    /// Tokens that it is known to hold, or is about to.
    pub(super) fn spoken_of(&self) -> impl Iterator<Item = TokenId> {
        let under_way = self.op.as_ref().and_then(|op| match &**op {
            Op::Write { content, .. } => Some(content),
            Op::Remove { .. } => None,
        });
        let lost = self.meddling.as_ref().and_then(|meddling| meddling.lost.as_ref());
        let all = self.written.iter().chain(under_way).chain(lost);
        all.flat_map(|content| &content.lines).map(|at| at.token)
    }

    pub(super) fn names(&self, token: TokenId) -> bool {
        self.lines.iter().any(|line| line.token == token)
    }

    /// What the file is known to hold of a token.
    pub(super) fn line_of(&self, token: TokenId) -> Option<&LineAt> {
        self.written.as_ref()?.lines.iter().find(|at| at.token == token)
    }

    /// What somebody else took away of a token, and is not written again yet.
    pub(super) fn lost_line_of(&self, token: TokenId) -> Option<&LineAt> {
        self.meddling.as_ref()?.lost.as_ref()?.lines.iter().find(|at| at.token == token)
    }

    /// Whether the file is known to hold this generation of a token.
    pub(super) fn holds(&self, token: TokenId, generation: u64) -> bool {
        self.line_of(token).is_some_and(|at| at.generation == generation)
    }

    /// Whether a reader finds a valid one there.
    pub(super) fn holds_valid(&self, token: TokenId, now: Wall) -> bool {
        self.line_of(token).is_some_and(|at| at.expires_at.is_none_or(|end| end > now))
    }
}
