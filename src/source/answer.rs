//! Owns: an answer that holds a token: where its members stand, and what of them is needed. A token that came is not thrown
//! away for a member that is not.
//! Does not: read JSON (`document` does), or know what an error answer means.

use std::time::Duration;

use serde_json::Value;

use super::Given;
use super::document::{AnswerError, Document, TrimmedToken, kind};
use super::error::SourceError;
use super::expiry::{self, ExpiryError, KnownExpiry, ToldEnd};
use super::sent::SentSecrets;
use crate::core::credential::RefreshToken;
use crate::core::engine::Reason;
use crate::core::redact::peer_words;
use crate::core::schedule::Life;
use crate::core::secret::Secret;
use crate::core::settings::Pointers;
use crate::core::time::Wall;
use crate::core::token::Token;

/// Types of tokens that are sent with a proof (RFC 9449, RFC 6749 7.1), which nobody has who reads a token from a file.
const WITH_PROOF: [(&str, &str); 4] = [("dpop", "DPoP"), ("mac", "mac"), ("pop", "pop"), ("hmac", "hmac")];

/// What an answer holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TokenResponse {
    pub token: Secret<String>,
    pub expiry: KnownExpiry,
    pub refresh_token: Option<Secret<String>>,
    /// How long the refresh token is good for.
    pub refresh_end: Option<ToldEnd>,
    pub scope: Option<String>,
    /// What is odd and does no harm, each in words that follow "the answer".
    pub remarks: Vec<String>,
}

impl TokenResponse {
    /// A token of which nothing else is known.
    pub(crate) fn bare(token: TrimmedToken) -> Self {
        Self {
            token: token.token,
            expiry: KnownExpiry::default(),
            refresh_token: None,
            refresh_end: None,
            scope: None,
            remarks: Vec::from_iter(token.remark),
        }
    }

    /// Reads an answer whose members stand where `pointers` say.
    pub(crate) fn read(body: &[u8], pointers: &Pointers) -> Result<Self, AnswerError> {
        Self::of(&Document::parse(body)?, pointers)
    }

    pub(crate) fn of(document: &Document, pointers: &Pointers) -> Result<Self, AnswerError> {
        let mut answered = Self::bare(document.token(&pointers.token)?);
        if let Some(at) = &pointers.expires_in {
            answered.expiry.expires_in = answered.told(document, at, document.span(at));
        }
        if let Some(at) = &pointers.expires_at {
            answered.expiry.expires_at = answered.told(document, at, document.moment(at));
        }
        if let Some(at) = &pointers.refresh_token {
            answered.refresh(document, at);
        }
        Ok(answered)
    }

    /// Reads a successful answer of a token endpoint (RFC 6749 5.1). `secrets` went out for it: as with what came, nothing that
    /// is told of the answer holds one.
    pub(crate) fn of_oauth2(body: &[u8], mut secrets: SentSecrets) -> Result<Self, AnswerError> {
        let document = Document::parse(body)?;
        let mut answered = Self::bare(document.token("/access_token")?);
        answered.expiry.expires_in = answered.told(&document, "/expires_in", document.span("/expires_in"));
        answered.refresh(&document, "/refresh_token");
        let came = [Some(&answered.token), answered.refresh_token.as_ref()];
        secrets.add(came.into_iter().flatten().map(|secret| secret.expose().as_str()));
        answered.token_type(&document, &secrets)?;
        answered.scope = document.scope().filter(|scope| secrets.harmless(scope).is_some());
        Ok(answered)
    }

