//! Owns: what the one table of every key a config may hold is made of: a key's type, default, description and example.
//! The reader walks a config along it, "did you mean" searches it, and the schema is written from it.
//! Does not: parse or check values.

pub(super) mod common;

use std::collections::HashSet;

use crate::core::printable::is_unseen;

/// What a key's value is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum ValueKind {
    Text,
    /// A path (the manual, "The config").
    Path,
    Bool,
    /// A number from 0 to below 1.
    Fraction,
    /// The same without 0.
    Part,
    /// A humantime duration; it may be zero.
    Duration,
    /// A humantime duration that is not zero.
    Span,
    /// A humantime duration of whole seconds, one at least.
    Seconds,
    /// The same, or `"never"`.
    Lifetime,
    /// Permission bits in octal, as a string.
    Mode,
    /// A user or group, by name or number.
    Account,
    /// A number that somebody else gave, as text or integer.
    Id,
    Texts,
    Choice(&'static [&'static str]),
    /// One of these words, or a text that is none of them.
    OpenChoice(&'static [&'static str]),
    /// A table with these keys.
    Table(KeyEntries),
    /// `[[...]]`, each with these keys.
    Tables(KeyEntries),
    /// A table of tables with these keys, each under a name of the user's choice.
    Named(KeyEntries),
    /// A table of tokens, each under a name of the user's choice: what all have, and what each has by its source.
    Tokens {
        common: KeyEntries,
        sources: &'static [SourceKeys],
    },
    /// A table with any members.
    Free,
}

/// The keys of a table, in groups that several tables share.
pub(crate) type KeyEntries = &'static [&'static [KeyEntry]];

/// A token's table by the word of its `source`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct SourceKeys {
    pub word: &'static str,
    /// All that it may hold: the groups that every token has come first.
    pub keys: KeyEntries,
}

/// One key.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct KeyEntry {
    pub name: &'static str,
    pub kind: ValueKind,
    /// As TOML; empty where there is none. Nothing else says it.
    pub default: &'static str,
    pub required: bool,
    pub doc: &'static str,
    /// A value, as TOML.
    pub example: &'static str,
    /// False: refused by name until it is there.
    pub built: bool,
}

impl KeyEntry {
    pub(super) const fn new(name: &'static str, kind: ValueKind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: "", required: false, doc, example, built: true }
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The default without the quotes of a text.
    pub(crate) fn default_text(&self) -> &'static str {
        self.default.trim_matches('"')
    }

    /// The keys of the table that stands under it.
    pub(crate) fn inner(&self) -> KeyEntries {
        match self.kind {
            ValueKind::Table(inner) | ValueKind::Tables(inner) | ValueKind::Named(inner) => inner,
            _ => &[],
        }
    }

    /// The keys of each table that may stand under it: one for each source, where tokens do.
    fn below(&self) -> Vec<KeyEntries> {
        match self.kind {
            ValueKind::Table(inner) | ValueKind::Tables(inner) | ValueKind::Named(inner) => vec![inner],
            ValueKind::Tokens { sources, .. } => sources.iter().map(|source| source.keys).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) const fn later(mut self) -> Self {
        self.built = false;
        self
    }
}

/// Keys, an entry each: what it is for, its name, its kind, an example in TOML, and what else is to be said of it. A key that
/// several tables share stands before another one, behind two dots.
macro_rules! entries {
    ($(
        $(..$shared:path;)*
        $(#[doc = $doc:literal])+
        $name:ident: $kind:ident $(($of:expr))? $({ $($field:ident: $inner:expr),+ })? = $example:literal
        $(, $more:ident $(($value:literal))?)*;
    )+) => {{
        use $crate::core::config::keys::{KeyEntry, ValueKind};
        [$(
            $($shared,)*
            KeyEntry::new(
                stringify!($name),
                ValueKind::$kind $(($of))? $({ $($field: $inner),+ })?,
                $example,
                concat!($($doc),+).trim_ascii_start(),
            )$(.$more($($value)?))*,
        )+]
    }};
}

pub(super) use entries;

/// A token's table for each source.
pub(crate) fn sources(root: KeyEntries) -> &'static [SourceKeys] {
    match find(root, "token").map(|key| key.kind) {
        Some(ValueKind::Tokens { sources, .. }) => sources,
        _ => &[],
    }
}

/// The sources whose tokens have a key of that name.
pub(crate) fn sources_with(root: KeyEntries, name: &str) -> impl Iterator<Item = &'static str> {
    sources(root).iter().filter(move |source| find(source.keys, name).is_some()).map(|source| source.word)
}

