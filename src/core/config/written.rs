//! Owns: what a config's file says of one token, key by key with its line, fit to be shown to anybody who may see the
//! status: no secret, and nothing that may hold one.
//! Does not: read files, or know what the keys mean.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ROOT;
use super::keys::{self, KeyEntries, KeyEntry, ValueKind};
use super::section::in_order;
use crate::core::redact;

const NOT_SHOWN: &str = "(not shown)";
/// Three ways to say the same: one of them in a token's table replaces whichever `[defaults]` has.
const RULES: [&str; 3] = ["rotate_at", "rotate_before", "rotate_every"];
/// What an output may say itself.
const FILE: [&str; 3] = ["mode", "owner", "group"];

/// A key, its value as it may be shown, and the line (from 1) that the key stands in; 0 for what renewd has of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Setting {
    /// With its tables before it: `secret.file`, `output.path`.
    pub key: String,
    pub value: String,
    pub line: usize,
}

/// The settings of one token in the order of the file; `None` where the file does not name it, or is not TOML.
/// `hidden`: the byte ranges of the file's secrets.
pub(crate) fn of_token(text: &str, hidden: &[Range<usize>], name: &str) -> Option<Vec<Setting>> {
    let root = DeTable::parse(text).ok()?.into_inner();
    let token = root.get("token")?.get_ref().as_table()?.get(name)?.get_ref().as_table()?;
    let source = token.get("source").and_then(|source| source.get_ref().as_str()).unwrap_or_default();
    let mut walk = ClaimsWalk { text, hidden, settings: Vec::new() };
    walk.table("", token, keys_of(source));
    Some(walk.settings)
}

/// What `[defaults]` says, in the order of the file.
pub(crate) fn of_defaults(text: &str, hidden: &[Range<usize>]) -> Vec<Setting> {
    let mut walk = ClaimsWalk { text, hidden, settings: Vec::new() };
    if let Ok(root) = DeTable::parse(text)
        && let Some(DeValue::Table(defaults)) = root.get_ref().get("defaults").map(Spanned::get_ref)
    {
        walk.table("", defaults, keys::inner(ROOT, "defaults"));
    }
    walk.settings
}

/// Those of `defaults` that a token takes because it does not say otherwise.
pub(crate) fn applying(defaults: Vec<Setting>, token: &[Setting]) -> Vec<Setting> {
    let keys = keys_of(&source_of(token));
    defaults.into_iter().filter(|setting| applies(&setting.key, keys, token)).collect()
}

/// What renewd itself takes where neither the token nor `[defaults]` says anything: the keys that `[defaults]` knows.
pub(crate) fn built_in(token: &[Setting], defaults: &[Setting]) -> Vec<Setting> {
    let keys = keys_of(&source_of(token));
    let mut settings = Vec::new();
    let mut add = |name: String, key: &KeyEntry| {
        let free = applies(&name, keys, token) && applies(&name, keys, defaults);
        if free && !key.default.is_empty() {
            settings.push(Setting { key: name, value: key.default.to_owned(), line: 0 });
        }
    };
    for key in keys::inner(ROOT, "defaults").iter().copied().flatten() {
        match key.kind {
            ValueKind::Table(inner) => {
                inner.iter().copied().flatten().for_each(|one| add(format!("{}.{}", key.name, one.name), one));
            }
            _ => add(key.name.to_owned(), key),
        }
    }
    settings
}

fn source_of(token: &[Setting]) -> String {
    let source = token.iter().find(|setting| setting.key == "source");
    source.map_or_else(String::new, |source| source.value.trim_matches('"').to_owned())
}

/// What a token's table may hold; of an unknown source what every token has.
fn keys_of(source: &str) -> KeyEntries {
    let known = keys::sources(ROOT).iter().find(|known| known.word == source).map(|known| known.keys);
    known.unwrap_or(match keys::find(ROOT, "token").map(|key| key.kind) {
        Some(ValueKind::Tokens { common, .. }) => common,
        _ => &[],
    })
}

/// Whether a default named `key` has a say where `settings` stand before it.
fn applies(key: &str, keys: KeyEntries, settings: &[Setting]) -> bool {
    let first = key.split('.').next().unwrap_or(key);
    let says = |name: &str| settings.iter().any(|setting| setting.key == name);
    let count = |end: &str| settings.iter().filter(|s| s.key.starts_with("output") && s.key.ends_with(end)).count();
    if keys::find(keys, first).is_none() || says(key) {
        return false;
    }
    if RULES.contains(&key) {
        return !RULES.iter().any(|rule| says(rule));
    }
    if FILE.contains(&key) && says("source") {
        return count(&format!(".{key}")) < count(".path");
    }
    true
}

