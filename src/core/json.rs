//! Owns: reading of JSON from outside. Where a signature depends on it (JOSE headers, claims, JWKs), a member that stands twice is
//! refused at any depth (RFC 7515 4, RFC 7517 4, RFC 8259 4); in the answers of endpoints it is told.
//! Does not: know what the members mean.

mod repair;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use zeroize::Zeroize;

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
    read(text, Reading { twice: None, at: None })
}

fn read(text: &[u8], how: Reading<'_>) -> Result<Value, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    how.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)).map_err(|e| place(&e))
}

/// What others wrote, who are not always strict.
#[derive(Debug)]
pub(crate) struct LenientJson {
    pub value: Value,
    /// Pointers (RFC 6901) to members that stand twice with different values: of those the last one is in `value`, as common
    /// readers have it.
    pub ambiguous: BTreeSet<String>,
}

/// Reads one value as well as it can be read: bytes that are no UTF-8, half surrogates, and control characters inside a text
/// cost that text alone.
///
/// # Errors
/// It is no JSON: the place is that of the first mistake.
pub(crate) fn parse_lenient(text: &[u8]) -> Result<LenientJson, JsonError> {
    let strict = match parse(text) {
        Ok(value) => return Ok(LenientJson { value, ambiguous: BTreeSet::new() }),
        Err(error) => error,
    };
    let ambiguous = RefCell::default();
    let value = read(&repair::repaired(text), Reading { twice: Some(&ambiguous), at: None }).map_err(|_| strict)?;
    Ok(LenientJson { value, ambiguous: ambiguous.into_inner() })
}

/// Overwrites every text of a value.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
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
struct Reading<'a> {
    /// Where members that stand twice are told; without it they are refused.
    twice: Option<&'a RefCell<BTreeSet<String>>>,
    /// `None`: the whole.
    at: Option<&'a PointerStep<'a>>,
}

/// Where a value stands.
struct PointerStep<'a> {
    above: Option<&'a PointerStep<'a>>,
    /// Of the member or, in an array, its number.
    name: &'a str,
}

impl PointerStep<'_> {
    /// RFC 6901 3.
    fn pointer(&self) -> String {
        let above = self.above.map(PointerStep::pointer).unwrap_or_default();
        format!("{above}/{}", self.name.replace('~', "~0").replace('/', "~1"))
    }
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
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
        loop {
            // Nobody asks where it is while nothing is told.
            let number = self.twice.map(|_| items.len().to_string()).unwrap_or_default();
            let step = PointerStep { above: self.at, name: &number };
            match seq.next_element_seed(Reading { at: Some(&step), ..self })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let step = PointerStep { above: self.at, name: &name };
            let inner = Reading { at: Some(&step), ..self };
            let Some(first) = members.get_mut(&name) else {
                let value = map.next_value_seed(inner)?;
                members.insert(name, value);
                continue;
            };
            let Some(twice) = self.twice else { return Err(de::Error::custom("twice")) };
            let mut last = map.next_value_seed(inner)?;
            if *first != last {
                std::mem::swap(first, &mut last);
                twice.borrow_mut().insert(step.pointer());
            }
            wipe(&mut last);
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
    fn what_others_wrote_is_read_as_well_as_can_be() {
        let read = |text: &[u8]| parse_lenient(text).map(|read| (read.value.to_string(), read.ambiguous.len()));
        let good = |text: &str, twice: usize| Ok((text.to_owned(), twice));
        assert_eq!(read(br#"{"a":1,"a":1,"b":"x"}"#), good(r#"{"a":1,"b":"x"}"#, 0));
        assert_eq!(read(br#"{"a":"x","b":[{"c":1,"c":2}],"a":"y"}"#), good(r#"{"a":"y","b":[{"c":2}]}"#, 2));
        let twice = parse_lenient(br#"{"a":1,"a":2,"b":[0,{"c/~":1,"c/~":2,"d":{"e":1,"e":1}}]}"#).unwrap();
        assert_eq!(Vec::from_iter(twice.ambiguous), ["/a", "/b/1/c~1~0"]);
        assert_eq!(read(b"{\"a\":\"gr\xfcn\"}"), good("{\"a\":\"gr\u{fffd}n\"}", 0));
        assert_eq!(read(b"{\"a\":\"x\ny\x01\"}"), good(r#"{"a":"x\ny\u0001"}"#, 0));
        let half = format!(r#"{{"a":"{0}d83d","b":"{0}d83d{0}de00","c":"{0}de00"}}"#, r"\u");
        assert_eq!(read(half.as_bytes()), good("{\"a\":\"\u{fffd}\",\"b\":\"\u{1f600}\",\"c\":\"\u{fffd}\"}", 0));
        assert_eq!(read(b"{\"a\":\n1} x"), Err(JsonError::Syntax { line: 2, column: 4 }));
        for none in [&b""[..], b"{\"a\":\"\xff", b"{\"a\":\"\\", b"{\"a\":\"\\u12", b"{\"a\":\"\\ud83d\\u"] {
            assert!(read(none).is_err());
        }
    }

    #[test]
    fn raw_keeps_what_a_number_looked_like() {
        let raw = parse_raw(br#"{"n":123456789012345678901234567890,"f":1.10,"x":null}"#).unwrap();
        let texts: Vec<_> = raw.iter().map(|(n, v)| (n.as_str(), v.get())).collect();
        assert_eq!(texts, [("n", "123456789012345678901234567890"), ("f", "1.10"), ("x", "null")]);
    }
}
