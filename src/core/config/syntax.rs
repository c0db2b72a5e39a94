//! Owns: what is said of a file that is not TOML.
//! Does not: recover; a file with a mistake in its syntax is told of that alone, since what follows is guesswork.

use toml::de::{DeTable, Error};

use super::{hint, value};
use crate::core::config::keys::{self, ValueKind};
use crate::core::diagnostic::{Diagnostic, Span, quote};

/// Further mistakes are looked for in files of this size at most: each costs memory.
const RECOVERABLE_BYTES: usize = 256 * 1024;
/// As the parser says it.
const DOUBLED: &str = "duplicate key";
/// One mistake makes many; more than these help nobody.
const SHOWN: usize = 10;

/// The mistakes in a file's syntax, one a line; `first` is the one that a plain parse stops at.
pub(super) fn diagnostics(text: &str, file: u32, first: &Error) -> Vec<Diagnostic> {
    if text.len() > RECOVERABLE_BYTES {
        return vec![diagnostic(text, file, first)];
    }
    let (_, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| start(text, error));
    let mut found = Vec::new();
    // One mistake a line; and a table that stands twice doubles all its keys: its header says it for them.
    let (mut line_end, mut table_end) = (0, 0);
    for error in &errors {
        let at = start(text, error);
        let doubled = error.message() == DOUBLED;
        if at < line_end || (doubled && at < table_end) {
            continue;
        }
        line_end = next(text, at, "\n");
        if doubled && in_header(text, at) {
            table_end = next(text, at, "\n[");
        }
        found.push(diagnostic(text, file, error));
        if found.len() == SHOWN {
            break;
        }
    }
    if found.is_empty() {
        found.push(diagnostic(text, file, first));
    }
    found
}

fn start(text: &str, error: &Error) -> usize {
    error.span().map_or(text.len(), |span| span.start)
}

/// Just after the next `what`, or the end.
fn next(text: &str, at: usize, what: &str) -> usize {
    let rest = text.get(at..).and_then(|rest| rest.find(what));
    rest.map_or(text.len() + 1, |found| at + found + 1)
}

fn in_header(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or("");
    let from = before.rfind('\n').map_or(0, |newline| newline + 1);
    before.get(from..).is_some_and(|line| line.trim_start().starts_with('['))
}

fn diagnostic(text: &str, file: u32, error: &Error) -> Diagnostic {
    let range = error.span().unwrap_or(text.len()..text.len());
    let span = Span {
        file,
        start: u32::try_from(range.start).unwrap_or(u32::MAX),
        end: u32::try_from(range.end).unwrap_or(u32::MAX),
    };
    let marked = text.get(range.clone()).unwrap_or("");
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    let title = match message {
        DOUBLED => format!("the key {} stands twice", quote(marked)),
        "cannot recurse further; max recursion depth met" | "recursion limit" => "nested too deeply".into(),
        other => format!("not TOML: {other}"),
    };
    let diagnostic = Diagnostic::error(title).at(span).label(match expected {
        Some(expected) if expected != "nothing" => format!("expected {expected}"),
        _ => String::new(),
    });
    match help(text, range.start, message) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn help(text: &str, at: usize, message: &str) -> Option<String> {
    if message == DOUBLED {
        return Some("remove one of the two".into());
    }
    let from = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(from..)?.lines().next()?;
    let (name, value) = assignment(line, at - from)?;
    // In an inline table the next key follows.
    let first = value.split(',').next()?.trim();
    match keys::anywhere(super::ROOT, name).map(|key| key.kind) {
        Some(ValueKind::Mode) => {
            let meant = hint::mode(value).or_else(|| hint::mode(first)).unwrap_or_else(|| "0640".into());
            Some(format!("a mode is a string: {name} = \"{meant}\""))
        }
        Some(ValueKind::Duration | ValueKind::Span | ValueKind::Seconds | ValueKind::Lifetime) => {
            Some(match value::parse_duration(first) {
                Ok(_) => format!("a duration is a string: {name} = \"{first}\""),
                Err(_) => "a duration is a string with a unit: \"90s\", \"1h 30m\"".into(),
            })
        }
        Some(ValueKind::Bool) if !value.starts_with(['"', '\'']) => {
            Some(format!("{name} = true, or false: in small letters"))
        }
        _ if message == "string values must be quoted" => Some("put the value in quotes".into()),
        _ => None,
    }
}

/// The key whose value stands at a byte of a line, and what stands behind its sign, up to a bracket or a comment.
fn assignment(line: &str, at: usize) -> Option<(&str, &str)> {
    let begin = line.get(..at)?.rfind(['{', ',']).map_or(0, |mark| mark + 1);
    let (name, value) = line.get(begin..)?.split_once('=')?;
    let name = name.trim().rsplit('.').next()?;
    Some((name, value.split(['#', '{', '}', ']']).next()?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of the first mistake.
    fn helped(text: &str) -> Option<String> {
        let error = DeTable::parse(text).expect_err("it is no TOML");
        help(text, error.span()?.start, error.message().split(", expected ").next()?)
    }

    #[test]
    fn modes_and_durations_without_quotes_are_shown_with_them() {
        for (text, meant) in [
            ("mode = 0640", "a mode is a string: mode = \"0640\""),
            ("  mode = 0600 # mine", "a mode is a string: mode = \"0600\""),
            ("a = [{ path = \"x\", mode = 0644 }]", "a mode is a string: mode = \"0644\""),
            ("a.mode = 0640", "a mode is a string: mode = \"0640\""),
            ("mode = rw-r-----", "a mode is a string: mode = \"0640\""),
            ("mode = u=rw,g=r", "a mode is a string: mode = \"0640\""),
            ("lifetime = 1h", "a duration is a string: lifetime = \"1h\""),
            ("lifetime = 1h 30m", "a duration is a string: lifetime = \"1h 30m\""),
            ("retry = { initial = 5s, max = \"1m\" }", "a duration is a string: initial = \"5s\""),
            ("credential_timeout = soon", "a duration is a string with a unit: \"90s\", \"1h 30m\""),
            ("required = True", "required = true, or false: in small letters"),
        ] {
            assert_eq!(helped(text).as_deref(), Some(meant), "{text}");
        }
    }
}
