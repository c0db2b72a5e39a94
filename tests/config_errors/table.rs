//! Owns: that the table of keys, the schema and the reader say the same: which values a key takes, which keys have to be
//! there, and what is taken where one is not. The manual is made from the schema (`docs::reference`).
//! Does not: look at what keys mean together.

use std::collections::BTreeSet;

use regex::Regex;
use renewd::core::schema::schema;
use serde_json::Value;

use super::fingerprint::base;
use super::sources::home;
use super::*;

/// A key, as it is written in the table that it belongs to, with what the schema says of it.
struct Leaf {
    /// The word of a token's source, or the header of another table.
    table: String,
    key: String,
    schema: Value,
}

impl Leaf {
    fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap()
    }

    /// A config with `key = value` in that table, and otherwise right.
    fn config(&self, value: &str) -> String {
        if self.table.starts_with('[') {
            return format!("{}\n{} = {value}\n{}", self.table, self.key, base("jwt")(&[], ""));
        }
        let first = self.key.split('.').next().unwrap();
        let line = match self.key.split_once("output.") {
            Some((_, key)) => format!("output = [{{ {key} = {value} }}]\n"),
            None if self.key.starts_with("basic.password") => format!("basic.user = \"u\"\n{} = {value}\n", self.key),
            None => format!("{} = {value}\n", self.key),
        };
        base(&self.table)(&[first], &line)
    }
}

fn leaves(table: &str, prefix: &str, schema: &Value, found: &mut Vec<Leaf>) {
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        leaves(table, &format!("{path}."), key, found);
        leaves(table, &format!("{path}."), &key["items"], found);
        found.push(Leaf { table: table.to_owned(), key: path, schema: key.clone() });
    }
}

/// Every key of the config; those of every token with one source.
fn every() -> Vec<Leaf> {
    let whole = schema();
    let token = &whole["properties"]["token"]["additionalProperties"];
    let mut found = Vec::new();
    for table in ["daemon", "defaults"] {
        leaves(&format!("[{table}]"), "", &whole["properties"][table], &mut found);
    }
    for of in token["allOf"].as_array().unwrap() {
        let source = of["if"]["properties"]["source"]["const"].as_str().unwrap();
        if source == "jwt" {
            leaves(source, "", token, &mut found);
        }
        leaves(source, "", &of["then"], &mut found);
    }
    assert!(found.len() > 150, "{}", found.len());
    found
}

/// Whether a value is one by the schema. `None`: it says nothing that can be compared.
fn takes(schema: &Value, value: &Value) -> Option<bool> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.contains(value));
    }
    match (schema["type"].as_str()?, &schema["pattern"]) {
        ("boolean", _) => Some(value.is_boolean()),
        ("number", _) => Some(value.as_f64().is_some_and(|number| {
            schema["minimum"].as_f64().is_none_or(|least| number >= least)
                && schema["exclusiveMinimum"].as_f64().is_none_or(|least| number > least)
                && schema["exclusiveMaximum"].as_f64().is_none_or(|most| number < most)
        })),
        ("string", Value::String(pattern)) => {
            Some(value.as_str().is_some_and(|text| Regex::new(pattern).unwrap().is_match(text)))
        }
        _ => None,
    }
}

#[test]
fn the_reader_takes_what_the_schema_does() {
    let mut values: Vec<Value> =
        ["0s", "0", "0m 0s", "0s 1s", "1s", "1h 30m", "10", "", "never", "0640", "8", "Odd", "true", "SIGHUP"]
            .map(Value::from)
            .into();
    values.extend([0.0, 0.5, 1.0, -0.5].map(Value::from));
    values.extend([Value::from(true), Value::from(5), Value::from(0)]);
    let refused = |name: &str| {
        Regex::new(&format!("error: `{name}` (cannot be|is a |is true|is 0 or|is above|is not a whole)")).unwrap()
    };
    let home = home();
    let mut compared = BTreeSet::new();
    for leaf in every().iter().filter(|leaf| leaf.key != "source") {
        let mut values = values.clone();
        values.extend(leaf.schema["enum"].as_array().into_iter().flatten().cloned());
        let refused = refused(leaf.name());
        for value in values {
            let Some(takes) = takes(&leaf.schema, &value) else { continue };
            let config = leaf.config(&value.to_string());
            home.file("config.toml", &config);
            let told = home.load().report.render(false);
            assert_eq!(!refused.is_match(&told), takes, "{}: {} = {value}\n{config}\n{told}", leaf.table, leaf.key);
            compared.insert((leaf.table.clone(), leaf.key.clone()));
        }
    }
    assert!(compared.len() > 60, "{}", compared.len());
}

