//! Owns: the listening side of the control socket: who may connect, and how long a request may take.
//! Does not: answer; each request goes to the daemon by a channel.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{LONGEST_REQUEST, Request, Response};
use crate::host::socket::{Listening, SocketFile, is_owner, take_waiting};

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

/// What listens, for as long as it is kept.
pub struct Server {
    connections: Connections,
    /// Dropped, it ends the listening too.
    end: oneshot::Sender<()>,
    /// `None`: systemd's, which keeps those who wait for the next start.
    file: Option<SocketFile>,
}

/// The connections of a [`Server`], which may outlive it.
pub struct Connections {
    task: tokio::task::JoinHandle<()>,
    room: Arc<Semaphore>,
}

impl Connections {
    /// Returns when all have their answers.
    pub async fn answered(self) {
        // It fails where it panicked: what it took before is waited for all the same.
        let _ = self.task.await;
        // It fails only where the semaphore was closed, which nobody does.
        let _ = self.room.acquire_many(CONNECTIONS as u32).await;
    }
}

impl Server {
    /// Listens no more. Who had connected by now is taken still: a queue that is closed resets those who wait in it.
    pub fn close(self) -> Connections {
        let Self { connections, end, file } = self;
        if file.is_some() {
            drop(file);
            // It fails where the task is gone.
            let _ = end.send(());
        }
        connections
    }
}

/// Serves a socket, and sends each request to `calls`.
pub fn serve(socket: Listening, calls: mpsc::Sender<Call>) -> Server {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let (end, ended) = oneshot::channel();
    let task = tokio::spawn(accept(socket.listener, Desk { calls, room: room.clone() }, ended));
    Server { connections: Connections { task, room }, end, file: socket.file }
}

async fn accept(listener: UnixListener, desk: Desk, mut ended: oneshot::Receiver<()>) {
    loop {
        let accepted = tokio::select! {
            biased;
            ended = &mut ended => {
                if ended.is_ok() {
                    take_waiting(listener).for_each(|stream| desk.take(stream));
                }
                return;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => desk.take(stream),
            Err(error) => {
                // Out of descriptors: those of others close by and by.
                tracing::warn!("control socket: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Where those go who were let in.
struct Desk {
    calls: mpsc::Sender<Call>,
    room: Arc<Semaphore>,
}

impl Desk {
    fn take(&self, stream: UnixStream) {
        let Ok(place) = self.room.clone().try_acquire_owned() else { return };
        let calls = self.calls.clone();
        tokio::spawn(async move {
            answer_one(stream, calls).await;
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
async fn answer_one(stream: UnixStream, calls: mpsc::Sender<Call>) {
    let Ok(is_owner) = is_owner(&stream) else { return };
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
