//! Owns: what is said of a file that is not TOML.
//! Does not: recover; a file with a mistake in its syntax is told of that alone, since what follows is guesswork.

use toml::de::{DeTable, Error};

use crate::core::finding::{Finding, Place, quote};

/// Further mistakes are looked for in files of this size at most: each costs memory.
const RECOVERABLE_BYTES: usize = 256 * 1024;
/// One mistake makes many; more than these help nobody.
const SHOWN: usize = 10;

/// The mistakes in a file's syntax, one a line; `first` is the one that a plain parse stops at.
pub(super) fn findings(text: &str, file: u32, first: &Error) -> Vec<Finding> {
    if text.len() > RECOVERABLE_BYTES {
        return vec![finding(text, file, first)];
    }
    let (_, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| start(text, error));
    errors.dedup_by_key(|error| line(text, start(text, error)));
    let mut found: Vec<_> = errors.iter().take(SHOWN).map(|error| finding(text, file, error)).collect();
    if found.is_empty() {
        found.push(finding(text, file, first));
    }
    found
}

fn start(text: &str, error: &Error) -> usize {
    error.span().map_or(text.len(), |span| span.start)
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

fn finding(text: &str, file: u32, error: &Error) -> Finding {
    let span = error.span().unwrap_or(text.len()..text.len());
    let place = Place {
        file,
        start: u32::try_from(span.start).unwrap_or(u32::MAX),
        end: u32::try_from(span.end).unwrap_or(u32::MAX),
    };
    let marked = text.get(span.clone()).unwrap_or("");
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (error.message(), None),
    };
    let title = match message {
        "duplicate key" => format!("the key {} stands twice", quote(marked)),
        "cannot recurse further; max recursion depth met" | "recursion limit" => "nested too deeply".into(),
        other => format!("not TOML: {other}"),
    };
    let finding = Finding::error(title).at(place).label(match expected {
        Some(expected) => format!("expected {expected}"),
        None => String::new(),
    });
    match help(text, span.start, message) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

fn help(text: &str, at: usize, message: &str) -> Option<&'static str> {
    let from = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(from..)?.lines().next()?.trim_start();
    let name = line.split(['=', ' ', '\t']).next()?;
    match name {
        "mode" => Some("a mode is a string: mode = \"0640\""),
        "lifetime" | "skew" | "rotate_before" | "rotate_every" | "min_interval" | "timeout" | "after" => {
            Some("a duration is a string with a unit: \"90s\", \"1h 30m\"")
        }
        _ if message == "duplicate key" => Some("remove one of the two"),
        _ if message == "string values must be quoted" => Some("put the value in quotes"),
        _ => None,
    }
}
