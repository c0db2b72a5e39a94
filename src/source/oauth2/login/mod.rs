//! Owns: a person's login, by which a token gets its first refresh token: the requests of each flow, and what they bring.
//! Does not: show anything, wait for a browser, or keep what came.

mod device;

use super::assertion::{self, Occasion};
use super::{FORM, FilledPairs, client_auth, discovery, filled};
use crate::core::credential::RefreshToken;
use crate::core::engine::Reason;
use crate::core::settings::{FirstRefresh, Grant, LoginFlow, LoginSettings, OAuth2Settings, SourcePlan, TokenEndpoint};
use crate::core::token::Token;
use crate::source::answer::TokenResponse;
use crate::source::form::Form;
use crate::source::net::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use crate::source::net::{self, HttpRequest, HttpResponse, Method, NetError};
use crate::source::refusal::Refusal;
use crate::source::sent::SentSecrets;
use crate::source::{Given, SourceError};

pub(crate) use device::DeviceCode;

/// A login of one token.
pub(crate) struct Login<'a> {
    settings: &'a OAuth2Settings,
    login: &'a LoginSettings,
    first: &'a FirstRefresh,
    given: &'a Given,
    /// Where tokens are asked for, as it is written.
    token_url: String,
    /// `params` and `headers` with their placeholders filled in.
    params: FilledPairs,
    headers: FilledPairs,
}

impl<'a> Login<'a> {
    /// Of a token that takes one; the issuer is asked where its endpoints are, where the config does not say.
    ///
    /// # Errors
    /// It takes none, or its issuer does not answer.
    pub(crate) async fn begin(plan: &'a SourcePlan, given: &'a Given) -> Result<Self, SourceError> {
        let none = || SourceError::new(Reason::Machine, format!("token {} takes no login", given.name));
        let SourcePlan::OAuth2(settings) = plan else { return Err(none()) };
        let (Some(login), Grant::RefreshToken(first)) = (settings.login.as_deref(), &settings.grant) else {
            return Err(none());
        };
        let token_url = settings.token_url(given).await?;
        let params = filled(&settings.params, settings, given)?;
        let headers = filled(&settings.headers, settings, given)?;
        Ok(Self { settings, login, first, given, token_url, params, headers })
    }

    /// Where a login of that kind begins.
    async fn endpoint(&self, flow: LoginFlow) -> Result<String, SourceError> {
        let (key, written) = match flow {
            LoginFlow::Device => ("device_authorization_url", &self.login.device_authorization_url),
            LoginFlow::Browser => ("authorization_url", &self.login.authorization_url),
        };
        if let Some(url) = written {
            return Ok(url.clone());
        }
        let missing = |whose: &str| {
            let message = format!("{whose} names no endpoint for a login by {}: set {key}", words(flow));
            SourceError::new(Reason::Machine, message)
        };
        let TokenEndpoint::Issuer(issuer) = &self.settings.endpoint else { return Err(missing("the config")) };
        let endpoints = discovery::endpoints(self.given, issuer, self.settings.way()).await?;
        let told = match flow {
            LoginFlow::Device => &endpoints.device_authorization,
            LoginFlow::Browser => &endpoints.authorization,
        };
        told.clone().ok_or_else(|| missing(&format!("the issuer {issuer}")))
    }

    /// What is asked for.
    fn scope(&self) -> Option<&str> {
        self.login.scope.as_deref().or(self.settings.scope.as_deref())
    }

    /// Sends a form with the client's own proof. `which` sets its assertion apart from the others of this login; `code` is in the
    /// form, and must not come back in a message.
    async fn ask(&self, url: &str, mut form: Form, code: &str, which: u16) -> Result<HttpResponse, NetError> {
        let mut request = HttpRequest::new(Method::POST, net::url(url).map_err(NetError::unsent)?);
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        for (name, value) in &self.headers {
            net::set(&mut request.headers, name, value.clone()).map_err(NetError::unsent)?;
        }
        let occasion = Occasion {
            client_id: self.settings.client_id.as_deref(),
            audience: &self.token_url,
            now: self.given.now(),
            jti: assertion::jti(self.given.nonce, which.to_be_bytes()),
        };
        client_auth::add(self.settings, &occasion, &mut form, &mut request.headers).map_err(NetError::unsent)?;
        request.body = Some(form.body());
        let basic = client_auth::encoded(self.settings);
        let named = self.settings.secrets.iter().map(|(_, secret)| secret.expose().as_str());
        let own = client_auth::secrets(self.settings, basic.as_ref());
        request.secrets = SentSecrets::of(own.into_iter().chain(named).chain([code]));
        self.given.send(request, self.settings.way()).await
    }

    /// Asks the token endpoint, with what the token's own requests carry too.
    async fn ask_for_token(&self, mut form: Form, code: &str, which: u16) -> Result<HttpResponse, NetError> {
        self.params.iter().for_each(|(name, value)| form.add(name, value.expose()));
        self.ask(&self.token_url, form, code, which).await
    }

    /// The token of an answer that ends a login, with the refresh token that it was for.
    fn token(&self, answer: &HttpResponse) -> Result<Token, SourceError> {
        let mut answered = TokenResponse::of_oauth2(&answer.body, answer.secrets.clone()).map_err(|problem| {
            Refusal::of_success(answer).map_or_else(|| Refusal::beside(&problem, answer), |refusal| refusal.error)
        })?;
        let Some(token) = answered.refresh_token.take() else {
            return Err(answer.error(
                Reason::InvalidAnswer,
                "gave no refresh token with it: most issuers want the scope offline_access in login.scope, Google \
                 login.params = { access_type = \"offline\", prompt = \"consent\" }",
            ));
        };
        let expires_at = answered.refresh_end.and_then(|told| told.at(answer.sent_at));
        let next = RefreshToken { token, first: self.first.digest, expires_at };
        let read = answered.token(self.given, self.settings.reach.ttl, answer.sent_at, Some(next));
        read.map_err(|problem| answer.failure(&problem.to_string()))
    }
}

fn words(flow: LoginFlow) -> &'static str {
    match flow {
        LoginFlow::Device => "a device code",
        LoginFlow::Browser => "a browser",
    }
}
