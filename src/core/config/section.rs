//! Owns: one table of the config beside the list of keys it may hold: unknown keys are told when it is opened,
//! wrong types when a value is asked for.
//! Does not: know what the values mean.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::core::diagnostic::{Diagnostic, Located, Span};
use crate::core::environment::Environment;
use crate::core::settings::TokenName;

use super::keys::{self, KeyEntries, KeyEntry, ValueKind};
use super::stage::RawCredential;
use super::unknown::unknown;

/// What a value is, for messages.
fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// What is carried along while one file is read.
pub(super) struct SectionReader<'e> {
    pub file: u32,
    /// Where the piece of the text begins that is read now: places are told from the file's beginning.
    pub piece: usize,
    /// All that a config may hold.
    pub root: KeyEntries,
    pub base: &'e Path,
    pub env: &'e Environment,
    pub diagnostics: Vec<Diagnostic>,
    pub hidden: Vec<Range<usize>>,
    /// Those of the token that is read now.
    pub credentials: Vec<Arc<RawCredential>>,
    /// Tokens of this config that it is made from.
    pub parents: Vec<Located<TokenName>>,
}

impl<'e> SectionReader<'e> {
    pub(super) fn new(file: u32, root: KeyEntries, base: &'e Path, env: &'e Environment) -> Self {
        let (diagnostics, hidden, credentials, parents) = Default::default();
        Self { file, piece: 0, root, base, env, diagnostics, hidden, credentials, parents }
    }

    pub(super) fn span(&self, span: Range<usize>) -> Span {
        Span {
            file: self.file,
            start: u32::try_from(self.piece + span.start).unwrap_or(u32::MAX),
            end: u32::try_from(self.piece + span.end).unwrap_or(u32::MAX),
        }
    }

    pub(super) fn at<T>(&self, value: T, span: Range<usize>) -> Located<T> {
        Located { value, span: self.span(span) }
    }

    pub(super) fn error(&mut self, span: Span, title: impl AsRef<str>, help: impl AsRef<str>) {
        self.diagnostics.push(Diagnostic::error(title).at(span).help(help));
    }

    /// Two keys of which one may stand.
    pub(super) fn beside(&mut self, first: &str, before: Span, second: &str, span: Span) {
        self.diagnostics.push(
            Diagnostic::error(format!("`{second}` beside `{first}`"))
                .at(span)
                .note(before, "also here")
                .help("keep one of the two"),
        );
    }

    /// A value of the wrong type.
    pub(super) fn wrong_type(&mut self, name: &str, wanted: &str, value: &Spanned<DeValue<'_>>, help: impl AsRef<str>) {
        let span = self.span(value.span());
        let diagnostic = Diagnostic::error(format!("`{name}` is {wanted}, not {}", describe(value.get_ref())))
            .at(span)
            .label(format!("expected {wanted}"));
        let help = help.as_ref();
        self.diagnostics.push(if help.is_empty() { diagnostic } else { diagnostic.help(help) });
    }

    /// Nothing in `value` will be shown.
    pub(super) fn hide(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => table.values().for_each(|member| self.hide(member)),
            DeValue::Array(array) => array.iter().for_each(|member| self.hide(member)),
            _ => self.hidden.push(self.piece + value.span().start..self.piece + value.span().end),
        }
    }
}

/// One table.
pub(super) struct Section<'t, 'i> {
    table: &'t DeTable<'i>,
    /// Where an absent key is reported.
    pub header: Span,
    keys: KeyEntries,
    /// All that is required stands there: then what is absent need not be looked for among the keys.
    is_complete: bool,
}

impl<'t, 'i> Section<'t, 'i> {
    /// Tells every key that cannot stand here, in order.
    pub(super) fn open(cx: &mut SectionReader<'_>, table: &'t DeTable<'i>, header: Span, keys: KeyEntries) -> Self {
        let root = cx.root;
        Self::open_telling(cx, table, header, keys, |name, span, keys| unknown(root, name, span, keys))
    }

    /// The same with other words for a key that is not one of `keys`.
    pub(super) fn open_telling(
        cx: &mut SectionReader<'_>,
        table: &'t DeTable<'i>,
        header: Span,
        keys: KeyEntries,
        unknown: impl Fn(&str, Span, KeyEntries) -> Diagnostic,
    ) -> Self {
        let mut missing = keys.iter().copied().flatten().filter(|key| key.required).count();
        for (name, value) in table {
            let span = cx.span(name.span());
            match keys::find(keys, name.get_ref()) {
                Some(key) if key.built => {
                    missing -= usize::from(key.required);
                    if holds_secret(key) && !value.get_ref().is_table() {
                        cx.hide(value);
                    }
                }
                Some(key) => {
                    if matches!(key.kind, ValueKind::Table(_) | ValueKind::Named(_) | ValueKind::Free) {
                        cx.hide(value);
                    }
                    cx.diagnostics
                        .push(Diagnostic::error(format!("`{}` is not built yet", key.name)).at(span).help("remove it"));
                }
                None => {
                    if !plain(cx.root, keys, name.get_ref()) {
                        cx.hide(value);
                    }
                    cx.diagnostics.push(unknown(name.get_ref(), span, keys));
                }
            }
        }
        Self { table, header, keys, is_complete: missing == 0 }
    }

    /// The value under `name`, which must be a key of the table.
    pub(super) fn value(&self, name: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        debug_assert!(self.knows(name), "{name} is not in the table of keys");
        self.table.get(name)
    }

    /// The same, which is about to be read: told where it is absent and the table of keys requires it.
    pub(super) fn asked(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        let value = self.value(name);
        if value.is_none() && !self.is_complete && keys::find(self.keys, name).is_some_and(|key| key.required) {
            self.require(cx, name);
        }
        value
    }

