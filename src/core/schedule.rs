//! Owns: when a token is due, and the numbers drawn for that and for waits.
//! All of it is arithmetic on what is handed in: the same inputs give the same times.
//! Does not: know of tokens in flight, files or plans; the engine asks it.

use std::time::Duration;

use super::hash::{fnv, mix};
use super::settings::{RotateRule, Schedule, TokenName};
use super::time::Wall;

/// The fraction of a lifetime that stands in for a rule which does not fit it.
pub(crate) const FALLBACK: f64 = 0.67;

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
        fn nothing_overflows(issued in any::<i64>(), expires in any::<i64>(), now in any::<i64>(), span in any::<u64>()) {
            let life = Life { issued_at: Wall(issued), expires_at: Some(Wall(expires)), obtained_at: Wall(now) };
            for rule in [RotateRule::At(0.67), RotateRule::Before(Duration::from_millis(span)), RotateRule::Every(Duration::from_millis(span))] {
                let _ = due(&plain(rule), life, None, 0.5);
            }
            let _ = issued_in_future(&Schedule::default(), life, Wall(now));
        }
    }
}
