//! Owns: the credential socket, from which the service manager reads what LoadCredential= names (systemd.exec(5)): who
//! asks, for which unit and credential, and the bytes of the answer.
//! Does not: decide who may read what; each request goes to the daemon by a channel.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::seldom::Seldom;
use super::socket::{self, Listening, SocketFile, SocketPurpose, is_owner};
use crate::core::token::Token;

/// A client must have taken the token by then.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Connections at a time; further ones wait in the kernel's queue: one that was closed would be an empty credential.
const CONNECTIONS: usize = 512;
/// ... of the daemon's own user, where that is not root: the others are kept for the service manager.
const OWN_CONNECTIONS: usize = 448;
/// unix(7): no address is longer.
const LONGEST_NAME: usize = 107;

/// Which unit asks for which credential, and where the token goes. Dropped without one, the client sees the end of the
/// stream: it is refused.
pub(crate) struct CredentialRequest {
    pub unit: String,
    pub credential: String,
    pub answer: oneshot::Sender<Arc<Token>>,
}

/// The unit and the credential, from the abstract address that the service manager connects from: it ends in
/// `/unit/UNIT/CREDENTIAL`.
fn parse(address: &[u8]) -> Option<(String, String)> {
    let address = std::str::from_utf8(address).ok().filter(|address| address.len() <= LONGEST_NAME)?;
    let mut parts = address.rsplit('/');
    let (credential, unit, word) = (parts.next()?, parts.next()?, parts.next()?);
    let told = word == "unit" && parts.next().is_some() && !unit.is_empty() && !credential.is_empty();
    told.then(|| (unit.to_owned(), credential.to_owned()))
}

/// What listens, for as long as it is kept.
pub(crate) struct CredentialServer {
    task: tokio::task::JoinHandle<()>,
    _file: Option<SocketFile>,
}

impl Drop for CredentialServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Who is let in.
struct Door {
    room: Arc<Semaphore>,
    own_room: Arc<Semaphore>,
    strangers: Seldom,
    crowded: Seldom,
    unnamed: Arc<Seldom>,
    requests: mpsc::Sender<CredentialRequest>,
}

/// Serves a socket, and sends each wish to `requests`.
pub(crate) fn serve(socket: Listening, requests: mpsc::Sender<CredentialRequest>) -> CredentialServer {
    CredentialServer { task: tokio::spawn(accept(socket.listener, requests)), _file: socket.file }
}

async fn accept(listener: UnixListener, requests: mpsc::Sender<CredentialRequest>) {
    let door = Door {
        room: Arc::new(Semaphore::new(CONNECTIONS)),
        own_room: Arc::new(Semaphore::new(OWN_CONNECTIONS)),
        strangers: Seldom::default(),
        crowded: Seldom::default(),
        unnamed: Arc::default(),
        requests,
    };
    let failures = Seldom::default();
    loop {
        // It fails only where the semaphore was closed, which nobody does.
        let Ok(place) = door.room.clone().acquire_owned().await else { return };
        door.take(socket::accept(&listener, SocketPurpose::Credentials, &failures).await, place);
    }
}

impl Door {
    fn take(&self, stream: UnixStream, place: OwnedSemaphorePermit) {
        let uid = match stream.peer_cred() {
            Ok(peer) => peer.uid(),
            Err(error) => return tracing::warn!("credential socket: refused: nobody tells who asks: {error}"),
        };
        if !is_owner(uid) {
            if let Some(often) = self.strangers.happened() {
                tracing::warn!(
                    "credential socket: refused{often}: uid {uid} is neither root nor the daemon's own user"
                );
            }
            return;
        }
        let own_place = if uid == 0 { Ok(None) } else { self.own_room.clone().try_acquire_owned().map(Some) };
        let Ok(own_place) = own_place else {
            if let Some(often) = self.crowded.happened() {
                tracing::error!(
                    "credential socket: refused{often}, the client gets an empty credential: the daemon's own user has \
                     {OWN_CONNECTIONS} connections here already, and the others are kept for root"
                );
            }
            return;
        };
        let (requests, unnamed) = (self.requests.clone(), self.unnamed.clone());
        tokio::spawn(async move {
            answer_one(stream, requests, &unnamed).await;
            drop((place, own_place));
        });
    }
}

/// One connection, from its address to its end. Whatever goes wrong with it is its own loss.
async fn answer_one(mut stream: UnixStream, requests: mpsc::Sender<CredentialRequest>, unnamed: &Seldom) {
    let address = stream.peer_addr().ok();
    let Some((unit, credential)) = address.as_ref().and_then(|address| parse(address.as_abstract_name()?)) else {
        if let Some(often) = unnamed.happened() {
            tracing::warn!(
                "credential socket: refused{often}: the client is not a service manager (its address names no unit); \
                 `renewd token NAME` prints a token"
            );
        }
        return;
    };
    let (answer, mut token) = oneshot::channel();
    if requests.send(CredentialRequest { unit, credential, answer }).await.is_err() {
        return;
    }
    let token = tokio::select! {
        token = &mut token => token,
        () = socket::hung_up(&stream) => return,
    };
    if let Ok(token) = token {
        // A client that does not read loses its answer.
        let _ = timeout(ANSWER_TIME, stream.write_all(token.value.expose().as_bytes())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_a_service_manager_names_a_unit() {
        let wish = |address: &str| parse(address.as_bytes());
        let told = |unit: &str, credential: &str| Some((unit.to_owned(), credential.to_owned()));
        assert_eq!(wish("9f4e/unit/job.service/sunbird"), told("job.service", "sunbird"));
        assert_eq!(wish("1/unit/batch@a\\x2db.service/a.b"), told("batch@a\\x2db.service", "a.b"));
        for other in ["", "sunbird", "unit/job.service/sunbird", "9f/unit//sunbird", "9f/unit/job.service/"] {
            assert_eq!(wish(other), None, "{other}");
        }
        assert_eq!(parse(b"9f/unit/job.service/\xff"), None);
        assert_eq!(wish(&format!("{}/unit/a.service/b", "x".repeat(107))), None);
    }
}
