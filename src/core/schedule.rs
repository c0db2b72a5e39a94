//! Owns: when a token is due, how long a failed try waits, and the numbers drawn for both.
//! All of it is arithmetic on what is handed in: the same inputs give the same times.
//! Does not: know of tokens in flight, files or plans; the engine asks it.

use std::time::Duration;

use super::hash::{fnv, mix};
use super::settings::{Retry, RotateRule, Schedule, TokenName};
use super::time::Wall;

/// The fraction of a lifetime that stands in for a rule which does not fit it.
pub(crate) const FALLBACK: f64 = 0.67;

/// No two tries for one token are nearer than this, unless `retry.initial` is shorter.
const CLOSEST: Duration = Duration::from_secs(1);

/// A token issued further ahead of the clock than this (plus its skew) shows that the clock was set back.
const AHEAD: Duration = Duration::from_secs(60);

/// How long a token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// `iat` before it is backdated, in whole seconds; or when the request was sent.
    pub issued_at: Wall,
    /// `None`: it never expires.
    pub expires_at: Option<Wall>,
    /// When it was at hand, by the wall clock.
    pub obtained_at: Wall,
}

/// When a token falls due on schedule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Due {
    /// By the wall clock, as its expiry is.
    At(Wall),
    /// It neither expires nor has a `rotate_every`.
    Never,
}

impl Due {
    /// The moment itself is past too.
    pub fn is_past(self, now: Wall) -> bool {
        matches!(self, Self::At(at) if at <= now)
    }
}

