//! Owns: `renewd schema`: the JSON Schema of the config on stdout.
//! Does not: know the keys; `core::config::keys` does.

use std::io::Write;
use std::process::ExitCode;

use super::{Ended, Exit};

/// Print the JSON Schema of the config, for editors
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Ended {
    writeln!(std::io::stdout(), "{:#}", crate::core::schema::schema()).map_err(|_| Exit::Failed)?;
    Ok(ExitCode::SUCCESS)
}
