//! Owns: what the daemon listens at (the control socket, the credential socket), what keeps it from doing so, and the end.
//! Does not: answer; requests are handed to the loop.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::core::settings::DaemonPlan;
use crate::host::control::{self, Call, Connections};
use crate::host::credentials;
use crate::host::socket::{self, Handed, Listening, Purpose};

/// Requests that wait for the loop, of each socket.
const WAITING: usize = 64;

/// What came in.
pub(super) enum Asked {
    Call(Call),
    Credential(credentials::Request),
}

pub(super) struct Listeners {
    handed: Handed,
    calls: mpsc::Receiver<Call>,
    to_calls: mpsc::Sender<Call>,
    control: Option<control::Server>,
    wishes: mpsc::Receiver<credentials::Request>,
    to_wishes: mpsc::Sender<credentials::Request>,
    credentials: Option<credentials::Server>,
    /// Of the control socket that was closed by the stop.
    unanswered: Option<Connections>,
    /// What the service manager handed over.
    handed_over: Vec<Purpose>,
    /// Why one of them does not listen: a lack, looked at again at each wake-up.
    pub problems: Vec<String>,
}

impl Listeners {
    /// Takes the sockets that the service manager handed over; `names` is `LISTEN_FDNAMES`.
    pub fn new(names: Option<OsString>) -> Self {
        let (handed, problems) = Handed::take(names);
        problems.iter().for_each(|problem| tracing::warn!("{problem}"));
        let (to_calls, calls) = mpsc::channel(WAITING);
        let (to_wishes, wishes) = mpsc::channel(WAITING);
        Self {
            handed,
            calls,
            to_calls,
            control: None,
            wishes,
            to_wishes,
            credentials: None,
            unanswered: None,
            handed_over: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Listens at what was handed over or what the config names, as far as it does not yet.
    pub fn listen(&mut self, daemon: &DaemonPlan) {
        let known = std::mem::take(&mut self.problems);
        if self.control.is_none()
            && let Some(socket) =
                self.socket(Purpose::Control, daemon.control_socket.as_deref(), daemon.control_group, &known)
        {
            self.control = Some(control::serve(socket, self.to_calls.clone()));
        }
        if self.credentials.is_none()
            && let Some(socket) = self.socket(Purpose::Credentials, daemon.credential_socket.as_deref(), None, &known)
        {
            self.credentials = Some(credentials::serve(socket, self.to_wishes.clone()));
        }
    }

    /// Where it listens, for the log.
    pub fn places(&self, daemon: &DaemonPlan) -> String {
        let place = |purpose: Purpose, listens: bool, path: Option<&Path>| match path {
            _ if !listens => "none".into(),
            _ if self.handed_over.contains(&purpose) => "handed over by the service manager".into(),
            path => path.map_or_else(|| "none".into(), |path| path.display().to_string()),
        };
        let control = place(Purpose::Control, self.control.is_some(), daemon.control_socket.as_deref());
        let credentials = place(Purpose::Credentials, self.credentials.is_some(), daemon.credential_socket.as_deref());
        format!("control socket {control}, credential socket {credentials}")
    }

    fn socket(
        &mut self,
        purpose: Purpose,
        path: Option<&Path>,
        group: Option<u32>,
        known: &[String],
    ) -> Option<Listening> {
        if let Some(handed) = self.handed.listening(purpose) {
            self.handed_over.push(purpose);
            return handed.inspect_err(|error| tracing::error!("the socket that was handed over: {error}")).ok();
        }
        let error = match socket::listen(purpose, path?, group) {
            Ok(socket) => return Some(socket),
            Err(error) => error.to_string(),
        };
        if !known.contains(&error) {
            tracing::error!("{error}");
        }
        self.problems.push(error);
        None
    }

    /// The next request; never, once it was closed.
    pub async fn asked(&mut self) -> Asked {
        tokio::select! {
            Some(call) = self.calls.recv() => Asked::Call(call),
            Some(wish) = self.wishes.recv() => Asked::Credential(wish),
            else => std::future::pending().await,
        }
    }

    /// Listens no more. Who is connected to the control socket already may have its answer still.
    pub fn close(&mut self) {
        self.unanswered = self.control.take().map(control::Server::close);
        self.credentials = None;
    }

    /// Takes no more requests either; returns when the answers that are under way are there, or time is over.
    pub async fn end(&mut self, within: Duration) {
        self.calls.close();
        while self.calls.try_recv().is_ok() {}
        self.wishes.close();
        while self.wishes.try_recv().is_ok() {}
        if let Some(connections) = self.unanswered.take() {
            // Who has not asked yet, or does not read, is not waited for.
            let _ = tokio::time::timeout(within, connections.answered()).await;
        }
    }
}
