//! Owns: what an endpoint or a program answered: JSON read strictly, what stands at each pointer (RFC 6901), and whether
//! the token is fit for a header.
//! Does not: fetch it, or know what an error answer means.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroize;

use super::Given;
use super::error::SourceError;
use super::expiry::{self, ExpiryError, KnownExpiry};
use super::net;
use crate::core::credential::RefreshToken;
use crate::core::engine::Reason;
use crate::core::jose::MAX_TOKEN;
use crate::core::json::{self, JsonError};
use crate::core::printable::cut;
use crate::core::schedule::Life;
use crate::core::secret::Secret;
use crate::core::settings::Pointers;
use crate::core::time::Wall;
use crate::core::token::Token;

/// Characters of a scope that are kept: more are of no use to anybody.
const LONGEST_SCOPE: usize = 8192;

/// Why an answer is of no use. Names where it is wrong, and never quotes it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnswerError {
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
    #[error("what the answer has at {at:?} is of no use: {problem}")]
    Token { at: String, problem: TokenError },
    #[error("what the answer has at {at:?} is of no use: {problem}")]
    Expiry { at: String, problem: ExpiryError },
    #[error("the token is of a type that is not understood: only \"Bearer\" is (RFC 6749 7.1)")]
    TokenType,
}

impl net::HttpResponse {
    /// An error about a successful answer that holds nothing to be read.
    pub fn unread(&self, problem: &AnswerError) -> SourceError {
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
pub enum TokenError {
    #[error("it is empty")]
    Empty,
    #[error("it is {0} bytes long, and no token is longer than {MAX_TOKEN}")]
    TooLong(usize),
    #[error("it has a space or a newline in it")]
    Space,
    #[error("it has a byte in it that is not visible ASCII")]
    Byte,
}

/// What an answer holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TokenResponse {
    pub token: Secret<String>,
    pub expires_in: Option<Duration>,
    pub expires_at: Option<Wall>,
    pub refresh_token: Option<Secret<String>>,
    /// How long the refresh token is good for.
    pub refresh_expires_in: Option<Duration>,
    pub scope: Option<String>,
}

/// A JSON document with secrets somewhere in it: its texts are wiped when it is dropped.
pub(crate) struct Document(Value);

impl Document {
    /// Reads one JSON value. A byte order mark before it is passed over (RFC 8259 8.1).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, AnswerError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match body.trim_ascii_start().first() {
            None => Err(AnswerError::Empty),
            Some(b'<') => Err(AnswerError::Html),
            Some(_) => Ok(Self(json::parse(body)?)),
        }
    }

    /// What stands at a pointer; `None` where nothing or null does.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The text at a pointer, where there is one.
    pub(crate) fn text(&self, pointer: &str) -> Result<Option<&str>, AnswerError> {
        match self.at(pointer) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(AnswerError::NoString { at: pointer.to_owned(), found: kind(other) }),
        }
    }

    /// The token at a pointer: it has to be there, and fit for a header.
    pub(crate) fn token(&self, pointer: &str) -> Result<Secret<String>, AnswerError> {
        let text = self.text(pointer)?.ok_or_else(|| AnswerError::Absent(pointer.to_owned()))?;
        check_token(text.as_bytes()).map_err(|problem| AnswerError::Token { at: pointer.to_owned(), problem })?;
        Ok(Secret::new(text.to_owned()))
    }

    pub(crate) fn span(&self, pointer: &str) -> Result<Option<Duration>, AnswerError> {
        let value = self.at(pointer).map(expiry::span).transpose();
        value.map(Option::flatten).map_err(|problem| AnswerError::Expiry { at: pointer.to_owned(), problem })
    }

    pub(crate) fn moment(&self, pointer: &str) -> Result<Option<Wall>, AnswerError> {
        let value = self.at(pointer).map(expiry::moment).transpose();
        value.map(Option::flatten).map_err(|problem| AnswerError::Expiry { at: pointer.to_owned(), problem })
    }

    /// How long a refresh token lasts that stands in the object at `parent`. No standard has a name for it: the first is
    /// Microsoft's and GitHub's, the second Keycloak's. 0 is "for good" there, and what cannot be read says nothing: the token
    /// itself is as good without it.
    fn refresh_expires_in(&self, parent: &str) -> Option<Duration> {
        let names = ["refresh_token_expires_in", "refresh_expires_in"];
        names.iter().find_map(|name| self.span(&format!("{parent}/{name}")).ok().flatten())
    }

    /// The scope that was granted (RFC 6749 5.1): a text, or as some write it, a list of texts. Nothing else says anything.
    fn scope(&self) -> Option<String> {
        let text = match self.at("/scope")? {
            Value::String(text) => text.clone(),
            Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()?.join(" "),
            _ => return None,
        };
        Some(cut(&text, LONGEST_SCOPE))
    }

    /// A refresh token: anything that can be sent back in a form or JSON (RFC 6749 A.17). An empty one is none.
    pub(crate) fn refresh_token(&self, pointer: &str) -> Result<Option<Secret<String>>, AnswerError> {
        let Some(text) = self.text(pointer)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let problem = match text {
            _ if text.len() > MAX_TOKEN => TokenError::TooLong(text.len()),
            _ if text.bytes().any(|b| !matches!(b, b' '..=b'~')) => TokenError::Byte,
            _ => return Ok(Some(Secret::new(text.to_owned()))),
        };
        Err(AnswerError::Token { at: pointer.to_owned(), problem })
    }
}