/// The key of that name.
pub(crate) fn find(keys: KeyEntries, name: &str) -> Option<&'static KeyEntry> {
    keys.iter().copied().flatten().find(|key| key.name == name)
}

/// The keys of the table that stands under `name`.
pub(crate) fn inner(keys: KeyEntries, name: &str) -> KeyEntries {
    find(keys, name).map_or(&[], KeyEntry::inner)
}

/// The first key of that name in any table.
pub(crate) fn anywhere(keys: KeyEntries, name: &str) -> Option<&'static KeyEntry> {
    let mut below = keys.iter().copied().flatten().flat_map(KeyEntry::below);
    find(keys, name).or_else(|| below.find_map(|inner| anywhere(inner, name)))
}

/// A text as TOML writes it.
pub(crate) fn toml_text(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            c if is_unseen(c) => written.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => written.push(c),
        }
    }
    written + "\""
}

/// The key most like `name`, if one is like it.
pub(crate) fn nearest(keys: KeyEntries, name: &str) -> Option<&'static str> {
    most_like(name, keys.iter().copied().flatten().map(|key| key.name))
}

/// The candidate most like `word`, if one is like it.
pub(crate) fn most_like<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The tables in which a key of that name stands, as a person writes their headers.
pub(crate) fn homes(root: KeyEntries, name: &str) -> Vec<String> {
    let mut homes = Vec::new();
    collect_homes(root, "", name, &mut homes);
    let mut seen = HashSet::new();
    homes.retain(|home| seen.insert(home.clone()));
    homes
}

fn collect_homes(keys: KeyEntries, header: &str, name: &str, homes: &mut Vec<String>) {
    for key in keys.iter().copied().flatten().filter(|key| key.built) {
        let path = if header.is_empty() { key.name.to_string() } else { format!("{header}.{}", key.name) };
        if key.name == name && !header.is_empty() {
            homes.push(format!("[{header}]"));
        }
        let path = if matches!(key.kind, ValueKind::Tokens { .. } | ValueKind::Named(_)) {
            format!("{path}.NAME")
        } else {
            path
        };
        key.below().into_iter().for_each(|inner| collect_homes(inner, &path, name, homes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::config::ROOT;

    fn every(keys: KeyEntries, see: &mut dyn FnMut(&KeyEntry)) {
        for key in keys.iter().copied().flatten() {
            see(key);
            key.below().into_iter().for_each(|inner| every(inner, see));
        }
    }

    #[test]
    fn every_key_has_a_description_and_an_example_that_is_toml() {
        every(ROOT, &mut |key| {
            assert!(!key.doc.is_empty(), "{} has no description", key.name);
            for text in [key.example, key.default] {
                if !text.is_empty() {
                    assert!(toml::de::DeValue::parse(text).is_ok(), "{}: {text}", key.name);
                }
            }
            assert!(!key.built || !key.example.is_empty(), "{} has no example", key.name);
        });
    }

    #[test]
    fn no_table_has_a_key_twice() {
        fn check(keys: KeyEntries) {
            let mut names: Vec<_> = keys.iter().copied().flatten().map(|key| key.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
        check(ROOT);
        every(ROOT, &mut |key| key.below().into_iter().for_each(check));
    }

    #[test]
    fn every_source_has_what_every_token_has() {
        let Some(ValueKind::Tokens { common, sources }) = find(ROOT, "token").map(|key| key.kind) else {
            panic!("no tokens")
        };
        let words: Vec<_> = sources.iter().map(|source| source.word).collect();
        assert_eq!(
            find(common, "source").map(|key| key.kind),
            Some(ValueKind::Choice(&["jwt", "oauth2", "http", "github-app", "command"]))
        );
        assert_eq!(words, ["jwt", "oauth2", "http", "github-app", "command"]);
        assert!(sources.iter().all(|source| source.keys.starts_with(common)));
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let jwt = sources(ROOT)[0].keys;
        assert_eq!(nearest(jwt, "lifetme"), Some("lifetime"));
        assert_eq!(nearest(jwt, "qqq"), None);
        assert_eq!(homes(ROOT, "control_group"), ["[daemon]"]);
        assert_eq!(homes(ROOT, "ca_file"), ["[token.NAME]"]);
        assert_eq!(sources_with(ROOT, "client_id").collect::<Vec<_>>(), ["oauth2", "github-app"]);
    }
}
