//! Owns: the secrets that went out with a request, and a peer's words without them, in whatever writing they come back: an
//! endpoint, or a proxy before it, may quote what it was sent.
//! Does not: decide what of an answer is told.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER};
use zeroize::Zeroizing;

use super::form;
use crate::core::redact::{SHORTEST, mask_jws, peer_words, printable_without};

/// How often what is quoted is quoted again at most: JSON in a page in a query.
const ROUNDS: usize = 3;
/// Of less it is chance that it stands in a word.
const SHORTEST_WITHIN: usize = 6;
/// A shorter one is looked for in its own case of letters alone.
const SHORTEST_IN_ANY_CASE: usize = 8;
/// What is told in place of words in which a secret stands in another writing than can be cut out of it.
const WITHHELD: &str = "(not shown: a secret that was sent stands in it)";

/// Each secret as it is, and as it stands in a form, an address, base64 and hex.
#[derive(Clone, Default)]
pub(crate) struct SentSecrets(Vec<Zeroizing<String>>);

impl SentSecrets {
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Self::default();
        all.add(secrets);
        all
    }

    pub(crate) fn add<'a>(&mut self, secrets: impl IntoIterator<Item = &'a str>) {
        for secret in secrets.into_iter().filter(|secret| secret.len() >= SHORTEST) {
            let bytes = secret.as_bytes();
            self.0.push(Zeroizing::new(secret.to_owned()));
            self.0.extend([form::encoded(secret), form::percent(secret), Zeroizing::new(HEXLOWER.encode(bytes))]);
            for alphabet in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
                self.0.push(Zeroizing::new(alphabet.encode(bytes)));
                let within = (0..3).map(|before| within_base64(alphabet, bytes, before));
                self.0.extend(within.filter(|text| text.len() >= SHORTEST_WITHIN));
            }
        }
        // One may begin as another does: what is left of the longer one would be shown.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// A peer's words as they may be told; `None` where there are none.
    pub(super) fn clean(&self, text: &str) -> Option<String> {
        let words = printable_without(text, &self.0);
        let words = if self.stand_in(&words) { WITHHELD.to_owned() } else { peer_words(&words) };
        Some(words).filter(|words| !words.is_empty())
    }

    /// What is no words, and told only as it is: a name, a type, an address. `None` where it may hold a secret.
    pub(crate) fn harmless<'t>(&self, text: &'t str) -> Option<&'t str> {
        let is_harmless = !self.stand_in(text) && mask_jws(text) == text;
        is_harmless.then_some(text)
    }

    /// Whether one of them can be made out, in any case of letters and behind any escapes. A short one in another case is a word:
    /// "stale" is not what a "Stale token" quotes.
    fn stand_in(&self, text: &str) -> bool {
        let (short, long): (Vec<_>, Vec<_>) = self.0.iter().partition(|secret| secret.len() < SHORTEST_IN_ANY_CASE);
        let long: Vec<_> = long.iter().map(|secret| Zeroizing::new(secret.to_ascii_lowercase())).collect();
        let mut text = Zeroizing::new(text.to_owned());
        for _ in 0..=ROUNDS {
            let folded = Zeroizing::new(text.to_ascii_lowercase());
            if short.iter().any(|secret| text.contains(secret.as_str()))
                || long.iter().any(|secret| folded.contains(secret.as_str()))
            {
                return true;
            }
            let next = unescaped(&text);
            if next == text {
                return false;
            }
            text = next;
        }
        false
    }
}

/// What base64 makes of a secret that stands between other bytes, `before` more than whole groups of which come first (RFC 4648 4): the
/// characters that depend on nothing else.
fn within_base64(alphabet: &Encoding, secret: &[u8], before: usize) -> Zeroizing<String> {
    let bytes = Zeroizing::new([&[0; 3][..before], secret].concat());
    let mut text = Zeroizing::new(alphabet.encode(&bytes));
    text.truncate(bytes.len() * 8 / 6);
    text.drain(..(before * 8).div_ceil(6));
    text
}

