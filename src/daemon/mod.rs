//! Owns: joining the rooms: events in, `engine::step`, actions out. `run` (run.rs) and `once` (once.rs) are the same
//! runner under two loops; both start here.
//! Does not: decide.

mod answered;
mod credentials;
mod files;
mod hooks;
mod listeners;
mod notes;
mod once;
mod reload;
mod requests;
mod run;
mod runner;
mod saving;
mod spending;
mod start;
mod telling;
mod vault;

use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedSender;

pub(crate) use notes::span;
pub(crate) use once::{Once, once};
pub(crate) use run::run;
use runner::Answered;

use crate::core::engine::Event;
use crate::host::load::Loaded;
use crate::host::watch::Mark;

/// What threads and tasks tell the loop.
pub(super) enum Message {
    Event(Event),
    /// A folder's batch has ended.
    LaneDone {
        folder: PathBuf,
        events: Vec<Event>,
    },
    Obtained(Vec<Answered>),
    /// The config was read again; `read_at` is from before.
    Loaded {
        number: u64,
        loaded: Box<Loaded>,
        read_at: Mark,
    },
}

pub(super) type Messages = UnboundedSender<Message>;
