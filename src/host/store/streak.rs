//! Owns: the bytes of what is kept of a token that fails: its streak, and a hook that is owed to it.
//! Does not: know records' frames, or when a streak is over.

use super::reader::{RecordReader, put_bytes};
use crate::core::engine::{FailedHook, FailureStreak, Reason};

const REASONS: [Reason; 6] =
    [Reason::Rejected, Reason::Unreachable, Reason::InvalidAnswer, Reason::Machine, Reason::Delivery, Reason::Hook];

pub(super) fn room(streak: &FailureStreak) -> usize {
    streak.message.len() + streak.hook.as_ref().map_or(0, |hook| hook.message.len())
}

pub(super) fn encode(streak: &FailureStreak, out: &mut Vec<u8>) {
    out.extend_from_slice(&streak.since.0.to_le_bytes());
    out.extend_from_slice(&u64::from(streak.tries).to_le_bytes());
    out.push(u8::from(streak.is_told));
    let reason = REASONS.iter().position(|reason| *reason == streak.reason).and_then(|at| u8::try_from(at).ok());
    out.push(reason.unwrap_or_default());
    put_bytes(out, streak.message.as_bytes());
    out.push(u8::from(streak.hook.is_some()));
    if let Some(hook) = &streak.hook {
        out.extend_from_slice(&u64::from(hook.failures).to_le_bytes());
        out.push(u8::from(hook.is_tried_again));
        put_bytes(out, hook.message.as_bytes());
    }
}

pub(super) fn decode(rest: &mut RecordReader<'_>) -> Option<FailureStreak> {
    Some(FailureStreak {
        since: rest.wall()?,
        tries: u32::try_from(rest.u64()?).ok()?,
        is_told: is_so(rest)?,
        reason: *REASONS.get(usize::from(rest.byte()?))?,
        message: rest.text()?.into(),
        hook: rest.optional(hook)?,
    })
}

fn hook(rest: &mut RecordReader<'_>) -> Option<FailedHook> {
    Some(FailedHook {
        failures: u32::try_from(rest.u64()?).ok()?,
        is_tried_again: is_so(rest)?,
        message: rest.text()?.into(),
    })
}

fn is_so(rest: &mut RecordReader<'_>) -> Option<bool> {
    rest.optional(|_| Some(())).map(|found| found.is_some())
}
