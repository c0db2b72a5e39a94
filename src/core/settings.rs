//! Owns: the shape of a validated configuration. What stands here is right by its types, or was checked by `plan`.
//! Does not: parse, check or read anything.

mod source;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use source::*;

use super::crypto;
use super::words::words;

/// A token's name: 1 to 64 of `A-Z a-z 0-9 _ . -`, a letter or digit first. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(Arc<str>);

impl TokenName {
    /// `None` where `name` breaks the rule above.
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = name.bytes();
        let first = bytes.next()?;
        let good = first.is_ascii_alphanumeric()
            && name.len() <= 64
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        good.then(|| Self(name.into()))
    }

    /// A name as it was asked for, for an error; what can be no name may be a token.
    pub fn shown(asked: &str) -> &str {
        if Self::new(asked).is_some() { asked } else { "(not a name, and not shown)" }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 16 bytes of a SHA-256: tells two tokens, settings or files apart without holding them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    pub fn of(bytes: &[u8]) -> Self {
        let mut first = [0; 16];
        first.copy_from_slice(&crypto::sha256(bytes).as_ref()[..16]);
        Self(first)
    }

    /// The first 8 hex digits of the SHA-256, as `status` shows them.
    pub fn short(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..4])
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Permission bits of a file, at most 0o7777.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(pub u32);

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// How long a minted token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// Whole seconds, one at least: NumericDate has no smaller unit here.
    For(Duration),
    /// `"never"`: no `exp` at all.
    Never,
}

/// When a token is rotated, relative to its life.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum RotateRule {
    /// At this fraction of the lifetime, above 0 and below 1.
    At(f64),
    /// This long before expiry.
    Before(Duration),
    /// This long after it was issued.
    Every(Duration),
}

/// `retry = { initial, max, rejected }`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    pub initial: Duration,
    pub max: Duration,
    pub rejected: Duration,
}

/// All scheduling keys of one token.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    pub rule: RotateRule,
    /// Fraction of the planned wait, 0 to 1 (1 excluded), by which a rotation may be earlier.
    pub jitter: f64,
    pub min_interval: Duration,
    pub retry: Retry,
    /// How far `iat` is backdated: the slack for "issued in the future".
    pub skew: Duration,
}

/// What a hook does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookAction {
    /// argv, run without a shell.
    Command(Vec<String>),
    /// A signal for the process whose number stands in `pid_file`.
    Signal { pid_file: PathBuf, signal: HookSignal },
}

words! {
    /// Signals a hook may send.
    pub enum HookSignal {
        Hup = "HUP",
        Int = "INT",
        Term = "TERM",
        Usr1 = "USR1",
        Usr2 = "USR2",
        Winch = "WINCH",
        Cont = "CONT",
    }
}

/// `[token.NAME.after_rotate]` and `[token.NAME.on_failure]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookPlan {
    pub action: HookAction,
    pub timeout: Duration,
    /// `on_failure` only: how long a streak lasts before it is told. Zero elsewhere.
    pub after: Duration,
}

/// Something the machine lacks (contract: "Of the machine"). Says what and where in one line, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lack {
    /// One line for status and the log: what is missing, with its path or name. Never a secret.
    pub message: Arc<str>,
}

/// One token of the config.
#[derive(Clone, Debug)]
pub struct TokenPlan {
    pub name: TokenName,
    pub source: SourcePlan,
    /// Of the source's settings and its credential: a token made from another one is obtained again.
    pub fingerprint: Fingerprint,
    /// Tokens with the same one share it.
    pub schedule: Arc<Schedule>,
    pub required: bool,
    /// Tokens of this config that must be at hand first (bearer, subject, placeholder).
    pub parents: Vec<TokenName>,
    /// The credential rotates with the token (RFC 9700 4.14): the state is fsynced before delivery.
    pub single_use: bool,
    pub after_rotate: Option<Arc<HookPlan>>,
    pub on_failure: Option<Arc<HookPlan>>,
    /// Units that may read it from the credential socket.
    pub units: Vec<glob::Pattern>,
    /// Why it cannot be obtained on this machine now.
    pub lack: Option<Lack>,
}

impl TokenPlan {
    /// Whether that unit may read it from the credential socket.
    pub fn serves(&self, unit: &str) -> bool {
        self.units.iter().any(|units| units.matches(unit))
    }
}

words! {
    /// `format = "..."` of an output.
    pub enum FormatKind {
        Token = "token",
        Env = "env",
        Json = "json",
        Header = "header",
        Template = "template",
    }
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

/// How a token is written into its file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    Token,
    Env {
        variable: String,
        expires_variable: Option<String>,
    },
    Json,
    Header,
    /// The template's own text, read once; `file` is for messages.
    Template {
        file: PathBuf,
        text: Arc<str>,
    },
}

impl Format {
    pub fn kind(&self) -> FormatKind {
        match self {
            Self::Token => FormatKind::Token,
            Self::Env { .. } => FormatKind::Env,
            Self::Json => FormatKind::Json,
            Self::Header => FormatKind::Header,
            Self::Template { .. } => FormatKind::Template,
        }
    }
}

/// Mode and ownership a file has before its secret is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileSpec {
    pub mode: Mode,
    /// `None`: as the process creates it (its own user).
    pub uid: Option<u32>,
    /// `None`: as the process creates it (its own group, or that of a setgid folder).
    pub gid: Option<u32>,
}

/// One line or file that a token gives to a target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinePlan {
    pub token: TokenName,
    pub format: Format,
}

/// The absolute path of a file that renewd writes. Cheap to clone, and ordered by its bytes: a `Path` is compared component by component,
/// which took two fifths of a start with 10,000 files.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(Arc<OsStr>);

impl Deref for TargetPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl From<PathBuf> for TargetPath {
    fn from(path: PathBuf) -> Self {
        Self(path.as_os_str().into())
    }
}

impl fmt::Debug for TargetPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// One file that renewd writes. More than one line only where their format may be shared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetPlan {
    /// What the target is known by: the folder with its links resolved where it exists, and the file's name. Absolute.
    pub path: TargetPath,
    /// The path as the config gives it (made absolute): what people are shown.
    pub shown: TargetPath,
    pub spec: FileSpec,
    /// In order of the config.
    pub lines: Vec<Arc<LinePlan>>,
    /// Why it cannot be delivered on this machine now.
    pub lack: Option<Lack>,
}

/// `[daemon]`, with its defaults filled in from the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DaemonPlan {
    /// `None`: no default place was to be had (a warning).
    pub control_socket: Option<PathBuf>,
    /// Its group number, where one is set and known.
    pub control_group: Option<u32>,
    pub state_dir: PathBuf,
    pub ready_timeout: Duration,
    pub metrics_listen: Option<std::net::SocketAddr>,
    pub credential_socket: Option<PathBuf>,
    pub credential_timeout: Duration,
}

/// A whole validated config: what the daemon runs by.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The main file's absolute path, as it was given (links not resolved): state belongs to it.
    pub path: PathBuf,
    pub daemon: DaemonPlan,
    /// In order of the config.
    pub tokens: Vec<TokenPlan>,
    /// In order of first mention.
    pub targets: Vec<TargetPlan>,
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
        lines.find_map(|line| match &line.format {
            Format::Env { variable, .. } if line.token.as_str() == token => Some(variable.as_str()),
            _ => None,
        })
    }
}
