//! Owns: the promise that what `generate`, `refresh` and `inspect` sign and verify is JOSE, to the byte, through the binary.
//! Does not: know how it is done inside; openssl and the RFCs' own examples are the judges.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};
use support::forge::hs256 as signed;
use support::openssl_in;
use tempfile::TempDir;

const SECRET: &str = "07c6e2t1rb92987fnrd705jkk8582p9e";

/// A folder with a secret in it, and the binary run there.
struct Desk(TempDir);

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        desk.put("secret", format!("{SECRET}\n"));
        desk
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn run(&self, args: &[&str], stdin: &str) -> Ran {
        let mut child = Command::new(support::binary())
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may have refused its arguments before it read anything.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let done = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: done.status.code().unwrap(), out: text(done.stdout), err: text(done.stderr) };
        assert!(!ran.err.contains(SECRET), "the secret is in an error: {}", ran.err);
        assert!(!ran.err.contains("eyJ"), "a token is in an error: {}", ran.err);
        ran
    }

    fn openssl(&self, args: &[&str]) -> Vec<u8> {
        openssl_in(self.0.path(), args)
    }

    /// `generate` that has to succeed: the token.
    fn generate(&self, args: &[&str]) -> String {
        let ran = self.run(&[&["generate", "--key", "K"], args].concat(), "");
        assert_eq!(ran.code, 0, "{}", ran.err);
        let token = ran.out.strip_suffix('\n').unwrap();
        assert!(!token.contains(char::is_whitespace));
        token.to_owned()
    }

    fn refresh(&self, old: &str, args: &[&str]) -> Ran {
        let base = ["refresh", "-", "--key", "K", "--secret-file", "secret"];
        self.run(&[&base, args].concat(), old)
    }

    /// `inspect --json`: exit code, and the object.
    fn inspect(&self, token: &str, args: &[&str]) -> (i32, Value) {
        let ran = self.run(&[&["inspect", "-", "--json"], args].concat(), token);
        let object = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
        (ran.code, object)
    }
}

fn parts(token: &str) -> (Value, Value) {
    let all: Vec<_> = token.split('.').collect();
    assert_eq!(all.len(), 3);
    let json = |text: &str| serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).unwrap()).unwrap();
    (json(all[0]), json(all[1]))
}

