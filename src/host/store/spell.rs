//! Owns: the bytes of what is kept of a token that fails: its spell, and a hook that is owed to it.
//! Does not: know records' frames, or when a spell is over.

use super::reader::Reader;
use super::record::put_bytes;
use crate::core::engine::{FailedHook, FailingSpell, Reason};

const REASONS: [Reason; 6] =
    [Reason::Rejected, Reason::Unreachable, Reason::InvalidAnswer, Reason::Machine, Reason::Delivery, Reason::Hook];

pub(super) fn room(spell: &FailingSpell) -> usize {
    spell.message.len() + spell.hook.as_ref().map_or(0, |hook| hook.message.len())
}

pub(super) fn encode(spell: &FailingSpell, out: &mut Vec<u8>) {
    out.extend_from_slice(&spell.since.0.to_le_bytes());
    out.extend_from_slice(&u64::from(spell.tries).to_le_bytes());
    out.push(u8::from(spell.is_told));
    let reason = REASONS.iter().position(|reason| *reason == spell.reason).and_then(|at| u8::try_from(at).ok());
    out.push(reason.unwrap_or_default());
    put_bytes(out, spell.message.as_bytes());
    out.push(u8::from(spell.hook.is_some()));
    if let Some(hook) = &spell.hook {
        out.extend_from_slice(&u64::from(hook.failures).to_le_bytes());
        out.push(u8::from(hook.is_tried_again));
        put_bytes(out, hook.message.as_bytes());
    }
}

pub(super) fn decode(rest: &mut Reader<'_>) -> Option<FailingSpell> {
    Some(FailingSpell {
        since: rest.wall()?,
        tries: u32::try_from(rest.u64()?).ok()?,
        is_told: is_so(rest)?,
        reason: *REASONS.get(usize::from(rest.byte()?))?,
        message: rest.text()?.into(),
        hook: rest.optional(hook)?,
    })
}

fn hook(rest: &mut Reader<'_>) -> Option<FailedHook> {
    Some(FailedHook {
        failures: u32::try_from(rest.u64()?).ok()?,
        is_tried_again: is_so(rest)?,
        message: rest.text()?.into(),
    })
}

fn is_so(rest: &mut Reader<'_>) -> Option<bool> {
    rest.optional(|_| Some(())).map(|found| found.is_some())
}
