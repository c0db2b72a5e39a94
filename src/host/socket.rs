//! Owns: listening Unix sockets: bound with mode and group before anybody finds them, or handed over by systemd; and who
//! may connect as the daemon's owner.
//! Does not: speak over them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, chownat, openat, renameat, statat, unlinkat};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};

use super::seldom::Seldom;
use super::walk::{Folder, WalkError, open_own_folder};
use crate::process::threads;

/// Connections that wait to be taken, as std asks for.
const BACKLOG: i32 = 128;
/// Where nobody can be let in, it is tried again after this.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);
/// Whether a client that sends no more is still there is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A socket of the daemon, in the words of the config.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SocketPurpose {
    Control,
    Credentials,
}

impl SocketPurpose {
    /// FileDescriptorName= (systemd.socket(5)).
    fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Credentials => "credentials",
        }
    }

    /// Two that are bound at a time have two drafts.
    fn letter(self) -> char {
        match self {
            Self::Control => 'c',
            Self::Credentials => 'k',
        }
    }

    pub(crate) fn words(self) -> &'static str {
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
pub(crate) enum SocketError {
    #[error("{} {}: another process listens there; name another {}", .0.words(), .1.display(), .0.key())]
    Taken(SocketPurpose, PathBuf),
    #[error("{} {}: a file that is no socket stands there; remove it or name another {}", .0.words(), .1.display(), .0.key())]
    NoSocket(SocketPurpose, PathBuf),
    #[error("{} {}: {cause}", purpose.words(), path.display())]
    Folder { purpose: SocketPurpose, path: PathBuf, cause: Box<WalkError> },
    #[error("{} {}: {cause}{}", purpose.words(), path.display(), advice(*purpose, cause))]
    Io { purpose: SocketPurpose, path: PathBuf, cause: io::Error },
}

fn advice(purpose: SocketPurpose, cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::NotFound => ": its folder is missing, and renewd creates none".into(),
        io::ErrorKind::PermissionDenied => format!(": this user may not create files there; set {}", purpose.key()),
        _ => String::new(),
    }
}

/// A socket that was bound, for a runtime to listen at.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: std::os::unix::net::UnixListener,
    file: SocketFile,
}

impl Bound {
    /// To be called within the runtime that will serve it.
    ///
    /// # Errors
    /// The runtime cannot take it.
    pub(crate) fn listening(self) -> io::Result<Listening> {
        Ok(Listening { listener: UnixListener::from_std(self.listener)?, file: Some(self.file) })
    }
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listening {
    pub listener: UnixListener,
    /// `None`: the file is systemd's.
    pub file: Option<SocketFile>,
}

impl Listening {
    /// Where it is found. `None`: the file is systemd's.
    pub(crate) fn place(&self) -> Option<SocketInode> {
        self.file.as_ref().map(|file| file.place.clone())
    }
}

/// Which file a socket is: found again by device and inode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SocketInode {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketInode {
    /// Whether the path leads to that file still. It may hang where its file system does.
    pub(crate) fn is_kept(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.id)
    }
}

/// A socket's file, removed when this is dropped if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    place: SocketInode,
}

/// The removal of a socket's file is waited for so long.
const REMOVAL: Duration = Duration::from_millis(300);

impl Drop for SocketFile {
    /// Where the file system hangs, or no thread can be had, the file stays: it is replaced at the next start.
    fn drop(&mut self) {
        let place = self.place.clone();
        threads::answer_within(REMOVAL, "remove-socket", move || {
            if place.is_kept() {
                let _ = std::fs::remove_file(&place.path);
            }
        });
    }
}

/// Sockets that the service manager listens at for us (sd_listen_fds(3)).
#[derive(Default)]
pub(crate) struct Handed(Vec<(SocketPurpose, std::os::unix::net::UnixListener)>);

