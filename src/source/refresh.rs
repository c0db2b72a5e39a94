//! Owns: which refresh token is used (the stored successor, or the config's first one where the operator replaced it), its
//! exchange, sent once more where the answer was lost, and what an exchange that failed leaves in doubt.
//! Does not: keep one, or know how an endpoint is asked.

use super::Given;
use super::document::Document;
use super::error::SourceError;
use super::expiry::{self, ExpiryError};
use super::net::{Fate, HttpResponse, NetError};
use crate::core::credential::RefreshToken;
use crate::core::engine::Doubt;
use crate::core::secret::Secret;
use crate::core::settings::{FirstRefresh, SourcePlan, TokenName};
use crate::core::time::Wall;

/// The refresh token that an attempt is going to send; `stored` is what the last one left.
pub(crate) fn refresh_token(plan: &SourcePlan, stored: Option<&RefreshToken>) -> Option<RefreshToken> {
    plan.first_refresh_token().and_then(|first| current(first, stored.cloned()))
}

/// What is sent. A stored one counts only as long as it descends from the one in the config, where that has one. `None`: a
/// person has to log in first.
pub(super) fn current(first: &FirstRefresh, stored: Option<RefreshToken>) -> Option<RefreshToken> {
    let Some(token) = &first.token else { return stored };
    let descends = stored.filter(|stored| stored.first == first.digest);
    descends.or_else(|| {
        let expires_at = expiry::of_refresh_token(token.expose());
        Some(RefreshToken { token: (**token).clone(), first: first.digest, expires_at })
    })
}

/// Why nothing is sent before a person has logged in.
pub(crate) fn waits_for_login(name: &TokenName) -> String {
    format!("it waits for its login: run `renewd login {name}`")
}

/// What is to be sent next time: the new one, or the one that was used where the server keeps it (RFC 6749 6). `ends` is what
/// the answer says of it.
pub(super) fn next(used: RefreshToken, new: Option<Secret<String>>, ends: Option<Wall>) -> RefreshToken {
    match new {
        Some(token) => {
            let expires_at = ends.or_else(|| expiry::of_refresh_token(token.expose()));
            RefreshToken { token, first: used.first, expires_at }
        }
        None => RefreshToken { expires_at: ends.or(used.expires_at), ..used },
    }
}

/// An answer, and the moment that its times count from.
pub(super) struct Exchanged {
    pub answer: HttpResponse,
    /// When the request was sent; of a repeated exchange, when the refresh token was first sent: a server that takes it twice
    /// answers with what it made the first time, and some tell the full `expires_in` again (django-oauth-toolkit).
    pub counts_from: Wall,
}

/// Asks by `send`. Where a refresh token is sent (`spends`) and the answer is lost, it is sent once more at once: it may be
/// spent, and some servers take it once more for a moment, and then only.
pub(super) async fn exchange<F>(given: &Given, spends: bool, send: impl Fn(u8) -> F) -> Result<Exchanged, SourceError>
where
    F: Future<Output = Result<HttpResponse, NetError>>,
{
    let mut first_sent = given.first_sent.filter(|_| spends);
    let mut is_open = false;
    let answered = match send(0).await {
        Err(NetError { error, fate: Fate::Lost(at) }) if spends => {
            tracing::warn!(
                token = %given.name,
                "token {}: an answer was lost, and the refresh token is sent once more: {error}",
                given.name
            );
            (given.answer_lost)();
            is_open = true;
            first_sent = first_sent.or(Some(at));
            send(1).await
        }
        once => once,
    };
    match answered {
        Ok(answer) => {
            // The clock may have been set back since.
            let counts_from = first_sent.map_or(answer.sent_at, |at| at.min(answer.sent_at));
            Ok(Exchanged { answer, counts_from })
        }
        Err(NetError { error, fate }) => {
            let doubt = match fate {
                Fate::Lost(_) => Some(Doubt::Lost),
                Fate::Redirected => Some(Doubt::Unread),
                Fate::Unsent => is_open.then_some(Doubt::Lost),
            };
            Err(SourceError { doubt: doubt.filter(|_| spends), ..error })
        }
    }
}

