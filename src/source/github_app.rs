//! Owns: `source = "github-app"`: an installation access token of GitHub, by the app's own JWT.
//! Nothing is kept from one to the next: an installation is looked up each time, since it may have been made anew.
//! Does not: read the private key, or speak HTTP itself.

mod refusal;

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::answer::TokenResponse;
use super::document::{AnswerError, Document};
use super::net::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use super::net::{self, HttpRequest, HttpResponse, Method, NetError, Url};
use super::{Given, Source, SourceError};
use crate::core::crypto::Algorithm;
use crate::core::engine::Reason;
use crate::core::jose;
use crate::core::secret::Secret;
use crate::core::settings::{GithubAppSettings, Installation, Pointers};
use crate::core::time::Wall;
use crate::core::token::Token;

const ACCEPTED: HeaderValue = HeaderValue::from_static("application/vnd.github+json");
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-github-api-version"), HeaderValue::from_static("2022-11-28"));
/// GitHub's clock may be behind ours by this much ...
const BACKDATED: Duration = Duration::from_secs(60);
/// ... or ahead by as much: it takes no JWT that ends later than 10 minutes from its now, or lasts longer.
const LIFETIME: Duration = Duration::from_secs(9 * 60);

impl Source for GithubAppSettings {
    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Token, SourceError>> {
        Box::pin(obtain(self, given))
    }
}

async fn obtain(settings: &GithubAppSettings, given: Given) -> Result<Token, SourceError> {
    let hub = Hub { settings, given: &given, jwt: app_jwt(settings, given.now()).await? };
    let id = match &settings.installation {
        Installation::Id(id) => id.clone(),
        Installation::Owner(owner) => hub.installation_of_owner(owner).await?,
        Installation::Repository(repository) => hub.installation_of_repository(repository).await?,
    };
    let answer = hub.ask(Method::POST, &["app", "installations", &id, "access_tokens"], Some(wanted(settings))).await?;
    if !answer.status.is_success() {
        return Err(refusal::of(&answer, &format!("installation {id}")));
    }
    let pointers = Pointers {
        token: "/token".into(),
        expires_in: None,
        expires_at: Some("/expires_at".into()),
        refresh_token: None,
    };
    let answered = TokenResponse::read(&answer.body, &pointers).map_err(|problem| answer.unread(&problem))?;
    let read = answered.token(&given, settings.reach.ttl, answer.sent_at, None);
    read.map_err(|problem| answer.failure(&problem.to_string()))
}

/// The JWT by which the app authenticates. An RSA signature takes as long as a thousand others: it is made beside the
/// daemon's own thread.
async fn app_jwt(settings: &GithubAppSettings, now: Wall) -> Result<Secret<String>, SourceError> {
    let (key, claims) = (settings.key.clone(), claims(&settings.app, now));
    let sign = move || {
        let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"RS256"}"#);
        jose::seal(&key, Algorithm::RS256, &header, claims.to_string().as_bytes())
    };
    match tokio::task::spawn_blocking(sign).await {
        Ok(Ok(jwt)) => Ok(jwt),
        Ok(Err(error)) => {
            Err(SourceError::new(Reason::Machine, format!("the app's JWT cannot be signed with private_key: {error}")))
        }
        Err(_) => Err(SourceError::new(Reason::Machine, "the app's JWT was not signed: please report this")),
    }
}

fn claims(app: &str, now: Wall) -> Value {
    json!({"iat": now.minus(BACKDATED).secs(), "exp": now.plus(LIFETIME).secs(), "iss": app})
}

/// What the token is to be good for: all that the installation has where nothing is said.
fn wanted(settings: &GithubAppSettings) -> Value {
    let mut wanted = Map::new();
    if !settings.repositories.is_empty() {
        wanted.insert("repositories".into(), json!(settings.repositories));
    }
    if !settings.permissions.is_empty() {
        wanted.insert("permissions".into(), json!(settings.permissions));
    }
    Value::Object(wanted)
}

/// GitHub, as one attempt asks it.
struct Hub<'a> {
    settings: &'a GithubAppSettings,
    given: &'a Given,
    jwt: Secret<String>,
}

impl Hub<'_> {
    /// An owner is an organization or a user, and its name does not tell which.
    async fn installation_of_owner(&self, owner: &str) -> Result<String, SourceError> {
        let answer = self.ask(Method::GET, &["orgs", owner, "installation"], None).await?;
        let answer = match answer.status.as_u16() {
            404 => self.ask(Method::GET, &["users", owner, "installation"], None).await?,
            _ => answer,
        };
        self.installation_in(&answer, &format!("an installation for owner {owner}"))
    }

    async fn installation_of_repository(&self, repository: &str) -> Result<String, SourceError> {
        let (owner, name) = repository.split_once('/').unwrap_or((repository, ""));
        let answer = self.ask(Method::GET, &["repos", owner, name, "installation"], None).await?;
        self.installation_in(&answer, &format!("an installation for repository {repository}"))
    }

    fn installation_in(&self, answer: &HttpResponse, what: &str) -> Result<String, SourceError> {
        if !answer.status.is_success() {
            return Err(refusal::of(answer, what));
        }
        let document = Document::parse(&answer.body).map_err(|problem| answer.unread(&problem))?;
        match document.at("/id").and_then(Value::as_u64) {
            Some(id) => Ok(id.to_string()),
            None => Err(answer.unread(&AnswerError::Absent("/id".into()))),
        }
    }

    async fn ask(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<HttpResponse, SourceError> {
        let mut request = HttpRequest::new(method, address(&self.settings.api_url, path)?);
        let bearer = net::secret_value(Secret::new(["Bearer ", self.jwt.expose()].concat()));
        // A JWT is always fit for a header.
        request.headers.extend(bearer.map(|bearer| (AUTHORIZATION, bearer)));
        request.headers.extend([(ACCEPT, ACCEPTED), VERSION]);
        if let Some(body) = body {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = Some(Zeroizing::new(body.to_string().into_bytes()));
        }
        self.given.send(request, &self.settings.reach).await.map_err(|NetError { error, .. }| error)
    }
}

/// An address below `api_url`; each part is one step, whatever stands in it.
fn address(api_url: &str, path: &[&str]) -> Result<Url, SourceError> {
    let mut url = net::url(api_url)?;
    if let Ok(mut steps) = url.path_segments_mut() {
        steps.pop_if_empty().extend(path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_allow_for_a_clock_that_is_off_by_a_minute() {
        let claims = claims("Iv1.abc", Wall(1_600_000_000_999));
        assert_eq!(claims, json!({"iat": 1_599_999_940, "exp": 1_600_000_540, "iss": "Iv1.abc"}));
        // What GitHub takes at most.
        assert!(LIFETIME + BACKDATED <= Duration::from_secs(600));
    }

    #[test]
    fn addresses_are_below_the_api_and_nothing_steps_out() {
        for (api, path, wanted) in [
            (
                "https://api.github.com",
                ["orgs", "octo", "installation"],
                "https://api.github.com/orgs/octo/installation",
            ),
            ("https://h/api/v3", ["users", "a b", "x"], "https://h/api/v3/users/a%20b/x"),
            ("https://h/api/v3/", ["users", "a/../b?c#d", "x"], "https://h/api/v3/users/a%2F..%2Fb%3Fc%23d/x"),
        ] {
            assert_eq!(address(api, &path).unwrap().as_str(), wanted);
        }
        assert!(address("not an address", &["x"]).is_err());
    }
}
