//! Owns: what is said of the permissions of config files.
//! Does not: judge secrets' files (`credential` does), or read modes.

use std::collections::HashSet;

use super::lacks::Ledger;
use crate::core::config::{CredentialFrom, RawConfig};
use crate::core::crypto::Exposure;
use crate::core::diagnostic::Diagnostic;
use crate::core::facts::Facts;

/// The numbers of the config files in which a secret stands that not anybody is meant to read.
pub(super) fn with_secrets(raw: &RawConfig) -> HashSet<u32> {
    raw.tokens
        .iter()
        .flat_map(|token| &token.credentials)
        .filter(|credential| !credential.allow_readable)
        .filter_map(|credential| credential.from.as_ref())
        .filter(|from| matches!(from.value, CredentialFrom::Value(_)))
        .map(|from| from.span.file)
        .collect()
}

pub(super) fn judge(with_secrets: &HashSet<u32>, facts: &Facts, ledger: &mut Ledger) {
    for (number, file) in (0u32..).zip(&facts.config_files) {
        let shown = &file.shown;
        for found in Exposure::of(file.mode, with_secrets.contains(&number)) {
            let (title, remedy) =
                (format!("{} the config file", found.who()), format!("chmod {} {shown}", found.remedy()));
            let diagnostic = match found {
                Exposure::AnybodyWrites => Diagnostic::error(title).help(remedy),
                Exposure::GroupWrites => Diagnostic::warning(title).help(remedy),
                Exposure::AnybodyReads => Diagnostic::warning("the config file holds a secret and anybody may read it")
                    .help(format!("{remedy}, or keep the secret in a file of its own")),
            };
            ledger.push(diagnostic.about(shown));
        }
    }
}
