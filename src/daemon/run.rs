//! Owns: the loop of `renewd run`: what it waits for (the clock, signals, changed files, requests, its own threads), and
//! what the service manager is told.
//! Does not: decide what any of it means for a token; the engine does.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook_tokio::Signals;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::document::StatusHead;
use super::held::HeldCalls;
use super::listeners::{ListenerEvent, Listeners};
use super::reading::ReadingThread;
use super::reload::{Cause, Reload, Verdict, needs_restart, sizes};
use super::requests;
use super::runner::{Round, Runner};
use super::start::{StartError, start};
use super::telling::Telling;
use super::{Message, credentials, notes};
use crate::core::diagnostic::Severity;
use crate::core::engine::{Event, RunMode, Wiring};
use crate::core::environment::Environment;
use crate::core::settings::Plan;
use crate::core::time::{Boot, Now};
use crate::host::clock::{self, Alarm, StepWatch, Woken};
use crate::host::control::Call;
use crate::host::load::Loaded;
use crate::host::store::Worker;
use crate::host::systemd::Notifier;
use crate::host::watch::{Mark, Watcher};
use crate::host::{inherited, names};
use crate::process::{orphans, threads};

/// No sleep is longer: a step of the clock that nobody told of is noticed within 30 s. What is looked at now and then is looked at at
/// this wake-up, and wakes nobody else where all is as it was.
const LONGEST_SLEEP: Duration = Duration::from_millis(29_950);
/// After SIGTERM, a write under way may take this long.
const STOP: Duration = Duration::from_millis(1500);
/// What the state lacks still is written within this.
const STOP_SAVING: Duration = Duration::from_secs(2);
/// Hooks under way are ended within this.
const STOP_HOOKS: Duration = Duration::from_millis(400);
/// What a reload changed is on disk within this, or the reload is over all the same.
const SETTLE: Duration = Duration::from_secs(2);
/// Without its timer the daemon looks at everything this often.
const TIMERLESS: Duration = Duration::from_secs(1);
/// Those who wait at the control socket are told within this.
const STOP_ANSWERS: Duration = Duration::from_millis(300);
/// What is watched is looked at this often, at a wake-up that is there anyway.
const COMPARE: Duration = Duration::from_secs(58);

/// Runs the daemon until it is told to stop; returns the exit code.
pub(crate) fn run(config: PathBuf, env: Environment) -> ExitCode {
    let notifier = Notifier::from_env(|name| env.variable(name).map(ToOwned::to_owned)).unwrap_or_else(|error| {
        tracing::warn!("the service manager cannot be told anything: {error}");
        Notifier::silent()
    });
    let ended = threads::runtime().map_err(StartError::from).and_then(|runtime| {
        let ended = runtime.block_on(begin(config, env, notifier));
        // A write that hangs is not waited for.
        runtime.shutdown_background();
        ended
    });
    ended.unwrap_or_else(|error| {
        tracing::error!("{error}");
        ExitCode::FAILURE
    })
}

