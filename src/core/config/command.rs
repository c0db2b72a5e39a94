//! Owns: the keys of `source = "command"`.
//! Does not: look whether the program is there, or run it.

use super::keys::common::TEXT_SECRET;
use super::keys::{KeyEntry, entries};
use super::placeholders::{Placeholders, pairs};
use super::section::{Section, SectionReader};
use super::stage::Written;
use super::{credential, hook, reach};
use crate::core::diagnostic::{Located, quote};
use crate::core::redact;
use crate::core::settings::{CommandSettings, TokenName};

/// The keys of such a token.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// A program and its arguments, run without a shell. It prints the token, or JSON that response reads, or an
    /// ExecCredential.
    command: Texts = r#"["/usr/local/bin/get-token"]"#, required;
    /// Its environment beside PATH, HOME and the like. {{ secret }} and {{ token.NAME }} are filled in.
    env: Free = r#"{ API_SECRET = "{{ secret }}" }"#;
    ..TEXT_SECRET;
    /// Where the members stand in what it prints, as JSON pointers (RFC 6901). Without it: the bare token, or an
    /// ExecCredential.
    response: Table(&[reach::RESPONSE]) = r#"{ token = "/token", expires_at = "/expiry" }"#;
};

pub(super) fn read(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
) -> (CommandSettings<Written>, Vec<Located<TokenName>>) {
    let mut placeholders = Placeholders::of(cx, token);
    let argv = hook::argv(cx, token);
    let mut env = Vec::new();
    let secret = credential::read(cx, token, "secret", "secret");
    token.hide(cx, "env");
    for (name, value) in pairs(cx, token, "env", false) {
        let odd = |c: char| c == '=' || c == '\0' || c.is_whitespace();
        if name.value.is_empty() || name.value.contains(odd) {
            let title = format!("no variable can be called {}", quote(&name.value));
            cx.error(name.span, title, "letters, digits and _: API_SECRET");
        } else if value.value.contains('\0') {
            cx.error(value.span, format!("`env.{}` holds a NUL byte", redact::name(&name.value)), "a variable cannot");
        } else if let Some(pattern) = placeholders.pattern(cx, &format!("env.{}", redact::name(&name.value)), &value) {
            env.push((name.value, pattern));
        }
    }
    let command = CommandSettings {
        argv,
        env,
        secret,
        response: reach::response(cx, token),
        timeout: token.duration_or_default(cx, "timeout"),
        ttl: token.duration(cx, "ttl"),
    };
    (command, placeholders.finish(cx, "env"))
}
