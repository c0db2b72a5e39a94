//! Owns: reading the config again: one reading at a time, judged against the running plan, and who is told.
//! Does not: read (host/load does) or apply (the engine does).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::reading::ReadingThread;
use super::{Message, Messages};
use crate::core::diagnostic::Severity;
use crate::core::engine::Wiring;
use crate::core::environment::Environment;
use crate::core::settings::{Fingerprint, Plan};
use crate::core::time::Now;
use crate::host::clock;
use crate::host::load::{Loaded, load_again};
use crate::host::watch::Mark;

/// A reading that takes longer hangs: the next one does not wait for it.
const STUCK: Duration = Duration::from_secs(30);

/// So many readings may hang at a time, each on a thread: the threads are for others too.
const HANGING: usize = 4;

/// Why the config is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// It was seen to change, or somebody asks.
    Told,
    /// It may have changed while nobody looked: at the start, or when events were lost.
    Doubt,
    /// The engine asks, or time does: what is lacking may be there by now.
    Itself,
}

/// What a reading came to.
pub(super) enum Verdict {
    Taken(Box<Plan>),
    /// It was only possible that something had changed, and nothing has: what failed is not tried again for that.
    Unchanged,
    Refused {
        message: Arc<str>,
        lack: bool,
    },
}

/// One who asked for a reload: the answer is what was taken, in a line, or all errors.
pub(super) type ReloadReply = oneshot::Sender<Result<Vec<String>, Errors>>;

/// Why a config was not taken, a line each.
#[derive(Clone)]
pub(super) struct Errors {
    pub lines: Vec<String>,
    /// It could not be read just now: nothing is known to be wrong.
    pub is_passing: bool,
}

/// The reading under way, and who waits for it or for the next.
pub(super) struct Reload {
    config: PathBuf,
    env: Arc<Environment>,
    thread: ReadingThread,
    messages: Messages,
    is_running: bool,
    /// Of the newest reading, and when it began; an older one that comes back after all counts for nothing.
    number: u64,
    began: Now,
    /// Each reading that has not come back holds one.
    readings: Arc<()>,
    pub cause: Cause,
    /// Of what was read last and taken.
    content: Fingerprint,
    again: bool,
    askers: Vec<ReloadReply>,
    next_askers: Vec<ReloadReply>,
    /// The last refusal, so that the log does not repeat it each minute.
    last: Option<Arc<str>>,
}

impl Reload {
    /// `content`: of what the running plan was read from.
    pub(super) fn new(
        config: PathBuf,
        env: Arc<Environment>,
        thread: ReadingThread,
        content: Fingerprint,
        messages: &Messages,
    ) -> Self {
        Self {
            config,
            env,
            thread,
            messages: messages.clone(),
            is_running: false,
            number: 0,
            began: clock::now(),
            readings: Arc::default(),
            cause: Cause::Itself,
            content,
            again: false,
            askers: Vec::new(),
            next_askers: Vec::new(),
            last: None,
        }
    }

    /// Whoever asks is answered by a reading that begins after this.
    pub(super) fn ask(&mut self, asker: ReloadReply) {
        self.next_askers.push(asker);
    }

    /// Why the config is not read as it should be.
    pub(super) fn trouble(&self) -> Option<String> {
        let now = clock::now().boot;
        let hangs = self.is_running && now >= self.began.boot.plus(STUCK);
        hangs.then(|| {
            let since = self.began.wall.rfc3339();
            format!("reading the config has hung since {since}: a file or folder that it names does not answer")
        })
    }

    /// Begins a reading on a thread; one under way is followed by another. True where it began now.
    pub(super) fn begin(&mut self, cause: Cause) -> bool {
        let now = clock::now();
        if self.is_running && now.boot < self.began.boot.plus(STUCK) {
            self.again = true;
            return false;
        }
        if let Some(trouble) = self.trouble() {
            tracing::error!("{trouble}");
            if Arc::strong_count(&self.readings) > HANGING {
                for asker in self.next_askers.drain(..) {
                    // Who does not listen any more needs no answer.
                    let _ = asker.send(Err(Errors { lines: vec![trouble.clone()], is_passing: true }));
                }
                self.again = true;
                return false;
            }
        }
        self.is_running = true;
        self.number += 1;
        self.began = now;
        let number = self.number;
        // Who waits for it has asked.
        self.cause = if self.next_askers.is_empty() { cause } else { Cause::Told };
        self.askers.append(&mut self.next_askers);
        let (config, env, messages) = (self.config.clone(), self.env.clone(), self.messages.clone());
        let is_free = Arc::strong_count(&self.readings) == 1;
        let reading = self.readings.clone();
        let read = move |former: &mut _| {
            let read_at = Mark::now();
            let loaded = Box::new(load_again(&config, &env, former));
            // Before it is told: the next reading finds the thread free.
            drop(reading);
            // The daemon is gone: nobody waits for the answer.
            let _ = messages.send(Message::Loaded { number, loaded, read_at });
        };
        if is_free {
            self.thread.give(Box::new(read));
        } else {
            tokio::task::spawn_blocking(|| read(&mut None));
        }
        true
    }

