//! Owns: the shape of a config as it is written: each value with its place, nothing filled in, nothing compared.
//! Does not: know the machine, the defaults, or what contradicts what.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::stage::{RawCredential, RawSource};
use crate::core::finding::{At, Place};
use crate::core::settings::{HookSignal, Lifetime, Mode, RotateRule, TokenName};

/// All files of a config, in the order they were read.
#[derive(Default)]
pub(crate) struct Raw {
    /// Globs, absolute.
    pub include: Vec<At<PathBuf>>,
    pub daemon: RawDaemon,
    pub defaults: RawDefaults,
    pub tokens: Vec<RawToken>,
}

#[derive(Default)]
pub(crate) struct RawDaemon {
    pub control_socket: Option<At<PathBuf>>,
    pub control_group: Option<At<Account>>,
    pub state_dir: Option<At<PathBuf>>,
    pub ready_timeout: Option<At<Duration>>,
    pub credential_socket: Option<At<PathBuf>>,
    pub credential_timeout: Option<At<Duration>>,
}

#[derive(Default)]
pub(crate) struct RawDefaults {
    /// A value in it was wrong: what follows from it is not told as well.
    pub flawed: bool,
    pub lifetime: RawLifetime,
    pub schedule: RawSchedule,
    pub file: RawFile,
}

#[derive(Default)]
pub(crate) struct RawLifetime {
    pub lifetime: Option<At<Lifetime>>,
    pub skew: Option<At<Duration>>,
}

#[derive(Default)]
pub(crate) struct RawSchedule {
    pub rule: Option<At<RotateRule>>,
    pub jitter: Option<At<f64>>,
    pub min_interval: Option<At<Duration>>,
    pub retry_initial: Option<At<Duration>>,
    pub retry_max: Option<At<Duration>>,
    pub retry_rejected: Option<At<Duration>>,
}

#[derive(Default)]
pub(crate) struct RawFile {
    pub mode: Option<At<Mode>>,
    pub owner: Option<At<Account>>,
    pub group: Option<At<Account>>,
}

/// A user or group as it is written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Account {
    Name(String),
    Number(u32),
}

pub(crate) struct RawToken {
    pub name: At<TokenName>,
    /// Where what is absent is reported.
    pub header: Place,
    /// A value in it was wrong: what follows from it is not told as well.
    pub flawed: bool,
    pub source: RawSource,
    /// Every credential of the source, and the certificates that it trusts.
    pub credentials: Vec<Arc<RawCredential>>,
    pub schedule: RawSchedule,
    pub file: RawFile,
    pub required: bool,
    pub units: Vec<glob::Pattern>,
    /// Tokens of this config it is made from.
    pub parents: Vec<At<TokenName>>,
    pub outputs: Vec<RawOutput>,
    pub after_rotate: Option<Box<RawHook>>,
    pub on_failure: Option<Box<RawHook>>,
}

pub(crate) struct RawOutput {
    pub header: Place,
    pub path: At<PathBuf>,
    pub format: RawFormat,
    pub file: RawFile,
}

pub(crate) enum RawFormat {
    Token,
    Env { variable: At<String>, expires_variable: Option<At<String>> },
    Json,
    Header,
    Template(At<PathBuf>),
}

pub(crate) struct RawHook {
    pub action: RawAction,
    pub timeout: Duration,
    pub after: Duration,
}

pub(crate) enum RawAction {
    /// argv; a first word with a slash is an absolute path.
    Command(At<Vec<String>>),
    Signal {
        pid_file: PathBuf,
        signal: HookSignal,
    },
}
