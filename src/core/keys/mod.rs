//! Owns: the one table of every key a config may hold: its type, default, description and example.
//! The reader walks a config along it, "did you mean" searches it, and the schema is written from it.
//! Does not: parse or check values.

mod table;

pub(crate) use table::ROOT;

/// What a key's value is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    Text,
    /// A path (contract: "Config").
    Path,
    Bool,
    /// A number from 0 to below 1.
    Fraction,
    /// A humantime duration.
    Duration,
    /// A humantime duration, or `"never"`.
    Lifetime,
    /// Permission bits in octal, as a string.
    Mode,
    /// A user or group, by name or number.
    Account,
    Texts,
    Choice(&'static [&'static str]),
    /// A table with these keys.
    Table(Keys),
    /// `[[...]]`, each with these keys.
    Tables(Keys),
    /// A table of tables, each under a name of the user's choice.
    Named(Keys),
    /// A table with any members.
    Free,
}

/// The keys of a table, in groups that several tables share.
pub(crate) type Keys = &'static [&'static [Key]];

/// One key.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As TOML; empty where there is none.
    pub default: &'static str,
    pub required: bool,
    pub doc: &'static str,
    /// A value, as TOML.
    pub example: &'static str,
    /// False: refused by name until it is there.
    pub built: bool,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Self {
        Self { name, kind, default: "", required: false, doc, example, built: true }
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn later(mut self) -> Self {
        self.built = false;
        self
    }
}

/// The key of that name.
pub(crate) fn find(keys: Keys, name: &str) -> Option<&'static Key> {
    keys.iter().copied().flatten().find(|key| key.name == name)
}

/// The key most like `name`, if one is like it.
pub(crate) fn nearest(keys: Keys, name: &str) -> Option<&'static str> {
    most_like(name, keys.iter().copied().flatten().map(|key| key.name))
}

/// The candidate most like `word`, if one is like it.
pub(crate) fn most_like<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The tables in which a key of that name stands, as a person writes their headers.
pub(crate) fn homes(name: &str) -> Vec<String> {
    let mut homes = Vec::new();
    collect_homes(ROOT, "", name, &mut homes);
    homes
}

fn collect_homes(keys: Keys, header: &str, name: &str, homes: &mut Vec<String>) {
    for key in keys.iter().copied().flatten().filter(|key| key.built) {
        let path = if header.is_empty() { key.name.to_string() } else { format!("{header}.{}", key.name) };
        if key.name == name && !header.is_empty() {
            homes.push(format!("[{header}]"));
        }
        match key.kind {
            Kind::Table(inner) | Kind::Tables(inner) => collect_homes(inner, &path, name, homes),
            Kind::Named(inner) => collect_homes(inner, &format!("{path}.NAME"), name, homes),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(keys: Keys, see: &mut dyn FnMut(&Key)) {
        for key in keys.iter().copied().flatten() {
            see(key);
            if let Kind::Table(inner) | Kind::Tables(inner) | Kind::Named(inner) = key.kind {
                every(inner, see);
            }
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
        fn check(keys: Keys) {
            let mut names: Vec<_> = keys.iter().copied().flatten().map(|key| key.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
        check(ROOT);
        every(ROOT, &mut |key| {
            if let Kind::Table(inner) | Kind::Tables(inner) | Kind::Named(inner) = key.kind {
                check(inner);
            }
        });
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let Some(Key { kind: Kind::Named(token), .. }) = find(ROOT, "token") else { panic!("no [token.NAME]") };
        assert_eq!(nearest(token, "lifetme"), Some("lifetime"));
        assert_eq!(nearest(token, "qqq"), None);
        assert_eq!(homes("control_group"), ["[daemon]"]);
    }
}
