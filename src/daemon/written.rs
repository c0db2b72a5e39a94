//! Owns: what renewd knows of a file that it wrote, or is about to write: its content by digest, whose lines are in it, and how
//! it stood.
//! Does not: look at a file, or write one.

use std::sync::Arc;

use smallvec::SmallVec;

use super::table::HasName;
use crate::core::engine::{FormerLine, LineAt};
use crate::core::settings::{Fingerprint, Format, LinePlan, TargetPath};
use crate::host::deliver::Stamp;
use crate::host::store::{KeptLine, KeptTarget};

/// So many contents a file are remembered while its writes fail: the one that stands there, and the newest tries.
const TRIED: usize = 8;

/// Why it is not known how a file stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unseen {
    /// Nobody has looked in this run.
    NotYet,
    /// There is no such file.
    Gone,
    /// The look failed.
    Failed,
}

impl Unseen {
    /// As `status --json` says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

/// What renewd wrote to a file, or was about to write. There is one a token: each has room for what most files have, and no more.
pub(super) struct WrittenFile {
    pub path: TargetPath,
    /// The first is the content that landed last; writes that did not come back well may have landed still.
    digests: SmallVec<[Fingerprint; 1]>,
    lines: SmallVec<[Arc<LinePlan>; 2]>,
    /// The same of an earlier run, until the file is written.
    kept: Box<[KeptLine]>,
    /// How the file stood when it was written, or looked at last, or why that is not known.
    pub stamp: Result<Stamp, Unseen>,
}

impl HasName for WrittenFile {
    type Name = TargetPath;

    fn name(&self) -> &TargetPath {
        &self.path
    }
}

impl WrittenFile {
    pub(super) fn new(path: TargetPath) -> Self {
        let (digests, lines) = (SmallVec::new(), SmallVec::new());
        Self { path, digests, lines, kept: Box::default(), stamp: Err(Unseen::NotYet) }
    }

    /// What the state tells of it.
    pub(super) fn kept(target: KeptTarget) -> Self {
        let (digests, kept) = (target.digests.into(), target.lines.into());
        Self { digests, kept, ..Self::new(target.path) }
    }

    /// It is going to hold this; the answer is what the state is to say first, where it does not say so already. Then
    /// whoever comes after a crash knows both the old and the new content for ours.
    pub(super) fn begin(&mut self, digest: Fingerprint, lines: &[LineAt]) -> Option<(Vec<Fingerprint>, Vec<KeptLine>)> {
        let is_known = self.digests.last() == Some(&digest);
        if !is_known {
            self.digests.push(digest);
            if self.digests.len() > TRIED {
                self.digests.remove(1);
            }
        }
        let mut old = std::mem::take(&mut self.kept).into_vec();
        old.extend(self.lines.iter().map(|line| kept_line(line)));
        self.lines = lines.iter().map(|at| at.line.clone()).collect();
        let mut kept: Vec<KeptLine> = self.lines.iter().map(|line| kept_line(line)).collect();
        let gone: Vec<KeptLine> = old.iter().filter(|line| !kept.contains(line)).cloned().collect();
        kept.extend(gone);
        let is_told = is_known && old == kept;
        (!is_told).then(|| (self.digests.to_vec(), kept))
    }

    /// The newest content stands in the file: the older ones do not any more.
    pub(super) fn landed(&mut self) {
        let older = self.digests.len().saturating_sub(1);
        self.digests.drain(..older);
        self.digests.shrink_to_fit();
    }

    pub(super) fn digests(&self) -> &[Fingerprint] {
        &self.digests
    }
}

fn kept_line(line: &LinePlan) -> KeptLine {
    let env = line.format.env_names().map(|(variable, expires)| (variable.clone(), expires.cloned()));
    KeptLine { token: line.token.clone(), env }
}

pub(super) fn former_line(kept: &KeptLine) -> FormerLine {
    let plan = kept.env.clone().map(|(variable, expires_variable)| {
        let format = Format::Env { variable, expires_variable };
        Arc::new(LinePlan { token: kept.token.clone(), format })
    });
    FormerLine { token: kept.token.clone(), plan }
}
