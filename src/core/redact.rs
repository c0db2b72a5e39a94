//! Owns: what must not be shown of a text: secrets that are known, and what is shaped like one, by one rule for each.
//! Does not: excuse anybody from keeping secrets out of messages.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use zeroize::Zeroizing;

use super::printable::{printable, printable_lines, shortened};

/// What stands in a secret's place in running text.
const MASK: &str = "[masked]";
/// The same in what a person wrote, drawn with its line. As that one, it does not tell the secret's length.
pub(crate) const STARS: &str = "***";
/// What is shown of a peer's words, and of a name.
const PEER_CHARS: usize = 300;
const NAME_CHARS: usize = 64;
/// A secret that is shorter stands in every other word.
pub(crate) const SHORTEST: usize = 4;

/// When a run of letters, digits and `+ - _ = ~` is more likely a secret than a word: from how many bytes on where it mixes
/// letters and digits, and from how many in any case.
#[derive(Clone, Copy)]
struct Suspicion {
    mixed: usize,
    any: usize,
}

/// In what a person wrote into a config or on a command line: too much is hidden rather than too little.
const WRITTEN: Suspicion = Suspicion { mixed: 16, any: 40 };
/// In what programs print, which has long names and numbers too.
const PRINTED: Suspicion = Suspicion { mixed: 32, any: usize::MAX };

impl Suspicion {
    fn falls_on(self, run: &str) -> bool {
        let has = |kind: fn(&u8) -> bool| run.as_bytes().iter().any(kind);
        run.len() >= self.any || run.len() >= self.mixed && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
    }
}

/// Whether a word of a config or a command line may be a secret or a token that went astray.
pub(crate) fn looks_opaque(text: &str) -> bool {
    runs(text, is_opaque_byte).any(|run| WRITTEN.falls_on(&text[run]))
}

/// Where such words stand, whole with the slashes in them.
pub(crate) fn opaque_words(text: &str) -> impl Iterator<Item = Range<usize>> {
    runs(text, |byte| is_opaque_byte(byte) || byte == b'/').filter(|run| looks_opaque(&text[run.clone()]))
}

/// A name that a person gave, as a message has it: short, and hidden where it looks like a secret.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    if looks_opaque(text) { Cow::Borrowed(STARS) } else { shortened(text, NAME_CHARS) }
}

/// The same in quotes.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", name(text))
}

/// Masks what is shaped like a JWS in compact serialization (RFC 7515 7.1): a base64url part that holds a JSON object,
/// and two more, with dots between. Host names, versions and file names stay.
pub(crate) fn mask_jws(text: &str) -> Cow<'_, str> {
    mask(text, is_jws_byte, |run| jws_start(run).map(|at| (at, run.len())))
}

/// As [`mask_jws`], and what looks like a secret: for the output of programs that may print a token of any make.
pub(crate) fn mask_opaque(text: &str) -> Cow<'_, str> {
    let without_jws = mask_jws(text);
    match mask(&without_jws, is_opaque_byte, |run| PRINTED.falls_on(run).then_some((0, run.len()))) {
        Cow::Borrowed(_) => without_jws,
        Cow::Owned(masked) => Cow::Owned(masked),
    }
}

/// A peer's own words (of an error, say), fit for a message: one line, cut, without anything that looks like a token.
pub(crate) fn peer_words(text: &str) -> String {
    // What nobody sees goes first: a token with such a character in it is shaped like none.
    let seen = printable(text);
    let masked = mask_opaque(&seen);
    let words = masked.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&words, PEER_CHARS).into_owned()
}

/// A text with each of these secrets masked.
pub(crate) fn without(text: &str, secrets: &[Zeroizing<String>]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() >= SHORTEST);
    long.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
}

/// The same of text from outside: masked again once nothing is left that would hide a secret between its letters.
pub(crate) fn printable_without(text: &str, secrets: &[Zeroizing<String>]) -> String {
    without(&printable_lines(&without(text, secrets)), secrets)
}

/// True for bytes that a token may consist of.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    is_opaque_byte(byte) || matches!(byte, b'.' | b'/')
}

fn is_jws_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_opaque_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_' | b'=' | b'~')
}

/// Where in a run of base64url and dots a JWS begins.
fn jws_start(run: &str) -> Option<usize> {
    let parts: Vec<&str> = run.split('.').collect();
    let mut offset = 0;
    for triple in parts.windows(3) {
        if let [head, _, signature] = triple {
            if !signature.is_empty()
                && let Some(at) = header_start(head)
            {
                return Some(offset + at);
            }
            offset += head.len() + 1;
        }
    }
    None
}

/// Where a base64url encoded JSON object begins that goes on to the end of `part`.
fn header_start(part: &str) -> Option<usize> {
    part.match_indices('e').map(|(at, _)| at).find(|&at| is_object(&part[at..]))
}