impl TokenResponse {
    /// Reads an answer whose members stand where `pointers` say.
    pub(crate) fn read(body: &[u8], pointers: &Pointers) -> Result<Self, AnswerError> {
        Self::of(&Document::parse(body)?, pointers)
    }

    pub(crate) fn of(document: &Document, pointers: &Pointers) -> Result<Self, AnswerError> {
        Ok(Self {
            token: document.token(&pointers.token)?,
            expires_in: pointers.expires_in.as_deref().map_or(Ok(None), |at| document.span(at))?,
            expires_at: pointers.expires_at.as_deref().map_or(Ok(None), |at| document.moment(at))?,
            refresh_token: pointers.refresh_token.as_deref().map_or(Ok(None), |at| document.refresh_token(at))?,
            refresh_expires_in: (pointers.refresh_token.as_deref().and_then(|at| at.rsplit_once('/')))
                .and_then(|(parent, _)| document.refresh_expires_in(parent)),
            scope: None,
        })
    }

    /// Reads a successful answer of a token endpoint (RFC 6749 5.1). Its token_type is to be Bearer in any case of letters;
    /// one that is left out, and `N_A` of a token exchange (RFC 8693 2.2.1), are taken too.
    pub(crate) fn of_oauth2(body: &[u8]) -> Result<Self, AnswerError> {
        let document = Document::parse(body)?;
        let answered = Self {
            token: document.token("/access_token")?,
            expires_in: document.span("/expires_in")?,
            expires_at: None,
            refresh_token: document.refresh_token("/refresh_token")?,
            refresh_expires_in: document.refresh_expires_in(""),
            scope: document.scope(),
        };
        match document.text("/token_type")? {
            None => Ok(answered),
            Some(kind) if ["bearer", "n_a"].iter().any(|known| kind.eq_ignore_ascii_case(known)) => Ok(answered),
            Some(_) => Err(AnswerError::TokenType),
        }
    }

