//! Owns: how long a failed try waits for the next one, by what is left of the token and of those that hang on it.
//! All of it is arithmetic on what is handed in, as in `schedule`.
//! Does not: know of tokens in flight, files or plans; the engine asks it.

use std::time::Duration;

use super::settings::Retry;
use super::time::Wall;

/// No two tries for one token are nearer than this, unless `retry.initial` is shorter.
const CLOSEST: Duration = Duration::from_secs(1);

/// How long to wait after the `attempt`th failure in a row (1 is the first): exponential with full jitter, up to `max`.
/// What is left of the token's life bounds it, so that more than one try falls before the end of it.
pub fn backoff(retry: &Retry, attempt: u32, life_left: Option<Duration>, drawn: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(31);
    let cap = retry.initial.saturating_mul(1_u32 << doublings).min(retry.max);
    let floor = CLOSEST.min(retry.initial).max(Duration::from_millis(1));
    let wait = cap.mul_f64(drawn);
    let bounded = match life_left {
        Some(left) if !left.is_zero() => wait.min(left / 4),
        _ => wait,
    };
    bounded.max(floor)
}

/// Once a token that was refused a successor has run out, it is asked for as often as this ...
const AFTER_THE_END: Duration = Duration::from_secs(60);
/// ... for as long as this: a server that was out of step has found it again by then, or never will.
const AFTER_THE_END_FOR: Duration = Duration::from_secs(15 * 60);

/// What a wait has to mind: when a token ends, and those that hang on it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ends {
    /// The nearest one ahead.
    next: Option<Wall>,
    /// The newest one that is over.
    last: Option<Wall>,
}

impl Ends {
    /// The moment itself is over.
    pub fn one(end: Wall, now: Wall) -> Self {
        if end > now { Self { next: Some(end), last: None } } else { Self { next: None, last: Some(end) } }
    }

    /// Both of them, seen at the same moment.
    pub fn and(self, other: Self) -> Self {
        let next = self.next.into_iter().chain(other.next).min();
        Self { next, last: self.last.max(other.last) }
    }

    /// What is left until the nearest one.
    pub fn left(self, now: Wall) -> Option<Duration> {
        self.next.map(|end| end.since(now))
    }
}

/// A row of refusals while less is left until an end than the wait after a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shortage {
    /// When the first of them came.
    since: Wall,
    end: Wall,
}

impl Shortage {
    /// After one more refusal; `before` is the row so far.
    pub fn of(ends: Ends, rejected: Duration, before: Option<Self>, now: Wall) -> Option<Self> {
        let end = ends.next.filter(|end| end.since(now) <= rejected)?;
        // Where the clock was set back, the row begins anew.
        let same = before.filter(|row| row.end == end && row.since <= now);
        Some(same.unwrap_or(Self { since: now, end }))
    }

    /// The next try: at a third and two thirds of what was left at first, and just before the end.
    fn next(self, now: Wall) -> Wall {
        let span = self.end.since(self.since);
        let near = (span / 10).clamp(Duration::from_millis(500), Duration::from_secs(10));
        let moments = [self.since.plus(span / 3), self.since.plus(span.mul_f64(2.0 / 3.0)), self.end.minus(near)];
        // One that is as good as here is not waited for, and after the last one the next is behind the end.
        moments.into_iter().find(|at| at.since(now) >= CLOSEST).unwrap_or(self.end.plus(CLOSEST))
    }
}

/// How long to wait at `now` after a failure that is no refusal: see [`backoff`]. Once it has run out the row begins anew: an issuer
/// that hands out what it keeps until that ends has another one just then, be it a moment later by its own clock.
pub fn after_failure(retry: &Retry, attempt: u32, ends: Ends, drawn: f64, now: Wall) -> Duration {
    let wait = backoff(retry, attempt, ends.left(now), drawn);
    ends.last.map_or(wait, |end| wait.min(now.since(end).max(CLOSEST)))
}

/// How long to wait after a refusal at `now`. What has less left than `rejected` does not run out untried (see [`Shortage`]), and
/// what has just run out is tried each minute for a quarter of an hour. `row` may be about another end than these.
pub fn after_refusal(rejected: Duration, row: Option<Shortage>, ends: Ends, now: Wall) -> Duration {
    let before_the_end = row.filter(|row| ends.next == Some(row.end)).map(|row| row.next(now).since(now));
    let is_over_lately = ends.last.is_some_and(|end| now.since(end) < AFTER_THE_END_FOR);
    let after_the_end = is_over_lately.then_some(AFTER_THE_END);
    before_the_end.into_iter().chain(after_the_end).fold(rejected, Duration::min)
}

