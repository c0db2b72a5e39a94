//! Owns: `source = "oauth2"`: a token endpoint is asked by one of four grants (RFC 6749, 7523, 8693).
//! Does not: decide when to ask again, or send a refresh token twice by itself; `refresh` does.

mod assertion;
mod client_auth;
mod discovery;
pub(super) mod issuers;
mod login;
mod subject;

use futures_util::future::BoxFuture;

pub(crate) use self::login::{DeviceCode, Login};

use self::assertion::Occasion;
use self::issuers::CacheKey;
use super::answer::TokenResponse;
use super::form::Form;
use super::net::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use super::net::{self, Host, HttpRequest, HttpResponse, Method, NetError, Url, Way};
use super::refresh::Exchanged;
use super::refusal::Refusal;
use super::sent::SentSecrets;
use super::{Given, Source, SourceError, refresh};
use crate::core::credential::RefreshToken;
use crate::core::engine::Reason;
use crate::core::pattern::{Missing, Pattern, Placeholder};
use crate::core::scope;
use crate::core::secret::Secret;
use crate::core::settings::{
    AssertionSettings, ClientAuth, Grant, OAuth2Settings, Pointers, SubjectToken, TokenEndpoint, TokenName,
};
use crate::core::token::Token;

const FORM: &str = "application/x-www-form-urlencoded";

impl Source for OAuth2Settings {
    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Token, SourceError>> {
        Box::pin(obtain(self, given))
    }

    fn reach<'a>(&'a self, given: &'a Given) -> BoxFuture<'a, Result<Host, SourceError>> {
        Box::pin(async {
            let url = net::url(&self.token_url(given).await?)?;
            Ok(given.shared.network.reach(&given.asker(), url, self.way()).await?)
        })
    }
}

impl OAuth2Settings {
    pub(super) fn way(&self) -> Way<'_> {
        let identity = match &self.client_auth {
            ClientAuth::Tls(identity) => Some(identity),
            _ => None,
        };
        Way { reach: &self.reach, identity }
    }

    /// What of its scope an answer that names `granted` does not grant. Without a name it is as asked (RFC 6749 5.1).
    pub(super) fn not_granted(&self, granted: Option<&str>) -> Vec<String> {
        let (Some(asked), Some(granted)) = (&self.scope, granted) else { return Vec::new() };
        let mut missing = scope::missing(asked, granted);
        // What it asks for is there; some issuers do not say it back (Microsoft).
        let refreshes = matches!(self.grant, Grant::RefreshToken(_));
        missing.retain(|scope| !(refreshes && scope == "offline_access"));
        missing
    }

    /// Where tokens are asked for, as it is written.
    pub(super) async fn token_url(&self, given: &Given) -> Result<String, SourceError> {
        match &self.endpoint {
            TokenEndpoint::Url(url) => Ok(url.clone()),
            TokenEndpoint::Issuer(issuer) => {
                let endpoints = discovery::endpoints(given, issuer, self.way()).await?;
                Ok(match self.client_auth {
                    ClientAuth::Tls(_) => endpoints.token_mtls.clone(),
                    _ => endpoints.token.clone(),
                })
            }
        }
    }

    /// The next try asks the issuer again where its endpoint is: this one is out of order.
    fn forget_endpoint(&self, given: &Given) {
        if let TokenEndpoint::Issuer(issuer) = &self.endpoint {
            given.shared.issuers.forget(&CacheKey::of(issuer, self.way()));
        }
    }
}

/// What goes out, once or twice.
struct Exchange<'a> {
    settings: &'a OAuth2Settings,
    given: &'a Given,
    /// What assertions are for, compared letter by letter (RFC 7519 4.1.3): a parser leaves a default port out, and adds a slash.
    written: String,
    url: Url,
    refresh_token: Option<RefreshToken>,
    subject: Option<Secret<String>>,
    /// `params` and `headers` with their placeholders filled in.
    params: FilledPairs,
    headers: FilledPairs,
}

