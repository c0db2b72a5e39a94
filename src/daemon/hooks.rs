//! Owns: the hooks that run: each a task, told apart by its token, ended together when the daemon stops.
//! Does not: decide when one runs (the engine does), or run a process (host/hook does).

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Message, Messages};
use crate::core::engine::{Event, HookEnd, HookKind};
use crate::core::settings::{HookPlan, TokenName};
use crate::core::time::Wall;
use crate::host::hook::{self, HookError};

const BROKEN: &str = "an internal error, see the log; please report it";

pub(super) struct Hooks {
    running: JoinSet<()>,
    stop: watch::Sender<bool>,
    messages: Messages,
}

/// One run of a hook.
pub(super) struct HookStart {
    pub name: TokenName,
    pub kind: HookKind,
    pub expires_at: Option<Wall>,
    pub plan: Arc<HookPlan>,
    /// Variables that hold secrets.
    pub scrub: Vec<String>,
}

impl Hooks {
    pub(super) fn new(messages: &Messages) -> Self {
        Self { running: JoinSet::new(), stop: watch::Sender::new(false), messages: messages.clone() }
    }

    pub(super) fn start(&mut self, run: HookStart) {
        // Those that have ended stay in the set until they are taken out of it.
        while self.running.try_join_next().is_some() {}
        let (messages, stop) = (self.messages.clone(), self.stop.subscribe());
        self.running.spawn(async move {
            // A panic must not keep the token's place among the hooks for ever.
            let end = AssertUnwindSafe(run.to_its_end(stop)).catch_unwind().await;
            let end = end.unwrap_or_else(|_| HookEnd::Failed(format!("{}: {BROKEN}", run.kind.as_str()).into()));
            let HookStart { name, kind, .. } = run;
            // The daemon is gone: nobody waits for the answer.
            let _ = messages.send(Message::Event(Event::HookDone { name, kind, end }));
        });
    }

    /// Ends all hooks under way, and returns when they are gone, within `most`.
    pub(super) async fn end(&mut self, most: Duration) {
        self.stop.send_replace(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(most, all).await.is_err() {
            self.running.abort_all();
        }
    }
}

impl HookStart {
    async fn to_its_end(&self, stop: watch::Receiver<bool>) -> HookEnd {
        let expires: OsString = self.expires_at.map(|at| at.secs().to_string()).unwrap_or_default().into();
        let name = OsString::from(self.name.as_str());
        let mut vars = vec![("RENEWD_TOKEN_NAME", name), ("RENEWD_EXPIRES_AT", expires)];
        match self.kind {
            HookKind::AfterRotate => {}
            HookKind::Failing(reason) => vars.push(("RENEWD_REASON", reason.as_str().into())),
            HookKind::Recovered => vars.push(("RENEWD_REASON", "recovered".into())),
        }
        let kind = self.kind.as_str();
        let label = format!("token {}, {kind}", self.name);
        let error = match hook::run(&self.plan, &label, &vars, &self.scrub, stop).await {
            Ok(()) => return HookEnd::Done,
            Err(HookError::Stopped { .. }) => return HookEnd::Dropped,
            Err(error) => error,
        };
        let message = format!("{kind}: {error}").into();
        match error {
            HookError::NoPidFile { .. } => HookEnd::NoPidFile(message),
            error if error.is_of_the_start() => HookEnd::NotStarted(message),
            _ => HookEnd::Failed(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::HookAction;

    #[tokio::test]
    async fn nothing_is_kept_of_a_run_that_has_ended() {
        let (messages, mut answers) = tokio::sync::mpsc::unbounded_channel();
        let mut hooks = Hooks::new(&messages);
        let action = HookAction::Command(vec!["/bin/true".into()]);
        let plan = Arc::new(HookPlan { action, timeout: Duration::from_secs(60), after: Duration::ZERO });
        for run in 0..100 {
            let name = TokenName::new("a").unwrap();
            let (kind, expires_at, scrub) = (HookKind::AfterRotate, None, Vec::new());
            hooks.start(HookStart { name, kind, expires_at, plan: plan.clone(), scrub });
            let answer = answers.recv().await;
            assert!(matches!(answer, Some(Message::Event(Event::HookDone { end: HookEnd::Done, .. }))));
            assert!(hooks.running.len() <= 2, "{} tasks are kept after {run} runs", hooks.running.len());
        }
    }
}
