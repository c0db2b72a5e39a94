//! Owns: how the tokens of a config stand where no daemon can be asked: read from its state and its files, by the engine's own
//! judgement.
//! Does not: obtain, write or remove anything, or take the state's lock.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::unbounded_channel;

use super::document::{Gathered, View};
use super::files::rendered;
use super::history::History;
use super::index::Index;
use super::start::{Remembered, remember};
use super::written::Unseen;
use crate::core::engine::{Action, Event, RunMode, Wiring, step};
use crate::core::settings::{FileSpec, Plan, TargetPath, TokenName};
use crate::host::clock;
use crate::host::control::Response;
use crate::host::deliver::{self, FileStanding, Job, Stamp};
use crate::host::machine::Machine;
use crate::host::names;
use crate::host::store::Kept;

/// The document of `status --json`, as a daemon would answer it, for these tokens (none: all), which are in the plan.
pub(crate) fn status(plan: Plan, kept: Kept, names: &[TokenName]) -> Response {
    // Nobody listens: nothing that answers later is begun.
    let (messages, _inbox) = unbounded_channel();
    let streaks = kept.streaks.clone();
    let Remembered { mut state, vault, mut files, .. } =
        remember(kept, RunMode::Daemon, Machine::here().as_ref(), &messages);
    let plan = Arc::new(plan);
    files.set_plan(&plan);
    let mut events = VecDeque::from([Event::Plan(Arc::new(Wiring::of(&plan)))]);
    while let Some(event) = events.pop_front() {
        for action in step(&mut state, event, clock::now()) {
            let Action::Deliver { path, op, spec, lines, .. } = action else { continue };
            let found = match rendered(&vault, &lines) {
                Ok(bytes) => look(&plan, &path, spec, bytes),
                Err(why) => Err(why.to_string()),
            };
            let (problem, stamp) = match found {
                Ok((problem, stamp)) => (problem, stamp),
                Err(problem) => (Some(problem), Err(Unseen::Failed)),
            };
            match stamp {
                Ok(stamp) => {
                    names::learn(&stamp);
                    files.found(&path, stamp);
                }
                Err(unseen) => files.not_found(&path, unseen),
            }
            events.push_back(match problem {
                None => Event::Delivered { path, op, is_new: false },
                Some(problem) => Event::DeliverFailed { path, op, message: problem.into() },
            });
        }
    }
    let (index, history) = (Index::of(&plan), History::default());
    let view = View {
        state: &state,
        plan: &plan,
        vault: &vault,
        files: &files,
        index: &index,
        history: &history,
        streaks: Some(&streaks),
        network: None,
    };
    Gathered::of(view, None, &[], names, true).response()
}

type FoundFiles = (Option<String>, Result<Stamp, Unseen>);

/// What is wrong with a file, if anything, and how it stands.
fn look(
    plan: &Plan,
    path: &TargetPath,
    spec: FileSpec,
    bytes: crate::core::secret::Secret<Vec<u8>>,
) -> Result<FoundFiles, String> {
    let shown = plan.targets.iter().find(|target| target.path == *path).map_or(path, |target| &target.shown);
    let folder = shown.parent().unwrap_or(Path::new("/"));
    let job = Job { path: path.clone(), spec, bytes, verify: true };
    let shown = shown.display();
    match deliver::standing(folder, &job).map_err(|error| error.to_string())? {
        FileStanding::Exactly(stamp) => Ok((None, Ok(stamp))),
        FileStanding::Gone => Ok((Some(format!("{shown} is not there")), Err(Unseen::Gone))),
        FileStanding::Other(stamp) => Ok((
            Some(format!(
                "{shown} is not as renewd would write it: the newest token is not in it, or its mode or owner is another"
            )),
            Ok(stamp),
        )),
    }
}
