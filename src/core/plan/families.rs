//! Owns: refresh tokens that two tokens of a config begin with: where the issuer rotates them, each use of one ends the
//! family of the other (RFC 9700 4.14).
//! Does not: know whether the issuer does; so it is a warning.

use std::collections::HashMap;
use std::path::Path;

use super::lacks::Ledger;
use crate::core::config::{CredentialFrom, Raw};
use crate::core::finding::Finding;

#[derive(PartialEq, Eq, Hash)]
enum Place<'r> {
    File(&'r Path),
    Variable(&'r str),
    Credential(&'r str),
}

pub(super) fn check(raw: &Raw, ledger: &mut Ledger) {
    let mut first = HashMap::new();
    for token in &raw.tokens {
        let Some(from) = token.source.first_refresh_token().and_then(|refresh| refresh.from.as_ref()) else { continue };
        let place = match &from.value {
            CredentialFrom::File(path) => Place::File(path),
            CredentialFrom::Variable(name) => Place::Variable(name),
            CredentialFrom::Credential(name) => Place::Credential(name),
            CredentialFrom::Value(_) => continue,
        };
        let (other, before) = *first.entry(place).or_insert((&token.name.value, from.place));
        if *other != token.name.value {
            ledger.push(
                Finding::warning(format!(
                    "token `{}` begins with the refresh token of token `{other}`",
                    token.name.value
                ))
                .at(from.place)
                .note(before, "also here")
                .help("an issuer that rotates refresh tokens ends both when the second is used: give each its own"),
            );
        }
    }
}
