//! Owns: `source = "oauth2"` (RFC 6749): grant, client, and what assertions are made from.
//! Does not: ask anybody.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::core::config::stage::Written;
use crate::core::crypto::{Algorithm, SigningKey};
use crate::core::pattern::Pattern;
use crate::core::settings::{LoginSettings, Reach, Ready, SecretText, SourceSettings, Stage, TokenName, patterns};
use crate::core::words::words;

/// A lifetime that does not count, so that tokens of the first version are those of this one.
const UNTOLD: Duration = Duration::from_secs(300);

words! {
    /// The word of `grant = "..."`.
    pub(crate) enum GrantKind {
        ClientCredentials = "client_credentials",
        RefreshToken = "refresh_token",
        JwtBearer = "jwt_bearer",
        TokenExchange = "token_exchange",
        /// Any other, which is sent as it is written.
        Free = "another one, as it is sent",
    }
}

words! {
    /// The word of `client_auth = "..."`.
    pub(crate) enum AuthKind {
        Basic = "client_secret_basic",
        BasicRaw = "client_secret_basic_raw",
        Post = "client_secret_post",
        SecretJwt = "client_secret_jwt",
        KeyJwt = "private_key_jwt",
        Tls = "tls_client_auth",
        None = "none",
    }
}

words! {
    /// The word of `preset = "..."`.
    pub(crate) enum Preset {
        Google = "google-service-account",
        Entra = "entra",
    }
}

/// An access token of an OAuth 2.0 server (RFC 6749 3.2).
#[derive(Clone)]
pub struct OAuth2Settings<S: Stage = Ready> {
    /// Where tokens are asked for.
    pub endpoint: S::Must<TokenEndpoint>,
    /// What is given for the token.
    pub grant: S::Must<Grant<S>>,
    /// As the server knows the client (RFC 6749 2.2); needless with some grants of a client that is public.
    pub client_id: Option<String>,
    /// Also where the header names the client (RFC 6749 2.3.1).
    pub client_id_in_body: bool,
    /// Chosen by the credentials that are there, where the config does not say.
    pub client_auth: S::Must<ClientAuth<S>>,
    /// Words with a space between (RFC 6749 3.3).
    pub scope: Option<String>,
    /// Further form fields in order; a name may stand more than once (`resource`, RFC 8707 2).
    pub params: Vec<(String, Pattern)>,
    /// Further header fields of the request, in order.
    pub headers: Vec<(String, Pattern)>,
    /// What `{{ secrets.NAME }}` stands for in both, by its name.
    pub secrets: Vec<(String, S::Text)>,
    /// How a person gets the first refresh token.
    pub login: Option<Box<LoginSettings>>,
    /// Of the token endpoint, and of the issuer that names it.
    pub reach: Reach<S>,
}

/// One of `token_url` and `issuer`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenEndpoint {
    /// The endpoint itself.
    Url(String),
    /// Asked for its metadata (RFC 8414, OpenID Connect Discovery 1.0).
    Issuer(String),
}

/// `grant_type` of the request (RFC 6749 4.5), with what it takes.
#[derive(Clone, Debug)]
pub enum Grant<S: Stage = Ready> {
    /// RFC 6749 4.4.
    ClientCredentials,
    /// RFC 6749 6.
    RefreshToken(S::Must<S::Refresh>),
    /// RFC 7523 2.1.
    JwtBearer(Arc<AssertionSettings<S>>),
    /// RFC 8693.
    TokenExchange {
        /// The token that is exchanged.
        subject: SubjectToken,
        /// A URI of RFC 8693 3.
        subject_type: String,
    },
    /// Sent as it is written; all that it takes stands in `params`.
    Free(String),
}

/// Where the `subject_token` (RFC 8693 2.1) is taken from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubjectToken {
    /// Read each time it is needed.
    File(PathBuf),
    /// Another token of the config.
    Token(TokenName),
}

/// How the client authenticates (RFC 6749 2.3, OpenID Connect Core 9, RFC 8705).
#[derive(Clone, Debug)]
pub enum ClientAuth<S: Stage = Ready> {
    /// A public client: its id alone is sent, where it has one.
    None,
    /// The secret in the Authorization header.
    Basic(S::Must<S::Text>),
    /// The same without the encoding of RFC 6749 2.3.1, for servers that do not undo it.
    BasicRaw(S::Must<S::Text>),
    /// The secret in the body.
    Post(S::Must<S::Text>),
    /// An assertion signed with the client secret (client_secret_jwt) or a private key (private_key_jwt; RFC 7523 2.2).
    Jwt(Arc<AssertionSettings<S>>),
    /// By the certificate of the connection; the id stands in the body.
    Tls(S::Identity),
}

/// What assertions are made from (RFC 7523 3). What the claims do not say is filled in by the source:
/// iss and sub the client's id, aud the token endpoint, a fresh jti, iat and exp.
#[derive(Clone, Debug)]
pub struct AssertionSettings<S: Stage = Ready> {
    /// Of the signature; it goes with the key.
    pub algorithm: S::Must<Algorithm>,
    /// The client's private key, or its secret.
    pub key: S::Must<S::Key>,
    /// From iat to exp, in whole seconds.
    pub lifetime: Duration,
    /// How far iat is backdated, in whole seconds.
    pub skew: Duration,
    /// As the config has them: iat, exp, nbf and jti are never among them.
    pub claims: Map<String, Value>,
    /// Members beside `alg`.
    pub header: Map<String, Value>,
}

impl<S: Stage> SourceSettings<S> for OAuth2Settings<S> {
    fn first_refresh_token(&self) -> Option<&S::Refresh> {
        match S::known(&self.grant)? {
            Grant::RefreshToken(first) => S::known(first),
            _ => None,
        }
    }

