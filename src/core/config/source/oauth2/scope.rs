//! Owns: `scope` as written (RFC 6749 3.3), of a token and of its login.
//! Does not: compare scopes (`core::scope`).

use crate::core::config::section::{Section, SectionReader};
use crate::core::config::value::is_visible;

/// The scopes under `scope`, as they are sent.
pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<String> {
    let scope = token.text(cx, "scope")?;
    let good = |word: &str| !word.is_empty() && is_visible(word) && !word.contains(['"', '\\']);
    if !scope.value.split(' ').all(good) {
        cx.error(scope.span, "`scope` is not a list of scopes (RFC 6749 3.3)", "one space between two: \"read write\"");
        return None;
    }
    Some(scope.value)
}
