//! The promise: each algorithm of the contract signs what everybody else can verify.
//! Delivered files are checked by the `openssl` command, with keys that it made, in each form a key may come in.
//! Also: how a secret's bytes are read from its file (one trailing newline dropped, four encodings).

use std::fs;
use std::path::Path;

use aws_lc_rs::hmac;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;

use support::{Jwt, SECRET, Sandbox, TokenText, openssl, token};

/// 64 bytes that are no text, with newlines and NULs among them and at the end.
fn wild() -> Vec<u8> {
    (0u8..62).map(|i| i.wrapping_mul(37)).chain(*b"\0\n").collect()
}

fn once(sandbox: &Sandbox, texts: &[TokenText]) {
    let body: String = texts.iter().map(ToString::to_string).collect();
    sandbox.config(body);
    sandbox.ours(&["once"]).expect(0);
}

fn delivered(sandbox: &Sandbox, name: &str, algorithm: &str) -> Jwt {
    let text = sandbox.read(&format!("{name}.token"));
    let jwt = Jwt::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(jwt.header["alg"], algorithm, "{name}");
    jwt
}

#[test]
fn hmacs_hold_by_openssl() {
    let sandbox = Sandbox::new();
    sandbox.put("wild.hex", HEXLOWER.encode(&wild()));
    let secret = "secret = { file = \"wild.hex\", encoding = \"hex\" }";
    let cases = [("HS256", "-sha256"), ("HS384", "-sha384"), ("HS512", "-sha512")];
    let texts = cases.map(|(a, _)| token(&a.to_lowercase()).algorithm(a).secret(secret));
    once(&sandbox, &texts);
    for (algorithm, hash) in cases {
        let jwt = delivered(&sandbox, &algorithm.to_lowercase(), algorithm);
        let key = format!("hexkey:{}", HEXLOWER.encode(&wild()));
        let args = ["dgst", hash, "-mac", "HMAC", "-macopt", &key, "-binary"];
        let mac = openssl(&args, jwt.signing_input().as_bytes());
        assert_eq!(mac, jwt.signature, "{algorithm}");
    }
}

#[test]
fn secrets_are_the_bytes_their_encoding_says() {
    let sandbox = Sandbox::new();
    let raw = wild();
    let text = "a secret of more than thirty-two bytes, ß and all";
    let cases: [(&str, Vec<u8>, &str, Vec<u8>); 8] = [
        ("plain", text.into(), "utf8", text.into()),
        ("newline", format!("{text}\n").into(), "utf8", text.into()),
        ("two", format!("{text}\n\n").into(), "utf8", format!("{text}\n").into()),
        ("hexlike", SECRET.replace('t', "0").into(), "utf8", SECRET.replace('t', "0").into()),
        ("hex", HEXLOWER.encode(&raw).into(), "hex", raw.clone()),
        ("base64", format!("{}\n", BASE64.encode(&raw)).into(), "base64", raw.clone()),
        ("base64url", BASE64URL_NOPAD.encode(&raw).into(), "base64url", raw.clone()),
        ("bytes", raw.clone(), "utf8", raw[..63].to_vec()),
    ];
    // Raw bytes are no UTF-8, and `utf8` may refuse them: that case is only about what is accepted.
    let strict = &cases[..7];
    for (name, content, ..) in strict {
        sandbox.put(name, content);
    }
    let texts: Vec<TokenText> = strict
        .iter()
        .map(|(name, _, encoding, _)| {
            token(name).secret(&format!("secret.file = \"{name}\"\nsecret.encoding = \"{encoding}\""))
        })
        .collect();
    once(&sandbox, &texts);
    for (name, _, _, key) in strict {
        let jwt = delivered(&sandbox, name, "HS256");
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let holds = hmac::verify(&key, jwt.signing_input().as_bytes(), &jwt.signature);
        assert!(holds.is_ok(), "{name}");
    }
}

