//! Owns: one request to an endpoint and its answer: how many at a time, how long, how large, and what went wrong in words.
//! Nothing is kept open when it is done: a token is obtained once in an hour, and a daemon at rest holds no connection.
//! Does not: know what is asked, read an answer's body, or try again.

mod body;
mod client;
mod endpoint;
mod fault;
mod host;
mod limits;
mod names;
mod offset;
mod trust;
mod turns;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    USER_AGENT,
};
use zeroize::Zeroizing;

pub(crate) use reqwest::{Method, StatusCode, Url, header};

use self::body::{LARGEST_ANSWER, PackedBody};
use self::client::Clients;
pub(crate) use self::client::Way;
pub(crate) use self::endpoint::{Endpoint, MASK, shown_path};
use self::fault::Failed;
pub(crate) use self::host::Host;
use self::limits::Limit;
use self::offset::ClockOffsets;
use self::turns::Turns;
pub(crate) use self::turns::{Requester, WaitingToken};
use super::error::SourceError;
use super::sent::SentSecrets;
use crate::core::engine::Reason;
use crate::core::printable::cut;
use crate::core::secret::{Secret, make_room};
use crate::core::settings::TokenName;
use crate::core::time::{ClockOffset, Wall};

/// Codings that renewd does not unpack (<https://www.iana.org/assignments/http-parameters>): others are not named, for what stands in
/// their place may be anything.
const NOT_UNPACKED: [&str; 5] = ["br", "zstd", "compress", "x-compress", "dcb"];

/// What all network sources share: it holds no connection, and clients only as long as one is in use.
pub struct Network {
    clients: Clients,
    turns: Arc<Turns>,
    offsets: ClockOffsets,
    now: fn() -> Wall,
}

/// What is asked. `Debug` is left out: it holds secrets.
pub struct HttpRequest {
    pub method: Method,
    pub url: Url,
    /// A secret stands in the address, so that of one it is redirected to no path is shown.
    pub url_is_secret: bool,
    /// The path as it may be shown.
    pub shown_path: String,
    pub headers: HeaderMap,
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// What must not be shown, should the answer say it again.
    pub(crate) secrets: SentSecrets,
}

impl HttpRequest {
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            shown_path: shown_path(&url),
            method,
            url,
            url_is_secret: false,
            headers: HeaderMap::new(),
            body: None,
            secrets: SentSecrets::default(),
        }
    }
}

/// What came back, whatever its status; a redirect is an error.
pub struct HttpResponse {
    pub endpoint: Endpoint,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Zeroizing<Vec<u8>>,
    /// When the request was sent, the wait for its turn left out: what `expires_in` counts from.
    pub sent_at: Wall,
    /// Not to be asked again sooner (RFC 9110 10.2.3; header fields of limits).
    pub retry_after: Option<Duration>,
    /// It says that no further request is left for now.
    pub is_limited: bool,
    /// What was sent, and must not be shown.
    pub(crate) secrets: SentSecrets,
    /// `None`: it does not tell the time.
    pub clock_offset: Option<ClockOffset>,
}

/// No answer that is of use.
#[derive(Debug)]
pub struct NetError {
    pub error: SourceError,
    pub fate: Fate,
}

/// What became of a request without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Unsent,
    /// It may have been carried out all the same: it was sent at this moment, and what was answered is lost.
    Lost(Wall),
    /// It was answered by another address.
    Redirected,
}

impl From<NetError> for SourceError {
    fn from(error: NetError) -> Self {
        error.error
    }
}

impl NetError {
    pub fn unsent(error: SourceError) -> Self {
        Self { error, fate: Fate::Unsent }
    }
}

impl Network {
    pub fn new(now: fn() -> Wall) -> Self {
        Self { clients: Clients::default(), turns: Arc::default(), offsets: ClockOffsets::default(), now }
    }

    /// Asks once. The wait for a turn at the host is not part of the timeout.
    ///
    /// # Errors
    /// Everything that leaves no answer to read, told with the address, without query, body or secret.
    pub async fn send(
        &self,
        asker: &Requester,
        request: HttpRequest,
        way: impl Into<Way<'_>>,
    ) -> Result<HttpResponse, NetError> {
        let (url, secret) = (request.url.clone(), request.url_is_secret);
        let answer = self.exchange(asker, request, way.into()).await?;
        match answer.status.is_redirection() {
            true => Err(NetError { error: answer.redirected(&url, secret), fate: Fate::Redirected }),
            false => Ok(answer),
        }
    }

    /// Whether somebody is there, by a request that carries nothing: any answer will do.
    ///
    /// # Errors
    /// As for [`Network::send`].
    pub async fn reach(&self, asker: &Requester, url: Url, way: impl Into<Way<'_>>) -> Result<Host, NetError> {
        Ok(self.exchange(asker, HttpRequest::new(Method::HEAD, url), way.into()).await?.endpoint.host)
    }

