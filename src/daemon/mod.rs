//! Owns: joining the rooms: events in, `engine::step`, actions out. `run` (run.rs) and `once` (once.rs) are the same
//! runner under two loops; both start here.
//! Does not: decide.

mod files;
mod hooks;
mod notes;
mod once;
mod reload;
mod requests;
mod run;
mod runner;
mod saving;
mod start;
mod telling;
mod vault;

use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedSender;

pub(crate) use notes::span;
pub(crate) use once::{Once, once};
pub(crate) use run::run;

use crate::core::engine::Event;
use crate::core::settings::TokenName;
use crate::host::load::Loaded;
use crate::host::watch::Mark;
use crate::source::{Obtained, SourceError};

/// What threads and tasks tell the loop.
pub(super) enum Message {
    Event(Event),
    /// A folder's batch has ended.
    LaneDone {
        folder: PathBuf,
        events: Vec<Event>,
    },
    Obtained(Vec<(TokenName, u64, Result<Obtained, SourceError>)>),
    /// The config was read again; `read_at` is from before.
    Loaded {
        loaded: Box<Loaded>,
        read_at: Mark,
    },
}

pub(super) type Messages = UnboundedSender<Message>;
