//! Owns: addresses as written: token_url, issuer, url, api_url. What may be a password in one is not shown.
//! Does not: say what an address is (`core::address`).

use super::section::{Section, SectionReader};
use crate::core::address::{AddressError, parse};
use crate::core::diagnostic::{Diagnostic, Located};
use crate::core::pattern::Pattern;
use crate::core::redact::looks_opaque;

/// What an address may hold besides host and path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    Allowed,
    Refused,
}

/// The address under `name`.
pub(super) fn read(
    cx: &mut SectionReader<'_>,
    section: &Section<'_, '_>,
    name: &str,
    query: Query,
    allow_http: bool,
) -> Option<String> {
    let text = section.text(cx, name)?;
    hide(cx, section, name, &text.value);
    let wrong = match parse(&text.value, allow_http) {
        Ok(url) if query == Query::Refused && url.query().is_some() => AddressError::Query,
        Ok(_) => return Some(text.value),
        Err(wrong) => wrong,
    };
    tell(cx, name, &text, wrong);
    None
}

/// An address with placeholders, checked with something in their stead.
pub(super) fn check_pattern(
    cx: &mut SectionReader<'_>,
    name: &str,
    text: &Located<String>,
    pattern: &Pattern,
    allow_http: bool,
) {
    let parsed = |stub: &'static str| {
        // Each placeholder has something: it cannot be missing.
        let filled = pattern.fill(|_| Some(stub)).unwrap_or_default();
        parse(filled.expose(), allow_http)
    };
    match (parsed("a"), parsed("1")) {
        (Ok(one), Ok(other)) if one.origin() == other.origin() => {}
        (Err(wrong), _) if pattern.placeholders().next().is_none() => tell(cx, name, text, wrong),
        (Err(wrong), Err(other)) if wrong == other && wrong != AddressError::NotAUrl => tell(cx, name, text, wrong),
        _ => cx.diagnostics.push(
            Diagnostic::error(format!("`{name}` {}, or a placeholder stands in its host", AddressError::NotAUrl))
                .at(text.span)
                .help("write scheme and host out: who gets the credential is not to be decided by a token"),
        ),
    }
}

/// Hides an address that may hold a secret.
pub(super) fn hide(cx: &mut SectionReader<'_>, section: &Section<'_, '_>, name: &str, text: &str) {
    if text.contains('@') || looks_opaque(text) || !text.contains("://") {
        section.hide(cx, name);
    }
}

fn tell(cx: &mut SectionReader<'_>, name: &str, text: &Located<String>, wrong: AddressError) {
    cx.error(text.span, format!("`{name}` {wrong}"), wrong.help());
}