/// No two tries that are made for the sake of others are nearer than this: hundreds may hang on one credential, each with an end of
/// its own. The first are near, as one that failed by chance is well again soon.
pub fn spacing(failures: u32) -> Duration {
    const MOST: Duration = Duration::from_secs(10);
    CLOSEST.saturating_mul(1 << failures.saturating_sub(2).min(10)).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::settings::Schedule;
    use proptest::prelude::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// The moments of the tries of what is refused from `first` on.
    fn tries(first: i64, rejected: Duration, ends: &[i64], until: i64) -> Vec<i64> {
        let (mut now, mut tries, mut row) = (Wall::from_secs(first), Vec::new(), None);
        while now < Wall::from_secs(until) {
            let all = ends.iter().map(|end| Ends::one(Wall::from_secs(*end), now)).fold(Ends::default(), Ends::and);
            row = Shortage::of(all, rejected, row, now);
            now = now.plus(after_refusal(rejected, row, all, now));
            tries.push(now.0);
        }
        tries
    }

    #[test]
    fn a_refused_token_does_not_run_out_untried() {
        let rejected = secs(900);
        let at = tries(700, rejected, &[1000], 1100);
        assert_eq!(at, [800_000, 900_000, 990_000, 1_001_000, 1_061_000, 1_121_000]);
        assert_eq!(tries(996, rejected, &[1000], 999), [997_333, 998_666, 1_001_000]);
        assert_eq!(tries(700, secs(20), &[1000], 760), [720_000, 740_000, 760_000]);
        let wait = |now: i64, end: Option<i64>| tries(now, rejected, end.as_slice(), now + 1)[0] - now * 1000;
        assert_eq!(wait(0, Some(1000)), 900_000, "more is left than the wait");
        assert_eq!((wait(1899, Some(1000)), wait(1900, Some(1000))), (60_000, 900_000));
        assert_eq!(wait(0, None), 900_000);
    }

    #[test]
    fn what_has_just_run_out_is_asked_for_again_at_once() {
        let retry = Schedule::default().retry;
        let wait = |now: i64, end: i64| {
            let now = Wall::from_secs(now);
            after_failure(&retry, 20, Ends::one(Wall::from_secs(end), now), 0.9, now)
        };
        let waits = [960, 999, 1000, 1001, 1004, 1030, 2000].map(|now| wait(now, 1000));
        assert_eq!(waits, [secs(10), secs(1), secs(1), secs(1), secs(4), secs(30), secs(54)]);
        assert_eq!(after_failure(&retry, 20, Ends::default(), 0.9, Wall(0)), secs(54));
    }

    #[test]
    fn each_end_of_several_is_minded() {
        let at = tries(700, secs(900), &[730, 1000, 9999], 1000);
        let wanted =
            [710_000, 720_000, 727_000, 731_000, 791_000, 820_666, 880_666, 910_333, 970_333, 990_000, 1_001_000];
        assert_eq!(at, wanted);
    }

    #[test]
    fn a_clock_that_was_set_back_moves_no_try_behind_the_end() {
        let (end, rejected) = (Wall::from_secs(1000), secs(900));
        let ends = |now| Ends::one(end, now);
        let late = Wall::from_secs(999);
        let row = Shortage::of(ends(late), rejected, None, late);
        let now = Wall::from_secs(400);
        let row = Shortage::of(ends(now), rejected, row, now);
        assert_eq!(after_refusal(rejected, row, ends(now), now), secs(200));
    }

    proptest! {
        #[test]
        fn backoff_is_never_hot_and_never_past_max(attempt in 1_u32..100, drawn in 0.0..1.0_f64, left in proptest::option::of(0_u64..10_000)) {
            let retry = Schedule::default().retry;
            let wait = backoff(&retry, attempt, left.map(secs), drawn);
            prop_assert!(wait >= secs(1) && wait <= retry.max);
        }

        #[test]
        fn a_refusal_is_never_hot_and_never_past_its_wait(first in 0_i64..2_000_000, later in 0_i64..2_000_000, end in 0_i64..4_000_000) {
            let (first, now) = (Wall(first), Wall(first + later));
            let ends = |now| Ends::one(Wall(end), now);
            let row = Shortage::of(ends(now), secs(900), Shortage::of(ends(first), secs(900), None, first), now);
            let wait = after_refusal(secs(900), row, ends(now), now);
            prop_assert!(wait >= CLOSEST && wait <= secs(900), "{wait:?}");
        }
    }
}