async fn obtain(settings: &OAuth2Settings, mut given: Given) -> Result<Token, SourceError> {
    let stored = given.refresh_token.take();
    let refresh_token = match &settings.grant {
        Grant::RefreshToken(first) => match refresh::current(first, stored) {
            None => return Err(SourceError::new(Reason::Login, refresh::waits_for_login(&given.name))),
            current => current,
        },
        _ => None,
    };
    let subject = match &settings.grant {
        Grant::TokenExchange { subject, .. } => {
            Some(subject::read(subject, &given.parents, settings.way().reach.timeout).await?)
        }
        _ => None,
    };
    let params = filled(&settings.params, settings, &given)?;
    let headers = filled(&settings.headers, settings, &given)?;
    let written = settings.token_url(&given).await?;
    let url = net::url(&written)?;
    let exchange = Exchange { settings, given: &given, written, url, refresh_token, subject, params, headers };
    let spends = exchange.refresh_token.is_some();
    let exchanged = match refresh::exchange(&given, spends, |again| exchange.send(again)).await {
        Ok(exchanged) => exchanged,
        Err(error) => {
            settings.forget_endpoint(&given);
            return Err(error);
        }
    };
    let read = exchange.read(&exchanged);
    read.map_err(|error| refresh::salvage(error, exchange.refresh_token, &exchanged.answer, Some("/refresh_token")))
}

type FilledPairs = Vec<(String, Secret<String>)>;

fn filled(pairs: &[(String, Pattern)], settings: &OAuth2Settings, given: &Given) -> Result<FilledPairs, SourceError> {
    let give = |placeholder: &Placeholder| match placeholder {
        Placeholder::Named(name) => find(&settings.secrets, name).map(|secret| secret.expose().as_str()),
        Placeholder::Token(name) => find(&given.parents, name).map(|token| token.expose().as_str()),
        Placeholder::Secret | Placeholder::RefreshToken => None,
    };
    let missing = |missing: Missing| SourceError::new(Reason::Machine, missing.to_string());
    pairs.iter().map(|(name, pattern)| Ok((name.clone(), pattern.fill(give).map_err(missing)?))).collect()
}

fn find<'a, K: PartialEq, V>(pairs: &'a [(K, V)], wanted: &K) -> Option<&'a V> {
    pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
}

