//! Owns: the keys of `source = "command"`.
//! Does not: look whether the program is there, or run it.

use super::holes::{Holes, pairs, shown};
use super::raw_source::RawCommand;
use super::section::{Reader, Section};
use super::{credential, hook, reach};
use crate::core::finding::{At, quote};
use crate::core::settings::TokenName;

pub(super) fn read(cx: &mut Reader<'_>, token: &Section<'_, '_>) -> (RawCommand, Vec<At<TokenName>>) {
    let mut command = RawCommand::default();
    let mut holes = Holes::of(cx, token);
    if token.require(cx, "command") {
        command.argv = hook::argv(cx, token);
    }
    command.secret = credential::read(cx, token, "secret");
    token.hide(cx, "env");
    for (name, value) in pairs(cx, token, "env", false) {
        let odd = |c: char| c == '=' || c == '\0' || c.is_whitespace();
        if name.value.is_empty() || name.value.contains(odd) {
            let title = format!("no variable can be called {}", quote(&name.value));
            cx.error(name.place, title, "letters, digits and _: API_SECRET");
        } else if value.value.contains('\0') {
            cx.error(value.place, format!("`env.{}` holds a NUL byte", shown(&name.value)), "a variable cannot");
        } else if let Some(pattern) = holes.pattern(cx, &format!("env.{}", shown(&name.value)), &value) {
            command.env.push((name.value, pattern));
        }
    }
    command.response = reach::response(cx, token);
    command.timeout = token.span(cx, "timeout").map(|span| span.value);
    command.ttl = token.span(cx, "ttl");
    let parents = holes.finish(cx, "env");
    (command, parents)
}