    async fn exchange(
        &self,
        asker: &Requester,
        mut request: HttpRequest,
        way: Way<'_>,
    ) -> Result<HttpResponse, NetError> {
        let secrets = std::mem::take(&mut request.secrets);
        // Another one than the client's own was looked at when the config was read.
        let agent = way.reach.user_agent.as_ref().and_then(|agent| HeaderValue::from_str(agent).ok());
        request.headers.extend(agent.map(|agent| (USER_AGENT, agent)));
        let host = Host::of(&request.url).map_err(NetError::unsent)?;
        host.may_be_asked(way.reach.allow_http).map_err(NetError::unsent)?;
        let endpoint = Endpoint::new(host.clone(), request.shown_path.clone());
        let _turn = self.turns.wait(&host, asker, (self.now)()).await;
        let client = self.clients.get(&host, way).await.map_err(|error| NetError::unsent(endpoint.error(&error)))?;
        let said = LoggedRequest::of(&request);
        let (sent_at, start) = ((self.now)(), Instant::now());
        let asked = tokio::time::timeout(way.reach.timeout, ask(&client, request, &endpoint));
        let answered = asked.await.unwrap_or_else(|_| Err(fault::too_slow(&endpoint, way.reach.timeout)));
        match &answered {
            Ok(parts) => tracing::debug!("{said}: {} in {} ms", parts.status.as_u16(), start.elapsed().as_millis()),
            Err(e) => tracing::debug!("{said}: no answer after {} ms: {}", start.elapsed().as_millis(), e.error),
        }
        let Parts { status, headers, body } = answered.map_err(|Failed { error, answer_lost }| {
            let fate = if answer_lost { Fate::Lost(sent_at) } else { Fate::Unsent };
            NetError { error, fate }
        })?;
        let came_at = (self.now)();
        let Limit { is_spent: is_limited, wait: retry_after } = Limit::read(&headers, status, came_at);
        let clock_offset = offset::read(&headers, sent_at, came_at);
        if let Some(offset) = clock_offset {
            self.offsets.keep(&asker.name, offset);
        }
        Ok(HttpResponse { endpoint, status, headers, body, sent_at, retry_after, is_limited, secrets, clock_offset })
    }

    /// How far this machine's clock was from that of the server which answered for that token last.
    pub fn clock_offset(&self, name: &TokenName) -> Option<ClockOffset> {
        self.offsets.of(name)
    }

    /// The token is gone.
    pub(super) fn forget(&self, name: &TokenName) {
        self.offsets.forget(name);
    }

    /// This machine's clock was set: how far it was off before is not told any more.
    pub(crate) fn clock_was_set(&self) {
        self.offsets.clear();
    }

    /// Who waits for a turn at a host.
    pub fn waiting(&self) -> Vec<WaitingToken> {
        self.turns.waiting()
    }
}

/// A request as the log may name it.
struct LoggedRequest(String);

impl LoggedRequest {
    fn of(request: &HttpRequest) -> Self {
        Self(format!("{} {}{}", request.method, host::shown(&request.url), request.shown_path))
    }
}

impl fmt::Display for LoggedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Parts {
    status: StatusCode,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

async fn ask(client: &reqwest::Client, request: HttpRequest, endpoint: &Endpoint) -> Result<Parts, Failed> {
    let HttpRequest { method, url, headers, body, .. } = request;
    let bare = method == Method::HEAD;
    let mut builder = client.request(method.clone(), url).header(ACCEPT_ENCODING, "identity").headers(headers);
    builder = match body {
        Some(body) => builder.body(Bytes::from_owner(body)),
        // RFC 9110 8.6: some servers answer 411 without it.
        None if matches!(method, Method::POST | Method::PUT | Method::PATCH) => builder.header(CONTENT_LENGTH, 0),
        None => builder,
    };
    let mut answer = builder.send().await.map_err(|error| fault::of(endpoint, error))?;
    let status = answer.status();
    if bare || status.is_redirection() {
        return Ok(Parts { status, headers: std::mem::take(answer.headers_mut()), body: Zeroizing::default() });
    }
    if answer.content_length().is_some_and(|length| length > LARGEST_ANSWER as u64) {
        return Err(too_large(endpoint));
    }
    let mut body: Zeroizing<Vec<u8>> = Zeroizing::default();
    loop {
        let chunk = match answer.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(_) if body::is_whole(&body) => break,
            Err(error) => return Err(fault::of(endpoint, error)),
        };
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(too_large(endpoint));
        }
        make_room(&mut body, chunk.len());
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(answer.headers_mut());
    let body = unpacked(endpoint, &headers, body)?;
    Ok(Parts { status, headers, body })
}