/// A number in `0.0..1.0` hashed from who asks and why: 500 equal machines differ by their seed, one machine repeats itself.
pub fn draw(seed: u64, name: &TokenName, generation: u64, attempt: u32) -> f64 {
    // FNV-1a over the name, then the finalizer of SplitMix64 over everything.
    let mut hash = fnv(name.as_str().as_bytes());
    for part in [seed, generation, u64::from(attempt)] {
        hash = mix(hash ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
    }
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// The planned rotation before jitter. A rule that is not shorter than the lifetime gives way to 0.67 of it.
fn planned(rule: RotateRule, life: Life) -> Due {
    let span = life.expires_at.map(|end| end.since(life.issued_at));
    let fraction = |f: f64| match span {
        Some(span) => Due::At(life.issued_at.plus(span.mul_f64(f))),
        None => Due::Never,
    };
    match (rule, span, life.expires_at) {
        (RotateRule::At(f), ..) => fraction(f),
        (RotateRule::Before(d), Some(span), Some(end)) if d < span => Due::At(end.minus(d)),
        (RotateRule::Before(_), ..) => fraction(FALLBACK),
        (RotateRule::Every(d), Some(span), _) if d >= span => fraction(FALLBACK),
        (RotateRule::Every(d), _, end) => Due::At(every(d, life, end)),
    }
}

/// So long after it was at hand: `issued_at` has whole seconds alone, and would make each wait up to one shorter. But a
/// second before the end at the latest, where that is after `d` from its issue.
fn every(d: Duration, life: Life, end: Option<Wall>) -> Wall {
    let from_issue = life.issued_at.plus(d);
    let from_hand = life.obtained_at.max(life.issued_at).plus(d);
    let latest = end.map_or(from_hand, |end| from_issue.max(end.minus(Duration::from_secs(1))));
    from_hand.min(latest)
}

/// When the refresh token ends that a token was obtained with (RFC 6749 1.5): from then on a person has to log in again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoginEnd {
    /// As the issuer told it.
    pub at: Wall,
    /// Rotations do not move it: it is the end of the login.
    pub is_fixed: bool,
    /// What later ends are compared with, and when that was told.
    base: (Wall, Wall),
}

impl LoginEnd {
    /// Ends are told in whole seconds: of two that are told sooner after each other nobody can say whether the end moved.
    const TELLING: Duration = Duration::from_secs(3);

    /// One that is told for the first time in this run: as far as is known it moves.
    pub fn first(at: Wall, obtained: Wall) -> Self {
        Self { at, is_fixed: false, base: (at, obtained) }
    }

    /// The next one.
    pub fn next(self, at: Wall, obtained: Wall) -> Self {
        let (end, told) = self.base;
        let passed = obtained.since(told);
        if passed < Self::TELLING {
            return Self { at, ..self };
        }
        Self { at, is_fixed: at.since(end) < passed / 2, base: (at, obtained) }
    }

    /// When a person is to be told: `before` the end. Of one that moves with each rotation when a third of its time is left, where
    /// that is less: as long as rotations go well, that never comes. `None`: never.
    pub fn told_at(self, before: Duration, life: Life) -> Option<Wall> {
        let third = self.at.since(life.issued_at) / 3;
        let before = if self.is_fixed { before } else { before.min(third) };
        (!before.is_zero()).then(|| self.at.minus(before))
    }

    /// When to rotate for its sake. An end that moves is as good as a token's own. Just before one that does not, a last
    /// token is obtained, which outlives it.
    fn planned(self, rule: RotateRule, life: Life) -> Due {
        const LAST: Duration = Duration::from_secs(60);
        match self.is_fixed {
            _ if self.at <= life.obtained_at => Due::Never,
            false => planned(rule, Life { expires_at: Some(self.at), ..life }),
            true if self.at.since(life.obtained_at) > LAST * 2 => Due::At(self.at.minus(LAST)),
            true => Due::Never,
        }
    }
}

/// When the token is due on schedule: the rule's moment, up to `jitter` of the planned wait earlier, never later; and in time
/// for the end of its refresh token. `drawn` is in `0.0..1.0`, one draw for each token issued.
pub fn due(schedule: &Schedule, life: Life, login: Option<LoginEnd>, drawn: f64) -> Due {
    let for_login = login.map_or(Due::Never, |login| login.planned(schedule.rule, life));
    match planned(schedule.rule, life).min(for_login) {
        Due::At(at) => {
            let wait = at.since(life.obtained_at);
            Due::At(at.minus(wait.mul_f64(schedule.jitter * drawn)))
        }
        Due::Never => Due::Never,
    }
}

/// Whether the token's `iat` lies so far ahead that the clock must have been set back since.
pub fn issued_in_future(schedule: &Schedule, life: Life, now: Wall) -> bool {
    life.issued_at.minus(schedule.skew) > now.plus(AHEAD).plus(schedule.skew)
}

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
    use proptest::prelude::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn hour() -> Life {
        Life { issued_at: Wall::from_secs(0), expires_at: Some(Wall::from_secs(3600)), obtained_at: Wall::from_secs(0) }
    }

    fn plain(rule: RotateRule) -> Schedule {
        Schedule { rule, jitter: 0.0, ..Schedule::default() }
    }

    #[test]
    fn each_rule_has_its_moment() {
        for (rule, want) in [
            (RotateRule::At(0.5), 1800),
            (RotateRule::Before(secs(600)), 3000),
            (RotateRule::Every(secs(60)), 60),
            (RotateRule::Before(secs(3600)), 2412),
            (RotateRule::Every(secs(7200)), 2412),
        ] {
            assert_eq!(due(&plain(rule), hour(), None, 0.9), Due::At(Wall::from_secs(want)), "{rule:?}");
        }
    }

    #[test]
    fn an_interval_begins_when_the_token_is_at_hand_and_ends_before_it_does() {
        let life = Life { obtained_at: Wall(900), ..hour() };
        assert_eq!(due(&plain(RotateRule::Every(secs(2))), life, None, 0.0), Due::At(Wall(2_900)));
        let close = RotateRule::Every(Duration::from_millis(3_599_500));
        assert_eq!(due(&plain(close), life, None, 0.0), Due::At(Wall(3_599_500)));
    }

    #[test]
    fn without_expiry_only_every_is_ever_due() {
        let life = Life { expires_at: None, ..hour() };
        assert_eq!(due(&plain(RotateRule::At(0.5)), life, None, 0.0), Due::Never);
        assert_eq!(due(&plain(RotateRule::Every(secs(9))), life, None, 0.0), Due::At(Wall::from_secs(9)));
    }

    #[test]
    fn a_refresh_token_that_ends_before_its_token_is_spent_in_time() {
        let at = |seconds: i64| Wall::from_secs(seconds);
        let login = |end: i64, is_fixed: bool| LoginEnd { is_fixed, ..LoginEnd::first(at(end), at(0)) };
        let due = |end: i64, is_fixed: bool| {
            let login = login(end, is_fixed);
            due(&plain(RotateRule::At(0.5)), hour(), Some(login), 0.0)
        };
        assert_eq!((due(1800, false), due(86_400, false)), (Due::At(at(900)), Due::At(at(1800))));
        assert_eq!((due(1800, true), due(86_400, true)), (Due::At(at(1740)), Due::At(at(1800))));
        assert_eq!((due(120, true), due(0, false)), (Due::At(at(1800)), Due::At(at(1800))), "too late, or nonsense");
        let first = LoginEnd::first(at(90_000), at(0));
        assert!(!first.is_fixed, "nobody knows yet");
        let moves = |end: i64| !first.next(at(end), at(2400)).is_fixed;
        assert_eq!((moves(90_000), moves(90_001), moves(92_399), moves(80_000)), (false, false, true, false));
        let soon = first.next(at(90_001), at(2));
        assert_eq!(
            (soon.is_fixed, soon.next(at(90_001), at(9)).is_fixed),
            (false, true),
            "a second is too near to tell"
        );
        let told = |end: i64, is_fixed: bool| login(end, is_fixed).told_at(secs(600), hour());
        assert_eq!((told(900, false), told(9000, false)), (Some(at(600)), Some(at(8400))));
        assert_eq!((told(900, true), login(9, true).told_at(secs(0), hour())), (Some(at(300)), None));
    }

    #[test]
    fn a_clock_set_back_is_told_by_more_than_a_minute_and_the_skew() {
        let schedule = Schedule { skew: secs(30), ..Schedule::default() };
        let life = Life { issued_at: Wall::from_secs(1000), ..hour() };
        assert!(!issued_in_future(&schedule, life, Wall::from_secs(880)));
        assert!(issued_in_future(&schedule, life, Wall::from_secs(879)));
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

    #[test]
    fn machines_and_attempts_differ_and_repeat() {
        let name = TokenName::new("a").unwrap();
        assert_eq!(draw(1, &name, 2, 3).to_bits(), draw(1, &name, 2, 3).to_bits());
        let mut seen: Vec<u64> = (0..500).map(|seed| (draw(seed, &name, 1, 0) * 1e6) as u64).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 490, "{} of 500 differ", seen.len());
    }

    proptest! {
        #[test]
        fn jitter_is_early_only_and_bounded(f in 0.01..0.99_f64, jitter in 0.0..0.99_f64, drawn in 0.0..1.0_f64, obtained in 0_i64..3600) {
            let life = Life { obtained_at: Wall::from_secs(obtained), ..hour() };
            let schedule = Schedule { jitter, ..plain(RotateRule::At(f)) };
            let Due::At(base) = due(&plain(RotateRule::At(f)), life, None, 0.0) else { panic!("has an end") };
            let Due::At(at) = due(&schedule, life, None, drawn) else { panic!("has an end") };
            prop_assert!(at <= base);
            prop_assert!(base.since(at) <= base.since(life.obtained_at).mul_f64(jitter) + Duration::from_millis(1));
        }

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

        #[test]
        fn nothing_overflows(issued in any::<i64>(), expires in any::<i64>(), now in any::<i64>(), span in any::<u64>()) {
            let life = Life { issued_at: Wall(issued), expires_at: Some(Wall(expires)), obtained_at: Wall(now) };
            for rule in [RotateRule::At(0.67), RotateRule::Before(Duration::from_millis(span)), RotateRule::Every(Duration::from_millis(span))] {
                let _ = due(&plain(rule), life, None, 0.5);
            }
            let _ = issued_in_future(&Schedule::default(), life, Wall(now));
        }
    }
}
