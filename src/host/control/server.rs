//! Owns: the listening side of the control socket: who may connect, and how long a request may take.
//! Does not: answer; each request goes to the daemon by a channel.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::accounts::{Accounts, HeldBytes, HeldPlace, LongTurn, Refused, RequestCost};
use super::{Request, Response};
use crate::host::seldom::Seldom;
use crate::host::socket::{self, Listening, SocketFile, SocketPurpose, take_waiting};

/// A client must have sent its request by then.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// ... and have taken its answer by then.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Room for so many bytes of a request at first; it is doubled when it is full.
const PIECE: usize = 8 << 10;
/// A longer request is read as JSON beside the loop.
const LONG: usize = 16 << 10;

/// A request, who asks, and where the answer goes.
pub(crate) struct Call {
    pub request: Request,
    /// Root or the daemon's own user; others may only look.
    pub is_owner: bool,
    pub answer: oneshot::Sender<ResponseLine>,
    /// To be kept for as long as the request takes time of the loop, or memory.
    pub share: Share,
}

/// What a request takes of what its user may have.
pub(crate) struct Share {
    _place: Arc<HeldPlace>,
    _turn: Option<LongTurn>,
}

/// A response as it is sent: a line of JSON. It is wiped when it is dropped.
pub(crate) struct ResponseLine(Zeroizing<Vec<u8>>);

impl ResponseLine {
    /// A [`Response`], or what is one in JSON.
    pub(crate) fn of(response: &impl Serialize) -> Self {
        // It fails for nothing that JSON has words for.
        let mut bytes = Zeroizing::new(serde_json::to_vec(response).unwrap_or_default());
        bytes.push(b'\n');
        Self(bytes)
    }
}

/// What listens, for as long as it is kept.
pub(crate) struct ControlServer {
    connections: Connections,
    /// Dropped, it ends the listening too.
    end: oneshot::Sender<()>,
    /// `None`: systemd's, which keeps those who wait for the next start.
    file: Option<SocketFile>,
}

/// The connections of a [`ControlServer`], which may outlive it.
pub(crate) struct Connections {
    task: tokio::task::JoinHandle<()>,
    /// Ends when the last of them is gone.
    ended: mpsc::Receiver<Infallible>,
}

impl Connections {
    /// Returns when all have their answers.
    pub(crate) async fn answered(mut self) {
        // It fails where it panicked: what it took before is waited for all the same.
        let _ = self.task.await;
        // Nothing is ever sent.
        let _ = self.ended.recv().await;
    }
}

