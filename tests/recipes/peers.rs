//! Owns: the way to PyJWT, and one question: does this token hold?
//! Does not: run the gateway (`gateway.rs`).

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use support::{python, repository};

/// A python that has PyJWT.
#[derive(Clone)]
pub(crate) struct Peers {
    python: PathBuf,
}

/// `None`: `test` has to be skipped.
pub(crate) fn peers(test: &str) -> Option<Peers> {
    Some(Peers { python: python(test, "verifiers")? })
}

/// What a verifier is told; the token's header has no say in it.
pub(crate) struct Rule<'a> {
    pub algorithm: &'a str,
    /// A secret, or a public key in PEM.
    pub key: &'a str,
    pub audience: Option<&'a str>,
    /// Claims that must be there.
    pub require: &'a [&'a str],
}

/// A token that holds.
#[derive(Debug)]
pub(crate) struct Verified {
    pub header: Value,
    pub claims: Value,
    /// SHA-256 over the public key's DER, base64; null for a secret.
    pub fingerprint: Value,
}

impl Peers {
    /// `python tests/recipes/SCRIPT`, without the proxies and python settings of whoever runs the tests.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-I").arg(repository().join("tests/recipes").join(script));
        command
    }

    /// PyJWT's answer.
    pub(crate) fn try_verify(&self, token: &str, rule: &Rule) -> Result<Verified, String> {
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
    pub(crate) fn verify(&self, token: &str, rule: &Rule) -> Verified {
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
