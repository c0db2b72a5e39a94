//! Owns: what the engine remembers of one token and of one file.
//! Does not: change it, or know of the others; see `state` for the whole.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::doubt::{Certainty, Doubt};
use super::event::{FailureStreak, HookKind, Issued, Reason};
use super::rare::{Rare, Unset};
use super::slots::{TargetId, TokenId};
use super::wiring::KeptWire;
use crate::core::pause::Shortage;
use crate::core::schedule::{Due, LoginEnd};
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
    /// It was refused with less left than the wait after a refusal.
    pub shortage: Option<Shortage>,
}

impl Trouble {
    /// A changed setting, a reload or somebody's wish tries again at once, but for Retry-After.
    pub(super) fn hurry(&mut self, now: Boot) {
        self.retry_at = now.max(self.not_before);
    }

    /// The clock was set: what failed may have failed because it was wrong. A clock that is set again and again makes no storm.
    pub(super) fn clock_was_set(&mut self) {
        const APART: Duration = Duration::from_secs(10);
        if self.retry_at < Boot(u64::MAX) {
            self.retry_at = self.retry_at.min(self.at.plus(APART).max(self.not_before));
        }
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

/// What a moment is where there is none.
pub(super) trait Never: Copy + PartialEq {
    const NEVER: Self;
}

impl Never for Boot {
    const NEVER: Self = Self(u64::MAX);
}

impl Never for Wall {
    const NEVER: Self = Self(i64::MAX);
}

/// A moment, or none, in the room of a moment: the end of time stands for none. There is one of it a token, or more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment<At>(At);

impl<At: Never> Default for Moment<At> {
    fn default() -> Self {
        Self(At::NEVER)
    }
}

impl<At: Never> Moment<At> {
    pub(super) fn get(self) -> Option<At> {
        (self.0 != At::NEVER).then_some(self.0)
    }
}

impl<At: Never> From<Option<At>> for Moment<At> {
    fn from(at: Option<At>) -> Self {
        Self(at.unwrap_or(At::NEVER))
    }
}

/// A token that was obtained and waits to be persisted.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Incoming {
    pub held: HeldToken,
    pub login: Option<LoginEnd>,
    pub single_use: bool,
    /// Set after a failed try: when to try again.
    pub retry_at: Option<Boot>,
}

/// What most tokens have nothing of, most of the time.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct TokenRarities {
    /// Why this machine cannot obtain it now.
    pub lack: Option<Arc<str>>,
    /// In order of the config.
    pub parents: Vec<TokenId>,
    pub incoming: Option<Box<Incoming>>,
    pub trouble: Option<Box<Trouble>>,
    pub streak: Option<Box<Streak>>,
    /// What the state has of it.
    pub kept_streak: Option<Box<FailureStreak>>,
    /// `None`: none has run.
    pub hooks: Option<Box<HookRecord>>,
    /// The end of the refresh token behind the token at hand.
    pub login: Option<LoginEnd>,
    /// The end of its refresh token that was told.
    pub login_told: Option<Wall>,
}

impl Unset for TokenRarities {
    const UNSET: &'static Self = &Self {
        lack: None,
        parents: Vec::new(),
        incoming: None,
        trouble: None,
        streak: None,
        kept_streak: None,
        hooks: None,
        login: None,
        login_told: None,
    };
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct TokenRecord {
    pub wire: KeptWire,
    pub held: Option<HeldToken>,
    /// The generation that is under way.
    pub flight: Option<u64>,
    /// The generation of the newest try.
    pub last_generation: u64,
    /// When that try began, in this run.
    pub asked_at: Moment<Boot>,
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
    /// Why the issuer may have ended the token at hand; until another one takes its place.
    pub doubt: Option<Doubt>,
    /// Obtained in this run and not yet on disk everywhere: that it is renewed is told then.
    pub is_landing: bool,
    /// No hook was told of these bytes yet.
    pub owes_hook: bool,
    /// `after_rotate` stands in the queue already.
    pub hook_queued: bool,
    /// Its entry is gone; forgotten at this moment.
    pub leaving: Option<Boot>,
    /// In order of their paths.
    pub targets: SmallVec<[TargetId; 4]>,
    pub view: TokenView,
    pub rare: Rare<TokenRarities>,
    pub boot_timer: Moment<Boot>,
    pub wall_timer: Moment<Wall>,
}

impl TokenRecord {
    pub(super) fn new(wire: KeptWire) -> Self {
        Self {
            wire,
            held: None,
            flight: None,
            last_generation: 0,
            asked_at: None.into(),
            wanted: 0,
            forced: false,
            tried: false,
            asked: false,
            blamed: false,
            doubt: None,
            is_landing: false,
            owes_hook: false,
            hook_queued: false,
            leaving: None,
            targets: SmallVec::new(),
            view: TokenView::default(),
            rare: Rare::unset(),
            boot_timer: None.into(),
            wall_timer: None.into(),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| held.issued.generation)
    }

    /// When one of its hooks that could not be started is tried again.
    pub(super) fn next_hook(&self) -> Option<Boot> {
        let hooks = self.rare.hooks.as_ref()?;
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
    /// It is good, and on disk.
    Valid,
    /// It is good, and the last try for the next one failed.
    Retrying,
    /// It is over.
    Expired,
    /// There is none yet.
    #[default]
    Pending,
}

impl TokenState {
    /// The word of `status --json`.
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
    pub ends: Moment<Wall>,
    pub counted: bool,
    pub required: bool,
}
