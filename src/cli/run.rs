//! Owns: `renewd run`.
//! Does not: anything but begin the daemon.

use std::process::ExitCode;

use super::Surroundings;
use crate::daemon;
use crate::host::hardening;

/// Keep the tokens of the config fresh, in the foreground
///
/// SIGHUP reads the config again, SIGUSR1 logs the status, SIGTERM and SIGINT end it. RENEWD_LOG is the log's level.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, around: Surroundings) -> ExitCode {
    around.begin_log();
    let config = match around.config() {
        Ok(config) => config,
        Err(exit) => return exit.into(),
    };
    hardening::harden(around.env.variable(hardening::ALLOW_NEW_PRIVILEGES));
    daemon::run(config, around.env)
}
