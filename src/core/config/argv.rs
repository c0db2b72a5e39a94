//! Owns: a program and its arguments, as written.
//! Does not: look whether it is there.

use super::section::{Section, SectionReader};
use crate::core::diagnostic::Located;

/// `command`: a program and its arguments. A first word with a slash is made absolute.
pub(super) fn read(cx: &mut SectionReader<'_>, hook: &Section<'_, '_>) -> Option<Located<Vec<String>>> {
    let value = hook.asked(cx, "command")?;
    let span = cx.span(value.span());
    let before = cx.diagnostics.len();
    let words = hook.texts(cx, "command");
    if cx.diagnostics.len() > before {
        return None;
    }
    let nul = words.iter().any(|word| word.value.contains('\0'));
    let mut argv: Vec<String> = words.into_iter().map(|word| word.value).collect();
    let Some(program) = argv.first_mut().filter(|program| !program.is_empty() && !nul) else {
        cx.error(
            span,
            "`command` names no program",
            "the program, then its arguments: [\"systemctl\", \"reload\", \"job.service\"]",
        );
        return None;
    };
    // Without a slash it is looked up in $PATH.
    if program.contains('/') {
        let text = Located { value: std::mem::take(program), span };
        let path = cx.path(text)?.value.into_os_string();
        let Ok(path) = path.into_string() else {
            cx.error(span, "the program's folder is not UTF-8", "name it by an absolute path");
            return None;
        };
        *program = path;
    }
    Some(Located { value: argv, span })
}
