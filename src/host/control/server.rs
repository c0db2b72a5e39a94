//! Owns: the listening side of the control socket: who may connect, how long a request may take, and its file.
//! Does not: answer; each request goes to the daemon by a channel.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, chmodat, chownat};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{LONGEST_REQUEST, Request, Response};

/// A client must have sent its request by then.
const REQUEST_TIME: Duration = Duration::from_secs(2);
/// ... and have taken its answer by then.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Whether a client that sends no more is still there is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Connections at a time; one more is closed at once.
const CONNECTIONS: usize = 512;

/// A request, who asks, and where the answer goes.
pub struct Call {
    pub request: Request,
    /// Root or the daemon's own user; others may only look.
    pub is_owner: bool,
    pub answer: oneshot::Sender<Response>,
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("control socket {}: another process listens there; name another control_socket", .0.display())]
    Taken(PathBuf),
    #[error("control socket {}: a file that is no socket stands there; remove it or name another control_socket", .0.display())]
    NoSocket(PathBuf),
    #[error("control socket {}: {cause}{}", path.display(), advice(cause))]
    Io { path: PathBuf, cause: io::Error },
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => ": its folder is missing, and renewd creates none",
        io::ErrorKind::PermissionDenied => ": this user may not create files there; set control_socket",
        _ => "",
    }
}

/// The socket's file, removed when this is dropped if it is still the same.
pub struct Server {
    path: PathBuf,
    inode: u64,
    task: tokio::task::JoinHandle<()>,
    room: Arc<Semaphore>,
}

/// The connections of a [`Server`], which may outlive it.
pub struct Connections(Arc<Semaphore>);

impl Connections {
    /// Returns when all have their answers.
    pub async fn answered(&self) {
        // It fails only where the semaphore was closed, which nobody does.
        let _ = self.0.acquire_many(CONNECTIONS as u32).await;
    }
}

impl Server {
    pub fn connections(&self) -> Connections {
        Connections(self.room.clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        if std::fs::symlink_metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode) {
            // Left behind, it is replaced at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path` (mode 0600, or 0660 for `group`) and sends each request to `calls`.
///
/// # Errors
/// See [`ControlError`].
pub fn listen(path: &Path, group: Option<u32>, calls: mpsc::Sender<Call>) -> Result<Server, ControlError> {
    let failed = |cause: io::Error| ControlError::Io { path: path.to_path_buf(), cause };
    make_way(path)?;
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
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let task = tokio::spawn(accept(listener, calls, room.clone()));
    Ok(Server { path: path.to_path_buf(), inode, task, room })
}

/// A socket that nobody listens at any more is replaced; a live one, or another file, is not.
fn make_way(path: &Path) -> Result<(), ControlError> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(meta) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Err(ControlError::NoSocket(path.to_path_buf()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(ControlError::Taken(path.to_path_buf())),
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

async fn accept(listener: UnixListener, calls: mpsc::Sender<Call>, room: Arc<Semaphore>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors: those of others close by and by.
                tracing::warn!("control socket: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else { continue };
        let calls = calls.clone();
        tokio::spawn(async move {
            serve(stream, calls).await;
            drop(place);
        });
    }
}

fn stopping() -> Response {
    Response::failed(75, vec!["renewd is stopping".into()])
}

/// Returns when the client is gone: one that has only ended its own sending waits for its answer still.
async fn hung_up(read: &mut (impl AsyncReadExt + Unpin), write: &OwnedWriteHalf) {
    while read.read(&mut [0; 512]).await.is_ok_and(|count| count > 0) {}
    while write.ready(Interest::WRITABLE).await.is_ok_and(|ready| !ready.is_write_closed()) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// One connection, from its request to its answer. Whatever goes wrong with it is its own loss.
async fn serve(stream: UnixStream, calls: mpsc::Sender<Call>) {
    let Ok(peer) = stream.peer_cred() else { return };
    let is_owner = peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(LONGEST_REQUEST as u64));
    let mut line = Vec::new();
    let whole = match timeout(REQUEST_TIME, read.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) => line.ends_with(b"\n"),
        Ok(Err(_)) => return,
        Err(_) => false,
    };
    let response = match serde_json::from_slice::<Request>(&line) {
        Ok(request) if whole => {
            let (answer, response) = oneshot::channel();
            // It fails where the daemon takes no more: the answer's other end is gone with it.
            let _ = calls.send(Call { request, is_owner, answer }).await;
            tokio::select! {
                answered = response => answered.unwrap_or_else(|_| stopping()),
                () = hung_up(&mut read, &write) => return,
            }
        }
        _ => Response::failed(64, vec!["not a request that this version of renewd knows".into()]),
    };
    let Ok(bytes) = serde_json::to_vec(&response) else { return };
    let mut bytes = Zeroizing::new(bytes);
    bytes.push(b'\n');
    // A client that does not read loses its answer.
    let _ = timeout(ANSWER_TIME, write.write_all(&bytes)).await;
}
