//! Owns: requests that wait for a look at the files that they are about, for a moment at most.
//! Does not: look, or answer.

use super::looks::HANGS;
use super::message::LookId;
use super::requests;
use super::runner::Runner;
use crate::core::time::Boot;
use crate::host::clock;
use crate::host::control::Call;

struct Waiting {
    call: Call,
    id: LookId,
    until: Boot,
}

#[derive(Default)]
pub(super) struct HeldCalls(Vec<Waiting>);

impl HeldCalls {
    /// Has the files looked at; the request comes back where there is nothing to wait for. What is refused needs no look.
    pub(super) fn hold(&mut self, runner: &mut Runner, call: Call) -> Option<Call> {
        let call = requests::refuse(runner, call)?;
        let paths = requests::files(runner, &call.request);
        let Some(id) = runner.files.look_at(paths.iter()) else { return Some(call) };
        self.0.push(Waiting { call, id, until: clock::now().boot.plus(HANGS) });
        None
    }

    /// That look is over.
    pub(super) fn looked(&mut self, id: LookId) {
        self.0.iter_mut().filter(|one| one.id == id).for_each(|one| one.until = Boot(0));
    }

    /// Those whose look is over, or has taken too long; all where `is_stopping`.
    pub(super) fn over(&mut self, is_stopping: bool) -> Vec<Call> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let now = clock::now().boot;
        let is_over = |one: &mut Waiting| is_stopping || one.until <= now;
        self.0.extract_if(.., is_over).map(|one| one.call).collect()
    }

    /// When the next of them has waited for long enough.
    pub(super) fn next(&self) -> Option<Boot> {
        self.0.iter().map(|one| one.until).min()
    }
}
