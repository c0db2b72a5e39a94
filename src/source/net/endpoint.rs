//! Owns: an address as people are shown it: scheme, name, port and path, without what may be a secret.
//! Does not: look up or connect to one.

use std::fmt;

use reqwest::Url;

use super::host::Host;
use crate::core::engine::Reason;
use crate::core::printable::cut;
use crate::source::error::SourceError;

/// In the place of a secret.
pub(crate) const MASK: &str = "[masked]";
/// A longer path is cut.
const LONGEST: usize = 120;
/// From here on a segment of letters and digits without a word in it may be a key, as in the address of a web hook.
const KEY_LENGTH: usize = 24;

/// What is asked, and how it is called in messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    pub host: Host,
    path: String,
}

impl Endpoint {
    /// `path` as it may be shown: see [`shown_path`].
    pub(super) fn new(host: Host, path: String) -> Self {
        Self { host, path }
    }

    /// An error that opens with this address.
    pub fn failure(&self, reason: Reason, message: &str) -> SourceError {
        SourceError::new(reason, format!("{self} {message}"))
    }

    pub(super) fn error(&self, error: &SourceError) -> SourceError {
        SourceError { message: format!("{self}: {}", error.message), ..error.clone() }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.path)
    }
}

/// The path of an address without what looks like a key; nothing of its query, where keys stand more often than not. Of `/` there is
/// nothing to show.
pub(crate) fn shown_path(url: &Url) -> String {
    let segment = |segment| if looks_like_a_key(segment) { MASK } else { segment };
    let path: Vec<&str> = url.path().split('/').map(segment).collect();
    match path.join("/").as_str() {
        "/" => String::new(),
        path => cut(path, LONGEST),
    }
}

/// Long, of letters and digits mixed, and no UUID (those of tenants stand in many addresses), version or host name.
fn looks_like_a_key(segment: &str) -> bool {
    let is_key_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~' | b'=' | b'%' | b':');
    let has = |kind: fn(&u8) -> bool| segment.bytes().any(|b| kind(&b));
    let is_uuid = segment.len() == 36 && segment.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let is_jwt = segment.split('.').count() == 3 && segment.starts_with("ey");
    is_jwt || segment.len() >= KEY_LENGTH && segment.bytes().all(is_key_byte) && is_mixed && !is_uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        shown_path(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_path_is_shown_without_keys_and_query() {
        for (url, wanted) in [
            ("https://idp.example", ""),
            ("https://idp.example/?key=hunter2", ""),
            ("https://u:hunter2@idp.example/oauth2/v2.0/token?key=hunter2#hunter2", "/oauth2/v2.0/token"),
            (
                "https://l.example/6babcaad-604b-40ac-a9d7-9fd97c0b779f/oauth2/v2.0/token",
                "/6babcaad-604b-40ac-a9d7-9fd97c0b779f/oauth2/v2.0/token",
            ),
            ("https://h.example/services/T00/X1yZ2wV3uT4sR5qP6oN7mL8k", "/services/T00/[masked]"),
            ("https://h.example/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/x", "/[masked]/x"),
            ("https://h.example/eyJh.eyJi.c2ln/x", "/[masked]/x"),
            ("https://h.example/v1/[masked]/token", "/v1/[masked]/token"),
            (
                "https://h.example/app/installations/123456789012345678901234567/access_tokens",
                "/app/installations/123456789012345678901234567/access_tokens",
            ),
            ("https://h.example/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server"),
        ] {
            assert_eq!(shown(url), wanted, "{url}");
        }
        assert_eq!(shown(&format!("https://h.example/{}", "a/".repeat(500))).chars().count(), LONGEST + 3);
    }
}
