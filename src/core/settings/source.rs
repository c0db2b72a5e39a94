//! Owns: the shape of a validated source: everything that it takes to obtain a token of each kind.
//! Does not: obtain one, or show a secret in `Debug`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Fingerprint, JwtSettings, TokenName};
use crate::core::key::{Algorithm, SigningKey};
use crate::core::pattern::Pattern;
use crate::core::secret::Secret;

/// The word of `source = "..."`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SourceKind {
    Jwt,
    OAuth2,
    Http,
    GithubApp,
    Command,
}

impl SourceKind {
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Jwt, Self::OAuth2, Self::Http, Self::GithubApp, Self::Command].into_iter().find(|k| k.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::OAuth2 => "oauth2",
            Self::Http => "http",
            Self::GithubApp => "github-app",
            Self::Command => "command",
        }
    }
}

/// How a token is obtained, by kind.
#[derive(Clone, Debug)]
pub enum SourcePlan {
    Jwt(Arc<JwtSettings>),
    OAuth2(Arc<OAuth2Settings>),
    Http(Arc<HttpSettings>),
    GithubApp(Arc<GithubAppSettings>),
    Command(Arc<CommandSettings>),
    /// The machine lacks what it needs (`TokenPlan::lack` says what): it is not asked.
    Lacking(SourceKind),
}

impl SourcePlan {
    pub fn kind(&self) -> SourceKind {
        match self {
            Self::Jwt(_) => SourceKind::Jwt,
            Self::OAuth2(_) => SourceKind::OAuth2,
            Self::Http(_) => SourceKind::Http,
            Self::GithubApp(_) => SourceKind::GithubApp,
            Self::Command(_) => SourceKind::Command,
            Self::Lacking(kind) => *kind,
        }
    }

    /// The refresh token in the config, where it is made with one.
    pub fn first_refresh_token(&self) -> Option<&FirstRefresh> {
        match self {
            Self::OAuth2(settings) => match &settings.grant {
                Grant::RefreshToken(first) => Some(first),
                _ => None,
            },
            Self::Http(settings) => settings.refresh_token.as_ref(),
            _ => None,
        }
    }

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

/// How an endpoint is reached.
#[derive(Clone, Debug)]
pub struct Reach {
    /// PEM certificates that are trusted beside the system's roots.
    pub ca: Option<Arc<[u8]>>,
    /// Of one request, connecting included; the wait for a turn at the host is not part of it.
    pub timeout: Duration,
    /// Plain http is taken beyond loopback too.
    pub allow_http: bool,
    /// The lifetime at most, and where the answer tells none.
    pub ttl: Option<Duration>,
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

/// `source = "oauth2"` (RFC 6749).
#[derive(Clone)]
pub struct OAuth2Settings {
    pub endpoint: TokenEndpoint,
    pub grant: Grant,
    pub client_id: Option<String>,
    pub client_auth: ClientAuth,
    pub scope: Option<String>,
    /// Further form fields in order; a name may stand more than once (`resource`, RFC 8707 2).
    pub params: Vec<(String, String)>,
    pub reach: Reach,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenEndpoint {
    Url(String),
    /// Asked for its metadata (RFC 8414, OpenID Connect Discovery 1.0).
    Issuer(String),
}

#[derive(Clone, Debug)]
pub enum Grant {
    /// RFC 6749 4.4.
    ClientCredentials,
    /// RFC 6749 6.
    RefreshToken(FirstRefresh),
    /// RFC 7523 2.1.
    JwtBearer(Arc<AssertionSettings>),
    /// RFC 8693.
    TokenExchange { subject: SubjectToken, subject_type: String },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubjectToken {
    /// Read each time it is needed.
    File(PathBuf),
    /// Another token of the config.
    Token(TokenName),
}

/// How the client proves itself (RFC 6749 2.3, OpenID Connect Core 9, RFC 8705).
#[derive(Clone, Debug)]
pub enum ClientAuth {
    None,
    Basic(SecretText),
    Post(SecretText),
    /// An assertion signed with the client secret (client_secret_jwt) or a private key (private_key_jwt; RFC 7523 2.2).
    Jwt(Arc<AssertionSettings>),
    Tls(Identity),
}

/// What assertions are made from (RFC 7523 3). What the claims do not say is filled in by the source:
/// iss and sub the client's id, aud the token endpoint, a fresh jti, iat and exp.
#[derive(Clone, Debug)]
pub struct AssertionSettings {
    pub algorithm: Algorithm,
    pub key: Arc<SigningKey>,
    pub lifetime: Duration,
    pub claims: Map<String, Value>,
    pub header: Map<String, Value>,
}

/// `source = "http"`: any endpoint that answers JSON.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    pub url: Pattern,
    pub method: String,
    pub headers: Vec<(String, Pattern)>,
    /// Sent as `Authorization: Bearer` (RFC 6750 2.1).
    pub bearer: Option<TokenName>,
    pub body: Body,
    pub secret: Option<SecretText>,
    pub refresh_token: Option<FirstRefresh>,
    pub response: Pointers,
    pub reach: Reach,
}

#[derive(Clone)]
pub enum Body {
    None,
    /// application/x-www-form-urlencoded, in order.
    Form(Vec<(String, Pattern)>),
    /// Its strings are patterns, at any depth; each was found good.
    Json(Value),
}

/// Where the members of an answer stand (RFC 6901).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointers {
    pub token: String,
    pub expires_in: Option<String>,
    pub expires_at: Option<String>,
    pub refresh_token: Option<String>,
}

/// `source = "github-app"`: an installation access token.
#[derive(Clone, Debug)]
pub struct GithubAppSettings {
    /// The app's id or its client id: the JWT's iss.
    pub app: String,
    pub key: Arc<SigningKey>,
    pub installation: Installation,
    pub permissions: BTreeMap<String, String>,
    /// Names without their owner. Empty: all of the installation.
    pub repositories: Vec<String>,
    /// Without a slash at its end.
    pub api_url: String,
    pub reach: Reach,
}

/// Which installation of the app; all but `Id` are looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Installation {
    Id(String),
    /// Of a user or an organization.
    Owner(String),
    /// `owner/name`.
    Repository(String),
}

/// `source = "command"`.
#[derive(Clone)]
pub struct CommandSettings {
    /// argv, run without a shell.
    pub argv: Vec<String>,
    /// Beside PATH, HOME and the like: all that it gets.
    pub env: Vec<(String, Pattern)>,
    pub secret: Option<SecretText>,
    pub timeout: Duration,
    /// `None`: the output is the bare token, or an ExecCredential.
    pub response: Option<Pointers>,
    pub ttl: Option<Duration>,
}

/// What the config's author wrote freely may hold a secret: names are shown, values not.
impl fmt::Debug for OAuth2Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<_> = self.params.iter().map(|(name, _)| name).collect();
        f.debug_struct("OAuth2Settings")
            .field("endpoint", &self.endpoint)
            .field("grant", &self.grant)
            .field("client_id", &self.client_id)
            .field("client_auth", &self.client_auth)
            .field("scope", &self.scope)
            .field("params", &params)
            .field("reach", &self.reach)
            .finish()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Form(fields) => f.debug_tuple("Form").field(fields).finish(),
            Self::Json(_) => f.write_str("Json(..)"),
        }
    }
}

impl fmt::Debug for CommandSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSettings")
            .field("program", &self.argv.first())
            .field("env", &self.env)
            .field("secret", &self.secret)
            .field("timeout", &self.timeout)
            .field("response", &self.response)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
