//! Owns: text from outside on its way to people: what steers a terminal, turns the direction of its line or takes no room is
//! taken out, marked or escaped.
//! Does not: know secrets; see `redact`.

use std::borrow::Cow;

/// Control characters, and what Unicode has for directions and joints: nobody sees it, and it changes what is seen (Unicode
/// Technical Report 36, 2.10; the Default_Ignorable_Code_Point of Unicode Standard Annex 44).
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text for one line: breaks and tabs become blanks, all else that is not seen goes, and so do blanks at its ends.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if is_blank(c) { Some(' ') } else { (!is_unseen(c)).then_some(c) };
    text.chars().filter_map(shown).collect::<String>().trim().to_owned()
}

/// The same of text that may have lines and tabs.
pub(crate) fn printable_lines(text: &str) -> String {
    let kept = |c: char| match c {
        '\n' | '\t' => Some(c),
        c if is_blank(c) => Some(' '),
        c => (!is_unseen(c)).then_some(c),
    };
    text.chars().filter_map(kept).collect()
}

/// Text whose author is to see that something stands there.
pub(crate) fn marked(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// As JSON may write it anyway (RFC 8259 7), but for line breaks.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unseen(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Not longer than so many characters, with `...` behind what was cut.
pub(crate) fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    match text.char_indices().nth(longest) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Printable, and not longer than so many characters.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    shortened(&printable(text), longest).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\x1b[31mb\u{202e}c\u{200b}d\u{feff}\ne\u{9b}2Jf\tg\u{2066}h\u{ad}i\u{e0041}j";

    #[test]
    fn nothing_is_left_that_steers_turns_or_hides() {
        assert_eq!(printable(HOSTILE), "a[31mbcd e2Jf ghij");
        assert_eq!(printable("\n größe\t令牌 e\u{301}\t"), "größe 令牌 e\u{301}");
        assert_eq!(printable_lines(HOSTILE), "a[31mbcd\ne2Jf\tghij");
        assert_eq!(
            escaped(HOSTILE),
            "a\\u001b[31mb\\u202ec\\u200bd\\ufeff\ne\\u009b2Jf\\u0009g\\u2066h\\u00adi\\udb40\\udc41j"
        );
        assert_eq!(marked("a\u{202e}b\n"), "a\u{fffd}b\u{fffd}");
        for shown in [printable(HOSTILE), marked(HOSTILE), escaped(HOSTILE).replace('\n', "")] {
            assert!(!shown.chars().any(is_unseen), "{shown:?}");
        }
        assert_eq!([shortened("äöü", 2), shortened("äö", 2)], ["äö...", "äö"]);
        let plain = "Grüße, 令牌 עברית é 🙂 — “x”";
        assert_eq!([printable(plain), printable_lines(plain), marked(plain), escaped(plain)], [plain; 4]);
    }
}
