//! Owns: the ways in which servers write a moment: dates of several standards, and Unix time of several units.
//! Does not: know what the moment is of.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::core::time::Wall;

/// Unix seconds of the years in which what is issued today may end: a number of another unit is known by them.
const TODAY: std::ops::Range<f64> = 1e9..7.3e9;
/// Milliseconds, microseconds and nanoseconds.
const UNITS: [f64; 4] = [1.0, 1e3, 1e6, 1e9];

/// What is zoneless is UTC; the first that fits counts.
const ZONELESS: [&str; 8] = [
    "%Y-%m-%d %H:%M:%S%.f UTC",
    "%Y-%m-%d %H:%M:%S%.f GMT",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%a, %d %b %Y %H:%M:%S GMT",
    "%a, %d %b %Y %H:%M:%S UTC",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];
const ZONED: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S%.f %z UTC",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M:%S%.f%:z",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %:z",
];

/// A date with its time, or one alone: a token that ends on a day is not to be relied upon from its first moment on.
pub(super) fn date(text: &str) -> Option<Wall> {
    let text = text.trim();
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Wall(at.as_millisecond()));
    }
    if let Some(millis) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        return millis.parse().ok().map(Wall);
    }
    let utc = |at: DateTime| TimeZone::UTC.to_timestamp(at).ok();
    let zoned = || ZONED.iter().find_map(|form| jiff::Timestamp::strptime(form, text).ok());
    let zoneless = || ZONELESS.iter().find_map(|form| DateTime::strptime(form, text).ok()).and_then(utc);
    let day = || Date::strptime("%Y-%m-%d", text).ok().and_then(|day| utc(day.at(0, 0, 0, 0)));
    zoned().or_else(zoneless).or_else(day).map(|at| Wall(at.as_millisecond()))
}

/// A number as a text: digits, with a fraction or without; `3600s`, as protocol buffers write a duration, too.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_suffix('s').unwrap_or(text);
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    (is_number && text.bytes().any(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Unix time in a unit that makes it one of today.
pub(super) fn plausible(number: f64) -> Option<Wall> {
    let seconds = UNITS.iter().map(|unit| number / unit).find(|seconds| TODAY.contains(seconds))?;
    seconds_since_1970(seconds)
}

/// Unix seconds, to the millisecond; where the calendar, which ends with the year 9999, has no such moment, another unit.
pub(super) fn unix(number: f64) -> Option<Wall> {
    seconds_since_1970(number).or_else(|| plausible(number))
}

fn seconds_since_1970(seconds: f64) -> Option<Wall> {
    let since = std::time::Duration::try_from_secs_f64(seconds).ok()?;
    let at = Wall(0).plus(since);
    jiff::Timestamp::from_millisecond(at.0).ok().map(|_| at)
}
