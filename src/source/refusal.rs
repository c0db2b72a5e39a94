//! Owns: an endpoint's error in words, and whether it is a refusal: RFC 6749 5.2, and the shapes that others have for it.
//! Nothing that was sent is shown, should the endpoint say it again.
//! Does not: know which credential was refused.

use super::SourceError;
use super::answer::Document;
use super::form;
use super::net::Answer;
use crate::core::engine::Reason;
use crate::core::redact::peer_words;

/// A shorter secret would mask half of the words.
const SHORTEST: usize = 4;
/// Where endpoints put their words.
const WORDS: [&str; 4] = ["/error_description", "/error/message", "/message", "/detail"];

/// An error answer.
pub struct Refusal {
    /// RFC 6749 5.2, where the answer has one.
    code: Option<String>,
    pub error: SourceError,
}

impl Refusal {
    /// Reads an answer that is no success. `sent` are the secrets that went out.
    pub fn of(answer: &Answer, sent: &[&str]) -> Self {
        let document = Document::parse(&answer.body).ok();
        let text = |at: &str| document.as_ref().and_then(|document| document.text(at).ok().flatten());
        let clean = |text: &str| peer_words(&without(text, sent));
        let code = text("/error").map(clean).filter(|code| !code.is_empty());
        let words = WORDS.iter().find_map(|at| text(at)).map(clean).filter(|words| !words.is_empty());
        let said = match (&code, words) {
            (Some(code), Some(words)) => format!("{code}: {words}"),
            (Some(code), None) => code.clone(),
            (None, Some(words)) => words,
            (None, None) if document.is_none() && !answer.media_type().is_empty() => {
                format!("with {} that tells no more", answer.media_type())
            }
            (None, None) => String::new(),
        };
        let error = SourceError { reason: reason(answer, code.as_deref()), ..answer.failure(&said) };
        Self { code, error }
    }

    /// Some endpoints answer 200 to a failure.
    pub fn of_success(answer: &Answer, sent: &[&str]) -> Option<Self> {
        let document = Document::parse(&answer.body).ok()?;
        document.at("/error")?;
        drop(document);
        Some(Self::of(answer, sent))
    }

    pub fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

fn reason(answer: &Answer, code: Option<&str>) -> Reason {
    match (answer.reason(), code) {
        (Reason::Unreachable, _) => Reason::Unreachable,
        (_, Some("invalid_grant" | "invalid_client" | "unauthorized_client")) => Reason::Rejected,
        (_, Some("server_error" | "temporarily_unavailable" | "slow_down")) => Reason::Unreachable,
        (by_status, _) => by_status,
    }
}

/// The text with all that was sent masked, as it is and as it stands in a form.
fn without(text: &str, sent: &[&str]) -> String {
    let long = sent.iter().filter(|secret| secret.len() >= SHORTEST);
    long.fold(text.to_owned(), |text, secret| {
        text.replace(secret, "[masked]").replace(form::encoded(secret).as_str(), "[masked]")
    })
}
