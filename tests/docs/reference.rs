//! Owns: the parts of the reference that are made from the binary: the tables of keys and the help texts.
//! Does not: look at the rest of a page.

use std::fmt::Write;

use serde_json::Value;

use support::repository;

use super::printed;

/// Puts `made` between the page's marks, or panics where something else stands there.
fn kept(page: &str, mark: &str, made: &str) {
    let path = repository().join(page);
    let text = std::fs::read_to_string(&path).expect("a page");
    let (begin, end) = (format!("<!-- {mark}: begin -->\n"), format!("<!-- {mark}: end -->"));
    let (before, rest) = text.split_once(&begin).expect("the mark that begins it");
    let (is, after) = rest.split_once(&end).expect("the mark that ends it");
    if std::env::var_os("RENEWD_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{made}{end}{after}")).expect("the page is written");
    } else {
        assert!(is == made, "{page} is not what the binary says: run `RENEWD_BLESS=1 cargo test --test docs`");
    }
}

#[test]
fn the_tables_of_keys_are_those_of_the_schema() {
    let schema: Value = serde_json::from_str(&printed(&["schema"])).expect("JSON");
    let mut sections: Vec<(Vec<String>, String)> = Vec::new();
    tables(&schema, "", "", &mut sections);
    let mut made = String::new();
    for (headers, rows) in &sections {
        write!(made, "\n### {}\n\n| key | value | default | |\n|---|---|---|---|\n{rows}", headers.join(", ")).unwrap();
    }
    made.push('\n');
    kept("docs/src/reference/config.md", "keys", &made);
}

/// One section for each table; tables with the same keys share one. `source`: of tokens with that source alone.
fn tables(schema: &Value, path: &str, source: &str, sections: &mut Vec<(Vec<String>, String)>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let needed = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let mut rows = String::new();
    for (name, key) in properties {
        let default = match &key["default"] {
            Value::Null if needed(name) => "needed".to_owned(),
            Value::Null => String::new(),
            value => format!("`{value}`"),
        };
        let doc = key["description"].as_str().unwrap_or_default().replace('|', "\\|");
        writeln!(rows, "| `{name}` | {} | {default} | {doc} |", kind(key)).unwrap();
    }
    let header = if path.is_empty() { "The file itself".into() } else { format!("`[{path}]`") };
    add(header, source, rows, sections);
    for (name, key) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        tables(key, &path, source, sections);
        tables(&key["additionalProperties"], &format!("{path}.NAME"), source, sections);
        let mut of_array = Vec::new();
        tables(&key["items"], &path, source, &mut of_array);
        for (headers, rows) in of_array {
            sections
                .push((headers.iter().map(|header| header.replace("`[", "`[[").replace("]`", "]]`")).collect(), rows));
        }
    }
    for branch in schema["allOf"].as_array().into_iter().flatten() {
        let source = branch["if"]["properties"]["source"]["const"].as_str().expect("a source");
        tables(&branch["then"], path, source, sections);
    }
}

fn add(header: String, source: &str, rows: String, sections: &mut Vec<(Vec<String>, String)>) {
    let taken = sections.iter().any(|(headers, other)| headers.contains(&header) && *other != rows);
    let header = if taken { format!("{header} with `source = \"{source}\"`") } else { header };
    match sections.iter_mut().find(|(_, other)| *other == rows) {
        Some((headers, _)) if headers.contains(&header) => {}
        Some((headers, _)) => headers.push(header),
        None => sections.push((vec![header], rows)),
    }
}

/// What a key's value is, in words.
fn kind(key: &Value) -> String {
    if let Some(words) = key["enum"].as_array() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    let pattern = key["pattern"].as_str().unwrap_or_default();
    let words = match (key["type"].as_str(), pattern) {
        (None, "^[0-9]+$") => "a number, in quotes or not",
        (None, _) => "a name or a number",
        (Some("string"), pattern) if pattern.contains("never") => "a duration, or `\"never\"`",
        (Some("string"), pattern) if pattern.contains("[0-7]") => "octal, as a string",
        (Some("string"), "") => "a text",
        (Some("string"), _) => "a duration",
        (Some("number"), _) => "a fraction",
        (Some("boolean"), _) => "`true` or `false`",
        (Some("array"), _) if key["items"]["type"] == "string" => "a list of texts",
        (Some("array"), _) => "tables, see below",
        (Some("object"), _) if key["properties"].is_object() => "a table, see below",
        (Some("object"), _) if key["additionalProperties"].is_object() => "tables by name, see below",
        (Some("object"), _) => "a table",
        (Some(other), _) => panic!("a kind of value without words: {other}"),
    };
    words.into()
}

#[test]
fn the_help_texts_are_those_of_the_binary() {
    let mut made = String::new();
    for command in super::commands::all() {
        let help: String =
            printed(&[&command, "--help"]).lines().map(|line| format!("{}\n", line.trim_end())).collect();
        write!(made, "\n## renewd {command}\n\n```text\n{help}```\n").unwrap();
    }
    made.push('\n');
    kept("docs/src/reference/commands.md", "help", &made);
}