impl ControlServer {
    /// Listens no more. Who had connected by now is taken still: a queue that is closed resets those who wait in it.
    pub(crate) fn close(self) -> Connections {
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
pub(crate) fn serve(socket: Listening, accounts: Arc<Accounts>, calls: mpsc::Sender<Call>) -> ControlServer {
    let (end, is_ended) = oneshot::channel();
    let (open, ended) = mpsc::channel(1);
    let task =
        tokio::spawn(accept(socket.listener, Desk { calls, accounts, open, refusals: Seldom::default() }, is_ended));
    ControlServer { connections: Connections { task, ended }, end, file: socket.file }
}

async fn accept(listener: UnixListener, desk: Desk, mut ended: oneshot::Receiver<()>) {
    let failures = Seldom::default();
    loop {
        tokio::select! {
            biased;
            ended = &mut ended => {
                if ended.is_ok() {
                    take_waiting(listener).for_each(|stream| desk.take(stream));
                }
                return;
            }
            stream = socket::accept(&listener, SocketPurpose::Control, &failures) => desk.take(stream),
        }
    }
}

/// Where those go who were let in.
struct Desk {
    calls: mpsc::Sender<Call>,
    accounts: Arc<Accounts>,
    open: mpsc::Sender<Infallible>,
    refusals: Seldom,
}

impl Desk {
    fn take(&self, stream: UnixStream) {
        // Nobody tells who asks: he is not served.
        let Ok(peer) = stream.peer_cred() else { return };
        let place = match self.accounts.enter(peer.uid()) {
            Ok(place) => Arc::new(place),
            Err(refused) => {
                if let Some(often) = self.refusals.happened() {
                    tracing::warn!("control socket: a connection was refused{often}: {refused}");
                }
                // What does not fit into the socket's buffer is lost: nothing is kept for him.
                let _ = stream.try_write(&not_now(&refused).0);
                return;
            }
        };
        let (calls, open) = (self.calls.clone(), self.open.clone());
        tokio::spawn(async move {
            Visit { place, calls }.serve(stream).await;
            drop(open);
        });
    }
}

fn failed(exit: u8, why: String) -> ResponseLine {
    ResponseLine::of(&Response::failed(exit, vec![why]))
}

fn not_now(why: &Refused) -> ResponseLine {
    failed(75, why.to_string())
}

fn stopping() -> ResponseLine {
    failed(75, "renewd is stopping".into())
}

/// Returns when the client is gone: one that has only ended its own sending waits for its answer still.
async fn hung_up(read: &mut (impl AsyncReadExt + Unpin), write: &OwnedWriteHalf) {
    while read.read(&mut [0; 512]).await.is_ok_and(|count| count > 0) {}
    socket::hung_up(write.as_ref()).await;
}

/// Why there is no request to answer.
enum NoRequest {
    /// The client is gone.
    Gone,
    Answer(ResponseLine),
}

impl From<Refused> for NoRequest {
    fn from(refused: Refused) -> Self {
        Self::Answer(not_now(&refused))
    }
}

fn wrong(why: String) -> NoRequest {
    NoRequest::Answer(failed(64, why))
}

/// One connection, from its request to its answer. Whatever goes wrong with it is its own loss.
struct Visit {
    place: Arc<HeldPlace>,
    calls: mpsc::Sender<Call>,
}

impl Visit {
    async fn serve(self, stream: UnixStream) {
        let (read, mut write) = stream.into_split();
        // What comes behind the request is read too, to learn of the end, but not without end.
        let mut read = read.take(2 * self.place.longest_request() as u64);
        let answered = match self.request(&mut read).await {
            Ok(request) => tokio::select! {
                answered = self.answer(request) => answered,
                () = hung_up(&mut read, &write) => return,
            },
            Err(NoRequest::Gone) => return,
            Err(NoRequest::Answer(response)) => (response, None),
        };
        let (answer, held) = answered;
        // A client that does not read loses its answer.
        let _ = timeout(ANSWER_TIME, write.write_all(&answer.0)).await;
        drop(held);
    }

    async fn request(&self, read: &mut (impl AsyncReadExt + Unpin)) -> Result<Request, NoRequest> {
        let (line, held) = match timeout(REQUEST_TIME, self.line(read)).await {
            Ok(line) => line?,
            Err(_) => {
                let seconds = REQUEST_TIME.as_secs();
                let why = format!("the request was not finished within {seconds} s: it ends with a line feed");
                return Err(NoRequest::Answer(failed(75, why)));
            }
        };
        let request = if line.len() <= LONG {
            serde_json::from_slice(&line)
        } else {
            let turn = self.place.turn().await?;
            let parsed = tokio::task::spawn_blocking(move || {
                let parsed = serde_json::from_slice(&line);
                drop(turn);
                parsed
            });
            // It fails where it panicked, or the daemon ends.
            parsed.await.map_err(|_| NoRequest::Gone)?
        };
        drop(held);
        request.map_err(|_| wrong("not a request that this version of renewd knows".into()))
    }

    /// The bytes up to the line feed. They are held for the user as they come.
    async fn line(
        &self,
        read: &mut (impl AsyncReadExt + Unpin),
    ) -> Result<(Zeroizing<Vec<u8>>, Vec<HeldBytes>), NoRequest> {
        let longest = self.place.longest_request();
        let (mut line, mut held) = (Vec::new(), Vec::new());
        loop {
            if line.len() == line.capacity() {
                let more = line.len().max(PIECE);
                held.push(self.place.hold(more)?);
                line.reserve_exact(more);
            }
            let begin = line.len();
            match read.read_buf(&mut line).await {
                Ok(0) if line.is_empty() => return Err(NoRequest::Gone),
                Ok(0) => return Err(wrong("the request ended without a line feed".into())),
                Ok(_) => {}
                Err(_) => return Err(NoRequest::Gone),
            }
            if let Some(end) = line[begin..].iter().position(|byte| *byte == b'\n') {
                line.truncate(begin + end);
                return Ok((Zeroizing::new(line), held));
            }
            if line.len() >= longest {
                return Err(wrong(format!(
                    "the request is longer than {longest} bytes, which is more than it takes to name each token of the \
                     config: name each once, or none for all"
                )));
            }
        }
    }

    /// The answer, and what is held for it.
    async fn answer(&self, request: Request) -> (ResponseLine, Option<HeldBytes>) {
        let cost = cost(&request);
        let begun = tokio::select! {
            begun = self.place.begin(&cost) => begun,
            () = self.calls.closed() => return (stopping(), None),
        };
        let (held, turn) = match begun {
            Ok(begun) => begun,
            Err(refused) => return (not_now(&refused), None),
        };
        let share = Share { _place: self.place.clone(), _turn: turn };
        let (answer, answered) = oneshot::channel();
        // It fails where the daemon takes no more: the answer's other end is gone with it.
        let _ = self.calls.send(Call { request, is_owner: self.place.is_owner, answer, share }).await;
        (answered.await.unwrap_or_else(|_| stopping()), Some(held))
    }
}

fn cost(request: &Request) -> RequestCost {
    let count = |names: &[String]| (!names.is_empty()).then_some(names.len());
    match request {
        Request::About | Request::Reload | Request::Token { .. } | Request::Login { .. } => RequestCost::Little,
        Request::Status { names } => RequestCost::Status(count(names)),
        Request::Wait { names, .. } | Request::Rotate { names, .. } => RequestCost::Wait(count(names)),
    }
}
