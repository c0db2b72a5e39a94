//! Owns: lines that fit a terminal: columns counted, words kept whole, colour added last, and text from outside made
//! harmless.
//! Does not: know what is drawn.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How a stretch of a line is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tint {
    Plain,
    Bad,
    Warn,
    Good,
    Faint,
    Strong,
}

impl Tint {
    /// ECMA-48 8.3.117, SGR.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bad => "1;31",
            Self::Warn => "33",
            Self::Good => "32",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}

/// One line, without its newline.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Line(Vec<(Tint, String)>);

impl Line {
    pub(super) fn of(tint: Tint, text: impl Into<String>) -> Self {
        Self(vec![(tint, text.into())])
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::of(Tint::Plain, text)
    }

    pub(super) fn push(&mut self, tint: Tint, text: impl Into<String>) {
        self.0.push((tint, text.into()));
    }

    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| columns(text)).sum()
    }

    /// Blanks up to a column.
    pub(super) fn pad(&mut self, to: usize) {
        let blanks = to.saturating_sub(self.width());
        if blanks > 0 {
            self.push(Tint::Plain, " ".repeat(blanks));
        }
    }

    /// Without blanks at its end; with escape sequences where it is to be coloured.
    pub(super) fn paint(&self, coloured: bool) -> String {
        let mut text = String::new();
        for (tint, piece) in &self.0 {
            match tint.code() {
                code if coloured && !code.is_empty() => text.push_str(&format!("\x1b[{code}m{piece}\x1b[0m")),
                _ => text.push_str(piece),
            }
        }
        text.truncate(text.trim_end().len());
        text.replace('\u{a0}', " ")
    }
}

/// All lines as text, each with its newline.
pub(super) fn paint(lines: &[Line], coloured: bool) -> String {
    lines.iter().map(|line| line.paint(coloured) + "\n").collect()
}

/// The columns that a text takes on a terminal (Unicode Standard Annex 11).
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// Words on lines of at most `width` columns, all behind `indent` blanks; a no-break blank is part of its word. A word that is longer than a line is cut, behind
/// a slash where there is one.
pub(super) fn wrap(text: &str, indent: usize, width: Option<usize>) -> Vec<String> {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(1));
    let blanks = " ".repeat(indent);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() && c != '\u{a0}').filter(|word| !word.is_empty()) {
        let joined = columns(&line) + usize::from(!line.is_empty()) + columns(word);
        if joined <= room {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(format!("{blanks}{line}"));
        }
        let mut pieces = cut(word, room);
        line = pieces.pop().unwrap_or_default();
        lines.extend(pieces.into_iter().map(|piece| format!("{blanks}{piece}")));
    }
    if !line.is_empty() {
        lines.push(format!("{blanks}{line}"));
    }
    lines
}

/// A word in pieces of at most `room` columns.
pub(super) fn cut(word: &str, room: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for c in word.chars() {
        if !piece.is_empty() && columns(&piece) + c.width().unwrap_or(0) > room {
            let at = piece.rfind('/').map_or(piece.len(), |slash| slash + 1);
            // A slash near the beginning would leave the line empty.
            let at = if columns(&piece[..at]) * 2 > room { at } else { piece.len() };
            let rest = piece.split_off(at);
            pieces.push(std::mem::replace(&mut piece, rest));
        }
        piece.push(c);
    }
    pieces.push(piece);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrap("the server said no to it", 2, Some(12)), ["  the server", "  said no to", "  it"]);
        assert_eq!(wrap("the server said", 2, None), ["  the server said"]);
        assert_eq!(wrap("", 2, Some(12)), Vec::<String>::new());
        assert_eq!(wrap("next try in\u{a0}9m", 0, Some(12)), ["next try", "in\u{a0}9m"]);
        // A terminal of no width at all ends too.
        assert_eq!(wrap("a bc", 4, Some(0)), ["    a", "    b", "    c"]);
    }

    #[test]
    fn a_long_word_is_cut_behind_a_slash() {
        assert_eq!(
            wrap("at /run/renewd/sunbird.token now", 0, Some(16)),
            ["at", "/run/renewd/", "sunbird.token", "now"]
        );
        assert_eq!(cut("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(cut("/abcdefgh", 5), ["/abcd", "efgh"]);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(columns("令牌 x"), 6);
        assert_eq!(wrap("令牌 令牌", 0, Some(8)), ["令牌", "令牌"]);
        assert_eq!(cut("令牌令", 5), ["令牌", "令"]);
    }

    #[test]
    fn colour_adds_no_column() {
        let mut line = Line::of(Tint::Bad, "no");
        line.pad(4);
        line.push(Tint::Plain, "yes  ");
        assert_eq!(line.paint(false), "no  yes");
        assert_eq!(line.paint(true), "\x1b[1;31mno\x1b[0m  yes");
        assert_eq!(line.width(), 9);
        assert_eq!(Line::plain("in\u{a0}9m").paint(false), "in 9m");
    }
}