/// A text with the escapes of addresses (RFC 3986 2.1), HTML (13.1.4) and JSON (RFC 8259 7) undone.
fn unescaped(text: &str) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let escape = match first {
            b'%' => number(rest, "%", 16, "", Some(2)).map(|(byte, used)| (u8::try_from(byte).ok(), None, used)),
            b'&' => entity(rest).map(|(unit, used)| (None, Some(unit), used)),
            b'\\' => backslash(rest).map(|(unit, used)| (None, Some(unit), used)),
            _ => None,
        };
        let used = match escape {
            Some((Some(byte), _, used)) => {
                bytes.push(byte);
                used
            }
            Some((_, Some(unit), used)) => {
                bytes.extend_from_slice(unit.encode_utf8(&mut [0; 4]).as_bytes());
                used
            }
            _ => {
                bytes.push(first);
                1
            }
        };
        // What an escape does not begin is passed over byte by byte, and nothing but ASCII begins one.
        let next = (used..=rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        bytes.extend_from_slice(&rest.as_bytes()[used.min(next)..next]);
        rest = &rest[next..];
    }
    Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number after `before`, in digits of `radix`, to `after`; and how many bytes that are.
fn number(text: &str, before: &str, radix: u32, after: &str, digits: Option<usize>) -> Option<(u32, usize)> {
    let rest = text.strip_prefix(before)?;
    let end = digits.or_else(|| rest.find(after)).filter(|end| (1..8).contains(end))?;
    let value = rest.get(..end).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u32::from_str_radix(value, radix).ok()?, before.len() + end + after.len()))
}

fn entity(text: &str) -> Option<(char, usize)> {
    let named = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\'')];
    let named = named.iter().find(|(name, _)| text.starts_with(name)).map(|(name, unit)| (*unit, name.len()));
    let numbered = || number(text, "&#x", 16, ";", None).or_else(|| number(text, "&#", 10, ";", None));
    named.or_else(|| numbered().and_then(|(value, used)| Some((char::from_u32(value)?, used))))
}

fn backslash(text: &str) -> Option<(char, usize)> {
    if let Some((value, used)) = number(text, "\\u", 16, "", Some(4)) {
        return Some((char::from_u32(value)?, used));
    }
    let next = text.chars().nth(1).filter(|next| matches!(next, '"' | '\\' | '/' | '\''))?;
    Some((next, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_all_else_stays() {
        for (written, wanted) in [
            ("a%2Bb%2fc%c3%bc", "a+b/cü"),
            ("a&#43;b&#x2F;c&amp;&quot;", "a+b/c&\""),
            (r#"a\u002bb\/c\"\\"#, "a+b/c\"\\"),
            ("50% of ü & \\ %zz %+1 &#; &#99999999; \\u12 \\n %", "50% of ü & \\ %zz %+1 &#; &#99999999; \\u12 \\n %"),
            ("%ü &ü \\ü", "%ü &ü \\ü"),
        ] {
            assert_eq!(unescaped(written).as_str(), wanted, "{written}");
        }
    }

    #[test]
    fn a_secret_is_masked_or_its_words_withheld() {
        let secrets = SentSecrets::of([r#"hunter+2/"x"#, "hunter+2/\"xyz"]);
        let clean = |text: &str| secrets.clean(text).unwrap_or_default();
        assert_eq!(clean(r#"got hunter+2/"xyz."#), "got [masked].");
        assert_eq!(clean("got hunter%2B2%2F%22x."), "got [masked].");
        assert_eq!(clean("got 68756e7465722b322f2278."), "got [masked].");
        for hidden in
            ["got hunter%2b2%2f%22x", "got hunter&#43;2/&quot;x", r#"got hunter+2\/\"x"#, "%2568unter%2B2/%22x"]
        {
            assert_eq!(clean(hidden), WITHHELD, "{hidden}");
        }
        assert_eq!(clean("hunter"), "hunter");
        let short = SentSecrets::of(["stale"]);
        assert_eq!(short.clean("Stale token").as_deref(), Some("Stale token"));
        assert_eq!(short.clean("a stale token, st&#97;le").as_deref(), Some(WITHHELD));
        assert_eq!((clean(""), SentSecrets::default().clean("a%20b")), (String::new(), Some("a%20b".into())));
        assert_eq!(secrets.harmless("Bearer"), Some("Bearer"));
        assert_eq!(secrets.harmless("HUNTER+2/\"X"), None);
    }
}
