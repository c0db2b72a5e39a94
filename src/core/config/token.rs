//! Owns: `[token.NAME]`: its name, source, credential, and the keys of `source = "jwt"`.
//! Does not: read outputs, hooks or claims (their own files), or compare tokens.

use toml::de::DeValue;

use super::raw::{CredentialFrom, RawCredential, RawJwt, RawToken};
use super::section::{Reader, Section};
use super::{claims, hook, output};
use crate::core::credential::Encoding;
use crate::core::finding::{At, Finding, Place, quote};
use crate::core::key::Algorithm;
use crate::core::keys::{self, ROOT};
use crate::core::secret::Secret;
use crate::core::settings::{KeyClaim, TokenName};

/// All `[token.NAME]`, in order of the file.
pub(super) fn read_all(cx: &mut Reader<'_>, root: &Section<'_, '_>) -> Vec<RawToken> {
    let mut tokens = Vec::new();
    for (name, value) in root.members(cx, "token") {
        let place = cx.place(name.span());
        let DeValue::Table(table) = value.get_ref() else {
            cx.hide(value);
            cx.wrong_type("token", "a table of tables", value, "a token has a name: [token.NAME]");
            continue;
        };
        let known = TokenName::new(name.get_ref());
        if known.is_none() {
            cx.error(
                place,
                format!("a token cannot be called {}", quote(name.get_ref())),
                "1 to 64 of A-Z a-z 0-9 _ . -, a letter or digit first; quote a name with a dot: [token.\"a.b\"]",
            );
        }
        let header = if value.span().is_empty() { place } else { cx.place(value.span()) };
        if let Some(source) = later_source(table) {
            let others = table.iter().filter(|(key, _)| key.get_ref() != "source");
            others.for_each(|(_, value)| cx.hide(value));
            let source = cx.place(source);
            cx.error(source, "this source is not built yet", "only source = \"jwt\" is");
            continue;
        }
        let before = cx.findings.len();
        let section = Section::open(cx, table, header, super::inner(ROOT, "token"));
        if let Some(mut token) = read(cx, &section, known.map(|value| At { value, place })) {
            token.flawed = cx.findings.len() > before;
            tokens.push(token);
        }
    }
    tokens
}

/// Where a source that is known but not built stands: its other keys are not looked at.
fn later_source(table: &toml::de::DeTable<'_>) -> Option<std::ops::Range<usize>> {
    let source = table.get("source")?;
    matches!(source.get_ref().as_str()?, "oauth2" | "http" | "github-app" | "command").then(|| source.span())
}

fn read(cx: &mut Reader<'_>, token: &Section<'_, '_>, name: Option<At<TokenName>>) -> Option<RawToken> {
    if token.require(cx, "source") {
        token.choice(cx, "source", |word| (word == "jwt").then_some(()));
    }
    let jwt = read_jwt(cx, token);
    let lifetime = token.lifetime(cx);
    let schedule = token.schedule(cx);
    let file = token.file(cx);
    let required = token.bool(cx, "required").map(|on| on.value);
    let units = units(cx, token);
    let outputs = output::read_all(cx, token);
    let after_rotate = hook::read(cx, token, "after_rotate").map(Box::new);
    let on_failure = hook::read(cx, token, "on_failure").map(Box::new);
    Some(RawToken {
        name: name?,
        header: token.header,
        flawed: false,
        jwt,
        lifetime,
        schedule,
        file,
        required,
        units,
        parents: Vec::new(),
        outputs,
        after_rotate,
        on_failure,
    })
}

fn units(cx: &mut Reader<'_>, token: &Section<'_, '_>) -> Vec<glob::Pattern> {
    let mut units = Vec::new();
    for unit in token.texts(cx, "units") {
        let named = !unit.value.is_empty() && !unit.value.contains('/');
        if let Some(pattern) = glob::Pattern::new(&unit.value).ok().filter(|_| named) {
            units.push(pattern);
        } else {
            cx.error(
                unit.place,
                format!("{} names no unit", quote(&unit.value)),
                "for instance: units = [\"job.service\", \"batch-*.service\"]",
            );
        }
    }
    units
}

fn read_jwt(cx: &mut Reader<'_>, token: &Section<'_, '_>) -> RawJwt {
    let mut jwt = RawJwt::default();
    if token.require(cx, "algorithm") {
        jwt.algorithm = token.choice(cx, "algorithm", Algorithm::parse);
    }
    jwt.key = token.text(cx, "key");
    jwt.key_claim = token.choice(cx, "key_claim", |word| match word {
        "iss" => Some(KeyClaim::Iss),
        "kid" => Some(KeyClaim::Kid),
        _ => None,
    });
    jwt.secret = credential(cx, token, "secret");
    jwt.private_key = credential(cx, token, "private_key");
    jwt.allow_weak_secret = token.bool(cx, "allow_weak_secret").is_some_and(|on| on.value);
    claims::read(cx, token, &mut jwt);
    check_credential(cx, token, &jwt);
    check_key(cx, &jwt);
    jwt
}