    /// The token with its expiry: see [`expiry::of`]. `refresh_token` is what the next one is obtained with.
    pub(crate) fn token(
        self,
        given: &Given,
        ttl: Option<Duration>,
        sent: Wall,
        refresh_token: Option<RefreshToken>,
    ) -> Result<Token, ExpiryError> {
        let (told, now) = (KnownExpiry { expires_in: self.expires_in, expires_at: self.expires_at, ttl }, given.now());
        let expires_at = expiry::of(self.token.expose(), told, sent, now)?;
        let life = Life { issued_at: sent, expires_at: Some(expires_at), obtained_at: now };
        let refresh_token = refresh_token.map(Box::new);
        Ok(Token { refresh_token, scope: self.scope, ..Token::new(given.name.clone(), self.token, life) })
    }
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Overwrites every text of a value.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
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

impl From<ExpiryError> for SourceError {
    fn from(error: ExpiryError) -> Self {
        Self::new(Reason::InvalidAnswer, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::settings::TokenName;
    use crate::source::Shared;

    const SUNBIRD: &str = r#"{"result":{"access_token":"abc","expires_in":0,"refresh_token":"next"}}"#;

    fn pointers() -> Pointers {
        Pointers {
            token: "/result/access_token".into(),
            expires_in: Some("/result/expires_in".into()),
            expires_at: None,
            refresh_token: Some("/result/refresh_token".into()),
        }
    }

    fn read(body: &str) -> Result<TokenResponse, AnswerError> {
        TokenResponse::read(body.as_bytes(), &pointers())
    }

    fn problem(body: &str) -> String {
        let error = read(body).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        error
    }

    #[test]
    fn members_are_found_where_the_pointers_say() {
        let wanted = TokenResponse {
            token: Secret::new("abc".into()),
            expires_in: None,
            expires_at: None,
            refresh_token: Some(Secret::new("next".into())),
            refresh_expires_in: None,
            scope: None,
        };
        assert_eq!(read(SUNBIRD), Ok(wanted.clone()));
        assert_eq!(read(&format!("\u{feff} {SUNBIRD}\r\n")), Ok(wanted));
        let odd = Pointers { token: "/a~1b/~0/1".into(), expires_in: None, expires_at: None, refresh_token: None };
        let answered = TokenResponse::read(br#"{"a/b":{"~":["x","abc"]}}"#, &odd).unwrap();
        assert_eq!(answered.token.expose(), "abc");
        let whole = Pointers { token: String::new(), ..odd };
        assert_eq!(TokenResponse::read(br#""abc""#, &whole).unwrap().token.expose(), "abc");
    }

    #[test]
    fn what_may_be_left_out_may_be_null() {
        for rest in ["", r#","expires_in":null,"refresh_token":null"#, r#","refresh_token":"""#] {
            let answered = read(&format!(r#"{{"result":{{"access_token":"abc"{rest}}}}}"#)).unwrap();
            assert_eq!((answered.expires_in, answered.refresh_token), (None, None), "{rest}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_not_quoted() {
        for (body, wanted) in [
            ("", "the answer is empty"),
            (" \n", "the answer is empty"),
            ("<!doctype html><p>hunter2", "a page of HTML"),
            ("hunter2", "it is not JSON (line 1, column 1)"),
            (r#"{"result":"hunter2","result":1}"#, "a member of it stands twice"),
            (r#"{"error":"hunter2"}"#, r#"nothing at "/result/access_token""#),
            (r#"{"result":{"access_token":null}}"#, r#"nothing at "/result/access_token""#),
            (r#"{"result":{"access_token":7}}"#, r#"a number at "/result/access_token", not a string"#),
            (r#"{"result":{"access_token":["hunter2"]}}"#, r#"an array at "/result/access_token""#),
            (r#"{"result":{"access_token":""}}"#, "it is empty"),
            (r#"{"result":{"access_token":"hunter2 hunter2"}}"#, "a space or a newline"),
            (r#"{"result":{"access_token":"hunter2\n"}}"#, "a space or a newline"),
            (r#"{"result":{"access_token":"hunter2\u0000"}}"#, "not visible ASCII"),
            (r#"{"result":{"access_token":"hünter2"}}"#, "not visible ASCII"),
            (r#"{"result":{"access_token":"a","expires_in":"hunter2"}}"#, r#"at "/result/expires_in" is of no use"#),
            (r#"{"result":{"access_token":"a","expires_in":-5}}"#, "it is negative"),
            (
                r#"{"result":{"access_token":"a","refresh_token":{"hunter2":1}}}"#,
                "an object at \"/result/refresh_token\"",
            ),
            (
                r#"{"result":{"access_token":"a","refresh_token":"hunter2\n"}}"#,
                "at \"/result/refresh_token\" is of no use",
            ),
        ] {
            assert!(problem(body).contains(wanted), "{body}: {}", problem(body));
        }
        assert!(
            problem(&format!(r#"{{"result":{{"access_token":"{}"}}}}"#, "a".repeat(MAX_TOKEN + 1))).contains("65537")
        );
    }

    #[test]
    fn a_token_endpoints_answer_is_a_bearer_token() {
        let read = |rest: &str| TokenResponse::of_oauth2(format!(r#"{{"access_token":"abc"{rest}}}"#).as_bytes());
        let answered = read(r#","token_type":"bearer","expires_in":"3600","refresh_token":"a b","scope":"x""#).unwrap();
        assert_eq!(answered.expires_in, Some(Duration::from_secs(3600)));
        assert_eq!(answered.refresh_token, Some(Secret::new("a b".into())));
        for taken in ["", r#","token_type":"BEARER""#, r#","token_type":"N_A""#, r#","token_type":null"#] {
            assert!(read(taken).is_ok(), "{taken}");
        }
        for refused in ["DPoP", "mac", "", "bearer "] {
            assert_eq!(read(&format!(r#","token_type":"{refused}""#)), Err(AnswerError::TokenType), "{refused}");
        }
        assert!(matches!(read(r#","token_type":7"#), Err(AnswerError::NoString { .. })));
    }

    #[test]
    fn the_end_of_a_refresh_token_stands_beside_it_or_nowhere() {
        let oauth2 = |rest: &str| {
            let body = format!(r#"{{"access_token":"abc","refresh_token":"next"{rest}}}"#);
            TokenResponse::of_oauth2(body.as_bytes()).unwrap().refresh_expires_in
        };
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(oauth2(r#","refresh_token_expires_in":15897600"#), seconds(15_897_600));
        assert_eq!(oauth2(r#","refresh_expires_in":"1800""#), seconds(1800));
        assert_eq!(oauth2(r#","refresh_token_expires_in":60,"refresh_expires_in":30"#), seconds(60));
        // What says nothing is no reason to throw the token away.
        for nothing in ["0", "null", "-1", "\"soon\"", "{}", "1e300"] {
            assert_eq!(oauth2(&format!(r#","refresh_expires_in":{nothing}"#)), None, "{nothing}");
        }
        let http = read(
            r#"{"refresh_expires_in":1,"result":{"access_token":"a","refresh_token":"r","refresh_expires_in":9}}"#,
        );
        assert_eq!(http.unwrap().refresh_expires_in, seconds(9));
    }

    #[test]
    fn a_scope_is_a_text_or_a_list_of_texts_and_never_an_error() {
        let scope = |scope: &str| {
            let body = format!(r#"{{"access_token":"abc","scope":{scope}}}"#);
            TokenResponse::of_oauth2(body.as_bytes()).unwrap().scope
        };
        assert_eq!(scope(r#""read write""#).as_deref(), Some("read write"));
        assert_eq!(scope(r#"["read","write"]"#).as_deref(), Some("read write"));
        assert_eq!(scope(r#""""#).as_deref(), Some(""));
        for nothing in ["null", "7", "{}", r#"["read",7]"#, "true"] {
            assert_eq!(scope(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let document = Document::parse(SUNBIRD.as_bytes()).unwrap();
        assert!(!format!("{document:?} {:?}", read(SUNBIRD)).contains("abc"));
    }

    #[test]
    fn an_answer_without_expiry_asks_for_ttl() {
        let (sent, shared) = (Wall(1000), Arc::new(Shared::new(|| Wall(2000))));
        let given = Given::new(TokenName::new("sunbird").unwrap(), sent, [0; 16], &shared);
        let error = read(SUNBIRD).unwrap().token(&given, None, sent, None).unwrap_err();
        let error = SourceError::from(error);
        assert_eq!(error.reason, Reason::InvalidAnswer);
        assert!(error.message.contains("set ttl"), "{error}");
        let got = read(SUNBIRD).unwrap().token(&given, Some(Duration::from_secs(5)), sent, None).unwrap();
        assert_eq!((got.life.issued_at, got.life.expires_at), (sent, Some(Wall(6000))));
    }
}
