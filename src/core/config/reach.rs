//! Owns: how an endpoint is reached, and where the members of an answer stand, as written.
//! Does not: read certificates, or know what an answer means.

use super::credential;
use super::keys::{KeyEntry, entries};
use super::section::{Section, SectionReader};
use super::stage::Written;
use crate::core::diagnostic::{Located, quote};
use crate::core::settings::{Pointers, Reach, TokenName};

/// The keys of a token that is asked of an endpoint.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// Certificates (PEM) that are trusted beside those of the system.
    ca_file: Path = r#""ca.pem""#;
    ..TIMEOUT;
    ..TTL;
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
        allow_http: token.bool_or_default(cx, "allow_http"),
    }
}

/// `response`: one pointer each.
pub(super) fn response(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<Pointers> {
    let response = token.table(cx, "response")?;
    let mut pointer = |name: &str| {
        if !response.knows(name) {
            return None;
        }
        let text = response.text(cx, name)?;
        if is_pointer(&text.value) {
            return Some(text.value);
        }
        cx.error(
            text.span,
            format!("{} is not a JSON pointer", quote(&text.value)),
            "a slash before each member's name: \"/result/access_token\" (RFC 6901); ~0 is a tilde, ~1 a slash in a name",
        );
        None
    };
    let (token, expires_in, expires_at) = (pointer("token"), pointer("expires_in"), pointer("expires_at"));
    let refresh_token = pointer("refresh_token");
    Some(Pointers { token: token?, expires_in, expires_at, refresh_token })
}

/// RFC 6901 3.
fn is_pointer(text: &str) -> bool {
    let escapes_are_known = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes_are_known
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        for good in ["", "/", "/a", "/a/b/0", "/a~1b/~0", "/é", "//"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["a", "result.access_token", "#/a", "/a~", "/~2", "$.a"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}
