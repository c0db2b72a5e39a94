//! Owns: joining the rooms: events in, `engine::step`, actions out. `run` (run.rs) and `once` (once.rs) are the same
//! runner under two loops; both start here.
//! Does not: decide.

mod answered;
mod credentials;
mod document;
mod files;
mod held;
mod history;
mod hooks;
mod index;
mod keeping;
mod listeners;
mod looks;
mod notes;
mod offline;
mod once;
mod places;
mod queues;
mod reload;
mod requests;
mod run;
mod runner;
mod saving;
mod signing;
mod spending;
mod start;
mod telling;
#[cfg(test)]
mod tests;
mod vault;

use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedSender;

use keeping::BatchReport;
use looks::{LookId, Seen};
pub(crate) use notes::span;
pub(crate) use offline::status as offline_status;
pub(crate) use once::{Once, once};
pub(crate) use run::run;
use runner::Answered;
pub(crate) use start::twin_words;

use crate::core::engine::Event;
use crate::core::settings::TargetPath;
use crate::host::deliver::Stamp;
use crate::host::load::Loaded;
use crate::host::watch::Mark;

/// What threads and tasks tell the loop.
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
    /// The config was read again; `read_at` is from before.
    Loaded {
        number: u64,
        loaded: Box<Loaded>,
        read_at: Mark,
    },
}

pub(super) type Messages = UnboundedSender<Message>;
