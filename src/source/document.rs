//! Owns: what an endpoint or a program wrote: JSON, and what stands at each pointer (RFC 6901).
//! Does not: fetch it, or know what an error answer means.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::error::SourceError;
use super::expiry::{self, ExpiryError, ToldEnd};
use super::net;
use crate::core::engine::Reason;
use crate::core::jose::MAX_TOKEN;
use crate::core::json::{self, JsonError};
use crate::core::printable::cut;
use crate::core::secret::Secret;

/// Characters of a scope that are kept: more are of no use to anybody.
const LONGEST_SCOPE: usize = 8192;
/// A byte order mark.
const MARK: char = '\u{feff}';

/// Why an answer is of no use. Names where it is wrong, and never quotes it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("the answer is empty")]
    Empty,
    #[error("the answer is a page of HTML, not JSON: is it the right address?")]
    Html,
    #[error("the answer cannot be read: {0}")]
    Json(#[from] JsonError),
    #[error("the answer has nothing at {0:?}")]
    Absent(String),
    #[error("the answer has {found} at {at:?}, not a string")]
    NoString { at: String, found: &'static str },
    #[error("the answer has two different values at {0:?}: which of them is the token cannot be told")]
    Twice(String),
    #[error("what the answer has at {at:?} is of no use: {problem}")]
    Token { at: String, problem: TokenError },
    #[error(
        "the token is of the type {0}, which wants a proof with each request that no reader of a file has: ask for one of the type Bearer"
    )]
    NeedsProof(&'static str),
}

impl net::HttpResponse {
    /// An error about a successful answer that holds nothing to be read.
    pub(crate) fn unread(&self, problem: &AnswerError) -> SourceError {
        let kind = self.media_type();
        match problem {
            AnswerError::Html | AnswerError::Json(_) if !kind.is_empty() && !kind.ends_with("json") => {
                self.failure(&format!("{problem} (its content type is {kind})"))
            }
            _ => self.failure(&problem.to_string()),
        }
    }
}

/// Why a text is no token (RFC 6750 2.1, but any visible byte is taken).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("it is empty")]
    Empty,
    #[error("it is {0} bytes long, and no token is longer than {MAX_TOKEN}")]
    TooLong(usize),
    #[error("it has a space or a newline in it")]
    Space,
    #[error("it has a byte in it that is not visible ASCII")]
    Byte,
}

/// A JSON document with secrets somewhere in it: its texts are wiped when it is dropped.
pub(crate) struct Document {
    value: Value,
    /// Pointers to members that stand twice with different values.
    ambiguous: BTreeSet<String>,
}

