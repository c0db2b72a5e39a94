//! Owns: asking an issuer where its token endpoint is (RFC 8414, OpenID Connect Discovery 1.0 4), once for all who want to know,
//! and anew where the endpoint fails.
//! Does not: keep what was told (`issuers` does), or ask the token endpoint.

use std::sync::Arc;

use futures_util::FutureExt;

use super::issuers::{CacheKey, Endpoints, Metadata};
use crate::core::engine::Reason;
use crate::source::Given;
use crate::source::document::Document;
use crate::source::error::SourceError;
use crate::source::net::header::{ACCEPT, HeaderValue};
use crate::source::net::{Fate, HttpRequest, HttpResponse, Method, NetError, Network, Requester, Url, Way, url};
use crate::source::refusal::Refusal;

pub(super) async fn endpoints(given: &Given, issuer: &str, way: Way<'_>) -> Metadata {
    let key = CacheKey::of(issuer, way);
    let question = || {
        let (shared, asker, issuer) = (given.shared.clone(), given.asker(), issuer.to_owned());
        let (reach, identity) = (way.reach.clone(), way.identity.cloned());
        async move {
            let way = Way { reach: &reach, identity: identity.as_ref() };
            ask(&shared.network, &asker, &issuer, way).await.map(Arc::new)
        }
        .boxed()
    };
    let asking = match given.shared.issuers.look(&key, question) {
        Ok(endpoints) => return Ok(endpoints),
        Err(asking) => asking,
    };
    let told = asking.await;
    // A question that failed is gone with the last who waited for it.
    if let Ok(endpoints) = &told {
        given.shared.issuers.learn(key, endpoints.clone());
    }
    told
}

/// The places where metadata may stand, each where those before gave none, whatever they said: another program may answer
/// there. Where nobody answers at all, or who answers is asked too often, the others are not tried: they stand on the same host.
async fn ask(network: &Network, asker: &Requester, issuer: &str, way: Way<'_>) -> Result<Endpoints, SourceError> {
    let mut missed: Vec<NoMetadata> = Vec::new();
    for place in places(&url(issuer)?) {
        match ask_at(network, asker, issuer, &place, way).await {
            Ok(endpoints) => return Ok(endpoints),
            Err(one) => {
                let is_last = one.telling == Detail::Nothing;
                missed.push(one);
                if is_last {
                    break;
                }
            }
        }
    }
    Err(cannot_be_had(missed))
}

/// An error that names all places and what each said, of the kind of what tells most.
fn cannot_be_had(missed: Vec<NoMetadata>) -> SourceError {
    let said: Vec<&str> = missed.iter().map(|one| one.error.message.as_str()).collect();
    let message = format!("the issuer's metadata cannot be had: {}", said.join("; "));
    let retry_after = missed.iter().filter_map(|one| one.error.retry_after).max();
    // Of equals the first.
    match missed.into_iter().rev().max_by_key(|one| one.telling) {
        Some(most) => SourceError { message, retry_after, ..most.error },
        None => SourceError::new(Reason::InvalidAnswer, message),
    }
}

/// A place without metadata. Its error opens with the place's address.
struct NoMetadata {
    telling: Detail,
    error: SourceError,
}

/// How much the answer of a place says about what is wrong, from little to much.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Nothing stands there.
    Absent,
    /// Another status. None is about our credential, for none was sent.
    Refused,
    /// There is no answer, or it asks to be left alone for a while: the host itself is meant.
    Nothing,
    /// It is out of order, and may be well again.
    Broken,
    /// Something stands there, and is wrong.
    Wrong,
}

async fn ask_at(
    network: &Network,
    asker: &Requester,
    issuer: &str,
    place: &Url,
    way: Way<'_>,
) -> Result<Endpoints, NoMetadata> {
    let mut request = HttpRequest::new(Method::GET, place.clone());
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let (telling, error) = match network.send(asker, request, way).await {
        Err(NetError { error, fate: Fate::Redirected }) => (Detail::Refused, error),
        Err(NetError { error, .. }) => (Detail::Nothing, error),
        Ok(answer) if answer.status.is_success() => match read(issuer, &answer) {
            Ok(endpoints) => return Ok(endpoints),
            Err(error) => (Detail::Wrong, error),
        },
        Ok(answer) => {
            let error = Refusal::of(&answer).error;
            match error.reason {
                _ if answer.status.as_u16() == 429 && error.retry_after.is_some() => (Detail::Nothing, error),
                Reason::Unreachable => (Detail::Broken, error),
                _ if answer.status.as_u16() == 404 => (Detail::Absent, error),
                _ => (Detail::Refused, error),
            }
        }
    };
    let reason = if error.reason == Reason::Rejected { Reason::InvalidAnswer } else { error.reason };
    Err(NoMetadata { telling, error: SourceError { reason, ..error } })
}

fn read(issuer: &str, answer: &HttpResponse) -> Result<Endpoints, SourceError> {
    let document = Document::parse(&answer.body).map_err(|problem| answer.unread(&problem))?;
    let text = |at: &str| document.text(at).map_err(|problem| answer.unread(&problem));
    // RFC 8414 3.3: another one may be an impostor.
    if text("/issuer")? != Some(issuer) {
        let other = text("/issuer")?.map_or("no issuer".into(), crate::core::redact::peer_words);
        let message = format!("it calls itself {other}, and the config {issuer}: the two must be equal to the letter");
        return Err(answer.failure(&message));
    }
    let token = text("/token_endpoint")?.ok_or_else(|| answer.failure("it names no token_endpoint"))?;
    let token_mtls = text("/mtls_endpoint_aliases/token_endpoint")?.unwrap_or(token);
    for endpoint in [token, token_mtls] {
        url(endpoint).map_err(|_| answer.failure("its token_endpoint is not a valid http or https URL"))?;
    }
    // What is odd in these is for who logs in alone.
    let optional = |at: &str| document.text(at).ok().flatten().map(str::to_owned);
    Ok(Endpoints {
        token: token.to_owned(),
        token_mtls: token_mtls.to_owned(),
        authorization: optional("/authorization_endpoint"),
        device_authorization: optional("/device_authorization_endpoint"),
    })
}

/// RFC 8414 3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery 4.1 behind it; some servers have the one's
/// name at the other's place.
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: &str| {
        let mut place = issuer.clone();
        place.set_path(path);
        place.set_query(None);
        place
    };
    let mut places = vec![
        at(&format!("/.well-known/oauth-authorization-server{path}")),
        at(&format!("{path}/.well-known/openid-configuration")),
    ];
    if !path.is_empty() {
        places.push(at(&format!("{path}/.well-known/oauth-authorization-server")));
        places.push(at(&format!("/.well-known/openid-configuration{path}")));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_stands_where_the_standards_say_and_where_servers_have_it() {
        let of =
            |issuer: &str| places(&Url::parse(issuer).unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>();
        let wanted = [
            "https://idp.example/.well-known/oauth-authorization-server/tenant",
            "https://idp.example/tenant/.well-known/openid-configuration",
            "https://idp.example/tenant/.well-known/oauth-authorization-server",
            "https://idp.example/.well-known/openid-configuration/tenant",
        ];
        assert_eq!(of("https://idp.example/tenant"), wanted);
        assert_eq!(of("https://idp.example/tenant/"), wanted);
        assert_eq!(
            of("https://idp.example:8443"),
            [
                "https://idp.example:8443/.well-known/oauth-authorization-server",
                "https://idp.example:8443/.well-known/openid-configuration",
            ]
        );
    }
}
