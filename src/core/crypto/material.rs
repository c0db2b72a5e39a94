//! Owns: telling key material (PEM, DER, JWK, SSH, PuTTY, PKCS#12, OpenPGP and the like) from a shared secret, and its name in words.
//! Does not: parse a key, or judge how good a secret is.

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use serde_json::Value;
use zeroize::Zeroizing;

/// What kind of key material these bytes are, in words that follow "it is"; `None`: nothing that is known.
///
/// Looked at as they are, and as the base64, base64url or hex of others: keys are handed around in those forms too. As
/// an HMAC secret any of them would let whoever has the public half sign (RFC 8725 2.1, 3.5). A random secret is taken
/// for one less often than once in 2^28.
pub(super) fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    as_it_is(bytes).or_else(|| written_down(bytes).iter().find_map(|decoded| as_it_is(decoded)))
}

fn as_it_is(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    armor(text).or_else(|| jwk(text)).or_else(|| ssh(text)).or_else(|| binary(bytes))
}

/// The bytes that a text may be written down from, white space and padding aside.
fn written_down(text: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut digits = digits(text);
    let end = digits.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    digits.truncate(end);
    [BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE]
        .into_iter()
        .filter_map(|encoding| encoding.decode(&digits).ok().map(Zeroizing::new))
        .collect()
}

/// A text without its white space.
pub(super) fn digits(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    digits.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    digits
}

/// Texts that begin with a line of their own. Public before private: a file of both is told as the worse.
fn armor(text: &[u8]) -> Option<&'static str> {
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    if has(b"-----BEGIN ") {
        let kinds: [(&[u8], &str); 6] = [
            (b"-----BEGIN PGP ", "an OpenPGP key or message"),
            (b"-----BEGIN OPENSSH ", "an SSH private key"),
            (b"PRIVATE KEY-----", "a private key in PEM"),
            (b"CERTIFICATE", "a certificate in PEM"),
            (b"PUBLIC KEY-----", "a public key in PEM"),
            (b"", "a PEM file"),
        ];
        return kinds.iter().find(|(part, _)| part.is_empty() || has(part)).map(|(_, kind)| *kind);
    }
    let begins: [(&[u8], &str); 5] = [
        (b"---- BEGIN SSH2 ", "an SSH key (RFC 4716)"),
        (b"PuTTY-User-Key-File-", "a PuTTY key"),
        (b"AGE-SECRET-KEY-", "an age key"),
        (b"untrusted comment:", "a signify or minisign key"),
        (b"SSH PRIVATE KEY FILE FORMAT ", "an SSH private key"),
    ];
    begins.iter().find(|(begin, _)| text.starts_with(begin)).map(|(_, kind)| *kind)
}

/// A JWK, a set of them, or a list. A member that stands twice does not make it something else.
fn jwk(text: &[u8]) -> Option<&'static str> {
    if !matches!(text.first(), Some(b'{' | b'[')) {
        return None;
    }
    let is_jwk = |value: &Value| value.get("kty").is_some();
    match serde_json::from_slice(text).ok()? {
        Value::Object(members) if members.get("keys").is_some_and(Value::is_array) => Some("a set of JWKs"),
        Value::Object(members) if members.get("kty").is_some_and(|kty| kty == "oct") => Some(OCT),
        Value::Object(members) if members.contains_key("kty") => Some("a JWK"),
        Value::Array(all) if all.iter().any(is_jwk) => Some("a list of JWKs"),
        _ => None,
    }
}

/// The one JWK that has a secret in it.
pub(super) const OCT: &str = "a symmetric JWK";

/// A public key as in `authorized_keys`, `known_hosts` or `id_rsa.pub`: its type, then base64.
fn ssh(text: &[u8]) -> Option<&'static str> {
    let is_type = |word: &[u8]| {
        [&b"ssh-"[..], b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-"].iter().any(|begin| word.starts_with(begin))
    };
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        if is_type(word) && words.peek().is_some_and(|next| next.starts_with(b"AAAA")) {
            return Some("an SSH public key");
        }
    }
    None
}

fn binary(bytes: &[u8]) -> Option<&'static str> {
    let begins: [(&[u8], &str); 9] = [
        (b"\x00\x00\x00\x07ssh-", "an SSH public key"),
        (b"\x00\x00\x00\x0bssh-ed25519", "an SSH public key"),
        (b"\x00\x00\x00\x13ecdsa-sha2-", "an SSH public key"),
        (b"\x00\x00\x00\x1ask-ssh-", "an SSH public key"),
        (b"\x00\x00\x00\x22sk-ecdsa-", "an SSH public key"),
        (b"openssh-key-v1\0", "an SSH private key"),
        (b"\xfe\xed\xfe\xed", "a Java keystore"),
        (b"\xce\xce\xce\xce\x00\x00\x00\x02", "a Java keystore"),
        // BER of indefinite length, as old Java and Windows write PKCS#12.
        (b"\x30\x80\x02\x01\x03\x30\x80", "a PKCS#12 file"),
    ];
    begins.iter().find(|(begin, _)| bytes.starts_with(begin)).map(|(_, kind)| *kind).or_else(|| der(bytes))
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

