//! Owns: what the service manager is told, and when: READY, STATUS, WATCHDOG, more time, a reload's two ends, STOPPING.
//! Does not: decide that the daemon is ready or how it stands; the engine does.

use std::time::Duration;

use super::notes;
use super::runner::{Round, Runner};
use crate::core::settings::TokenName;
use crate::core::time::{Boot, Now};
use crate::host::clock;
use crate::host::systemd::Notifier;

/// While READY waits, the service manager is asked for more time this often, for three times as much.
const EXTEND_EACH: Duration = Duration::from_secs(10);

/// A service manager that is too busy to read is told again after this.
const AGAIN: Duration = Duration::from_millis(50);

pub(super) struct Telling {
    notifier: Notifier,
    status: String,
    /// RELOADING=1 was told, and no READY=1 since.
    is_reloading: bool,
    watchdog_at: Boot,
    /// `None`: never yet.
    patience_at: Option<Boot>,
    /// Something could not be told yet.
    again_at: Option<Boot>,
}

impl Telling {
    pub(super) fn new(notifier: Notifier, now: Now) -> Self {
        let status = String::new();
        Self { notifier, status, is_reloading: false, watchdog_at: now.boot, patience_at: None, again_at: None }
    }

    /// READY=1: of the start, or of a reload.
    pub(super) fn ready(&mut self, runner: &Runner) {
        self.is_reloading = false;
        self.status = notes::status_line(&runner.state, clock::now());
        self.notifier.ready(&self.status);
    }

    pub(super) fn reloading(&mut self) {
        self.is_reloading = true;
        self.notifier.reloading();
    }

    /// The end of a reload. One that began before the first READY=1 was not told, and has no end to tell.
    pub(super) fn reloaded(&mut self, runner: &Runner) {
        if self.is_reloading {
            self.ready(runner);
        }
    }

    /// `spending`: how long an exchange that spends a refresh token is waited for.
    pub(super) fn stopping(&mut self, spending: Option<Duration>) {
        let Some(most) = spending else { return self.notifier.stopping("stopping") };
        let told = format!("stopping once a refresh token is exchanged, within {} s", most.as_secs());
        tracing::info!("{told}");
        self.notifier.stopping(&told);
        // TimeoutStopSec= is not made for an endpoint that hangs.
        self.notifier.extend_timeout(most.saturating_add(EXTEND_EACH));
    }

    /// What there is to say after a round.
    pub(super) fn tell(&mut self, runner: &Runner, round: &Round, is_stopping: bool) {
        if let Some(missing) = &round.ready {
            self.ready(runner);
            self.log_ready(missing);
        } else if round.status_changed && self.notifier.is_connected() && !is_stopping {
            let status = notes::status_line(&runner.state, clock::now());
            if status != self.status {
                self.notifier.status(&status);
                self.status = status;
            }
        }
        let now = clock::now();
        if let Some(interval) = self.notifier.watchdog_interval()
            && now.boot >= self.watchdog_at.plus(interval)
        {
            self.notifier.watchdog();
            self.watchdog_at = now.boot;
        }
        let is_patient = self.patience_at.is_some_and(|at| now.boot < at.plus(EXTEND_EACH));
        if !runner.state.is_ready() && !is_patient {
            self.notifier.extend_timeout(EXTEND_EACH * 3);
            self.patience_at = Some(now.boot);
        }
        self.notifier.catch_up();
        self.again_at = self.notifier.is_behind().then(|| now.boot.plus(AGAIN));
    }

    fn log_ready(&self, missing: &[TokenName]) {
        if missing.is_empty() {
            tracing::info!("ready: {}", self.status);
        } else {
            let names: Vec<&str> = missing.iter().map(TokenName::as_str).collect();
            tracing::warn!("ready_timeout is over, without {}", names.join(", "));
        }
    }

    /// When there is something to say by itself.
    pub(super) fn next(&self, is_ready: bool) -> Option<Boot> {
        let watchdog = self.notifier.watchdog_interval().map(|interval| self.watchdog_at.plus(interval));
        let patience = self.patience_at.filter(|_| !is_ready).map(|at| at.plus(EXTEND_EACH));
        watchdog.into_iter().chain(patience).chain(self.again_at).min()
    }
}
