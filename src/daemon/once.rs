//! Owns: the loop of `once`, `token` and `exec` without a daemon: the same runner, which ends when nothing is under way.
//! Does not: watch, listen or stay.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::runner::{Reply, Runner};
use super::start::{StartError, start};
use super::{Message, requests};
use crate::core::engine::{Event, RunMode, Want, Wiring};
use crate::core::settings::{Plan, TokenName, TokenPlan};
use crate::core::time::Boot;
use crate::core::token::Token;
use crate::host::clock::{self, Alarm};
use crate::host::inherited;
use crate::host::store::Worker;
use crate::process::{orphans, threads};

/// After SIGTERM, what is under way may take this long.
const STOP: Duration = Duration::from_millis(1800);

/// A successor that could not be kept is tried again for so long at most, and after SIGTERM for so long.
const KEEP: Duration = Duration::from_secs(60);
const KEEP_AT_STOP: Duration = Duration::from_secs(10);

/// What is under way may take as long as its own timeouts say, and so much for the disk; nothing is heard of it for longer
/// where a file system hangs.
const QUIET: Duration = Duration::from_secs(60);

/// What the state lacks at the end is written within this.
const SAVE_REST: Duration = Duration::from_secs(5);

/// What a crash left is removed within this, where nothing else is to be done.
const SWEEP: Duration = Duration::from_secs(2);

/// How far it is, is told so often.
const TELL: Duration = Duration::from_millis(200);

/// What is to be done once.
pub(crate) struct Once {
    /// Empty: all.
    pub names: BTreeSet<TokenName>,
    pub ahead: Duration,
    /// Due or not.
    pub force: bool,
    /// What a login brought: it is taken in, as one that was obtained.
    pub login: Option<Token>,
    /// A token that must come out of it, with so much life left. Then no file is touched and no hook is run: who asks for a
    /// token is no rotation.
    pub token: Option<(TokenName, Duration)>,
}

/// How it ended.
pub(crate) struct OnceEnd {
    /// Every try and every write went well.
    pub ok: bool,
    /// The token that was asked for, or why there is none.
    pub held: Option<Result<Arc<Token>, String>>,
}

/// Who is told how many tokens are done, and of how many.
pub(crate) type OnProgress<'t> = &'t dyn Fn(usize, usize);

/// Does it.
///
/// # Errors
/// The state cannot be opened: a daemon has it, or the machine refuses.
pub(crate) fn once(plan: Plan, what: Once, told: OnProgress<'_>) -> Result<OnceEnd, StartError> {
    let runtime = threads::runtime()?;
    let end = runtime.block_on(all(plan, what, told));
    // A write that hangs is not waited for.
    runtime.shutdown_background();
    end
}

async fn all(plan: Plan, what: Once, told: OnProgress<'_>) -> Result<OnceEnd, StartError> {
    let (messages, inbox) = unbounded_channel();
    let quiet = longest(&plan).saturating_add(QUIET);
    let mode = RunMode::Once {
        only: (!what.names.is_empty()).then(|| what.names.clone()),
        ahead: what.ahead,
        removes: what.names.is_empty(),
    };
    let delivers = what.token.is_none();
    let wiring = if delivers { Wiring::of(&plan) } else { Wiring::of(&plan).without_files() };
    let mut runner = start(plan, mode, if delivers { Worker::Once } else { Worker::Passing }, &messages)?;
    runner.push(Event::Plan(Arc::new(wiring)));
    let at_most = Duration::from_secs(600);
    let asked = what.token.map(|(name, min_valid)| {
        let want = Want::Token { name: name.clone(), min_valid, is_patient: false };
        (name, runner.ask(want, at_most))
    });
    let logged_in = what.login.map(|token| runner.take_login(token, at_most));
    // Its answer says no more than the failures that are counted anyway, but somebody must want it.
    let forced = what.force.then(|| runner.ask(Want::Rotate { names: what.names, force: true }, at_most));
    let signals = Signals::new([SIGTERM, SIGINT])?;
    inherited::ends_by_itself();
    inherited::give_defaults();
    tokio::spawn(orphans::reap());
    let now = clock::now().boot;
    let patience = Patience { quiet, quiet_at: now.plus(quiet), keep_until: None, left_by: None };
    let ok = Run { runner, inbox, told, told_at: now, stop_at: None, patience }.serve(signals, Alarm::new()?).await?;
    drop((forced, logged_in));
    let held = match asked {
        Some((name, answer)) => Some(held(&name, answer.await.ok())),
        None => None,
    };
    Ok(OnceEnd { ok, held })
}

struct Run<'t> {
    runner: Runner,
    inbox: UnboundedReceiver<Message>,
    told: OnProgress<'t>,
    told_at: Boot,
    stop_at: Option<Boot>,
    patience: Patience,
}

