//! Owns: settings as a config would give them, and one attempt with them.
//! Does not: assert anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use renewd::core::credential::RefreshToken;
use renewd::core::crypto::{Algorithm, SigningKey};
use renewd::core::engine::{LastTry, Precedence};
use renewd::core::pattern::Pattern;
use renewd::core::secret::Secret;
use renewd::core::settings::*;
use renewd::core::time::Wall;
use renewd::core::token::Token;
use renewd::source::{Execution, Given, Shared, SourceError, of};
use support::pki::Pki;

pub(crate) fn now() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    Wall(i64::try_from(since.as_millis()).expect("a clock of this age"))
}

pub(crate) fn secret(text: &str) -> SecretText {
    Arc::new(Secret::new(text.to_owned()))
}

pub(crate) fn name(text: &str) -> TokenName {
    TokenName::new(text).expect("a name")
}

pub(crate) fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("a pattern")
}

/// Long enough for a loaded machine; what has to fail by time sets its own.
pub(crate) fn reach() -> Reach {
    Reach { ca: None, timeout: Duration::from_secs(20), allow_http: false, user_agent: None, ttl: None }
}

/// The certificate NAME and its key.
pub(crate) fn identity(pki: &Pki, name: &str) -> Identity {
    Identity {
        certificates: pki.read(&format!("{name}.crt")).into(),
        key: Arc::new(Secret::new(pki.read(&format!("{name}.key")))),
    }
}

/// client_credentials with client_secret_basic.
pub(crate) fn oauth2(url: &str) -> OAuth2Settings {
    OAuth2Settings {
        endpoint: TokenEndpoint::Url(url.to_owned()),
        grant: Grant::ClientCredentials,
        client_id: Some("jobs".into()),
        client_id_in_body: false,
        client_auth: ClientAuth::Basic(secret("swordfish-1")),
        scope: None,
        params: Vec::new(),
        headers: Vec::new(),
        secrets: Vec::new(),
        login: None,
        reach: reach(),
    }
}

pub(crate) fn first(token: &str) -> FirstRefresh {
    FirstRefresh { token: Some(secret(token)), digest: Fingerprint::of(token.as_bytes()) }
}

pub(crate) fn refreshing(url: &str, token: &str) -> OAuth2Settings {
    OAuth2Settings { grant: Grant::RefreshToken(first(token)), ..oauth2(url) }
}

pub(crate) fn assertion(algorithm: Algorithm, key: SigningKey) -> Arc<AssertionSettings> {
    Arc::new(AssertionSettings {
        algorithm,
        key: Arc::new(key),
        lifetime: Duration::from_secs(300),
        skew: Duration::ZERO,
        claims: serde_json::Map::new(),
        header: serde_json::Map::new(),
    })
}

/// Everything that one attempt has.
#[derive(Clone)]
pub(crate) struct Try {
    pub shared: Arc<Shared>,
    pub precedence: Precedence,
    pub parents: Vec<(TokenName, Secret<String>)>,
    pub refresh_token: Option<Box<RefreshToken>>,
    pub first_sent: Option<Wall>,
    /// How often it was told that an answer was lost.
    pub lost: Arc<AtomicUsize>,
}

impl Try {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared::new(now)),
            precedence: Precedence { last: LastTry::Good, failures: 0 },
            parents: Vec::new(),
            refresh_token: None,
            first_sent: None,
            lost: Arc::default(),
        }
    }

    pub(crate) fn parent(mut self, parent: &str, token: &str) -> Self {
        self.parents.push((name(parent), Secret::new(token.to_owned())));
        self
    }

    pub(crate) async fn of(&self, plan: SourcePlan) -> Result<Token, SourceError> {
        let source = of(&plan).expect("a source");
        assert_eq!(source.cost(), Execution::Waiting);
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("random numbers");
        let given = Given {
            parents: self.parents.clone(),
            refresh_token: self.refresh_token.as_deref().cloned(),
            first_sent: self.first_sent,
            answer_lost: {
                let lost = self.lost.clone();
                Arc::new(move || _ = lost.fetch_add(1, Ordering::SeqCst))
            },
            precedence: self.precedence,
            ..Given::new(name("tried"), now(), nonce, &self.shared)
        };
        source.obtain(given).await
    }

    pub(crate) fn oauth2(&self, settings: OAuth2Settings) -> Result<Token, SourceError> {
        block(self.of(SourcePlan::OAuth2(Arc::new(settings))))
    }

    pub(crate) fn http(&self, settings: HttpSettings) -> Result<Token, SourceError> {
        block(self.of(SourcePlan::Http(Arc::new(settings))))
    }
}

/// On a runtime like the daemon's.
pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// The error of an attempt with fresh state; nothing of a credential stands in it.
#[track_caller]
pub(crate) fn refused(settings: OAuth2Settings) -> SourceError {
    let error = Try::new().oauth2(settings).expect_err("a failure");
    clean(&error);
    error
}

#[track_caller]
pub(crate) fn clean(error: &SourceError) {
    let shown = format!("{error} {error:?}");
    for secret in ["swordfish", "hunter2", "eyJ"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!error.message.contains('\n'), "{shown}");
}
