//! Owns: the words of the log and of STATUS= for what the engine decided.
//! Does not: decide, or hold a secret: the engine has none.

use std::time::Duration;

use super::reload::sizes;
use crate::core::engine::{Certainty, Counts, Found, Note, Reason, Rotated, State, TokenState};
use crate::core::settings::{Plan, TargetPath};
use crate::core::time::{Now, Wall, in_words};

/// So many files whose writes are left to themselves are named.
const LEFT_NAMED: usize = 10;

/// Of a token whose issuer keeps a cache.
const SAME: &str = "is not renewed: the issuer gave the same one again";

/// How long a token is valid, for people.
pub(super) fn until(at: Option<Wall>) -> String {
    at.map_or_else(|| "for good".into(), |at| format!("until {}", at.rfc3339()))
}

/// What is known of the token in place, and no more.
fn standing_in_words(standing: Certainty) -> String {
    match standing {
        Certainty::Gone => "there is no valid one".into(),
        Certainty::Valid => "the one in place is still valid".into(),
        Certainty::Doubtful { until: end } => format!(
            "the one in place may have been revoked by the issuer with its family; by its time it would be good {}",
            until(end)
        ),
    }
}

/// A file that was found otherwise than it was left, and is as it shall be again.
pub(super) fn restored_words(path: &str, found: Found) -> String {
    match found {
        Found::Gone => format!("{path} was removed by somebody else, written again"),
        Found::Changed { at: Some(at) } => {
            format!("{path} was changed by somebody else at {}, written again", at.rfc3339())
        }
        Found::Changed { at: None } => format!("{path} was changed by somebody else, written again"),
        Found::Unseen => format!("{path} was changed or removed by somebody else, written again"),
    }
}

/// `shown`: a path as the config gives it.
pub(super) fn log(note: &Note, shown: impl Fn(&TargetPath) -> String, now: Now) {
    match note {
        Note::Rotated { rotated: Rotated { name, expires_at, is_same }, next } => {
            let what = if *is_same { SAME } else { "is renewed" };
            // Only where it is logged: many may be renewed at once.
            let next = || next.map(|next| format!(", next in {}", in_words(next.since(now.wall)))).unwrap_or_default();
            tracing::info!(token = %name, "token {name} {what}, valid {}{}", until(*expires_at), next());
        }
        Note::Kept { name, expires_at, doubt: None } => {
            tracing::debug!(token = %name, "token {name} is kept, valid {}", until(*expires_at));
        }
        Note::Kept { name, expires_at, doubt: Some(doubt) } => {
            let end = until(*expires_at);
            tracing::warn!(token = %name, "token {name}: {}; by its time it would be good {end}", doubt.why());
        }
        Note::ObtainFailed { name, reason, message, failures, retry_in, standing } => {
            let still = standing_in_words(*standing);
            let (reason, next) = (reason.as_str(), next_try(*failures, *retry_in));
            tracing::error!(token = %name, reason, "token {name}: {message} ({reason}); {still}{next}");
        }
        Note::DeliverFailed { path, message, failures, retry_in } => {
            let (path, next) = (shown(path), next_try(*failures, *retry_in));
            let message =
                if message.contains(path.as_str()) { message.to_string() } else { format!("{path}: {message}") };
            tracing::error!(path, reason = "delivery", "{message}{next}");
        }
        Note::PersistFailed { name, message } => {
            tracing::warn!(token = %name, "token {name} is not in the state: {message}; it is tried again");
        }
        Note::Restored { path, found } => {
            let path = shown(path);
            tracing::warn!(path, "{}", restored_words(&path, *found));
        }
        Note::LoginDue { name, end: Some(end) } => tracing::warn!(
            token = %name,
            reason = Reason::LoginDue.as_str(),
            "token {name}: its refresh token ends at {}, {}: log in again before that, and put the new refresh token into its file",
            end.rfc3339(),
            if *end <= now.wall { "which is past".into() } else { format!("in {}", in_words(end.since(now.wall))) },
        ),
        Note::LoginDue { name, end: None } => tracing::info!(token = %name, "token {name}: its login lasts again"),
        Note::Recovered { name } => tracing::info!(token = %name, "token {name} has recovered"),
        Note::HookDone { name, kind } => tracing::debug!(token = %name, "token {name}, {}: done", kind.as_str()),
        Note::HookFailed { name, message, is_known: true, .. } => {
            tracing::debug!(token = %name, reason = "hook", "token {name}, {message}, as before");
        }
        Note::HookFailed { name, message, retry_in, .. } => {
            let next = retry_in.map(|wait| format!("; it is tried again in {}", in_words(wait))).unwrap_or_default();
            tracing::warn!(token = %name, reason = "hook", "token {name}, {message}{next}");
        }
        Note::Expired { name } => {
            tracing::error!(token = %name, "token {name} has expired and no new one is at hand");
        }
        Note::RemovalFailed { path, message } => {
            let path = shown(path);
            tracing::error!(path, reason = "delivery", "{path} cannot be removed: {message}");
        }
    }
}

