//! Owns: what happened last to each token, as `status` tells it: the ten newest, a failure that repeats counted once.
//! Does not: decide what is worth telling; the engine's notes and hooks are.

use std::sync::Arc;

use smallvec::SmallVec;

use super::notes::{restored_words, until};
use super::table::{HasName, NameTable};
use crate::core::engine::{Found, HookKind, Note, Reason, Rotated};
use crate::core::settings::{TargetPath, TokenName};
use crate::core::time::Wall;

const KEPT: usize = 10;

#[derive(Clone, PartialEq)]
enum What {
    Renewed(Option<Wall>),
    /// The issuer gave the one again that was there.
    Same(Option<Wall>),
    Kept(Option<Wall>),
    Failed(Reason, Arc<str>),
    Undelivered(Arc<str>),
    Unkept(Arc<str>),
    Restored(Box<(TargetPath, Found)>),
    Recovered,
    Expired,
    LoginDue(Option<Wall>),
    HookDone(HookKind),
    HookFailed(Arc<str>),
}

/// Something that came once, or several times in a row.
struct HistoryEntry {
    /// The newest time, by the wall clock of then.
    at: Wall,
    what: What,
    repeated: Option<Box<Repeated>>,
}

struct Repeated {
    first: Wall,
    times: u32,
}

/// What happened to a token. Most have one thing to tell of, which needs no memory of its own.
struct TokenHistory {
    name: TokenName,
    entries: SmallVec<[HistoryEntry; 1]>,
}

impl HasName for TokenHistory {
    type Name = TokenName;

    fn name(&self) -> &TokenName {
        &self.name
    }
}

/// One line of `events`.
pub(super) struct HistoryLine {
    pub at: Wall,
    pub what: String,
    pub ok: bool,
}

#[derive(Default)]
pub(super) struct History {
    of: NameTable<TokenHistory>,
}

impl History {
    /// Keeps what is told of a token. `tokens`: those that a file belongs to.
    pub(super) fn note<'a>(&mut self, note: &Note, tokens: impl Iterator<Item = &'a TokenName>, now: Wall) {
        let (name, what) = match note {
            Note::Rotated { rotated: Rotated { name, expires_at, is_same: false }, .. } => {
                (name, What::Renewed(*expires_at))
            }
            Note::Rotated { rotated: Rotated { name, expires_at, is_same: true }, .. } => {
                (name, What::Same(*expires_at))
            }
            Note::Kept { name, expires_at, .. } => (name, What::Kept(*expires_at)),
            Note::ObtainFailed { name, reason, message, .. } => (name, What::Failed(*reason, message.clone())),
            Note::PersistFailed { name, message } => (name, What::Unkept(message.clone())),
            Note::Recovered { name } => (name, What::Recovered),
            Note::LoginDue { name, end } => (name, What::LoginDue(*end)),
            Note::Expired { name } => (name, What::Expired),
            Note::HookDone { name, kind } => (name, What::HookDone(*kind)),
            Note::HookFailed { name, message, .. } => (name, What::HookFailed(message.clone())),
            Note::DeliverFailed { message, .. } => {
                return self.of_file(tokens, &What::Undelivered(message.clone()), now);
            }
            Note::Restored { path, found } => {
                return self.of_file(tokens, &What::Restored(Box::new((path.clone(), *found))), now);
            }
            Note::RemovalFailed { .. } => return,
        };
        self.push(name, what, now);
    }

    fn of_file<'a>(&mut self, tokens: impl Iterator<Item = &'a TokenName>, what: &What, now: Wall) {
        tokens.for_each(|name| self.push(name, what.clone(), now));
    }

    fn push(&mut self, name: &TokenName, what: What, now: Wall) {
        let new = || TokenHistory { name: name.clone(), entries: SmallVec::new() };
        let entries = &mut self.of.get_or_insert(name, new).entries;
        // What is tried each second must not push out all that came before.
        if let Some(last) = entries.last_mut().filter(|last| last.what == what && what.may_repeat()) {
            let first = last.at;
            let repeated = last.repeated.get_or_insert_with(|| Box::new(Repeated { first, times: 1 }));
            repeated.times = repeated.times.saturating_add(1);
            last.at = now;
            return;
        }
        if entries.len() == KEPT {
            entries.remove(0);
        }
        entries.push(HistoryEntry { at: now, what, repeated: None });
    }

    /// The token is gone.
    pub(super) fn forget(&mut self, name: &TokenName) {
        self.of.remove(name);
    }

    /// The oldest first. `shown`: a path as the config gives it.
    pub(super) fn of(&self, name: &TokenName, shown: impl Fn(&TargetPath) -> String) -> Vec<HistoryLine> {
        let told = |entry: &HistoryEntry| {
            let mut what = entry.what.words(&shown);
            if let Some(Repeated { first, times }) = entry.repeated.as_deref() {
                what += &format!(" ({times} times since {})", first.rfc3339());
            }
            HistoryLine { at: entry.at, what, ok: entry.what.is_ok() }
        };
        self.of.get(name).into_iter().flat_map(|of| &of.entries).map(told).collect()
    }
}

