//! Owns: `renewd run`.
//! Does not: anything but begin the daemon.

use std::process::ExitCode;

use super::Surroundings;
use crate::daemon;
use crate::host::{hardening, log};

/// Keep the tokens of the config fresh, in the foreground
///
/// SIGHUP reads the config again, SIGUSR1 logs the status, SIGTERM and SIGINT end it. RENEWD_LOG is the log's level.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, around: Surroundings) -> ExitCode {
    log::init();
    let config = match around.config() {
        Ok(config) => config,
        Err(exit) => return exit.into(),
    };
    if let Err(error) = hardening::deny_core_dumps() {
        tracing::warn!("other processes of this user may read this one's memory: {error}");
    }
    daemon::run(config, around.env)
}
