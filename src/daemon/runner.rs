//! Owns: carrying out what the engine says, in rounds: all events at hand are stepped, then what they led to is done in
//! batches (signatures, one write to the state, files by folder), and its answers are the next events.
//! Does not: decide, or wait for anything.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::document::View;
use super::files::{Files, Write};
use super::history::History;
use super::hooks::{HookStart, Hooks};
use super::index::Index;
use super::logins::Logins;
use super::message::{Answered, ToObtain};
use super::notes;
use super::saving::Saving;
use super::signing::{broken, sign_all};
use super::vault::Vault;
use super::{Message, Messages};
use crate::core::engine::{Action, Answer, Event, HookEnd, HookKind, Note, RequestId, Rotated, State, Want, step};
use crate::core::settings::{Plan, TokenName, TokenPlan};
use crate::core::time::{Boot, Now, Wall};
use crate::core::token::Token;
use crate::host::clock;
use crate::host::store::{Record, Store};
use crate::source::{self, Execution, Given, Shared, SourceError};

/// So many signatures a thread takes at once.
const SIGNATURES: usize = 64;
/// So many are made in a row where they take microseconds: what has come meanwhile goes first then, and the state and the files
/// have something to do.
const INSTANT: usize = 512;

/// Queues keep room for so many.
const ROOM: usize = 64;

/// What came of a request.
pub(super) struct Reply {
    pub answer: Answer,
    /// The token that was asked for.
    pub token: Option<Arc<Token>>,
}

/// What came of a round that its loop has to act on.
#[derive(Default)]
pub(super) struct Round {
    /// READY was decided: with what is missing.
    pub ready: Option<Vec<TokenName>>,
    pub status_changed: bool,
    /// The config is to be read again.
    pub reread: bool,
    /// Nothing is under way any more.
    pub is_over: bool,
    /// When there is something to do by itself.
    pub wake: Option<Boot>,
}

impl Round {
    /// Both in one.
    pub(super) fn and(self, later: Self) -> Self {
        Self {
            ready: self.ready.or(later.ready),
            status_changed: self.status_changed || later.status_changed,
            reread: self.reread || later.reread,
            ..later
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
    pub(super) saving: Saving,
    /// What was asked for and is not granted, as it was told last.
    pub(super) not_granted: BTreeMap<TokenName, Vec<String>>,
    pub(super) messages: Messages,
    shared: Arc<Shared>,
    pub(super) logins: Logins,
    queue: VecDeque<Event>,
    to_obtain: VecDeque<ToObtain>,
    pub index: Index,
    pub history: History,
    askers: HashMap<RequestId, oneshot::Sender<Reply>>,
    pub(super) last_request: RequestId,
    /// It works for who asks for a token and delivers nothing: how tokens fail is not its affair.
    pub is_passing: bool,
    /// Tokens that such a run obtained, and that are not delivered yet.
    pub owed_hooks: BTreeSet<TokenName>,
}

impl Runner {
    /// # Errors
    /// The system gives no thread for the state.
    pub(super) fn new(
        state: State,
        plan: Arc<Plan>,
        vault: Vault,
        files: Files,
        store: Store,
        messages: &Messages,
    ) -> io::Result<Self> {
        let mut runner = Self {
            state,
            plan: plan.clone(),
            vault,
            files,
            hooks: Hooks::new(messages),
            saving: Saving::new(store, messages)?,
            not_granted: BTreeMap::new(),
            messages: messages.clone(),
            shared: Arc::new(Shared::new(|| clock::now().wall)),
            logins: Logins::default(),
            queue: VecDeque::new(),
            to_obtain: VecDeque::new(),
            index: Index::default(),
            history: History::default(),
            askers: HashMap::new(),
            last_request: 0,
            is_passing: false,
            owed_hooks: BTreeSet::new(),
        };
        runner.set_plan(plan);
        Ok(runner)
    }

    /// From now on names mean what they mean in this plan.
    pub(super) fn set_plan(&mut self, plan: Arc<Plan>) {
        self.files.set_plan(&plan);
        self.index = Index::of(&plan);
        self.plan = plan;
    }

    /// What the plan says of a token.
    pub(super) fn token(&self, name: &TokenName) -> Option<&TokenPlan> {
        self.index.token(&self.plan, name)
    }

    /// What the status is made from.
    pub(super) fn view(&self) -> View<'_> {
        let Self { state, plan, vault, files, index, history, shared, .. } = self;
        View { state, plan, vault, files, index, history, streaks: None, network: Some(&shared.network) }
    }

    pub(super) fn push(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// Somebody set the wall clock, or the machine was resumed.
    pub(super) fn clock_was_set(&mut self) {
        self.shared.network.clock_was_set();
        self.push(Event::ClockChanged);
    }

    pub(super) fn extend(&mut self, events: Vec<Event>) {
        self.queue.extend(events);
    }

    /// Asks the engine for something; the answer comes through the channel.
    pub(super) fn ask(&mut self, want: Want, timeout: Duration) -> oneshot::Receiver<Reply> {
        for (id, _) in self.askers.extract_if(|_, asker| asker.is_closed()) {
            self.queue.push_back(Event::Unwanted { id });
        }
        let (asker, reply) = oneshot::channel();
        self.last_request += 1;
        self.askers.insert(self.last_request, asker);
        self.push(Event::Wanted { id: self.last_request, want, timeout });
        reply
    }

    fn reply(&mut self, id: RequestId, answer: Answer) {
        let token = match &answer {
            Answer::Token { name, generation } => self.vault.get(name, *generation).cloned(),
            _ => None,
        };
        if let Some(asker) = self.askers.remove(&id) {
            // Who does not listen any more needs no answer.
            drop(asker.send(Reply { answer, token }));
        }
    }

    /// Works until there is nothing to do but wait, or to look what has come meanwhile: then it wants to be woken at once.
    pub(super) fn work(&mut self) -> Round {
        let mut round = Round::default();
        loop {
            while let Some(event) = self.queue.pop_front() {
                let now = clock::now();
                let event = self.logins.wish(event);
                for action in step(&mut self.state, event, now) {
                    self.carry_out(action, now, &mut round);
                }
            }
            self.obtain();
            self.save();
            self.files.start();
            if self.queue.is_empty() {
                self.give_room_back();
                let now = clock::now();
                round.is_over = self.state.is_finished(now);
                let at_once = (!self.to_obtain.is_empty()).then_some(now.boot);
                round.wake = [self.state.next_wake(now), self.saving.wakes_at(), at_once].into_iter().flatten().min();
                return round;
            }
        }
    }

    /// What a start or a reload took for a moment is not kept.
    fn give_room_back(&mut self) {
        if self.queue.capacity() > ROOM {
            self.queue = VecDeque::new();
        }
        if self.to_obtain.is_empty() && self.to_obtain.capacity() > ROOM {
            self.to_obtain = VecDeque::new();
        }
    }

    /// What a thread or task tells.
    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Event(event) => self.push(event),
            Message::QueueDone { folder, events, landed } => {
                self.files.queue_done(&folder, landed);
                events.iter().for_each(|event| self.file_done(event));
                self.extend(events);
            }
            Message::Obtained(answered) => answered.into_iter().for_each(|one| self.obtained(one)),
            Message::Saved(saved) => self.saved(*saved),
            Message::StateLooked(trouble) => self.saving.looked(trouble),
            Message::Looked { seen, .. } => {
                let events = self.files.seen(seen);
                self.extend(events);
            }
            // Only `run` reads a config again.
            Message::Loaded { .. } => {}
        }
    }