#[test]
fn what_the_schema_needs_is_missed() {
    let missing = Regex::new("error: `([a-z_]+)` is missing").unwrap();
    let home = home();
    let missed = |config: &str| {
        home.file("config.toml", config);
        let told = home.load().report.render(false);
        missing.captures_iter(&told).map(|found| found[1].to_owned()).collect::<BTreeSet<_>>()
    };
    let needed = |schema: &Value| -> BTreeSet<String> {
        schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let mut count = 0;
    for leaf in every() {
        let (table, empty) = match (&leaf.schema["properties"], &leaf.schema["items"]) {
            (Value::Object(_), _) => (&leaf.schema, "{}"),
            (_, items) if items["properties"].is_object() => (items, "[{}]"),
            _ => continue,
        };
        let config = leaf.config(empty);
        assert_eq!(missed(&config), needed(table), "{config}");
        count += needed(table).len();
    }
    let whole = schema();
    for of in whole["properties"]["token"]["additionalProperties"]["allOf"].as_array().unwrap() {
        let source = of["if"]["properties"]["source"]["const"].as_str().unwrap();
        for name in needed(&of["then"]) {
            let config = base(source)(&[&name], "");
            assert!(missed(&config).contains(&name), "{config}");
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn a_default_is_what_is_taken() {
    let home = home();
    fs::create_dir_all(home.path.join("out")).unwrap();
    let plan = |config: &str| {
        home.file("config.toml", config);
        let loaded = home.load();
        let told = loaded.report.render(false);
        format!("{:?}", loaded.plan.unwrap_or_else(|| panic!("{config}\n{told}")))
    };
    let mut count = 0;
    for leaf in every().iter().filter(|leaf| !leaf.schema["default"].is_null()) {
        // Of the files of credentials (`fingerprint` has it), and of outputs, which take a token's.
        if leaf.name() == "allow_readable" || leaf.key.starts_with("output.") {
            continue;
        }
        let line = format!("{} = {}\n", leaf.key, leaf.schema["default"]);
        let output = "output = [{ format = \"token\", path = \"out/a\" }]\n";
        let (but, beside): (&[&str], &str) = match leaf.key.split('.').next().unwrap() {
            "assertion" => {
                (&["client_secret"], "assertion.algorithm = \"RS256\"\nassertion.private_key.file = \"rsa.pem\"\n")
            }
            "subject_token" => (&["grant"], "grant = \"token_exchange\"\nsubject_token.file = \"/a\"\n"),
            "after_rotate" => (&[], "after_rotate.command = [\"true\"]\n"),
            "on_failure" => (&[], "on_failure.command = [\"true\"]\n"),
            _ => (&[], ""),
        };
        let configs = ["", line.as_str()].map(|line| match leaf.table.starts_with('[') {
            true => format!("{}\n{line}{}", leaf.table, base("jwt")(&[], output)),
            false => base(&leaf.table)(but, &format!("{output}{beside}{line}")),
        });
        if leaf.key.starts_with("assertion.secret.") {
            continue;
        }
        let [without, with] = configs.map(|config| plan(&config));
        assert_eq!(without, with, "{}: {line}", leaf.table);
        count += 1;
    }
    assert!(count > 30, "{count}");
}
