//! Owns: exchanges that spend what they are made with: said in the state before anything is sent, the successor kept where
//! nothing else came, and how long a stop waits for one.
//! Does not: exchange (the sources do), or decide when (the engine does).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::Message;
use super::keeping::BatchReport;
use super::message::ToObtain;
use super::runner::Runner;
use super::saving::{Beginning, Late, Outcome};
use crate::core::credential::RefreshToken;
use crate::core::engine::{Doubt, Event, Reason};
use crate::core::settings::{Fingerprint, TokenName};
use crate::host::clock;
use crate::host::store::KeptRefresh;
use crate::source;

/// For one whose entry is gone meanwhile: two tries of the default `timeout`.
const LONGEST: Duration = Duration::from_secs(60);
/// The rest of a stop once an answer is there.
const AFTER: Duration = Duration::from_secs(2);

impl Runner {
    /// Starts what waits for an endpoint or a program. A refresh token is sent only when the state says so: a restart then
    /// knows of an exchange that was cut, and repeats it while the server may still take what was sent.
    pub(super) fn start_waiting(&mut self, waiting: Vec<ToObtain>) {
        let spends = |one: &ToObtain| self.token(&one.name).is_some_and(|token| token.single_use);
        let (spending, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(spends);
        others.into_iter().for_each(|one| self.wait_for(one, None));
        let spending = self.refuse_without_login(spending);
        let spending = self.refuse_spent(spending);
        let now = clock::now().wall;
        let mut beginning = Beginning::default();
        for one in spending {
            let token = self.about_to_send(&one.name);
            beginning.flights.push((one.name.clone(), self.vault.answer_len(&one.name)));
            beginning.begun.extend(token.and_then(|token| self.vault.to_begin(&one.name, token, now)));
            let first_sent = token.and_then(|token| self.vault.first_sent(&one.name, token));
            beginning.ones.push((one, first_sent));
        }
        self.saving.begin(beginning);
    }

    /// Writes what is to be in the state, as far as it answers.
    pub(super) fn save(&mut self) {
        let Late { events, releases, refused } = self.saving.start(clock::now());
        self.extend(events);
        if releases {
            self.files.saved(u64::MAX);
        }
        self.refuse(refused);
    }

    /// A batch for the state has ended.
    pub(super) fn saved(&mut self, report: BatchReport) {
        let Outcome { number, events, send, refused, given_up } = self.saving.done(report, clock::now());
        self.files.saved(number);
        self.extend(events);
        given_up.iter().for_each(|name| self.take_back(name));
        if let Some(Beginning { ones, begun, .. }) = send {
            begun.into_iter().for_each(|kept| self.vault.restore_refresh(kept));
            ones.into_iter().for_each(|(one, first_sent)| self.wait_for(one, first_sent));
        }
        self.refuse(refused);
    }

    fn refuse(&mut self, refused: Option<(Beginning, Arc<str>)>) {
        let Some((refused, why)) = refused else { return };
        let message = format!("its refresh token is not sent, since the successor could not be kept: {why}");
        let failed = refused.ones.iter().map(|(one, _)| not_sent(one, Reason::Delivery, &message));
        self.extend(failed.collect());
    }

    /// The state says that an exchange is begun which was given up: it is to say again what is so.
    fn take_back(&mut self, name: &TokenName) {
        let record = self.vault.refresh_record(name);
        self.saving.push(record);
        self.saving.landed(name);
    }

    /// The last chance of what the state lacks still, within `most`. What is lost with this process is said.
    pub(super) async fn save_rest(&mut self, inbox: &mut UnboundedReceiver<Message>, most: Duration) {
        self.saving.end();
        let end = tokio::time::Instant::now() + most;
        loop {
            self.save();
            if !self.saving.is_under_way() {
                break;
            }
            match tokio::time::timeout_at(end, inbox.recv()).await {
                Ok(Some(Message::Saved(saved))) => self.saved(*saved),
                // Nobody is there any more for what else is told.
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        self.saving.tell_lost();
    }

    /// Leaves out what waits for a person's login: nothing is begun in the state for it.
    fn refuse_without_login(&mut self, spending: Vec<ToObtain>) -> Vec<ToObtain> {
        let has_one = |one: &ToObtain| self.about_to_send(&one.name).is_some();
        let (good, without): (Vec<_>, Vec<_>) = spending.into_iter().partition(has_one);
        let failed = |one: &ToObtain| not_sent(one, Reason::Login, &source::waits_for_login(&one.name));
        self.extend(without.iter().map(failed).collect());
        good
    }

    /// Leaves out what would send a refresh token that is known to be spent: an issuer takes the second sending for a thief's.
    fn refuse_spent(&mut self, spending: Vec<ToObtain>) -> Vec<ToObtain> {
        let is_spent =
            |one: &ToObtain| self.about_to_send(&one.name).is_some_and(|token| self.vault.is_spent(&one.name, token));
        let (spent, good): (Vec<_>, Vec<_>) = spending.into_iter().partition(is_spent);
        let why = "its refresh token is not sent, since it was used before, and the state that held what the issuer gave for it was \
                   damaged";
        let failed = |one: &ToObtain| match self.token(&one.name).and_then(|token| token.source.login()) {
            Some(_) => not_sent(one, Reason::Login, &format!("{why}: log in again, by `renewd login {}`", one.name)),
            None => not_sent(one, Reason::Rejected, &format!("{why}: put a new first refresh token into its file")),
        };
        let failed = spent.iter().map(failed).collect();
        self.extend(failed);
        good
    }

    /// The refresh token that is going to be sent.
    fn about_to_send(&self, name: &TokenName) -> Option<Fingerprint> {
        let token = source::refresh_token(&self.token(name)?.source, self.vault.refresh_token(name))?;
        Some(Fingerprint::of(token.token.expose().as_bytes()))
    }

    /// An answer of no use brought the successor of what was sent.
    pub(super) fn keep_successor(&mut self, name: &TokenName, next: RefreshToken) {
        let doubt = Some(Doubt::Unread);
        let kept = KeptRefresh { name: name.clone(), next: Some(next), begun: false, sent: None, doubt };
        self.vault.restore_refresh(kept.clone());
        self.saving.push_successor(kept);
        // It is written into that room first.
        self.saving.landed(name);
    }

    /// How long a stop waits at most for what is being spent; `None` where nothing is.
    pub(super) fn spending(&self) -> Option<Duration> {
        let longest = |name| self.token(name).map_or(LONGEST, |token| token.source.longest_exchange());
        self.state.spending().map(longest).max().map(|longest| longest.saturating_add(AFTER))
    }
}

fn not_sent(one: &ToObtain, reason: Reason, message: &str) -> Event {
    Event::ObtainFailed {
        name: one.name.clone(),
        generation: one.generation,
        reason,
        message: message.into(),
        retry_after: None,
        doubt: None,
    }
}
