//! Owns: clients: whom they trust, who they say they are, and which proxy they take. One is built for a burst of requests and
//! dropped after it: the system's roots alone take more memory than all the rest of the daemon.
//! Does not: send anything.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::Client;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::host::Host;
use super::names::NameLookUp;
use super::trust::Trust;
use crate::core::crypto;
use crate::core::engine::Reason;
use crate::core::settings::{Fingerprint, Identity, Reach};
use crate::process::threads;
use crate::source::error::SourceError;

/// How renewd calls itself.
const USER_AGENT: &str = concat!("renewd/", env!("CARGO_PKG_VERSION"));
/// So many header fields an answer may have.
const MOST_FIELDS: usize = 1000;
/// Where the system's roots are, most often. They are read within that time, or their file system hangs.
const ROOTS: &str = "/etc/ssl/certs";
const BUILDING: Duration = Duration::from_secs(10);
/// A connection gets this part of the whole time, but no less than the next.
const CONNECTING: u32 = 3;
const SHORTEST_CONNECTING: Duration = Duration::from_secs(5);

/// How it is asked.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    pub reach: &'a Reach,
    pub identity: Option<&'a Identity>,
}

impl<'a> From<&'a Reach> for Way<'a> {
    fn from(reach: &'a Reach) -> Self {
        Self { reach, identity: None }
    }
}

/// What makes two clients different.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKind {
    /// No proxy between here and here.
    direct: bool,
    /// Plain http on this machine: nobody's certificate is looked at.
    trustless: bool,
    connecting: Duration,
    ca: Option<Fingerprint>,
    identity: Option<Fingerprint>,
}

/// The clients in use.
#[derive(Default)]
pub(super) struct Clients {
    used: Mutex<HashMap<ClientKind, Weak<Client>>>,
    building: tokio::sync::Mutex<()>,
}

impl Clients {
    /// The client for this host: that of another request under way, or a new one, built beside the daemon's own thread.
    pub(super) async fn get(&self, host: &Host, way: Way<'_>) -> Result<Arc<Client>, SourceError> {
        let kind = ClientKind::of(host, way);
        if let Some(client) = self.used(&kind) {
            return Ok(client);
        }
        // Of a burst, the first builds and the others take what it built. Who reads no certificates waits for nobody who does.
        let _one = if kind.trustless { None } else { Some(self.building.lock().await) };
        if let Some(client) = self.used(&kind) {
            return Ok(client);
        }
        let (ca, identity, built_for) = (way.reach.ca.clone(), way.identity.cloned(), kind.clone());
        let build = move || Ok(build(&built_for, ca.as_deref(), identity.as_ref()));
        let read = Path::new(if kind.trustless { "no certificates" } else { ROOTS });
        let unread = |error| lack(&format!("the certificates of this machine cannot be read: {error}"));
        let client = Arc::new(threads::within(BUILDING, read, build).await.map_err(unread)??);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, client| client.strong_count() > 0);
        used.insert(kind, Arc::downgrade(&client));
        Ok(client)
    }

    fn used(&self, kind: &ClientKind) -> Option<Arc<Client>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).get(kind).and_then(Weak::upgrade)
    }
}

impl ClientKind {
    fn of(host: &Host, way: Way<'_>) -> Self {
        let timeout = way.reach.timeout;
        Self {
            direct: host.loopback(),
            trustless: host.loopback() && host.plain(),
            connecting: (timeout / CONNECTING).max(SHORTEST_CONNECTING).min(timeout),
            ca: way.reach.ca.as_deref().map(Fingerprint::of),
            identity: way.identity.map(|identity| {
                let parts = [Fingerprint::of(&identity.certificates).0, Fingerprint::of(identity.key.expose()).0];
                Fingerprint::of(parts.as_flattened())
            }),
        }
    }
}

fn build(kind: &ClientKind, ca: Option<&[u8]>, identity: Option<&Identity>) -> Result<Client, SourceError> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(kind, ca, identity)?)
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_max_idle_per_host(0)
        // What is odd and readable is read, as curl does: lines that were folded (RFC 9112 5.2), a cookie with a control byte in it.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_max_headers(MOST_FIELDS)
        // Some servers compare them letter by letter.
        .http1_title_case_headers()
        .dns_resolver(NameLookUp::within(kind.connecting))
        .connect_timeout(kind.connecting);
    if kind.direct {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|_| broken())
}

fn tls(kind: &ClientKind, ca: Option<&[u8]>, identity: Option<&Identity>) -> Result<ClientConfig, SourceError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|_| broken())?;
    let config = if kind.trustless {
        config.with_root_certificates(RootCertStore::empty())
    } else {
        let named = ca.map(|ca| certificates("ca_file", ca)).transpose()?.unwrap_or_default();
        let trust = Trust::new(roots(&named)?, named, provider).map_err(|_| broken())?;
        config.dangerous().with_custom_certificate_verifier(Arc::new(trust))
    };
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = own(identity)?;
            let mismatch = |_| {
                lack("client_cert.file and client_key.file do not belong together, or the key is of an unknown kind")
            };
            config.with_client_auth_cert(chain, key).map_err(mismatch)?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The system's roots, and those of `ca_file` beside them.
fn roots(named: &[CertificateDer<'static>]) -> Result<RootCertStore, SourceError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in named {
        roots.add(certificate.clone()).map_err(|_| lack("ca_file holds a certificate that cannot be read"))?;
    }
    if roots.is_empty() {
        return Err(lack("this machine trusts no certificate at all: install ca-certificates, or set ca_file"));
    }
    Ok(roots)
}

/// The certificates under `name`, which the plan found to be some.
fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let read = crypto::certificates(pem).map_err(|wrong| lack(&format!("{name} is not usable: {wrong}")))?;
    Ok(read.into_iter().map(CertificateDer::from).collect())
}

fn own(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SourceError> {
    let chain = certificates("client_cert.file", &identity.certificates)?;
    let key = crypto::private_der(identity.key.expose()).ok();
    let key = key.and_then(|mut der| PrivateKeyDer::try_from(std::mem::take(&mut *der)).ok());
    Ok((chain, key.ok_or_else(|| lack("client_key.file holds no private key in PEM"))?))
}

fn broken() -> SourceError {
    lack("the client could not be built: please report this")
}

fn lack(message: &str) -> SourceError {
    SourceError::new(Reason::Machine, message)
}
