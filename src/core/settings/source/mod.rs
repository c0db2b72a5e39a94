//! Owns: the shape of a source: everything that it takes to obtain a token of each kind, one shape a file, as it is written
//! and as it is ready for use. A shape says what its tokens follow from (`canonical`).
//! Does not: read a config, find credentials, obtain a token, or show a secret in `Debug`.

mod command;
mod github_app;
mod http;
mod jwt;
mod oauth2;
mod stage;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Fingerprint;
use crate::core::pattern::Pattern;
use crate::core::secret::Secret;
use crate::core::words::words;

pub use command::CommandSettings;
pub use github_app::{GithubAppSettings, Installation};
pub use http::{Body, HttpSettings};
pub use jwt::{JwtSettings, KeyClaim};
pub use oauth2::{AssertionSettings, ClientAuth, Grant, OAuth2Settings, SubjectToken, TokenEndpoint};
pub(crate) use oauth2::{AuthKind, GrantKind, Preset};
pub use stage::{Ready, Stage};

words! {
    /// The word of `source = "..."`.
    pub enum SourceKind {
        Jwt = "jwt",
        OAuth2 = "oauth2",
        Http = "http",
        GithubApp = "github-app",
        Command = "command",
    }
}

/// How a token is obtained, by kind.
#[derive(Clone, Debug)]
pub enum SourcePlan<S: Stage = Ready> {
    Jwt(Arc<JwtSettings<S>>),
    OAuth2(Arc<OAuth2Settings<S>>),
    Http(Arc<HttpSettings<S>>),
    GithubApp(Arc<GithubAppSettings<S>>),
    Command(Arc<CommandSettings<S>>),
    /// The machine lacks what it needs (`TokenPlan::lack` says what): it is not asked.
    Lacking(S::Lacking),
}

impl<S: Stage> SourcePlan<S> {
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::Jwt(_) => SourceKind::Jwt,
            Self::OAuth2(_) => SourceKind::OAuth2,
            Self::Http(_) => SourceKind::Http,
            Self::GithubApp(_) => SourceKind::GithubApp,
            Self::Command(_) => SourceKind::Command,
            Self::Lacking(kind) => (*kind).into(),
        }
    }

    /// The refresh token in the config, where it is made with one.
    pub fn first_refresh_token(&self) -> Option<&S::Refresh> {
        match self {
            Self::OAuth2(settings) => match S::known(&settings.grant)? {
                Grant::RefreshToken(first) => S::known(first),
                _ => None,
            },
            Self::Http(settings) => settings.refresh_token.as_ref(),
            _ => None,
        }
    }

    /// The lifetime that is known before a token is at hand.
    pub fn ttl(&self) -> Option<&S::At<Duration>> {
        match self {
            Self::OAuth2(settings) => settings.reach.ttl.as_ref(),
            Self::Http(settings) => settings.reach.ttl.as_ref(),
            Self::GithubApp(settings) => settings.reach.ttl.as_ref(),
            Self::Command(settings) => settings.ttl.as_ref(),
            Self::Jwt(_) | Self::Lacking(_) => None,
        }
    }
}

impl SourcePlan {
    /// How long an exchange of a refresh token takes at most: it is sent twice where the first answer is lost, and an
    /// issuer is asked before at two places.
    pub fn longest_exchange(&self) -> Duration {
        let (reach, tries) = match self {
            Self::OAuth2(settings) if matches!(settings.endpoint, TokenEndpoint::Issuer(_)) => (&settings.reach, 4),
            Self::OAuth2(settings) => (&settings.reach, 2),
            Self::Http(settings) => (&settings.reach, 2),
            _ => return Duration::ZERO,
        };
        reach.timeout.saturating_mul(tries)
    }

    /// How long one try takes at most, whatever it asks.
    pub fn longest_try(&self) -> Duration {
        match self {
            Self::Command(settings) => settings.timeout,
            // The installation is looked up before.
            Self::GithubApp(settings) => settings.reach.timeout.saturating_mul(2),
            _ => self.longest_exchange(),
        }
    }
}

/// A secret that is text: a client secret, a refresh token. Tokens of the same file share it.
pub type SecretText = Arc<Secret<String>>;

/// How an endpoint is reached. Nothing of it makes another token but `ttl`: not whom the connection trusts, how long a try
/// may take, or whether an address is taken; the address itself counts.
#[derive(Clone, Debug)]
pub struct Reach<S: Stage = Ready> {
    /// PEM certificates that are trusted beside the system's roots.
    pub ca: Option<S::Certificates>,
    /// Of one request, connecting included; the wait for a turn at the host is not part of it.
    pub timeout: Duration,
    /// Plain http is taken beyond loopback too.
    pub allow_http: bool,
    /// The lifetime at most, and where the answer tells none.
    pub ttl: Option<S::At<Duration>>,
}

/// A client's certificate chain and its key, both PEM (RFC 8705).
#[derive(Clone, Debug)]
pub struct Identity {
    pub certificates: Arc<[u8]>,
    pub key: Arc<Secret<Vec<u8>>>,
}

/// The first refresh token, as the config gives it; later ones live in the state.
#[derive(Clone, Debug)]
pub struct FirstRefresh {
    pub token: SecretText,
    /// Of its bytes: a stored successor counts only as long as it descends from this one.
    pub digest: Fingerprint,
}

/// Where the members of an answer stand (RFC 6901).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointers {
    pub token: String,
    pub expires_in: Option<String>,
    pub expires_at: Option<String>,
    pub refresh_token: Option<String>,
}

impl<S: Stage> Reach<S> {
    /// Ready for use, with the certificates.
    pub(crate) fn ready(&self, ca: Option<Arc<[u8]>>) -> Reach {
        let ttl = self.ttl.as_ref().map(|ttl| *S::value(ttl));
        Reach { ca, timeout: self.timeout, allow_http: self.allow_http, ttl }
    }
}

impl Pointers {
    fn canonical(&self) -> Value {
        let Self { token, expires_in, expires_at, refresh_token } = self;
        json!([token, expires_in, expires_at, refresh_token])
    }
}

fn patterns(pairs: &[(String, Pattern)]) -> Value {
    pairs.iter().map(|(name, pattern)| json!([name, pattern.source()])).collect()
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
