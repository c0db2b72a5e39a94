//! Owns: what `[defaults]`, tokens and outputs may each say: lifetime, schedule, and the file's mode and owner.
//! Does not: choose between them.

use super::raw::{RawFile, RawLifetime, RawSchedule};
use super::section::{Section, SectionReader};
use crate::core::diagnostic::{Diagnostic, Located};
use crate::core::settings::RotateRule;

impl Section<'_, '_> {
    pub(super) fn lifetime(&self, cx: &mut SectionReader<'_>) -> RawLifetime {
        RawLifetime { lifetime: self.lifetime_value(cx, "lifetime"), skew: self.duration(cx, "skew") }
    }

    pub(super) fn file(&self, cx: &mut SectionReader<'_>) -> RawFile {
        RawFile { mode: self.mode(cx, "mode"), owner: self.account(cx, "owner"), group: self.account(cx, "group") }
    }

    pub(super) fn schedule(&self, cx: &mut SectionReader<'_>) -> RawSchedule {
        let mut schedule = RawSchedule {
            rule: self.rule(cx),
            jitter: self.fraction(cx, "jitter"),
            min_interval: self.duration(cx, "min_interval"),
            warn_before: self.duration(cx, "warn_before"),
            ..RawSchedule::default()
        };
        if let Some(retry) = self.table(cx, "retry") {
            schedule.retry_initial = retry.duration(cx, "initial");
            schedule.retry_max = retry.duration(cx, "max");
            schedule.retry_rejected = retry.duration(cx, "rejected");
        }
        schedule
    }

    fn rule(&self, cx: &mut SectionReader<'_>) -> Option<Located<RotateRule>> {
        let names = ["rotate_at", "rotate_before", "rotate_every"];
        let mut there = names.into_iter().filter_map(|name| Some((name, self.key_span(cx, name)?)));
        if let (Some((first, before)), Some((second, span))) = (there.next(), there.next()) {
            cx.diagnostics.push(
                Diagnostic::error(format!("`{second}` beside `{first}`"))
                    .at(span)
                    .note(before, "also here")
                    .help("keep one of rotate_at, rotate_before and rotate_every"),
            );
        }
        let at = self.fraction(cx, "rotate_at").map(|at| at.map(RotateRule::At));
        let before = self.duration(cx, "rotate_before").map(|at| at.map(RotateRule::Before));
        let every = self.duration(cx, "rotate_every").map(|at| at.map(RotateRule::Every));
        at.or(before).or(every)
    }
}
