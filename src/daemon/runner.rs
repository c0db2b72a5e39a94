//! Owns: carrying out what the engine says, in rounds: all events at hand are stepped, then what they led to is done in
//! batches (signatures, one write to the state, files by folder), and its answers are the next events.
//! Does not: decide, or wait for anything.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::files::Files;
use super::hooks::{Hooks, Run};
use super::notes;
use super::saving::Saving;
use super::vault::Vault;
use super::{Message, Messages};
use crate::core::engine::{Action, Answer, Event, HookKind, State, Want, step};
use crate::core::secret::Secret;
use crate::core::settings::{Plan, TokenName};
use crate::core::time::{Boot, Now, Wall};
use crate::host::clock;
use crate::host::store::{Record, Store};
use crate::source::{self, Cost, Source, SourceError};

/// So many signatures a thread takes at once.
const SIGNATURES: usize = 64;

struct ToObtain {
    name: TokenName,
    generation: u64,
    source: Arc<dyn Source>,
}

/// A copy of a token at hand, for whoever asked.
pub(crate) struct Held {
    pub token: Secret<String>,
    pub issued_at: Wall,
    pub expires_at: Option<Wall>,
}

/// Where an answer goes.
enum Asker {
    Any(oneshot::Sender<Answer>),
    Token(TokenName, oneshot::Sender<Result<Held, Answer>>),
}

impl Asker {
    fn is_gone(&self) -> bool {
        match self {
            Self::Any(answer) => answer.is_closed(),
            Self::Token(_, answer) => answer.is_closed(),
        }
    }
}

/// The running engine and everything that it works with.
pub(super) struct Runner {
    pub state: State,
    pub plan: Arc<Plan>,
    pub vault: Vault,
    pub files: Files,
    pub hooks: Hooks,
    saving: Saving,
    messages: Messages,
    queue: VecDeque<Event>,
    to_obtain: Vec<ToObtain>,
    sources: HashMap<TokenName, usize>,
    askers: HashMap<u64, Asker>,
    last_request: u64,
    /// When the engine wants to be woken.
    pub wake: Option<Boot>,
    pub status_changed: bool,
    /// READY was decided: with what is missing.
    pub ready: Option<Vec<TokenName>>,
    pub reread: bool,
    pub finished: bool,
}

impl Runner {
    pub fn new(state: State, plan: Arc<Plan>, vault: Vault, files: Files, store: Store, messages: &Messages) -> Self {
        let mut runner = Self {
            state,
            plan: plan.clone(),
            vault,
            files,
            hooks: Hooks::new(messages),
            saving: Saving::new(store),
            messages: messages.clone(),
            queue: VecDeque::new(),
            to_obtain: Vec::new(),
            sources: HashMap::new(),
            askers: HashMap::new(),
            last_request: 0,
            wake: None,
            status_changed: false,
            ready: None,
            reread: false,
            finished: false,
        };
        runner.set_plan(plan);
        runner
    }

    /// From now on names mean what they mean in this plan.
    pub fn set_plan(&mut self, plan: Arc<Plan>) {
        self.files.set_plan(&plan);
        self.sources = plan.tokens.iter().enumerate().map(|(at, token)| (token.name.clone(), at)).collect();
        self.plan = plan;
    }

    pub fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    pub fn extend(&mut self, events: Vec<Event>) {
        self.queue.extend(events);
    }

