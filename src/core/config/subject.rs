//! Owns: `subject_token` of `source = "oauth2"` as written (RFC 8693 2.1).
//! Does not: read its file.

use super::keys::{Key, Keys, Kind};
use super::reach;
use super::section::{Reader, Section};
use super::value::is_visible;
use crate::core::finding::At;
use crate::core::settings::{SubjectToken, TokenName};

pub(super) const KEYS: Keys = &[&[
    Key::new(
        "file",
        Kind::Path,
        r#""/run/id.jwt""#,
        "A file, read each time it is needed. Its change triggers nothing.",
    ),
    Key::new("token", Kind::Text, r#""sunbird""#, "Instead of a file: another token of this config."),
    Key::new("type", Kind::Text, r#""urn:ietf:params:oauth:token-type:jwt""#, "What it is (RFC 8693 3).")
        .default(r#""urn:ietf:params:oauth:token-type:jwt""#),
]];

/// What is exchanged, its type, and the token of the config that it is.
pub(super) type Subject = ((SubjectToken, String), Option<At<TokenName>>);

pub(super) fn read(cx: &mut Reader<'_>, token: &Section<'_, '_>) -> Option<Subject> {
    let subject = token.table(cx, "subject_token")?;
    let (file, parent) = (subject.path(cx, "file"), reach::token_name(cx, &subject, "token"));
    let of_type = subject.text(cx, "type");
    if let Some(of_type) = of_type.as_ref().filter(|text| !text.value.contains(':') || !is_visible(&text.value)) {
        let help = format!("a URI: \"{}\"", subject.default("type"));
        cx.error(of_type.place, "`subject_token.type` is not the URI of a token's type (RFC 8693 3)", help);
    }
    match (subject.key_place(cx, "file"), subject.key_place(cx, "token")) {
        (Some(first), Some(second)) => cx.beside("subject_token.file", first, "subject_token.token", second),
        (None, None) => cx.error(
            subject.header,
            "`subject_token` says not where it is",
            "add subject_token.file, or subject_token.token = \"NAME\"",
        ),
        _ => {}
    }
    let source = match (&file, &parent) {
        (Some(file), _) => SubjectToken::File(file.value.clone()),
        (None, Some(parent)) => SubjectToken::Token(parent.value.clone()),
        (None, None) => return None,
    };
    Some(((source, of_type.map_or_else(|| subject.default("type").into(), |text| text.value)), parent))
}
