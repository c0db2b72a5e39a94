//! Owns: JSON pointers as written (RFC 6901).
//! Does not: follow them.

use super::section::{Section, SectionReader};
use crate::core::diagnostic::quote;

/// The JSON pointer under `name`.
pub(super) fn read(cx: &mut SectionReader<'_>, section: &Section<'_, '_>, name: &str) -> Option<String> {
    let text = section.text(cx, name)?;
    if is_pointer(&text.value) {
        return Some(text.value);
    }
    cx.error(
        text.span,
        format!("{} is not a JSON pointer", quote(&text.value)),
        "a slash before each member's name: \"/result/access_token\" (RFC 6901); ~0 is a tilde, ~1 a slash in a name",
    );
    None
}

/// RFC 6901 3.
fn is_pointer(text: &str) -> bool {
    let escapes_are_known = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escapes_are_known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        for good in ["", "/", "/a", "/a/b/0", "/a~1b/~0", "/é", "//"] {
            assert!(is_pointer(good), "{good}");
        }
        for bad in ["a", "result.access_token", "#/a", "/a~", "/~2", "$.a"] {
            assert!(!is_pointer(bad), "{bad}");
        }
    }
}
