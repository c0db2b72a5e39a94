//! Owns: the bytes of an output: a token as token, env, json, header or template file.
//! Does not: write files, or decide which tokens a file holds.

mod environment;
mod tags;
mod template;

use minijinja::value::Serde;
use minijinja::{ErrorKind, context};
use serde::Serialize;
use serde_json::{Map, Value};

use self::environment::environment;
use super::jose::Jws;
use super::secret::Secret;
use super::settings::Format;
use super::time::Wall;
use super::token::Token;
pub(crate) use template::{Fault, Template};

/// Why a token cannot be written in a format: an error of delivery. Never shows the token.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("token {0}")]
pub struct RenderError(String);

/// Writes one file: its lines in order. More than one only where their format may be shared.
pub fn render<'a>(lines: impl IntoIterator<Item = (&'a Token, &'a Format)>) -> Result<Secret<Vec<u8>>, RenderError> {
    let lines: Vec<_> = lines.into_iter().collect();
    // Room for all of it: a buffer that grows leaves copies of itself behind.
    let size = lines.iter().map(|(token, format)| room(token, format)).sum();
    let mut out = Vec::with_capacity(size);
    for (token, format) in &lines {
        if let Err(error) = line(&mut out, token, format) {
            drop(Secret::new(out));
            return Err(error);
        }
    }
    Ok(Secret::new(out))
}

fn room(token: &Token, format: &Format) -> usize {
    let more = match format {
        Format::Token => 0,
        Format::Header => 32,
        Format::Json => 256,
        Format::Env { variable, expires_variable } => {
            variable.len() + expires_variable.as_ref().map_or(0, String::len) + 32
        }
        Format::Template { .. } => 0,
    };
    token.value.expose().len() + more
}

fn line(out: &mut Vec<u8>, token: &Token, format: &Format) -> Result<(), RenderError> {
    let text = token.value.expose();
    match format {
        Format::Token => out.extend_from_slice(text.as_bytes()),
        Format::Env { variable, expires_variable } => env(out, token, variable, expires_variable.as_deref())?,
        Format::Json => json(out, token),
        Format::Header => {
            if let Some(byte) = text.bytes().find(|b| !(0x20..0x7f).contains(b)) {
                return Err(RenderError(format!("{} cannot stand in a header: it holds {}", token.name, class(byte))));
            }
            for part in ["Authorization: Bearer ", text, "\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        Format::Template { file, text } => {
            let made = template(token, text).map_err(|(place, what)| {
                RenderError(format!("{}: template {}{place}: {what}", token.name, file.display()))
            })?;
            out.extend_from_slice(made.expose().as_bytes());
        }
    }
    Ok(())
}

/// `NAME=value`, and the second line with Unix seconds; without quotes, so only of bytes that all readers take alike.
fn env(out: &mut Vec<u8>, token: &Token, variable: &str, expires_variable: Option<&str>) -> Result<(), RenderError> {
    let text = token.value.expose();
    if let Some(byte) = unfit(text.as_bytes()) {
        return Err(RenderError(format!(
            "{} cannot be the value of {variable} in an env file: it holds {byte}, which systemd, docker and sh read differently; \
             use format = \"token\" or \"json\"",
            token.name
        )));
    }
    for part in [variable, "=", text, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if let (Some(variable), Some(at)) = (expires_variable, token.life.expires_at) {
        out.extend_from_slice(format!("{variable}={}\n", at.secs()).as_bytes());
    }
    Ok(())
}

/// What in a value some reader of env files would not take as it is.
fn unfit(value: &[u8]) -> Option<&'static str> {
    let mut before = b':';
    for (at, &byte) in value.iter().enumerate() {
        let fits = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => true,
            b'.' | b'_' | b'+' | b'/' | b'=' | b',' | b':' | b'@' | b'%' | b'^' | b'-' | b'!' => true,
            // Behind a character of its word it begins no comment.
            b'#' => at > 0,
            b'~' => before != b':',
            _ => false,
        };
        if !fits {
            return Some(class(byte));
        }
        before = byte;
    }
    None
}

fn class(byte: u8) -> &'static str {
    match byte {
        b'\n' | b'\r' => "a line break",
        b' ' | b'\t' => "white space",
        0..0x20 | 0x7f => "a control character",
        0x80.. => "a character that is not ASCII",
        b'\'' | b'"' | b'`' => "a quotation mark",
        b'\\' => "a backslash",
        b'$' => "a dollar sign",
        b'~' => "a ~ in the first place or after a colon",
        b'#' => "a # in the first place",
        _ => "a character that means something to a shell",
    }
}

#[derive(Serialize)]
struct Json<'a> {
    name: &'a str,
    token: &'a str,
    issued_at: String,
    expires_at: Option<String>,
}

fn json(out: &mut Vec<u8>, token: &Token) {
    let object = Json {
        name: token.name.as_str(),
        token: token.value.expose(),
        issued_at: token.life.issued_at.rfc3339(),
        expires_at: token.life.expires_at.map(Wall::rfc3339),
    };
    let written = serde_json::to_writer(&mut *out, &object);
    debug_assert!(written.is_ok());
    out.push(b'\n');
}

/// Of an error only kind and line are told: its detail may quote a value, and the token is one.
fn template(token: &Token, text: &str) -> Result<Secret<String>, (String, String)> {
    let environment = environment();
    let values = context! {
        name => token.name.as_str(),
        token => token.value.expose().as_str(),
        claims => Serde(claims(token.value.expose())),
        issued_at => token.life.issued_at.rfc3339(),
        expires_at => token.life.expires_at.map(Wall::rfc3339),
    };
    environment.template_from_str(text).and_then(|template| template.render(values)).map(Secret::new).map_err(|error| {
        let place = error.line().map(|l| format!(" line {l}")).unwrap_or_default();
        let hint = match error.kind() {
            ErrorKind::UndefinedError => " (there are name, token, claims, issued_at and expires_at)",
            _ => "",
        };
        (place, format!("{}{hint}", error.kind()))
    })
}

/// The claims of a token that is a JWT; none of an opaque one.
fn claims(token: &str) -> Map<String, Value> {
    Jws::parse(token).and_then(|jws| jws.claims()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
