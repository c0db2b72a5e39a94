//! Owns: an endpoint's error in words, and whether it is a refusal: RFC 6749 5.2, and the shapes that others have for it.
//! Nothing that was sent is shown, should the endpoint say it again.
//! Does not: know which credential was refused.

use super::document::{AnswerError, Document};
use super::error::SourceError;
use super::net::HttpResponse;
use super::net::header::WWW_AUTHENTICATE;
use super::words;
use crate::core::engine::{Doubt, Reason};
use crate::core::settings::TokenName;

/// Where a code of RFC 6749 5.2 stands: as there, or as Fitbit has it.
const CODES: [&str; 2] = ["/error", "/errors/0/errorType"];

/// Statuses by which a server says no to what it was sent, and not to where or how it was asked.
const NO: [u16; 5] = [400, 401, 403, 409, 422];

/// An error answer.
pub(super) struct Refusal {
    /// RFC 6749 5.2, where the answer has one.
    code: Option<String>,
    pub error: SourceError,
}

impl Refusal {
    /// Reads an answer that is no success.
    pub(super) fn of(answer: &HttpResponse) -> Self {
        let document = Document::parse(&answer.body).ok();
        let text = |at: &str| document.as_ref().and_then(|document| document.text(at).ok().flatten());
        let clean = |words: &str| answer.secrets.clean(words);
        let code = CODES.iter().find_map(|at| text(at)).and_then(clean);
        let words = match &document {
            Some(document) => words::of_json(document.whole()),
            None => words::of_text(&answer.body).or_else(|| challenge(answer)),
        };
        let words = words.and_then(|words| clean(&words)).filter(|words| Some(words) != code.as_ref());
        let shown =
            document.as_ref().and_then(|document| words::code_of_json(document.whole(), answer.status.as_u16()));
        let shown =
            code.clone().or_else(|| shown.and_then(|code| clean(&code))).filter(|code| Some(code) != words.as_ref());
        let said = match (shown, words) {
            (Some(code), Some(words)) => format!("{code}: {words}"),
            (Some(code), None) => code,
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
    pub(super) fn of_success(answer: &HttpResponse) -> Option<Self> {
        let document = Document::parse(&answer.body).ok()?;
        document.at("/error")?;
        drop(document);
        Some(Self::of(answer))
    }

    /// A success without what was asked for: what is wrong with it, and what it says itself.
    pub(super) fn beside(problem: &AnswerError, answer: &HttpResponse) -> SourceError {
        let error = answer.unread(problem);
        // A text without a space may be the token itself.
        let is_said = |words: &String| words.contains(char::is_whitespace);
        let words = match Document::parse(&answer.body) {
            Ok(document) => words::of_json(document.whole()).filter(is_said),
            Err(AnswerError::Html) => words::of_text(&answer.body),
            Err(_) => None,
        };
        match words.and_then(|words| answer.secrets.clean(&words)) {
            Some(words) => SourceError { message: format!("{}; it says: {words}", error.message), ..error },
            None => error,
        }
    }

    /// The same of an answer to a refresh token: what is refused without a code (glewlwyd), or by `invalid_request`
    /// (lemonldap-ng), is most likely the refresh token, and no retry makes it good. `login`: whose login brings another one.
    pub(super) fn of_a_refresh_token(mut self, answer: &HttpResponse, login: Option<&TokenName>) -> Self {
        let status = answer.status.as_u16();
        let says_no = answer.status.is_success() || NO.contains(&status);
        let unnamed = says_no && (self.code.is_none() || self.is(&["invalid_request"]));
        if self.error.reason == Reason::InvalidAnswer && unnamed {
            self.error.reason = Reason::Rejected;
        }
        if self.error.reason != Reason::Rejected || self.is(&["invalid_client", "unauthorized_client"]) {
            return self;
        }
        self.error.doubt = Some(Doubt::Refused);
        let is_sure = self.is(&["invalid_grant"]);
        if login.is_some() && (is_sure || !matches!(status, 401 | 403)) {
            self.error.reason = Reason::Login;
        }
        let remedy = match login {
            Some(name) => format!("a person has to log in again, by `renewd login {name}`"),
            None => "a new first one is needed in refresh_token".into(),
        };
        self.error.message.push_str(&match status {
            _ if is_sure => format!("; {remedy}"),
            401 | 403 => {
                format!("; if the client's credential is right, its refresh token is spent or revoked, and {remedy}")
            }
            _ => format!("; most likely its refresh token is spent, revoked or expired: then {remedy}"),
        });
        self
    }

    pub(super) fn is(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

/// What stands in WWW-Authenticate (RFC 6750 3): for some servers the only place.
fn challenge(answer: &HttpResponse) -> Option<String> {
    let value = answer.headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    value.contains("error").then(|| value.to_owned())
}

fn reason(answer: &HttpResponse, code: Option<&str>) -> Reason {
    let is_named = matches!(code, Some("invalid_grant" | "invalid_client" | "unauthorized_client"));
    match (answer.reason(), code) {
        // It was judged, if by the last request that a limit allowed.
        _ if is_named && NO.contains(&answer.status.as_u16()) => Reason::Rejected,
        (Reason::Unreachable, _) => Reason::Unreachable,
        _ if is_named => Reason::Rejected,
        (_, Some("server_error" | "temporarily_unavailable" | "slow_down")) => Reason::Unreachable,
        (by_status, _) => by_status,
    }
}
