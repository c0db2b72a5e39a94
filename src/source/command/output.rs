//! Owns: what a program's output means: the bare token, JSON with pointers, or kubectl's ExecCredential.
//! Does not: run it.

use crate::core::crypto::without_newline;
use crate::core::engine::Reason;
use crate::core::settings::Pointers;
use crate::source::SourceError;
use crate::source::answer::TokenResponse;
use crate::source::document::{AnswerError, Document, TokenError, TrimmedToken, without_mark};

/// `apiVersion` of an ExecCredential, before its version.
const KUBERNETES: &str = "client.authentication.k8s.io/";

/// Why an output is of no use. Never quotes it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum OutputError {
    #[error("it printed nothing")]
    Empty,
    #[error("what it printed is no token: {0}")]
    Token(TokenError),
    #[error("it printed JSON: say by response = {{ token = \"/...\" }} where the token stands")]
    Unmapped,
    #[error("the output: {0}")]
    Answer(#[from] AnswerError),
    #[error("it printed an ExecCredential of a version that is not understood: v1 and v1beta1 are")]
    Version,
    #[error("it printed an ExecCredential with a client certificate and no token: only tokens can be delivered")]
    Certificate,
}

impl From<OutputError> for SourceError {
    fn from(error: OutputError) -> Self {
        Self::new(Reason::InvalidAnswer, error.to_string())
    }
}

/// Reads an output.
pub(super) fn read(printed: &[u8], response: Option<&Pointers>) -> Result<TokenResponse, OutputError> {
    if without_mark(printed).trim_ascii().is_empty() {
        return Err(OutputError::Empty);
    }
    if let Some(pointers) = response {
        return Ok(TokenResponse::read(printed, pointers)?);
    }
    // No token begins like an object (RFC 6750 2.1).
    if without_mark(printed).trim_ascii_start().starts_with(b"{") {
        return exec_credential(&Document::parse(printed)?);
    }
    // The newline that programs end their output with is nothing odd.
    let token = str::from_utf8(without_newline(printed)).map_err(|_| OutputError::Token(TokenError::Byte))?;
    Ok(TokenResponse::bare(TrimmedToken::of(token).map_err(OutputError::Token)?))
}

/// <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>
fn exec_credential(document: &Document) -> Result<TokenResponse, OutputError> {
    let version = document.text("/apiVersion").ok().flatten().and_then(|text| text.strip_prefix(KUBERNETES));
    match version {
        Some("v1" | "v1beta1") => {}
        Some(_) => return Err(OutputError::Version),
        None => return Err(OutputError::Unmapped),
    }
    if document.at("/status/token").is_none() && document.at("/status/clientCertificateData").is_some() {
        return Err(OutputError::Certificate);
    }
    let pointers = Pointers {
        token: "/status/token".into(),
        expires_in: None,
        expires_at: Some("/status/expirationTimestamp".into()),
        refresh_token: None,
    };
    Ok(TokenResponse::of(document, &pointers)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Wall;
    use crate::source::expiry::ToldEnd;

    fn token(printed: &str) -> Result<String, OutputError> {
        read(printed.as_bytes(), None).map(|answered| answered.token.expose().clone())
    }

    #[test]
    fn a_bare_token_loses_what_stands_around_it() {
        let remarks = |printed: &str| read(printed.as_bytes(), None).unwrap().remarks.len();
        for printed in ["abc", "abc\n", "abc\r\n"] {
            assert_eq!((token(printed), remarks(printed)), (Ok("abc".into()), 0), "{printed:?}");
        }
        for printed in ["abc\n\n", " abc", "abc ", "abc\r", "\u{feff}abc\n", "Bearer abc\n", "bearer:  abc"] {
            assert_eq!((token(printed), remarks(printed)), (Ok("abc".into()), 1), "{printed:?}");
        }
        for printed in ["abc def", "warning: old\nabc\n", "Bearer abc def", "Basic abc"] {
            assert_eq!(token(printed), Err(OutputError::Token(TokenError::Space)), "{printed:?}");
        }
        for printed in ["", "\n", " \r\n\n", "\u{feff}\n"] {
            assert_eq!(token(printed), Err(OutputError::Empty), "{printed:?}");
        }
        assert_eq!(read(b"\xff\xfe", None), Err(OutputError::Token(TokenError::Byte)));
        assert_eq!(token("ab\0c"), Err(OutputError::Token(TokenError::Byte)));
    }

    #[test]
    fn json_is_read_where_the_pointers_say() {
        let pointers = Pointers {
            token: "/accessToken".into(),
            expires_in: None,
            expires_at: Some("/expires_on".into()),
            refresh_token: None,
        };
        let printed = br#"{"accessToken":"abc","expires_on":1600000000}"#;
        let answered = read(printed, Some(&pointers)).unwrap();
        assert_eq!(
            (answered.token.expose().as_str(), answered.expiry.expires_at),
            ("abc", Some(ToldEnd::At(Wall::from_secs(1_600_000_000))))
        );
        assert_eq!(read(printed, None), Err(OutputError::Unmapped));
        assert_eq!(token(r#"{"apiVersion":"v1","kind":"List"}"#), Err(OutputError::Unmapped));
        assert!(matches!(read(b"abc", Some(&pointers)), Err(OutputError::Answer(AnswerError::Json(_)))));
        assert!(matches!(read(b"{}", Some(&pointers)), Err(OutputError::Answer(AnswerError::Absent(_)))));
        assert!(matches!(token("{\"apiVersion\""), Err(OutputError::Answer(AnswerError::Json(_)))));
    }

    #[test]
    fn an_exec_credential_is_recognised() {
        let credential = |version: &str, status: &str| {
            format!(
                "{{\n \"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/{version}\", \
                 \"spec\": {{\"interactive\": false}}, \"status\": {status}\n}}\n"
            )
        };
        for version in ["v1", "v1beta1"] {
            let printed = credential(version, r#"{"token":"abc","expirationTimestamp":"2020-09-13T12:26:40Z"}"#);
            let answered = read(printed.as_bytes(), None).unwrap();
            assert_eq!(answered.token.expose(), "abc");
            assert_eq!(answered.expiry.expires_at, Some(ToldEnd::At(Wall::from_secs(1_600_000_000))));
            let untold = credential(version, r#"{"token":"abc","expirationTimestamp":null}"#);
            assert_eq!(read(untold.as_bytes(), None).unwrap().expiry.expires_at, None);
        }
        let both = credential("v1", r#"{"token":"abc","clientCertificateData":"PEM","clientKeyData":"PEM"}"#);
        assert_eq!(token(&both), Ok("abc".into()));
        let certificate = credential("v1", r#"{"clientCertificateData":"PEM","clientKeyData":"PEM"}"#);
        assert_eq!(token(&certificate), Err(OutputError::Certificate));
        assert_eq!(token(&credential("v1alpha1", r#"{"token":"abc"}"#)), Err(OutputError::Version));
        let empty = AnswerError::Absent("/status/token".into());
        for status in ["null", "{}", r#"{"token":null}"#] {
            assert_eq!(token(&credential("v1", status)), Err(OutputError::Answer(empty.clone())), "{status}");
        }
    }
}