fn is_object(base64url: &str) -> bool {
    // `{` gives the first six bits and two of the next: nothing else is worth decoding.
    let second = base64url.as_bytes().get(1);
    if !second.is_some_and(|b| matches!(b, b'w'..=b'z' | b'0'..=b'9' | b'-' | b'_')) {
        return false;
    }
    let decoded = data_encoding::BASE64URL_NOPAD.decode(base64url.as_bytes());
    decoded.is_ok_and(|json| json.trim_ascii_end().ends_with(b"}"))
}

/// Replaces in each run of `belongs` bytes the part that `find` points at.
fn mask(text: &str, belongs: fn(u8) -> bool, find: impl Fn(&str) -> Option<(usize, usize)>) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for run in runs(text, belongs) {
        if let Some((from, to)) = find(&text[run.clone()]) {
            out.push_str(&text[copied..run.start + from]);
            out.push_str(MASK);
            copied = run.start + to;
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Where bytes that `belong` stand next to each other. They are ASCII, so that a run ends at character boundaries.
fn runs(text: &str, belong: fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut end = 0;
    iter::from_fn(move || {
        let start = end + bytes[end..].iter().position(|byte| belong(*byte))?;
        end = start + bytes[start..].iter().take_while(|byte| belong(**byte)).count();
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWS: &str =
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn a_jws_is_masked_wherever_it_stands() {
        for (before, after) in [
            ("", ""),
            ("token ", " was"),
            ("Authorization: Bearer ", "\n"),
            ("X=", ""),
            ("\"", "\","),
            ("prefix_", ""),
            ("a.b.", ""),
            ("über ", " größer"),
        ] {
            assert_eq!(mask_jws(&format!("{before}{JWS}{after}")), format!("{before}{MASK}{after}"));
        }
        assert_eq!(mask_jws(&format!("{JWS} and {JWS}")), format!("{MASK} and {MASK}"));
    }

    #[test]
    fn a_header_with_white_space_and_a_jwe_are_masked_whole() {
        let header = data_encoding::BASE64URL_NOPAD.encode(b"{ \"alg\": \"none\" }\r\n");
        assert_eq!(mask_jws(&format!("{header}.e30.x")), MASK);
        assert_eq!(mask_jws(&format!("{JWS}.AAAA.BBBB")), MASK);
    }

    #[test]
    fn other_text_stays_and_costs_nothing() {
        for text in [
            "exampleserver.foo.internal.example.com",
            "renewd 1.2.3 at /etc/renewd/config.toml: eyes.everywhere.now",
            "",
            "größe.ü.ß",
            "2026-01-02T03:04:05.678Z",
        ] {
            assert!(matches!(mask_jws(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn opaque_tokens_are_masked_in_foreign_output_only() {
        let opaque = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
        assert_eq!(mask_opaque(&format!("got {opaque}!")), format!("got {MASK}!"));
        assert_eq!(mask_jws(opaque), opaque);
        assert_eq!(mask_opaque(&format!("{JWS} {opaque}")), format!("{MASK} {MASK}"));
        let plain = "reloaded /usr/lib/systemd/system/very-long-name-without-any-number.service in 3 ms";
        assert_eq!(mask_opaque(plain), plain);
    }

    #[test]
    fn what_a_person_wrote_is_hidden_sooner() {
        for secret in ["a1b2c3d4e5f6a7b8", "x=a1b2c3d4e5f6a7b8", &"k".repeat(40)] {
            assert!(looks_opaque(secret), "{secret}");
            assert_eq!(mask_opaque(secret), secret);
        }
        assert_eq!(quote("a1b2c3d4e5f6a7b8"), "`***`");
        assert_eq!(
            [quote("refresh_token"), quote(&"a ".repeat(40))],
            ["`refresh_token`".into(), format!("`{}...`", "a ".repeat(32))]
        );
    }

    #[test]
    fn known_secrets_are_masked_also_with_something_unseen_between_their_letters() {
        let secrets = ["hunter2", "abc"].map(|secret| Zeroizing::new(secret.to_owned()));
        assert_eq!(printable_without("abc: hunter2, hun\u{200b}ter2!", &secrets), "abc: [masked], [masked]!");
    }

    #[test]
    fn a_peers_words_are_one_bounded_line() {
        assert_eq!(peer_words(" No such\r\n\x1b[31m app\t"), "No such [31m app");
        assert_eq!(peer_words(&"ü".repeat(301)), format!("{}...", "ü".repeat(300)));
        // Masked before it is cut: what a cut leaves of a token looks like none.
        let split = format!("{} {}", "x".repeat(280), "a1".repeat(30));
        assert_eq!(peer_words(&split), format!("{} {MASK}", "x".repeat(280)));
        assert_eq!(peer_words(&format!("refused {JWS}")), format!("refused {MASK}"));
    }
}
