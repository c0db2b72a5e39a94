//! Owns: `renewd rotate`.
//! Does not: rotate; the daemon does.

use super::ask::{ANSWER_TIMEOUT, SocketArgs, finish};
use super::progress::Progress;
use super::{Ended, Surroundings};
use crate::host::control::Request;

/// Have the daemon renew tokens now; returns when they are on disk
///
/// What the machine lacked is looked at again first, and a refused credential is tried at once. Within min_interval, or
/// where a server said to wait (Retry-After), it waits up to 10 s, else fails, asks nobody, and says until when. Where the
/// issuer gave the same token again, it says so.
/// Exit codes: 0 done; 1 a token could not be renewed or delivered, or was not asked for; 64 a NAME that is not in the
/// config; 69 no daemon; 75 the time is over, or renewd is stopping.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Ask at once, whatever min_interval or a server's Retry-After says
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    socket: SocketArgs,

    /// Only these tokens
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    let request = Request::Rotate { names: args.names.clone(), force: args.force };
    let progress = Progress::of(around, "waiting until the new tokens are on disk", 0);
    let answer = args.socket.ask(around, &request, ANSWER_TIMEOUT);
    drop(progress);
    Ok(finish(answer))
}