/// The end of a line about a failure; nothing where there is no next try.
fn next_try(failures: u32, retry_in: Duration) -> String {
    if retry_in > Duration::from_secs(1 << 40) {
        return String::new();
    }
    format!("; try {} in {}", failures + 1, in_words(retry_in))
}

/// The first line of a run: what it is, where its things are, and what it begins with.
pub(super) fn hello(plan: &Plan, places: &str, kept: usize) {
    tracing::info!(
        "renewd {} starts: config {}, state {}, {places}; {}, {kept} kept from an earlier run",
        env!("CARGO_PKG_VERSION"),
        plan.path.display(),
        plan.daemon.state_dir.display(),
        sizes(plan),
    );
}

/// The last but one: writes that have not come back, and are left to themselves.
pub(super) fn left(state: &State) {
    let under_way = state.paths_under_way();
    for path in under_way.clone().take(LEFT_NAMED) {
        let path = path.display();
        tracing::warn!(path = %path, "{path}: its write has not come back and is left to itself");
    }
    if let more @ 1.. = under_way.skip(LEFT_NAMED).count() {
        tracing::warn!("... and {more} further writes");
    }
}

/// One line that says how it stands, for STATUS=: what is wrong first.
pub(super) fn status_line(state: &State, now: Now) -> String {
    let counts = state.counts();
    let refused = state.refused().map(|why| format!("config refused, the old one runs: {why}"));
    let mut parts: Vec<String> = refused.into_iter().collect();
    parts.push(sums(counts));
    if counts.retrying + counts.expired + counts.pending > 0 {
        let mut troubled = state.statuses(now).filter(|row| row.state != TokenState::Valid);
        let first = troubled.find_map(|row| Some(format!("{}: {}", row.name, row.last_error?)));
        parts.extend(first);
    }
    let missing = state.missing();
    if state.is_ready() && !missing.is_empty() {
        let names: Vec<&str> = missing.iter().take(20).map(|name| name.as_str()).collect();
        parts.push(format!("not valid on disk: {}", names.join(", ")));
    }
    parts.join("; ")
}

/// The same for the log, with a line a token: SIGUSR1.
pub(super) fn log_status(state: &State, now: Now) {
    tracing::info!("status: {}", status_line(state, now));
    for row in state.statuses(now) {
        let left = |end: Wall| format!("{} left", in_words(end.since(now.wall)));
        let left = row.expires_at.map_or_else(|| "never expires".into(), left);
        let error = row.last_error.map(|error| format!("; {error}")).unwrap_or_default();
        let doubt = row.uncertain.map(|doubt| format!("; {}", doubt.why())).unwrap_or_default();
        let (name, reason) = (&row.name, row.reason.map_or("", Reason::as_str));
        tracing::info!(token = %name, reason, "token {name}: {}, {left}{error}{doubt}", row.state.as_str());
    }
}

fn sums(counts: Counts) -> String {
    let all = [
        (counts.expired, "expired"),
        (counts.pending, "pending"),
        (counts.retrying, "retrying"),
        (counts.valid, "valid"),
    ];
    let said = all.iter().filter(|(number, word)| *number > 0 || *word == "valid");
    said.map(|(number, word)| format!("{number} {word}")).collect::<Vec<_>>().join(", ")
}
