//! Owns: `renewd wait`: waits for a daemon too that is not there yet.
//! Does not: judge what is valid; the daemon does.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::ask::{SocketArgs, finish};
use super::{Surroundings, input};
use crate::host::control::{ClientError, Request};

/// A daemon that is not there yet is looked for this often.
const LOOK: Duration = Duration::from_millis(100);

/// Return when tokens are valid on disk
///
/// Exit codes: 0 all are; 64 a NAME that is not in the config; 69 no daemon by then; 75 the time is over.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = input::duration)]
    timeout: Duration,

    /// How long they must be valid still
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = input::duration)]
    min_valid: Duration,

    #[command(flatten)]
    socket: SocketArgs,

    /// These tokens; default: all that are required
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> ExitCode {
    let end = Instant::now() + args.timeout.min(Duration::from_secs(1 << 32));
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let request = Request::Wait {
            names: args.names.clone(),
            min_valid: u64::try_from(args.min_valid.as_millis()).unwrap_or(u64::MAX),
            timeout: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        };
        match args.socket.ask(around, &request, left + Duration::from_secs(5)) {
            Err(ClientError::NotThere { .. }) if !left.is_zero() => std::thread::sleep(LOOK.min(left)),
            answer => return finish(answer),
        }
    }
}
