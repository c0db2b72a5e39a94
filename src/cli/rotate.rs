//! Owns: `renewd rotate`.
//! Does not: rotate; the daemon does.

use std::process::ExitCode;

use super::Surroundings;
use super::ask::{PATIENCE, SocketArgs, finish};
use super::progress::Progress;
use crate::host::control::Request;

/// Have the daemon renew tokens now; returns when they are on disk
///
/// Within min_interval it waits up to 10 s, else fails and says when.
/// Exit codes: 0 done; 1 a token could not be renewed or delivered; 64 a NAME that is not in the config; 69 no daemon.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Do not wait for min_interval
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    socket: SocketArgs,

    /// Only these tokens
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> ExitCode {
    let request = Request::Rotate { names: args.names.clone(), force: args.force };
    let progress = Progress::of(around, "waiting until the new tokens are on disk", 0);
    let answer = args.socket.ask(around, &request, PATIENCE);
    drop(progress);
    finish(answer)
}
