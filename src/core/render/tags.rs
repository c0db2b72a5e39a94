//! Owns: the words between a template's delimiters, each with its line: enough to say where a name stands, and whether it
//! is a variable, a claim, a filter or a test.
//! Does not: parse expressions; the template engine does, and has found the template good.

/// The words of a template, in order.
pub(super) struct Tags<'t>(Vec<(usize, TagPiece<'t>)>);

impl<'t> Tags<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self(pieces(text))
    }

    fn piece(&self, at: usize) -> Option<TagPiece<'t>> {
        self.0.get(at).map(|(_, piece)| *piece)
    }

    /// Each word with its place, its line, and the piece before it.
    fn words(&self) -> impl Iterator<Item = (usize, usize, &'t str, Option<TagPiece<'t>>)> {
        self.0.iter().enumerate().filter_map(|(at, (line, piece))| match piece {
            TagPiece::Word(word) => Some((at, *line, *word, at.checked_sub(1).and_then(|before| self.piece(before)))),
            _ => None,
        })
    }

    /// The places of a variable: not of an attribute or filter of that name.
    fn uses(&self, name: &str) -> impl Iterator<Item = (usize, usize)> {
        let is_other = |before| matches!(before, Some(TagPiece::Sign(b'.' | b'|')));
        self.words()
            .filter(move |(_, _, word, before)| *word == name && !is_other(*before))
            .map(|(at, line, ..)| (at, line))
    }

    /// Where a variable stands first; 0 where that is not known.
    pub(super) fn line_of(&self, name: &str) -> usize {
        self.uses(name).next().map_or(0, |(_, line)| line)
    }

    /// Whether what ends at `at` is asked for by `is defined`, `is not defined` or `default`.
    fn is_guarded(&self, at: usize) -> bool {
        match (self.piece(at + 1), self.piece(at + 2)) {
            (Some(TagPiece::Sign(b'|')), Some(TagPiece::Word("default" | "d"))) => true,
            (Some(TagPiece::Word("is")), Some(TagPiece::Word("defined" | "undefined"))) => true,
            (Some(TagPiece::Word("is")), Some(TagPiece::Word("not"))) => {
                matches!(self.piece(at + 3), Some(TagPiece::Word("defined" | "undefined")))
            }
            _ => false,
        }
    }

    /// Whether the template asks anywhere whether there is such a variable.
    pub(super) fn is_asked_first(&self, name: &str) -> bool {
        self.uses(name).any(|(at, _)| self.is_guarded(at))
    }

    /// The names in `claims.NAME`, each with its line.
    pub(super) fn claims(&self) -> Vec<(usize, String)> {
        let member = |(at, line)| match (self.piece(at + 1), self.piece(at + 2)) {
            (Some(TagPiece::Sign(b'.')), Some(TagPiece::Word(claim))) => Some((line, claim.to_owned())),
            _ => None,
        };
        self.uses("claims").filter_map(member).collect()
    }

    /// The names of filters, in order.
    pub(super) fn filters(&self) -> Vec<(usize, &'t str)> {
        let is_filter = |before| matches!(before, Some(TagPiece::Sign(b'|')));
        // `{% filter NAME %}`.
        let begins = |at: usize| {
            at.checked_sub(2)
                .is_none_or(|first| matches!(self.piece(first), Some(TagPiece::End | TagPiece::Sign(b'-' | b'+'))))
        };
        let is_block = |at: usize, before| before == Some(TagPiece::Word("filter")) && begins(at);
        let words = self.words().filter(|(at, _, _, before)| is_filter(*before) || is_block(*at, *before));
        words.map(|(_, line, word, _)| (line, word)).collect()
    }

    /// The names of tests (`is NAME`), in order.
    pub(super) fn tests(&self) -> Vec<(usize, &'t str)> {
        let is_test = |at: usize, before: Option<TagPiece<'_>>| match before {
            Some(TagPiece::Word("is")) => true,
            Some(TagPiece::Word("not")) => {
                at.checked_sub(2).and_then(|at| self.piece(at)) == Some(TagPiece::Word("is"))
            }
            _ => false,
        };
        let words = self.words().filter(|(at, _, word, before)| *word != "not" && is_test(*at, *before));
        words.map(|(_, line, word, _)| (line, word)).collect()
    }
}

/// A piece of a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TagPiece<'t> {
    Word(&'t str),
    Sign(u8),
    /// A string or a number.
    Literal,
    /// Where a tag ends.
    End,
}