/// Keys in `sandbox`, each in all its forms: `FILE` to configure, and `STEM.pub` to verify by.
fn make_keys(sandbox: &Sandbox) {
    let at = |name: &str| sandbox.path(name).to_string_lossy().into_owned();
    let specs: [(&str, &[&str]); 4] = [
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("ed", &["-algorithm", "ED25519"]),
    ];
    for (stem, options) in specs {
        let pem = openssl(&[&["genpkey"], options].concat(), b"");
        sandbox.put(&format!("{stem}.pk8"), &pem);
        let public = at(&format!("{stem}.pub"));
        openssl(&["pkey", "-pubout", "-out", &public], &pem);
    }
    let pkcs1 = openssl(&["rsa", "-in", &at("rsa.pk8"), "-traditional"], b"");
    sandbox.put("rsa.pk1", pkcs1);
    for stem in ["p256", "p384"] {
        let sec1 = openssl(&["ec", "-in", &at(&format!("{stem}.pk8"))], b"");
        sandbox.put(&format!("{stem}.sec1"), sec1);
    }
    for (stem, curve, size) in [("p256", "P-256", 32), ("p384", "P-384", 48)] {
        let file = at(&format!("{stem}.sec1"));
        let der = openssl(&["ec", "-in", &file, "-outform", "DER"], b"");
        // SEC1: the scalar is the first OCTET STRING, the point's x and y are the last bytes.
        let scalar = der.windows(2).position(|w| w == [0x04, size as u8]).expect("a scalar") + 2;
        let xy = &der[der.len() - 2 * size..];
        let b64 = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let jwk = json!({"kty": "EC", "crv": curve, "d": b64(&der[scalar..scalar + size]),
            "x": b64(&xy[..size]), "y": b64(&xy[size..])});
        sandbox.put(&format!("{stem}.jwk"), jwk.to_string());
    }
    let private = openssl(&["pkey", "-in", &at("ed.pk8"), "-outform", "DER"], b"");
    let public = openssl(&["pkey", "-in", &at("ed.pk8"), "-pubout", "-outform", "DER"], b"");
    let last = |der: &[u8]| BASE64URL_NOPAD.encode(&der[der.len() - 32..]);
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "d": last(&private), "x": last(&public)});
    sandbox.put("ed.jwk", jwk.to_string());
    let der = openssl(&["rsa", "-in", &at("rsa.pk8"), "-traditional", "-outform", "DER"], b"");
    sandbox.put("rsa.jwk", rsa_jwk(&der).to_string());
}

/// PKCS#1 (RFC 8017 A.1.2): a SEQUENCE of INTEGERs, version first.
fn rsa_jwk(der: &[u8]) -> serde_json::Value {
    let mut rest = skip_header(der).0;
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let (body, length) = skip_header(rest);
        let (number, after) = body.split_at(length);
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        numbers.push(BASE64URL_NOPAD.encode(number));
        rest = after;
    }
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let members = names.iter().zip(&numbers[1..]);
    let mut jwk: serde_json::Map<_, _> = members.map(|(name, number)| ((*name).to_owned(), json!(number))).collect();
    jwk.insert("kty".into(), json!("RSA"));
    jwk.into()
}

/// What follows a DER tag and length, and the length.
fn skip_header(der: &[u8]) -> (&[u8], usize) {
    match der[1] {
        long @ 0x81..=0x84 => {
            let count = usize::from(long - 0x80);
            let length = der[2..2 + count].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (&der[2 + count..], length)
        }
        short => (&der[2..], usize::from(short)),
    }
}

/// JOSE's r and s side by side (RFC 7518 3.4) as the DER that openssl reads.
fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let start = half.iter().position(|b| *b != 0).unwrap_or(half.len() - 1);
        let mut body = half[start..].to_vec();
        if body[0] & 0x80 != 0 {
            body.insert(0, 0);
        }
        [vec![2, body.len() as u8], body].concat()
    };
    let (r, s) = signature.split_at(signature.len() / 2);
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