    fn carry_out(&mut self, action: Action, now: Now, round: &mut Round) {
        match action {
            Action::Obtain { name, generation, fingerprint, parents } => {
                match self.token(&name).and_then(|token| source::of(&token.source)) {
                    Some(source) => {
                        let one = ToObtain { name, generation, fingerprint, source, parents };
                        self.to_obtain.push_back(self.logins.instead(one));
                    }
                    None => tracing::error!(
                        token = %name,
                        "token {name} is wanted but cannot be asked for: please report this"
                    ),
                }
            }
            Action::Persist(token) => {
                if self.is_passing && !token.is_same {
                    self.saving.push(Record::Owed(token.name.clone()));
                }
                self.saving.push_token(token, &self.vault);
            }
            Action::KeepStreak { .. } if self.is_passing => {}
            Action::KeepStreak { name, streak } => self.saving.push(match streak {
                Some(streak) => Record::Streak(name, *streak),
                None => Record::StreakGone(name),
            }),
            Action::KeepLoginTold { .. } | Action::Note(Note::LoginDue { .. }) if self.is_passing => {}
            Action::KeepLoginTold { name, end } => self.saving.push(match end {
                Some(end) => Record::LoginTold(name, end),
                None => Record::LoginToldGone(name),
            }),
            Action::Settle { name, doubt } => {
                self.vault.settle(&name, doubt).into_iter().for_each(|record| self.saving.push(record));
            }
            Action::Forget { name } => {
                self.history.forget(&name);
                self.shared.forget(&name);
                self.pay_hook(&name);
                let left = self.vault.forget(&name);
                self.saving.push(Record::TokenGone(name));
                left.into_iter().for_each(|left| self.saving.push(Record::Refresh(left)));
            }
            Action::Discard { name, generation } => {
                self.saving.landed(&name);
                self.vault.discard(&name, generation);
            }
            Action::Deliver { path, op, spec, lines, verify } => {
                let waits_for = self.saving.number();
                match self.files.write(&self.vault, &path, op, spec, &lines, Write { verify, waits_for }) {
                    Ok(record) => record.into_iter().for_each(|record| self.saving.push(record)),
                    Err(message) => self.queue.push_back(Event::DeliverFailed { path, op, message }),
                }
            }
            Action::Remove { path, op } => self.files.remove(&path, op),
            Action::Hook { name, kind, expires_at } => self.run_hook(name, kind, expires_at),
            Action::Reply { id, answer } => self.reply(id, answer),
            Action::Status => round.status_changed = true,
            Action::Ready { missing } => round.ready = Some(missing),
            Action::Reread => round.reread = true,
            Action::Note(note) => self.tell(&note, now),
        }
    }

