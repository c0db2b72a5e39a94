//! Owns: `[token.NAME]`: its name, its source, and what every token has.
//! Does not: read what a source has (its own file), outputs or hooks, or compare tokens.

use std::collections::HashSet;

use toml::de::{DeTable, DeValue};

use super::raw::{RawSource, RawToken};
use super::section::{Member, Section, SectionReader};
use super::unknown::unknown;
use super::{hook, output};
use crate::core::config::keys::{self, KeyEntries};
use crate::core::diagnostic::{Diagnostic, Located, Span, quote};
use crate::core::settings::{SourceKind, TokenName};

/// All `[token.NAME]`, in order of the file.
#[expect(clippy::vec_box, reason = "as `RawConfig` has them")]
pub(super) fn read_all(cx: &mut SectionReader<'_>, root: &Section<'_, '_>) -> Vec<Box<RawToken>> {
    let (known_keys, mut tokens) = (cx.root, Vec::new());
    if list_of_tokens(cx, root) {
        return tokens;
    }
    let members = root.members(cx, "token");
    let nameless =
        members.iter().any(|(name, value)| !value.get_ref().is_table() && is_key(known_keys, name.get_ref()));
    if nameless {
        members.iter().filter(|(name, _)| is_key(known_keys, name.get_ref())).for_each(|(_, value)| cx.hide(value));
        tell_nameless(cx, &members);
    }
    for (name, value) in members {
        let span = cx.span(name.span());
        if nameless && is_key(known_keys, name.get_ref()) {
            continue;
        }
        let DeValue::Table(table) = value.get_ref() else {
            cx.hide(value);
            let brackets =
                value.get_ref().as_array().is_some_and(|array| array.iter().any(|one| one.get_ref().is_table()));
            let help = match brackets {
                true => "with single brackets: [token.NAME]",
                false => "a token has a name: [token.NAME]",
            };
            cx.wrong_type("token", "a table of tables", value, help);
            continue;
        };
        if let Some(whole) = name_with_dots(known_keys, name.get_ref(), table) {
            cx.hide(value);
            let diagnostic = Diagnostic::error(format!("a token's name with a dot, without quotes: {}", quote(&whole)));
            cx.diagnostics.push(diagnostic.at(span).help(format!("[token.{}]", keys::toml_text(&whole))));
            continue;
        }
        let known = TokenName::new(name.get_ref());
        if known.is_none() {
            cx.error(
                span,
                format!("a token cannot be called {}", quote(name.get_ref())),
                "1 to 64 of A-Z a-z 0-9 _ . -, a letter or digit first; quote a name with a dot: [token.\"a.b\"]",
            );
        }
        let header = if value.span().is_empty() { span } else { cx.span(value.span()) };
        let before = cx.diagnostics.len();
        let kind = kind_of(known_keys, table);
        let section = open(cx, table, header, kind);
        if let Some(mut token) = read(cx, &section, kind, known.map(|value| Located { value, span })) {
            token.flawed = cx.diagnostics.len() > before;
            tokens.push(Box::new(token));
        }
    }
    tokens
}

/// A key that a token's table may hold, whatever its source.
fn is_key(root: KeyEntries, name: &str) -> bool {
    keys::sources_with(root, name).next().is_some()
}

/// `[token]` with a token's keys in it, or `[[token.output]]`: one mistake, told once.
fn tell_nameless(cx: &mut SectionReader<'_>, members: &[Member<'_, '_>]) {
    let root = cx.root;
    let tables = members.iter().filter(|(name, value)| value.get_ref().is_table() && !is_key(root, name.get_ref()));
    let mut named = tables.map(|(name, _)| name.get_ref().as_ref()).filter(|name| TokenName::new(name).is_some());
    let name = named.next().unwrap_or("NAME");
    let Some((key, _)) = members.iter().find(|(key, value)| !value.get_ref().is_table() && is_key(root, key.get_ref()))
    else {
        return;
    };
    let help = match key.get_ref().as_ref() {
        "output" => format!("name it: [[token.{name}.output]]"),
        key => format!("its table has one: [token.NAME], [token.sunbird] for instance, above `{key}`"),
    };
    let diagnostic = Diagnostic::error(format!("`{}` of a token without a name", key.get_ref()));
    let diagnostic = diagnostic.at(cx.span(key.span())).label("directly in `token`").help(help);
    cx.diagnostics.push(diagnostic);
}

