//! Owns: how a token is written into its file, as it is written and as it is ready for use.
//! Does not: write it (`core::render`).

use std::path::PathBuf;
use std::sync::Arc;

use super::stage::{Ready, Stage};
use crate::core::words::words;

words! {
    /// The word of `format = "..."`.
    pub enum FormatKind {
        Token = "token",
        Env = "env",
        Json = "json",
        Header = "header",
        Template = "template",
    }
}

/// A variable's name as sh takes it (POSIX 2.10.2, NAME).
pub(crate) fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
}

impl FormatKind {
    /// Whether a file of it may be that of several tokens, which have a line each.
    pub const fn is_shared(self) -> bool {
        match self {
            Self::Env => true,
            Self::Token | Self::Json | Self::Header | Self::Template => false,
        }
    }
}

/// `format = "..."`, with the keys that go with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format<S: Stage = Ready> {
    /// The value alone, without a newline.
    Token,
    /// `NAME=value`, as systemd.exec(5) EnvironmentFile=, docker and sh read alike.
    Env {
        /// The NAME.
        variable: S::At<String>,
        /// Set to the expiry in Unix seconds; the line is left out for a token that never expires.
        expires_variable: Option<S::At<String>>,
    },
    /// One object: name, token, issued_at and expires_at (RFC 3339).
    Json,
    /// `Authorization: Bearer` and the value, for `curl -H @FILE` (RFC 6750 2.1).
    Header,
    /// What minijinja makes of a text.
    Template {
        /// For messages.
        file: S::At<PathBuf>,
        /// What the file held when the config was read.
        text: S::Content,
    },
}

/// A variable, and the one of its expiry.
type EnvNames<'a, S> = (&'a <S as Stage>::At<String>, Option<&'a <S as Stage>::At<String>>);

impl<S: Stage> Format<S> {
    /// Without the keys that go with it.
    pub fn kind(&self) -> FormatKind {
        match self {
            Self::Token => FormatKind::Token,
            Self::Env { .. } => FormatKind::Env,
            Self::Json => FormatKind::Json,
            Self::Header => FormatKind::Header,
            Self::Template { .. } => FormatKind::Template,
        }
    }

    /// What names a token's line in an env file.
    pub(crate) fn env_names(&self) -> Option<EnvNames<'_, S>> {
        match self {
            Self::Env { variable, expires_variable } => Some((variable, expires_variable.as_ref())),
            Self::Token | Self::Json | Self::Header | Self::Template { .. } => None,
        }
    }

    pub(crate) fn variable(&self) -> Option<&S::At<String>> {
        self.env_names().map(|(variable, _)| variable)
    }

    /// The variables that it sets.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &S::At<String>> {
        self.env_names().into_iter().flat_map(|(variable, expires)| [Some(variable), expires]).flatten()
    }

    pub(crate) fn template(&self) -> Option<&S::At<PathBuf>> {
        match self {
            Self::Template { file, .. } => Some(file),
            Self::Token | Self::Env { .. } | Self::Json | Self::Header => None,
        }
    }

    /// Ready for use, with what its template's file holds.
    pub(crate) fn ready(&self, text: Option<Arc<str>>) -> Format {
        match self {
            Self::Token => Format::Token,
            Self::Env { variable, expires_variable } => Format::Env {
                variable: S::value(variable).clone(),
                expires_variable: expires_variable.as_ref().map(|name| S::value(name).clone()),
            },
            Self::Json => Format::Json,
            Self::Header => Format::Header,
            Self::Template { file, .. } => {
                Format::Template { file: S::value(file).clone(), text: text.unwrap_or_default() }
            }
        }
    }
}