    /// The hook that was owed to it runs now, or never.
    fn pay_hook(&mut self, name: &TokenName) {
        if self.owed_hooks.remove(name) {
            self.saving.push(Record::OwedGone(name.clone()));
        }
    }

    /// Into the log, and to the tokens that it is about.
    fn tell(&mut self, note: &Note, now: Now) {
        match note {
            Note::Rotated { rotated: Rotated { name, .. }, .. }
                if self.token(name).is_none_or(|token| token.after_rotate.is_none()) =>
            {
                self.pay_hook(name);
            }
            Note::HookDone { name, kind } | Note::HookFailed { name, kind, .. } if *kind == HookKind::AfterRotate => {
                self.pay_hook(name);
            }
            _ => {}
        }
        notes::log(note, |path| self.index.shown(&self.plan, path), now);
        let path = match note {
            Note::DeliverFailed { path, .. } | Note::Restored { path, .. } => Some(path),
            _ => None,
        };
        let target = path.and_then(|path| self.index.target(&self.plan, path));
        let tokens = target.into_iter().flat_map(|target| &target.lines).map(|line| &line.token);
        self.history.note(note, tokens, now.wall);
    }

    /// Signatures of microseconds are made here, so many at a time; slower ones on threads; what waits is a task of its own.
    fn obtain(&mut self) {
        let (mut instant, mut computing, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        while instant.len() < INSTANT
            && let Some(one) = self.to_obtain.pop_front()
        {
            match one.source.cost() {
                Execution::Instant => instant.push(one),
                Execution::Computing => computing.push(one),
                Execution::Waiting => waiting.push(one),
            }
        }
        self.start_waiting(waiting);
        for answered in sign_all(instant, &self.shared) {
            self.obtained(answered);
        }
        let mut computing = computing.into_iter().peekable();
        while computing.peek().is_some() {
            let batch: Vec<ToObtain> = computing.by_ref().take(SIGNATURES).collect();
            let (messages, shared) = (self.messages.clone(), self.shared.clone());
            tokio::task::spawn_blocking(move || {
                // The daemon is gone: nobody waits for the answer.
                let _ = messages.send(Message::Obtained(sign_all(batch, &shared)));
            });
        }
    }

    /// `first_sent`: when its refresh token was first sent, by an attempt whose end is not known.
    pub(super) fn wait_for(&self, one: ToObtain, first_sent: Option<Wall>) {
        let parents = one.parents.iter().filter_map(|(name, generation)| {
            self.vault.get(name, *generation).map(|stored| (name.clone(), stored.value.clone()))
        });
        let mut nonce = [0; 16];
        let drawn = getrandom::fill(&mut nonce);
        let given = Given {
            parents: parents.collect(),
            refresh_token: self.vault.refresh_token(&one.name).cloned(),
            first_sent,
            answer_lost: self.on_lost_answer(&one.name, one.generation),
            precedence: self.state.precedence(&one.name),
            ..Given::new(one.name.clone(), clock::now().wall, nonce, &self.shared)
        };
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let asked = async {
                drawn.map_err(SourceError::no_random_numbers)?;
                one.source.obtain(given).await
            };
            // A panic must not leave the token waiting for ever.
            let result = AssertUnwindSafe(asked).catch_unwind().await.unwrap_or_else(|_| Err(broken()));
            // The daemon is gone: nobody waits for the answer.
            let _ = messages.send(Message::Obtained(vec![Answered { one, result }]));
        });
    }

    /// What is known of a file's content follows what became of it: a removal takes all of it along.
    fn file_done(&mut self, event: &Event) {
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
        let hook = self.token(&name).and_then(|token| match kind {
            HookKind::AfterRotate => token.after_rotate.clone(),
            HookKind::Failing(_) | HookKind::Recovered => token.on_failure.clone(),
        });
        let Some(plan) = hook else {
            self.queue.push_back(Event::HookDone { name, kind, end: HookEnd::Dropped });
            return;
        };
        let scrub = self.plan.secret_variables.clone();
        self.hooks.start(HookStart { name, kind, expires_at, plan, scrub });
    }
}
