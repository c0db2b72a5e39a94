//! Owns: the shape of a token's source as it is written, for each kind.
//! Does not: read it, or look where its credentials are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::raw::RawCredential;
use crate::core::finding::{At, Place};
use crate::core::key::Algorithm;
use crate::core::pattern::Pattern;
use crate::core::settings::{
    Body, Installation, KeyClaim, Pointers, SourceKind, SubjectToken, TokenEndpoint, TokenName,
};

/// What `source` chose. What is absent or wrong in it was told.
pub(crate) enum RawSource {
    Jwt(Box<RawJwt>),
    OAuth2(Box<RawOAuth2>),
    Http(Box<RawHttp>),
    GithubApp(Box<RawGithubApp>),
    Command(Box<RawCommand>),
}

impl RawSource {
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::Jwt(_) => SourceKind::Jwt,
            Self::OAuth2(_) => SourceKind::OAuth2,
            Self::Http(_) => SourceKind::Http,
            Self::GithubApp(_) => SourceKind::GithubApp,
            Self::Command(_) => SourceKind::Command,
        }
    }

    /// Every credential of it, in one of four places each.
    pub fn credentials(&self) -> impl Iterator<Item = &RawCredential> {
        let all: [Option<&RawCredential>; 8] = match self {
            Self::Jwt(jwt) => [jwt.secret.as_ref(), jwt.private_key.as_ref(), None, None, None, None, None, None],
            Self::OAuth2(oauth2) => {
                let assertion = oauth2.assertion.as_ref();
                [
                    oauth2.client_secret.as_ref(),
                    oauth2.client_cert.as_ref(),
                    oauth2.client_key.as_ref(),
                    oauth2.refresh_token.as_ref(),
                    assertion.and_then(|assertion| assertion.private_key.as_ref()),
                    assertion.and_then(|assertion| assertion.secret.as_ref()),
                    oauth2.service_account.as_ref(),
                    None,
                ]
            }
            Self::Http(http) => [http.secret.as_ref(), http.refresh_token.as_ref(), None, None, None, None, None, None],
            Self::GithubApp(app) => [app.private_key.as_ref(), None, None, None, None, None, None, None],
            Self::Command(command) => [command.secret.as_ref(), None, None, None, None, None, None, None],
        };
        all.into_iter().flatten()
    }

    /// The first refresh token, where it is obtained with one.
    pub fn refresh_token(&self) -> Option<&RawCredential> {
        match self {
            Self::OAuth2(oauth2) => oauth2.refresh_token.as_ref(),
            Self::Http(http) => http.refresh_token.as_ref(),
            Self::Jwt(_) | Self::GithubApp(_) | Self::Command(_) => None,
        }
    }

    /// How its endpoint is reached, where it has one.
    pub fn reach(&self) -> Option<&RawReach> {
        match self {
            Self::OAuth2(oauth2) => Some(&oauth2.reach),
            Self::Http(http) => Some(&http.reach),
            Self::GithubApp(app) => Some(&app.reach),
            Self::Jwt(_) | Self::Command(_) => None,
        }
    }

    /// The lifetime that is known before a token is at hand.
    pub fn ttl(&self) -> Option<At<Duration>> {
        match self {
            Self::Command(command) => command.ttl,
            _ => self.reach().and_then(|reach| reach.ttl),
        }
    }
}

#[derive(Default)]
pub(crate) struct RawJwt {
    pub algorithm: Option<At<Algorithm>>,
    pub key: Option<At<String>>,
    pub key_claim: Option<At<KeyClaim>>,
    pub secret: Option<RawCredential>,
    pub private_key: Option<RawCredential>,
    pub allow_weak_secret: bool,
    pub claims: RawClaims,
    pub header: Map<String, Value>,
    /// Where `header.kid` stands.
    pub header_kid: Option<Place>,
}

#[derive(Default)]
pub(crate) struct RawClaims {
    pub members: Map<String, Value>,
    /// Where `claims.iss` stands.
    pub iss: Option<Place>,
    pub iat: Option<bool>,
    pub exp: Option<At<bool>>,
    pub nbf: Option<bool>,
    pub jti: Option<bool>,
}

/// How an endpoint is reached, and how long its tokens live at most.
#[derive(Default)]
pub(crate) struct RawReach {
    pub ca_file: Option<At<PathBuf>>,
    pub timeout: Option<Duration>,
    pub ttl: Option<At<Duration>>,
    pub allow_http: bool,
}

#[derive(Default)]
pub(crate) struct RawOAuth2 {
    pub preset: Option<Preset>,
    /// `None` where a preset's file says it, or where it was wrong.
    pub endpoint: Option<TokenEndpoint>,
    pub grant: Option<GrantKind>,
    pub auth: Option<AuthKind>,
    pub client_id: Option<String>,
    pub client_secret: Option<RawCredential>,
    pub client_cert: Option<RawCredential>,
    pub client_key: Option<RawCredential>,
    pub refresh_token: Option<RawCredential>,
    pub assertion: Option<RawAssertion>,
    pub subject: Option<(SubjectToken, String)>,
    pub scope: Option<String>,
    pub params: Vec<(String, String)>,
    pub allow_weak_secret: bool,
    pub service_account: Option<RawCredential>,
    pub target_audience: Option<String>,
    pub reach: RawReach,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Preset {
    Google,
    Entra,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GrantKind {
    ClientCredentials,
    RefreshToken,
    JwtBearer,
    TokenExchange,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AuthKind {
    None,
    Basic,
    Post,
    SecretJwt,
    KeyJwt,
    Tls,
}

/// `assertion`.
#[derive(Default)]
pub(crate) struct RawAssertion {
    pub algorithm: Option<At<Algorithm>>,
    pub private_key: Option<RawCredential>,
    pub secret: Option<RawCredential>,
    pub claims: Map<String, Value>,
    pub header: Map<String, Value>,
    pub lifetime: Option<Duration>,
}

#[derive(Default)]
pub(crate) struct RawHttp {
    pub url: Option<Pattern>,
    pub method: String,
    pub headers: Vec<(String, Pattern)>,
    pub bearer: Option<TokenName>,
    pub body: Option<Body>,
    pub secret: Option<RawCredential>,
    pub refresh_token: Option<RawCredential>,
    pub response: Option<Pointers>,
    pub reach: RawReach,
}

#[derive(Default)]
pub(crate) struct RawGithubApp {
    /// app_id or client_id.
    pub app: Option<String>,
    pub private_key: Option<RawCredential>,
    pub installation: Option<Installation>,
    pub permissions: BTreeMap<String, String>,
    pub repositories: Vec<String>,
    /// Without a slash at its end.
    pub api_url: Option<String>,
    pub reach: RawReach,
}

#[derive(Default)]
pub(crate) struct RawCommand {
    /// argv; a first word with a slash is an absolute path.
    pub argv: Option<At<Vec<String>>>,
    pub env: Vec<(String, Pattern)>,
    pub secret: Option<RawCredential>,
    pub response: Option<Pointers>,
    pub timeout: Option<Duration>,
    pub ttl: Option<At<Duration>>,
}
