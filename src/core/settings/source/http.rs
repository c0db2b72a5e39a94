//! Owns: `source = "http"`: any endpoint that answers JSON.
//! Does not: send anything.

use std::fmt;

use serde_json::{Value, json};

use super::parts::{FirstRefresh, Pointers, SecretText, patterns};
use super::reach::Reach;
use super::stage::{Ready, Stage};
use crate::core::pattern::Pattern;
use crate::core::settings::TokenName;

#[derive(Clone, Debug)]
pub struct HttpSettings<S: Stage = Ready> {
    pub url: S::Must<Pattern>,
    pub method: String,
    pub headers: Vec<(String, Pattern)>,
    /// Sent as `Authorization: Bearer` (RFC 6750 2.1).
    pub bearer: Option<TokenName>,
    pub body: S::Must<Body>,
    pub secret: Option<S::Text>,
    pub refresh_token: Option<S::Refresh>,
    pub response: S::Must<Pointers>,
    pub reach: Reach<S>,
}

#[derive(Clone)]
pub enum Body {
    None,
    /// application/x-www-form-urlencoded, in order.
    Form(Vec<(String, Pattern)>),
    /// Its strings are patterns, at any depth; each was found good.
    Json(Value),
}

impl<S: Stage> HttpSettings<S> {
    /// Ready for use, with what its credentials are.
    pub(crate) fn ready(
        &self,
        secret: Option<SecretText>,
        refresh_token: Option<FirstRefresh>,
        reach: Reach,
    ) -> Option<HttpSettings> {
        Some(HttpSettings {
            url: S::known(&self.url)?.clone(),
            method: self.method.clone(),
            headers: self.headers.clone(),
            bearer: self.bearer.clone(),
            body: S::known(&self.body)?.clone(),
            secret,
            refresh_token,
            response: S::known(&self.response)?.clone(),
            reach,
        })
    }
}

impl HttpSettings {
    /// What a token follows from, but for credentials.
    pub(crate) fn canonical(&self) -> Value {
        let Self { url, method, headers, bearer, body, secret: _, refresh_token: _, response, reach: _ } = self;
        json!([
            url.source(),
            method,
            patterns(headers),
            bearer.as_ref().map(TokenName::as_str),
            match body {
                Body::Form(fields) => json!(["form", patterns(fields)]),
                Body::Json(body) => json!(["json", body]),
                Body::None => Value::Null,
            },
            response.canonical(),
        ])
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Form(fields) => f.debug_tuple("Form").field(fields).finish(),
            Self::Json(_) => f.write_str("Json(..)"),
        }
    }
}
