//! Owns: the way of records into the state: a batch at a time on a thread of its own, what is asked for meanwhile is the next one; and
//! what may go on without it where the file system of the state does not answer.
//! Does not: decide what is kept, or when a token may be used.

use std::collections::BTreeSet;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak, mpsc};
use std::time::Duration;

use super::keeping::{Batch, BatchReport, StateKeeper, newest_of_each, successors};
use super::looks::Chore;
use super::message::ToObtain;
use super::vault::Vault;
use super::{Message, Messages};
use crate::core::engine::{Event, Persist};
use crate::core::settings::TokenName;
use crate::core::time::{Boot, Now, Wall};
use crate::host::store::{KeptRefresh, Record, Store};
use crate::process::threads;

/// A state that could not be written is tried again in the first round after this.
const SAVE_AGAIN: Duration = Duration::from_secs(10);
/// What is better in the state before a file is written, but need not be, waits for it so long.
const SLOW: Duration = Duration::from_millis(50);
/// What must be in the state first is told to wait after this.
const HANGS: Duration = Duration::from_secs(5);
/// While the state hangs, no more records are kept in memory than twice what they tell, and so many.
const WAITING: usize = 1024;

/// Exchanges that wait until the state says that they are begun.
#[derive(Default)]
pub(super) struct Beginning {
    /// With when each refresh token was sent first, where that was before.
    pub ones: Vec<(ToObtain, Option<Wall>)>,
    pub begun: Vec<KeptRefresh>,
    /// Their tokens, and the bytes of the last answer of each.
    pub flights: Vec<(TokenName, usize)>,
}

impl Beginning {
    fn add(&mut self, other: Self) {
        self.ones.extend(other.ones);
        self.begun.extend(other.begun);
        self.flights.extend(other.flights);
    }
}

/// What follows where a batch takes long.
#[derive(Default)]
pub(super) struct Late {
    pub events: Vec<Event>,
    /// What is written after it need not wait for it any more.
    pub releases: bool,
    /// What is not sent, and why.
    pub refused: Option<(Beginning, Arc<str>)>,
}

/// What follows from a batch's end.
pub(super) struct Outcome {
    pub number: u64,
    pub events: Vec<Event>,
    /// What may be sent now.
    pub send: Option<Beginning>,
    /// What may not, and why.
    pub refused: Option<(Beginning, Arc<str>)>,
    /// What the state tells to be begun, and was given up meanwhile.
    pub given_up: Vec<TokenName>,
}

struct UnderWay {
    number: u64,
    since: Now,
    /// Those who wait for its end.
    tokens: Vec<Persist>,
    beginning: Beginning,
    /// Tokens whose exchange was given up while this was written.
    given_up: Vec<TokenName>,
    /// Of what it holds this would be lost.
    successors: Vec<TokenName>,
    is_slow: bool,
    is_told: bool,
}

impl UnderWay {
    /// What it begins is not sent, whatever becomes of it.
    fn give_up(&mut self) -> Beginning {
        self.given_up.extend(self.beginning.begun.iter().map(|kept| kept.name.clone()));
        std::mem::take(&mut self.beginning)
    }
}

pub(super) struct Saving {
    batches: mpsc::Sender<Batch>,
    /// Held while a batch is written or the log is looked at.
    keeper: Arc<Mutex<StateKeeper>>,
    /// A look that is under way holds what this leads to.
    looking: Weak<()>,
    messages: Messages,
    under_way: Option<UnderWay>,
    /// The next batch, and what waits for it.
    next: Batch,
    tokens: Vec<Persist>,
    /// The same, where they were told that the state hangs.
    told: Vec<Persist>,
    /// More records than these are looked through for what is outdated.
    most: usize,
    beginning: Beginning,
    number: u64,
    /// What could not be written is tried again then.
    save_again: Option<Boot>,
    trouble: Option<Arc<str>>,
    unkept: Vec<TokenName>,
}

impl Saving {
    /// Starts the thread of the state.
    ///
    /// # Errors
    /// The system gives none.
    pub(super) fn new(store: Store, messages: &Messages) -> io::Result<Self> {
        let (batches, to_do) = mpsc::channel();
        let keeper = Arc::new(Mutex::new(StateKeeper::new(store)));
        keep(keeper.clone(), to_do, messages).map_err(threads::explained)?;
        Ok(Self {
            batches,
            keeper,
            looking: Weak::new(),
            messages: messages.clone(),
            under_way: None,
            next: Batch::default(),
            tokens: Vec::new(),
            told: Vec::new(),
            most: WAITING,
            beginning: Beginning::default(),
            number: 1,
            save_again: None,
            trouble: None,
            unkept: Vec::new(),
        })
    }

    pub(super) fn push(&mut self, record: Record) {
        self.next.records.push(record);
    }

