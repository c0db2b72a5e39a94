//! Owns: listening Unix sockets: bound with mode and group before anybody finds them, or handed over by systemd; and who
//! may connect as the daemon's owner.
//! Does not: speak over them.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use rustix::fs::{AtFlags, Mode, chmodat, chownat};
use tokio::net::{UnixListener, UnixStream};

/// A socket of the daemon, in the words of the config.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    Control,
    Credentials,
}

impl Purpose {
    /// FileDescriptorName= (systemd.socket(5)).
    fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Credentials => "credentials",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Control => "control socket",
            Self::Credentials => "credential socket",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Control => "control_socket",
            Self::Credentials => "credential_socket",
        }
    }
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{} {}: another process listens there; name another {}", .0.words(), .1.display(), .0.key())]
    Taken(Purpose, PathBuf),
    #[error("{} {}: a file that is no socket stands there; remove it or name another {}", .0.words(), .1.display(), .0.key())]
    NoSocket(Purpose, PathBuf),
    #[error("{} {}: {cause}{}", purpose.words(), path.display(), advice(*purpose, cause))]
    Io { purpose: Purpose, path: PathBuf, cause: io::Error },
}

fn advice(purpose: Purpose, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => ": its folder is missing, and renewd creates none".into(),
        io::ErrorKind::PermissionDenied => format!(": this user may not create files there; set {}", purpose.key()),
        _ => String::new(),
    }
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listening {
    pub listener: UnixListener,
    /// `None`: the file is systemd's.
    pub file: Option<SocketFile>,
}

/// A socket's file, removed when this is dropped if it is still the same.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            // Left behind, it is replaced at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Sockets that the service manager listens at for us (sd_listen_fds(3)).
#[derive(Default)]
pub struct Handed(Vec<(Purpose, std::os::unix::net::UnixListener)>);

impl Handed {
    /// Takes what `LISTEN_FDS` and `LISTEN_PID` of this process pass, once. `names` is `LISTEN_FDNAMES`.
    ///
    /// # Errors
    /// One line for each that cannot be used: to be logged. The others are taken all the same.
    pub fn take(names: Option<OsString>) -> (Self, Vec<String>) {
        let mut passed = ListenFd::from_env();
        let names = names.map(|names| names.to_string_lossy().into_owned()).unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let (mut sockets, mut problems) = (Vec::new(), Vec::new());
        for number in 0..passed.len() {
            let name = names.get(number).copied().unwrap_or("unknown");
            let purpose = [Purpose::Control, Purpose::Credentials].into_iter().find(|purpose| purpose.name() == name);
            match (purpose, passed.take_unix_listener(number)) {
                (Some(purpose), Ok(Some(listener))) => sockets.push((purpose, listener)),
                (None, _) => problems.push(format!(
                    "a socket named {name:?} was handed over and is not used: FileDescriptorName= is control or credentials"
                )),
                (Some(_), Ok(None)) => {}
                (Some(purpose), Err(error)) => problems.push(format!(
                    "the {} that was handed over cannot be used: {error}; it must be ListenStream= with a path",
                    purpose.words()
                )),
            }
        }
        (Self(sockets), problems)
    }

    /// The socket for a purpose, where one was handed over.
    ///
    /// # Errors
    /// The runtime cannot take it.
    pub fn listening(&mut self, purpose: Purpose) -> Option<io::Result<Listening>> {
        let at = self.0.iter().position(|(of, _)| *of == purpose)?;
        let (_, listener) = self.0.remove(at);
        let taken = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        Some(taken.map(|listener| Listening { listener, file: None }))
    }
}

/// Listens at `path` (mode 0600, or 0660 for `group`).
///
/// # Errors
/// See [`SocketError`].
pub fn listen(purpose: Purpose, path: &Path, group: Option<u32>) -> Result<Listening, SocketError> {
    let failed = |cause: io::Error| SocketError::Io { purpose, path: path.to_path_buf(), cause };
    make_way(purpose, path)?;
    // Bound under another name: whoever finds the socket at its place finds it with its mode and group.
    // A short one: a socket's path has little room (unix(7), sun_path).
    let draft = path.with_file_name(format!(".{:x}", std::process::id()));
    // A draft of a dead process with our number.
    let _ = std::fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft).map_err(failed)?;
    let placed = place(&draft, path, group);
    if placed.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    placed.map_err(failed)?;
    let inode = std::fs::symlink_metadata(path).map_err(failed)?.ino();
    Ok(Listening { listener, file: Some(SocketFile { path: path.to_path_buf(), inode }) })
}

/// A socket that nobody listens at any more is replaced; a live one, or another file, is not.
fn make_way(purpose: Purpose, path: &Path) -> Result<(), SocketError> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Err(SocketError::NoSocket(purpose, path.to_path_buf()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken(purpose, path.to_path_buf())),
        Err(_) => Ok(()),
    }
}

fn place(draft: &Path, path: &Path, group: Option<u32>) -> io::Result<()> {
    let here = rustix::fs::CWD;
    if let Some(group) = group {
        chownat(here, draft, None, Some(rustix::fs::Gid::from_raw(group)), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    chmodat(here, draft, Mode::from_raw_mode(mode), AtFlags::empty())?;
    std::fs::rename(draft, path)
}

/// Whether root or the daemon's own user is at the other end (SO_PEERCRED, unix(7)).
///
/// # Errors
/// The kernel does not tell.
pub fn is_owner(stream: &UnixStream) -> io::Result<bool> {
    let peer = stream.peer_cred()?;
    Ok(peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw())
}