impl Exchanged {
    /// The error about a time in the answer that cannot be relied upon.
    pub(super) fn unreliable(&self, problem: &ExpiryError) -> SourceError {
        let (from, answer) = (self.counts_from, &self.answer);
        // The other two are moments, and count from nothing.
        if !matches!(problem, ExpiryError::Past { by: "expires_in" | "ttl", .. }) || from >= answer.sent_at {
            return answer.failure(&problem.to_string());
        }
        let message = format!(
            "{problem}. It counts from {}, when its refresh token was first sent: the answer may hold what was made then. A newer \
             one is asked for",
            from.rfc3339()
        );
        SourceError { doubt: Some(Doubt::Stale), ..answer.failure(&message) }
    }
}

/// What an answer of no use leaves. It spent what was sent, if it was a success of the server's: the successor, at the pointer
/// `at`, must not be lost with the rest.
pub(super) fn salvage(
    error: SourceError,
    used: Option<RefreshToken>,
    answer: &HttpResponse,
    at: Option<&str>,
) -> SourceError {
    let Some(used) = used else { return error };
    if !answer.status.is_success() {
        // 408 is said by those who stand before the server too.
        let leaves_it_open = answer.status.is_server_error() || answer.status.as_u16() == 408;
        return SourceError { doubt: error.doubt.or(leaves_it_open.then_some(Doubt::Lost)), ..error };
    }
    let document = Document::parse(&answer.body).ok();
    let is_refused = document.as_ref().is_some_and(|document| document.at("/error").is_some());
    let successor = document.zip(at).and_then(|(document, at)| {
        let ends = document.refresh_end_beside(at).and_then(|told| told.at(answer.sent_at));
        document.refresh_token(at).ok().flatten().map(|new| next(used, Some(new), ends))
    });
    SourceError {
        doubt: error.doubt.or((!is_refused).then_some(Doubt::Unread)),
        successor: successor.map(Box::new),
        ..error
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::settings::Fingerprint;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn first(text: &str) -> FirstRefresh {
        FirstRefresh { token: Some(Arc::new(secret(text))), digest: Fingerprint::of(text.as_bytes()) }
    }

    #[test]
    fn an_operators_new_one_wins_over_what_is_stored() {
        let current = |first: &FirstRefresh, stored| current(first, stored).unwrap();
        let stored = next(current(&first("a"), None), Some(secret("b")), None);
        assert_eq!(current(&first("a"), Some(stored.clone())).token, secret("b"));
        let replaced = current(&first("c"), Some(stored.clone()));
        assert_eq!((replaced.token.clone(), replaced.first), (secret("c"), first("c").digest));
        assert_eq!(next(replaced.clone(), None, None), replaced, "kept where none came");
    }

    #[test]
    fn what_a_login_brought_is_used_as_long_as_the_config_has_none() {
        let none = FirstRefresh::of_a_login();
        assert_eq!(current(&none, None), None);
        let stored = current(&first("a"), None);
        assert_eq!(current(&none, stored.clone()), stored);
    }

    #[test]
    fn the_end_that_was_told_holds_as_long_as_the_refresh_token_stays() {
        let ends = |next: &RefreshToken| next.expires_at;
        let told = next(current(&first("a"), None).unwrap(), Some(secret("b")), Some(Wall(9)));
        assert_eq!(ends(&told), Some(Wall(9)));
        let kept = next(told, None, None);
        assert_eq!(ends(&kept), Some(Wall(9)), "the same one");
        let told_anew = next(kept, None, Some(Wall(12)));
        assert_eq!(ends(&told_anew), Some(Wall(12)));
        assert_eq!(ends(&next(told_anew, Some(secret("c")), None)), None, "another one, of which nothing is known");
    }
}
