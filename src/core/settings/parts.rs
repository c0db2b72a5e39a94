//! Owns: what the settings of several sources are made of.
//! Does not: know which source has which.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::core::pattern::Pattern;
use crate::core::secret::Secret;
use crate::core::settings::Fingerprint;

/// A secret that is text: a client secret, a refresh token. Tokens of the same file share it.
pub type SecretText = Arc<Secret<String>>;

/// A client's certificate chain and its key, both PEM (RFC 8705).
#[derive(Clone, Debug)]
pub struct Identity {
    /// The client's own first, each followed by who signed it (RFC 8446 4.4.2).
    pub certificates: Arc<[u8]>,
    /// Of the first certificate.
    pub key: Arc<Secret<Vec<u8>>>,
}

/// The first refresh token, as the config gives it; later ones live in the state.
#[derive(Clone, Debug)]
pub struct FirstRefresh {
    /// Sent until an answer brings another one; `None`: a person logs in for it.
    pub token: Option<SecretText>,
    /// Of its bytes: a stored successor counts only as long as it descends from this one, where there is one.
    pub digest: Fingerprint,
}

impl FirstRefresh {
    /// There is none in the config.
    pub(crate) fn of_a_login() -> Self {
        Self { token: None, digest: Fingerprint::default() }
    }
}

/// Where the members of an answer stand (RFC 6901).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointers {
    /// A string, or the answer is of no use.
    pub token: String,
    /// Seconds from when the request was sent.
    pub expires_in: Option<String>,
    /// RFC 3339, or Unix seconds.
    pub expires_at: Option<String>,
    /// What is sent next; the one at hand stays where nothing stands there.
    pub refresh_token: Option<String>,
}

impl Pointers {
    pub(crate) fn canonical(&self) -> Value {
        let Self { token, expires_in, expires_at, refresh_token } = self;
        json!([token, expires_in, expires_at, refresh_token])
    }
}

/// Members of an object, in order. Most tokens have none of their own, and an empty map takes as much room as a short one.
#[derive(Clone, PartialEq)]
pub struct Members(Option<Box<Map<String, Value>>>);

impl From<Map<String, Value>> for Members {
    fn from(members: Map<String, Value>) -> Self {
        Self(Some(members).filter(|members| !members.is_empty()).map(Box::new))
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Deref for Members {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.0.as_deref().unwrap_or(&NONE)
    }
}

pub(crate) fn patterns(pairs: &[(String, Pattern)]) -> Value {
    pairs.iter().map(|(name, pattern)| json!([name, pattern.source()])).collect()
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
