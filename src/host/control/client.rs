//! Owns: the asking side of the control socket.
//! Does not: find the socket, or print.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use zeroize::Zeroizing;

use super::{Request, Response};

/// A connection is taken, and a request too, within this.
const TAKEN: Duration = Duration::from_secs(10);
/// An answer is at most this long: the status of 100,000 tokens.
const LONGEST_ANSWER: u64 = 256 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no daemon listens at {}: {cause}", path.display())]
    NotThere { path: PathBuf, cause: std::io::Error },
    #[error(
        "{} refuses you: {cause}; run this as root or as the daemon's own user. To let a group read the status, name it as \
         control_group in [daemon]",
        path.display()
    )]
    Refused { path: PathBuf, cause: std::io::Error },
    #[error(
        "no daemon of {} answers: the one at {} (process {pid}) keeps {}",
        config.display(),
        path.display(),
        keeps.display()
    )]
    Stranger { path: PathBuf, pid: u32, keeps: PathBuf, config: PathBuf },
    #[error(
        "the daemon at {} has not answered within {}: it is stopped or very busy",
        path.display(),
        humantime::format_duration(Duration::from_secs(after.as_secs()))
    )]
    Silent { path: PathBuf, after: Duration },
    #[error("the daemon at {} gave no whole answer: {what}", path.display())]
    Broken { path: PathBuf, what: String },
}

/// Who listens at a socket, as the kernel saw it when it was made to listen (SO_PEERCRED, unix(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    pub uid: u32,
    /// The service manager listens, and another process answers: nobody knows as whom.
    pub is_handed: bool,
}

/// Asks the daemon at `path` and waits for its answer, for `patience` at most; tells who listens there.
///
/// # Errors
/// See [`ClientError`].
pub(crate) fn call(path: &Path, request: &Request, patience: Duration) -> Result<(Response, Peer), ClientError> {
    let began = Instant::now();
    let silent = || ClientError::Silent { path: path.to_path_buf(), after: began.elapsed() };
    let mut stream = connect(path, TAKEN.min(patience)).map_err(|cause| {
        let path = path.to_path_buf();
        match cause.kind() {
            ErrorKind::PermissionDenied => ClientError::Refused { path, cause },
            ErrorKind::WouldBlock => silent(),
            _ => ClientError::NotThere { path, cause },
        }
    })?;
    let broken = |what: String| ClientError::Broken { path: path.to_path_buf(), what };
    let io = |error: std::io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => silent(),
        _ => broken(error.to_string()),
    };
    let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(|errno| io(errno.into()))?;
    stream.set_read_timeout(Some(patience)).map_err(io)?;
    let mut line = Zeroizing::new(serde_json::to_vec(request).map_err(|error| broken(error.to_string()))?);
    line.push(b'\n');
    match stream.write_all(&line) {
        // It was refused before it was read to its end: the answer tells why.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        written => written.map_err(io)?,
    }
    let mut answer = Zeroizing::new(Vec::new());
    BufReader::new(stream.take(LONGEST_ANSWER)).read_until(b'\n', &mut answer).map_err(io)?;
    if answer.is_empty() {
        return Err(broken("it closed the connection".into()));
    }
    let response = serde_json::from_slice(&answer).map_err(|error| broken(error.to_string()))?;
    Ok((response, Peer { uid: peer.uid.as_raw(), is_handed: peer.pid.is_init() }))
}

/// Where the queue of the socket is full, connect(2) waits for as long as a sending may take (socket(7), SO_SNDTIMEO).
fn connect(path: &Path, limit: Duration) -> std::io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Zero would be none at all.
    set_socket_timeout(&socket, Timeout::Send, Some(limit.max(Duration::from_millis(1))))?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &SocketAddrUnix::new(path)?))?;
    Ok(socket.into())
}