    /// A successor that came without a token: what it was made from is spent.
    pub(super) fn push_successor(&mut self, kept: KeptRefresh) {
        self.push(Record::Refresh(kept));
        self.next.sync = true;
    }

    pub(super) fn push_token(&mut self, token: Persist, vault: &Vault) {
        let Some(stored) = vault.get(&token.name, token.generation) else { return };
        self.push(Record::Token(stored.clone()));
        if stored.refresh_token.is_some() {
            self.push(Record::RefreshGone(token.name.clone()));
        }
        self.next.sync |= token.sync;
        self.told.retain(|other| other.name != token.name);
        self.tokens.push(token);
    }

    /// Nothing is to be kept free any more for an exchange of this token.
    pub(super) fn landed(&mut self, name: &TokenName) {
        self.next.landed.insert(name.clone());
    }

    /// Exchanges that are to be told in the state before they are sent.
    pub(super) fn begin(&mut self, beginning: Beginning) {
        self.beginning.add(beginning);
    }

    /// The batch that what is pushed now goes with; `None` where nothing waits for the state.
    pub(super) fn number(&self) -> Option<u64> {
        let is_slow = self.under_way.as_ref().is_some_and(|batch| batch.is_slow);
        (!is_slow).then_some(self.number)
    }

    /// What is wrong with the state, for the status.
    pub(super) fn trouble(&self) -> Option<String> {
        let hangs = self.under_way.as_ref().filter(|batch| batch.is_told).map(no_answer);
        hangs.or(self.trouble.clone()).map(|why| why.to_string())
    }

    /// A look found it well, or not.
    pub(super) fn looked(&mut self, trouble: Option<Arc<str>>) {
        self.trouble = trouble;
    }

    /// When something changes although nobody is heard of.
    pub(super) fn wakes_at(&self) -> Option<Boot> {
        let batch = self.under_way.as_ref()?;
        match (batch.is_slow, batch.is_told) {
            (false, _) => Some(batch.since.boot.plus(SLOW)),
            (true, false) => Some(batch.since.boot.plus(HANGS)),
            (true, true) => None,
        }
    }

    /// Starts the next batch where there is something to do and none is under way. What follows at once is the answer, and
    /// whether what waits for the state before it is written need not wait any more.
    pub(super) fn start(&mut self, now: Now) -> Late {
        if self.under_way.is_some() {
            return self.late(now);
        }
        let waits = !self.next.is_empty() || !self.beginning.flights.is_empty();
        if waits || self.save_again.is_some_and(|at| now.boot >= at) {
            self.write(now);
        }
        Late::default()
    }

    /// A look whether the log still is where the next start finds it. What it finds comes as [`Message::StateLooked`], where that is
    /// news; where it hangs, the next batch tells. None while one is under way.
    pub(super) fn look(&mut self) -> Option<Chore> {
        if self.looking.strong_count() > 0 {
            return None;
        }
        let is_under_way = Arc::new(());
        self.looking = Arc::downgrade(&is_under_way);
        let (keeper, messages) = (self.keeper.clone(), self.messages.clone());
        Some(Box::new(move || {
            let mut keeper = match keeper.try_lock() {
                Ok(keeper) => keeper,
                Err(TryLockError::Poisoned(keeper)) => keeper.into_inner(),
                // A batch is being written, and the log was looked at with it.
                Err(TryLockError::WouldBlock) => return,
            };
            let looked = keeper.look();
            drop(is_under_way);
            // Before a batch is written that comes to something else: the later word counts.
            if let Some(trouble) = looked {
                let _ = messages.send(Message::StateLooked(trouble));
            }
        }))
    }

    fn write(&mut self, now: Now) {
        let mut batch = std::mem::take(&mut self.next);
        let mut tokens = std::mem::take(&mut self.told);
        tokens.append(&mut self.tokens);
        let beginning = std::mem::take(&mut self.beginning);
        (self.most, self.save_again) = (WAITING, None);
        batch.tokens = tokens.iter().map(|token| (token.name.clone(), token.sync)).collect();
        batch.begun.clone_from(&beginning.begun);
        batch.flights.clone_from(&beginning.flights);
        self.under_way = Some(UnderWay {
            number: self.number,
            since: now,
            tokens,
            beginning,
            given_up: Vec::new(),
            successors: successors(&batch.records),
            is_slow: false,
            is_told: false,
        });
        self.number += 1;
        // It ends with this.
        let _ = self.batches.send(batch);
    }

