//! Owns: what the daemon listens at (the control socket, the credential socket), what keeps it from doing so, and the end. A socket
//! whose file somebody removed or replaced is bound anew.
//! Does not: answer; requests are handed to the loop.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use super::looks::Chore;
use crate::core::settings::{DaemonPlan, Plan};
use crate::core::time::Now;
use crate::host::clock;
use crate::host::control::{self, Accounts, Call, Connections};
use crate::host::credentials;
use crate::host::socket::{self, Bound, Handed, Listening, SocketError, SocketInode, SocketPurpose};

/// What a login brings may be so long: two tokens.
const OF_LOGIN: usize = 256 << 10;
/// Requests that wait for the loop, of each socket.
const WAITING: usize = 64;
/// A folder that has not answered for so long hangs: it is not waited for at the start, and told.
const HANGS: Duration = Duration::from_secs(1);
/// Who connected to a credential socket right before its file went has an answer within this.
const LAST_ANSWERS: Duration = Duration::from_secs(20);

/// What came in.
pub(super) enum ListenerEvent {
    Call(Call),
    Credential(credentials::CredentialRequest),
}

/// What a look at a socket's file came to: bound anew, there as it was, or why not. The look is under way until this is let go of.
type Looked = (SocketPurpose, Result<Option<Bound>, SocketError>, Arc<()>);

/// A look that was begun.
struct EarLook {
    path: PathBuf,
    since: Now,
    /// Held by the look, and by what it came to.
    is_under_way: Weak<()>,
}

impl EarLook {
    fn is_under_way(&self) -> bool {
        self.is_under_way.strong_count() > 0
    }

    fn hangs(&self, now: Now) -> bool {
        self.since.boot.plus(HANGS) <= now.boot && self.is_under_way()
    }
}

/// One of the sockets.
#[derive(Default)]
struct Ear {
    /// The service manager handed it over: its file is not ours.
    is_handed_over: bool,
    listens: bool,
    /// The file that leads to it.
    place: Option<SocketInode>,
    /// The last look, where nothing came of it yet. One that found all as it was tells nobody.
    looking: Option<EarLook>,
    /// It was told that the look hangs.
    is_told: bool,
    /// Why it does not listen: a lack, looked at again at each wake-up.
    problem: Option<String>,
}

pub(super) struct Listeners {
    handed: Handed,
    calls: mpsc::Receiver<Call>,
    to_calls: mpsc::Sender<Call>,
    /// Who holds what of the control socket.
    accounts: Arc<Accounts>,
    control: Option<control::ControlServer>,
    wishes: mpsc::Receiver<credentials::CredentialRequest>,
    to_wishes: mpsc::Sender<credentials::CredentialRequest>,
    credentials: Option<credentials::CredentialServer>,
    /// Of the control socket that was closed by the stop.
    unanswered: Option<Connections>,
    ears: [Ear; 2],
    looked: mpsc::UnboundedReceiver<Looked>,
    to_looked: mpsc::UnboundedSender<Looked>,
    is_closed: bool,
}

impl Listeners {
    /// Takes the sockets that the service manager handed over; `names` is `LISTEN_FDNAMES`.
    pub(super) fn new(names: Option<OsString>) -> Self {
        let (handed, problems) = Handed::take(names);
        problems.iter().for_each(|problem| tracing::warn!("{problem}"));
        let (to_calls, calls) = mpsc::channel(WAITING);
        let (to_wishes, wishes) = mpsc::channel(WAITING);
        let (to_looked, looked) = mpsc::unbounded_channel();
        Self {
            handed,
            calls,
            to_calls,
            accounts: Accounts::new(),
            control: None,
            wishes,
            to_wishes,
            credentials: None,
            unanswered: None,
            ears: Default::default(),
            looked,
            to_looked,
            is_closed: false,
        }
    }

    /// How long a request may be, and what it costs, follows from the tokens of this plan.
    pub(super) fn set_plan(&self, plan: &Plan) {
        let logs_in = plan.tokens.iter().any(|token| token.source.login().is_some());
        let names = plan.tokens.iter().map(|token| token.name.as_str());
        self.accounts.set_tokens(names, if logs_in { OF_LOGIN } else { 0 });
    }

    /// Listens at what was handed over or what the config names; what hangs is not waited for.
    pub(super) async fn start(&mut self, daemon: &DaemonPlan) {
        for purpose in [SocketPurpose::Control, SocketPurpose::Credentials] {
            match self.handed.listening(purpose) {
                Some(Ok(socket)) => {
                    self.ear(purpose).is_handed_over = true;
                    self.serve(purpose, socket);
                }
                Some(Err(error)) => tracing::error!("the socket that was handed over: {error}"),
                None => {}
            }
        }
        self.look(daemon);
        let all = async {
            while self.ears.iter().any(|ear| ear.looking.is_some()) {
                let Some(looked) = self.looked.recv().await else { return };
                self.take(looked);
            }
        };
        // What takes longer is told by the next look.
        let _ = tokio::time::timeout(HANGS, all).await;
    }

    /// Looks whether the sockets are found where the config names them, on a thread, and binds those that are not.
    pub(super) fn look(&mut self, daemon: &DaemonPlan) {
        for chore in self.chores(daemon) {
            tokio::task::spawn_blocking(chore);
        }
    }

    /// The same, to be done by whoever is given them.
    pub(super) fn chores(&mut self, daemon: &DaemonPlan) -> Vec<Chore> {
        let control = self.chore(SocketPurpose::Control, daemon.control_socket.as_deref(), daemon.control_group);
        let credentials = self.chore(SocketPurpose::Credentials, daemon.credential_socket.as_deref(), None);
        control.into_iter().chain(credentials).collect()
    }