impl Document {
    /// Reads one JSON value. A byte order mark before it is passed over (RFC 8259 8.1).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let body = without_mark(body);
        match body.trim_ascii_start().first() {
            None => Err(AnswerError::Empty),
            Some(b'<') => Err(AnswerError::Html),
            Some(_) => {
                let json::LenientJson { value, ambiguous } = json::parse_lenient(body)?;
                Ok(Self { value, ambiguous })
            }
        }
    }

    /// What stands at a pointer; `None` where nothing or null does.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer).filter(|value| !value.is_null())
    }

    pub(crate) fn whole(&self) -> &Value {
        &self.value
    }

    /// The text at a pointer, where there is one.
    pub(crate) fn text(&self, pointer: &str) -> Result<Option<&str>, AnswerError> {
        match self.at(pointer) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(AnswerError::NoString { at: pointer.to_owned(), found: kind(other) }),
        }
    }

    /// Whether what stands at a pointer is one of several values, be it that something above it stands twice.
    pub(crate) fn is_ambiguous(&self, pointer: &str) -> bool {
        let is_on_the_way = |at: &String| {
            pointer.strip_prefix(at.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.ambiguous.iter().any(is_on_the_way)
    }

    /// The token at a pointer: it has to be there, and fit for a header.
    pub(crate) fn token(&self, pointer: &str) -> Result<TrimmedToken, AnswerError> {
        let text = self.text(pointer)?.ok_or_else(|| AnswerError::Absent(pointer.to_owned()))?;
        if self.is_ambiguous(pointer) {
            return Err(AnswerError::Twice(pointer.to_owned()));
        }
        TrimmedToken::of(text).map_err(|problem| AnswerError::Token { at: pointer.to_owned(), problem })
    }

    pub(crate) fn span(&self, pointer: &str) -> Result<Option<ToldEnd>, ExpiryError> {
        self.at(pointer).map_or(Ok(None), expiry::span)
    }

    pub(crate) fn moment(&self, pointer: &str) -> Result<Option<ToldEnd>, ExpiryError> {
        self.at(pointer).map_or(Ok(None), expiry::moment)
    }

    /// When the refresh token ends that stands at `pointer`. No standard has a name for it: the first is Microsoft's and
    /// GitHub's, the second Keycloak's, the third Intuit's. 0 is "for good" there, and what cannot be read says nothing: the token
    /// itself is as good without it.
    pub(crate) fn refresh_end_beside(&self, pointer: &str) -> Option<ToldEnd> {
        let (parent, _) = pointer.rsplit_once('/')?;
        let names = ["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"];
        let told = names.iter().find_map(|name| self.span(&format!("{parent}/{name}")).ok().flatten());
        told.filter(|told| *told != ToldEnd::Zero)
    }

    /// The scope that was granted (RFC 6749 5.1): a text, or as some write it, a list of texts. Nothing else says anything.
    pub(crate) fn scope(&self) -> Option<String> {
        let text = match self.at("/scope")? {
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()?.join(" "),
            _ => return None,
        };
        Some(cut(&text, LONGEST_SCOPE))
    }

    /// A refresh token: anything that can be sent back in a form or JSON (RFC 6749 A.17), without line ends around it. An
    /// empty one is none.
    pub(crate) fn refresh_token(&self, pointer: &str) -> Result<Option<Secret<String>>, AnswerError> {
        let text = self.text(pointer)?.map(|text| text.trim_matches(['\r', '\n', MARK]));
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let problem = match text {
            _ if text.len() > MAX_TOKEN => TokenError::TooLong(text.len()),
            _ if text.bytes().any(|b| !matches!(b, b' '..=b'~')) => TokenError::Byte,
            _ => return Ok(Some(Secret::new(text.to_owned()))),
        };
        Err(AnswerError::Token { at: pointer.to_owned(), problem })
    }
}

/// A token, without what others put around one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TrimmedToken {
    pub token: Secret<String>,
    /// What was taken off, if anything.
    pub remark: Option<String>,
}

impl TrimmedToken {
    /// Takes white space, a byte order mark and the word `Bearer` off.
    pub(crate) fn of(text: &str) -> Result<Self, TokenError> {
        let is_around = |c: char| c.is_ascii_whitespace() || c == MARK;
        let bare = text.trim_matches(is_around);
        let (word, rest) = bare.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((bare, ""));
        let has_scheme = word.trim_end_matches(':').eq_ignore_ascii_case("bearer");
        let token = if has_scheme { rest.trim_matches(is_around) } else { bare };
        check_token(token.as_bytes())?;
        let remark = match (has_scheme, bare.len() < text.len()) {
            (true, _) => Some("has a token that begins with the word Bearer, which is taken off"),
            (false, true) => Some("has white space or a byte order mark around its token, which is taken off"),
            (false, false) => None,
        };
        Ok(Self { token: Secret::new(token.to_owned()), remark: remark.map(str::to_owned) })
    }
}

pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether a text can be sent as a bearer token and stored in a file of one line.
pub(crate) fn check_token(token: &[u8]) -> Result<(), TokenError> {
    match token {
        [] => Err(TokenError::Empty),
        _ if token.len() > MAX_TOKEN => Err(TokenError::TooLong(token.len())),
        _ if token.iter().any(u8::is_ascii_whitespace) => Err(TokenError::Space),
        _ if token.iter().all(u8::is_ascii_graphic) => Ok(()),
        _ => Err(TokenError::Byte),
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        json::wipe(&mut self.value);
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document(..)")
    }
}

impl From<AnswerError> for SourceError {
    fn from(error: AnswerError) -> Self {
        Self::new(Reason::InvalidAnswer, error.to_string())
    }
}
