//! Owns: the shape of a validated configuration. What stands here is right by its types, or was checked by `plan`.
//! Does not: parse, check or read anything.

mod file;
mod format;
mod hook;
mod login;
mod names;
mod parts;
mod reach;
mod schedule;
mod stage;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

pub use file::{FileSpec, Lack, Mode};
pub use format::Format;
pub(crate) use format::{FormatKind, is_variable};
pub use hook::{HookAction, HookPlan, HookSignal};
pub use login::{LoginFlow, LoginSettings};
pub(crate) use names::ByName;
pub use names::{Fingerprint, TargetPath, TokenName};
pub use parts::{FirstRefresh, Identity, Pointers, SecretText};
pub(crate) use parts::{Members, millis, patterns};
pub use reach::Reach;
pub(crate) use schedule::Lifetime;
pub use schedule::{Retry, RotateRule, Schedule};
pub(crate) use stage::{Ready, SourceSettings, Stage};

pub use super::config::source::{
    AssertionSettings, BasicSettings, Body, ClientAuth, GithubAppSettings, Grant, HttpSettings, Installation,
    OAuth2Settings, SourcePlan, SubjectToken, TokenEndpoint,
};
pub(crate) use super::config::source::{
    AuthKind, CommandSettings, GrantKind, JwtSettings, KeyClaim, Preset, SourceKind,
};

/// One token of the config.
#[derive(Clone, Debug)]
pub struct TokenPlan {
    /// No other token of the config has it.
    pub name: TokenName,
    /// How it is obtained, with every credential read.
    pub source: SourcePlan,
    /// Of the source's settings and its credential: a token made from another one is obtained again.
    pub fingerprint: Fingerprint,
    /// Tokens with the same one share it.
    pub schedule: Arc<Schedule>,
    /// Whether READY=1 (sd_notify(3)) and the exit code of `status` depend on it.
    pub required: bool,
    /// Tokens of this config that must be at hand first (bearer, subject, placeholder).
    pub parents: Box<[TokenName]>,
    /// The credential rotates with the token (RFC 9700 4.14): the state is fsynced before delivery.
    pub single_use: bool,
    /// Run when a new token is on disk in all its files.
    pub after_rotate: Option<Arc<HookPlan>>,
    /// Run once in a failure streak, and once when it is over.
    pub on_failure: Option<Arc<HookPlan>>,
    /// Units that may read it from the credential socket.
    pub units: Box<[glob::Pattern]>,
    /// Why it cannot be obtained on this machine now.
    pub lack: Option<Box<Lack>>,
}

impl TokenPlan {
    /// Whether that unit may read it from the credential socket.
    pub fn serves(&self, unit: &str) -> bool {
        self.units.iter().any(|units| units.matches(unit))
    }
}

/// One line or file that a token gives to a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinePlan {
    /// Whose value stands there.
    pub token: TokenName,
    /// An env file has a line of each token; all others are one token's.
    pub format: Format,
}

/// One file that renewd writes. More than one line only where their format may be shared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetPlan {
    /// What the target is known by: the folder with its links resolved where it exists, and the file's name. Absolute.
    pub path: TargetPath,
    /// The path as the config gives it (made absolute): what people are shown.
    pub shown: TargetPath,
    /// That of all its lines: two that differ are a mistake in the config.
    pub spec: FileSpec,
    /// In order of the config.
    pub lines: SmallVec<[Arc<LinePlan>; 1]>,
    /// Why it cannot be delivered on this machine now.
    pub lack: Option<Box<Lack>>,
}

/// `[daemon]`, with its defaults filled in from the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DaemonPlan {
    /// `None`: no default place was to be had (a warning).
    pub control_socket: Option<PathBuf>,
    /// Its group number, where one is set and known.
    pub control_group: Option<u32>,
    /// Absolute; created 0700 where it is missing.
    pub state_dir: PathBuf,
    /// READY=1 is sent after this at the latest, whatever is missing.
    pub ready_timeout: Duration,
    /// Where Prometheus asks; `None`: nobody listens.
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// Where units read by LoadCredential= (systemd.exec(5)); `None`: nobody listens.
    pub credential_socket: Option<PathBuf>,
    /// A reader of it waits this long at most for a token that is valid.
    pub credential_timeout: Duration,
}

/// A whole validated config: what the daemon runs by.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The main file's absolute path, as it was given (links not resolved): state belongs to it.
    pub path: PathBuf,
    /// Its paths count from the start: a reload does not move them.
    pub daemon: DaemonPlan,
    /// In order of the config. A reading shares those that have not changed with the plan before.
    pub tokens: Vec<Arc<TokenPlan>>,
    /// In order of first mention; shared likewise.
    pub targets: Vec<Arc<TargetPlan>>,
    /// All that the machine lacks, also what stands at a token or target above.
    pub lacks: BTreeSet<Arc<str>>,
    /// Files whose change means a reload: config, includes, secrets, keys, templates. Absolute, links not resolved.
    pub watched_files: BTreeSet<PathBuf>,
    /// Globs of includes, where a new file may match; a folder, in which any file may, where a folder's name is wild.
    pub watched_folders: BTreeSet<PathBuf>,
    /// Environment variables that hold secrets: no program that renewd runs gets them.
    pub secret_variables: Vec<String>,
}

impl Plan {
    /// The variable of a token's first env output.
    pub fn env_variable(&self, token: &str) -> Option<&str> {
        let mut lines = self.targets.iter().flat_map(|target| &target.lines);
        let line = lines.find(|line| line.token.as_str() == token && line.format.variable().is_some())?;
        line.format.variable().map(String::as_str)
    }
}
