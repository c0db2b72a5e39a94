//! Owns: how a token is obtained, behind one trait, one file a kind.
//! Does not: decide when, deliver, or keep anything.

pub(crate) mod answer;
pub(crate) mod command;
pub(crate) mod document;
mod error;
pub(crate) mod expiry;
mod form;
mod github_app;
mod http;
pub(crate) mod jwt;
mod moment;
pub(crate) mod net;
mod oauth2;
pub(crate) mod probe;
mod refresh;
mod refusal;
mod remarks;
mod sent;
mod words;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::net::{Host, HttpRequest, HttpResponse, NetError, Network, Requester, Way};
use self::oauth2::issuers::Issuers;
use self::remarks::Remarks;
use crate::core::credential::RefreshToken;
use crate::core::engine::{Precedence, Reason};
use crate::core::secret::Secret;
use crate::core::settings::{SourcePlan, TokenName};
use crate::core::time::Wall;
use crate::core::token::Token;

pub use self::error::SourceError;
pub(crate) use self::oauth2::{DeviceCode, Login};
pub(crate) use self::refresh::{refresh_token, waits_for_login};

/// What all attempts share.
pub struct Shared {
    /// The way to endpoints.
    pub network: Network,
    issuers: Issuers,
    remarks: Remarks,
    /// The wall clock, for sources that wait before they ask.
    now: fn() -> Wall,
}

impl Shared {
    /// No host was asked yet, and no issuer's metadata is known.
    pub fn new(now: fn() -> Wall) -> Self {
        Self { network: Network::new(now), issuers: Issuers::default(), remarks: Remarks::default(), now }
    }

    /// The token is gone: nothing of its answers is kept.
    pub(crate) fn forget(&self, name: &TokenName) {
        self.network.forget(name);
        self.remarks.forget(name);
    }
}

/// What an attempt is given.
pub struct Given {
    /// Whose attempt it is, for the log.
    pub name: TokenName,
    /// The moment to issue a token for.
    pub at: Wall,
    /// 16 random bytes that are used for nothing else.
    pub nonce: [u8; 16],
    /// The tokens that it is made from.
    pub parents: Vec<(TokenName, Secret<String>)>,
    /// What the last one left to refresh with.
    pub refresh_token: Option<RefreshToken>,
    /// When the refresh token was first sent, where that was in an earlier attempt whose answer never came.
    pub first_sent: Option<Wall>,
    /// Told when an answer was lost, before the refresh token is sent once more.
    pub answer_lost: Arc<dyn Fn() + Send + Sync>,
    /// Whether it goes before others that ask the same host.
    pub precedence: Precedence,
    /// The same for all attempts of a process, so that hosts are asked in turn.
    pub shared: Arc<Shared>,
}

impl Given {
    /// Of a token that was never tried, and is made from no other one.
    pub fn new(name: TokenName, at: Wall, nonce: [u8; 16], shared: &Arc<Shared>) -> Self {
        Self {
            name,
            at,
            nonce,
            parents: Vec::new(),
            refresh_token: None,
            first_sent: None,
            answer_lost: Arc::new(|| {}),
            precedence: Precedence::NEW,
            shared: shared.clone(),
        }
    }

    fn now(&self) -> Wall {
        (self.shared.now)()
    }

    /// Says once what is odd in an answer and does no harm.
    fn remark(&self, remark: &str) {
        if self.shared.remarks.is_new(&self.name, remark) {
            tracing::warn!(token = %self.name, "token {}: the answer {remark}", self.name);
        }
    }

    /// Asks an endpoint once: see [`Network::send`].
    async fn send(&self, request: HttpRequest, way: impl Into<Way<'_>>) -> Result<HttpResponse, NetError> {
        self.shared.network.send(&self.asker(), request, way).await
    }

    /// Who it is to a host.
    fn asker(&self) -> Requester {
        Requester { name: self.name.clone(), precedence: self.precedence }
    }
}

/// What of the scope in the settings is not in the one that an answer named.
pub fn not_granted(plan: &SourcePlan, scope: Option<&str>) -> Vec<String> {
    match plan {
        SourcePlan::OAuth2(settings) => settings.not_granted(scope),
        _ => Vec::new(),
    }
}

/// Where a source is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Execution {
    /// Microseconds: where the batch is made.
    Instant,
    /// Up to milliseconds of computing: on a thread of its own.
    Computing,
    /// It waits for the network or a process, and computes little: a task of the daemon's own runtime.
    Waiting,
}

/// A way to obtain tokens.
pub trait Source: Send + Sync {
    /// Most wait for others.
    fn cost(&self) -> Execution {
        Execution::Waiting
    }

    /// Obtains one; which try it came of is for the caller to say. Only where its cost is `Waiting` does it ever wait.
    ///
    /// # Errors
    /// See [`SourceError`]; the engine tries again.
    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Token, SourceError>>;

    /// Whether a mere look may obtain one: a program that is run may do anything.
    fn is_probed(&self) -> bool {
        true
    }

    /// Looks whether its endpoint is there, without asking for anything.
    ///
    /// # Errors
    /// It is not reached, or has none.
    fn reach<'a>(&'a self, _given: &'a Given) -> BoxFuture<'a, Result<Host, SourceError>> {
        Box::pin(async { Err(SourceError::new(Reason::Machine, "it has no endpoint")) })
    }
}

/// The source that a plan asks for; `None` where the machine lacks what it needs.
pub fn of(plan: &SourcePlan) -> Option<Arc<dyn Source>> {
    match plan {
        SourcePlan::Jwt(settings) => Some(settings.clone()),
        SourcePlan::OAuth2(settings) => Some(settings.clone()),
        SourcePlan::Http(settings) => Some(settings.clone()),
        SourcePlan::GithubApp(settings) => Some(settings.clone()),
        SourcePlan::Command(settings) => Some(settings.clone()),
        SourcePlan::Lacking(..) => None,
    }
}