    fn chore(&mut self, purpose: SocketPurpose, path: Option<&Path>, group: Option<u32>) -> Option<Chore> {
        let (now, is_closed, answers) = (clock::now(), self.is_closed, self.to_looked.clone());
        let ear = self.ear(purpose);
        let path = path.filter(|_| !ear.is_handed_over && !is_closed)?;
        if let Some(look) = ear.looking.as_ref().filter(|look| look.is_under_way()) {
            if look.hangs(now) && !ear.is_told {
                tracing::error!("{}", hangs(purpose, look));
                ear.is_told = true;
            }
            return None;
        }
        let is_under_way = Arc::new(());
        let looking = EarLook { path: path.to_path_buf(), since: now, is_under_way: Arc::downgrade(&is_under_way) };
        ear.looking = Some(looking);
        ear.is_told = false;
        let is_well = ear.problem.is_none();
        let (place, path) = (ear.place.clone(), path.to_path_buf());
        Some(Box::new(move || {
            let looked = match place {
                // Nobody is woken for that.
                Some(place) if place.is_kept() && is_well => return,
                Some(place) if place.is_kept() => Ok(None),
                _ => socket::bind(purpose, &path, group).map(Some),
            };
            // The daemon is gone: nobody waits for the answer, and the file goes again.
            let _ = answers.send((purpose, looked, is_under_way));
        }))
    }

    fn take(&mut self, (purpose, looked, _is_under_way): Looked) {
        let is_closed = self.is_closed;
        let ear = self.ear(purpose);
        let path = ear.looking.take().map(|look| look.path).unwrap_or_default();
        ear.is_told = false;
        let known = ear.problem.take();
        let bound = match looked {
            Ok(bound) => bound.filter(|_| !is_closed),
            Err(error) => return self.complain(purpose, error.to_string(), known),
        };
        let Some(bound) = bound else { return };
        if ear.listens {
            let path = path.display();
            tracing::warn!("{} {path}: somebody removed or replaced its file; it is there again", purpose.words());
        }
        match bound.listening() {
            Ok(socket) => self.serve(purpose, socket),
            Err(error) => self.complain(purpose, format!("{} {}: {error}", purpose.words(), path.display()), known),
        }
    }

    fn complain(&mut self, purpose: SocketPurpose, problem: String, known: Option<String>) {
        if known.as_ref() != Some(&problem) {
            tracing::error!("{problem}");
        }
        self.ear(purpose).problem = Some(problem);
    }

    fn serve(&mut self, purpose: SocketPurpose, socket: Listening) {
        let ear = self.ear(purpose);
        ear.place = socket.place();
        ear.listens = true;
        match purpose {
            SocketPurpose::Control => {
                let old = self.control.replace(control::serve(socket, self.accounts.clone(), self.to_calls.clone()));
                // Who is connected there has his answer still.
                drop(old.map(control::ControlServer::close));
            }
            SocketPurpose::Credentials => {
                let old = self.credentials.replace(credentials::serve(socket, self.to_wishes.clone()));
                if let Some(old) = old {
                    tokio::spawn(async move {
                        tokio::time::sleep(LAST_ANSWERS).await;
                        drop(old);
                    });
                }
            }
        }
    }

    fn ear(&mut self, purpose: SocketPurpose) -> &mut Ear {
        let [control, credentials] = &mut self.ears;
        match purpose {
            SocketPurpose::Control => control,
            SocketPurpose::Credentials => credentials,
        }
    }

    /// Where it listens, for the log.
    pub(super) fn places(&self, daemon: &DaemonPlan) -> String {
        let place = |ear: &Ear, path: Option<&Path>| match path {
            _ if !ear.listens => "none".into(),
            _ if ear.is_handed_over => "handed over by the service manager".into(),
            path => path.map_or_else(|| "none".into(), |path| path.display().to_string()),
        };
        let [control, credentials] = &self.ears;
        let control = place(control, daemon.control_socket.as_deref());
        let credentials = place(credentials, daemon.credential_socket.as_deref());
        format!("control socket {control}, credential socket {credentials}")
    }

    /// Why one of them does not listen.
    pub(super) fn problems(&self) -> Vec<String> {
        let now = clock::now();
        let of_ear = |(ear, purpose): (&Ear, SocketPurpose)| {
            let hanging = ear.looking.as_ref().filter(|look| look.hangs(now));
            ear.problem.clone().or_else(|| hanging.map(|look| hangs(purpose, look)))
        };
        self.ears.iter().zip([SocketPurpose::Control, SocketPurpose::Credentials]).filter_map(of_ear).collect()
    }

    /// Whether one of them lacks something.
    pub(super) fn lacks(&self) -> bool {
        self.ears.iter().any(|ear| ear.problem.is_some())
    }

    /// The next request; never, once it was closed.
    pub(super) async fn asked(&mut self) -> ListenerEvent {
        loop {
            tokio::select! {
                Some(call) = self.calls.recv() => return ListenerEvent::Call(call),
                Some(wish) = self.wishes.recv() => return ListenerEvent::Credential(wish),
                Some(looked) = self.looked.recv() => self.take(looked),
                else => std::future::pending().await,
            }
        }
    }

    /// Listens no more. Who is connected to the control socket already may have its answer still.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.unanswered = self.control.take().map(control::ControlServer::close);
        self.credentials = None;
    }

    /// Takes no more requests either; returns when the answers that are under way are there, or time is over.
    pub(super) async fn end(&mut self, within: Duration) {
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

fn hangs(purpose: SocketPurpose, look: &EarLook) -> String {
    let (path, at) = (look.path.display(), look.since.wall.rfc3339());
    format!("{} {path}: its folder has not answered since {at}: is its file system there?", purpose.words())
}