impl Run<'_> {
    /// Works until it is over or stopped; whether every try and every write went well. Nobody answers any more then: who
    /// still waits is told by that.
    async fn serve(mut self, mut signals: Signals, mut alarm: Alarm) -> io::Result<bool> {
        let mut is_complete = true;
        loop {
            let round = self.runner.work();
            let now = clock::now().boot;
            let is_over = round.is_over && (!self.runner.files.is_busy() || self.patience.is_swept_by(now));
            if is_over || self.stop_at.is_some_and(|at| now >= at) {
                break;
            }
            self.tell(now);
            if self.patience.is_over(&self.runner, now) {
                is_complete = false;
                break;
            }
            let swept = round.is_over.then(|| self.patience.left_by.unwrap_or(now));
            let all = [round.wake, self.stop_at, swept, self.patience.ends(&self.runner)];
            let wake = all.into_iter().flatten().min().unwrap_or(now.plus(Duration::from_secs(30)));
            tokio::select! {
                message = self.inbox.recv() => {
                    self.patience.quiet_at = now.plus(self.patience.quiet);
                    message.into_iter().for_each(|message| self.runner.take(message));
                }
                woken = alarm.wait(wake) => {
                    woken?;
                    self.runner.push(Event::Wake);
                }
                _ = signals.next(), if self.stop_at.is_none() => self.stop(now),
            }
        }
        self.runner.save_rest(&mut self.inbox, SAVE_REST).await;
        self.runner.hooks.end(Duration::from_secs(1)).await;
        Ok(!self.runner.state.has_failed() && self.stop_at.is_none() && is_complete)
    }

    fn tell(&mut self, now: Boot) {
        if now >= self.told_at {
            let (done, all) = self.runner.state.progress();
            (self.told)(done, all);
            self.told_at = now.plus(TELL);
        }
    }

    fn stop(&mut self, now: Boot) {
        let spending = self.runner.spending();
        if let Some(most) = spending {
            let most = most.as_secs();
            tracing::info!("stopping once a refresh token is exchanged, within {most} s");
        }
        self.stop_at = Some(now.plus(spending.unwrap_or(STOP)));
        self.patience.hurry(now);
        self.runner.push(Event::Shutdown);
    }
}

/// The ends of waits that nothing else ends.
struct Patience {
    quiet: Duration,
    quiet_at: Boot,
    /// Since a successor could not be kept.
    keep_until: Option<Boot>,
    /// All is done but what a crash may have left in folders that are not done with.
    left_by: Option<Boot>,
}

impl Patience {
    /// Says what is given up, if anything is.
    fn is_over(&mut self, runner: &Runner, now: Boot) -> bool {
        if runner.state.unkept().next().is_none() {
            self.keep_until = None;
        } else if *self.keep_until.get_or_insert(now.plus(KEEP)) <= now {
            // What is lost by that is said at the end.
            return true;
        }
        let is_quiet = !runner.state.is_at_rest() && self.quiet_at <= now;
        if is_quiet {
            let paths: Vec<String> = runner.state.paths_under_way().map(|path| format!("{path:?}")).collect();
            let what = if paths.is_empty() { String::new() } else { format!(" ({})", paths.join(", ")) };
            let time = humantime::format_duration(self.quiet);
            tracing::error!(
                "nothing was heard for {time} of what is under way{what}: it is left as it is; does a file system hang?"
            );
        }
        is_quiet
    }

    fn ends(&self, runner: &Runner) -> Option<Boot> {
        let quiet_at = (!runner.state.is_at_rest()).then_some(self.quiet_at);
        self.keep_until.into_iter().chain(quiet_at).min()
    }

    /// Leftovers of a crash are swept away in each folder, but one that hangs is not waited for long.
    fn is_swept_by(&mut self, now: Boot) -> bool {
        *self.left_by.get_or_insert(now.plus(SWEEP)) <= now
    }

    /// Somebody waits for the end.
    fn hurry(&mut self, now: Boot) {
        self.keep_until = self.keep_until.map(|until| until.min(now.plus(KEEP_AT_STOP)));
    }
}

/// The longest timeout of all that may be under way.
fn longest(plan: &Plan) -> Duration {
    let of_token = |token: &Arc<TokenPlan>| {
        let hooks = token.after_rotate.iter().chain(&token.on_failure).map(|hook| hook.timeout);
        hooks.chain([token.source.longest_try()]).max()
    };
    plan.tokens.iter().filter_map(of_token).max().unwrap_or_default()
}

fn held(name: &TokenName, reply: Option<Reply>) -> Result<Arc<Token>, String> {
    let Some(Reply { answer, token }) = reply else { return Err(stopped(name)) };
    token.ok_or_else(|| {
        let lines = requests::lines(&answer);
        if lines.is_empty() { stopped(name) } else { lines.join("; ") }
    })
}

fn stopped(name: &TokenName) -> String {
    format!("token {name}: stopped before it was at hand")
}
