//! Owns: the names of units: what they are made of, how they are escaped, and the specifiers that stand for parts of them in
//! unit files (systemd.unit(5), "Specifiers"; systemd-escape(1)).
//! Does not: read unit files.

use std::path::Path;

/// A unit's name, taken apart: `prefix@instance.service`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct UnitName {
    full: String,
    prefix: String,
    /// `None`: neither a template nor one of its instances; empty: a template.
    instance: Option<String>,
}

const SUFFIX: &str = ".service";

impl UnitName {
    /// `None`: it is not that of a service.
    pub(super) fn parse(full: &str) -> Option<Self> {
        let stem = full.strip_suffix(SUFFIX).filter(|stem| !stem.is_empty())?;
        let (prefix, instance) = match stem.split_once('@') {
            Some((prefix, instance)) => (prefix, Some(instance.to_owned())),
            None => (stem, None),
        };
        Some(Self { full: full.to_owned(), prefix: prefix.to_owned(), instance })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.full
    }

    pub(super) fn is_template(&self) -> bool {
        self.instance.as_deref() == Some("")
    }

    pub(super) fn is_instance(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| !instance.is_empty())
    }

    pub(super) fn with_instance(&self, instance: &str) -> Self {
        let full = format!("{}@{instance}{SUFFIX}", self.prefix);
        Self { full, prefix: self.prefix.clone(), instance: Some(instance.to_owned()) }
    }

    /// The template that this is an instance of.
    pub(super) fn template(&self) -> Option<Self> {
        self.is_instance().then(|| self.with_instance(""))
    }

    /// The folders of its drop-ins in one place, the strongest first: of the unit, of its template, and of what its name
    /// begins with up to each dash.
    pub(super) fn drop_in_folders(&self) -> Vec<String> {
        let mut names = vec![self.full.clone()];
        names.extend(self.template().map(|template| template.full));
        let rest = self.full.strip_prefix(&self.prefix).unwrap_or(SUFFIX);
        let dashes = self.prefix.char_indices().rev().filter(|(_, c)| *c == '-');
        for (at, _) in dashes.filter(|(at, _)| at + 1 < self.prefix.len()) {
            let begin = &self.prefix[..=at];
            names.push(format!("{begin}{rest}"));
            if self.is_instance() {
                names.push(format!("{begin}@{SUFFIX}"));
            }
        }
        names.into_iter().map(|name| format!("{name}.d")).collect()
    }

    /// The text with its specifiers filled in; those that stand for something else than the name, or for nothing, stay.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match (c, if c == '%' { chars.next() } else { None }) {
                ('%', Some(letter)) => match self.specifier(letter) {
                    Some(value) => filled.push_str(&value),
                    None => filled.extend(['%', letter]),
                },
                _ => filled.push(c),
            }
        }
        filled
    }

    fn specifier(&self, letter: char) -> Option<String> {
        let instance = || self.instance.clone().unwrap_or_default();
        let last = || self.prefix.rsplit('-').next().unwrap_or_default().to_owned();
        Some(match letter {
            '%' => "%".into(),
            'n' => self.full.clone(),
            'N' => self.full.trim_end_matches(SUFFIX).into(),
            'p' => self.prefix.clone(),
            'P' => unescape(&self.prefix),
            'i' => instance(),
            'I' => unescape(&instance()),
            'j' => last(),
            'J' => unescape(&last()),
            't' => "/run".into(),
            'S' => "/var/lib".into(),
            'E' => "/etc".into(),
            _ => return None,
        })
    }

    /// The instances of this template of which the text may be that path.
    pub(super) fn instances(&self, text: &str, path: &Path) -> Vec<String> {
        let Some(path) = path.to_str().filter(|_| self.is_template()) else { return Vec::new() };
        let at = ["%i", "%I"].into_iter().filter_map(|specifier| text.find(specifier)).min();
        let Some((before, behind)) = at.map(|at| text.split_at(at)) else { return Vec::new() };
        let Some(rest) = path.strip_prefix(&self.fill(before)) else { return Vec::new() };
        let is_escaped = behind.starts_with("%i");
        let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
        let candidates = ends.map(|end| if is_escaped { rest[..end].to_owned() } else { escape(&rest[..end]) });
        candidates.filter(|instance| self.with_instance(instance).fill(text) == path).collect()
    }
}

/// systemd-escape(1): `/` is `-`, and `\x2d` a byte by its number.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let number = more.strip_prefix(b"x").filter(|_| *first == b'\\').and_then(|more| more.first_chunk::<2>());
        let byte = number.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(if *first == b'-' { b'/' } else { *first }));
        rest = if byte.is_some() { &more[3..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'/' => escaped.push('-'),
            b'.' if at == 0 => escaped.push_str("\\x2e"),
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b':' | b'_' | b'.' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\x{byte:02x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UnitName {
        UnitName::parse(text).unwrap()
    }

    #[test]
    fn specifiers_stand_for_parts_of_the_name() {
        let unit = name("renewd-jobs@blue\\x2dsky-x.service");
        for (text, filled) in [
            ("%n", "renewd-jobs@blue\\x2dsky-x.service"),
            ("%N", "renewd-jobs@blue\\x2dsky-x"),
            ("%p %j", "renewd-jobs jobs"),
            ("/etc/%i.toml", "/etc/blue\\x2dsky-x.toml"),
            ("%I", "blue-sky/x"),
            ("100%% %z %", "100% %z %"),
            ("%t/%p", "/run/renewd-jobs"),
        ] {
            assert_eq!(unit.fill(text), filled, "{text}");
        }
        assert_eq!(name("renewd.service").fill("%p-%i-%j"), "renewd--renewd");
    }

    #[test]
    fn instances_are_found_by_the_path_that_they_make() {
        let template = name("renewd@.service");
        let found = |text: &str, path: &str| template.instances(text, Path::new(path));
        assert_eq!(found("/etc/renewd/%i.toml", "/etc/renewd/blue.toml"), ["blue"]);
        assert_eq!(found("/etc/%p/%i/%i.toml", "/etc/renewd/a/a.toml"), ["a"]);
        assert_eq!(found("/%I.toml", "/srv/blue-sky.toml"), ["srv-blue\\x2dsky"]);
        assert_eq!(found("/etc/renewd/%i.toml", "/etc/renewd/.toml"), Vec::<String>::new());
        assert_eq!(found("/etc/renewd/x.toml", "/etc/renewd/x.toml"), Vec::<String>::new());
    }

    #[test]
    fn drop_ins_of_an_instance_its_template_and_its_first_words() {
        let folders = name("a-b@x.service").drop_in_folders();
        assert_eq!(folders, ["a-b@x.service.d", "a-b@.service.d", "a-@x.service.d", "a-@.service.d"]);
        assert_eq!(name("renewd.service").drop_in_folders(), ["renewd.service.d"]);
        assert_eq!(name("a-b-c.service").drop_in_folders(), ["a-b-c.service.d", "a-b-.service.d", "a-.service.d"]);
    }
}
