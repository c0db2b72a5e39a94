//! Owns: strict reading of JSON from outside (JOSE headers, claims, JWKs, the answers of endpoints).
//! A member that stands twice is refused at any depth (RFC 7515 4, RFC 7517 4, RFC 8259 4).
//! Does not: know what the members mean.

use std::collections::HashMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// Why a text is no JSON object that can be relied upon.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JsonError {
    #[error("it is not JSON (line {line}, column {column})")]
    Syntax { line: usize, column: usize },
    #[error("a member of it stands twice (line {line}, column {column})")]
    Duplicate { line: usize, column: usize },
    #[error("it is not a JSON object")]
    NotAnObject,
}

/// Members of an object in their order, each value as its own text.
pub(crate) type RawObject = Vec<(String, Box<RawValue>)>;

/// Reads one value of whatever kind, strictly.
pub(crate) fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|e| place(&e))
}

/// Reads one object, strictly.
pub(crate) fn parse_object(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match parse(text)? {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

/// The same, with the text of each member's value as it was.
pub(crate) fn parse_raw(text: &[u8]) -> Result<RawObject, JsonError> {
    let members = parse_object(text)?;
    let mut raw: HashMap<String, Box<RawValue>> = serde_json::from_slice(text).map_err(|e| place(&e))?;
    Ok(members.keys().filter_map(|name| raw.remove_entry(name)).collect())
}

/// What `serde_json` says may quote the text; its place does not.
fn place(error: &serde_json::Error) -> JsonError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => JsonError::Duplicate { line, column },
        _ => JsonError::Syntax { line, column },
    }
}

#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(Number::from_f64(v).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom("twice"));
            }
            members.insert(name, map.next_value_seed(self)?);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_and_nothing_else() {
        assert_eq!(parse_object(b" {\"a\":[1,{\"b\":null}]}\r\n ").unwrap().len(), 1);
        for (text, expected) in [
            ("", JsonError::Syntax { line: 1, column: 0 }),
            ("{} x", JsonError::Syntax { line: 1, column: 4 }),
            ("{}{}", JsonError::Syntax { line: 1, column: 3 }),
            ("\u{feff}{}", JsonError::Syntax { line: 1, column: 1 }),
            ("[1]", JsonError::NotAnObject),
            ("null", JsonError::NotAnObject),
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(expected), "{text}");
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_err());
        assert!(parse_object(&[b'{'; 1 << 16]).is_err());
        assert!(parse_object("[".repeat(1 << 16).as_bytes()).is_err());
    }

    #[test]
    fn a_member_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, r#"{"a":[{"b":{"c":1,"c":2}}]}"#] {
            assert!(matches!(parse_object(text.as_bytes()), Err(JsonError::Duplicate { .. })), "{text}");
            assert!(parse_raw(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn raw_keeps_what_a_number_looked_like() {
        let raw = parse_raw(br#"{"n":123456789012345678901234567890,"f":1.10,"x":null}"#).unwrap();
        let texts: Vec<_> = raw.iter().map(|(n, v)| (n.as_str(), v.get())).collect();
        assert_eq!(texts, [("n", "123456789012345678901234567890"), ("f", "1.10"), ("x", "null")]);
    }
}
