//! Owns: the shape of a config as it is written: each value with its place, nothing filled in, nothing compared.
//! Does not: know the machine, the defaults, or what contradicts what.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::stage::{RawCredential, Written};
use super::value::UserOrGroup;
use crate::core::diagnostic::{Located, Span};
use crate::core::settings::{Format, HookPlan, Lifetime, Mode, RotateRule, SourcePlan, TokenName};

/// As a source is written. What is absent or wrong in it was told.
pub(crate) type RawSource = SourcePlan<Written>;

/// All files of a config, in the order they were read.
#[derive(Default)]
pub(crate) struct RawConfig {
    /// Globs, absolute.
    pub include: Vec<Located<PathBuf>>,
    pub daemon: RawDaemon,
    pub defaults: RawDefaults,
    /// Each in memory of its own: of what is freed in one large piece glibc's malloc learns to keep twice as much ever after.
    #[expect(clippy::vec_box, reason = "the memory that is freed is what it is for")]
    pub tokens: Vec<Box<RawToken>>,
}

#[derive(Default)]
pub(crate) struct RawDaemon {
    pub control_socket: Option<Located<PathBuf>>,
    pub control_group: Option<Located<UserOrGroup>>,
    pub state_dir: Option<Located<PathBuf>>,
    pub ready_timeout: Option<Located<Duration>>,
    pub credential_socket: Option<Located<PathBuf>>,
    pub credential_timeout: Option<Located<Duration>>,
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
    pub lifetime: Option<Located<Lifetime>>,
    pub skew: Option<Located<Duration>>,
}

#[derive(Default)]
pub(crate) struct RawSchedule {
    pub rule: Option<Located<RotateRule>>,
    pub jitter: Option<Located<f64>>,
    pub min_interval: Option<Located<Duration>>,
    pub warn_before: Option<Located<Duration>>,
    pub retry_initial: Option<Located<Duration>>,
    pub retry_max: Option<Located<Duration>>,
    pub retry_rejected: Option<Located<Duration>>,
}

#[derive(Default)]
pub(crate) struct RawFile {
    pub mode: Option<Located<Mode>>,
    pub owner: Option<Located<UserOrGroup>>,
    pub group: Option<Located<UserOrGroup>>,
}

pub(crate) struct RawToken {
    pub name: Located<TokenName>,
    /// Where what is absent is reported.
    pub header: Span,
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
    pub parents: Vec<Located<TokenName>>,
    pub outputs: Vec<RawOutput>,
    pub after_rotate: Option<Box<RawHook>>,
    pub on_failure: Option<Box<RawHook>>,
}

pub(crate) struct RawOutput {
    pub header: Span,
    pub path: Located<PathBuf>,
    pub format: Format<Written>,
    pub file: RawFile,
}

pub(crate) struct RawHook {
    pub plan: HookPlan,
    /// Where its command stands.
    pub span: Span,
}
