//! Owns: what it means that a file is not as renewd left it: it is delivered again and said once; whoever writes it again
//! and again is told, and not written against without end.
//! Does not: look; the edge does, and reports what it found.

use std::sync::Arc;
use std::time::Duration;

use super::State;
use super::event::{Action, Found, Note, Reason};
use super::record::Trouble;
use super::slots::TargetId;
use super::target_record::{Meddling, TargetRecord};
use crate::core::time::{Boot, Now};

/// So soon after renewd wrote a file, a change by somebody else is an answer to it.
const FIGHT: Duration = Duration::from_secs(120);
/// So often a file is written again at once in a fight.
const ROUNDS: u32 = 3;
/// Then so long after it was found, twice as long each time, up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(300));

impl State {
    /// A look found the file otherwise than it was left. What is under way there overtakes it.
    pub(super) fn found(&mut self, id: TargetId, found: Found, now: Now, out: &mut Vec<Action>) {
        let is_settled = |target: &&mut TargetRecord| target.rare.op.is_none() && target.written.is_some();
        let Some(target) = self.targets.get_mut(id).filter(is_settled).filter(|_| !self.stopping) else { return };
        let lost = target.written.take();
        target.verify = true;
        let meddling = target.rare.meddling.get_or_insert_default();
        meddling.lost = lost;
        let times = meddling.found(found, now.boot);
        meddling.is_told = times >= ROUNDS && found != Found::Unseen;
        let is_told = meddling.is_told;
        let since = now.wall_at(meddling.since);
        self.touch_target(id);
        self.touch_tokens_of(id);
        if !is_told {
            return;
        }
        let doublings = (times - ROUNDS).min(8);
        let retry_in = PAUSE.0.saturating_mul(1 << doublings).min(PAUSE.1);
        let message: Arc<str> = format!(
            "{}: somebody else changes or removes it each time it is written, {times} times since {}; renewd writes it less \
             often now: find the other writer, or give renewd a path of its own",
            self.path(id).display(),
            since.rfc3339(),
        )
        .into();
        let trouble = Trouble {
            at: now.boot,
            failures: times,
            reason: Reason::Delivery,
            message: message.clone(),
            retry_at: now.boot.plus(retry_in),
            not_before: Boot(0),
            shortage: None,
        };
        self.count_tries(id, now);
        out.push(Action::Note(Note::DeliverFailed { path: self.path(id), message, failures: times, retry_in }));
        if let Some(target) = self.targets.get_mut(id) {
            target.rare.trouble = Some(Box::new(trouble));
        }
    }
}

impl TargetRecord {
    /// A write has landed; `is_new`: the file was not exactly so already. Tells how it was found before, where that is news.
    pub(super) fn mended(&mut self, is_new: bool, now: Boot) -> Option<Found> {
        let rare = self.rare.any()?;
        let meddling = rare.meddling.as_mut().filter(|meddling| meddling.found.is_some());
        let found = meddling.and_then(|meddling| meddling.mended(is_new, now));
        let fight = rare.meddling.as_ref().filter(|meddling| meddling.is_told);
        match (rare.trouble.as_mut(), fight) {
            // Whether the other one has given up is not known yet.
            (Some(trouble), Some(fight)) => {
                trouble.retry_at = fight.wrote.plus(FIGHT);
                None
            }
            _ => {
                rare.trouble = None;
                found
            }
        }
    }

    /// The file is as it shall be: a fight is over once nobody has touched it for a while. True where that is now.
    pub(super) fn is_calm(&mut self, now: Boot) -> bool {
        let Some(meddling) = &self.rare.meddling else { return false };
        let (until, is_told) = (meddling.wrote.plus(FIGHT), meddling.is_told);
        if until > now {
            self.rare.trouble.iter_mut().filter(|_| is_told).for_each(|trouble| trouble.retry_at = until);
            return false;
        }
        self.rare.meddling = None;
        is_told && self.rare.trouble.take().is_some()
    }
}

impl Meddling {
    /// How often it was written in answer, in the row that this find belongs to.
    fn found(&mut self, found: Found, now: Boot) -> u32 {
        if self.times == 0 || self.wrote.plus(FIGHT) <= now {
            (self.times, self.since) = (0, now);
        }
        self.found = Some(found);
        self.times
    }

    /// Written again, where that was needed. How it was found, where that is news.
    fn mended(&mut self, is_new: bool, now: Boot) -> Option<Found> {
        self.lost = None;
        let found = self.found.take().filter(|found| is_new && *found != Found::Unseen)?;
        (self.times, self.wrote) = (self.times + 1, now);
        Some(found)
    }
}
