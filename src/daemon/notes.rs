//! Owns: the words of the log and of STATUS= for what the engine decided.
//! Does not: decide, or hold a secret: the engine has none.

use std::path::Path;
use std::time::Duration;

use crate::core::engine::{Counts, Note, Standing, State, TokenState};
use crate::core::settings::Plan;
use crate::core::time::{Now, Wall};

/// A duration for people: its two largest units.
pub(crate) fn span(span: Duration) -> String {
    let whole = if span >= Duration::from_secs(10) { Duration::from_secs(span.as_secs()) } else { span };
    let text = humantime::format_duration(Duration::from_millis(whole.as_millis() as u64)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn until(at: Option<Wall>) -> String {
    at.map_or_else(|| "for good".into(), |at| format!("until {}", at.rfc3339()))
}

/// What is known of the token in place, and no more.
fn standing_in_words(standing: Standing) -> String {
    match standing {
        Standing::Gone => "there is no valid one".into(),
        Standing::Valid => "the one in place is still valid".into(),
        Standing::Doubtful { until: end } => format!(
            "the one in place may have been revoked by the issuer with its family; by its time it would be good {}",
            until(end)
        ),
    }
}

fn shown(plan: &Plan, path: &Path) -> String {
    let target = plan.targets.iter().find(|target| *target.path == *path);
    target.map_or(path, |target| &target.shown).display().to_string()
}

pub(super) fn log(note: &Note, plan: &Plan, now: Now) {
    match note {
        Note::Rotated { name, expires_at, next } => {
            let next = next.map(|next| format!(", next in {}", span(next.since(now.wall)))).unwrap_or_default();
            tracing::info!("token {name} is renewed, valid {}{next}", until(*expires_at));
        }
        Note::Kept { name, expires_at, doubt: None } => {
            tracing::debug!("token {name} is kept, valid {}", until(*expires_at));
        }
        Note::Kept { name, expires_at, doubt: Some(doubt) } => {
            tracing::warn!("token {name}: {}; by its time it would be good {}", doubt.why(), until(*expires_at));
        }
        Note::ObtainFailed { name, reason, message, failures, retry_in, standing } => {
            let still = standing_in_words(*standing);
            let next = if *retry_in > Duration::from_secs(1 << 40) {
                String::new()
            } else {
                format!("; try {} in {}", failures + 1, span(*retry_in))
            };
            tracing::error!("token {name}: {} ({}); {still}{next}", message, reason.as_str());
        }
        Note::DeliverFailed { path, message, failures, retry_in } => {
            let next = if *retry_in > Duration::from_secs(1 << 40) {
                String::new()
            } else {
                format!("; try {} in {}", failures + 1, span(*retry_in))
            };
            let path = shown(plan, path);
            let message =
                if message.contains(path.as_str()) { message.to_string() } else { format!("{path}: {message}") };
            tracing::error!("{message}{next}");
        }
        Note::PersistFailed { name, message } => {
            tracing::warn!("token {name} is not in the state: {message}; it is tried again");
        }
        Note::Recovered { name } => tracing::info!("token {name} is well again"),
        Note::Expired { name } => tracing::error!("token {name} has expired and no new one is at hand"),
        Note::RemovalFailed { path, message } => {
            tracing::error!("{} cannot be removed: {message}", shown(plan, path));
        }
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
        let left = |end: Wall| format!("{} left", span(end.since(now.wall)));
        let left = row.expires_at.map_or_else(|| "never expires".into(), left);
        let error = row.last_error.map(|error| format!("; {error}")).unwrap_or_default();
        let doubt = row.uncertain.map(|doubt| format!("; {}", doubt.why())).unwrap_or_default();
        tracing::info!("token {}: {}, {left}{error}{doubt}", row.name, row.state.as_str());
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
