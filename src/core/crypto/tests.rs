use super::*;

#[test]
fn names_go_both_ways() {
    for algorithm in Algorithm::WORDS.iter().filter_map(|word| Algorithm::parse(word)) {
        assert_eq!(format!("{algorithm:?}"), algorithm.word());
    }
    for not in ["none", "hs256", "HS256 ", "", "ES512", "Ed25519"] {
        assert_eq!(Algorithm::parse(not), None, "{not}");
    }
}

#[test]
fn algorithms_and_kinds_go_together() {
    for kind in [KeyKind::Secret, KeyKind::Rsa, KeyKind::P256, KeyKind::P384, KeyKind::Ed25519] {
        assert_eq!(kind.default_algorithm().kind(), kind);
    }
    for algorithm in Algorithm::WORDS.iter().filter_map(|word| Algorithm::parse(word)) {
        assert_eq!(algorithm.is_symmetric(), algorithm.min_secret_bytes().is_some());
        // jsonwebtoken knows it by the same name.
        assert!(algorithm.word().parse::<jsonwebtoken::Algorithm>().is_ok());
    }
}

#[test]
fn a_secret_is_as_long_as_the_hash() {
    for (algorithm, min) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
        let weak = SigningKey::from_secret(&vec![b'x'; min - 1]);
        let bytes = min - 1;
        let error = KeyError::WeakSecret { algorithm, bytes, min };
        assert_eq!(weak.check(algorithm, false), Err(error));
        assert_eq!(weak.check(algorithm, true), Ok(()));
        let strong = SigningKey::from_secret(&vec![b'x'; min]);
        assert_eq!(strong.check(algorithm, false), Ok(()));
    }
}

#[test]
fn a_secret_is_not_empty_and_no_key() {
    for (text, encoding, error) in [
        ("", SecretEncoding::Utf8, KeyError::Empty),
        (" \n", SecretEncoding::Hex, KeyError::Empty),
        ("a\0b", SecretEncoding::Utf8, KeyError::NulInSecret),
        ("{\"kty\":\"oct\"}", SecretEncoding::Utf8, KeyError::JwkSymmetric),
        ("-----BEGIN X-----", SecretEncoding::Base64, KeyError::KeyForSecret { what: "a PEM file" }),
    ] {
        assert_eq!(SigningKey::from_secret_text(text.as_bytes(), encoding).err(), Some(error.clone()), "{text:?}");
        assert_eq!(VerifyingKey::from_secret_text(text.as_bytes(), encoding).err(), Some(error), "{text:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let key = SigningKey::from_secret(b"hunter2hunter2");
    assert_eq!(format!("{key:?}"), "SigningKey(a secret of 14 bytes, ..)");
    let key = key.verifying().unwrap();
    assert_eq!(format!("{key:?}"), "VerifyingKey(a secret of 14 bytes, kid None, ..)");
}

#[test]
fn keys_may_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<SigningKey>();
    shared::<VerifyingKey>();
}

#[test]
fn encodings_are_strict_where_it_matters() {
    let decode = |text: &str, encoding| decode_secret(text.as_bytes(), encoding).map(|s| s.expose().clone());
    use SecretEncoding::{Base64, Base64Url, Hex, Utf8};
    for (text, encoding, bytes) in [
        ("a\n", Utf8, &b"a\n"[..]),
        ("\u{e9}", Utf8, "\u{e9}".as_bytes()),
        ("6A 6b\n", Hex, b"jk"),
        ("amo=", Base64, b"jj"),
        ("amo", Base64, b"jj"),
        ("am\r\no=\r\n", Base64, b"jj"),
        ("-_8", Base64Url, b"\xfb\xff"),
        ("-_8=", Base64Url, b"\xfb\xff"),
        ("+/8=", Base64, b"\xfb\xff"),
    ] {
        assert_eq!(decode(text, encoding).as_deref(), Ok(bytes), "{text}");
    }
    for (text, encoding) in [
        ("6", Hex),
        ("0x6a", Hex),
        ("amo==", Base64),
        ("am=o", Base64),
        ("====", Base64),
        ("a", Base64),
        ("amp", Base64),
        ("-_8", Base64),
        ("+/8", Base64Url),
    ] {
        assert!(decode(text, encoding).is_err(), "{text}");
    }
}
