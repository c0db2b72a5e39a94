//! Owns: what Retry-After says (RFC 9110 10.2.3): seconds, or a date in one of three forms (5.6.7).
//! Does not: decide when to ask again.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::core::time::Wall;

/// A server that asks for more is not believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// IMF-fixdate, RFC 850 and asctime.
const DATES: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// How long from `now`; `None` where it is not said, or not understood.
pub(super) fn read(headers: &HeaderMap, now: Wall) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or(LONGEST, Duration::from_secs).min(LONGEST));
    }
    let at = DATES.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    let at = TimeZone::UTC.to_timestamp(at).ok()?;
    Some(Wall::from_secs(at.as_second()).since(now).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn at(text: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        // Sun, 06 Nov 1994 08:49:37 GMT
        read(&headers, Wall::from_secs(784_111_777)).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_all_forms_of_dates() {
        assert_eq!(at("120"), Some(120));
        assert_eq!(at("0"), Some(0));
        assert_eq!(at("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(at("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(at("Sun Nov  6 08:50:37 1994"), Some(60));
        assert_eq!(at("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    }

    #[test]
    fn absurd_ones_are_cut_or_ignored() {
        assert_eq!(at("99999999999999999999999"), Some(86_400));
        assert_eq!(at("Sun, 06 Nov 2094 08:50:37 GMT"), None, "a Saturday");
        assert_eq!(at("Sat, 06 Nov 2094 08:50:37 GMT"), Some(86_400));
        assert_eq!(at("-5"), None);
        assert_eq!(at("1.5"), None);
        assert_eq!(at("soon"), None);
        assert_eq!(read(&HeaderMap::new(), Wall(0)), None);
    }
}
