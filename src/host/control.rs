//! Owns: the control socket: one request and one answer a connection, each one line of JSON.
//! Requests are bounded in length, time and number, so that no client holds up another.
//! Does not: know what is asked; it hands requests to the daemon and answers back.

mod accounts;
mod client;
mod handed;
mod server;

use std::collections::HashSet;
use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::core::schedule::Life;
use crate::core::secret::Secret;
use crate::core::settings::TokenName;
use crate::core::time::Wall;
use crate::core::token::Token;

pub(crate) use accounts::Accounts;
pub(crate) use client::{ClientError, Peer, call};
pub(crate) use handed::HandedToken;
pub(crate) use server::{Call, Connections, ControlServer, ResponseLine, Share, serve};

/// `exit` of an answer to somebody who may not ask that (sysexits.h, EX_NOPERM).
pub(crate) const NO_PERMISSION: u8 = 77;

/// What a client asks for. Times are milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Who listens: answered to whoever may connect.
    About,
    Status {
        #[serde(default, deserialize_with = "unique")]
        names: Vec<String>,
    },
    Rotate {
        #[serde(default, deserialize_with = "unique")]
        names: Vec<String>,
        #[serde(default)]
        force: bool,
    },
    Reload,
    Wait {
        #[serde(default, deserialize_with = "unique")]
        names: Vec<String>,
        #[serde(default)]
        min_valid: u64,
        timeout: u64,
    },
    Token {
        name: String,
        #[serde(default)]
        min_valid: u64,
    },
    Login {
        name: String,
        /// Of the settings that it is made with, in hex.
        settings: String,
        /// `None`: whether it would be taken in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Box<HandedToken>>,
    },
}

/// Names in the order in which they were given, each once: what is repeated takes no memory.
fn unique<'de, D: Deserializer<'de>>(names: D) -> Result<Vec<String>, D::Error> {
    struct Unique;

    impl<'de> Visitor<'de> for Unique {
        type Value = Vec<String>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a list of names")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
            let (mut known, mut all) = (HashSet::new(), Vec::new());
            while let Some(name) = names.next_element::<String>()? {
                if !known.contains(&name) {
                    known.insert(name.clone());
                    all.push(name);
                }
            }
            Ok(all)
        }
    }

    names.deserialize_seq(Unique)
}

/// The daemon's answer. `exit` is the exit code of the command that asked.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Response {
    pub ok: bool,
    pub exit: u8,
    /// One line each: what failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// One line each: what was done, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was asked for and needed no doing, or had no effect: for whoever asked, at a terminal or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// `status --json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<DaemonInfo>,
}

/// Who a daemon is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DaemonInfo {
    pub version: String,
    pub pid: u32,
    /// Absolute, as it was given.
    pub config: std::path::PathBuf,
    pub state_dir: std::path::PathBuf,
}

/// A token on its way to its owner's own process. Its bytes are wiped on drop, and it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenAnswer {
    pub name: String,
    pub token: Zeroizing<String>,
    /// Milliseconds since the epoch.
    pub issued_at: i64,
    pub expires_at: Option<i64>,
    /// That of its env output, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// Variables that hold secrets of the daemon's config: a command is not to have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_variables: Vec<String>,
}

impl TokenAnswer {
    pub(crate) fn of(token: &Token, variable: Option<String>, secret_variables: Vec<String>) -> Self {
        Self {
            name: token.name.as_str().into(),
            token: Zeroizing::new(token.value.expose().clone()),
            issued_at: token.life.issued_at.0,
            expires_at: token.life.expires_at.map(|at| at.0),
            variable,
            secret_variables,
        }
    }

    /// `None`: its name is none.
    pub(crate) fn token(&self) -> Option<Token> {
        let issued_at = Wall(self.issued_at);
        let life = Life { issued_at, expires_at: self.expires_at.map(Wall), obtained_at: issued_at };
        Some(Token::new(TokenName::new(&self.name)?, Secret::new(self.token.to_string()), life))
    }
}

impl Response {
    pub(crate) fn done() -> Self {
        Self { ok: true, ..Self::default() }
    }

    pub(crate) fn told(notes: Vec<String>) -> Self {
        Self { notes, ..Self::done() }
    }

    pub(crate) fn failed(exit: u8, errors: Vec<String>) -> Self {
        Self { exit, errors, ..Self::default() }
    }
}
