//! Owns: what is said of the permissions of config files.
//! Does not: judge secrets' files (`credential` does), or read modes.

use std::collections::HashSet;

use super::lacks::Ledger;
use crate::core::config::{CredentialFrom, RawConfig};
use crate::core::diagnostic::Diagnostic;
use crate::core::facts::Facts;

pub(super) const ANYBODY_WRITES: u32 = 0o002;
pub(super) const GROUP_WRITES: u32 = 0o020;
pub(super) const OTHERS_READ: u32 = 0o004;

pub(super) fn judge(raw: &RawConfig, facts: &Facts, ledger: &mut Ledger) {
    let with_secrets: HashSet<u32> = raw
        .tokens
        .iter()
        .flat_map(|token| &token.credentials)
        .filter(|credential| !credential.allow_readable)
        .filter_map(|credential| credential.from.as_ref())
        .filter(|from| matches!(from.value, CredentialFrom::Value(_)))
        .map(|from| from.span.file)
        .collect();
    for (number, file) in (0u32..).zip(&facts.config_files) {
        let shown = &file.shown;
        if file.mode & ANYBODY_WRITES != 0 {
            let diagnostic = Diagnostic::error("anybody may write the config file").help(format!("chmod o-w {shown}"));
            ledger.push(diagnostic.about(shown));
            continue;
        }
        if file.mode & GROUP_WRITES != 0 {
            let diagnostic =
                Diagnostic::warning("its group may write the config file").help(format!("chmod g-w {shown}"));
            ledger.push(diagnostic.about(shown));
        }
        if file.mode & OTHERS_READ != 0 && with_secrets.contains(&number) {
            let diagnostic = Diagnostic::warning("the config file holds a secret and anybody may read it")
                .help(format!("chmod o-r {shown}, or keep the secret in a file of its own"));
            ledger.push(diagnostic.about(shown));
        }
    }
}
