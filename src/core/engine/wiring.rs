//! Owns: a plan as the engine sees it: times, names and fingerprints, no credential.
//! Does not: read or check a config.

use std::sync::Arc;
use std::time::Duration;

use crate::core::settings::{Fingerprint, Plan, Schedule, TargetPlan, TokenName};

/// What the engine knows of a token's settings: times, names and fingerprints, no credential.
#[derive(Clone, PartialEq, Debug)]
pub struct TokenWire {
    /// Its name in the config.
    pub name: TokenName,
    /// Of all settings that a token is obtained with.
    pub fingerprint: Fingerprint,
    /// When it is due.
    pub schedule: Arc<Schedule>,
    /// READY=1 waits for it (sd_notify(3)).
    pub required: bool,
    /// Tokens that must be at hand first.
    pub parents: Vec<TokenName>,
    /// The credential is spent by its use (RFC 9700 4.14): one flight at a time, persisted before it is delivered.
    pub single_use: bool,
    /// It has such a hook.
    pub after_rotate: bool,
    /// `on_failure`, with the length of a streak before it is told.
    pub on_failure: Option<Duration>,
    /// Why this machine cannot obtain it now.
    pub lack: Option<Arc<str>>,
}

/// The same as the engine keeps it: parents have numbers there.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct KeptWire {
    pub name: TokenName,
    pub fingerprint: Fingerprint,
    pub schedule: Arc<Schedule>,
    pub required: bool,
    pub single_use: bool,
    pub after_rotate: bool,
    pub on_failure: Option<Duration>,
}

impl KeptWire {
    /// Of a token whose settings are not known yet: it asks for nothing.
    pub(super) fn unknown(name: TokenName, fingerprint: Fingerprint, schedule: Arc<Schedule>) -> Self {
        Self { name, fingerprint, schedule, required: false, single_use: false, after_rotate: false, on_failure: None }
    }
}

impl From<&TokenWire> for KeptWire {
    fn from(wire: &TokenWire) -> Self {
        let TokenWire { name, fingerprint, schedule, required, single_use, after_rotate, on_failure, .. } = wire;
        Self {
            name: name.clone(),
            fingerprint: *fingerprint,
            schedule: schedule.clone(),
            required: *required,
            single_use: *single_use,
            after_rotate: *after_rotate,
            on_failure: *on_failure,
        }
    }
}

/// A plan as the engine sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Wiring {
    /// In the order of the config.
    pub tokens: Vec<TokenWire>,
    /// Its files, as the plan has them: a copy of each would be in memory twice at a reload.
    pub targets: Vec<Arc<TargetPlan>>,
    /// READY=1 waits so long for the required tokens.
    pub ready_timeout: Duration,
    /// Something is lacking, here or elsewhere in the plan: it is read again by and by.
    pub lacks: bool,
}

impl Wiring {
    /// The engine's view of a plan.
    pub fn of(plan: &Plan) -> Self {
        let tokens = plan.tokens.iter().map(|t| TokenWire {
            name: t.name.clone(),
            fingerprint: t.fingerprint,
            schedule: t.schedule.clone(),
            required: t.required,
            parents: t.parents.to_vec(),
            single_use: t.single_use,
            after_rotate: t.after_rotate.is_some(),
            on_failure: t.on_failure.as_ref().map(|hook| hook.after),
            lack: t.lack.as_ref().map(|lack| lack.message.clone()),
        });
        Self {
            tokens: tokens.collect(),
            targets: plan.targets.clone(),
            ready_timeout: plan.daemon.ready_timeout,
            lacks: !plan.lacks.is_empty(),
        }
    }

    /// For who wants a token and nothing else: no file is delivered to, and no hook is run.
    #[must_use]
    pub fn without_files(mut self) -> Self {
        self.targets.clear();
        for token in &mut self.tokens {
            token.after_rotate = false;
        }
        self
    }
}
