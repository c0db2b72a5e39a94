//! Owns: `source = "command"`: its keys, how it is read, and its settings.
//! Does not: look whether the program is there, or run it.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::config::keys::common::{SECRETS, TEXT_SECRET};
use crate::core::config::keys::{KeyEntry, entries};
use crate::core::config::placeholders::{Placeholders, pairs};
use crate::core::config::section::{Section, SectionReader};
use crate::core::config::stage::Written;
use crate::core::config::{argv, credential, reach};
use crate::core::diagnostic::quote;
use crate::core::pattern::Pattern;
use crate::core::plan::Making;
use crate::core::redact;
use crate::core::settings::{Pointers, Ready, SourceSettings, Stage, patterns};

#[derive(Clone)]
pub struct CommandSettings<S: Stage = Ready> {
    /// argv, run without a shell; a first word with a slash is an absolute path.
    pub argv: S::Must<S::At<Vec<String>>>,
    /// Beside PATH, HOME and the like: all that it gets.
    pub env: Vec<(String, Pattern)>,
    pub secret: Option<S::Text>,
    /// What `{{ secrets.NAME }}` stands for, by its name.
    pub secrets: Vec<(String, S::Text)>,
    pub timeout: Duration,
    /// `None`: the output is the bare token, or an ExecCredential.
    pub response: Option<Pointers>,
    pub ttl: Option<S::At<Duration>>,
}

impl<S: Stage> SourceSettings<S> for CommandSettings<S> {
    fn ttl(&self) -> Option<&S::At<Duration>> {
        self.ttl.as_ref()
    }

    fn longest_try(&self) -> Duration {
        self.timeout
    }
}

impl CommandSettings {
    /// What a token follows from, but for the credential, and for `ttl`, which is beside it.
    pub(crate) fn canonical(&self) -> Value {
        // How long a try may take makes no other token.
        let Self { argv, env, secret: _, secrets: _, timeout: _, response, ttl: _ } = self;
        json!([argv, patterns(env), response.as_ref().map(Pointers::canonical)])
    }
}

/// What the config's author wrote freely may hold a secret: names are shown, values not.
impl<S: Stage> fmt::Debug for CommandSettings<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSettings")
            .field("program", &S::known(&self.argv).and_then(|argv| S::value(argv).first()))
            .field("env", &self.env)
            .field("secret", &self.secret)
            .field("secrets", &self.secrets)
            .field("timeout", &self.timeout)
            .field("response", &self.response)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// The keys of such a token.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// A program and its arguments, run without a shell. It prints the token, or JSON that response reads, or an
    /// ExecCredential.
    command: Texts = r#"["/usr/local/bin/get-token"]"#, required;
    /// Its environment beside PATH, HOME and the like. {{ secret }}, {{ secrets.NAME }} and {{ token.NAME }} are filled in.
    env: Free = r#"{ API_SECRET = "{{ secret }}" }"#;
    ..TEXT_SECRET;
    ..SECRETS;
    /// Where the members stand in what it prints, as JSON pointers (RFC 6901). Without it: the bare token, or an
    /// ExecCredential.
    response: Table(&[reach::RESPONSE]) = r#"{ token = "/token", expires_at = "/expiry" }"#;
};

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> CommandSettings<Written> {
    let mut placeholders = Placeholders::of(cx, token);
    let argv = argv::read(cx, token);
    let mut env = Vec::new();
    let secret = credential::read(cx, token, "secret", "secret");
    let secrets = credential::named(cx, token);
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
        secrets,
        response: reach::response(cx, token),
        timeout: token.duration_or_default(cx, "timeout"),
        ttl: token.duration(cx, "ttl"),
    };
    placeholders.finish(cx, "env");
    command
}

pub(super) fn plan<'r>(raw: &'r CommandSettings<Written>, making: &mut Making<'_, 'r>) -> Option<CommandSettings> {
    let secret = making.secret(raw.secret.as_ref());
    let secrets = making.secrets(&raw.secrets);
    if let Some(argv) = &raw.argv {
        making.look_for_program(argv);
    }
    Some(CommandSettings {
        argv: raw.argv.as_ref()?.value.clone(),
        env: raw.env.clone(),
        secret,
        secrets,
        timeout: raw.timeout,
        response: raw.response.clone(),
        ttl: raw.ttl.map(|ttl| ttl.value),
    })
}