async fn begin(config: PathBuf, env: Environment, mut notifier: Notifier) -> Result<ExitCode, StartError> {
    // A SIGHUP that comes while the config is read must not end the daemon; SIGTERM may, there is nothing to finish yet.
    let signals = Signals::new([SIGHUP, SIGUSR1])?;
    inherited::give_defaults();
    tokio::spawn(orphans::reap());
    let listeners = Listeners::new(env.variable("LISTEN_FDNAMES").map(ToOwned::to_owned));
    let read_at = Mark::now();
    let env = Arc::new(env);
    let thread = ReadingThread::start()?;
    let loaded = thread.read(&config, &env);
    for (severity, line) in loaded.report.lines() {
        match severity {
            Severity::TextError | Severity::Lack => tracing::error!("{line}"),
            Severity::Warning => tracing::warn!("{line}"),
        }
    }
    let (files, folders) = (loaded.watched_files().clone(), loaded.watched_folders().clone());
    let Loaded { plan, report, is_passing, content, .. } = loaded;
    let Some(plan) = plan else {
        let why = report.one_line().unwrap_or_default();
        if is_passing {
            // No mistake of the config: the service manager shall try again.
            notifier.status(&format!("the config cannot be read: {why}"));
            tracing::error!("not started, for the config cannot be read just now; the next start may do");
            return Ok(ExitCode::FAILURE);
        }
        notifier.status(&format!("config refused: {why}"));
        tracing::error!("not started; `renewd check -c {}` shows each place", config.display());
        return Ok(ExitCode::from(78));
    };
    let (messages, inbox) = unbounded_channel();
    let reload = Reload::new(config, env, thread, content, &messages);
    let wiring = Arc::new(Wiring::of(&plan));
    let started = start(plan, RunMode::Daemon, Worker::Daemon, &messages).and_then(|runner| {
        [SIGTERM, SIGINT].into_iter().try_for_each(|signal| signals.handle().add_signal(signal))?;
        inherited::ends_by_itself();
        Ok((runner, Alarm::new()?))
    });
    let (mut runner, alarm) = started.inspect_err(|error| notifier.status(&error.to_string()))?;
    let kept = runner.state.kept(&wiring, clock::now());
    runner.push(Event::Plan(wiring));
    let mut watcher = Watcher::new();
    watcher.set(&files, &folders, read_at);
    let mut daemon = Daemon::new(runner, reload, watcher, notifier, inbox, listeners);
    daemon.kept = kept;
    Ok(daemon.serve(signals, alarm).await)
}

struct Daemon {
    runner: Runner,
    reload: Reload,
    watcher: Watcher,
    telling: Telling,
    inbox: UnboundedReceiver<Message>,
    listeners: Listeners,
    about: StatusHead,
    /// Tokens that an earlier run left and that are good still.
    kept: usize,
    steps: StepWatch,
    /// When what is watched was compared with how it stood.
    compared: Boot,
    /// When all files were looked at.
    looked: Boot,
    /// Requests that wait for a look at their files.
    held: HeldCalls,
    /// A reading is being carried out; its end is told by then.
    settle_by: Option<Boot>,
    stop_at: Option<Boot>,
    /// The stop waits for an exchange that spends a refresh token.
    stop_spends: bool,
}

impl Daemon {
    fn new(
        runner: Runner,
        reload: Reload,
        watcher: Watcher,
        notifier: Notifier,
        inbox: UnboundedReceiver<Message>,
        listeners: Listeners,
    ) -> Self {
        let now = clock::now();
        let mut steps = StepWatch::default();
        // From here on a step is one.
        steps.stepped(now);
        Self {
            runner,
            reload,
            watcher,
            telling: Telling::new(notifier, now),
            inbox,
            listeners,
            about: StatusHead { started_at: now.wall, loaded_at: now.wall, restart_needed: Vec::new() },
            kept: 0,
            steps,
            compared: now.boot,
            looked: now.boot,
            held: HeldCalls::default(),
            settle_by: None,
            stop_at: None,
            stop_spends: false,
        }
    }