    pub(super) fn kind(&self, name: &str) -> Option<ValueKind> {
        keys::find(self.keys, name).map(|key| key.kind)
    }

    /// Whether `name` is a key of the table at all.
    pub(super) fn knows(&self, name: &str) -> bool {
        keys::find(self.keys, name).is_some()
    }

    /// The default of a text, as the table of keys has it.
    pub(super) fn default(&self, name: &str) -> &'static str {
        keys::find(self.keys, name).map_or("", KeyEntry::default_text)
    }

    /// Nothing of the value under `name` will be shown.
    pub(super) fn hide(&self, cx: &mut SectionReader<'_>, name: &str) {
        if let Some(value) = self.value(name) {
            cx.hide(value);
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Where the key itself stands.
    pub(super) fn key_span(&self, cx: &SectionReader<'_>, name: &str) -> Option<Span> {
        self.table.get_key_value(name).map(|(key, _)| cx.span(key.span()))
    }

    /// Tells that `name` is absent, at the table's header; false where it is.
    pub(super) fn require(&self, cx: &mut SectionReader<'_>, name: &str) -> bool {
        if self.has(name) {
            return true;
        }
        let example = keys::find(self.keys, name).map_or("", |key| key.example);
        cx.diagnostics.push(
            Diagnostic::error(format!("`{name}` is missing"))
                .at(self.header)
                .label("in this table")
                .help(format!("add: {name} = {example}")),
        );
        false
    }

    /// The table under `name`.
    pub(super) fn table(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Section<'t, 'i>> {
        let value = self.asked(cx, name)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                let header = self.header_of(cx, name, value);
                Some(Section::open(cx, table, header, keys::inner(self.keys, name)))
            }
            _ => {
                let example = keys::find(self.keys, name).map_or("", |key| key.example);
                cx.wrong_type(name, "a table", value, format!("for instance: {name} = {example}"));
                None
            }
        }
    }

    /// The members of a table that may hold anything, in order.
    pub(super) fn members(&self, cx: &mut SectionReader<'_>, name: &str) -> Vec<Member<'t, 'i>> {
        let Some(value) = self.asked(cx, name) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Table(table) => in_order(table),
            _ => {
                cx.wrong_type(name, "a table", value, "");
                Vec::new()
            }
        }
    }

    /// The tables of `[[name]]`, in order.
    pub(super) fn tables(&self, cx: &mut SectionReader<'_>, name: &str) -> Vec<Section<'t, 'i>> {
        let Some(value) = self.asked(cx, name) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            cx.wrong_type(
                name,
                "an array of tables",
                value,
                format!(
                    "write its header with two brackets, [[...{name}]], or the table in brackets: {name} = [{{ ... }}]"
                ),
            );
            return Vec::new();
        };
        let keys = keys::inner(self.keys, name);
        let mut sections = Vec::new();
        for element in array.iter() {
            match element.get_ref() {
                DeValue::Table(table) => {
                    let header = cx.span(element.span());
                    sections.push(Section::open(cx, table, header, keys));
                }
                _ => cx.wrong_type(name, "an array of tables", element, ""),
            }
        }
        sections
    }

    /// The tables under `name`, each by its own name, in order of the file.
    pub(super) fn named(&self, cx: &mut SectionReader<'_>, name: &str) -> Vec<(Located<String>, Section<'t, 'i>)> {
        let keys = keys::inner(self.keys, name);
        let mut sections = Vec::new();
        for (key, value) in self.members(cx, name) {
            let called = cx.at(key.get_ref().to_string(), key.span());
            match value.get_ref() {
                DeValue::Table(table) => {
                    let header = if value.span().is_empty() { called.span } else { cx.span(value.span()) };
                    sections.push((called, Section::open(cx, table, header, keys)));
                }
                _ => {
                    cx.hide(value);
                    let example = keys::find(self.keys, name).map_or("", |key| key.example);
                    cx.wrong_type(name, "a table of tables", value, format!("for instance: {name} = {example}"));
                }
            }
        }
        sections
    }

    /// Implicit tables have no header of their own: the key stands for it.
    fn header_of(&self, cx: &SectionReader<'_>, name: &str, value: &Spanned<DeValue<'_>>) -> Span {
        match value.span() {
            span if span.is_empty() => self.key_span(cx, name).unwrap_or(self.header),
            span => cx.span(span),
        }
    }
}

/// A table in which a credential or another token's name stands; what is written in its stead is likely the credential
/// or token itself. A table of the user's own may hold one anywhere.
fn holds_secret(key: &KeyEntry) -> bool {
    match key.kind {
        ValueKind::Table(inner) | ValueKind::Named(inner) => {
            let below = inner.iter().copied().flatten().any(holds_secret);
            below || ["value", "token"].iter().any(|name| keys::find(inner, name).is_some())
        }
        _ => false,
    }
}

/// A slip for a key whose value is never a secret, or such a key of another source: what stands there may be shown.
fn plain(root: KeyEntries, keys: KeyEntries, name: &str) -> bool {
    let meant = keys::nearest(keys, name).and_then(|near| keys::find(keys, near));
    let meant = meant.or_else(|| keys::sources(root).iter().find_map(|source| keys::find(source.keys, name)));
    let free = |kind| matches!(kind, ValueKind::Text | ValueKind::Table(_) | ValueKind::Named(_) | ValueKind::Free);
    meant.is_some_and(|key| !free(key.kind))
}

/// A key and its value.
pub(super) type Member<'t, 'i> = (&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// A table's members in order of the file; the tree itself is sorted by name.
pub(super) fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Member<'t, 'i>> {
    let mut members: Vec<_> = table.iter().collect();
    members.sort_by_key(|(name, _)| name.span().start);
    members
}
