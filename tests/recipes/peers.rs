//! Owns: the way to PyJWT: its installation, its absence told aloud, and one question: does this token hold?
//! Does not: run the gateway (`gateway.rs`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

/// A python that has PyJWT.
#[derive(Clone)]
pub struct Peers {
    python: PathBuf,
}

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// The peers, installed at the first call. `None`: `test` has to be skipped, which is said on stderr, not captured.
pub fn peers(test: &str) -> Option<Peers> {
    static INSTALLED: OnceLock<Result<Peers, String>> = OnceLock::new();
    match INSTALLED.get_or_init(install) {
        Ok(peers) => Some(peers.clone()),
        Err(why) => {
            skip(test, why);
            None
        }
    }
}

/// Says that `test` was skipped, and the how many were until now; fails instead where nothing may be.
pub fn skip(test: &str, why: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    assert!(std::env::var_os("RENEWD_NEED_PEERS").is_none(), "{test} would be skipped: {why}");
    let _ = writeln!(std::io::stderr(), "recipes: skipped {count}: {test}: {why}");
}

fn install() -> Result<Peers, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers");
    let done = Command::new(root.join("tests/peers/install"))
        .arg(&folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("tests/peers/install: {e}"))?;
    match done.status.code() {
        Some(0) => Ok(Peers { python: folder.join("venv/bin/python") }),
        Some(75) => Err(last_line(&done)),
        _ => panic!("tests/peers/install: {done:#?}"),
    }
}

/// What a verifier is told; the token's header has no say in it.
pub struct Rule<'a> {
    pub algorithm: &'a str,
    /// A secret, or a public key in PEM.
    pub key: &'a str,
    pub audience: Option<&'a str>,
    /// Claims that must be there.
    pub require: &'a [&'a str],
}

/// A token that holds.
#[derive(Debug)]
pub struct Verified {
    pub header: Value,
    pub claims: Value,
    /// SHA-256 over the public key's DER, base64; null for a secret.
    pub fingerprint: Value,
}

impl Peers {
    /// `python tests/recipes/SCRIPT`, without the proxies and python settings of whoever runs the tests.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipes").join(script));
        command
    }

    /// PyJWT's answer.
    pub fn try_verify(&self, token: &str, rule: &Rule) -> Result<Verified, String> {
        let question = json!({
            "token": token, "key": rule.key, "algorithm": rule.algorithm,
            "audience": rule.audience, "require": rule.require,
        });
        let mut command = self.command("verify.py");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(question.to_string().as_bytes()).expect("python reads");
        drop(stdin);
        let done = child.wait_with_output().expect("python ends");
        if !done.status.success() {
            return Err(last_line(&done));
        }
        let mut answer: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        let mut take = |member: &str| answer[member].take();
        Ok(Verified { header: take("header"), claims: take("claims"), fingerprint: take("fingerprint") })
    }

    /// The same, and it must hold: under this rule, and under no other algorithm or changed signature.
    #[track_caller]
    pub fn verify(&self, token: &str, rule: &Rule) -> Verified {
        let verified = self.try_verify(token, rule).unwrap_or_else(|e| panic!("{e}: {token}"));
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let swapped = if signature.starts_with('A') { "B" } else { "A" };
        let changed = format!("{signed}.{swapped}{}", &signature[1..]);
        let refusal = self.try_verify(&changed, rule).expect_err("a changed signature is refused");
        assert!(refusal.starts_with("InvalidSignatureError"), "{refusal}");
        verified
    }
}

fn last_line(done: &Output) -> String {
    let text = String::from_utf8_lossy(&done.stderr);
    text.lines().last().unwrap_or("it said nothing").to_owned()
}
