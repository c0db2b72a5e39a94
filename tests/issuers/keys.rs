//! Owns: private keys and certificates made by openssl, in a sandbox.
//! Does not: use them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use support::Sandbox;

/// NAME.key, readable by its owner alone; the public key as PEM.
pub fn key(sandbox: &Sandbox, name: &str, algorithm: &str) -> String {
    let kind: &[&str] = match algorithm {
        "ES256" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "EdDSA" => &["-algorithm", "ED25519"],
        _ => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    };
    let file = format!("{name}.key");
    sandbox.put(&file, "");
    openssl(sandbox, &[&["genpkey"], kind, &["-out", &file]].concat());
    openssl(sandbox, &["pkey", "-in", &file, "-pubout"])
}

/// A private CA: NAME.crt and NAME.key.
pub fn authority(sandbox: &Sandbox, name: &str) -> PathBuf {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.crt"));
    let curve = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let files = ["-subj", "/CN=a test", "-keyout", &key, "-out", &certificate];
    let usage = ["-addext", "keyUsage=critical,keyCertSign"];
    openssl(sandbox, &[&curve[..], &files, &usage].concat());
    sandbox.path(&certificate)
}

/// NAME.crt and NAME.key, signed by the authority `by`, for these names.
pub fn certificate(sandbox: &Sandbox, by: &str, name: &str, names: &str) -> PathBuf {
    let file = |ending: &str| format!("{name}.{ending}");
    let (key, request, extensions, certificate) = (file("key"), file("csr"), file("ext"), file("crt"));
    sandbox.put(&extensions, format!("subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n"));
    sandbox.put(&key, "");
    let curve = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a test"];
    openssl(sandbox, &[&curve[..], &["-keyout", &key, "-out", &request]].concat());
    let (ca, ca_key) = (format!("{by}.crt"), format!("{by}.key"));
    let sign = ["x509", "-req", "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2"];
    openssl(sandbox, &[&sign[..], &["-in", &request, "-extfile", &extensions, "-out", &certificate]].concat());
    fs::canonicalize(sandbox.path(&certificate)).expect("the certificate")
}

fn openssl(sandbox: &Sandbox, args: &[&str]) -> String {
    let ran = Command::new("openssl").args(args).current_dir(sandbox.dir()).output().expect("openssl");
    assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("PEM")
}