/// The pieces of all tags in order, with their lines from 1 on. Comments and raw blocks hold none.
fn pieces(text: &str) -> Vec<(usize, TagPiece<'_>)> {
    let mut reader = TagReader { text, at: 0, line: 1, pieces: Vec::new() };
    while let Some(start) = reader.text.get(reader.at..).and_then(next_tag) {
        reader.go(start);
        reader.tag();
    }
    reader.pieces
}

/// Where the next `{{`, `{%` or `{#` begins.
fn next_tag(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|pair| matches!(pair, b"{{" | b"{%" | b"{#"))
}

struct TagReader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    pieces: Vec<(usize, TagPiece<'t>)>,
}

impl<'t> TagReader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// So many bytes further.
    fn go(&mut self, bytes: usize) {
        let passed = self.rest().get(..bytes).unwrap_or(self.rest());
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.at += passed.len();
    }

    /// Behind the next place where that stands; at the end of the text where it does not.
    fn go_behind(&mut self, what: &str) {
        let rest = self.rest();
        self.go(rest.find(what).map_or(rest.len(), |found| found + what.len()));
    }

    fn tag(&mut self) {
        let kind = self.rest().as_bytes().get(1).copied();
        self.go(2);
        let first = self.pieces.len();
        match kind {
            Some(b'#') => return self.go_behind("#}"),
            Some(b'%') => self.inside("%}"),
            _ => self.inside("}}"),
        }
        let words = self.pieces.get(first..).unwrap_or_default();
        let is_raw = kind == Some(b'%')
            && words
                .iter()
                .find(|(_, piece)| *piece != TagPiece::Sign(b'-'))
                .is_some_and(|(_, piece)| *piece == TagPiece::Word("raw"));
        if is_raw {
            self.pieces.truncate(first);
            self.go_behind("endraw");
            self.go_behind("%}");
        }
    }

    /// Up to the tag's end, which counts only outside braces and strings.
    fn inside(&mut self, end: &str) {
        let mut depth = 0_usize;
        while let Some(&byte) = self.rest().as_bytes().first() {
            let line = self.line;
            if depth == 0 && self.rest().starts_with(end) {
                self.go(2);
                self.pieces.push((line, TagPiece::End));
                return;
            }
            let rest = self.rest();
            match byte {
                b'"' | b'\'' => {
                    self.go(string(rest, byte));
                    self.pieces.push((line, TagPiece::Literal));
                }
                b'0'..=b'9' => {
                    self.go(length(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_'));
                    self.pieces.push((line, TagPiece::Literal));
                }
                byte if is_word(byte) => {
                    let length = length(rest, is_word);
                    self.go(length);
                    self.pieces.push((line, TagPiece::Word(rest.get(..length).unwrap_or_default())));
                }
                byte if byte.is_ascii_whitespace() => self.go(1),
                byte => {
                    match byte {
                        b'{' => depth += 1,
                        b'}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    self.go(1);
                    self.pieces.push((line, TagPiece::Sign(byte)));
                }
            }
        }
    }
}

/// Letters beyond ASCII may stand in a name.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn length(text: &str, part: impl Fn(u8) -> bool) -> usize {
    text.bytes().position(|byte| !part(byte)).unwrap_or(text.len())
}

/// The bytes of a string with its quotes.
fn string(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let is_end = *byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(usize, &str)> {
        let word = |(line, piece): (usize, TagPiece<'static>)| match piece {
            TagPiece::Word(word) => Some((line, word)),
            _ => None,
        };
        // Leaked: a test's text lives as long as the test.
        pieces(String::leak(text.to_owned())).into_iter().filter_map(word).collect()
    }

    #[test]
    fn words_stand_in_tags_alone() {
        assert_eq!(words("a {{ b }} c\n{%- if d -%} e {% endif %}"), [(1, "b"), (2, "if"), (2, "d"), (2, "endif")]);
        assert_eq!(words("{# a {{ b }} #}{% raw %}{{ c }}\n{% endraw %}{{ d }}"), [(2, "d")]);
        assert_eq!(words("{{ {'a': {'}}': b}} }} c {{ d['\\'e'] }}"), [(1, "b"), (1, "d")]);
        assert_eq!(words("{{\n\n a\n}}{{ 12e5 + b"), [(3, "a"), (4, "b")]);
        assert_eq!(words("{{"), []);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_or_hangs(text in "[{}%#'\"a-c\\\\\n |.é-]{0,60}") {
            let _ = pieces(&text);
        }
    }
}
