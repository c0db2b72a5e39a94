//! Owns: what kept an answer away, in words for the person on call: the name, the connection, the certificate, the time.
//! Does not: show what may be secret of an address, or anything that was sent.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use rustix::io::Errno;
use rustls::CertificateError as Wrong;

use super::endpoint::Endpoint;
use super::host::Host;
use crate::core::engine::Reason;
use crate::core::printable::cut;
use crate::source::error::SourceError;

/// What a unit needs that was made for signing alone.
const NO_NETWORK: &str = "the unit allows no network: add the drop-in network.conf (PrivateNetwork=no, \
                          RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6, IPAddressDeny=)";

/// What kept an answer away; `answer_lost`: the request was sent, wholly or in part.
pub(super) struct Failed {
    pub(super) error: SourceError,
    pub(super) answer_lost: bool,
}

/// The whole time is up: the connection stood, the answer was not there in full.
pub(super) fn too_slow(endpoint: &Endpoint, timeout: Duration) -> Failed {
    let message = format!("did not answer in full within {}", humantime::format_duration(timeout));
    Failed { error: endpoint.failure(Reason::Unreachable, &message), answer_lost: true }
}

pub(super) fn of(endpoint: &Endpoint, error: reqwest::Error) -> Failed {
    let (host, connecting) = (&endpoint.host, error.is_connect());
    let causes = Causes::of(&error);
    let message = if connecting {
        let through = proxy(host).map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let why = match error.is_timeout() {
            true if !causes.name => no_connection_in_time(host),
            _ => causes.connecting(host),
        };
        format!("cannot be reached{through}: {why}")
    } else {
        format!("gave no answer: {}", causes.answering())
    };
    let message = match causes.hint() {
        Some(hint) if connecting => format!("{message}; {hint}"),
        _ => message,
    };
    Failed { error: endpoint.failure(Reason::Unreachable, &message), answer_lost: !connecting }
}

fn no_connection_in_time(host: &Host) -> String {
    let tls = if host.plain() { "" } else { ", or it speaks no TLS" };
    format!("no connection in time; a firewall may drop what is sent{tls}")
}

/// The proxy that the environment names for this host, without its password.
fn proxy(host: &Host) -> Option<String> {
    if host.loopback() {
        return None;
    }
    let taken = Matcher::from_system().intercept(&format!("{host}/").parse().ok()?)?;
    let (name, port) = (taken.uri().host()?, taken.uri().port_u16());
    Some(port.map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")))
}

/// The reasons of an error that are of use, found in its chain.
#[derive(Default)]
struct Causes {
    name: bool,
    os: Option<i32>,
    kind: Option<io::ErrorKind>,
    tls: Option<rustls::Error>,
    innermost: String,
}

impl Causes {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut found = Self::default();
        let mut next = Some(error);
        while let Some(error) = next {
            found.look_at(error);
            next = error.source();
        }
        found
    }

    fn look_at(&mut self, error: &(dyn Error + 'static)) {
        // reqwest's own words hold the address.
        if !error.is::<reqwest::Error>() {
            self.innermost = cut(&error.to_string(), 200);
            // A SOCKS proxy's names are looked up elsewhere, and told without these words before it.
            let unfound = ["dns error", "failed to lookup address information"];
            self.name |= unfound.iter().any(|words| self.innermost.starts_with(words));
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            self.tls = Some(tls.clone());
        }
        if let Some(io) = error.downcast_ref::<io::Error>() {
            self.os = io.raw_os_error().or(self.os);
            self.kind = Some(io.kind());
            // What an io::Error wraps is skipped by its `source`.
            if let Some(inner) = io.get_ref() {
                self.look_at(inner);
            }
        }
    }

    fn connecting(&self, host: &Host) -> String {
        if let Some(tls) = &self.tls {
            return certificate(tls);
        }
        if self.name && self.kind == Some(io::ErrorKind::TimedOut) {
            return "its name was not looked up in time: the name service does not answer (see /etc/resolv.conf)"
                .into();
        }
        if self.name {
            return format!(
                "its name is not found ({})",
                self.innermost.trim_start_matches("failed to lookup address information: ")
            );
        }
        match self.kind {
            Some(io::ErrorKind::ConnectionRefused) => "connection refused: nobody listens there".into(),
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) if !host.plain() => {
                "the connection was closed during the TLS handshake".into()
            }
            Some(io::ErrorKind::TimedOut) => no_connection_in_time(host),
            _ if self.innermost == "tunnel error: unsuccessful" => "the proxy refuses to connect there".into(),
            _ if self.innermost.starts_with("tunnel error: proxy auth") => {
                "the proxy wants a user and a password".into()
            }
            _ => self.innermost.clone(),
        }
    }

    fn answering(&self) -> String {
        match (&self.tls, self.kind) {
            (Some(tls), _) => certificate(tls),
            (None, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)) => {
                "the connection was reset".into()
            }
            _ => self.innermost.clone(),
        }
    }

    /// Where the unit is what stands in the way, it is said.
    fn hint(&self) -> Option<&'static str> {
        let is = |codes: &[Errno]| self.os.is_some_and(|code| codes.iter().any(|errno| errno.raw_os_error() == code));
        let refused = is(&FORBIDDEN) && in_a_unit();
        let no_way = (is(&[Errno::NETUNREACH]) || is(&FORBIDDEN) || self.name) && network_is_forbidden();
        (refused || no_way).then_some(NO_NETWORK)
    }
}

