//! Owns: from a plan to a runner: the state opened under its lock, what it keeps taken over.
//! Does not: decide what of it is still good; the engine does.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::Messages;
use super::files::Files;
use super::runner::Runner;
use super::vault::Vault;
use crate::core::engine::{Issued, Restored, RunMode, State};
use crate::core::plan::default_state_dir;
use crate::core::settings::{Plan, TokenName};
use crate::host::clock;
use crate::host::load;
use crate::host::machine::Machine;
use crate::host::store::{Kept, Record, Store, StoreError, Worker, twins};
use crate::process::threads;
use crate::source;

/// A look for further states of the config is waited for so long.
const TWINS: Duration = Duration::from_secs(1);
/// A state that has not been opened by then hangs: that is told, and given up in the end.
const SLOW: Duration = Duration::from_secs(5);
const HANGS: Duration = Duration::from_secs(30);

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error(
        "not started: the state in {} has not answered for {} s: does its file system hang?",
        .0.display(),
        HANGS.as_secs()
    )]
    StateHangs(PathBuf),
}

/// Opens the state and makes the runner. The plan itself comes to it as its first event.
pub(super) fn start(plan: Plan, mode: RunMode, worker: Worker, messages: &Messages) -> Result<Runner, StartError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let drawn = u64::from_le_bytes(seed);
    let machine = Machine::here();
    let seed = machine.as_ref().map_or(drawn, |machine| machine.seal(drawn));
    let (store, mut kept) = open(&plan, seed, worker)?;
    // Of a state that came from another machine: with its seed, both would rotate at the same moments.
    let is_foreign = machine.as_ref().is_some_and(|machine| !machine.has_drawn(kept.seed));
    if is_foreign {
        kept.seed = seed;
    }
    if let Some(damaged) = &kept.damaged {
        tracing::error!("{damaged}");
    }
    if worker == Worker::Passing {
        kept.streaks.clear();
        kept.owed_hooks.clear();
    }
    let owed_hooks = kept.owed_hooks.clone();
    let Remembered { state, vault, files } = remember(kept, mode, machine.as_ref(), messages);
    let told = told_before(&plan, &vault);
    let mut runner = Runner::new(state, Arc::new(plan), vault, files, store, messages)?;
    runner.not_granted = told;
    if is_foreign {
        runner.saving.push(Record::Seed(seed));
    }
    runner.is_passing = worker == Worker::Passing;
    runner.owed_hooks = owed_hooks;
    if worker != Worker::Passing {
        twin_words(&runner.plan).iter().for_each(|words| tracing::warn!("{words}"));
        runner.files.sweep(&runner.plan);
    }
    Ok(runner)
}

/// Opens the state on a thread, for its file system may hang. Nothing is begun before it is known what is valid, or spent.
fn open(plan: &Plan, seed: u64, worker: Worker) -> Result<(Store, Kept), StartError> {
    let (folder, config) = (plan.daemon.state_dir.clone(), plan.path.clone());
    let (done, opened) = sync_channel(1);
    tokio::task::spawn_blocking(move || {
        // Nobody waits for one that hung: its lock is let go of again.
        let _ = done.send(Store::open(&folder, &config, seed, worker));
    });
    let folder = &plan.daemon.state_dir;
    let opened_by = |limit: Duration| match opened.recv_timeout(limit) {
        Ok(opened) => Ok(opened.map_err(StartError::from)),
        Err(RecvTimeoutError::Timeout) => Err(StartError::StateHangs(folder.clone())),
        Err(RecvTimeoutError::Disconnected) => Ok(Err(io::Error::other("opening the state panicked").into())),
    };
    opened_by(SLOW)
        .or_else(|_| {
            let slow = SLOW.as_secs();
            tracing::error!("the state in {} has not answered for {slow} s, and is waited for", folder.display());
            opened_by(HANGS.saturating_sub(SLOW))
        })
        .flatten()
}

/// One line for each further state that the config has by another path; none where that path does not answer.
pub(crate) fn twin_words(plan: &Plan) -> Vec<String> {
    let (config, own) = (plan.path.clone(), plan.daemon.state_dir.clone());
    let look = move || -> Vec<String> {
        // Where the file itself, without the links to it, would have its state.
        let real = config.canonicalize().ok();
        let usual = real.and_then(|path| default_state_dir(&path, &load::environment()));
        let folders: Vec<PathBuf> = std::iter::once(own.clone()).chain(usual).collect();
        twins(&config, &folders).iter().map(|twin| twin.words(&config, &own)).collect()
    };
    // Where no thread can be had, it is looked for at the next start.
    threads::answer_within(TWINS, "twins", look).unwrap_or_default()
}

/// What a state says, in the places where a run has it.
pub(super) struct Remembered {
    pub state: State,
    pub vault: Vault,
    pub files: Files,
}

pub(super) fn remember(kept: Kept, mode: RunMode, machine: Option<&Machine>, messages: &Messages) -> Remembered {
    let mut vault = Vault::default();
    kept.refreshes.into_values().for_each(|refresh| vault.restore_refresh(refresh));
    let mut restored = Vec::with_capacity(kept.tokens.len());
    for token in kept.tokens.into_values() {
        restored.push(Restored {
            name: token.name.clone(),
            issued: Issued::of(&token),
            login_ends: token.login_ends(),
            unsettled: vault.is_unsettled(&token.name),
            doubt: vault.doubt(&token.name),
            owes_hook: kept.owed_hooks.contains(&token.name),
        });
        vault.restore(token);
    }
    let mut files = Files::new(messages);
    let targets = files.restore(kept.targets);
    let now = clock::now();
    let seed = machine.map_or(kept.seed, |machine| machine.mix(kept.seed));
    let mut state = State::new(mode, seed, restored, targets, now);
    state.restore_streaks(kept.streaks, now);
    state.restore_logins(kept.logins_told);
    Remembered { state, vault, files }
}

/// Scopes that an earlier run has said to be missing: of tokens that were made from the settings of now.
fn told_before(plan: &Plan, vault: &Vault) -> BTreeMap<TokenName, Vec<String>> {
    let missing = plan.tokens.iter().filter_map(|token| {
        let kept = vault.newest(&token.name).filter(|kept| kept.fingerprint == token.fingerprint)?;
        Some((token.name.clone(), source::not_granted(&token.source, kept.scope.as_deref())))
    });
    missing.filter(|(_, missing)| !missing.is_empty()).collect()
}
