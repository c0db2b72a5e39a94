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
mod logging_in;
mod logins;
mod looks;
mod message;
mod notes;
mod offline;
mod once;
mod places;
mod queues;
mod reading;
mod reload;
mod requests;
mod run;
mod runner;
mod saving;
mod signing;
mod spending;
mod start;
mod table;
mod telling;
#[cfg(test)]
mod tests;
mod vault;
mod written;

pub(crate) use logging_in::may_log_in;
use message::{Message, Messages};
pub(crate) use offline::status as offline_status;
pub(crate) use once::{Once, once};
pub(crate) use run::run;
pub(crate) use start::twin_words;