/// What RestrictAddressFamilies=, a seccomp filter and IPAddressDeny= answer.
const FORBIDDEN: [Errno; 3] = [Errno::AFNOSUPPORT, Errno::PERM, Errno::ACCESS];

fn in_a_unit() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
}

/// Whether this process may use no network at all: no socket is to be had, or, in a unit, no way leads out.
/// Nothing is sent: connecting a datagram socket only looks up the way.
fn network_is_forbidden() -> bool {
    let out = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9));
    match UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) {
        Err(error) => FORBIDDEN.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())),
        Ok(socket) => in_a_unit() && socket.connect(out).is_err(),
    }
}

/// What is wrong with the other side's certificate, or with ours.
fn certificate(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return match error {
            rustls::Error::AlertReceived(alert) => alerted(*alert),
            rustls::Error::InvalidMessage(_) => "it does not speak TLS on this port".into(),
            other => cut(&format!("TLS: {other}"), 200),
        };
    };
    let what = match wrong {
        Wrong::UnknownIssuer => "is signed by nobody that this machine trusts: name the CA's certificate in ca_file",
        Wrong::Expired | Wrong::ExpiredContext { .. } => {
            "has expired: the server needs a new one, or the clock here is wrong"
        }
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => "is not valid yet: is the clock right?",
        Wrong::NotValidForName => "is for another name: use one that stands in it as the host",
        Wrong::NotValidForNameContext { presented, .. } => return for_others(presented),
        Wrong::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "is self-signed, and not one that is trusted: name this very certificate in ca_file"
        }
        Wrong::Revoked => "is revoked",
        Wrong::BadSignature => "has a signature that does not hold",
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => "is not one of a server",
        other => return cut(&format!("its certificate is refused: {other}"), 200),
    };
    format!("its certificate {what}")
}

fn for_others(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let shown = cut(&shown.join(", "), 200);
    format!("its certificate is for another name ({shown}): use one that stands in it as the host")
}

fn alerted(alert: rustls::AlertDescription) -> String {
    use rustls::AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired
        | Alert::BadCertificate
        | Alert::UnknownCA
        | Alert::CertificateExpired
        | Alert::CertificateRevoked
        | Alert::CertificateUnknown
        | Alert::UnsupportedCertificate
        | Alert::AccessDenied => {
            format!("it refused the client's certificate, or wants one ({alert:?}): see client_cert and client_key")
        }
        other => format!("it refused the TLS handshake ({other:?})"),
    }
}