/// HS takes a secret, the others a private key: one of the two, and the right one.
fn check_credential(cx: &mut Reader<'_>, token: &Section<'_, '_>, jwt: &RawJwt) {
    let secret = token.key_place(cx, "secret");
    let private_key = token.key_place(cx, "private_key");
    let symmetric = jwt.algorithm.map(|algorithm| (algorithm, algorithm.value.min_secret_bytes().is_some()));
    match (secret, private_key, symmetric) {
        (Some(secret), Some(key), _) => cx.findings.push(
            Finding::error("`private_key` beside `secret`")
                .at(key)
                .note(secret, "also here")
                .help("HS algorithms take `secret`, the others `private_key`"),
        ),
        (None, None, Some((_, false))) => {
            token.require(cx, "private_key");
        }
        (None, None, _) => {
            token.require(cx, "secret");
        }
        (Some(place), None, Some((algorithm, false))) => mismatch(cx, place, algorithm, "secret", "private_key"),
        (None, Some(place), Some((algorithm, true))) => mismatch(cx, place, algorithm, "private_key", "secret"),
        _ => {}
    }
}

fn mismatch(cx: &mut Reader<'_>, place: Place, algorithm: At<Algorithm>, there: &str, wanted: &str) {
    cx.findings.push(
        Finding::error(format!("`{there}` with algorithm {}", algorithm.value.name()))
            .at(place)
            .note(algorithm.place, "the algorithm")
            .help(format!("{} signs with `{wanted}`", algorithm.value.name())),
    );
}

fn check_key(cx: &mut Reader<'_>, jwt: &RawJwt) {
    let Some(key) = &jwt.key else { return };
    let claim = jwt.key_claim.map_or(KeyClaim::Iss, |claim| claim.value);
    let (name, other) = match claim {
        KeyClaim::Iss => ("claims.iss", jwt.claims.iss),
        KeyClaim::Kid => ("header.kid", jwt.header_kid),
    };
    if let Some(other) = other {
        cx.findings.push(
            Finding::error(format!("`{name}` beside `key`"))
                .at(other)
                .note(key.place, "`key` becomes it")
                .help("keep one of the two"),
        );
    }
}

/// `secret` or `private_key`: one of four places.
fn credential(cx: &mut Reader<'_>, token: &Section<'_, '_>, name: &str) -> Option<RawCredential> {
    let section = token.table(cx, name)?;
    let places: Vec<_> =
        ["file", "value", "env", "credential"].into_iter().filter(|place| section.has(place)).collect();
    if let Some(value) = section.value("value") {
        cx.hide(value);
    }
    match places.as_slice() {
        [] => cx.error(
            section.header,
            format!("`{name}` says not where it is"),
            format!("add {name}.file, {name}.value, {name}.env or {name}.credential"),
        ),
        [_] => {}
        [first, second, ..] => {
            let place = section.key_place(cx, second).unwrap_or(section.header);
            let before = section.key_place(cx, first).unwrap_or(section.header);
            cx.findings.push(
                Finding::error(format!("`{name}.{second}` beside `{name}.{first}`"))
                    .at(place)
                    .note(before, "also here")
                    .help("keep one of the two"),
            );
        }
    }
    let encoding = if keys::find(super::inner(super::inner(ROOT, "token"), name), "encoding").is_some() {
        section.choice(cx, "encoding", Encoding::parse).map(|encoding| encoding.value)
    } else {
        None
    };
    let from = credential_from(cx, &section);
    Some(RawCredential {
        place: section.key_place(cx, places.first().copied().unwrap_or("file")).unwrap_or(section.header),
        from,
        encoding: encoding.unwrap_or_default(),
    })
}

fn credential_from(cx: &mut Reader<'_>, section: &Section<'_, '_>) -> Option<At<CredentialFrom>> {
    let file = section.path(cx, "file").map(|path| path.map(CredentialFrom::File));
    let value = section.text(cx, "value").map(|text| text.map(|text| CredentialFrom::Value(Secret::new(text))));
    let variable = name_of(cx, section, "env", |name| {
        !name.is_empty() && !name.contains(['=', '\0']) && !name.contains(char::is_whitespace)
    })
    .map(|name| name.map(CredentialFrom::Variable));
    let credential =
        name_of(cx, section, "credential", credential_name).map(|name| name.map(CredentialFrom::Credential));
    file.or(value).or(variable).or(credential)
}

/// systemd.exec(5): a credential's name is a file's name.
fn credential_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && !name.contains(['/', '\0', ':'])
}

/// A name, and not the secret itself put there by mistake: what is not a name is not shown either.
fn name_of(
    cx: &mut Reader<'_>,
    section: &Section<'_, '_>,
    key: &str,
    good: impl Fn(&str) -> bool,
) -> Option<At<String>> {
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
    cx.error(text.place, format!("`{key}` holds no name"), help);
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