struct ClaimsWalk<'t> {
    text: &'t str,
    hidden: &'t [Range<usize>],
    settings: Vec<Setting>,
}

impl ClaimsWalk<'_> {
    fn table(&mut self, before: &str, table: &DeTable<'_>, keys: KeyEntries) {
        for (name, value) in in_order(table) {
            let at = name.span().start;
            let path =
                if before.is_empty() { name.get_ref().to_string() } else { format!("{before}.{}", name.get_ref()) };
            match (keys::find(keys, name.get_ref()).map(|key| key.kind), value.get_ref()) {
                (Some(ValueKind::Table(inner)), DeValue::Table(table)) => self.table(&path, table, inner),
                (Some(ValueKind::Named(inner)), DeValue::Table(tables)) => {
                    for (called, one) in in_order(tables) {
                        let (path, at) = (format!("{path}.{}", called.get_ref()), called.span().start);
                        match one.get_ref() {
                            DeValue::Table(table) => self.table(&path, table, inner),
                            _ => self.add(path, NOT_SHOWN.into(), at),
                        }
                    }
                }
                (Some(ValueKind::Tables(inner)), DeValue::Array(tables)) => {
                    for (number, one) in tables.iter().enumerate() {
                        let path = if tables.len() > 1 { format!("{path}[{}]", number + 1) } else { path.clone() };
                        match one.get_ref() {
                            DeValue::Table(table) => self.table(&path, table, inner),
                            _ => self.add(path, NOT_SHOWN.into(), at),
                        }
                    }
                }
                (kind, _) => {
                    let shown = self.shown(name.get_ref(), kind, value);
                    self.add(path, shown, at);
                }
            }
        }
    }

    fn add(&mut self, key: String, value: String, at: usize) {
        let line = self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        self.settings.push(Setting { key, value, line });
    }

    fn shown(&self, name: &str, kind: Option<ValueKind>, value: &Spanned<DeValue<'_>>) -> String {
        // Any member may hold a secret: a form field, a header, a claim.
        if let (Some(ValueKind::Free), DeValue::Table(table)) = (kind, value.get_ref()) {
            let names: Vec<&str> = in_order(table).iter().map(|(name, _)| name.get_ref().as_ref()).collect();
            return format!("{} (values not shown)", names.join(", "));
        }
        let span = value.span();
        let secret = |range: &&Range<usize>| range.start < span.end && span.start < range.end;
        if self.hidden.iter().find(secret).is_some() || name == "value" {
            return NOT_SHOWN.into();
        }
        match (kind, value.get_ref()) {
            (Some(ValueKind::Free) | None, _) => NOT_SHOWN.into(),
            // An argument may be one too.
            (Some(ValueKind::Texts), DeValue::Array(words)) if name == "command" => {
                let program = words.first().and_then(|word| word.get_ref().as_str()).unwrap_or_default();
                match words.len().saturating_sub(1) {
                    0 => format!("[{}]", quoted(program)),
                    1 => format!("[{}, ...] (1 argument not shown)", quoted(program)),
                    more => format!("[{}, ...] ({more} arguments not shown)", quoted(program)),
                }
            }
            (Some(_), value) => self.plain(value, &span),
        }
    }

    fn plain(&self, value: &DeValue<'_>, span: &Range<usize>) -> String {
        match value {
            DeValue::String(text) if text.contains("://") => quoted(&address(text)),
            DeValue::String(text) => quoted(text),
            DeValue::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.plain(item.get_ref(), &item.span())).collect();
                format!("[{}]", items.join(", "))
            }
            DeValue::Table(_) => NOT_SHOWN.into(),
            _ => self.text.get(span.clone()).unwrap_or(NOT_SHOWN).to_owned(),
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A URL without what may be a password or a key in it: the user before the host, the query, long opaque segments.
fn address(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (shown, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let host = shown.find('/').unwrap_or(shown.len());
    let user = shown.get(..host).and_then(|host| host.rfind('@')).map_or(0, |at| at + 1);
    let shown = redact::mask_opaque(shown.get(user..).unwrap_or_default());
    let tail = if query.is_empty() { "" } else { "?..." };
    let user = if user > 0 { "...@" } else { "" };
    format!("{scheme}://{user}{shown}{tail}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::core::environment::Environment;

    fn read(text: &str, name: &str) -> Vec<Setting> {
        let env = Environment::new([], "/".into(), None);
        let hidden = super::super::read(text, 0, Path::new("/etc"), super::super::Role::Main, &env).hidden;
        of_token(text, &hidden, name).expect("the token is there")
    }

    fn lines(settings: &[Setting]) -> Vec<String> {
        settings.iter().map(|one| format!("{}: {} = {}", one.line, one.key, one.value)).collect()
    }

    #[test]
    fn each_setting_has_its_line_and_no_secret_is_shown() {
        let text = r#"
[token.api]
source = "http"
url = "https://api.example/auth?key=hunter2"
secret.value = "hunter2"
headers = { "X-Key" = "hunter2" }
json = { key = "hunter2" }
response = { token = "/t" }
odd = "hunter2"
rotate_at = 0.5

[token.api.form]
a = "hunter2"

[[token.api.output]]
format = "token"
path = "/run/a"
mode = "0640"

[[token.api.output]]
format = "header"
path = "/run/b"

[token.api.after_rotate]
command = ["/usr/bin/tell", "--password", "hunter2"]
timeout = "5s"
"#;
        let settings = read(text, "api");
        assert_eq!(
            lines(&settings),
            [
                "3: source = \"http\"",
                "4: url = \"https://api.example/auth?...\"",
                "5: secret.value = (not shown)",
                "6: headers = X-Key (values not shown)",
                "7: json = key (values not shown)",
                "8: response.token = \"/t\"",
                "9: odd = (not shown)",
                "10: rotate_at = 0.5",
                "12: form = a (values not shown)",
                "16: output[1].format = \"token\"",
                "17: output[1].path = \"/run/a\"",
                "18: output[1].mode = \"0640\"",
                "21: output[2].format = \"header\"",
                "22: output[2].path = \"/run/b\"",
                "25: after_rotate.command = [\"/usr/bin/tell\", ...] (2 arguments not shown)",
                "26: after_rotate.timeout = \"5s\"",
            ]
        );
    }

    #[test]
    fn an_address_is_shown_without_what_opens_doors() {
        assert_eq!(address("https://me:hunter2@a.example/t"), "https://...@a.example/t");
        assert_eq!(address("https://a.example?key=hunter2#x"), "https://a.example?...");
        assert_eq!(address("https://a.example/oauth2/token"), "https://a.example/oauth2/token");
    }

    #[test]
    fn a_secret_written_in_the_wrong_span_is_not_shown() {
        let text = "[token.a]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret = \"hunter2\"\nsecrte = \"hunter2\"\nunits = [\"a\"]\n";
        let shown = lines(&read(text, "a")).join("\n");
        assert!(!shown.contains("hunter2") && shown.contains("units = [\"a\"]"), "{shown}");
    }

    #[test]
    fn defaults_apply_where_nothing_else_is_said() {
        let text = "[defaults]\nlifetime = \"2h\"\nrotate_before = \"5m\"\nmode = \"0640\"\ngroup = \"jobs\"\nretry = { max = \"5m\" }\n\
            [token.a]\nsource = \"jwt\"\nrotate_at = 0.3\noutput = [{ path = \"/a\", mode = \"0600\" }]\nretry.initial = \"3s\"\n\
            [token.b]\nsource = \"oauth2\"\noutput = [{ path = \"/a\" }, { path = \"/b\", mode = \"0600\" }]\n";
        let told = |name: &str| {
            let token = read(text, name);
            let defaults = applying(of_defaults(text, &[]), &token);
            let built_in = built_in(&token, &of_defaults(text, &[]));
            (lines(&defaults).join("; "), lines(&built_in).join("; "))
        };
        let (defaults, own) = told("a");
        assert_eq!(defaults, "2: lifetime = \"2h\"; 5: group = \"jobs\"; 6: retry.max = \"5m\"");
        assert_eq!(
            own,
            "0: skew = \"0s\"; 0: jitter = 0.05; 0: min_interval = \"1s\"; 0: warn_before = \"7d\"; 0: retry.rejected = \"15m\""
        );
        let (defaults, own) = told("b");
        assert_eq!(
            defaults,
            "3: rotate_before = \"5m\"; 4: mode = \"0640\"; 5: group = \"jobs\"; 6: retry.max = \"5m\""
        );
        assert_eq!(
            own,
            "0: jitter = 0.05; 0: min_interval = \"1s\"; 0: warn_before = \"7d\"; 0: retry.initial = \"1s\"; 0: retry.rejected = \"15m\""
        );
    }
}
