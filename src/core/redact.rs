//! Owns: the last line of defence: text on its way to the log loses what looks like a token.
//! Does not: excuse anybody from keeping secrets out of messages; it knows shapes, not secrets.

use std::borrow::Cow;

use super::printable::printable;

const MASK: &str = "[masked]";
/// What is shown of a peer's words.
const PEER_CHARS: usize = 300;

/// Masks what is shaped like a JWS in compact serialization (RFC 7515 7.1): a base64url part that holds a JSON object,
/// and two more, with dots between. Host names, versions and file names stay.
pub(crate) fn mask_jws(text: &str) -> Cow<'_, str> {
    mask(text, is_jws_byte, |run| jws_start(run).map(|at| (at, run.len())))
}

/// As [`mask_jws`], and any run of 32 or more letters, digits and `+ - _ = ~` that mixes letters and digits:
/// for the output of programs that may print a token of any make.
pub(crate) fn mask_opaque(text: &str) -> Cow<'_, str> {
    let without_jws = mask_jws(text);
    match mask(&without_jws, is_opaque_byte, |run| is_opaque(run).then_some((0, run.len()))) {
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
    match words.char_indices().nth(PEER_CHARS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
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

fn is_opaque(run: &str) -> bool {
    run.len() >= 32 && run.bytes().any(|b| b.is_ascii_digit()) && run.bytes().any(|b| b.is_ascii_alphabetic())
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
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let len = bytes[at..].iter().take_while(|b| belongs(**b)).count();
        // Runs are ASCII, so they begin and end at character boundaries.
        if len > 0
            && let Some((from, to)) = find(&text[at..at + len])
        {
            out.push_str(&text[copied..at + from]);
            out.push_str(MASK);
            copied = at + to;
        }
        at += len.max(1);
    }
    if copied == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
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
    fn a_peers_words_are_one_bounded_line() {
        assert_eq!(peer_words(" No such\r\n\x1b[31m app\t"), "No such [31m app");
        assert_eq!(peer_words(&"ü".repeat(301)), format!("{}…", "ü".repeat(300)));
        // Masked before it is cut: what a cut leaves of a token looks like none.
        let split = format!("{} {}", "x".repeat(280), "a1".repeat(30));
        assert_eq!(peer_words(&split), format!("{} {MASK}", "x".repeat(280)));
        assert_eq!(peer_words(&format!("refused {JWS}")), format!("refused {MASK}"));
    }
}