    /// Whether this is the reading that is waited for.
    pub(super) fn is_awaited(&self, number: u64) -> bool {
        self.is_running && self.number == number
    }

    /// Judges what was read: a mistake in the text refuses it whole, and so does a lack that the running plan has not.
    pub(super) fn judge(&mut self, loaded: Loaded, running: &Plan) -> Verdict {
        self.is_running = false;
        let Loaded { mut plan, report, is_passing, content, .. } = loaded;
        if let Some(plan) = plan.as_mut().filter(|_| self.cause == Cause::Itself) {
            leave_to_delivery(plan, running);
        }
        let report = report.without_lacks(&running.lacks);
        let text_errors = report.has_text_errors();
        let new_lack = plan.as_ref().is_some_and(|plan| !plan.lacks.is_subset(&running.lacks));
        let refused = match &plan {
            Some(_) if !new_lack => None,
            Some(_) => Some(true),
            // What passes by itself is looked at again by itself.
            None => Some(!text_errors || is_passing),
        };
        let errors = report.lines().filter(|(severity, _)| *severity != Severity::Warning);
        let errors = Errors { lines: errors.map(|(_, line)| line).collect(), is_passing };
        if refused.is_some() {
            for asker in self.askers.drain(..) {
                // Who does not listen any more needs no answer.
                let _ = asker.send(Err(errors.clone()));
            }
        }
        match (plan, refused) {
            (Some(plan), None) => {
                let is_same = std::mem::replace(&mut self.content, content) == content && self.last.is_none();
                if self.cause == Cause::Doubt && is_same && Wiring::of(&plan) == Wiring::of(running) {
                    return Verdict::Unchanged;
                }
                self.last = None;
                for (_, line) in report.lines().filter(|(severity, _)| *severity == Severity::Warning) {
                    tracing::debug!("{line}");
                }
                Verdict::Taken(Box::new(plan))
            }
            (_, refused) => {
                let message: Arc<str> = report.one_line().unwrap_or_else(|| "it cannot be read".into()).into();
                if self.last.as_ref() != Some(&message) {
                    errors.lines.iter().for_each(|line| tracing::error!("config refused: {line}"));
                    let again =
                        if is_passing { "it is read again each minute" } else { "`renewd check` shows each place" };
                    tracing::error!("the config was refused whole, the old one runs on; {again}");
                    self.last = Some(message.clone());
                }
                Verdict::Refused { message, lack: refused.unwrap_or(false) }
            }
        }
    }

    /// What was taken is carried out: whoever asked for it is told.
    pub(super) fn settled(&mut self, running: &Plan, restart_needed: &[&str]) {
        let mut notes = vec![format!("the config is read: {}", sizes(running))];
        if !restart_needed.is_empty() {
            notes.push(format!("[daemon] {} changed: that needs a restart", restart_needed.join(", ")));
        }
        for asker in self.askers.drain(..) {
            // Who does not listen any more needs no answer.
            let _ = asker.send(Ok(notes.clone()));
        }
    }

    /// No reading is judged any more: who waits for one is told so.
    pub(super) fn give_up(&mut self) {
        self.askers.clear();
        self.next_askers.clear();
    }

    /// Whether another reading was asked for while one was under way.
    pub(super) fn take_again(&mut self) -> bool {
        std::mem::take(&mut self.again) || !self.next_askers.is_empty()
    }
}

/// How much a plan holds, in words.
pub(super) fn sizes(plan: &Plan) -> String {
    let counted = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!("{}, {}", counted(plan.tokens.len(), "token"), counted(plan.targets.len(), "file"))
}

/// A folder that vanished while the daemon runs is for the delivery to tell: it must not keep a lack elsewhere from
/// being mended.
fn leave_to_delivery(plan: &mut Plan, running: &Plan) {
    let mut lacking: Vec<_> = plan.targets.iter_mut().filter(|target| target.lack.is_some()).collect();
    if lacking.is_empty() {
        return;
    }
    let well: HashSet<_> = running.targets.iter().filter(|old| old.lack.is_none()).map(|old| &old.path).collect();
    lacking.retain(|target| well.contains(&target.path));
    let left: Vec<_> = lacking.into_iter().filter_map(|target| Arc::make_mut(target).lack.take()).collect();
    let still: HashSet<&Arc<str>> =
        plan.targets.iter().filter_map(|target| target.lack.as_ref()).map(|lack| &lack.told).collect();
    for lack in left.iter().filter(|lack| !still.contains(&lack.told)) {
        plan.lacks.remove(&lack.told);
    }
}

/// What of `[daemon]` only a restart takes up.
pub(super) fn needs_restart(old: &Plan, new: &Plan) -> Vec<&'static str> {
    let (a, b) = (&old.daemon, &new.daemon);
    let keys = [
        ("control_socket", a.control_socket != b.control_socket),
        ("control_group", a.control_group != b.control_group),
        ("state_dir", a.state_dir != b.state_dir),
        ("metrics_listen", a.metrics_listen != b.metrics_listen),
        ("credential_socket", a.credential_socket != b.credential_socket),
    ];
    keys.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
