//! Owns: the loop of `once`, `token` and `exec` without a daemon: the same runner, which ends when nothing is under way.
//! Does not: watch, listen or stay.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::sync::mpsc::unbounded_channel;

use super::Message;
use super::runner::{Held, Runner};
use super::start::{StartError, start};
use crate::core::engine::{Answer, Event, Mode, Want, Wiring};
use crate::core::settings::{Plan, TokenName};
use crate::host::clock;
use crate::host::store::Worker;

/// After SIGTERM, what is under way may take this long.
const STOP: Duration = Duration::from_millis(1800);

/// How far it is, is told so often.
const TELL: Duration = Duration::from_millis(200);

/// What is to be done once.
pub(crate) struct Once {
    /// Empty: all.
    pub names: BTreeSet<TokenName>,
    pub ahead: Duration,
    /// Due or not.
    pub force: bool,
    /// A token that must come out of it, with so much life left. Then no file is touched and no hook is run: who asks for a
    /// token is no rotation.
    pub token: Option<(TokenName, Duration)>,
}

/// How it ended.
pub(crate) struct OnceEnd {
    /// Every try and every write went well.
    pub ok: bool,
    /// The token that was asked for, or why there is none.
    pub held: Option<Result<Held, String>>,
}

/// Who is told how many tokens are done, and of how many.
pub(crate) type Told<'t> = &'t dyn Fn(usize, usize);

/// Does it.
///
/// # Errors
/// The state cannot be opened: a daemon has it, or the machine refuses.
pub(crate) fn once(plan: Plan, what: Once, told: Told<'_>) -> Result<OnceEnd, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(all(plan, what, told));
    // A write that hangs is not waited for.
    runtime.shutdown_background();
    end
}

async fn all(plan: Plan, what: Once, told: Told<'_>) -> Result<OnceEnd, StartError> {
    let (messages, mut inbox) = unbounded_channel();
    let mode = Mode::Once {
        only: (!what.names.is_empty()).then(|| what.names.clone()),
        ahead: what.ahead,
        removes: what.names.is_empty(),
    };
    let delivers = what.token.is_none();
    let wiring = if delivers { Wiring::of(&plan) } else { Wiring::of(&plan).without_files() };
    let mut runner = start(plan, mode, if delivers { Worker::Once } else { Worker::Passing }, &messages)?;
    runner.push(Event::Plan(Arc::new(wiring)));
    let patience = Duration::from_secs(600);
    let asked = what.token.map(|(name, min_valid)| {
        let answer = runner.ask_token(name.clone(), min_valid, patience);
        (name, answer)
    });
    // Its answer says no more than the failures that are counted anyway, but somebody must want it.
    let forced = what.force.then(|| runner.ask(Want::Rotate { names: what.names, force: true }, patience));
    let mut signals = signal_hook_tokio::Signals::new([SIGTERM, SIGINT])?;
    let mut stop_at = None;
    let mut alarm = clock::Alarm::new()?;
    let mut told_at = clock::now().boot;
    loop {
        runner.work();
        if runner.finished {
            break;
        }
        let now = clock::now();
        if now.boot >= told_at {
            let (done, all) = runner.state.progress();
            told(done, all);
            told_at = now.boot.plus(TELL);
        }
        let wake = runner.wake.into_iter().chain(stop_at).min().unwrap_or(now.boot.plus(Duration::from_secs(30)));
        tokio::select! {
            message = inbox.recv() => message.into_iter().for_each(|message| take(&mut runner, message)),
            woken = alarm.wait(wake) => {
                woken?;
                if stop_at.is_some_and(|at| clock::now().boot >= at) {
                    break;
                }
                runner.push(Event::Wake);
            }
            _ = futures_util::StreamExt::next(&mut signals), if stop_at.is_none() => {
                let spending = runner.spending();
                if let Some(most) = spending {
                    let most = most.as_secs();
                    tracing::info!("stopping once a refresh token is exchanged, within {most} s");
                }
                stop_at = Some(now.boot.plus(spending.unwrap_or(STOP)));
                runner.push(Event::Shutdown);
            }
        }
    }
    drop(forced);
    runner.save_rest();
    runner.hooks.end(Duration::from_secs(1)).await;
    let ok = !runner.state.has_failed() && stop_at.is_none();
    // Nobody answers any more: who still waits is told by that.
    drop(runner);
    let held = match asked {
        Some((name, answer)) => Some(held(&name, answer.await.ok())),
        None => None,
    };
    Ok(OnceEnd { ok, held })
}

/// What a thread or task tells.
pub(super) fn take(runner: &mut Runner, message: Message) {
    match message {
        Message::Event(event) => runner.push(event),
        Message::LaneDone { folder, events, landed } => {
            runner.files.lane_done(&folder, landed);
            events.iter().for_each(|event| runner.file_done(event));
            runner.extend(events);
        }
        Message::Obtained(answered) => {
            answered.into_iter().for_each(|one| runner.obtained(one));
        }
        Message::Looked { seen, .. } => {
            let events = runner.files.seen(seen);
            runner.extend(events);
        }
        // Only `run` reads a config again.
        Message::Loaded { .. } => {}
    }
}

fn held(name: &TokenName, answer: Option<Result<Held, Answer>>) -> Result<Held, String> {
    match answer {
        Some(Ok(held)) => Ok(held),
        Some(Err(Answer::Failed(lines) | Answer::NotNow(lines))) if !lines.is_empty() => {
            Err(lines.iter().map(|(name, why)| format!("token {name}: {why}")).collect::<Vec<_>>().join("; "))
        }
        Some(Err(Answer::Unknown(name))) => Err(format!("token {name} is not in the config")),
        _ => Err(format!("token {name}: stopped before it was at hand")),
    }
}
