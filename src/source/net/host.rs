//! Owns: the host that is asked: how it is named, and whether it may be asked in the clear.
//! Does not: look up or connect to one.

use std::fmt;

use reqwest::Url;

use crate::core::address::is_loopback;
use crate::core::engine::Reason;
use crate::source::error::SourceError;

/// Scheme, name and port. Cheap to compare; what people are shown of an address.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Host {
    shown: String,
    plain: bool,
    loopback: bool,
}

impl Host {
    pub fn of(url: &Url) -> Result<Self, SourceError> {
        if !url.has_host() {
            return Err(SourceError::new(Reason::InvalidAnswer, "the endpoint's address has no host"));
        }
        Ok(Self { shown: shown(url), plain: url.scheme() != "https", loopback: is_loopback(url) })
    }

    /// Plain http stays on this machine, unless the config says otherwise.
    pub(super) fn may_be_asked(&self, allow_http: bool) -> Result<(), SourceError> {
        if self.plain && !self.loopback && !allow_http {
            let message =
                "is not asked: plain http would show the secret to the network; use https, or set allow_http = true";
            return Err(self.failure(Reason::InvalidAnswer, message));
        }
        Ok(())
    }

    pub(super) fn plain(&self) -> bool {
        self.plain
    }

    pub(super) fn loopback(&self) -> bool {
        self.loopback
    }

    /// An error that opens with this host.
    pub fn failure(&self, reason: Reason, message: &str) -> SourceError {
        SourceError::new(reason, format!("{self} {message}"))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// `https://name`, with a port that is not the scheme's own; never a user, path or query.
pub(super) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}
