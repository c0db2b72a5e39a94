//! Owns: the JSON Schema (draft 2020-12) of the config, written from the table of keys.
//! Does not: check a config; `config` does, and says more than a schema can.

use serde_json::{Map, Value, json};

use super::config::ROOT;
use super::config::keys::{KeyEntries, KeyEntry, SourceKeys, ValueKind};

const DURATION: &str = r"^\s*[0-9]+\s*[A-Za-zµ]+(\s*[0-9]+\s*[A-Za-zµ]+)*\s*$|^0$";
/// The same, and not all of its numbers are zero.
const SPAN: &str = r"^\s*([0-9]+\s*[A-Za-zµ]+\s*)*[0-9]*[1-9][0-9]*\s*[A-Za-zµ]+(\s*[0-9]+\s*[A-Za-zµ]+)*\s*$";

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$";

/// The schema of the whole config. Keys that are not built yet are not in it.
pub fn schema() -> Value {
    let mut root = table(ROOT);
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "renewd's config",
        "description": "config.toml of renewd",
    });
    if let (Value::Object(root), Value::Object(mut whole)) = (&mut root, head) {
        whole.append(root);
        return Value::Object(whole);
    }
    root
}

fn table(keys: KeyEntries) -> Value {
    let mut schema = members(keys);
    schema["type"] = json!("object");
    schema["additionalProperties"] = json!(false);
    schema
}

/// The keys of a table, and which of them it needs.
fn members(keys: KeyEntries) -> Value {
    let there = || keys.iter().copied().flatten().filter(|key| key.built);
    let properties: Map<_, _> = there().map(|key| (key.name.to_string(), property(key))).collect();
    let required: Vec<_> = there().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({ "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A token: what all have, and by the word of `source` what else.
fn token(common: KeyEntries, sources: &[SourceKeys]) -> Value {
    let by_source = sources.iter().map(|source| {
        json!({
            "if": { "properties": { "source": { "const": source.word } }, "required": ["source"] },
            "then": members(source.keys.get(common.len()..).unwrap_or_default()),
        })
    });
    let mut schema = members(common);
    schema["type"] = json!("object");
    schema["allOf"] = by_source.collect();
    schema["unevaluatedProperties"] = json!(false);
    schema
}

fn property(key: &KeyEntry) -> Value {
    let mut schema = of_kind(key.kind);
    schema["description"] = json!(key.doc);
    if let Some(default) = toml_value(key.default) {
        schema["default"] = default;
    }
    if let Some(example) = toml_value(key.example) {
        schema["examples"] = json!([example]);
    }
    schema
}

fn of_kind(kind: ValueKind) -> Value {
    match kind {
        ValueKind::Text => json!({ "type": "string" }),
        ValueKind::Path => json!({ "type": "string", "minLength": 1 }),
        ValueKind::Bool => json!({ "type": "boolean" }),
        ValueKind::Fraction => json!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 }),
        ValueKind::Part => json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
        ValueKind::Duration => json!({ "type": "string", "pattern": DURATION }),
        ValueKind::Span | ValueKind::Seconds => json!({ "type": "string", "pattern": SPAN }),
        ValueKind::Lifetime => json!({ "type": "string", "pattern": format!("{SPAN}|^never$") }),
        ValueKind::Mode => json!({ "type": "string", "pattern": "^0*[0-7]{1,4}$" }),
        ValueKind::Account => json!({ "type": ["string", "integer"], "minimum": 0, "minLength": 1 }),
        ValueKind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        ValueKind::Choice(words) => json!({ "enum": words }),
        ValueKind::OpenChoice(words) => json!({ "anyOf": [{ "enum": words }, { "type": "string", "minLength": 1 }] }),
        ValueKind::Table(keys) => table(keys),
        ValueKind::Tables(keys) => json!({ "type": "array", "items": table(keys) }),
        ValueKind::Id => json!({ "type": ["string", "integer"], "minimum": 1, "pattern": "^[0-9]+$" }),
        ValueKind::Named(keys) => json!({
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": table(keys),
        }),
        ValueKind::Tokens { common, sources } => json!({
            "type": "object",
            "propertyNames": { "pattern": NAME },
            "additionalProperties": token(common, sources),
        }),
        ValueKind::Free => json!({ "type": "object" }),
    }
}

/// TOML of the table of keys as JSON.
fn toml_value(text: &str) -> Option<Value> {
    if text.is_empty() {
        return None;
    }
    let value = toml::de::ValueDeserializer::parse(text).ok()?;
    serde::Deserialize::deserialize(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_has_a_description_and_an_example() {
        fn check(schema: &Value, path: &str) {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                assert!(property["description"].is_string(), "{path}");
                assert!(property["examples"][0] != Value::Null, "{path}");
                check(property, &path);
                check(&property["items"], &path);
                check(&property["additionalProperties"], &path);
            }
            for source in schema["allOf"].as_array().into_iter().flatten() {
                check(&source["then"], &format!("{path} of {}", source["if"]["properties"]["source"]["const"]));
            }
        }
        let schema = schema();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let token = &schema["properties"]["token"]["additionalProperties"];
        assert_eq!(token["required"], json!(["source"]));
        assert_eq!(token["allOf"][0]["then"]["required"], json!(["algorithm"]));
        assert_eq!(token["allOf"].as_array().map(Vec::len), Some(5));
        check(&schema, "");
    }

    #[test]
    fn what_is_not_built_is_not_in_it() {
        let text = schema().to_string();
        assert!(text.contains("control_socket"));
        assert!(!text.contains("metrics_listen"));
    }
}
