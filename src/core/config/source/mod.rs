//! Owns: the sources, one file each: everything that it takes to obtain a token of that kind, as it is written and as it is
//! ready for use; what its table may hold and how it is read; which credentials make it ready; and what its tokens follow from.
//! Does not: find credentials, obtain a token, or show a secret in `Debug`.

mod command;
mod github_app;
mod http;
pub(super) mod jwt;
mod oauth2;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::keys::common::{AFTER, FILE, HOOK, LIFETIME, SCHEDULE};
use super::keys::{KeyEntries, KeyEntry, SourceKeys, entries};
use super::section::{Section, SectionReader};
use super::stage::Written;
use super::{output, preset, reach};
use crate::core::plan::Making;
use crate::core::settings::{LoginSettings, Ready, SourceSettings, Stage};
use crate::core::words::words;

pub(crate) use command::CommandSettings;
pub use github_app::{GithubAppSettings, Installation};
pub use http::{BasicSettings, Body, HttpSettings};
pub(crate) use jwt::{JwtSettings, KeyClaim};
pub use oauth2::{AssertionSettings, ClientAuth, Grant, OAuth2Settings, SubjectToken, TokenEndpoint};
pub(crate) use oauth2::{AuthKind, GrantKind, Preset};

/// Declares the sources: their words, and one variant each for their settings.
macro_rules! sources {
    ($($kind:ident = $word:literal, $file:ident::$settings:ident;)+) => {
        words! {
            /// The word of `source = "..."`.
            pub enum SourceKind {
                $($kind = $word,)+
            }
        }

        /// How a token is obtained, by kind.
        #[derive(Clone, Debug)]
        pub enum SourcePlan<S: Stage = Ready> {
            $(#[doc = concat!("`", $word, "`.")] $kind(Arc<$settings<S>>),)+
            /// The machine lacks what it needs (`TokenPlan::lack` says what): it is not asked.
            Lacking(SourceKind, S::Lacking),
        }

        impl<S: Stage> SourcePlan<S> {
            /// Told of one that is lacking too.
            pub fn kind(&self) -> SourceKind {
                match self {
                    $(Self::$kind(_) => SourceKind::$kind,)+
                    Self::Lacking(kind, _) => *kind,
                }
            }

            /// The refresh token in the config, where it is made with one.
            pub fn first_refresh_token(&self) -> Option<&S::Refresh> {
                match self {
                    $(Self::$kind(settings) => settings.first_refresh_token(),)+
                    Self::Lacking(..) => None,
                }
            }

            /// How a person gets the first refresh token, where one may.
            pub fn login(&self) -> Option<&LoginSettings> {
                match self {
                    $(Self::$kind(settings) => settings.login(),)+
                    Self::Lacking(..) => None,
                }
            }

            /// The lifetime that is known before a token is at hand.
            pub fn ttl(&self) -> Option<&S::At<Duration>> {
                match self {
                    $(Self::$kind(settings) => settings.ttl(),)+
                    Self::Lacking(..) => None,
                }
            }
        }

        impl SourcePlan {
            /// What a token follows from, but for credentials and `ttl`.
            pub(crate) fn canonical(&self) -> Value {
                match self {
                    $(Self::$kind(settings) => settings.canonical(),)+
                    Self::Lacking(..) => Value::Null,
                }
            }

            /// How long an exchange of a refresh token takes at most.
            pub fn longest_exchange(&self) -> Duration {
                match self {
                    $(Self::$kind(settings) => settings.longest_exchange(),)+
                    Self::Lacking(..) => Duration::ZERO,
                }
            }

            /// How long one try takes at most, whatever it asks.
            pub fn longest_try(&self) -> Duration {
                match self {
                    $(Self::$kind(settings) => settings.longest_try(),)+
                    Self::Lacking(..) => Duration::ZERO,
                }
            }
        }

        impl SourcePlan<Written> {
            /// What a token of that source is made with.
            pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, kind: SourceKind) -> Self {
                match kind {
                    $(SourceKind::$kind => Self::$kind($file::read(cx, token).into()),)+
                }
            }

            /// The same with every credential in it, as far as each is to be had.
            pub(in crate::core) fn plan<'r>(&'r self, making: &mut Making<'_, 'r>) -> Option<SourcePlan> {
                match self {
                    $(Self::$kind(raw) => $file::plan(raw, making).map(|settings| SourcePlan::$kind(settings.into())),)+
                    Self::Lacking(_, never) => match *never {},
                }
            }
        }
    };
}

sources! {
    Jwt = "jwt", jwt::JwtSettings;
    OAuth2 = "oauth2", oauth2::OAuth2Settings;
    Http = "http", http::HttpSettings;
    GithubApp = "github-app", github_app::GithubAppSettings;
    Command = "command", command::CommandSettings;
}

/// Each source with all that its token's table may hold: first what every token has.
pub(super) const SOURCES: &[SourceKeys] = &[
    SourceKeys { word: SourceKind::Jwt.word(), keys: &[COMMON, SCHEDULE, FILE, LIFETIME, jwt::KEYS] },
    SourceKeys {
        word: SourceKind::OAuth2.word(),
        keys: &[COMMON, SCHEDULE, FILE, oauth2::KEYS, preset::KEYS, reach::KEYS],
    },
    SourceKeys { word: SourceKind::Http.word(), keys: &[COMMON, SCHEDULE, FILE, http::KEYS, reach::KEYS] },
    SourceKeys { word: SourceKind::GithubApp.word(), keys: &[COMMON, SCHEDULE, FILE, github_app::KEYS, reach::KEYS] },
    SourceKeys { word: SourceKind::Command.word(), keys: &[COMMON, SCHEDULE, FILE, command::KEYS, reach::TIMES] },
];

/// What every token has.
pub(super) const EVERY_TOKEN: KeyEntries = &[COMMON, SCHEDULE, FILE];

const COMMON: &[KeyEntry] = &entries! {
    /// How the token is obtained: signed here, asked of an OAuth 2.0 server or any HTTP endpoint or GitHub, or printed
    /// by a command.
    source: Choice(SourceKind::WORDS) = r#""jwt""#, required;
    /// Whether READY=1 and the exit code of `status` depend on it.
    required: Bool = "true", default("true");
    /// The units that may read it from the credential socket; globs are allowed. Default: nobody.
    units: Texts = r#"["job.service"]"#;
    /// The files it is delivered to.
    output: Tables(&[output::KEYS, FILE]) = r#"[{ format = "token", path = "/run/renewd/sunbird.token" }]"#;
    /// What is done when a new token is on disk. It never holds up another token.
    after_rotate: Table(&[HOOK]) = r#"{ command = ["systemctl", "try-reload-or-restart", "job.service"] }"#;
    /// What is done once in a failure streak, and once when it is over.
    on_failure: Table(&[HOOK, AFTER]) = r#"{ command = ["/usr/local/bin/page", "token"], after = "2m" }"#;
};