impl What {
    /// Whether it is told once for all the times it came in a row.
    fn may_repeat(&self) -> bool {
        !self.is_ok() || matches!(self, Self::Same(_))
    }

    fn is_ok(&self) -> bool {
        matches!(
            self,
            Self::Renewed(_)
                | Self::Same(_)
                | Self::Kept(_)
                | Self::Restored(_)
                | Self::Recovered
                | Self::LoginDue(None)
                | Self::HookDone(_)
        )
    }

    fn words(&self, shown: impl Fn(&TargetPath) -> String) -> String {
        match self {
            Self::Renewed(ends) => format!("renewed, valid {}", until(*ends)),
            Self::Same(ends) => format!("the issuer gave the same one again, valid {}", until(*ends)),
            Self::Kept(ends) => format!("kept from an earlier run, valid {}", until(*ends)),
            Self::Failed(reason, message) => format!("not renewed ({}): {message}", reason.as_str()),
            Self::Undelivered(message) => format!("not delivered: {message}"),
            Self::Unkept(message) => format!("not in the state: {message}"),
            Self::Restored(restored) => restored_words(&shown(&restored.0), restored.1),
            Self::Recovered => "recovered".into(),
            Self::LoginDue(Some(end)) => format!("its refresh token ends at {}: a new login is needed", end.rfc3339()),
            Self::LoginDue(None) => "its login lasts again".into(),
            Self::Expired => "expired, and no new one was at hand".into(),
            Self::HookDone(kind) => format!("{} ran", kind.as_str()),
            Self::HookFailed(message) => message.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::engine::Certainty;

    #[test]
    fn ten_are_kept_and_one_that_repeats_is_one() {
        let name = TokenName::new("a").unwrap();
        let mut history = History::default();
        let mut note = |note: Note, at| history.note(&note, std::iter::empty(), Wall::from_secs(at));
        for at in 0..20 {
            let rotated = Rotated { name: name.clone(), expires_at: None, is_same: false };
            note(Note::Rotated { rotated, next: None }, at);
        }
        for at in 20..50 {
            let message: Arc<str> = "no".into();
            let (failures, retry_in) = (1, std::time::Duration::ZERO);
            let failed = Note::ObtainFailed {
                name: name.clone(),
                reason: Reason::Rejected,
                message,
                failures,
                retry_in,
                standing: Certainty::Valid,
            };
            note(failed, at);
        }
        let told = history.of(&name, |_| String::new());
        assert_eq!(told.len(), KEPT);
        let last = told.last().unwrap();
        assert_eq!((last.at, last.ok), (Wall::from_secs(49), false));
        assert_eq!(last.what, "not renewed (rejected): no (30 times since 1970-01-01T00:00:20Z)");
        assert!(told[..9].iter().all(|told| told.ok && told.what == "renewed, valid for good"));
        history.forget(&name);
        assert!(history.of(&name, |_| String::new()).is_empty());
    }
}
