//! Owns: how an endpoint is reached, and where the members of an answer stand, as written.
//! Does not: read certificates, or know what an answer means.

use super::keys::{KeyEntry, entries};
use super::section::{Section, SectionReader};
use super::stage::Written;
use super::{credential, pointer};
use crate::core::diagnostic::Located;
use crate::core::settings::{Pointers, Reach, TokenName};

/// The keys of a token that is asked of an endpoint.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// Certificates (PEM) that are trusted beside those of the system.
    ca_file: Path = r#""ca.pem""#;
    ..TIMEOUT;
    ..TTL;
    /// What stands in User-Agent. Default: renewd and its version.
    user_agent: Text = r#""jobs/1.0 (ops@example.com)""#;
    /// Allows plain http beyond loopback (127.0.0.0/8, ::1, localhost).
    allow_http: Bool = "true", default("false");
};

pub(super) const TIMEOUT: KeyEntry = entries! {
    /// How long one try may take.
    timeout: Span = r#""30s""#, default(r#""30s""#);
}[0];

pub(super) const TTL: KeyEntry = entries! {
    /// The lifetime at most, and the one of a token whose answer tells none.
    ttl: Span = r#""1h""#;
}[0];

/// Those of one that a program is asked for.
pub(super) const TIMES: &[KeyEntry] = &[TIMEOUT, TTL];

pub(super) const RESPONSE: &[KeyEntry] = &entries! {
    /// Where the token stands.
    token: Text = r#""/result/access_token""#, required;
    /// Where its lifetime in seconds stands.
    expires_in: Text = r#""/result/expires_in""#;
    /// Where its expiry stands: RFC 3339, or Unix seconds.
    expires_at: Text = r#""/result/expires_at""#;
};

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Reach<Written> {
    Reach {
        ca: credential::certificates(cx, token, "ca_file"),
        timeout: token.duration_or_default(cx, "timeout"),
        ttl: token.duration(cx, "ttl"),
        user_agent: token.visible(cx, "user_agent"),
        allow_http: token.bool_or_default(cx, "allow_http"),
    }
}

/// `response`: one pointer each.
pub(super) fn response(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<Pointers> {
    let response = token.table(cx, "response")?;
    let mut at = |name: &str| response.knows(name).then(|| pointer::read(cx, &response, name)).flatten();
    let (token, expires_in, expires_at) = (at("token"), at("expires_in"), at("expires_at"));
    let refresh_token = at("refresh_token");
    Some(Pointers { token: token?, expires_in, expires_at, refresh_token })
}

/// The name of another token. A token put there by mistake is not shown.
pub(super) fn token_name(
    cx: &mut SectionReader<'_>,
    section: &Section<'_, '_>,
    key: &str,
) -> Option<Located<TokenName>> {
    let text = section.text(cx, key)?;
    let name = TokenName::new(&text.value);
    if (name.is_none() || crate::core::redact::looks_opaque(&text.value))
        && let Some(value) = section.value(key)
    {
        cx.hide(value);
    }
    if name.is_none() {
        cx.error(text.span, format!("`{key}` is not a token's name"), "the NAME of a [token.NAME] of this config");
    }
    name.map(|name| Located { value: name, span: text.span })
}
