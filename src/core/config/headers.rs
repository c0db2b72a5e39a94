//! Owns: `headers` as written: names and values that a request may have, and which of them renewd sets itself.
//! Does not: fill anything in.

use super::placeholders::{Placeholders, pairs};
use super::section::{Section, SectionReader};
use crate::core::diagnostic::{Diagnostic, Located, quote};
use crate::core::pattern::Pattern;
use crate::core::redact;

/// A name, the key that sets it, and what to do where both are there.
pub(super) type TakenHeader = (&'static str, &'static str, &'static str);

/// Header fields that follow from the request, or from how it is sent.
const OWN_HEADERS: [&str; 13] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "accept-encoding",
    "user-agent",
];

/// `headers`, in order. `taken`: names that another key sets, that key, and what to do then.
pub(super) fn read(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    taken: &[TakenHeader],
    placeholders: &mut Placeholders,
) -> Vec<(String, Pattern)> {
    let mut seen: Vec<Located<String>> = Vec::new();
    let mut headers = Vec::new();
    token.hide(cx, "headers");
    for (name, value) in pairs(cx, token, "headers", false) {
        let called = format!("headers.{}", redact::name(&name.value));
        let lower = name.value.to_ascii_lowercase();
        if let Some(problem) = refused(cx, token, taken, &name, &lower) {
            cx.diagnostics.push(problem);
            continue;
        }
        if let Some(before) = seen.iter().find(|before| before.value == lower) {
            let diagnostic = Diagnostic::error(format!("the header field {} stands twice", quote(&name.value)));
            let diagnostic = diagnostic.at(name.span).note(before.span, "also here");
            cx.diagnostics.push(diagnostic.help("keep one of the two: upper and lower case are the same"));
        }
        seen.push(Located { value: lower, span: name.span });
        // RFC 9110 5.5; what a placeholder brings is looked at when it is filled in.
        if !value.value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
            cx.error(
                value.span,
                format!("`{called}` holds what a header field cannot"),
                "visible ASCII characters and spaces",
            );
            continue;
        }
        if let Some(pattern) = placeholders.pattern(cx, &called, &value) {
            headers.push((name.value, pattern));
        }
    }
    headers
}

/// Why a header field of that name cannot be there.
fn refused(
    cx: &SectionReader<'_>,
    token: &Section<'_, '_>,
    taken: &[TakenHeader],
    name: &Located<String>,
    lower: &str,
) -> Option<Diagnostic> {
    let tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if lower.is_empty() || !lower.bytes().all(tchar) {
        let diagnostic =
            Diagnostic::error(format!("no header field can be called {}", quote(&name.value))).at(name.span);
        return Some(diagnostic.help("letters, digits and -, for instance: \"x-api-key\" (RFC 9110 5.1)"));
    }
    let own =
        Diagnostic::error(format!("`headers.{}` is set by renewd itself", redact::name(&name.value))).at(name.span);
    if OWN_HEADERS.contains(&lower) {
        return Some(own.help(if lower == "user-agent" { "use the key `user_agent`" } else { "remove it" }));
    }
    let mut beside = taken.iter().filter(|(taken, ..)| *taken == lower);
    beside.find_map(|(_, key, help)| Some(own.clone().note(token.key_span(cx, key)?, "sets it").help(*help)))
}
