//! Owns: what is said of a key that a table does not know: what it may have been meant to be, or where it belongs.
//! Does not: find one.

use super::hint;
use super::keys::{self, KeyEntries, KeyEntry};
use crate::core::diagnostic::{Diagnostic, Span, quote};

/// An unknown key, with what it may have been meant to be.
pub(super) fn unknown(root: KeyEntries, name: &str, span: Span, keys: KeyEntries) -> Diagnostic {
    if keys == root && name == "tokens" {
        let diagnostic = Diagnostic::error("unknown key `tokens`").at(span).label("not a key of this table");
        return diagnostic.help("without the s: [token.NAME]");
    }
    let diagnostic = Diagnostic::error(format!("unknown key {}", quote(name))).at(span);
    if let Some(dotted) = hint::dotted(keys, name) {
        return diagnostic
            .label("not a key of this table")
            .help(format!("did you mean `{dotted}`, with a dot and no quotes?"));
    }
    if let Some(near) = keys::nearest(keys, name) {
        return diagnostic.label("not a key of this table").help(format!("did you mean `{near}`?"));
    }
    let homes = keys::homes(root, name);
    if homes.is_empty() {
        let known: Vec<_> =
            keys.iter().copied().flatten().filter(|key: &&KeyEntry| key.built).map(|key| key.name).collect();
        diagnostic.label("not a key of this table").help(format!("known here: {}", known.join(", ")))
    } else {
        diagnostic.label("not a key of this table").help(format!("`{name}` belongs in {}", homes.join(" or ")))
    }
}
