//! Owns: renewd.toml(5), from the table of keys: each table, each key with its value, default and an example.
//! Does not: know a key; `core::config::keys` does.

use clap_mangen::roff::{Roff, bold, italic, roman};

use super::page::{ManPage, see_also, title};
use crate::core::config::ROOT;
use crate::core::config::keys::{self, KeyEntries, KeyEntry, ValueKind};

const ABOUT: &str = "the config of renewd";

const INTRODUCTION: &[&str] = &[
    "renewd reads its config as TOML. The file is named by -c, else by $RENEWD_CONFIG; else it is $XDG_CONFIG_HOME/renewd/config.toml (~/.config/renewd/config.toml where that is not set), else /etc/renewd/config.toml. An unknown key is an error. `renewd check` tells every mistake at once, each with its place.",
    "A path may be absolute, begin with ~/ (the user's home) or with $RUNTIME_DIRECTORY/, $STATE_DIRECTORY/, $CREDENTIALS_DIRECTORY/ or $XDG_RUNTIME_DIR/; any other is looked up beside the file that names it. A duration is a string with a unit, as \"90s\" or \"1h 30m\". A mode is a string of octal digits, as \"0640\".",
    "A saved change is taken at once. A config that is wrong is refused whole, and the old one runs on.",
];

const EXAMPLE: &str = r#"[token.sunbird]
source = "jwt"
algorithm = "HS256"
key = "398e54e888da42f8d089"
secret.file = "/etc/renewd/sunbird.secret"
lifetime = "1h"

[[token.sunbird.output]]
format = "header"
path = "/run/renewd/sunbird.header"
mode = "0640"
group = "jobs""#;

pub(super) fn page() -> ManPage {
    let tables = tables();
    ManPage { name: "renewd.toml".into(), section: "5", roff: roff(&tables), text: text(&tables) }
}

/// A table of the config with its keys.
struct ManTable {
    /// `[token.NAME]`, and for which source.
    header: String,
    keys: Vec<KeyEntry>,
}

/// Every table, in order; one that stands in several places with the same keys has all its headers in one.
fn tables() -> Vec<ManTable> {
    let mut tables = Vec::new();
    collect(&mut tables, "", ROOT);
    tables
}

fn collect(tables: &mut Vec<ManTable>, path: &str, keys: KeyEntries) {
    let header = if path.is_empty() { "The file itself".into() } else { format!("[{path}]") };
    add(tables, header, keys.iter().copied().flatten().copied());
    below(tables, path, keys);
}

fn below(tables: &mut Vec<ManTable>, path: &str, keys: KeyEntries) {
    for key in keys.iter().copied().flatten().filter(|key| key.built) {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match key.kind {
            ValueKind::Table(inner) => collect(tables, &path, inner),
            ValueKind::Named(inner) => collect(tables, &format!("{path}.NAME"), inner),
            ValueKind::Tables(inner) => {
                add(tables, format!("[[{path}]]"), inner.iter().copied().flatten().copied());
                below(tables, &path, inner);
            }
            ValueKind::Tokens { common, sources } => {
                let path = format!("{path}.NAME");
                collect(tables, &path, common);
                for source in sources {
                    let own = source.keys.get(common.len()..).unwrap_or_default();
                    let header = format!("[{path}] with source = \"{}\"", source.word);
                    add(tables, header, own.iter().copied().flatten().copied());
                    below(tables, &path, own);
                }
            }
            _ => {}
        }
    }
}

fn add(tables: &mut Vec<ManTable>, header: String, keys: impl Iterator<Item = KeyEntry>) {
    let keys: Vec<KeyEntry> = keys.filter(|key| key.built).collect();
    match tables.iter_mut().find(|table| table.keys == keys) {
        Some(table) if table.header.split(", ").any(|known| known == header) => {}
        Some(table) => table.header = format!("{}, {header}", table.header),
        None => tables.push(ManTable { header, keys }),
    }
}

/// What a key's value is.
fn kind(key: &KeyEntry) -> String {
    match key.kind {
        ValueKind::Text => "a text".into(),
        ValueKind::Path => "a path".into(),
        ValueKind::Bool => "true or false".into(),
        ValueKind::Fraction | ValueKind::Part => "a fraction".into(),
        ValueKind::Duration | ValueKind::Span | ValueKind::Seconds => "a duration".into(),
        ValueKind::Lifetime => "a duration, or \"never\"".into(),
        ValueKind::Mode => "octal, as a string".into(),
        ValueKind::Account => "a name or a number".into(),
        ValueKind::Id => "a number, in quotes or not".into(),
        ValueKind::Texts => "a list of texts".into(),
        ValueKind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| keys::toml_text(word)).collect();
            format!("one of {}", words.join(", "))
        }
        ValueKind::OpenChoice(words) => {
            let words: Vec<_> = words.iter().map(|word| keys::toml_text(word)).collect();
            format!("{}, or another text", words.join(", "))
        }
        ValueKind::Table(_) => "a table, see below".into(),
        ValueKind::Tables(_) => "tables, see below".into(),
        ValueKind::Tokens { .. } | ValueKind::Named(_) => "tables by name, see below".into(),
        ValueKind::Free => "a table".into(),
    }
}

/// "needed", or its default.
fn default(key: &KeyEntry) -> String {
    match key.default {
        _ if key.required => "; needed".into(),
        "" => String::new(),
        default => format!("; default: {default}"),
    }
}

fn roff(tables: &[ManTable]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("renewd.toml - {ABOUT}"))]);
    roff.control("SH", ["DESCRIPTION"]);
    for (at, paragraph) in INTRODUCTION.iter().enumerate() {
        if at > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*paragraph)]);
    }
    for table in tables {
        roff.control("SH", [table.header.as_str()]);
        for key in &table.keys {
            roff.control("TP", []);
            roff.text([bold(key.name), roman(" = "), italic(key.example)]);
            roff.text([roman(key.doc)]);
            roff.control("br", []);
            roff.text([roman(format!("Value: {}{}.", kind(key), default(key)))]);
        }
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    roff.text([roman(EXAMPLE)]);
    roff.control("fi", []);
    see_also(&mut roff, &["renewd(1)".into(), "renewd-check(1)".into(), "renewd-init(1)".into()]);
    title("renewd.toml", "5") + &roff.to_roff()
}

fn text(tables: &[ManTable]) -> String {
    let mut text = format!("renewd.toml(5): {ABOUT}\n\n{}\n", INTRODUCTION.join("\n\n"));
    for table in tables {
        text.push_str(&format!("\n{}\n", table.header));
        for key in &table.keys {
            text.push_str(&format!("\n  {} = {}\n      {}\n", key.name, key.example, key.doc));
            text.push_str(&format!("      Value: {}{}.\n", kind(key), default(key)));
        }
    }
    let example: String = EXAMPLE.lines().map(|line| format!("  {line}\n")).collect();
    text + "\nFor example:\n\n" + &example
}