pub(super) const PKCS8: &str = "a private key (PKCS#8)";
pub(super) const RSA: &str = "an RSA private key";
pub(super) const EC: &str = "an EC private key";
pub(super) const PUBLIC: &str = "a public key";
pub(super) const ENCRYPTED: &str = "an encrypted private key";
pub(super) const SIGNED: &str = "a certificate";

/// What the outermost elements of DER say: PKCS#1, SEC1, PKCS#8, SubjectPublicKeyInfo, X.509, PKCS#7 and PKCS#12.
/// The end may be cut off: a last byte that is a newline was taken for one.
pub(super) fn der(bytes: &[u8]) -> Option<&'static str> {
    let (SEQUENCE, body, _) = element(bytes)? else { return None };
    let (tag, first, rest) = element(body)?;
    let second = element(rest).map(|(tag, value, _)| (tag, value));
    match (tag, first, second) {
        (INTEGER, [3], Some((SEQUENCE, info))) if begins_with(info, OID) => Some("a PKCS#12 file"),
        (INTEGER, [0 | 1], Some((SEQUENCE, info))) if begins_with(info, OID) => Some(PKCS8),
        (INTEGER, [0 | 1], Some((INTEGER, modulus))) if modulus.len() >= 32 => Some(RSA),
        (INTEGER, [1], Some((OCTET_STRING, number))) if number.len() >= 20 => Some(EC),
        (INTEGER, modulus, Some((INTEGER, _))) if modulus.len() >= 64 => Some("an RSA public key"),
        (OID, [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, _], _) => Some("a PKCS#7 file"),
        (SEQUENCE, info, Some((BIT_STRING, _))) if begins_with(info, OID) => Some(PUBLIC),
        (SEQUENCE, info, Some((OCTET_STRING, _))) if begins_with(info, OID) => Some(ENCRYPTED),
        // What is signed, and by which algorithm: a certificate, a request for one, or a list of revoked ones.
        (SEQUENCE, _, Some((SEQUENCE, info))) if begins_with(info, OID) => Some(SIGNED),
        _ => None,
    }
}

fn begins_with(bytes: &[u8], tag: u8) -> bool {
    element(bytes).is_some_and(|(found, value, _)| found == tag && !value.is_empty())
}

/// The first element of DER: its tag, its value as far as it is there, and what follows (X.690 8.1).
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    Some((tag, value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_by_its_name() {
        for (bytes, kind) in [
            (&b"-----BEGIN RSA PRIVATE KEY-----"[..], "a private key in PEM"),
            (b"key:\n-----BEGIN PUBLIC KEY-----\n", "a public key in PEM"),
            (b"{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\nMII\"}", "a private key in PEM"),
            (b"-----BEGIN PGP PUBLIC KEY BLOCK-----", "an OpenPGP key or message"),
            (b"ssh-rsa AAAAB3Nz a@b", "an SSH public key"),
            (b"command=\"x\" ecdsa-sha2-nistp256 AAAAE2 a", "an SSH public key"),
            (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "a PuTTY key"),
            (b"---- BEGIN SSH2 PUBLIC KEY ----", "an SSH key (RFC 4716)"),
            (b"\xef\xbb\xbf {\"kty\":\"RSA\",\"kty\":\"RSA\"}", "a JWK"),
            (b"{\"keys\":[]}", "a set of JWKs"),
            (b"[{\"kty\":\"EC\"}]", "a list of JWKs"),
            (b"{\"kty\":\"oct\",\"k\":\"AAAA\"}", OCT),
            (b"\x30\x80\x02\x01\x03\x30\x80\x06\x09", "a PKCS#12 file"),
            // The base64 of an armor, of an SSH key's body, and of DER; and DER in hex.
            (b"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0=", "a public key in PEM"),
            (b"AAAAC3NzaC1lZDI1NTE5AAAAIA", "an SSH public key"),
            (b"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", "a public key"),
            (b"302a300506032b6570032100", "a public key"),
        ] {
            assert_eq!(kind_of(bytes), Some(kind), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_is_no_key_is_a_secret() {
        let mut der_like = [0x30; 40];
        assert_eq!(kind_of(&der_like), None);
        der_like[1..4].copy_from_slice(&[0x82, 1, 0x22]);
        assert_eq!(kind_of(&der_like), None);
        for text in [
            "{\"a\": 1, \"b\": \"it may be JSON\"}",
            "MIIBIjANBgkq",
            "ssh-rsa",
            "ssh-rsa hunter2",
            "[1, 2]",
            "keys",
            "",
            "BEGIN PUBLIC KEY",
            "07c6e2t1rb92987fnrd705jkk8582p9e",
        ] {
            assert_eq!(kind_of(text.as_bytes()), None, "{text}");
        }
    }

    proptest::proptest! {
        /// Whatever stands there: no panic, and random bytes are taken as a secret.
        #[test]
        fn random_bytes_are_a_secret(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            proptest::prop_assert_eq!(kind_of(&bytes), None);
        }
    }
}
