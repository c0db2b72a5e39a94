//! Owns: taking in what a login brought: it comes as an answer of the source does, once no exchange of the refresh token before it
//! is under way, so that the old one stays until the new one is in the state.
//! Does not: log in, or decide; the engine asks for the token.

use std::time::Duration;

use tokio::sync::oneshot;

use super::runner::{Reply, Runner};
use crate::core::engine::Want;
use crate::core::settings::{Fingerprint, Plan, TokenName, TokenPlan};
use crate::core::token::Token;

/// Who waits for a token that was asked for once more is somebody else.
const AGAIN: Duration = Duration::from_secs(60);

impl Runner {
    /// Takes in what a login brought; the answer comes when it is in the state and on disk.
    pub(super) fn take_login(&mut self, token: Token, timeout: Duration) -> oneshot::Receiver<Reply> {
        let name = token.name.clone();
        tracing::info!(token = %name, "token {name}: somebody has logged in");
        let reply = self.ask(Want::Rotate { names: [name].into(), force: true }, timeout);
        self.logins.put(token, self.last_request);
        reply
    }

    /// The exchange that was under way when a login came has failed: that says nothing of the login.
    pub(super) fn go_on_with_login(&mut self, name: &TokenName) {
        if self.logins.has(name) {
            drop(self.ask(Want::Rotate { names: [name.clone()].into(), force: true }, AGAIN));
        }
    }
}

/// Why what a login brings for this token could not be used, where that is so. `made_for` are the settings that it is made with.
///
/// # Errors
/// One line.
pub(crate) fn may_log_in(plan: &Plan, token: &TokenPlan, made_for: Option<Fingerprint>) -> Result<(), String> {
    let name = &token.name;
    let files = plan.targets.iter().filter(|target| target.lines.iter().any(|line| line.token == *name));
    // As the engine has it: a token is obtained unless all its outputs lack something.
    let of_files: Option<Vec<_>> = files.map(|target| target.lack.as_ref()).collect();
    let lack = token.lack.as_ref().or_else(|| of_files?.into_iter().next());
    if let Some(lack) = lack {
        return Err(format!("token {name} cannot be had on this machine, whoever logs in: {}", lack.message));
    }
    if token.source.login().is_none() {
        return Err(format!(
            "token {name} takes no login: that needs source = \"oauth2\", grant = \"refresh_token\" and login = {{ flow = \
             \"device\" }}, or \"browser\""
        ));
    }
    if made_for.is_some_and(|made_for| made_for != token.fingerprint) {
        return Err(format!(
            "token {name}: the daemon runs it with other settings than the config says now, so that nothing was kept: see \
             `renewd status`, have it reloaded, and log in again"
        ));
    }
    Ok(())
}