impl Exchange<'_> {
    async fn send(&self, again: u8) -> Result<HttpResponse, NetError> {
        let mut request = HttpRequest::new(Method::POST, self.url.clone());
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        for (name, value) in &self.headers {
            net::set(&mut request.headers, name, value.clone()).map_err(NetError::unsent)?;
        }
        let mut form = self.form(again).map_err(NetError::unsent)?;
        let occasion = self.occasion([again, b'c']);
        client_auth::add(self.settings, &occasion, &mut form, &mut request.headers).map_err(NetError::unsent)?;
        request.body = Some(form.body());
        request.secrets = self.secrets();
        self.given.send(request, self.settings.way()).await
    }

    fn form(&self, again: u8) -> Result<Form, SourceError> {
        let mut form = Form::default();
        match &self.settings.grant {
            Grant::ClientCredentials => form.add("grant_type", "client_credentials"),
            Grant::Free(written) => form.add("grant_type", written),
            Grant::RefreshToken(_) => {
                form.add("grant_type", "refresh_token");
                form.add("refresh_token", self.refresh_token.as_ref().map_or("", |used| used.token.expose()));
            }
            Grant::JwtBearer(settings) => {
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                let assertion = assertion::make(settings, &self.occasion([again, b'g']))?;
                form.add("assertion", assertion.expose());
            }
            Grant::TokenExchange { subject_type, .. } => {
                form.add("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
                form.add("subject_token", self.subject.as_ref().map_or("", |subject| subject.expose()));
                form.add("subject_token_type", subject_type);
            }
        }
        if let Some(scope) = &self.settings.scope {
            form.add("scope", scope);
        }
        self.params.iter().for_each(|(name, value)| form.add(name, value.expose()));
        Ok(form)
    }

    fn occasion(&self, which: [u8; 2]) -> Occasion<'_> {
        Occasion {
            client_id: self.settings.client_id.as_deref(),
            audience: &self.written,
            now: self.given.now(),
            jti: assertion::jti(self.given.nonce, which),
        }
    }

    fn read(&self, exchanged: &Exchanged) -> Result<Token, SourceError> {
        let answer = &exchanged.answer;
        if !answer.status.is_success() {
            return Err(self.refused(answer, Refusal::of(answer)));
        }
        let answered = match &self.settings.grant {
            Grant::JwtBearer(assertion) if asks_for_an_id_token(assertion) => {
                TokenResponse::read(&answer.body, &id_token())
            }
            _ => TokenResponse::of_oauth2(&answer.body, answer.secrets.clone()),
        };
        let answered = match answered {
            Ok(answered) => answered,
            Err(problem) => {
                let refusal = Refusal::of_success(answer);
                let unread = || Refusal::beside(&problem, answer);
                return Err(refusal.map_or_else(unread, |refusal| self.refused(answer, refusal)));
            }
        };
        let (mut answered, from) = (answered, exchanged.counts_from);
        let ends = answered.refresh_end.and_then(|told| told.at(from));
        let used = self.refresh_token.clone();
        let next = used.map(|used| refresh::next(used, answered.refresh_token.take(), ends));
        let read = answered.token(self.given, self.settings.reach.ttl, from, next);
        read.map_err(|problem| exchanged.unreliable(&problem))
    }

    /// Whose login helps where its refresh token is refused.
    fn login(&self) -> Option<&TokenName> {
        self.settings.login.as_ref().map(|_| &self.given.name)
    }

    /// The secrets that must not come back in a message. Assertions are known by their shape.
    fn secrets(&self) -> SentSecrets {
        let basic = client_auth::encoded(self.settings);
        let refresh_token = self.refresh_token.as_ref().map(|used| used.token.expose().as_str());
        let subject = self.subject.as_ref().map(|subject| subject.expose().as_str());
        let own = client_auth::secrets(self.settings, basic.as_ref()).into_iter().chain(refresh_token).chain(subject);
        let named = self.settings.secrets.iter().map(|(_, secret)| secret.expose().as_str());
        let parents = self.given.parents.iter().map(|(_, token)| token.expose().as_str());
        SentSecrets::of(own.chain(named).chain(parents))
    }

    fn refused(&self, answer: &HttpResponse, refusal: Refusal) -> SourceError {
        if answer.status.is_server_error() || matches!(answer.status.as_u16(), 404 | 405 | 410) {
            self.settings.forget_endpoint(self.given);
        }
        let refusal = match &self.settings.grant {
            Grant::RefreshToken(_) => refusal.of_a_refresh_token(answer, self.login()),
            _ => refusal,
        };
        let mut error = refusal.error.clone();
        error.refused_parent = match &self.settings.grant {
            // RFC 8693 2.2.2 has invalid_request for a subject token that is not taken; most servers say invalid_grant.
            // A server that asks to be left alone is not asked sooner with another one.
            Grant::TokenExchange { subject: SubjectToken::Token(name), .. }
                if error.retry_after.is_none()
                    && refusal.is(&["invalid_grant", "invalid_request", "invalid_token"]) =>
            {
                Some(name.clone())
            }
            _ => None,
        };
        error
    }
}

/// Google's answer to a `target_audience` is an ID token.
fn asks_for_an_id_token(assertion: &AssertionSettings) -> bool {
    assertion.claims.contains_key("target_audience")
}

fn id_token() -> Pointers {
    Pointers { token: "/id_token".into(), expires_in: None, expires_at: None, refresh_token: None }
}
