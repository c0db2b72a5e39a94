//! Owns: that a secret is read by one rule wherever it stands: the config's four places, `generate`, `refresh`, `inspect` and stdin;
//! and that key material of another kind is refused as a secret by all of them (RFC 8725 2.1, 3.5).
//! Does not: know the rule; the binary's own commands are compared with each other, and with openssl's files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use support::{Ran, Sandbox, openssl_in};

/// Where a config's secret stands.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    File,
    Credential,
    Variable,
}

const ENCODINGS: [&str; 4] = ["utf8", "base64", "base64url", "hex"];

fn config(sandbox: &Sandbox, place: Place, encoding: &str) {
    let from = match place {
        Place::File => "file = \"s\"",
        Place::Credential => "credential = \"s\"",
        Place::Variable => "env = \"S\"",
    };
    sandbox.config(format!(
        "[token.a]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"K\"\nallow_weak_secret = true\n\
         secret = {{ {from}, encoding = \"{encoding}\" }}\n\
         [[token.a.output]]\nformat = \"token\"\npath = \"out/a.token\"\n"
    ));
}

/// `once` by a config with the secret there.
fn by_config(sandbox: &Sandbox, place: Place, encoding: &str, bytes: &[u8]) -> Ran {
    config(sandbox, place, encoding);
    sandbox.put("s", bytes);
    let mut command = sandbox.command(&[]);
    command.args(["once", "-c", "config.toml"]).env("INVOCATION_ID", "unit");
    match place {
        Place::File => {}
        Place::Credential => drop(command.env("CREDENTIALS_DIRECTORY", sandbox.dir())),
        Place::Variable => drop(command.env("S", OsString::from_vec(bytes.to_vec()))),
    }
    sandbox.finish(command, "")
}

fn generate(sandbox: &Sandbox, encoding: &str) -> Ran {
    sandbox.run(&["generate", "--key", "K", "--secret-file", "s", "--secret-encoding", encoding, "--allow-weak-secret"])
}

fn inspect(sandbox: &Sandbox, token: &str, encoding: &str) -> Ran {
    sandbox.run_with(&["inspect", "-", "--secret-file", "s", "--secret-encoding", encoding], token, &[])
}

/// Tokens of all commands for one secret: each verifies with it, or all refuse it.
fn all_agree(sandbox: &Sandbox, places: &[Place], encoding: &str, bytes: &[u8]) -> bool {
    let shown = String::from_utf8_lossy(bytes).into_owned();
    let mut verdicts = Vec::new();
    for place in places {
        let _ = std::fs::remove_file(sandbox.out("a.token"));
        let ran = by_config(sandbox, *place, encoding, bytes);
        let taken = ran.code == Some(0);
        assert!(taken || ran.code == Some(78), "{place:?} {encoding} {shown:?}: {ran:#?}");
        if taken {
            let token = sandbox.read("a.token");
            let seen = inspect(sandbox, &token, encoding);
            // A variable has no newline of its own: what a file drops belongs to its secret.
            let same = *place != Place::Variable || !(encoding == "utf8" && bytes.ends_with(b"\n"));
            assert_eq!(seen.code == Some(0), same, "{place:?} {encoding} {shown:?}: {seen:#?}");
        }
        verdicts.push(taken);
    }
    let ran = generate(sandbox, encoding);
    verdicts.push(ran.code == Some(0));
    if ran.code == Some(0) {
        inspect(sandbox, &ran.stdout, encoding).expect(0);
        let refresh = ["refresh", "-", "--key", "K", "--secret-file", "s", "--secret-encoding", encoding];
        let again = sandbox.run_with(&[&refresh[..], &["--allow-weak-secret"]].concat(), &ran.stdout, &[]).expect(0);
        inspect(sandbox, &again.stdout, encoding).expect(0);
    } else {
        assert_eq!(inspect(sandbox, "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", encoding).code, Some(1), "{encoding} {shown:?}");
    }
    assert!(verdicts.iter().all(|verdict| *verdict == verdicts[0]), "{encoding} {shown:?}: {verdicts:?}");
    verdicts[0]
}