    /// What a batch that takes long holds up no longer.
    fn late(&mut self, now: Now) -> Late {
        let mut late = Late::default();
        let Some(batch) = &mut self.under_way else { return late };
        if now.boot < batch.since.boot.plus(SLOW) {
            return late;
        }
        late.releases = !std::mem::replace(&mut batch.is_slow, true);
        // After a restart these would only be obtained again.
        let free = batch.tokens.extract_if(.., |token| !token.sync);
        late.events.extend(free.chain(self.tokens.extract_if(.., |token| !token.sync)).map(|token| persisted(&token)));
        if now.boot < batch.since.boot.plus(HANGS) {
            return late;
        }
        let message: Arc<str> = no_answer(batch);
        let mut refused = std::mem::take(&mut self.beginning);
        if !std::mem::replace(&mut batch.is_told, true) {
            tracing::error!(
                "{message}: does the file system of its folder hang? What need not be kept first is delivered all the same; no \
                 refresh token is sent before the state answers"
            );
            late.events.extend(batch.tokens.iter().map(|token| failed(token, &message)));
            refused.add(batch.give_up());
        }
        // These go with the next batch all the same: the token is delivered as soon as the state answers.
        late.events.extend(self.tokens.iter().map(|token| failed(token, &message)));
        self.told.append(&mut self.tokens);
        late.refused = Some((refused, message));
        if self.next.records.len() > self.most {
            self.next.records = newest_of_each(std::mem::take(&mut self.next.records));
            self.most = WAITING.max(2 * self.next.records.len());
        }
        late
    }

    /// A batch has ended: tells what follows.
    pub(super) fn done(&mut self, report: BatchReport, now: Now) -> Outcome {
        let BatchReport { kept, failed: why, may_send, owes, unkept } = report;
        self.save_again = owes.then(|| now.boot.plus(SAVE_AGAIN));
        (self.trouble, self.unkept) = (why, unkept);
        let mut outcome = Outcome { number: 0, events: Vec::new(), send: None, refused: None, given_up: Vec::new() };
        let Some(batch) = self.under_way.take() else { return outcome };
        if batch.is_told {
            let took = now.boot.since(batch.since.boot);
            tracing::info!(
                "the state answers again, after {}",
                humantime::format_duration(Duration::from_secs(took.as_secs()))
            );
        }
        outcome.number = batch.number;
        outcome.given_up = batch.given_up;
        outcome.events.extend(batch.tokens.iter().map(|token| match &self.trouble {
            Some(message) if !kept.contains(&token.name) => failed(token, message),
            _ => persisted(token),
        }));
        match may_send {
            Ok(()) => outcome.send = Some(batch.beginning),
            Err(why) => outcome.refused = Some((batch.beginning, why)),
        }
        outcome
    }

    /// From now on nothing is sent any more, and what could not be written is tried at once.
    pub(super) fn end(&mut self) {
        self.save_again = self.save_again.map(|_| Boot(0));
        self.beginning = Beginning::default();
        self.under_way.iter_mut().for_each(|batch| drop(batch.give_up()));
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Says what is lost with this process.
    pub(super) fn tell_lost(&self) {
        let hangs = self.under_way.as_ref().map(no_answer);
        let why = hangs.as_deref().or(self.trouble.as_deref()).unwrap_or("the state could not be written");
        let under_way = self.under_way.iter().flat_map(|batch| &batch.successors);
        let waiting = successors(&self.next.records);
        let lost: BTreeSet<&TokenName> = under_way.chain(&self.unkept).chain(&waiting).collect();
        for name in lost {
            tracing::error!(
                token = %name,
                "token {name}: the refresh token that its issuer gave last could not be kept, and is lost as this ends: {why}. If \
                 the issuer does not take the one before it any more, put a new first one into its file"
            );
        }
    }
}

/// Starts the thread that writes the state. It ends when nobody can give it anything to do any more.
fn keep(keeper: Arc<Mutex<StateKeeper>>, to_do: mpsc::Receiver<Batch>, messages: &Messages) -> io::Result<()> {
    let messages = messages.clone();
    let work = move || {
        for batch in to_do {
            // A fault of ours must not leave who waits for it waiting for ever.
            let report = std::panic::catch_unwind(AssertUnwindSafe(|| {
                keeper.lock().unwrap_or_else(PoisonError::into_inner).carry_out(batch)
            }));
            let report = report.unwrap_or_else(|_| BatchReport::broken());
            // The daemon is gone: nobody waits for the answer.
            let _ = messages.send(Message::Saved(Box::new(report)));
        }
    };
    std::thread::Builder::new().name("renewd-state".into()).spawn(work).map(drop)
}

fn no_answer(batch: &UnderWay) -> Arc<str> {
    format!("the state has not answered since {}", batch.since.wall.rfc3339()).into()
}

fn persisted(token: &Persist) -> Event {
    Event::Persisted { name: token.name.clone(), generation: token.generation }
}

fn failed(token: &Persist, message: &Arc<str>) -> Event {
    Event::PersistFailed { name: token.name.clone(), generation: token.generation, message: message.clone() }
}
