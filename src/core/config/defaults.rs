//! Owns: what is taken where a config says nothing, read from the table of keys as a config would be.
//! Does not: hold a default.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use super::keys::{self, KeyEntries, KeyEntry};
use super::raw::RawDefaults;
use super::{ROOT, Role, parse_duration, read};
use crate::core::environment::Environment;
use crate::core::settings::{Lifetime, Mode, Retry, RotateRule, Schedule};

/// `[defaults]` with the default of each of its keys.
static DEFAULTS: LazyLock<RawDefaults> = LazyLock::new(|| {
    let mut text = String::from("[defaults]\n");
    write(&mut text, "", keys::inner(ROOT, "defaults"));
    let env = Environment::new([], "/".into(), None);
    read(&text, 0, Path::new("/"), Role::Main, &env).raw.defaults
});

fn write(text: &mut String, before: &str, keys: KeyEntries) {
    for key in keys.iter().copied().flatten() {
        if !key.default.is_empty() {
            text.push_str(&format!("{before}{} = {}\n", key.name, key.default));
        }
        write(text, &format!("{before}{}.", key.name), key.inner());
    }
}

pub(crate) fn lifetime() -> Lifetime {
    DEFAULTS.lifetime.lifetime.map_or(Lifetime::Never, |lifetime| lifetime.value)
}

/// Of a key of `[daemon]`.
pub(crate) fn of_daemon(name: &str) -> Duration {
    let default = keys::find(keys::inner(ROOT, "daemon"), name).map_or("", KeyEntry::default_text);
    parse_duration(default).unwrap_or_default()
}

impl Default for Schedule {
    fn default() -> Self {
        let of = &DEFAULTS.schedule;
        let span = |at: Option<crate::core::diagnostic::Located<Duration>>| at.map_or(Duration::ZERO, |at| at.value);
        Self {
            rule: of.rule.map_or(RotateRule::At(0.5), |rule| rule.value),
            jitter: of.jitter.map_or(0.0, |jitter| jitter.value),
            min_interval: span(of.min_interval),
            warn_before: span(of.warn_before),
            retry: Retry {
                initial: span(of.retry_initial),
                max: span(of.retry_max),
                rejected: span(of.retry_rejected),
            },
            skew: span(DEFAULTS.lifetime.skew),
        }
    }
}

impl Default for Mode {
    fn default() -> Self {
        DEFAULTS.file.mode.map_or(Self(0), |mode| mode.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_all_that_has_to_be_there() {
        let (lifetime, schedule, file) = (&DEFAULTS.lifetime, &DEFAULTS.schedule, &DEFAULTS.file);
        assert!(lifetime.lifetime.is_some() && lifetime.skew.is_some() && file.mode.is_some());
        assert!(schedule.rule.is_some() && schedule.jitter.is_some() && schedule.min_interval.is_some());
        assert!(schedule.warn_before.is_some());
        assert!(schedule.retry_initial.is_some() && schedule.retry_max.is_some() && schedule.retry_rejected.is_some());
        assert_eq!(Mode::default(), Mode(0o600));
        assert_eq!(of_daemon("ready_timeout"), Duration::from_secs(60));
        assert_eq!(of_daemon("credential_timeout"), Duration::from_secs(10));
        assert!(!super::super::assertion::default_lifetime().is_zero());
    }
}