/// `[[token]]`, which is told.
fn list_of_tokens(cx: &mut SectionReader<'_>, root: &Section<'_, '_>) -> bool {
    let Some(value) = root.value("token").filter(|value| value.get_ref().is_array()) else { return false };
    cx.hide(value);
    cx.wrong_type("token", "a table", value, "single brackets, and a name: [token.NAME]");
    true
}

/// The source that a table is read by: the one it names, else the one that has all of its keys, else "jwt".
fn kind_of(root: KeyEntries, table: &DeTable<'_>) -> SourceKind {
    let named = table.get("source").and_then(|source| SourceKind::parse(source.get_ref().as_str()?));
    let has_all = |source: &&keys::SourceKeys| {
        let known =
            |name: &str| keys::find(source.keys, name).is_some() || keys::sources_with(root, name).next().is_none();
        table.keys().all(|name| known(name.get_ref()))
    };
    let guessed = || keys::sources(root).iter().find(has_all).and_then(|source| SourceKind::parse(source.word));
    named.or_else(guessed).unwrap_or(SourceKind::Jwt)
}

/// Opens the table of a token: a key of another source is told as one.
fn open<'t, 'i>(cx: &mut SectionReader<'_>, table: &'t DeTable<'i>, header: Span, kind: SourceKind) -> Section<'t, 'i> {
    let root = cx.root;
    let keys = keys::sources(root)
        .iter()
        .find(|source| source.word == kind.word())
        .map_or(&[] as KeyEntries, |source| source.keys);
    let source = table.get("source").map_or(header, |source| cx.span(source.span()));
    Section::open_telling(cx, table, header, keys, |name, span, keys| {
        let of: Vec<_> = keys::sources_with(root, name).map(|word| format!("\"{word}\"")).collect();
        if of.is_empty() {
            return unknown(root, name, span, keys);
        }
        Diagnostic::error(format!("`{name}` in a token of source \"{}\"", kind.word()))
            .at(span)
            .note(source, "the source")
            .help(format!("it belongs to source = {}", of.join(" or ")))
    })
}

/// The whole name of `[token.a.b]`, where only the last table has a source: TOML takes the dot for a step.
fn name_with_dots(root: KeyEntries, name: &str, table: &DeTable<'_>) -> Option<String> {
    if table.contains_key("source") {
        return None;
    }
    table.iter().filter(|(member, _)| !is_key(root, member.get_ref())).find_map(|(member, value)| {
        match value.get_ref() {
            DeValue::Table(inner) if inner.contains_key("source") => Some(format!("{name}.{}", member.get_ref())),
            DeValue::Table(inner) => name_with_dots(root, &format!("{name}.{}", member.get_ref()), inner),
            _ => None,
        }
    })
}

fn read(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    kind: SourceKind,
    name: Option<Located<TokenName>>,
) -> Option<RawToken> {
    if token.has("source") {
        token.choice(cx, "source", SourceKind::parse);
    } else {
        let diagnostic = Diagnostic::error("`source` is missing").at(token.header).label("in this table");
        cx.diagnostics.push(diagnostic.help(format!("add: source = \"{}\"", kind.word())));
    }
    let source = RawSource::read(cx, token, kind);
    let (credentials, parents) = (std::mem::take(&mut cx.credentials), std::mem::take(&mut cx.parents));
    let schedule = token.schedule(cx);
    let file = token.file(cx);
    let required = token.bool_or_default(cx, "required");
    let units = units(cx, token);
    let outputs = output::read_all(cx, token);
    let after_rotate = hook::read(cx, token, "after_rotate").map(Box::new);
    let on_failure = hook::read(cx, token, "on_failure").map(Box::new);
    Some(RawToken {
        name: name?,
        header: token.header,
        flawed: false,
        source,
        credentials,
        schedule,
        file,
        required,
        units,
        parents: once_each(parents),
        outputs,
        after_rotate,
        on_failure,
    })
}

/// A token may be named in several placeholders: the first counts.
fn once_each(mut parents: Vec<Located<TokenName>>) -> Vec<Located<TokenName>> {
    let mut seen = HashSet::new();
    parents.retain(|parent| seen.insert(parent.value.clone()));
    parents
}

fn units(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Vec<glob::Pattern> {
    let mut units = Vec::new();
    for unit in token.texts(cx, "units") {
        let named = !unit.value.is_empty() && !unit.value.contains('/');
        if let Some(pattern) = glob::Pattern::new(&unit.value).ok().filter(|_| named) {
            units.push(pattern);
        } else {
            cx.error(
                unit.span,
                format!("{} names no unit", quote(&unit.value)),
                "for instance: units = [\"job.service\", \"batch-*.service\"]",
            );
        }
    }
    units
}