fn unpacked(endpoint: &Endpoint, headers: &HeaderMap, body: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let encoding = headers.get(CONTENT_ENCODING).map_or(Ok(""), |encoding| encoding.to_str()).unwrap_or("unknown");
    body::unpacked(body, encoding).map_err(|why| match why {
        PackedBody::TooLarge => too_large(endpoint),
        PackedBody::Unknown => {
            let known = NOT_UNPACKED.iter().find(|known| encoding.trim().eq_ignore_ascii_case(known));
            let shown = known.map(|known| format!(" ({known})")).unwrap_or_default();
            unreadable(endpoint, &format!("the answer is compressed{shown}, although identity was asked for"))
        }
        PackedBody::Damaged => unreadable(endpoint, "the answer is compressed, and cannot be unpacked"),
    })
}

fn too_large(endpoint: &Endpoint) -> Failed {
    unreadable(endpoint, "the answer is larger than 1 MiB: this is no endpoint that hands out tokens")
}

fn unreadable(endpoint: &Endpoint, message: &str) -> Failed {
    Failed { error: endpoint.failure(Reason::InvalidAnswer, message), answer_lost: true }
}

impl HttpResponse {
    /// Where to, without the query; where the address has a secret in it, that may come back in the path.
    fn redirected(&self, from: &Url, secret: bool) -> SourceError {
        let to = self.headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let to = to.and_then(|to| self.secrets.harmless(to)).and_then(|to| from.join(to).ok());
        let to = match to {
            Some(to) if to.has_host() && secret => format!(" to {}", host::shown(&to)),
            Some(to) if to.has_host() => format!(" to {}{}", host::shown(&to), shown_path(&to)),
            _ => String::new(),
        };
        let status = self.status.as_u16();
        let message = format!("answered {status}{to}: redirects are not followed; name the right address");
        self.error(Reason::InvalidAnswer, &message)
    }

    /// An error about this answer: the status decides whether it was refused, and when it may be asked again stands.
    pub fn failure(&self, said: &str) -> SourceError {
        let status = self.status.as_u16();
        let name = self.status.canonical_reason().map(|name| format!(" {name}")).unwrap_or_default();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        self.error(self.reason(), &format!("answered {status}{name}{said}"))
    }

    /// An error about this answer, for another reason than its status tells.
    pub fn error(&self, reason: Reason, message: &str) -> SourceError {
        // A lifetime, a signature or a code that is judged by a clock was judged by that one.
        let clock = self.clock_offset.and_then(ClockOffset::told).map(|told| format!("; {told}")).unwrap_or_default();
        SourceError { retry_after: self.retry_after, ..self.endpoint.failure(reason, &format!("{message}{clock}")) }
    }

    /// What a status that is no success means: refused, out of order, or not understood.
    pub fn reason(&self) -> Reason {
        match self.status.as_u16() {
            401 | 403 if self.is_limited => Reason::Unreachable,
            // Whoever is asked here hands out tokens: a 403 without a code is its no to a client (glewlwyd), as a 401 is.
            401 | 403 => Reason::Rejected,
            408 | 425 | 429 | 500..=599 => Reason::Unreachable,
            _ => Reason::InvalidAnswer,
        }
    }

    /// The media type without its parameters, in small letters; empty where there is none that can be told.
    pub fn media_type(&self) -> String {
        let text = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let text = text.and_then(|text| self.secrets.harmless(text)).unwrap_or_default();
        cut(text.split(';').next().unwrap_or_default().trim(), 60).to_ascii_lowercase()
    }
}

/// The value of a header that holds a secret: it is wiped when it was sent, and never shown. `None` where no header can hold it.
pub(crate) fn secret_value(secret: Secret<String>) -> Option<HeaderValue> {
    let bytes = Zeroizing::new(secret.expose().as_bytes().to_vec());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(bytes)).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Sets a header of the config, whose value was filled in.
///
/// # Errors
/// No header can be that.
pub(crate) fn set(headers: &mut HeaderMap, name: &str, value: Secret<String>) -> Result<(), SourceError> {
    let unfit = || {
        let message = format!("the header {name} cannot hold what its placeholders stand for");
        SourceError::new(Reason::Machine, message)
    };
    let called = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
    headers.insert(called, secret_value(value).ok_or_else(unfit)?);
    Ok(())
}

/// An address of the config or of an answer.
///
/// # Errors
/// It is none; it is not shown, for it may hold a secret.
pub(crate) fn url(text: &str) -> Result<Url, SourceError> {
    let none = || SourceError::new(Reason::InvalidAnswer, "the endpoint's address is not a valid http or https URL");
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(none)
}

#[cfg(test)]
mod tests;
