//! Owns: which refresh token is used: the stored successor, or the config's first one where the operator replaced it.
//! Does not: keep one, or exchange it.

use super::SourceError;
use super::answer::Document;
use super::net::Answer;
use crate::core::credential::RefreshToken;
use crate::core::secret::Secret;
use crate::core::settings::FirstRefresh;

/// What is sent. A stored one counts only as long as it descends from the one in the config.
pub fn current(first: &FirstRefresh, stored: Option<RefreshToken>) -> RefreshToken {
    let descends = stored.filter(|stored| stored.first == first.digest);
    descends.unwrap_or_else(|| RefreshToken { token: (*first.token).clone(), first: first.digest })
}

/// What is to be sent next time: the new one, or the one that was used where the server keeps it (RFC 6749 6).
pub fn next(used: RefreshToken, new: Option<Secret<String>>) -> RefreshToken {
    RefreshToken { token: new.unwrap_or(used.token), first: used.first }
}

/// An answer that was no success of ours may be one of the server's: it spent what was sent, and its successor must not
/// be lost with the rest.
pub fn salvage(error: SourceError, used: Option<RefreshToken>, answer: &Answer, at: Option<&str>) -> SourceError {
    let (Some(used), Some(at), true) = (used, at, answer.status.is_success()) else { return error };
    let document = Document::parse(&answer.body).ok();
    let successor = document.and_then(|document| document.refresh_token(at).ok().flatten());
    SourceError { successor: successor.map(|new| Box::new(next(used, Some(new)))), ..error }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::settings::Fingerprint;

    #[test]
    fn an_operators_new_one_wins_over_what_is_stored() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let first =
            |text: &str| FirstRefresh { token: Arc::new(secret(text)), digest: Fingerprint::of(text.as_bytes()) };
        let stored = next(current(&first("a"), None), Some(secret("b")));
        assert_eq!(current(&first("a"), Some(stored.clone())).token, secret("b"));
        let replaced = current(&first("c"), Some(stored.clone()));
        assert_eq!((replaced.token.clone(), replaced.first), (secret("c"), first("c").digest));
        assert_eq!(next(replaced.clone(), None), replaced, "kept where none came");
    }
}
