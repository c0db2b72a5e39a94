//! Owns: `renewd run`.
//! Does not: anything but begin the daemon.

use super::{Ended, Surroundings};
use crate::daemon;
use crate::host::hardening;

/// Keep the tokens of the config fresh, in the foreground
///
/// SIGHUP reads the config again, SIGUSR1 logs the status, SIGTERM and SIGINT end it. RENEWD_LOG is the log's level.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, around: Surroundings) -> Ended {
    around.begin_log();
    let config = around.config()?;
    hardening::harden(around.env.variable(hardening::ALLOW_NEW_PRIVILEGES));
    Ok(daemon::run(config, around.env))
}
