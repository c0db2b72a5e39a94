//! Owns: the settings by which it is decided how long a token lives and when it is rotated.
//! Does not: decide it (`core::schedule`).

use std::time::Duration;

/// How long a minted token is good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// Whole seconds, one at least: NumericDate has no smaller unit here.
    For(Duration),
    /// `"never"`: no `exp` at all.
    Never,
}

/// When a token is rotated, relative to its life.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum RotateRule {
    /// At this fraction of the lifetime, above 0 and below 1.
    At(f64),
    /// This long before expiry.
    Before(Duration),
    /// This long after it was issued.
    Every(Duration),
}

/// `retry = { initial, max, rejected }`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    pub initial: Duration,
    pub max: Duration,
    pub rejected: Duration,
}

/// All scheduling keys of one token.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    pub rule: RotateRule,
    /// Fraction of the planned wait, 0 to 1 (1 excluded), by which a rotation may be earlier.
    pub jitter: f64,
    pub min_interval: Duration,
    pub retry: Retry,
    /// How far `iat` is backdated: the slack for "issued in the future".
    pub skew: Duration,
}
