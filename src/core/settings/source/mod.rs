//! Owns: the shape of a source: everything that it takes to obtain a token of each kind, one shape a file, as it is written
//! and as it is ready for use. A shape says what its tokens follow from (`canonical`).
//! Does not: read a config, find credentials, obtain a token, or show a secret in `Debug`.

mod command;
mod github_app;
mod http;
mod jwt;
mod oauth2;
mod parts;
mod reach;
mod stage;

use std::sync::Arc;
use std::time::Duration;

pub use command::CommandSettings;
pub use github_app::{GithubAppSettings, Installation};
pub use http::{Body, HttpSettings};
pub use jwt::{JwtSettings, KeyClaim};
pub use oauth2::{AssertionSettings, ClientAuth, Grant, OAuth2Settings, SubjectToken, TokenEndpoint};
pub(crate) use oauth2::{AuthKind, GrantKind, Preset};
pub(crate) use parts::millis;
pub use parts::{FirstRefresh, Identity, Pointers, SecretText, SourceKind};
pub use reach::Reach;
pub use stage::{Ready, Stage};

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