fn verify(sandbox: &Sandbox, jwt: &Jwt, algorithm: &str, public: &Path) {
    let message = sandbox.put("message", jwt.signing_input());
    let bytes = if algorithm.starts_with("ES") { ecdsa_der(&jwt.signature) } else { jwt.signature.clone() };
    let signature = sandbox.put("signature", bytes);
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (message, signature, public) = (text(&message), text(&signature), text(public));
    if algorithm == "EdDSA" {
        let args = ["pkeyutl", "-verify", "-pubin", "-inkey", &public, "-rawin", "-in", &message];
        openssl(&[&args[..], &["-sigfile", &signature]].concat(), b"");
        return;
    }
    let hash = format!("-sha{}", &algorithm[2..]);
    let mut args = vec!["dgst", &hash, "-verify", &public, "-signature", &signature];
    if algorithm.starts_with("PS") {
        // The salt is as long as the hash (RFC 7518 3.5).
        args.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
    }
    args.push(&message);
    openssl(&args, b"");
}

#[test]
fn private_keys_of_each_form_hold_by_openssl() {
    let sandbox = Sandbox::new();
    make_keys(&sandbox);
    let cases: [(&str, &str, &[&str]); 9] = [
        ("RS256", "rsa", &["pk8", "pk1", "jwk"]),
        ("RS384", "rsa", &["pk8"]),
        ("RS512", "rsa", &["pk1"]),
        ("PS256", "rsa", &["pk8", "pk1", "jwk"]),
        ("PS384", "rsa", &["pk8"]),
        ("PS512", "rsa", &["pk1"]),
        ("ES256", "p256", &["pk8", "sec1", "jwk"]),
        ("ES384", "p384", &["pk8", "sec1", "jwk"]),
        ("EdDSA", "ed", &["pk8", "jwk"]),
    ];
    let all = || {
        cases.iter().flat_map(|(algorithm, stem, forms)| {
            let lower = algorithm.to_lowercase();
            forms.iter().map(move |form| (format!("{lower}-{form}"), *algorithm, *stem, *form))
        })
    };
    let texts: Vec<TokenText> = all()
        .map(|(name, algorithm, stem, form)| {
            token(&name).algorithm(algorithm).secret(&format!("private_key.file = \"{stem}.{form}\""))
        })
        .collect();
    once(&sandbox, &texts);
    for (name, algorithm, stem, _) in all() {
        let jwt = delivered(&sandbox, &name, algorithm);
        verify(&sandbox, &jwt, algorithm, &sandbox.path(&format!("{stem}.pub")));
    }
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let sandbox = Sandbox::new();
    make_keys(&sandbox);
    let pairs = [
        ("RS256", "p256.pk8"),
        ("ES256", "p384.sec1"),
        ("ES384", "p256.jwk"),
        ("EdDSA", "rsa.pk1"),
        ("PS256", "ed.jwk"),
        ("ES256", "p256.pub"),
    ];
    for (algorithm, file) in pairs {
        let line = format!("private_key.file = \"{file}\"");
        sandbox.config(token("a").algorithm(algorithm).secret(&line));
        let ran = sandbox.ours(&["check"]).expect(78);
        assert!(ran.stderr.contains(file), "{algorithm} {file}: {ran:#?}");
        sandbox.ours(&["once"]).expect(78);
        assert!(fs::metadata(sandbox.out("a.token")).is_err(), "{algorithm} {file}");
    }
}

#[test]
fn a_secret_shorter_than_its_hash_needs_leave() {
    let sandbox = Sandbox::new();
    for (algorithm, bytes) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        sandbox.put("s", vec![b'x'; bytes - 1]);
        let text = token("a").algorithm(algorithm).secret("secret.file = \"s\"");
        sandbox.config(&text);
        sandbox.ours(&["check"]).expect(78);
        sandbox.config(text.clone().line("allow_weak_secret = true"));
        sandbox.ours(&["check"]).expect(0);
        sandbox.put("s", vec![b'x'; bytes]);
        sandbox.config(&text);
        sandbox.ours(&["check"]).expect(0);
    }
}
