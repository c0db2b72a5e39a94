//! Owns: `renewd wait`: waits for a daemon too that is not there yet.
//! Does not: judge what is valid; the daemon does.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::aside::tell_line;
use super::ask::{SocketArgs, finish};
use super::{Ended, Exit, Failure, Surroundings, hang, input, offline};
use crate::host::clock;
use crate::host::control::{ClientError, Request};

/// A daemon that is not there yet is looked for this often.
const LOOK: Duration = Duration::from_millis(100);
/// Where there is none, the state and the files are looked at this often.
const READ: Duration = Duration::from_secs(1);

/// A daemon that is busy, or a look at files, may be late by so much.
const LATE: Duration = Duration::from_secs(5);

/// Return when tokens are valid on disk
///
/// Where `once` keeps the tokens, by a timer or cron, it judges by the state and the files.
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

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    let end = Instant::now() + args.timeout.min(Duration::from_secs(1 << 32));
    let min_valid = u64::try_from(args.min_valid.as_millis()).unwrap_or(u64::MAX);
    hang::ends(Exit::NotNow, Some(end + LATE));
    let mut read_at = Instant::now();
    let mut is_by_timer = false;
    let mut places = args.socket.places(around);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let request = Request::Wait {
            names: args.names.clone(),
            min_valid,
            timeout: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        };
        let answer = places.ask(&request, left + LATE).map(|(response, _)| response);
        match &answer {
            Err(ClientError::NotThere { .. } | ClientError::Stranger { .. }) => {}
            // It takes nobody in just now, and may later.
            Err(ClientError::Silent { .. }) if Instant::now() < end => {
                std::thread::sleep(LOOK);
                continue;
            }
            Err(error @ ClientError::Silent { .. }) => return Err(Failure::new(Exit::NotNow, error.to_string())),
            _ => return Ok(finish(answer)),
        }
        if !args.socket.is_named() && Instant::now() >= read_at {
            read_at = Instant::now() + READ;
            places = args.socket.places(around);
            match read(args, around, min_valid)? {
                Some(true) => return Ok(ExitCode::SUCCESS),
                by_timer => is_by_timer = by_timer.is_some(),
            }
        }
        if left.is_zero() && is_by_timer {
            let why = "the time is over: no daemon answers, and by the state and the files not all is valid";
            return Err(Failure::new(Exit::NotNow, why));
        }
        if left.is_zero() {
            return Ok(finish(answer));
        }
        std::thread::sleep(LOOK.min(left));
    }
}

/// Whether all is valid by the state and the files; `None`: no timer keeps these tokens, and a daemon is waited for.
fn read(args: &Args, around: &Surroundings, min_valid: u64) -> Result<Option<bool>, Failure> {
    let Some(reading) = offline::read(around, &args.names)? else { return Ok(None) };
    if !reading.is_by_timer {
        return Ok(None);
    }
    let is_served = offline::is_served(&reading, !args.names.is_empty(), min_valid, clock::now().wall.0);
    if is_served && !around.is_quiet() {
        tell_line!("no daemon answers: all is valid by the state and the files");
    }
    Ok(Some(is_served))
}
