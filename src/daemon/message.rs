//! Owns: what threads and tasks tell the loop.
//! Does not: decide what follows.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::keeping::BatchReport;
use crate::core::engine::Event;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};
use crate::core::token::Token;
use crate::host::deliver::Stamp;
use crate::host::load::Loaded;
use crate::host::watch::Mark;
use crate::source::{Source, SourceError};

/// Numbers those who wait for a look.
pub(crate) type LookId = u64;

/// A file that is not as it was.
pub(crate) struct Seen {
    pub path: TargetPath,
    pub was: Stamp,
    /// `Ok(None)`: it is gone; `Err`: it cannot be looked at.
    pub now: Result<Option<Stamp>, ()>,
}

pub(crate) struct ToObtain {
    pub name: TokenName,
    pub generation: u64,
    pub fingerprint: Fingerprint,
    pub source: Arc<dyn Source>,
    pub parents: Vec<(TokenName, u64)>,
}

/// What became of an attempt.
pub(crate) struct Answered {
    pub one: ToObtain,
    pub result: Result<Token, SourceError>,
}

pub(super) enum Message {
    Event(Event),
    /// A folder's batch has ended.
    QueueDone {
        folder: PathBuf,
        events: Vec<Event>,
        /// How the files stand that are as they shall be.
        landed: Vec<(TargetPath, Stamp)>,
    },
    /// Files that are not as they were, and who waited for the look, where it is over.
    Looked {
        seen: Vec<Seen>,
        asked: Option<LookId>,
    },
    Obtained(Vec<Answered>),
    /// A batch for the state has ended.
    Saved(Box<BatchReport>),
    /// A look at the state found something wrong, or well again.
    StateLooked(Option<Arc<str>>),
    /// The config was read again; `read_at` is from before.
    Loaded {
        number: u64,
        loaded: Box<Loaded>,
        read_at: Mark,
    },
}

pub(super) type Messages = UnboundedSender<Message>;
