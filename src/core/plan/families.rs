//! Owns: refresh tokens that two tokens of a config begin with: where the issuer rotates them, each use of one ends the
//! family of the other (RFC 9700 4.14).
//! Does not: know whether the issuer does; so it is a warning.

use std::collections::HashMap;
use std::path::Path;

use super::lacks::Ledger;
use crate::core::config::{CredentialFrom, RawConfig};
use crate::core::diagnostic::Diagnostic;

#[derive(PartialEq, Eq, Hash)]
enum FamilyMember<'r> {
    File(&'r Path),
    Variable(&'r str),
    Credential(&'r str),
    Command(&'r [String]),
}

pub(super) fn check(raw: &RawConfig, ledger: &mut Ledger) {
    let mut first = HashMap::new();
    for token in &raw.tokens {
        let Some(refresh) = token.source.first_refresh_token() else { continue };
        let Some(from) = refresh.from.as_ref() else { continue };
        let span = match &from.value {
            CredentialFrom::File(path) => FamilyMember::File(path),
            CredentialFrom::Variable(name) => FamilyMember::Variable(name),
            CredentialFrom::Credential(name) => FamilyMember::Credential(name),
            CredentialFrom::Command(argv) => FamilyMember::Command(argv),
            CredentialFrom::Value(_) => continue,
        };
        let place = (span, refresh.pointer.as_deref());
        let (other, before) = *first.entry(place).or_insert((&token.name.value, from.span));
        if *other != token.name.value {
            ledger.push(
                Diagnostic::warning(format!(
                    "token `{}` begins with the refresh token of token `{other}`",
                    token.name.value
                ))
                .at(from.span)
                .note(before, "also here")
                .help("an issuer that rotates refresh tokens ends both when the second is used: give each its own"),
            );
        }
    }
}
