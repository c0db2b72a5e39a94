//! Owns: `source = "command"`.
//! Does not: run anything.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::parts::{Pointers, SecretText, patterns};
use super::stage::{Ready, Stage};
use crate::core::pattern::Pattern;

#[derive(Clone)]
pub struct CommandSettings<S: Stage = Ready> {
    /// argv, run without a shell; a first word with a slash is an absolute path.
    pub argv: S::Must<S::At<Vec<String>>>,
    /// Beside PATH, HOME and the like: all that it gets.
    pub env: Vec<(String, Pattern)>,
    pub secret: Option<S::Text>,
    pub timeout: Duration,
    /// `None`: the output is the bare token, or an ExecCredential.
    pub response: Option<Pointers>,
    pub ttl: Option<S::At<Duration>>,
}

impl<S: Stage> CommandSettings<S> {
    /// Ready for use, with what its credential is.
    pub(crate) fn ready(&self, secret: Option<SecretText>) -> Option<CommandSettings> {
        Some(CommandSettings {
            argv: S::value(S::known(&self.argv)?).clone(),
            env: self.env.clone(),
            secret,
            timeout: self.timeout,
            response: self.response.clone(),
            ttl: self.ttl.as_ref().map(|ttl| *S::value(ttl)),
        })
    }
}

impl CommandSettings {
    /// What a token follows from, but for the credential, and for `ttl`, which is beside it.
    pub(crate) fn canonical(&self) -> Value {
        // How long a try may take makes no other token.
        let Self { argv, env, secret: _, timeout: _, response, ttl: _ } = self;
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
            .field("timeout", &self.timeout)
            .field("response", &self.response)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