    async fn serve(&mut self, mut signals: Signals, mut alarm: Alarm) -> ExitCode {
        let plan = self.runner.plan.clone();
        self.listeners.set_plan(&plan);
        self.listeners.start(&plan.daemon).await;
        let places = self.listeners.places(&self.runner.plan.daemon);
        notes::hello(&self.runner.plan, &places, self.kept);
        loop {
            let round = self.work();
            self.settle();
            self.hasten_stop();
            if round.reread {
                self.read_config(Cause::Itself);
            }
            self.telling.tell(&self.runner, &round, self.stop_at.is_some());
            if round.is_over || self.stop_at.is_some_and(|at| clock::now().boot >= at) {
                break;
            }
            let wake = self.next_wake(round.wake, clock::now());
            tokio::select! {
                biased;
                Some(signal) = signals.next() => self.signal(signal),
                Some(message) = self.inbox.recv() => self.message(message),
                woken = alarm.wait(wake) => {
                    if woken.is_err() {
                        // Not hot, whatever is wrong with the timer.
                        tokio::time::sleep(TIMERLESS).await;
                    }
                    self.woken(woken);
                }
                asked = self.listeners.asked() => match asked {
                    ListenerEvent::Call(call) => self.ask(call),
                    ListenerEvent::Credential(wish) => credentials::take(&mut self.runner, wish),
                },
                is_sure = self.watcher.changed(), if self.stop_at.is_none() => {
                    self.read_config(if is_sure { Cause::Told } else { Cause::Doubt });
                }
            }
        }
        self.end().await
    }

    /// A round, and one more for the requests whose look is over, or has taken too long: what the look found is taken in
    /// before they are, and a stop that is over otherwise is not over before they have their answers.
    fn work(&mut self) -> Round {
        let round = self.runner.work();
        let over = self.held.over(self.stop_at.is_some());
        if over.is_empty() {
            return round;
        }
        over.into_iter().for_each(|call| self.call(call));
        round.and(self.runner.work())
    }

    async fn end(&mut self) -> ExitCode {
        notes::left(&self.runner.state);
        self.runner.save_rest(&mut self.inbox, STOP_SAVING).await;
        tokio::join!(self.runner.hooks.end(STOP_HOOKS), self.listeners.end(STOP_ANSWERS));
        tracing::info!("stopped; the tokens stay in their files");
        ExitCode::SUCCESS
    }

    fn signal(&mut self, signal: i32) {
        match signal {
            SIGHUP => self.watcher.ask(),
            SIGUSR1 => notes::log_status(&self.runner.state, clock::now()),
            _ if self.stop_at.is_none() => {
                let spending = self.runner.spending();
                self.stop_spends = spending.is_some();
                self.stop_at = Some(clock::now().boot.plus(spending.unwrap_or(STOP)));
                self.telling.stopping(spending);
                self.listeners.close();
                self.reload.give_up();
                self.runner.push(Event::Shutdown);
            }
            _ => {}
        }
    }

    /// Once what was being spent is kept, the rest of a stop is as short as any.
    fn hasten_stop(&mut self) {
        if self.stop_spends && self.runner.spending().is_none() {
            self.stop_spends = false;
            let soon = clock::now().boot.plus(STOP);
            self.stop_at = self.stop_at.map(|at| at.min(soon));
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Loaded { number, loaded, read_at } if self.reload.is_awaited(number) => {
                self.loaded(*loaded, read_at);
            }
            other => {
                if let Message::Looked { asked: Some(id), .. } = &other {
                    self.held.looked(*id);
                }
                self.runner.take(other);
            }
        }
    }

    fn woken(&mut self, woken: std::io::Result<Woken>) {
        let now = clock::now();
        let was_set = self.steps.stepped(now) || matches!(woken, Ok(Woken::ClockStepped));
        if let Err(error) = woken {
            tracing::error!("the timer failed: {error}");
        }
        if was_set {
            self.runner.clock_was_set();
        } else {
            self.runner.push(Event::Wake);
        }
        if now.boot >= self.looked.plus(LONGEST_SLEEP) && self.stop_at.is_none() {
            self.looked = now.boot;
            self.look(now.boot);
        } else if self.listeners.lacks() {
            self.listeners.look(&self.runner.plan.daemon);
        }
    }

    /// Looks at all that nobody tells of, on a thread that ends with it.
    fn look(&mut self, now: Boot) {
        let mut chores = self.listeners.chores(&self.runner.plan.daemon);
        chores.extend(self.runner.saving.look());
        let is_time = now >= self.compared.plus(COMPARE);
        if is_time {
            self.compared = now;
        }
        chores.extend(self.watcher.compare(is_time));
        self.runner.files.look(chores);
    }

