//! Owns: `renewd reload`.
//! Does not: read the config; the daemon does.

use super::ask::{ANSWER_TIMEOUT, SocketArgs, finish};
use super::progress::Progress;
use super::{Ended, Surroundings};
use crate::host::control::Request;

/// Have the daemon read its config again, and wait for the verdict
///
/// Exit codes: 0 it is taken; 1 it could not be read just now, and is again within a minute; 69 no daemon; 78 it is refused,
/// with every error (the old one runs on).
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    socket: SocketArgs,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    let progress = Progress::of(around, "waiting for the verdict on the config", 0);
    let answer = args.socket.ask(around, &Request::Reload, ANSWER_TIMEOUT);
    drop(progress);
    Ok(finish(answer))
}
