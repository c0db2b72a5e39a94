//! Owns: `renewd schema`: the JSON Schema of the config on stdout.
//! Does not: know the keys; `core::config::keys` does.

use std::io::Write;

use super::Exit;

/// Print the JSON Schema of the config, for editors
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Exit {
    let printed = writeln!(std::io::stdout(), "{:#}", crate::core::schema::schema());
    if printed.is_ok() { Exit::Done } else { Exit::Failed }
}