    /// Asks the engine for something; the answer comes through the channel.
    pub fn ask(&mut self, want: Want, timeout: Duration) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        self.want(Asker::Any(answer), want, timeout);
        receiver
    }

    /// Asks for a token with so much life left, and for its bytes.
    pub fn ask_token(
        &mut self,
        name: TokenName,
        min_valid: Duration,
        timeout: Duration,
    ) -> oneshot::Receiver<Result<Held, Answer>> {
        let (answer, receiver) = oneshot::channel();
        self.want(Asker::Token(name.clone(), answer), Want::Token { name, min_valid }, timeout);
        receiver
    }

    fn want(&mut self, asker: Asker, want: Want, timeout: Duration) {
        for (id, _) in self.askers.extract_if(|_, asker| asker.is_gone()) {
            self.queue.push_back(Event::Unwanted { id });
        }
        self.last_request += 1;
        self.askers.insert(self.last_request, asker);
        self.push(Event::Wanted { id: self.last_request, want, timeout });
    }

    fn reply(&self, asker: Asker, answer: Answer) {
        // Who does not listen any more needs no answer.
        match asker {
            Asker::Any(asker) => drop(asker.send(answer)),
            Asker::Token(name, asker) => {
                let stored = match answer {
                    Answer::Token { generation } => self.vault.get(&name, generation),
                    _ => None,
                };
                let held = stored.map(|stored| Held {
                    token: stored.token.clone(),
                    issued_at: stored.issued_at,
                    expires_at: stored.expires_at,
                });
                drop(asker.send(held.ok_or(answer)));
            }
        }
    }

    /// Works until there is nothing to do but wait.
    pub fn work(&mut self) {
        loop {
            while let Some(event) = self.queue.pop_front() {
                let now = clock::now();
                for action in step(&mut self.state, event, now) {
                    self.carry_out(action, now);
                }
            }
            self.obtain();
            let saved = self.saving.save(&self.vault);
            self.queue.extend(saved);
            self.files.start();
            if self.queue.is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self, action: Action, now: Now) {
        match action {
            Action::Obtain { name, generation, .. } => self.queue_obtaining(name, generation),
            Action::Persist(token) => self.saving.push_token(token),
            Action::Forget { name } => {
                self.vault.forget(&name);
                self.saving.push(Record::TokenGone(name));
            }
            Action::Discard { name, generation } => self.vault.discard(&name, generation),
            Action::Deliver { path, op, spec, lines, verify } => {
                match self.files.write(&self.vault, &path, op, spec, &lines, verify) {
                    Ok(record) => record.into_iter().for_each(|record| self.saving.push(record)),
                    Err(message) => self.queue.push_back(Event::DeliverFailed { path, op, message }),
                }
            }
            Action::Remove { path, op } => self.files.remove(&path, op),
            Action::Hook { name, kind, expires_at } => self.run_hook(name, kind, expires_at),
            Action::WakeAt(at) => self.wake = at,
            Action::Reply { id, answer } => {
                if let Some(asker) = self.askers.remove(&id) {
                    self.reply(asker, answer);
                }
            }
            Action::Status => self.status_changed = true,
            Action::Ready { missing } => self.ready = Some(missing),
            Action::Reread => self.reread = true,
            Action::Note(note) => notes::log(&note, &self.plan, now),
            Action::Exit => self.finished = true,
        }
    }

    fn queue_obtaining(&mut self, name: TokenName, generation: u64) {
        match self.sources.get(&name).and_then(|at| self.plan.tokens.get(*at)) {
            Some(token) => {
                let source = source::of(&token.source);
                self.to_obtain.push(ToObtain { name, generation, source });
            }
            None => tracing::error!("token {name} is wanted but not in the config: please report this"),
        }
    }

    /// Signatures of microseconds are made here, slower ones on threads.
    fn obtain(&mut self) {
        let (instant, computing): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.to_obtain).into_iter().partition(|one| one.source.cost() == Cost::Instant);
        for (name, generation, result) in obtain_all(instant) {
            self.obtained(name, generation, result);
        }
        let mut computing = computing.into_iter().peekable();
        while computing.peek().is_some() {
            let batch: Vec<ToObtain> = computing.by_ref().take(SIGNATURES).collect();
            let messages = self.messages.clone();
            tokio::task::spawn_blocking(move || {
                // The daemon is gone: nobody waits for the answer.
                let _ = messages.send(Message::Obtained(obtain_all(batch)));
            });
        }
    }

    /// What a source answered, of whatever kind it is.
    pub fn obtained(&mut self, name: TokenName, generation: u64, result: Result<source::Obtained, SourceError>) {
        let event = match result {
            Ok(obtained) => {
                let issued = self.vault.put(name.clone(), generation, obtained);
                Event::Obtained { name, generation, issued }
            }
            Err(error) => Event::ObtainFailed {
                name,
                generation,
                reason: error.reason,
                message: error.message.into(),
                retry_after: error.retry_after,
            },
        };
        self.queue.push_back(event);
    }

    /// The last chance of what the state lacks still.
    pub fn save_rest(&mut self) {
        self.saving.save_rest(&self.vault);
    }

    /// What is known of a file's content follows what became of it: a removal takes all of it along.
    pub fn file_done(&mut self, event: &Event) {
        match event {
            Event::Delivered { path, .. } => self.files.landed(path),
            Event::Removed { path, failed: None, .. } => {
                let record = self.files.forget(path);
                self.saving.push(record);
            }
            _ => {}
        }
    }

    fn run_hook(&mut self, name: TokenName, kind: HookKind, expires_at: Option<Wall>) {
        let token = self.sources.get(&name).and_then(|at| self.plan.tokens.get(*at));
        let hook = token.and_then(|token| match kind {
            HookKind::AfterRotate => token.after_rotate.clone(),
            HookKind::Failing(_) | HookKind::Recovered => token.on_failure.clone(),
        });
        let Some(plan) = hook else {
            self.queue.push_back(Event::HookDone { name });
            return;
        };
        let scrub = self.plan.secret_variables.clone();
        self.hooks.start(Run { name, kind, expires_at, plan, scrub });
    }
}

type Answered = (TokenName, u64, Result<source::Obtained, SourceError>);

fn obtain_all(batch: Vec<ToObtain>) -> Vec<Answered> {
    let mut random = vec![0; batch.len() * 16];
    let drawn = getrandom::fill(&mut random);
    let now = clock::now().wall;
    let one = |(one, nonce): (ToObtain, &[u8; 16])| {
        let result = match &drawn {
            Ok(()) => one.source.obtain(now, *nonce),
            Err(error) => Err(SourceError {
                reason: crate::core::engine::Reason::Machine,
                message: format!("the system gives no random numbers: {error}"),
                retry_after: None,
            }),
        };
        (one.name, one.generation, result)
    };
    let (nonces, _) = random.as_chunks::<16>();
    batch.into_iter().zip(nonces).map(one).collect()
}
