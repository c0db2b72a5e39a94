//! Owns: making JSON readable whose texts hold what no text of JSON may hold.
//! Does not: mend its structure.

use zeroize::Zeroizing;

/// What stands for a character that cannot be made out.
const UNKNOWN: &[u8] = "\u{fffd}".as_bytes();

/// The same JSON with [`UNKNOWN`] for bytes that are no UTF-8 and for half surrogates, and with control characters inside a text
/// written out (RFC 8259 7, 8.1).
pub(super) fn repaired(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut repaired = Repairing { out: Zeroizing::new(Vec::with_capacity(room(text))), in_text: false };
    for chunk in text.utf8_chunks() {
        repaired.take(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            repaired.out.extend_from_slice(UNKNOWN);
        }
    }
    repaired.out
}

/// Enough: no copy of a secret is left behind by growing.
fn room(text: &[u8]) -> usize {
    let grows = text.iter().filter(|byte| byte.is_ascii_control() || !byte.is_ascii()).count();
    text.len() + grows * 6
}

struct Repairing {
    out: Zeroizing<Vec<u8>>,
    in_text: bool,
}

impl Repairing {
    fn take(&mut self, mut text: &[u8]) {
        while let Some((&byte, rest)) = text.split_first() {
            let used = match byte {
                b'\\' if self.in_text => self.escape(text),
                0..b' ' if self.in_text => {
                    self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    1
                }
                _ => {
                    self.in_text ^= byte == b'"';
                    self.out.push(byte);
                    1
                }
            };
            text = text.get(used..).unwrap_or(rest);
        }
    }

    /// Takes what begins with a backslash; how many bytes that are.
    fn escape(&mut self, text: &[u8]) -> usize {
        let (written, used) = match (unit(text), text.get(6..).and_then(unit)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (&text[..12], 12),
            (Some(0xd800..0xe000), _) => (UNKNOWN, 6),
            (Some(_), _) => (&text[..6], 6),
            (None, _) => (&text[..text.len().min(2)], 2),
        };
        self.out.extend_from_slice(written);
        used
    }
}

/// The UTF-16 unit of `\uXXXX` (RFC 8259 7).
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}
