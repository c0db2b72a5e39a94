//! Owns: `claims` and `header`: TOML to JSON, and the four claims that are switches.
//! Does not: fill in claims; that is done when a token is made.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::DeValue;

use super::section::{Section, SectionReader, in_order};
use crate::core::diagnostic::{Located, Span, quote};

/// `claims`, with its switches.
#[derive(Default)]
pub(super) struct Claims {
    pub members: Map<String, Value>,
    /// Where `claims.iss` stands.
    pub iss: Option<Span>,
    pub iat: Option<bool>,
    pub exp: Option<Located<bool>>,
    pub nbf: Option<bool>,
    pub jti: Option<bool>,
}

/// `header`, and where its kid stands.
pub(super) fn header(cx: &mut SectionReader<'_>, section: &Section<'_, '_>) -> (Map<String, Value>, Option<Span>) {
    let (mut header, mut kid) = (Map::new(), None);
    for (name, value) in section.members(cx, "header") {
        let span = cx.span(name.span());
        match name.get_ref().as_ref() {
            "alg" => cx.error(span, "`alg` in the header", "remove it: `algorithm` decides it"),
            member => {
                if member == "kid" {
                    kid = Some(span);
                }
                if let Some(json) = json(cx, value) {
                    header.insert(member.into(), json);
                }
            }
        }
    }
    (header, kid)
}

/// `claims` of an assertion: without those that are filled in for each.
pub(super) fn of_assertion(cx: &mut SectionReader<'_>, section: &Section<'_, '_>) -> Map<String, Value> {
    let mut claims = Map::new();
    for (name, value) in section.members(cx, "claims") {
        let member = name.get_ref().as_ref();
        if ["iat", "exp", "nbf", "jti"].contains(&member) {
            let span = cx.span(name.span());
            let help = "remove it; `lifetime` decides how long an assertion is good for";
            cx.error(span, format!("`claims.{member}` is filled in for each assertion"), help);
        } else if let Some(json) = json(cx, value) {
            claims.insert(member.into(), json);
        }
    }
    claims
}

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Claims {
    let mut claims = Claims::default();
    for (name, value) in token.members(cx, "claims") {
        match name.get_ref().as_ref() {
            "iat" => claims.iat = switch(cx, "iat", value).map(|on| on.value),
            "exp" => claims.exp = switch(cx, "exp", value),
            "nbf" => claims.nbf = switch(cx, "nbf", value).map(|on| on.value),
            "jti" => claims.jti = switch(cx, "jti", value).map(|on| on.value),
            member => {
                if member == "iss" {
                    claims.iss = Some(cx.span(name.span()));
                }
                if let Some(json) = json(cx, value) {
                    claims.members.insert(member.into(), json);
                }
            }
        }
    }
    claims
}

fn switch(cx: &mut SectionReader<'_>, name: &str, value: &Spanned<DeValue<'_>>) -> Option<Located<bool>> {
    match value.get_ref() {
        DeValue::Boolean(on) => Some(cx.at(*on, value.span())),
        _ => {
            let help = match name {
                "exp" => "it is filled in for each token: `lifetime` decides it; false leaves it out",
                "iat" | "nbf" => "it is filled in for each token, `skew` backdates it; false leaves it out",
                _ => "it is drawn anew for each token; false leaves it out",
            };
            cx.wrong_type(&format!("claims.{name}"), "true or false", value, help);
            None
        }
    }
}

/// A TOML value as JSON. Depth is bounded by the parser.
pub(super) fn json(cx: &mut SectionReader<'_>, value: &Spanned<DeValue<'_>>) -> Option<Value> {
    let span = cx.span(value.span());
    match value.get_ref() {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Boolean(on) => Some(Value::Bool(*on)),
        DeValue::Integer(number) => {
            let signed = i64::from_str_radix(number.as_str(), number.radix()).map(Number::from);
            let json = signed.or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Number::from));
            if json.is_err() {
                cx.error(span, "the integer is too large", "write it as a string, or smaller than 2^64");
            }
            json.ok().map(Value::Number)
        }
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            if number.is_none() {
                cx.error(span, format!("JSON has no {}", quote(float.as_str())), "write a finite number, or a string");
            }
            number.map(Value::Number)
        }
        DeValue::Datetime(_) => {
            cx.error(span, "JSON has no dates", "write it in quotes as a string, or as Unix seconds");
            None
        }
        DeValue::Array(array) => {
            let members: Vec<_> = array.iter().map(|member| json(cx, member)).collect();
            members.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
        }
        DeValue::Table(table) => {
            let mut members = Map::new();
            for (name, value) in in_order(table) {
                members.insert(name.get_ref().to_string(), json(cx, value)?);
            }
            Some(Value::Object(members))
        }
    }
}
