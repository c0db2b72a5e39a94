//! Owns: `source = "http"`.
//! Does not: send anything.

use serde_json::{Value, json};

use super::{Making, patterns, pointers};
use crate::core::config::RawHttp;
use crate::core::settings::{Body, HttpSettings};

pub(super) fn plan<'r>(raw: &'r RawHttp, making: &mut Making<'_, 'r>) -> Option<HttpSettings> {
    let secret = making.secret(raw.secret.as_ref());
    let refresh_token = raw.refresh_token.as_ref().and_then(|raw| making.first_refresh(raw));
    let reach = making.reach(&raw.reach);
    Some(HttpSettings {
        url: raw.url.clone()?,
        method: raw.method.clone(),
        headers: raw.headers.clone(),
        bearer: raw.bearer.clone(),
        body: raw.body.clone()?,
        secret,
        refresh_token,
        response: raw.response.clone()?,
        reach,
    })
}

pub(super) fn made_from(raw: &RawHttp) -> Value {
    json!([
        raw.url.as_ref().map(|url| url.source()),
        raw.method,
        patterns(&raw.headers),
        raw.bearer.as_ref().map(|bearer| bearer.as_str()),
        match &raw.body {
            Some(Body::Form(fields)) => json!(["form", patterns(fields)]),
            Some(Body::Json(body)) => json!(["json", body]),
            Some(Body::None) | None => Value::Null,
        },
        pointers(raw.response.as_ref()),
    ])
}
