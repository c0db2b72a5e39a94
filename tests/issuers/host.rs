//! Owns: a config of network tokens in a sandbox, and what is read of them afterwards.
//! Does not: run the daemon (`support`), or know what an issuer answers.

use std::fmt::Write;

use serde_json::Value;

use support::Sandbox;

/// The text of a token with one output, `out/NAME.token`.
pub(crate) fn token(name: &str, settings: &str) -> String {
    let mut text = hidden(name, settings);
    let _ = write!(text, "[[token.{name}.output]]\nformat = \"token\"\npath = \"out/{name}.token\"\n");
    text
}

/// The text of a token without an output.
pub(crate) fn hidden(name: &str, settings: &str) -> String {
    format!("\n[token.{name}]\n{}\n", settings.trim())
}

/// SHA-256 of the token that was delivered, as hex.
#[track_caller]
pub(crate) fn sha256(sandbox: &Sandbox, name: &str) -> String {
    let token = sandbox.read(&format!("{name}.token"));
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    data_encoding::HEXLOWER.encode(digest.as_ref())
}

/// A member of a form that an issuer saw.
pub(crate) fn field<'a>(asked: &'a Value, name: &str) -> &'a Value {
    match &asked["form"] {
        Value::Array(pairs) => pairs.iter().find(|pair| pair[0] == name).map_or(&Value::Null, |pair| &pair[1]),
        form => &form[name],
    }
}
