//! Owns: `subject_token` of `source = "oauth2"` as written (RFC 8693 2.1).
//! Does not: read its file.

use super::keys::{KeyEntries, entries};
use super::reach;
use super::section::{Section, SectionReader};
use super::value::is_visible;
use crate::core::settings::SubjectToken;

pub(super) const KEYS: KeyEntries = &[&entries! {
    /// A file, read each time it is needed. Its change triggers nothing.
    file: Path = r#""/run/id.jwt""#;
    /// Instead of a file: another token of this config.
    token: Text = r#""sunbird""#;
    /// What it is (RFC 8693 3).
    type: Text = r#""urn:ietf:params:oauth:token-type:jwt""#, default(r#""urn:ietf:params:oauth:token-type:jwt""#);
}];

/// What is exchanged, and its type.
pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<(SubjectToken, String)> {
    let subject = token.table(cx, "subject_token")?;
    let (file, parent) = (subject.path(cx, "file"), reach::token_name(cx, &subject, "token"));
    let of_type = subject.text(cx, "type");
    if let Some(of_type) = of_type.as_ref().filter(|text| !text.value.contains(':') || !is_visible(&text.value)) {
        let help = format!("a URI: \"{}\"", subject.default("type"));
        cx.error(of_type.span, "`subject_token.type` is not the URI of a token's type (RFC 8693 3)", help);
    }
    match (subject.key_span(cx, "file"), subject.key_span(cx, "token")) {
        (Some(first), Some(second)) => cx.beside("subject_token.file", first, "subject_token.token", second),
        (None, None) => cx.error(
            subject.header,
            "`subject_token` does not say where it is",
            "add subject_token.file, or subject_token.token = \"NAME\"",
        ),
        _ => {}
    }
    let source = match (file, &parent) {
        (Some(file), _) => SubjectToken::File(file.value),
        (None, Some(parent)) => SubjectToken::Token(parent.value.clone()),
        (None, None) => return None,
    };
    cx.parents.extend(parent);
    Some((source, of_type.map_or_else(|| subject.default("type").into(), |text| text.value)))
}
