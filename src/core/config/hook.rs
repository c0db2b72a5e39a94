//! Owns: `after_rotate` and `on_failure` as written.
//! Does not: look whether a command is there, or run anything.

use std::time::Duration;

use super::argv;
use super::raw::RawHook;
use super::section::{Section, SectionReader};
use crate::core::settings::{HookAction, HookPlan, HookSignal};

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, name: &str) -> Option<RawHook> {
    let hook = token.table(cx, name)?;
    let timeout = hook.duration_or_default(cx, "timeout");
    let after = match name {
        "on_failure" => hook.duration_or_default(cx, "after"),
        _ => Duration::ZERO,
    };
    let spans = (hook.key_span(cx, "command"), hook.key_span(cx, "signal"));
    let (action, span) = match spans {
        (Some(command), Some(signal)) => {
            cx.beside("command", command, "signal", signal);
            return None;
        }
        (None, None) => {
            cx.error(
                hook.header,
                format!("`{name}` does nothing"),
                "add command = [\"...\"] or signal = { pid_file = \"...\", signal = \"HUP\" }",
            );
            return None;
        }
        (Some(_), None) => argv::read(cx, &hook).map(|argv| (HookAction::Command(argv.value), argv.span))?,
        (None, Some(span)) => (signal(cx, &hook)?, span),
    };
    Some(RawHook { plan: HookPlan { action, timeout, after }, span })
}

fn signal(cx: &mut SectionReader<'_>, hook: &Section<'_, '_>) -> Option<HookAction> {
    let table = hook.table(cx, "signal")?;
    let pid_file = table.path(cx, "pid_file");
    let signal = table.choice(cx, "signal", parse_signal);
    Some(HookAction::Signal { pid_file: pid_file?.value, signal: signal?.value })
}

fn parse_signal(name: &str) -> Option<HookSignal> {
    HookSignal::parse(name.strip_prefix("SIG").unwrap_or(name))
}
