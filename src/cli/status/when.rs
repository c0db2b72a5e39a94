//! Owns: times as `status` tells them: in the zone of who asks, and how far from now.
//! Does not: look at the clock.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::core::time::in_words;

/// The time of an answer, and the zone it is told in. What is told holds together where lines are folded (no-break blanks,
/// which `Line` draws as blanks).
pub(super) struct Clock {
    pub now: Timestamp,
    pub zone: TimeZone,
}

const DATE: &str = "%Y-%m-%d\u{a0}%H:%M:%S\u{a0}%Z";

impl Clock {
    /// `03:12:07 CET`, with the date where it is another day than today's.
    pub(super) fn at(&self, time: Timestamp) -> String {
        let [then, today] = [time, self.now].map(|time| time.to_zoned_datetime(self.zone.clone()));
        let form = if then.date() == today.date() { "%H:%M:%S\u{a0}%Z" } else { DATE };
        then.strftime(form).to_string()
    }

    /// `2026-11-27 03:12:07 CET`.
    pub(super) fn date(&self, time: Timestamp) -> String {
        time.to_zoned_datetime(self.zone.clone()).strftime(DATE).to_string()
    }

    /// `2h 3m ago`, `in 23m`, `now`.
    pub(super) fn away(&self, time: Timestamp) -> String {
        let secs = time.as_second() - self.now.as_second();
        match secs {
            0 => "now".into(),
            1.. => format!("in\u{a0}{}", self.distance(time)),
            _ => format!("{}\u{a0}ago", self.distance(time)),
        }
    }

    /// `03:12:07 CET (2h 3m ago)`.
    pub(super) fn both(&self, time: Timestamp) -> String {
        format!("{} ({})", self.at(time), self.away(time))
    }

    /// How far away, in its two largest units: `2h 3m`.
    pub(super) fn distance(&self, time: Timestamp) -> String {
        in_words(Duration::from_secs(time.as_second().abs_diff(self.now.as_second()))).replace(' ', "\u{a0}")
    }

    pub(super) fn is_past(&self, time: Timestamp) -> bool {
        time.as_second() <= self.now.as_second()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_zone_and_their_distance() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let clock = Clock { now: "2026-11-27T03:00:00Z".parse().expect("a time"), zone };
        let at = |text: &str| clock.both(text.parse().expect("a time")).replace('\u{a0}', " ");
        assert_eq!(at("2026-11-27T00:57:00.5Z"), "01:57:00 +01 (2h 3m ago)");
        assert_eq!(at("2026-11-26T22:59:59Z"), "2026-11-26 23:59:59 +01 (4h 1s ago)");
        assert_eq!(at("2026-11-27T03:23:00Z"), "04:23:00 +01 (in 23m)");
        assert_eq!(at("2026-11-27T03:00:00.9Z"), "04:00:00 +01 (now)");
    }
}
