//! Owns: the hooks that run: each a task, told apart by its token, ended together when the daemon stops.
//! Does not: decide when one runs (the engine does), or run a process (host/hook does).

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Message, Messages};
use crate::core::engine::{Event, HookKind};
use crate::core::settings::{HookPlan, TokenName};
use crate::core::time::Wall;
use crate::host::hook;

pub(super) struct Hooks {
    running: JoinSet<()>,
    stop: watch::Sender<bool>,
    messages: Messages,
}

/// One run of a hook.
pub(super) struct Run {
    pub name: TokenName,
    pub kind: HookKind,
    pub expires_at: Option<Wall>,
    pub plan: Arc<HookPlan>,
    /// Variables that hold secrets.
    pub scrub: Vec<String>,
}

impl Hooks {
    pub fn new(messages: &Messages) -> Self {
        Self { running: JoinSet::new(), stop: watch::Sender::new(false), messages: messages.clone() }
    }

    pub fn start(&mut self, run: Run) {
        let (messages, stop) = (self.messages.clone(), self.stop.subscribe());
        self.running.spawn(async move {
            run.to_its_end(stop).await;
            // The daemon is gone: nobody waits for the answer.
            let _ = messages.send(Message::Event(Event::HookDone { name: run.name }));
        });
    }

    /// Ends all hooks under way, and returns when they are gone, within `most`.
    pub async fn end(&mut self, most: Duration) {
        self.stop.send_replace(true);
        let all = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(most, all).await.is_err() {
            self.running.abort_all();
        }
    }
}

impl Run {
    async fn to_its_end(&self, stop: watch::Receiver<bool>) {
        let expires: OsString = self.expires_at.map(|at| at.secs().to_string()).unwrap_or_default().into();
        let name = OsString::from(self.name.as_str());
        let mut vars = vec![("RENEWD_TOKEN_NAME", name), ("RENEWD_EXPIRES_AT", expires)];
        let which = match self.kind {
            HookKind::AfterRotate => "after_rotate",
            HookKind::Failing(_) | HookKind::Recovered => "on_failure",
        };
        match self.kind {
            HookKind::AfterRotate => {}
            HookKind::Failing(reason) => vars.push(("RENEWD_REASON", reason.as_str().into())),
            HookKind::Recovered => vars.push(("RENEWD_REASON", "recovered".into())),
        }
        let label = format!("token {}, {which}", self.name);
        match hook::run(&self.plan, &label, &vars, &self.scrub, stop).await {
            Ok(()) => tracing::debug!("{label}: done"),
            Err(error) => tracing::warn!("{error}"),
        }
    }
}