    /// What is told of files is told after a look at them, as far as their folders answer.
    fn ask(&mut self, call: Call) {
        if let Some(call) = self.held.hold(&mut self.runner, call) {
            self.call(call);
        }
    }

    fn call(&mut self, call: Call) {
        let mut problems = [self.listeners.problems(), self.watcher.troubles()].concat();
        problems.extend(self.reload.trouble().into_iter().chain(self.runner.saving.trouble()));
        if requests::take(&mut self.runner, &mut self.reload, &self.about, &problems, call) {
            // Not while a file is half written.
            self.watcher.ask();
        }
    }

    /// Begins to read the config; what is told stands between RELOADING=1 and READY=1.
    fn read_config(&mut self, cause: Cause) {
        if self.stop_at.is_some() {
            return;
        }
        if self.settle_by.take().is_some() {
            self.end_reading();
        }
        if self.reload.begin(cause) && self.reload.cause == Cause::Told {
            self.tell_reloading();
        }
    }

    fn tell_reloading(&mut self) {
        if self.runner.state.is_ready() {
            self.telling.reloading();
        }
    }

    fn loaded(&mut self, loaded: Loaded, read_at: Mark) {
        self.watcher.set(loaded.watched_files(), loaded.watched_folders(), read_at);
        self.listeners.look(&self.runner.plan.daemon);
        let verdict = self.reload.judge(loaded, &self.runner.plan);
        if self.reload.cause == Cause::Doubt && !matches!(verdict, Verdict::Unchanged) {
            self.tell_reloading();
        }
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Taken(plan) => self.take_plan(*plan),
            Verdict::Refused { message, lack } => self.runner.push(Event::PlanRefused { message, lack }),
        }
        self.settle_by = Some(clock::now().boot.plus(SETTLE));
    }

    /// A reading is over when what it changed is on disk, or takes long: then READY=1 comes back, and who asked is told.
    fn settle(&mut self) {
        let Some(by) = self.settle_by else { return };
        if !self.runner.state.is_at_rest() && clock::now().boot < by {
            return;
        }
        self.settle_by = None;
        self.end_reading();
        if self.reload.take_again() {
            self.read_config(Cause::Told);
        }
    }

    fn end_reading(&mut self) {
        self.reload.settled(&self.runner.plan, &self.about.restart_needed);
        self.telling.reloaded(&self.runner);
    }

    fn take_plan(&mut self, plan: Plan) {
        let restart = needs_restart(&self.runner.plan, &plan);
        if restart != self.about.restart_needed && !restart.is_empty() {
            tracing::warn!("[daemon] {} changed: that needs a restart", restart.join(", "));
        }
        for lack in plan.lacks.difference(&self.runner.plan.lacks) {
            tracing::error!("{lack}");
        }
        self.about.restart_needed = restart;
        names::forget();
        self.about.loaded_at = clock::now().wall;
        let wiring = Arc::new(Wiring::of(&plan));
        if self.reload.cause != Cause::Itself {
            tracing::info!("the config is read: {}", sizes(&plan));
        }
        // Paths of [daemon] stay as they were at the start.
        let plan = Plan { daemon: self.runner.plan.daemon.clone(), ..plan };
        self.listeners.set_plan(&plan);
        self.runner.set_plan(Arc::new(plan));
        self.runner.push(Event::Plan(wiring));
    }

    fn next_wake(&self, of_round: Option<Boot>, now: Now) -> Boot {
        let told = self.telling.next(self.runner.state.is_ready());
        let look = self.looked.plus(LONGEST_SLEEP);
        let look = self.stop_at.is_none().then_some(look);
        let all = [of_round, self.held.next(), look, told, self.stop_at, self.settle_by];
        all.into_iter().flatten().fold(now.boot.plus(LONGEST_SLEEP), Boot::min)
    }
}
