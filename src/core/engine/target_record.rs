//! Owns: what the engine remembers of one file.
//! Does not: change it, or know of the others; see `state` for the whole.

use std::sync::Arc;

use smallvec::SmallVec;

use super::event::{FormerLine, Found, LineAt, OpId};
use super::rare::{Rare, Unset};
use super::record::{Moment, Trouble};
use super::slots::TokenId;
use crate::core::settings::{FileSpec, LinePlan, TargetPlan};
use crate::core::time::{Boot, Wall};

/// Most files have one line.
pub(super) type Lines = SmallVec<[LineAt; 1]>;

/// What a file holds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Content {
    pub lines: Lines,
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
pub(super) struct FileLine {
    pub token: TokenId,
    pub plan: Arc<LinePlan>,
}

/// What most files have nothing of, most of the time.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct TargetRarities {
    pub lack: Option<Arc<str>>,
    pub leaving: Vec<Leaving>,
    pub op: Option<Box<Op>>,
    pub trouble: Option<Box<Trouble>>,
    pub meddling: Option<Box<Meddling>>,
}

impl Unset for TargetRarities {
    const UNSET: &'static Self = &Self { lack: None, leaving: Vec::new(), op: None, trouble: None, meddling: None };
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct TargetRecord {
    pub lines: SmallVec<[FileLine; 1]>,
    pub spec: FileSpec,
    /// What this run knows to be in the file.
    pub written: Option<Content>,
    /// An earlier run wrote it, or this one: it is ours to remove.
    pub ours: bool,
    /// A line of it is past its time: with no other to write, the file goes.
    pub stale: bool,
    /// The file must be looked at: somebody may have changed it.
    pub verify: bool,
    pub rare: Rare<TargetRarities>,
    pub boot_timer: Moment<Boot>,
}

impl TargetRecord {
    pub(super) fn new() -> Self {
        Self {
            lines: SmallVec::new(),
            spec: FileSpec::default(),
            written: None,
            ours: false,
            stale: false,
            verify: true,
            rare: Rare::unset(),
            boot_timer: None.into(),
        }
    }

    pub(super) fn set(&mut self, plan: &TargetPlan, lines: SmallVec<[FileLine; 1]>) {
        self.lines = lines;
        self.spec = plan.spec;
        let lack = plan.lack.as_ref().map(|lack| lack.message.clone());
        if self.rare.lack != lack {
            self.rare.lack = lack;
        }
    }

    /// When its write is tried again, where one failed.
    pub(super) fn next_try(&self, now: Boot) -> Option<Boot> {
        let trouble = self.rare.trouble.as_ref()?;
        match &self.rare.op {
            Some(_) => Some(now),
            None => (!self.waits_for_calm()).then_some(trouble.retry_at),
        }
    }

    /// Its trouble is a fight alone, and the file is as it shall be: whether the other one has given up is to be seen.
    pub(super) fn waits_for_calm(&self) -> bool {
        self.written.is_some() && !self.verify && self.rare.meddling.as_ref().is_some_and(|meddling| meddling.is_told)
    }

    /// Those that have a line in it, or had one.
    pub(super) fn tokens(&self) -> impl Iterator<Item = TokenId> {
        let leaving = self.rare.leaving.iter().map(|leaving| leaving.token);
        self.lines.iter().map(|line| line.token).chain(leaving)
    }

    /// Tokens that it is known to hold, or is about to.
    pub(super) fn spoken_of(&self) -> impl Iterator<Item = TokenId> {
        let under_way = self.rare.op.as_ref().and_then(|op| match &**op {
            Op::Write { content, .. } => Some(content),
            Op::Remove { .. } => None,
        });
        let lost = self.rare.meddling.as_ref().and_then(|meddling| meddling.lost.as_ref());
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
        self.rare.meddling.as_ref()?.lost.as_ref()?.lines.iter().find(|at| at.token == token)
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
