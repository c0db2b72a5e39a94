//! Owns: what every command may look at: the options that all have, and the process's environment.
//! Does not: parse the command line.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::exit::{Exit, Failure};
use crate::core::environment::Environment;
use crate::host::{load, log};

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Volume {
    Quiet,
    Usual,
    Verbose,
}

/// What every command may look at: `-c`, `-q`, `-v` and the process's environment.
pub(crate) struct Surroundings {
    pub config: Option<PathBuf>,
    pub env: Environment,
    pub volume: Volume,
}

impl Surroundings {
    pub(super) fn is_quiet(&self) -> bool {
        self.volume == Volume::Quiet
    }

    /// Begins the log of a command that has one.
    pub(super) fn begin_log(&self) {
        log::init(match self.volume {
            Volume::Quiet => Some(LevelFilter::ERROR),
            Volume::Usual => None,
            Volume::Verbose => Some(LevelFilter::DEBUG),
        });
    }

    /// The config's path.
    pub(super) fn config(&self) -> Result<PathBuf, Failure> {
        load::find_config(self.config.as_deref(), &self.env)
            .map_err(|none| Failure::new(Exit::WrongConfig, format!("{none}; name one with -c FILE")))
    }
}
