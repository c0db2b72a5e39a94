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
    /// The first wait at most: each is drawn anew, and the most doubles with each failure.
    pub initial: Duration,
    /// No wait is longer, but after a refusal.
    pub max: Duration,
    /// The wait after the credential was refused: many tries may lock the client out.
    pub rejected: Duration,
}

/// All scheduling keys of one token.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Schedule {
    /// The token's own, or whichever `[defaults]` has.
    pub rule: RotateRule,
    /// Fraction of the planned wait, 0 to 1 (1 excluded), by which a rotation may be earlier.
    pub jitter: f64,
    /// On schedule a token is obtained once in this time at most.
    pub min_interval: Duration,
    /// How long before its end a refresh token that nothing prolongs is told of; zero: never.
    pub warn_before: Duration,
    /// How long is waited after a try that failed.
    pub retry: Retry,
    /// How far `iat` is backdated: the slack for "issued in the future".
    pub skew: Duration,
}