fn hs256(payload: &str) -> String {
    signed(r#"{"typ":"JWT","alg":"HS256"}"#, payload, SECRET.as_bytes())
}

fn now() -> i64 {
    support::now() as i64
}

// RFC 7515 A.1 to A.3: one payload, with line breaks in it.
const RFC_CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const A1_HEADER: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
const A1_TAG: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const A1_K: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const A2_HEADER: &str = "eyJhbGciOiJSUzI1NiJ9";
const A2_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const A2_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const A3_HEADER: &str = "eyJhbGciOiJFUzI1NiJ9";
const A3_SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const A3_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const A3_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

#[test]
fn rfc_7515_examples_inspect_as_valid() {
    let desk = Desk::new();
    desk.put("a1", A1_K);
    desk.put("a1.jwk", json!({"kty": "oct", "k": A1_K}).to_string());
    desk.put("a2.jwk", json!({"kty": "RSA", "n": A2_N, "e": "AQAB"}).to_string());
    let a3 = json!({"kty": "EC", "crv": "P-256", "x": A3_X, "y": A3_Y});
    desk.put("a3.jwk", a3.to_string());
    let set = json!({"keys": [{"kty": "RSA", "n": A2_N, "e": "AQAB"}, {"kty": "weird"}, a3]});
    desk.put("set", set.to_string());
    let a1 = format!("{A1_HEADER}.{RFC_CLAIMS}.{A1_TAG}");
    let a2 = format!("{A2_HEADER}.{RFC_CLAIMS}.{A2_SIGNATURE}");
    let a3 = format!("{A3_HEADER}.{RFC_CLAIMS}.{A3_SIGNATURE}");
    for (token, args) in [
        (&a1, &["--secret-file", "a1", "--secret-encoding", "base64url"][..]),
        (&a1, &["--jwks", "a1.jwk"]),
        (&a2, &["--jwks", "a2.jwk"]),
        (&a2, &["--public-key-file", "a2.jwk"]),
        (&a2, &["--jwks", "set"]),
        (&a3, &["--jwks", "set"]),
        (&a3, &["--public-key-file", "a3.jwk"]),
    ] {
        let (code, seen) = desk.inspect(token, args);
        assert_eq!((code, &seen["signature"]), (0, &json!("valid")), "{args:?}");
        assert_eq!(seen["expired"], true);
        assert_eq!(seen["claims"]["http://example.com/is_root"], true);
        assert!((seen["expires_in"].as_i64().unwrap() - (1300819380 - now())).abs() < 5);
        // One bit of the signature, and it holds no more.
        let at = token.len() - 20;
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let (code, seen) = desk.inspect(&changed, args);
        assert_eq!((code, &seen["signature"]), (1, &json!("invalid")), "{args:?}");
    }
    // A key of another kind never verifies, whatever its bytes are.
    for (token, key) in [(&a1, "a2.jwk"), (&a2, "a3.jwk"), (&a3, "a2.jwk")] {
        let (code, seen) = desk.inspect(token, &["--public-key-file", key]);
        assert_eq!((code, &seen["signature"]), (1, &json!("invalid")));
    }
}

#[test]
fn rfc_8037_a4_is_signed_to_the_byte() {
    use renewd::core::crypto::{Algorithm, SigningKey, VerifyingKey};
    use renewd::core::jose::{Jws, seal};
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = SigningKey::from_private(jwk.as_bytes()).unwrap();
    let token = seal(&key, key.default_algorithm(), "eyJhbGciOiJFZERTQSJ9", b"Example of Ed25519 signing").unwrap();
    assert_eq!(
        token.expose(),
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let public = VerifyingKey::from_public(jwk.as_bytes()).unwrap();
    let verified = Jws::parse(token.expose()).unwrap().verify(&public, None);
    assert_eq!(verified, Ok(Algorithm::EdDSA));
}

/// What is wrong, and the token. All are signed right where that can be.
fn hostile() -> Vec<(&'static str, String)> {
    let good = hs256(r#"{"iss":"K","iat":1600000000,"exp":1600003600}"#);
    let (message, tag) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let with = |header: &str| signed(header, r#"{"iss":"K"}"#, SECRET.as_bytes());
    let raw = |header: &[u8], payload: &[u8]| {
        let message = format!("{}.{}", BASE64URL_NOPAD.encode(header), BASE64URL_NOPAD.encode(payload));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), message.as_bytes());
        format!("{message}.{}", BASE64URL_NOPAD.encode(tag.as_ref()))
    };
    // The last digit of 43 holds two bits that say nothing.
    let last = tag.chars().last().unwrap();
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = digits.chars().nth(digits.find(last).unwrap() + 1).unwrap();
    let hs256 = r#"{"alg":"HS256"}"#.as_bytes();
    vec![
        ("nothing", String::new()),
        ("a word", "abc".into()),
        ("dots", "..".into()),
        ("two parts", message.into()),
        ("four parts", format!("{good}.")),
        ("five parts, a JWE", format!("{header}.{payload}.{tag}.{tag}.{tag}")),
        ("no tag", format!("{message}.")),
        ("a cut tag", good[..good.len() - 4].into()),
        ("a tag that is one digit longer", format!("{good}A")),
        ("a tag with padding", format!("{good}=")),
        ("bits that say nothing", format!("{}{next}", &good[..good.len() - 1])),
        ("standard base64", good.replace('-', "+").replace('_', "/") + "+"),
        ("a space before", format!(" {good}")),
        ("a space after", format!("{good} ")),
        ("two newlines after", format!("{good}\n\n")),
        ("a NUL after", format!("{good}\0")),
        ("a line break within", format!("{message}\n.{tag}")),
        ("another's secret", signed(r#"{"alg":"HS256"}"#, r#"{"iss":"K"}"#, &[7; 32])),
        ("changed claims", format!("{header}.{}.{tag}", BASE64URL_NOPAD.encode(br#"{"iss":"K"}"#))),
        ("alg none, no tag", format!("{}.{payload}.", BASE64URL_NOPAD.encode(br#"{"alg":"none"}"#))),
        ("alg none, with a tag", with(r#"{"alg":"none"}"#)),
        ("alg nOnE", with(r#"{"alg":"nOnE"}"#)),
        ("alg hs256", with(r#"{"alg":"hs256"}"#)),
        ("alg HS512", with(r#"{"alg":"HS512"}"#)),
        ("alg RS256", with(r#"{"alg":"RS256"}"#)),
        ("alg ES512", with(r#"{"alg":"ES512"}"#)),
        ("no alg", with(r#"{"typ":"JWT"}"#)),
        ("alg a number", with(r#"{"alg":256}"#)),
        ("alg a list", with(r#"{"alg":["HS256"]}"#)),
        ("crit", with(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#)),
        ("b64 false", with(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#)),
        ("an empty header", with("")),
        ("a header that is a list", with("[]")),
        ("alg twice", with(r#"{"alg":"HS256","alg":"HS256"}"#)),
        ("alg twice, once escaped", with(r#"{"alg":"HS256","\u0061lg":"none"}"#)),
        ("a header with more behind it", with(r#"{"alg":"HS256"}{}"#)),
        ("iss twice", raw(hs256, br#"{"iss":"K","iss":"K"}"#)),
        ("a member twice, deep", raw(hs256, br#"{"iss":"K","a":{"b":1,"b":1}}"#)),
        ("claims that are no JSON", raw(hs256, b"Example of text")),
        ("claims that are a string", raw(hs256, br#""K""#)),
        ("claims that are not UTF-8", raw(hs256, b"{\"iss\":\"K\",\"a\":\"\xff\"}")),
        ("claims with a BOM", raw(hs256, "\u{feff}{\"iss\":\"K\"}".as_bytes())),
        ("a tower of lists", raw(hs256, format!(r#"{{"iss":"K","a":{}"#, "[".repeat(9000)).as_bytes())),
        ("a huge kid", with(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(64 * 1024)))),
        ("more than any token", "A".repeat(3 << 20)),
        ("another iss", self::hs256(r#"{"iss":"other"}"#)),
        ("iss a number", self::hs256(r#"{"iss":1}"#)),
        ("iss a list", self::hs256(r#"{"iss":["K"]}"#)),
        ("neither iss nor kid", self::hs256(r#"{"sub":"K"}"#)),
        ("another kid", signed(r#"{"alg":"HS256","kid":"other"}"#, "{}", SECRET.as_bytes())),
    ]
}

#[test]
fn refresh_refuses_every_hostile_token() {
    let desk = Desk::new();
    for (what, token) in hostile() {
        let ran = desk.refresh(&token, &[]);
        assert_eq!(ran.code, 1, "{what}: {}", ran.err);
        assert_eq!(ran.out, "", "{what}");
        assert!(ran.err.starts_with("error: "), "{what}: {}", ran.err);
        assert!(ran.err.len() < 400, "{what}: {}", ran.err);
    }
}

#[test]
fn inspect_calls_no_hostile_token_valid() {
    let desk = Desk::new();
    let of_another = ["iss", "kid"];
    for (what, token) in hostile() {
        if of_another.iter().any(|word| what.contains(word)) && !what.contains("twice") && !what.contains("huge") {
            continue;
        }
        let (code, seen) = desk.inspect(&token, &["--secret-file", "secret"]);
        assert_eq!(code, 1, "{what}");
        assert_ne!(seen["signature"], "valid", "{what}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let desk = Desk::new();
    desk.openssl(&["genrsa", "-out", "k.pem", "2048"]);
    let public = desk.openssl(&["rsa", "-in", "k.pem", "-pubout"]);
    let pkcs1 = desk.openssl(&["rsa", "-in", "k.pem", "-RSAPublicKey_out"]);
    let certificate = desk.openssl(&["req", "-x509", "-key", "k.pem", "-subj", "/CN=a", "-days", "9"]);
    desk.put("cert", &certificate);
    let bare: String = String::from_utf8(public.clone()).unwrap().lines().filter(|l| !l.starts_with('-')).collect();
    let jwk = json!({"kty": "RSA", "n": A2_N, "e": "AQAB"}).to_string();
    let set = format!("{{\"keys\": [{jwk}]}}");
    for (what, text) in [
        ("PEM", public),
        ("PKCS#1", pkcs1),
        ("certificate", certificate),
        ("certificate in DER", desk.openssl(&["x509", "-in", "cert", "-outform", "DER"])),
        ("DER", desk.openssl(&["rsa", "-in", "k.pem", "-pubout", "-outform", "DER"])),
        ("PEM without its frame", bare.into_bytes()),
        ("private PEM", std::fs::read(desk.0.path().join("k.pem")).unwrap()),
        ("JWK", jwk.into_bytes()),
        ("JWK set", set.into_bytes()),
    ] {
        desk.put("pub", &text);
        let key = text.strip_suffix(b"\n").unwrap_or(&text);
        let token = signed(r#"{"alg":"HS256"}"#, r#"{"iss":"K"}"#, key);
        let ran = desk.run(&["refresh", "-", "--key", "K", "--secret-file", "pub"], &token);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{what}");
        assert!(ran.err.contains("not a secret"), "{what}: {}", ran.err);
        let ran = desk.run(&["generate", "--key", "K", "--secret-file", "pub"], "");
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{what}");
        let (code, _) = desk.inspect(&token, &["--secret-file", "pub"]);
        assert_eq!(code, 1, "{what}");
    }
}

/// DER of an ECDSA signature (RFC 3279 2.2.3) from its two numbers side by side.
fn ecdsa_der(raw: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len() - 1);
        let mut digits = bytes[start..].to_vec();
        if digits[0] & 0x80 != 0 {
            digits.insert(0, 0);
        }
        [&[2, digits.len() as u8][..], &digits].concat()
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    let both = [number(r), number(s)].concat();
    [&[0x30, both.len() as u8][..], &both].concat()
}

/// openssl's word on a token.
fn openssl_verifies(desk: &Desk, token: &str, alg: &str, public: &str) {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    desk.put("message", message);
    desk.put("signature", if alg.starts_with("ES") { ecdsa_der(&signature) } else { signature });
    let digest = format!("-sha{}", alg.get(2..).unwrap());
    let (mut args, files) = if alg == "EdDSA" {
        let args = vec!["pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"];
        (args, ["-in", "message", "-sigfile", "signature"].as_slice())
    } else {
        let args = vec!["dgst", &digest, "-verify", public];
        (args, ["-signature", "signature", "message"].as_slice())
    };
    if alg.starts_with("PS") {
        args.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
    }
    args.extend(files);
    desk.openssl(&args);
}

/// The numbers of an RSAPrivateKey (RFC 8017 A.1.2), as a JWK (RFC 7518 6.3).
fn rsa_jwk(der: &[u8]) -> Value {
    let length = |der: &[u8], at: usize| match der[at] {
        short @ 0..0x80 => (short as usize, at + 1),
        long => {
            let bytes = (long & 0x7f) as usize;
            let size = der[at + 1..=at + bytes].iter().fold(0, |n, b| n << 8 | *b as usize);
            (size, at + 1 + bytes)
        }
    };
    let (_, mut at) = length(der, 1);
    let mut numbers = Vec::new();
    while at < der.len() {
        let (size, start) = length(der, at + 1);
        let digits = &der[start..start + size];
        numbers.push(BASE64URL_NOPAD.encode(digits.strip_prefix(&[0]).unwrap_or(digits)));
        at = start + size;
    }
    let n = |i: usize| &numbers[i];
    json!({"kty": "RSA", "n": n(1), "e": n(2), "d": n(3), "p": n(4), "q": n(5), "dp": n(6), "dq": n(7), "qi": n(8)})
}

fn ec_jwk(der: &[u8], crv: &str) -> Value {
    let curve = match crv {
        "P-256" => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        _ => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let pair = EcdsaKeyPair::from_private_key_der(curve, der).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(curve_bytes(crv));
    let d = pair.private_key().as_be_bytes().unwrap();
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y), "d": encode(d.as_ref())})
}

fn curve_bytes(crv: &str) -> usize {
    if crv == "P-256" { 32 } else { 48 }
}

fn ed25519_jwk(der: &[u8]) -> Value {
    let pair = Ed25519KeyPair::from_pkcs8(der).unwrap();
    let seed = pair.seed().unwrap();
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()), "d": encode(seed.as_be_bytes().unwrap().as_ref())})
}

/// A new key in every form it has: file names. Its public half is beside it as `KIND.pub`.
fn key_in_all_forms(desk: &Desk, kind: &str) -> Vec<String> {
    let file = |form: &str| format!("{kind}.{form}");
    let (pkcs8, other) = (file("pkcs8"), file("traditional"));
    match kind {
        "rsa" => desk.openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &pkcs8]),
        "ed25519" => desk.openssl(&["genpkey", "-algorithm", "ed25519", "-out", &pkcs8]),
        curve => {
            let curve = format!("ec_paramgen_curve:{curve}");
            desk.openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", &curve, "-out", &pkcs8])
        }
    };
    desk.openssl(&["pkey", "-in", &pkcs8, "-pubout", "-out", &file("pub")]);
    let der = desk.openssl(&["pkey", "-in", &pkcs8, "-outform", "DER"]);
    let mut forms = vec![pkcs8.clone(), file("jwk")];
    let jwk = match kind {
        "ed25519" => ed25519_jwk(&der),
        "rsa" => {
            desk.openssl(&["rsa", "-in", &pkcs8, "-traditional", "-out", &other]);
            forms.push(other.clone());
            rsa_jwk(&desk.openssl(&["rsa", "-in", &pkcs8, "-traditional", "-outform", "DER"]))
        }
        curve => {
            desk.openssl(&["ec", "-in", &pkcs8, "-out", &other]);
            // As `openssl ecparam -genkey` writes it: parameters before the key.
            let name = if curve == "P-256" { "prime256v1" } else { "secp384r1" };
            let parameters = desk.openssl(&["ecparam", "-name", name]);
            let key = std::fs::read(desk.0.path().join(&other)).unwrap();
            desk.put(&file("both"), [parameters, key].concat());
            desk.openssl(&["ec", "-in", &pkcs8, "-no_public", "-out", &file("private-only")]);
            forms.extend([other.clone(), file("both"), file("private-only")]);
            ec_jwk(&der, curve)
        }
    };
    desk.put(&file("jwk"), jwk.to_string());
    forms
}

#[test]
fn openssl_verifies_every_algorithm_of_every_key_form() {
    let desk = Desk::new();
    let mut count = 0;
    for (kind, algorithms) in [
        ("rsa", &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        ("P-256", &["ES256"]),
        ("P-384", &["ES384"]),
        ("ed25519", &["EdDSA"]),
    ] {
        for file in key_in_all_forms(&desk, kind) {
            for alg in algorithms {
                let token = desk.generate(&["--private-key-file", &file, "--alg", alg]);
                assert_eq!(parts(&token).0["alg"], *alg);
                openssl_verifies(&desk, &token, alg, &format!("{kind}.pub"));
                let (code, seen) = desk.inspect(&token, &["--public-key-file", &format!("{kind}.pub")]);
                assert_eq!((code, &seen["signature"]), (0, &json!("valid")), "{file} {alg}");
                count += 1;
            }
            // Without --alg the key decides.
            let token = desk.generate(&["--private-key-file", &file]);
            assert_eq!(parts(&token).0["alg"], algorithms[0]);
            let ran = desk.run(&["refresh", &token, "--key", "K", "--private-key-file", &file], "");
            assert_eq!(ran.code, 0, "{}", ran.err);
            openssl_verifies(&desk, ran.out.trim_end(), algorithms[0], &format!("{kind}.pub"));
        }
    }
    assert_eq!(count, 18 + 5 + 5 + 2);
}

#[test]
fn a_jwk_decides_its_algorithm() {
    let desk = Desk::new();
    key_in_all_forms(&desk, "rsa");
    let mut jwk: Value = serde_json::from_slice(&std::fs::read(desk.0.path().join("rsa.jwk")).unwrap()).unwrap();
    jwk["alg"] = json!("PS384");
    jwk["kid"] = json!("one");
    desk.put("rsa.jwk", jwk.to_string());
    let token = desk.generate(&["--private-key-file", "rsa.jwk", "--header", "kid=one"]);
    assert_eq!(parts(&token).0, json!({"typ": "JWT", "alg": "PS384", "kid": "one"}));
    let ran = desk.run(&["generate", "--key", "K", "--private-key-file", "rsa.jwk", "--alg", "RS256"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("PS384"), "{}", ran.err);

    // The set's key is found by the token's kid; another kid is named, not guessed around.
    let public = json!({"keys": [{"kty": "RSA", "kid": "one", "alg": "PS384", "n": jwk["n"], "e": jwk["e"]}]});
    desk.put("set", public.to_string());
    assert_eq!(desk.inspect(&token, &["--jwks", "set"]).1["signature"], "valid");
    let other = desk.generate(&["--private-key-file", "rsa.jwk", "--header", "kid=two"]);
    let ran = desk.run(&["inspect", &other, "--jwks", "set", "--json"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("\"two\""), "{}", ran.err);
    assert!(ran.out.contains("unchecked"));
    // The JWK is for PS384 alone.
    let rs256 = desk.generate(&["--private-key-file", "rsa.pkcs8", "--alg", "RS256"]);
    let (code, seen) = desk.inspect(&rs256, &["--jwks", "set"]);
    assert_eq!((code, &seen["signature"]), (1, &json!("invalid")));
}

#[test]
fn es256_in_der_is_refused() {
    let desk = Desk::new();
    key_in_all_forms(&desk, "P-256");
    let token = desk.generate(&["--private-key-file", "P-256.pkcs8"]);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let raw = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let zeros = vec![0; 64];
    for bad in [ecdsa_der(&raw), raw[..63].to_vec(), [&raw[..], &[0]].concat(), zeros, Vec::new()] {
        let token = format!("{message}.{}", BASE64URL_NOPAD.encode(&bad));
        let (code, seen) = desk.inspect(&token, &["--public-key-file", "P-256.pub"]);
        assert_eq!((code, &seen["signature"]), (1, &json!("invalid")), "{bad:?}");
    }
}

#[test]
fn secrets_in_all_encodings() {
    let desk = Desk::new();
    let raw: Vec<u8> = (0..48).chain(*b"\n\0\xff").collect();
    let base64 = BASE64.encode(&raw);
    let url = BASE64URL_NOPAD.encode(&raw);
    for (encoding, text) in [
        ("base64", base64.clone() + "\n"),
        ("base64", format!("{}\n{}\n", &base64[..32], &base64[32..])),
        ("base64url", url.clone() + "\n"),
        ("base64url", url),
        ("hex", HEXLOWER.encode(&raw)),
        ("hex", HEXLOWER.encode(&raw).to_uppercase() + "\n"),
    ] {
        desk.put("s", &text);
        let token = desk.generate(&["--secret-file", "s", "--secret-encoding", encoding]);
        let (message, tag) = token.rsplit_once('.').unwrap();
        let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &raw), message.as_bytes());
        assert_eq!(tag, BASE64URL_NOPAD.encode(expected.as_ref()), "{encoding}");
        let verified = desk.inspect(&token, &["--secret-file", "s", "--secret-encoding", encoding]);
        assert_eq!(verified.1["signature"], "valid");
    }
    for (encoding, text) in [
        ("base64", "not base64!"),
        ("base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh-_"),
        ("base64url", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+/"),
        ("base64url", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9="),
        ("hex", "abc"),
        ("hex", "zz"),
    ] {
        desk.put("s", text);
        let ran = desk.run(&["generate", "--key", "K", "--secret-file", "s", "--secret-encoding", encoding], "");
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{encoding} {text}");
        assert!(!ran.err.contains(text), "{}", ran.err);
    }
}

#[test]
fn one_trailing_newline_is_dropped_and_no_more() {
    let desk = Desk::new();
    for (text, key) in [("", ""), ("\n", ""), ("\r\n", ""), ("\n\n", "\n"), (" \n", " "), ("\r", "\r")] {
        let secret = format!("{SECRET}{key}");
        let ran = desk.run(&["generate", "--key", "K", "--secret-file", "-"], &format!("{SECRET}{text}"));
        assert_eq!(ran.code, 0, "{}", ran.err);
        let (message, tag) = ran.out.trim_end().rsplit_once('.').unwrap();
        let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
        assert_eq!(tag, BASE64URL_NOPAD.encode(expected.as_ref()), "{text:?}");
    }
}

#[test]
fn generate_sets_what_was_asked_for() {
    let desk = Desk::new();
    let s = ["--secret-file", "secret"];
    let (header, claims) = parts(&desk.generate(&s));
    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256"}));
    let names: Vec<_> = claims.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["iss", "iat", "exp", "jti"]);
    assert_eq!(BASE64URL_NOPAD.decode(claims["jti"].as_str().unwrap().as_bytes()).unwrap().len(), 16);
    assert!((claims["iat"].as_i64().unwrap() - now()).abs() < 5);

    let (header, claims) = parts(&desk.generate(&[
        "--secret-file",
        "secret",
        "--key-claim",
        "kid",
        "--lifetime",
        "1m 30s",
        "--skew",
        "30s",
        "--claim",
        "aud=a=b",
        "--claim",
        "sub=",
        "--claim-json",
        "deep={\"x\":[1,{\"y\":null}]}",
        "--claim-json",
        "n=null",
        "--claim-json",
        "nbf=true",
        "--claim-json",
        "jti=false",
        "--header",
        "typ=at+jwt",
        "--header",
        "cty=x",
    ]));
    assert_eq!(header, json!({"typ": "at+jwt", "alg": "HS256", "kid": "K", "cty": "x"}));
    let at = claims["iat"].as_i64().unwrap();
    assert!((at + 30 - now()).abs() < 5, "iat is backdated");
    assert_eq!(
        claims,
        json!({"iat": at, "nbf": at, "exp": at + 30 + 90, "aud": "a=b", "sub": "", "deep": {"x": [1, {"y": null}]}, "n": null})
    );
    let (_, claims) = parts(&desk.generate(&["--secret-file", "secret", "--lifetime", "never"]));
    assert_eq!(claims.get("exp"), None);
}

#[test]
fn mistakes_have_the_exit_codes_they_were_promised() {
    let desk = Desk::new();
    desk.put("short", "short");
    desk.put("none", "");
    let open = desk.put("open", SECRET);
    make_mode(&open, 0o666);
    let key = ["generate", "--key", "K"];
    let with = ["generate", "--key", "K", "--secret-file", "secret"];
    let table: &[(&[&str], &[&str], i32)] = &[
        (&key, &["--secret-file", "short"], 1),
        (&key, &["--secret-file", "short", "--allow-weak-secret"], 0),
        (&key, &["--secret-file", "none", "--allow-weak-secret"], 1),
        (&key, &["--secret-file", "not-there"], 1),
        (&key, &["--secret-file", "."], 1),
        (&key, &["--secret-file", "open"], 1),
        (&key, &["--private-key-file", "secret"], 1),
        (&with, &["--alg", "HS384"], 1),
        (&with, &["--alg", "RS256"], 64),
        (&with, &["--alg", "none"], 64),
        (&with, &["--private-key-file", "k"], 64),
        (&with, &["--lifetime", "0s"], 64),
        (&with, &["--lifetime", "1500ms"], 64),
        (&with, &["--lifetime", "soon"], 64),
        (&with, &["--claim", "no-value"], 64),
        (&with, &["--claim", "iss=other"], 64),
        (&with, &["--claim", "a=1", "--claim-json", "a=2"], 64),
        (&with, &["--claim", "exp=5"], 64),
        (&with, &["--claim-json", "iat=5"], 64),
        (&with, &["--claim-json", "a={"], 64),
        (&with, &["--header", "alg=none"], 64),
        (&with, &["--key-claim", "kid", "--header", "kid=a"], 64),
        (&with, &["--secret", SECRET], 64),
        (&with, &[&hs256("{}")], 64),
        (&key, &[], 64),
        (&["generate", "--secret-file", "secret"], &[], 64),
        (&["refresh", "-", "--key", "K", "--secret-file", "-"], &[], 64),
        (&["inspect", "-", "--secret-file", "-"], &[], 64),
        (&["inspect", "x", "--secret-file", "secret", "--jwks", "s"], &[], 64),
        (&["inspect", "x"], &[], 1),
        (&[], &[], 64),
        (&["--help"], &[], 0),
        (&["--version"], &[], 0),
    ];
    for (base, args, code) in table {
        let ran = desk.run(&[base, *args].concat(), "");
        assert_eq!(ran.code, *code, "{base:?} {args:?}: {}", ran.err);
        assert_eq!(ran.out.is_empty(), *code != 0, "{base:?} {args:?}");
        assert_eq!(ran.err.is_empty(), *code == 0, "{base:?} {args:?}: {}", ran.err);
    }
}

fn make_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn refresh_renews_times_and_keeps_the_rest() {
    let desk = Desk::new();
    let old = signed(
        r#"{"alg":"HS256","cty":"x","n":[1]}"#,
        r#"{"aud":["a"],"iss":"K","nbf":5,"iat":1600000000.5,"exp":1600000090.75,"gone":null,"deep":{"null":null},
            "big":123456789012345678901234567890,"f":1.10,"jti":7,"sub":""}"#,
        SECRET.as_bytes(),
    );
    let ran = desk.refresh(&format!("{old}\n"), &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let token = ran.out.trim_end();
    assert_eq!(token.split('.').next(), old.split('.').next(), "the header stays");
    let text = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    let text = String::from_utf8(text).unwrap();
    let claims = parts(token).1;
    let at = claims["iat"].as_i64().unwrap();
    assert!((at - now()).abs() < 5);
    let jti = claims["jti"].as_str().unwrap();
    let expected = format!(
        r#"{{"aud":["a"],"iss":"K","nbf":{at},"iat":{at},"exp":{},"deep":{{"null":null}},"big":123456789012345678901234567890,"f":1.10,"jti":"{jti}","sub":""}}"#,
        at + 90
    );
    assert_eq!(text, expected);
    assert_eq!(desk.inspect(token, &["--secret-file", "secret"]).1["signature"], "valid");
}

#[test]
fn refresh_keeps_the_span_or_takes_an_hour() {
    let desk = Desk::new();
    for (old, args, span) in [
        (r#"{"iss":"K","iat":null,"exp":null,"aud":"","sub":""}"#, &[][..], Some(3600)),
        (r#"{"iss":"K"}"#, &[], Some(3600)),
        (r#"{"iss":"K","exp":61}"#, &[], Some(3600)),
        (r#"{"iss":"K","iat":61,"exp":1}"#, &[], Some(3600)),
        (r#"{"iss":"K","iat":1,"exp":"61"}"#, &[], Some(3600)),
        (r#"{"iss":"K","iat":1,"exp":61}"#, &[], Some(60)),
        (r#"{"iss":"K","iat":1,"exp":61}"#, &["--lifetime", "2m"], Some(120)),
        (r#"{"iss":"K","iat":1,"exp":61}"#, &["--lifetime", "never"], None),
        (r#"{"iss":"K","iat":1,"exp":99999999999}"#, &[], Some(99999999998)),
    ] {
        let ran = desk.refresh(&hs256(old), args);
        assert_eq!(ran.code, 0, "{old}: {}", ran.err);
        let claims = parts(ran.out.trim_end()).1;
        let seen = claims.get("exp").map(|e| e.as_i64().unwrap() - claims["iat"].as_i64().unwrap());
        assert_eq!(seen, span, "{old} {args:?}");
        assert_eq!(claims.get("nbf"), None, "{old}");
        assert!(claims["jti"].is_string());
    }
}

#[test]
fn refresh_knows_whose_a_token_is_by_kid_too() {
    let desk = Desk::new();
    let old = signed(r#"{"alg":"HS256","kid":"K"}"#, "{}", SECRET.as_bytes());
    assert_eq!(desk.refresh(&old, &[]).code, 0);
    assert_eq!(desk.refresh(&old, &["--key-claim", "kid"]).code, 0);
    assert_eq!(desk.refresh(&old, &["--key-claim", "iss"]).code, 1);
    let both = signed(r#"{"alg":"HS256","kid":"K"}"#, r#"{"iss":"other"}"#, SECRET.as_bytes());
    assert_eq!(desk.refresh(&both, &[]).code, 1);
    assert_eq!(desk.refresh(&both, &["--key-claim", "kid"]).code, 0);
}

#[test]
fn inspect_shows_a_token_without_a_key() {
    let desk = Desk::new();
    let at = now();
    let rogue = "\u{202e}\u{9b}";
    let token = hs256(&format!(r#"{{"iss":"\u001b[31mK{rogue}","iat":{at},"exp":{},"n":1.5}}"#, at + 3590));
    let (code, seen) = desk.inspect(&token, &[]);
    assert_eq!((code, &seen["signature"]), (0, &json!("unchecked")));
    assert_eq!(seen["expired"], false);
    let left = seen["expires_in"].as_i64().unwrap();
    assert!((3580..=3590).contains(&left));
    let ran = desk.run(&["inspect", &token], "");
    assert_eq!(ran.code, 0);
    assert!(!ran.out.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "a token may not write to the terminal");
    for part in
        ["signature: unchecked", "expires: in 59m", "\"iss\": \"\\u001b[31mK\\u202e\\u009b\"", "\"alg\": \"HS256\""]
    {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    let expired = hs256(r#"{"exp":1600000000}"#);
    let ran = desk.run(&["inspect", &expired, "--secret-file", "secret"], "");
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("signature: valid") && ran.out.contains("expired "), "{}", ran.out);
    let exact = hs256("{\"big\":123456789012345678901234567890,\r\n\t\"f\":1.10,\"l\":[\r\n1]}");
    let ran = desk.run(&["inspect", &exact, "--json"], "");
    assert!(ran.out.contains(r#""claims":{"big":123456789012345678901234567890,"f":1.10,"l":[  1]}"#), "{}", ran.out);
    assert_eq!(ran.out.matches('\n').count(), 1);
    let never = desk.inspect(&hs256(r#"{"exp":null}"#), &[]).1;
    assert_eq!((&never["expired"], &never["expires_in"]), (&json!(false), &Value::Null));
    // None of these is an algorithm that can be checked here; without a key they are shown all the same.
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"ES512"}"#, r#"{"alg":"HS256","kid":7}"#] {
        assert_eq!(desk.inspect(&signed(header, "{}", b"x"), &[]).0, 0, "{header}");
    }
}

/// Files that are no private key that can be used, and a word of what they must be called.
fn useless_keys(desk: &Desk) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let file = |name: &str| std::fs::read(desk.0.path().join(name)).unwrap();
    let new = |args: &[&str]| {
        desk.openssl(&[&["genpkey", "-out", "new"], args].concat());
        file("new")
    };
    key_in_all_forms(desk, "rsa");
    key_in_all_forms(desk, "P-256");
    let rsa = file("rsa.pkcs8");
    let jwk: Value = serde_json::from_slice(&file("P-256.jwk")).unwrap();
    let changed = |member: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[member] = value;
        jwk.to_string().into_bytes()
    };
    let rsa_jwk: Value = serde_json::from_slice(&file("rsa.jwk")).unwrap();
    let without_primes = json!({"kty": "RSA", "n": rsa_jwk["n"], "e": "AQAB", "d": rsa_jwk["d"]});
    let mut mixed = rsa_jwk.clone();
    mixed["n"] = json!(A2_N);
    let pass = ["-passout", "pass:x"];
    vec![
        ("empty", Vec::new(), "empty"),
        ("text", SECRET.into(), "neither PEM"),
        (
            "encrypted PKCS#8",
            desk.openssl(&[&["pkcs8", "-topk8", "-in", "rsa.pkcs8"], &pass[..]].concat()),
            "encrypted",
        ),
        (
            "encrypted PKCS#1",
            desk.openssl(&[&["rsa", "-traditional", "-aes128", "-in", "rsa.pkcs8"], &pass[..]].concat()),
            "encrypted",
        ),
        (
            "OpenSSH",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n".into(),
            "ssh-keygen",
        ),
        ("public", file("rsa.pub"), "public key"),
        ("certificate", desk.openssl(&["req", "-x509", "-key", "rsa.pkcs8", "-subj", "/CN=a"]), "certificate"),
        ("two keys", [rsa.clone(), rsa.clone()].concat(), "2 PEM blocks"),
        (
            "key and certificate",
            [rsa.clone(), desk.openssl(&["req", "-x509", "-key", "rsa.pkcs8", "-subj", "/CN=a"])].concat(),
            "2 PEM blocks",
        ),
        ("DER", desk.openssl(&["pkey", "-in", "rsa.pkcs8", "-outform", "DER"]), "DER"),
        ("DER of SEC1", desk.openssl(&["ec", "-in", "P-256.pkcs8", "-outform", "DER"]), "DER"),
        ("cut", rsa[..rsa.len() / 2].into(), "damaged"),
        ("a line lost", [&rsa[..100], &rsa[165..]].concat(), "damaged"),
        ("a byte changed", String::from_utf8(rsa.clone()).unwrap().replacen("MII", "MIJ", 1).into(), "damaged"),
        ("small", new(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]), "2048"),
        ("PSS", new(&["-algorithm", "RSA-PSS"]), "PSS"),
        ("P-521", new(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]), "P-521"),
        ("secp256k1", new(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]), "secp256k1"),
        ("Ed448", new(&["-algorithm", "ed448"]), "Ed448"),
        ("X25519", new(&["-algorithm", "x25519"]), "X25519"),
        (
            "public JWK",
            json!({"kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"]}).to_string().into(),
            "public key",
        ),
        ("JWK of two halves", changed("x", json!(A3_X)), "belong together"),
        ("JWK of a short d", changed("d", json!("AAAA")), "member d"),
        ("JWK with a padded d", changed("d", json!(format!("{}=", jwk["d"].as_str().unwrap()))), "member d"),
        ("JWK for encryption", changed("use", json!("enc")), "not for signatures"),
        ("JWK for deriving", changed("key_ops", json!(["deriveKey"])), "not for signatures"),
        ("JWK of another alg", changed("alg", json!("ECDH-ES")), "\"alg\""),
        ("JWK of another kind's alg", changed("alg", json!("RS256")), "RS256 wants an RSA key"),
        ("JWK of another curve", changed("crv", json!("P-384")), "member d"),
        ("JWK of no kty", changed("kty", Value::Null), "member kty"),
        ("JWK with a member twice", format!("{{\"kty\":\"EC\",{}", &jwk.to_string()[1..]).into(), "twice"),
        ("JWK without primes", without_primes.to_string().into(), "primes"),
        ("JWK of two RSA keys", mixed.to_string().into(), "damaged or inconsistent"),
        ("oct", json!({"kty": "oct", "k": A1_K}).to_string().into(), "symmetric"),
        ("JWK set", json!({"keys": [jwk]}).to_string().into(), "set of JWKs"),
        ("JSON", b"{".into(), "not JSON"),
    ]
}

#[test]
fn a_key_that_is_of_no_use_is_told_why() {
    let desk = Desk::new();
    for (what, text, word) in useless_keys(&desk) {
        desk.put("k", text);
        let ran = desk.run(&["generate", "--key", "K", "--private-key-file", "k"], "");
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{what}");
        assert!(ran.err.starts_with("error: private key k: "), "{what}: {}", ran.err);
        assert!(ran.err.contains(word), "{what}: {}", ran.err);
    }
    for (key, word) in [("rsa.pkcs8", "-pubout"), ("secret", "neither PEM")] {
        let ran = desk.run(&["inspect", "x", "--public-key-file", key], "");
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains(word), "{}", ran.err);
    }
}

#[test]
fn refresh_takes_the_one_algorithm_it_was_told() {
    let desk = Desk::new();
    desk.put("secret", "x".repeat(64));
    let token = desk.generate(&["--secret-file", "secret", "--alg", "HS512"]);
    let ran = desk.refresh(&token, &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("HS512") && ran.err.contains("HS256"), "{}", ran.err);
    assert_eq!(desk.refresh(&token, &["--alg", "HS384"]).code, 1);
    let ran = desk.refresh(&token, &["--alg", "HS512"]);
    assert_eq!(parts(ran.out.trim_end()).0["alg"], "HS512", "{}", ran.err);
}

#[test]
fn a_small_public_key_verifies_nothing() {
    let desk = Desk::new();
    desk.openssl(&["genrsa", "-out", "small", "1024"]);
    desk.openssl(&["rsa", "-in", "small", "-pubout", "-out", "small.pub"]);
    let ran = desk.run(&["inspect", "x", "--public-key-file", "small.pub"], "");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("fewer than 2048"), "{}", ran.err);
}