impl Handed {
    /// Takes what `LISTEN_FDS` and `LISTEN_PID` of this process pass, once. `names` is `LISTEN_FDNAMES`.
    ///
    /// # Errors
    /// One line for each that cannot be used: to be logged. The others are taken all the same.
    pub(crate) fn take(names: Option<OsString>) -> (Self, Vec<String>) {
        let mut passed = ListenFd::from_env();
        let names = names.map(|names| names.to_string_lossy().into_owned()).unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let (mut sockets, mut problems) = (Vec::new(), Vec::new());
        for number in 0..passed.len() {
            let name = names.get(number).copied().unwrap_or("unknown");
            let purpose =
                [SocketPurpose::Control, SocketPurpose::Credentials].into_iter().find(|purpose| purpose.name() == name);
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
    pub(crate) fn listening(&mut self, purpose: SocketPurpose) -> Option<io::Result<Listening>> {
        let at = self.0.iter().position(|(of, _)| *of == purpose)?;
        let (_, listener) = self.0.remove(at);
        let taken = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        Some(taken.map(|listener| Listening { listener, file: None }))
    }
}

/// Binds at `path` (mode 0600, or 0660 for `group`), in a folder of this user or root to which the way is safe. It looks at the
/// file system, and so may hang.
///
/// # Errors
/// See [`SocketError`].
pub(crate) fn bind(purpose: SocketPurpose, path: &Path, group: Option<u32>) -> Result<Bound, SocketError> {
    let failed = |cause: io::Error| SocketError::Io { purpose, path: path.to_path_buf(), cause };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(io::ErrorKind::InvalidInput.into()));
    };
    let folder = open_own_folder(folder).map_err(|cause| match cause {
        WalkError::Missing { .. } => failed(io::ErrorKind::NotFound.into()),
        cause => SocketError::Folder { purpose, path: path.to_path_buf(), cause: Box::new(cause) },
    })?;
    make_way(purpose, path)?;
    // Bound under another name: whoever finds the socket at its place finds it with its mode and group.
    // A short one: a socket's path has little room (unix(7), sun_path).
    let draft = format!(".{:x}{}", std::process::id(), purpose.letter());
    // A draft of a dead process with our number.
    let _ = unlinkat(&folder.fd, &draft, AtFlags::empty());
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    let listener = bind_in(&folder, &draft, path, mode).map_err(failed)?;
    let placed = place(&folder, &draft, name, group, mode);
    if placed.is_err() {
        let _ = unlinkat(&folder.fd, &draft, AtFlags::empty());
    }
    let id = placed.map_err(failed)?;
    Ok(Bound { listener, file: SocketFile { place: SocketInode { path: path.to_path_buf(), id } } })
}

/// Binds below the folder that was walked to.
fn bind_in(folder: &Folder, draft: &str, path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The file gets the mode of the socket, less the umask: at no moment is it open to more than that.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
    let below = PathBuf::from(format!("/proc/self/fd/{}", folder.fd.as_raw_fd()));
    // Nobody else can swap this folder: where there is no /proc, its path will do.
    let at = if below.exists() { below.join(draft) } else { path.with_file_name(draft) };
    rustix::net::bind(&socket, &SocketAddrUnix::new(&at)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// A socket that nobody listens at any more is replaced; a live one, or another file, is not.
fn make_way(purpose: SocketPurpose, path: &Path) -> Result<(), SocketError> {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Err(SocketError::NoSocket(purpose, path.to_path_buf()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken(purpose, path.to_path_buf())),
        Err(_) => Ok(()),
    }
}

/// Gives group and mode to the socket itself, whatever has its name by now, and puts it in its place. Tells its device and inode.
fn place(folder: &Folder, draft: &str, name: &OsStr, group: Option<u32>, mode: u32) -> io::Result<(u64, u64)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = openat(&folder.fd, draft, flags, Mode::empty())?;
    let stat = statat(&socket, "", AtFlags::EMPTY_PATH)?;
    let is_ours = FileType::from_raw_mode(stat.st_mode) == FileType::Socket
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_nlink == 1;
    if !is_ours {
        return Err(io::Error::other("another file took the place of the socket just now"));
    }
    if let Some(group) = group {
        chownat(&socket, "", None, Some(rustix::fs::Gid::from_raw(group)), AtFlags::EMPTY_PATH)?;
    }
    // The umask may have taken something of it.
    if stat.st_mode & 0o777 != mode {
        let below = format!("/proc/self/fd/{}", socket.as_raw_fd());
        chmodat(rustix::fs::CWD, &below, Mode::from_raw_mode(mode), AtFlags::empty())?;
    }
    renameat(&folder.fd, draft, &folder.fd, name)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// All that stand in the queue of a socket that is about to be closed, which would reset them. The runtime may not know of
/// the newest yet: the socket itself is asked.
pub(crate) fn take_waiting(listener: UnixListener) -> impl Iterator<Item = UnixStream> {
    let listener = listener.into_std().ok();
    std::iter::from_fn(move || listener.as_ref()?.accept().ok())
        .filter_map(|(stream, _)| stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream)).ok())
}

/// The next who connects. Where that fails it is tried again: out of descriptors, those of others close by and by. `purpose` is
/// in the log.
pub(super) async fn accept(listener: &UnixListener, purpose: SocketPurpose, failures: &Seldom) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                if let Some(often) = failures.happened() {
                    tracing::warn!("{}: nobody can be let in{often}: {error}", purpose.words());
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Returns when who connected is gone. That he shuts his sending side says nothing: the service manager does so at once, and others
/// wait for an answer still.
pub(super) async fn hung_up(stream: &UnixStream) {
    while stream.ready(Interest::WRITABLE).await.is_ok_and(|ready| !ready.is_write_closed()) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether the user at the other end (SO_PEERCRED, unix(7)) is root or the daemon's own.
pub(crate) fn is_owner(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}