#[test]
fn every_command_takes_the_same_secrets() {
    let sandbox = Sandbox::new();
    let places = [Place::File, Place::Credential, Place::Variable];
    let base64 = "MDdjNmUydDFyYjkyOTg3Zm5yZDcwNWpr\nazg1ODJwOWVhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=\n";
    for (encoding, text, taken) in [
        ("utf8", &b"07c6e2t1rb92987fnrd705jkk8582p9e\r\n"[..], true),
        ("utf8", b"07c6e2t1rb92987fnrd705jkk8582p9e\n\n", true),
        ("utf8", b" with spaces and \xff\xfe raw bytes ", true),
        ("base64", base64.as_bytes(), true),
        ("base64", base64.trim_end().trim_end_matches('=').as_bytes(), true),
        ("base64", b" AAEC AwQF\r\n", true),
        ("base64", b"AAEC-_8=", false),
        ("base64", b"AAECA", false),
        ("base64url", b"AAEC\n-_8=\n", true),
        ("base64url", b"AAEC+/8=", false),
        ("hex", b"00 01:02", false),
        ("hex", b"00 01\n0A fF\n", true),
        ("hex", b"001", false),
        ("base64", b" \n", false),
    ] {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(all_agree(&sandbox, &places, encoding, text), taken, "{encoding} {shown:?}");
    }
    // No variable can hold a NUL.
    let ran = by_config(&sandbox, Place::File, "utf8", b"0123456789abcdef\x000123456789abcdef");
    assert!(ran.code == Some(78) && ran.text().contains("NUL byte"), "{ran:#?}");
    assert!(!all_agree(&sandbox, &[Place::File], "utf8", b"0123456789abcdef\x000123456789abcdef"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Digits of each alphabet with white space, padding and what belongs to none of them; and any bytes.
    #[test]
    fn config_and_generate_agree_on_any_secret(
        encoding in proptest::sample::select(&ENCODINGS[..]),
        text in prop_oneof![
            proptest::collection::vec(proptest::sample::select(&b"AZaz09+/-_= \n\r\tfF"[..]), 0..40),
            proptest::collection::vec(proptest::sample::select(&b"0123456789abcdefABCDEF \n"[..]), 0..40),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| data_encoding::BASE64.encode(&bytes).into_bytes()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ],
        end in proptest::sample::select(&["", "\n", "\r\n", "\n\n", "\r"][..]),
    ) {
        let sandbox = Sandbox::in_memory();
        let text = [&text[..], end.as_bytes()].concat();
        all_agree(&sandbox, &[Place::File], encoding, &text);
    }
}

fn openssl(sandbox: &Sandbox, line: &str) {
    openssl_in(sandbox.dir(), &line.split(' ').collect::<Vec<_>>());
}

/// Files of key material, with a word of what each is called. All for the one RSA key, or an EC one.
fn material(sandbox: &Sandbox) -> Vec<(&'static str, Vec<u8>)> {
    for line in [
        "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem",
        "pkey -in key.pem -traditional -out key.pkcs1",
        "pkey -in key.pem -outform DER -out key.der",
        "rsa -in key.pem -traditional -outform DER -out key.pkcs1.der",
        "pkey -in key.pem -pubout -out pub.pem",
        "pkey -in key.pem -pubout -outform DER -out pub.der",
        "rsa -in key.pem -RSAPublicKey_out -outform DER -out pub.pkcs1.der",
        "pkcs8 -topk8 -in key.pem -outform DER -passout pass:x -out enc.der",
        "req -x509 -new -key key.pem -subj /CN=a -out cert.pem",
        "x509 -in cert.pem -outform DER -out cert.der",
        "req -new -key key.pem -subj /CN=a -outform DER -out request.der",
        "pkcs12 -export -inkey key.pem -in cert.pem -passout pass:x -out all.p12",
        "crl2pkcs7 -nocrl -certfile cert.pem -outform DER -out all.p7b",
        "ecparam -name prime256v1 -genkey -noout -out ec.pem",
        "ec -in ec.pem -outform DER -out ec.der",
        "genpkey -quiet -algorithm ed25519 -outform DER -out ed.der",
    ] {
        openssl(sandbox, line);
    }
    let read = |name: &str| std::fs::read(sandbox.path(name)).expect(name);
    let mut all: Vec<(&'static str, Vec<u8>)> = [
        ("a private key", "key.pem"),
        ("a private key", "key.pkcs1"),
        ("a private key", "key.der"),
        ("an RSA private key", "key.pkcs1.der"),
        ("a public key", "pub.pem"),
        ("a public key", "pub.der"),
        ("an RSA public key", "pub.pkcs1.der"),
        ("an encrypted private key", "enc.der"),
        ("a certificate", "cert.pem"),
        ("a certificate", "cert.der"),
        ("a certificate", "request.der"),
        ("a PKCS#12 file", "all.p12"),
        ("a PKCS#7 file", "all.p7b"),
        ("an EC private key", "ec.der"),
        ("a private key", "ed.der"),
    ]
    .map(|(what, file)| (what, read(file)))
    .into();
    let written: Vec<_> = all
        .iter()
        .flat_map(|(what, bytes)| {
            let base64 = data_encoding::BASE64.encode(bytes);
            let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| [line, b"\n"].concat()).collect();
            [(*what, lines.concat()), (*what, data_encoding::BASE64URL_NOPAD.encode(bytes).into_bytes())]
        })
        .collect();
    all.extend(written);
    let texts: [(&str, &str); 8] = [
        ("an SSH public key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEBqL1f4 a@b\n"),
        ("an SSH public key", "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= a@b\n"),
        (
            "an SSH private key",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n",
        ),
        ("a PuTTY key", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: a\n"),
        ("an OpenPGP key", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"),
        (
            "a JWK",
            "{ \"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\" }\n",
        ),
        ("a set of JWKs", "{\"keys\": [{\"kty\": \"RSA\"}]}"),
        (
            "symmetric",
            "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
        ),
    ];
    all.extend(texts.map(|(what, text)| (what, text.as_bytes().to_vec())));
    all
}

#[test]
fn key_material_is_no_secret_anywhere() {
    let sandbox = Sandbox::new();
    let material = material(&sandbox);
    for (what, bytes) in &material {
        for encoding in ["utf8", "base64", "base64url"] {
            let ran = by_config(&sandbox, Place::File, encoding, bytes);
            assert!(ran.code == Some(78) && ran.text().contains(what), "{encoding} {what}: {ran:#?}");
            let ran = generate(&sandbox, encoding);
            assert!(ran.code == Some(1) && ran.text().contains(what), "{encoding} {what}: {ran:#?}");
            let ran = inspect(&sandbox, "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", encoding);
            assert!(ran.code == Some(1) && ran.text().contains(what), "{encoding} {what}: {ran:#?}");
        }
    }
    // A lack, at its place, that no other setting allows.
    config(&sandbox, Place::File, "utf8");
    let ran = sandbox.ours(&["check"]).expect(78);
    assert!(ran.stderr.contains("config.toml:10:19") && !ran.text().contains("AyM1SysP"), "{ran:#?}");
}

/// What signs as a client's secret, or an assertion's, is such a secret too.
#[test]
fn key_material_signs_no_assertion() {
    let sandbox = Sandbox::new();
    openssl(&sandbox, "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem");
    openssl(&sandbox, "pkey -in key.pem -pubout -out pub.pem");
    let common =
        "[token.a]\nsource = \"oauth2\"\ntoken_url = \"https://idp.example/token\"\nallow_weak_secret = true\n";
    for lines in [
        "grant = \"client_credentials\"\nclient_id = \"c\"\nclient_auth = \"client_secret_jwt\"\nclient_secret.file = \"pub.pem\"\n",
        "grant = \"jwt_bearer\"\nassertion = { algorithm = \"HS256\", secret.file = \"pub.pem\", claims = { iss = \"i\" } }\n",
    ] {
        sandbox.config(format!("{common}{lines}"));
        let ran = sandbox.ours(&["check"]).expect(78);
        assert!(ran.stderr.contains("a public key in PEM, not a secret"), "{ran:#?}");
        sandbox.config(format!("{common}{}", lines.replace("pub.pem", "secret")));
        sandbox.ours(&["check"]).expect(0);
    }
}
