//! Owns: from a plan to a runner: the state opened under its lock, what it keeps taken over.
//! Does not: decide what of it is still good; the engine does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

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
use crate::source;

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Opens the state and makes the runner. The plan itself comes to it as its first event.
pub(super) fn start(plan: Plan, mode: RunMode, worker: Worker, messages: &Messages) -> Result<Runner, StartError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    let drawn = u64::from_le_bytes(seed);
    let machine = Machine::here();
    let seed = machine.as_ref().map_or(drawn, |machine| machine.seal(drawn));
    let (store, mut kept) = Store::open(&plan.daemon.state_dir, &plan.path, seed, worker)?;
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

/// One line for each further state that the config has by another path.
pub(crate) fn twin_words(plan: &Plan) -> Vec<String> {
    let own = &plan.daemon.state_dir;
    // Where the file itself, without the links to it, would have its state.
    let real = plan.path.canonicalize().ok();
    let usual = real.and_then(|path| default_state_dir(&path, &load::environment()));
    let folders: Vec<PathBuf> = std::iter::once(own.clone()).chain(usual).collect();
    twins(&plan.path, &folders).iter().map(|twin| twin.words(&plan.path, own)).collect()
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
