//! Owns: what of a source line must not be shown.
//! In a file that parses the secrets' places are known; in one that does not, what may be a secret is hidden too.
//! Does not: draw, or say what looks like a secret (`redact` does).

use std::ops::Range;

use crate::core::redact::{STARS, looks_opaque, opaque_words};

/// Words that make a whole line's value suspect in a file that does not parse.
const SUSPECT: [&str; 11] =
    ["secret", "passw", "passphrase", "token", "credential", "bearer", "value", "private", "key", "auth", "assertion"];

/// What to hide of a line whose file does not parse. Too much rather than too little.
pub(super) fn conceal(line: &str) -> Vec<Range<usize>> {
    let trimmed = line.trim_start();
    let indent = line.len() - trimmed.len();
    let assignment = line.find(['=', ':']);
    let lower = line.to_ascii_lowercase();
    let mut hidden: Vec<_> = opaque_words(line).collect();
    match assignment {
        Some(at) if SUSPECT.iter().any(|word| lower.contains(word)) => {
            hidden.push(after(line, at + 1));
        }
        Some(_) => hidden.extend(opaque_quotes(line)),
        // A header that is not closed: what follows its name is not part of it.
        None if trimmed.starts_with('[') => {
            if let Some(space) = trimmed.find(char::is_whitespace) {
                hidden.push(after(line, indent + space));
            }
        }
        None if trimmed.starts_with('#') => {}
        // Neither key nor header: the rest of a string over several lines, or a secret pasted into the wrong place.
        None => hidden.push(after(line, 0)),
    }
    hidden.retain(|range| !range.is_empty());
    merged(hidden)
}

/// From `at` to the end, without the space around it.
fn after(line: &str, at: usize) -> Range<usize> {
    let rest = &line[at..];
    let start = at + rest.len() - rest.trim_start().len();
    start..line.trim_end().len().max(start)
}

fn opaque_quotes(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open: Option<(usize, char)> = None;
    for (at, c) in line.char_indices() {
        match open {
            None if matches!(c, '"' | '\'') => open = Some((at + 1, c)),
            Some((from, quote)) if c == quote => {
                if looks_opaque(&line[from..at]) {
                    found.push(from..at);
                }
                open = None;
            }
            _ => {}
        }
    }
    // Where the quote is not closed, nobody knows where the value ends.
    if let Some((from, _)) = open {
        found.push(from..line.trim_end().len().max(from));
    }
    found
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// `line` with each hidden stretch replaced, and `mark` moved to where it stands then.
pub(super) fn apply(line: &str, hidden: Vec<Range<usize>>, mark: Range<usize>) -> (String, Range<usize>) {
    let mut shown = String::with_capacity(line.len());
    let mut from = 0;
    let (mut start, mut end) = (None, None);
    for range in merged(hidden) {
        let clear = line.get(from..range.start).unwrap_or("");
        span(&mut start, mark.start, from..range.start, shown.len());
        span(&mut end, mark.end, from..range.start, shown.len());
        shown.push_str(clear);
        if start.is_none() && mark.start < range.end {
            start = Some(shown.len());
        }
        shown.push_str(STARS);
        if end.is_none() && mark.end <= range.end {
            end = Some(shown.len());
        }
        from = range.end;
    }
    span(&mut start, mark.start, from..line.len() + 1, shown.len());
    span(&mut end, mark.end, from..line.len() + 1, shown.len());
    shown.push_str(line.get(from..).unwrap_or(""));
    let start = start.unwrap_or(shown.len());
    (shown, start..end.unwrap_or(start).max(start))
}

fn span(slot: &mut Option<usize>, offset: usize, clear: Range<usize>, shown: usize) {
    if slot.is_none() && clear.contains(&offset) {
        *slot = Some(shown + offset - clear.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concealed(line: &str) -> String {
        apply(line, conceal(line), 0..0).0
    }

    #[test]
    fn a_broken_line_shows_no_secret() {
        for (line, shown) in [
            ("[broken 07c6e2t1rb92987fnrd705jkk8582p9e", "[broken ***"),
            ("[token.sunbird", "[token.sunbird"),
            ("secret.value = \"hunter2", "secret.value = ***"),
            ("secret.value: hunter2", "secret.value: ***"),
            ("hunter2 swordfish\"\"\"", "***"),
            ("lifetime = 1h", "lifetime = 1h"),
            ("x = '07c6e2t1rb92987fnrd705jkk8582p9e'", "x = '***'"),
            ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "***"),
            ("path = \"/run/renewd/a.json\"]", "path = \"/run/renewd/a.json\"]"),
        ] {
            assert_eq!(concealed(line), shown);
        }
    }

    #[test]
    fn the_mark_moves_with_the_text() {
        let line = "a = \"hunter2\" b";
        let secret = || std::iter::once(5..12).collect();
        assert_eq!(apply(line, secret(), 14..15), ("a = \"***\" b".into(), 10..11));
        assert_eq!(apply(line, secret(), 4..13), ("a = \"***\" b".into(), 4..9));
        assert_eq!(apply(line, secret(), 7..9), ("a = \"***\" b".into(), 5..8));
        assert_eq!(apply(line, secret(), 15..15), ("a = \"***\" b".into(), 11..11));
    }
}
