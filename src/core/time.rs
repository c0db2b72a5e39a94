//! Owns: the two clocks a decision may look at, as plain numbers.
//! Expiry is a fact of the wall clock; retries, timeouts and intervals are facts of the boot-time clock.
//! Does not: read a clock. `Now` is handed in from the edge.

use std::fmt;
use std::time::Duration;

/// A moment on the wall clock: milliseconds since the Unix epoch (leap seconds not counted, as in POSIX).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

/// A moment on the boot-time clock: milliseconds since boot, time in suspend included. It never steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Boot(pub u64);

/// Both clocks, read together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// What expiry goes by (RFC 7519 4.1.4); it may have been set since it was read last.
    pub wall: Wall,
    /// What waits go by.
    pub boot: Boot,
}

/// A duration in milliseconds; one too long for the clock is its end.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

/// A duration for people: its two largest units.
pub(crate) fn in_words(span: Duration) -> String {
    let whole = if span >= Duration::from_secs(10) { Duration::from_secs(span.as_secs()) } else { span };
    let text = humantime::format_duration(Duration::from_millis(whole.as_millis() as u64)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Seconds by which this machine's clock is ahead of a server's; below zero: behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockOffset(pub i64);

impl ClockOffset {
    /// A smaller one is of no matter: verifiers forgive it, or backdate what they issue.
    const TOLD_FROM: u64 = 60;

    /// `this machine's clock is 1h behind the server's`; `None` where it is of no matter.
    pub fn told(self) -> Option<String> {
        let side = if self.0 > 0 { "ahead of" } else { "behind" };
        let span = in_words(Duration::from_secs(self.0.unsigned_abs()));
        (self.0.unsigned_abs() > Self::TOLD_FROM).then(|| format!("this machine's clock is {span} {side} the server's"))
    }
}

impl Now {
    /// When the wall clock of now says that a moment of the boot-time clock is, or was.
    pub fn wall_at(self, boot: Boot) -> Wall {
        if boot < self.boot { self.wall.minus(self.boot.since(boot)) } else { self.wall.plus(boot.since(self.boot)) }
    }
}

fn signed(span: Duration) -> i64 {
    i64::try_from(millis(span)).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

impl Wall {
    /// From whole Unix seconds (RFC 7519 2, NumericDate).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Whole Unix seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same moment without its part of a second.
    pub const fn whole(self) -> Self {
        Self::from_secs(self.secs())
    }

    /// Stops at the end of the clock.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(signed(span)))
    }

    /// Stops at the beginning of the clock.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(signed(span)))
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with `Z`, to the second.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_second(self.secs()) {
            Ok(at) => at.to_string(),
            Err(_) => format!("@{}", self.secs()),
        }
    }
}

impl Boot {
    /// Stops at the end of the clock.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Boot) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wall {}.{:03}", self.secs(), self.0.rem_euclid(1000))
    }
}

impl fmt::Debug for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "boot {}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_before_the_epoch_too() {
        assert_eq!(Wall(-1).secs(), -1);
        assert_eq!(Wall(1999).whole(), Wall(1000));
    }

    #[test]
    fn only_an_offset_that_matters_is_told() {
        assert_eq!(ClockOffset(60).told(), None);
        assert_eq!(ClockOffset(-3600).told().unwrap(), "this machine's clock is 1h behind the server's");
        assert_eq!(ClockOffset(90).told().unwrap(), "this machine's clock is 1m 30s ahead of the server's");
        assert!(ClockOffset(i64::MIN).told().is_some());
    }

    #[test]
    fn nothing_overflows() {
        assert!(Wall(i64::MAX).plus(Duration::MAX) >= Wall(i64::MAX));
        assert_eq!(Wall(5).since(Wall(i64::MAX)), Duration::ZERO);
        assert!(Boot(u64::MAX).plus(Duration::MAX) >= Boot(u64::MAX));
    }

    #[test]
    fn a_moment_since_boot_is_told_by_the_clock_of_now() {
        let now = Now { wall: Wall(10_000), boot: Boot(500) };
        assert_eq!(now.wall_at(Boot(0)), Wall(9_500));
        assert_eq!(now.wall_at(Boot(700)), Wall(10_200));
    }

    #[test]
    fn rfc3339_is_utc_with_z() {
        assert_eq!(Wall::from_secs(1_600_000_000).rfc3339(), "2020-09-13T12:26:40Z");
    }
}