    fn login(&self) -> Option<&LoginSettings> {
        self.login.as_deref()
    }

    fn ttl(&self) -> Option<&S::At<Duration>> {
        self.reach.ttl.as_ref()
    }

    /// An issuer is asked before at four places at most.
    fn longest_exchange(&self) -> Duration {
        let tries = if matches!(S::known(&self.endpoint), Some(TokenEndpoint::Issuer(_))) { 6 } else { 2 };
        self.reach.timeout.saturating_mul(tries)
    }
}

impl OAuth2Settings<Written> {
    /// Ready for use, with what its credentials were read for.
    pub(super) fn ready(
        &self,
        endpoint: TokenEndpoint,
        grant: Grant,
        client_auth: ClientAuth,
        secrets: Vec<(String, SecretText)>,
        reach: Reach,
    ) -> OAuth2Settings {
        OAuth2Settings {
            endpoint,
            grant,
            client_id: self.client_id.clone(),
            client_id_in_body: self.client_id_in_body,
            client_auth,
            scope: self.scope.clone(),
            params: self.params.clone(),
            headers: self.headers.clone(),
            secrets,
            login: self.login.clone(),
            reach,
        }
    }
}

impl AssertionSettings<Written> {
    /// Ready for use, with its key.
    pub(super) fn ready(&self, key: Arc<SigningKey>) -> Option<AssertionSettings> {
        Some(AssertionSettings {
            algorithm: self.algorithm?,
            key,
            lifetime: self.lifetime,
            skew: self.skew,
            claims: self.claims.clone(),
            header: self.header.clone(),
        })
    }
}

impl OAuth2Settings {
    /// What a token follows from, but for credentials.
    pub(crate) fn canonical(&self) -> Value {
        let Self {
            endpoint,
            grant,
            client_id,
            client_id_in_body,
            client_auth,
            scope,
            params,
            login: _,
            headers,
            secrets: _,
            reach: _,
        } = self;
        let free = grant;
        let (grant, subject, of_grant) = match grant {
            Grant::ClientCredentials => (GrantKind::ClientCredentials, None, None),
            Grant::RefreshToken(_) => (GrantKind::RefreshToken, None, None),
            Grant::JwtBearer(settings) => (GrantKind::JwtBearer, None, Some(settings.canonical())),
            Grant::TokenExchange { subject, subject_type } => {
                (GrantKind::TokenExchange, Some(subject.canonical(subject_type)), None)
            }
            Grant::Free(_) => (GrantKind::Free, None, None),
        };
        let word = if let Grant::Free(written) = free { written } else { grant.word() };
        let (auth, of_client) = match client_auth {
            ClientAuth::None => (AuthKind::None, None),
            ClientAuth::Basic(_) => (AuthKind::Basic, None),
            ClientAuth::BasicRaw(_) => (AuthKind::BasicRaw, None),
            ClientAuth::Post(_) => (AuthKind::Post, None),
            ClientAuth::Jwt(settings) => (
                if settings.algorithm.is_symmetric() { AuthKind::SecretJwt } else { AuthKind::KeyJwt },
                Some(settings.canonical()),
            ),
            ClientAuth::Tls(_) => (AuthKind::Tls, None),
        };
        let mut text = vec![
            // Null, as where no preset is: what one decides counts as what it decided. So does the seventh.
            Value::Null,
            match endpoint {
                TokenEndpoint::Url(url) => json!(["url", url]),
                TokenEndpoint::Issuer(issuer) => json!(["issuer", issuer]),
            },
            json!(word),
            json!(auth.word()),
            json!(client_id),
            json!(scope),
            Value::Null,
            patterns(params),
            json!(subject),
        ];
        match (of_grant, of_client) {
            (Some(grant), Some(client)) => text.extend([grant, client]),
            (one, other) => text.push(json!(one.or(other))),
        }
        // What is new counts where it is set alone: other tokens stay what they were.
        text.extend(client_id_in_body.then(|| json!("client_id_in_body")));
        text.extend((!headers.is_empty()).then(|| json!(["headers", patterns(headers)])));
        Value::Array(text)
    }
}

impl SubjectToken {
    fn canonical(&self, subject_type: &str) -> Value {
        match self {
            Self::File(path) => json!(["file", path.to_string_lossy(), subject_type]),
            Self::Token(name) => json!(["token", name.as_str(), subject_type]),
        }
    }
}

impl AssertionSettings {
    fn canonical(&self) -> Value {
        let Self { algorithm, key: _, lifetime, skew, claims, header } = self;
        let lifetime = (*lifetime != UNTOLD).then_some(lifetime.as_secs());
        match skew.as_secs() {
            0 => json!([algorithm.word(), claims, header, lifetime]),
            skew => json!([algorithm.word(), claims, header, lifetime, skew]),
        }
    }
}

/// What the config's author wrote freely may hold a secret: names are shown, values not.
impl<S: Stage> fmt::Debug for OAuth2Settings<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, Pattern)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("OAuth2Settings")
            .field("endpoint", &self.endpoint)
            .field("grant", &self.grant)
            .field("client_id", &self.client_id)
            .field("client_id_in_body", &self.client_id_in_body)
            .field("client_auth", &self.client_auth)
            .field("scope", &self.scope)
            .field("params", &names(&self.params))
            .field("headers", &names(&self.headers))
            .field("secrets", &self.secrets)
            .field("login", &self.login.as_ref().map(|login| login.flow))
            .field("reach", &self.reach)
            .finish()
    }
}