    /// Bearer in any case of letters, `N_A` of a token exchange (RFC 8693 2.2.1) and nothing at all are as expected. Others
    /// are names that servers have for the same ("BearerToken", "Application Access Token"), but for those with a proof.
    fn token_type(&mut self, document: &Document, secrets: &SentSecrets) -> Result<(), AnswerError> {
        let written = match document.at("/token_type") {
            None => return Ok(()),
            Some(Value::String(text)) => text.trim(),
            Some(other) => {
                self.remarks.push(format!(
                    "has {} for its token_type: the token is taken for one of the type Bearer",
                    kind(other)
                ));
                return Ok(());
            }
        };
        let mut words = written.split(|c: char| !c.is_ascii_alphanumeric());
        let with_proof = words.find_map(|word| WITH_PROOF.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)));
        if let Some((_, shown)) = with_proof {
            return Err(AnswerError::NeedsProof(shown));
        }
        if !["", "bearer", "n_a"].iter().any(|known| written.eq_ignore_ascii_case(known)) {
            let shown = match secrets.harmless(written) {
                Some(shown) => format!("the token_type {:?}", peer_words(shown)),
                None => "a token_type that holds a secret".into(),
            };
            self.remarks.push(format!("has {shown}: the token is taken for one of the type Bearer"));
        }
        Ok(())
    }

    fn told(&mut self, document: &Document, at: &str, read: Result<Option<ToldEnd>, ExpiryError>) -> Option<ToldEnd> {
        self.remark_twice(document, at);
        read.unwrap_or_else(|problem| {
            self.expiry.unread.push((at.to_owned(), problem));
            None
        })
    }

    fn remark_twice(&mut self, document: &Document, at: &str) {
        if document.is_ambiguous(at) {
            self.remarks.push(format!("has two different values at {at:?}: the last one counts"));
        }
    }

    fn refresh(&mut self, document: &Document, at: &str) {
        self.remark_twice(document, at);
        self.refresh_token = document.refresh_token(at).unwrap_or_else(|problem| {
            self.remarks.push(format!("has a refresh token that is of no use, and the one at hand is kept: {problem}"));
            None
        });
        self.refresh_end = document.refresh_end_beside(at);
    }

    /// The token with its expiry: see [`expiry::of`]. `refresh_token` is what the next one is obtained with.
    pub(crate) fn token(
        self,
        given: &Given,
        ttl: Option<Duration>,
        sent: Wall,
        refresh_token: Option<RefreshToken>,
    ) -> Result<Token, ExpiryError> {
        let known = KnownExpiry { ttl, is_single: refresh_token.is_some(), ..self.expiry };
        let now = given.now();
        let end = expiry::of(self.token.expose(), known, sent, now)?;
        for remark in self.remarks.iter().chain(&end.remarks) {
            given.remark(remark);
        }
        let life = Life { issued_at: sent, expires_at: Some(end.at), obtained_at: now };
        let refresh_token = refresh_token.map(Box::new);
        Ok(Token { refresh_token, scope: self.scope, ..Token::new(given.name.clone(), self.token, life) })
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
    use crate::core::jose::MAX_TOKEN;
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
        let bare = TrimmedToken { token: Secret::new("abc".into()), remark: None };
        let wanted = TokenResponse {
            expiry: KnownExpiry { expires_in: Some(ToldEnd::Zero), ..KnownExpiry::default() },
            refresh_token: Some(Secret::new("next".into())),
            ..TokenResponse::bare(bare)
        };
        assert_eq!(read(SUNBIRD), Ok(wanted.clone()));
        assert_eq!(read(&format!("\u{feff} {SUNBIRD}\r\n")), Ok(wanted));
        let odd = Pointers { token: "/a~1b/~0/1".into(), expires_in: None, expires_at: None, refresh_token: None };
        let answered = TokenResponse::read(br#"{"a/b":{"~":["x","abc"]}}"#, &odd).unwrap();
        assert_eq!(answered.token.expose(), "abc");
        let twice = TokenResponse::read(br#"{"a/b":{"~":["x","abc"]},"a/b":{"~":["x","def"]}}"#, &odd);
        assert_eq!(twice, Err(AnswerError::Twice(odd.token.clone())));
        let whole = Pointers { token: String::new(), ..odd };
        assert_eq!(TokenResponse::read(br#""abc""#, &whole).unwrap().token.expose(), "abc");
    }

    #[test]
    fn what_may_be_left_out_may_be_null() {
        for rest in ["", r#","expires_in":null,"refresh_token":null"#, r#","refresh_token":"""#] {
            let answered = read(&format!(r#"{{"result":{{"access_token":"abc"{rest}}}}}"#)).unwrap();
            assert_eq!((answered.expiry, answered.refresh_token), (KnownExpiry::default(), None), "{rest}");
            assert!(answered.remarks.is_empty(), "{rest}");
        }
    }

    #[test]
    fn a_token_is_taken_with_whatever_stands_beside_it() {
        for (body, remarks, unread) in [
            (r#"{"result":{"access_token":"abc","expires_in":"hunter2"}}"#, 0, 1),
            (r#"{"result":{"access_token":"abc","expires_in":-5}}"#, 0, 1),
            (r#"{"result":{"access_token":"abc","refresh_token":{"hunter2":1}}}"#, 1, 0),
            (r#"{"result":{"access_token":"abc","refresh_token":"hünter2"}}"#, 1, 0),
            (r#"{"result":{"access_token":"abc","refresh_token":"next\n"}}"#, 0, 0),
            (r#"{"result":{"access_token":"abc\r\n"}}"#, 1, 0),
            (r#"{"result":{"access_token":"Bearer abc"}}"#, 1, 0),
            (r#"{"x":"hunter2","x":1,"result":{"access_token":"abc","access_token":"abc"}}"#, 0, 0),
            (
                r#"{"access_token":1,"access_token":2,"x":{"result":1,"result":2},"result":{"access_token":"abc"}}"#,
                0,
                0,
            ),
        ] {
            let answered = read(body).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(answered.token.expose(), "abc", "{body}");
            assert_eq!((answered.remarks.len(), answered.expiry.unread.len()), (remarks, unread), "{body}");
            assert!(!answered.remarks.iter().any(|remark| remark.contains("hunter2")), "{answered:?}");
        }
        let latin = b"{\"result\":{\"access_token\":\"abc\"},\"name\":\"Gr\xfcn\"}";
        assert_eq!(TokenResponse::read(latin, &pointers()).unwrap().token.expose(), "abc");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_not_quoted() {
        for (body, wanted) in [
            ("", "the answer is empty"),
            (" \n", "the answer is empty"),
            ("<!doctype html><p>hunter2", "a page of HTML"),
            ("hunter2", "it is not JSON (line 1, column 1)"),
            (r#"{"result":{"access_token":"hunter2","access_token":"x"}}"#, "two different values at"),
            (r#"{"result":{"access_token":"hunter2"},"result":1}"#, "nothing at"),
            (r#"{"result":{"access_token":"hunter2"},"result":{"access_token":"x"}}"#, "two different values at"),
            (r#"{"error":"hunter2"}"#, r#"nothing at "/result/access_token""#),
            (r#"{"result":{"access_token":null}}"#, r#"nothing at "/result/access_token""#),
            (r#"{"result":{"access_token":7}}"#, r#"a number at "/result/access_token", not a string"#),
            (r#"{"result":{"access_token":["hunter2"]}}"#, r#"an array at "/result/access_token""#),
            (r#"{"result":{"access_token":""}}"#, "it is empty"),
            (r#"{"result":{"access_token":"Bearer "}}"#, "it is empty"),
            (r#"{"result":{"access_token":"hunter2 hunter2"}}"#, "a space or a newline"),
            (r#"{"result":{"access_token":"hunter2\u0000"}}"#, "not visible ASCII"),
            (r#"{"result":{"access_token":"hünter2"}}"#, "not visible ASCII"),
        ] {
            assert!(problem(body).contains(wanted), "{body}: {}", problem(body));
        }
        assert!(
            problem(&format!(r#"{{"result":{{"access_token":"{}"}}}}"#, "a".repeat(MAX_TOKEN + 1))).contains("65537")
        );
    }

    #[test]
    fn a_token_endpoints_answer_is_a_bearer_token_whatever_it_is_called() {
        let read = |rest: &str| {
            TokenResponse::of_oauth2(format!(r#"{{"access_token":"abc"{rest}}}"#).as_bytes(), SentSecrets::default())
        };
        let answered = read(r#","token_type":"bearer","expires_in":"3600","refresh_token":"a b","scope":"x""#).unwrap();
        assert_eq!(answered.expiry.expires_in, Some(ToldEnd::In(Duration::from_secs(3600))));
        assert_eq!(answered.refresh_token, Some(Secret::new("a b".into())));
        for usual in ["", r#","token_type":"BEARER""#, r#","token_type":"N_A""#, r#","token_type":null"#] {
            assert!(read(usual).unwrap().remarks.is_empty(), "{usual}");
        }
        for other in [r#""BearerToken""#, r#""Application Access Token""#, r#""jwt-bearer""#, r#""bot""#, "7", "{}"] {
            assert_eq!(read(&format!(r#","token_type":{other}"#)).unwrap().remarks.len(), 1, "{other}");
        }
        for refused in ["DPoP", "mac", "MAC", "pop", "HMAC-SHA-256", " dpop "] {
            let read = read(&format!(r#","token_type":"{refused}""#));
            assert!(matches!(read, Err(AnswerError::NeedsProof(_))), "{refused}");
        }
    }

    #[test]
    fn the_end_of_a_refresh_token_stands_beside_it_or_nowhere() {
        let oauth2 = |rest: &str| {
            let body = format!(r#"{{"access_token":"abc","refresh_token":"next"{rest}}}"#);
            TokenResponse::of_oauth2(body.as_bytes(), SentSecrets::default()).unwrap().refresh_end
        };
        let seconds = |n| Some(ToldEnd::In(Duration::from_secs(n)));
        assert_eq!(oauth2(r#","refresh_token_expires_in":15897600"#), seconds(15_897_600));
        assert_eq!(oauth2(r#","refresh_expires_in":"1800""#), seconds(1800));
        assert_eq!(oauth2(r#","x_refresh_token_expires_in":8726400"#), seconds(8_726_400));
        assert_eq!(oauth2(r#","refresh_token_expires_in":60,"refresh_expires_in":30"#), seconds(60));
        // What says nothing is no reason to throw the token away.
        for nothing in ["0", "null", "-1", "\"soon\"", "{}", "1e300"] {
            assert_eq!(oauth2(&format!(r#","refresh_expires_in":{nothing}"#)), None, "{nothing}");
        }
        let http = read(
            r#"{"refresh_expires_in":1,"result":{"access_token":"a","refresh_token":"r","refresh_expires_in":9}}"#,
        );
        assert_eq!(http.unwrap().refresh_end, seconds(9));
    }

    #[test]
    fn a_scope_is_a_text_or_a_list_of_texts_and_never_an_error() {
        let scope = |scope: &str| {
            let body = format!(r#"{{"access_token":"abc","scope":{scope}}}"#);
            TokenResponse::of_oauth2(body.as_bytes(), SentSecrets::default()).unwrap().scope
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
        let untold = r#"{"result":{"access_token":"abc"}}"#;
        let (sent, shared) = (Wall(1000), Arc::new(Shared::new(|| Wall(2000))));
        let given = Given::new(TokenName::new("sunbird").unwrap(), sent, [0; 16], &shared);
        let error = read(untold).unwrap().token(&given, None, sent, None).unwrap_err();
        let error = SourceError::from(error);
        assert_eq!(error.reason, Reason::InvalidAnswer);
        assert!(error.message.contains("set ttl"), "{error}");
        let got = read(untold).unwrap().token(&given, Some(Duration::from_secs(5)), sent, None).unwrap();
        assert_eq!((got.life.issued_at, got.life.expires_at), (sent, Some(Wall(6000))));
    }
}
