//! Owns: what GitHub's error answers mean: refused, asked too often, or out of order.
//! A refusal (401; 403, 404 and 422 too) stays until a person acts: it is not asked again each minute. A limit does not
//! refuse anything: it passes.
//! Does not: ask again.

use std::time::Duration;

use crate::core::engine::Reason;
use crate::core::redact::peer_words;
use crate::source::SourceError;
use crate::source::document::Document;
use crate::source::net::HttpResponse;

/// Where GitHub names no time (its secondary limits), it asks for a minute.
const UNTOLD: Duration = Duration::from_secs(60);

/// An error about an answer that is no success. `what` was asked for.
pub(super) fn of(answer: &HttpResponse, what: &str) -> SourceError {
    let message = Document::parse(&answer.body).ok();
    let message = message.as_ref().and_then(|document| document.text("/message").ok().flatten()).map(peer_words);
    let said = message.as_deref().unwrap_or_default();
    let status = answer.status.as_u16();
    if let Some(wait) = limit(answer, said) {
        let error = answer.failure(&format!("asked too often: {}", or_nothing(said)));
        return SourceError { reason: Reason::Unreachable, retry_after: Some(wait), ..error };
    }
    let hint = match (status, message.is_some()) {
        (401, _) => "does private_key belong to this app, and is the clock right?".to_owned(),
        (403, _) => format!("{what} is suspended, or not allowed from here"),
        (404, false) => "is api_url right? That of GitHub Enterprise Server ends in /api/v3".to_owned(),
        (404, true) => format!("{what} is not there: is the app installed, and does it see what is asked for?"),
        (422, _) => format!("{what} does not have the permissions or repositories that are asked for"),
        _ => return answer.failure(said),
    };
    SourceError { reason: Reason::Rejected, ..answer.failure(&format!("{}; {hint}", or_nothing(said))) }
}

fn or_nothing(said: &str) -> &str {
    match said {
        "" => "it says no more",
        said => said,
    }
}

/// How long to wait where the answer is about a limit:
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
fn limit(answer: &HttpResponse, said: &str) -> Option<Duration> {
    let status = answer.status.as_u16();
    let named = said.to_ascii_lowercase().contains("rate limit");
    let limited = status == 429 || status == 403 && (answer.is_limited || named || answer.retry_after.is_some());
    limited.then(|| answer.retry_after.unwrap_or(UNTOLD))
}
