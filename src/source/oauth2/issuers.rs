//! Owns: what issuers told of themselves, kept for an hour, and the questions to them that are under way: of all who want to
//! know the same, one asks.
//! Does not: ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::core::settings::Fingerprint;
use crate::source::error::SourceError;
use crate::source::net::Way;

/// What is older is asked for again.
const KEPT: Duration = Duration::from_secs(3600);

/// What an issuer told.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub token: String,
    /// For clients that prove themselves by a certificate (RFC 8705 5).
    pub token_mtls: String,
    /// Where logins begin: these are looked at when one does.
    pub authorization: Option<String>,
    pub device_authorization: Option<String>,
}

pub(super) type Metadata = Result<Arc<Endpoints>, SourceError>;

enum CacheEntry {
    /// All who want to know wait for one answer; nobody does where they all went away.
    Asking(WeakShared<BoxFuture<'static, Metadata>>),
    Known(Instant, Arc<Endpoints>),
}

/// An answer is shared by those alone who would believe it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    issuer: String,
    ca: Option<Fingerprint>,
    allow_http: bool,
}

/// What is known of issuers.
#[derive(Default)]
pub(crate) struct Issuers(Mutex<HashMap<CacheKey, CacheEntry>>);

impl Issuers {
    fn entries(&self) -> MutexGuard<'_, HashMap<CacheKey, CacheEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, or the question under way.
    pub(super) fn look(
        &self,
        key: &CacheKey,
        ask: impl FnOnce() -> BoxFuture<'static, Metadata>,
    ) -> Result<Arc<Endpoints>, Asking> {
        let mut entries = self.entries();
        match entries.get(key) {
            Some(CacheEntry::Known(at, endpoints)) if at.elapsed() < KEPT => return Ok(endpoints.clone()),
            Some(CacheEntry::Asking(asking)) => {
                if let Some(asking) = asking.upgrade() {
                    return Err(asking);
                }
            }
            _ => {}
        }
        let asking = ask().shared();
        if let Some(weak) = asking.downgrade() {
            entries.insert(key.clone(), CacheEntry::Asking(weak));
        }
        Err(asking)
    }

    pub(super) fn learn(&self, key: CacheKey, endpoints: Arc<Endpoints>) {
        self.entries().insert(key, CacheEntry::Known(Instant::now(), endpoints));
    }

    /// What is known of it may be old.
    pub(super) fn forget(&self, key: &CacheKey) {
        self.entries().remove(key);
    }
}

pub(super) type Asking = Shared<BoxFuture<'static, Metadata>>;

impl CacheKey {
    pub(super) fn of(issuer: &str, way: Way<'_>) -> Self {
        let ca = way.reach.ca.as_deref().map(Fingerprint::of);
        Self { issuer: issuer.to_owned(), ca, allow_http: way.reach.allow_http }
    }
}
