//! Owns: `source = "http"`.
//! Does not: send anything.

use super::Making;
use crate::core::config::RawHttp;
use crate::core::settings::HttpSettings;

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
