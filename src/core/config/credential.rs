//! Owns: credentials as written: which of the places one stands in. What may be one is not shown.
//! Does not: read them.

use std::borrow::Cow;
use std::sync::Arc;

use super::section::{Section, SectionReader};
use super::stage::{CredentialFrom, RawCredential};
use super::{argv, pointer};
use crate::core::crypto::SecretEncoding;
use crate::core::diagnostic::{Located, quote};
use crate::core::secret::Secret;
use crate::core::settings::TokenName;

/// One of them says where it is.
const PLACES: [&str; 5] = ["file", "value", "env", "credential", "command"];

/// `secret`, `private_key`, `client_secret` and the like. `what` is how messages call it.
pub(super) fn read(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    name: &str,
    what: &'static str,
) -> Option<Arc<RawCredential>> {
    let section = token.table(cx, name)?;
    Some(of_table(cx, &section, name, what.into()))
}

/// `secrets`: each by its name.
pub(super) fn named(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Vec<(String, Arc<RawCredential>)> {
    let mut secrets = Vec::new();
    for (name, section) in token.named(cx, "secrets") {
        let called = format!("secrets.{}", name.value);
        if TokenName::new(&name.value).is_none() {
            let title = format!("a secret cannot be called {}", quote(&name.value));
            cx.error(name.span, title, "1 to 64 of A-Z a-z 0-9 _ . -, a letter or digit first");
        }
        let credential = of_table(cx, &section, &called, format!("secret `{}`", name.value).into());
        secrets.push((name.value, credential));
    }
    secrets
}

fn of_table(
    cx: &mut SectionReader<'_>,
    section: &Section<'_, '_>,
    name: &str,
    what: Cow<'static, str>,
) -> Arc<RawCredential> {
    let spans: Vec<_> = PLACES.into_iter().filter(|span| section.has(span)).collect();
    if let Some(value) = section.value("value") {
        cx.hide(value);
    }
    match spans.as_slice() {
        [] => cx.error(
            section.header,
            format!("`{name}` does not say where it is"),
            format!("add {name}.file, {name}.value, {name}.env, {name}.credential or {name}.command"),
        ),
        [_] => {}
        [first, second, ..] => {
            let span = section.key_span(cx, second).unwrap_or(section.header);
            let before = section.key_span(cx, first).unwrap_or(section.header);
            cx.beside(&format!("{name}.{first}"), before, &format!("{name}.{second}"), span);
        }
    }
    let encoding = if section.knows("encoding") { section.choice(cx, "encoding", SecretEncoding::parse) } else { None };
    let from = credential_from(cx, section);
    let pointer = pointer::read(cx, section, "pointer");
    let allow_readable = section.bool_or_default(cx, "allow_readable");
    let encoding = encoding.map(|at| at.value).unwrap_or_default();
    keep(cx, RawCredential { what, from, pointer, encoding, allow_readable })
}

/// Certificates that are trusted, named by their file's path alone.
pub(super) fn certificates(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    name: &str,
) -> Option<Arc<RawCredential>> {
    let from = token.path(cx, name)?.map(CredentialFrom::File);
    let (encoding, pointer) = Default::default();
    Some(keep(cx, RawCredential { what: "CA file".into(), from: Some(from), pointer, encoding, allow_readable: false }))
}

fn keep(cx: &mut SectionReader<'_>, credential: RawCredential) -> Arc<RawCredential> {
    let credential = Arc::new(credential);
    cx.credentials.push(Arc::clone(&credential));
    credential
}

fn credential_from(cx: &mut SectionReader<'_>, section: &Section<'_, '_>) -> Option<Located<CredentialFrom>> {
    let file = section.path(cx, "file").map(|path| path.map(CredentialFrom::File));
    let value = section.text(cx, "value").map(|text| text.map(|text| CredentialFrom::Value(Secret::new(text))));
    let variable = name_of(cx, section, "env", |name| {
        !name.is_empty() && !name.contains(['=', '\0']) && !name.contains(char::is_whitespace)
    })
    .map(|name| name.map(CredentialFrom::Variable));
    let credential =
        name_of(cx, section, "credential", credential_name).map(|name| name.map(CredentialFrom::Credential));
    let command = argv::read(cx, section).map(|argv| argv.map(CredentialFrom::Command));
    file.or(value).or(variable).or(credential).or(command)
}

/// systemd.exec(5): a credential's name is a file's name.
fn credential_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(['/', '\0', ':'])
}

/// A name, and not the secret itself put there by mistake: what is not a name is not shown either.
fn name_of(
    cx: &mut SectionReader<'_>,
    section: &Section<'_, '_>,
    key: &str,
    good: impl Fn(&str) -> bool,
) -> Option<Located<String>> {
    let text = section.text(cx, key)?;
    if good(&text.value) {
        return Some(text);
    }
    if let Some(value) = section.value(key) {
        cx.hide(value);
    }
    let help = match key {
        "env" => "the name of an environment variable, not its value",
        _ => "the name under which LoadCredential= passes it, not its value",
    };
    cx.error(text.span, format!("`{key}` holds no name"), help);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_names_are_file_names() {
        assert!(credential_name("sunbird"));
        for bad in ["", ".", "..", "a/b", "a:b"] {
            assert!(!credential_name(bad), "{bad}");
        }
    }
}
