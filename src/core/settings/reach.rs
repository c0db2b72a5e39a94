//! Owns: how an endpoint is reached.
//! Does not: reach it.

use std::time::Duration;

use super::stage::{Ready, Stage};

/// How an endpoint is reached. Nothing of it makes another token but `ttl`: not whom the connection trusts, how long a try
/// may take, who asks, or whether an address is taken; the address itself counts.
#[derive(Clone, Debug)]
pub struct Reach<S: Stage = Ready> {
    /// PEM certificates that are trusted beside the system's roots.
    pub ca: Option<S::Certificates>,
    /// Of one request, connecting included; the wait for a turn at the host is not part of it.
    pub timeout: Duration,
    /// Plain http is taken beyond loopback too.
    pub allow_http: bool,
    /// In place of renewd's own (RFC 9110 10.1.5).
    pub user_agent: Option<String>,
    /// The lifetime at most, and where the answer tells none.
    pub ttl: Option<S::At<Duration>>,
}
