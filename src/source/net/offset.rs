//! Owns: how far this machine's clock is from that of a server, by the Date of its answer (RFC 9110 6.6.1).
//! Does not: set a clock, or judge which of the two is right.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::header::{AGE, DATE, HeaderMap};

use crate::core::settings::TokenName;
use crate::core::time::{ClockOffset, Wall};
use crate::source::moment;

/// What time it was for the server. An answer of a cache is of another time, and tells nothing.
pub(super) fn date(headers: &HeaderMap) -> Option<Wall> {
    let is_cached = headers.get(AGE).is_some_and(|age| age != "0");
    moment::date(headers.get(DATE)?.to_str().ok()?).filter(|_| !is_cached)
}

/// Of an answer to what was sent at the first moment and came back at the second. Within them nothing is off.
pub(super) fn read(headers: &HeaderMap, sent_at: Wall, came_at: Wall) -> Option<ClockOffset> {
    let date = date(headers)?.secs();
    // A clock that was set meanwhile.
    let (from, to) = (sent_at.min(came_at).secs(), came_at.max(sent_at).secs());
    Some(ClockOffset(match date {
        _ if date < from => from - date,
        _ if date > to => to - date,
        _ => 0,
    }))
}

/// The newest of each token.
#[derive(Default)]
pub(super) struct ClockOffsets(Mutex<HashMap<TokenName, ClockOffset>>);

impl ClockOffsets {
    pub(super) fn keep(&self, name: &TokenName, offset: ClockOffset) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), offset);
    }

    pub(super) fn forget(&self, name: &TokenName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// This machine's clock was set: what was found says nothing of it any more.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn of(&self, name: &TokenName) -> Option<ClockOffset> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn seconds(date: &'static str, sent: i64, came: i64) -> Option<i64> {
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
        read(&headers, Wall::from_secs(sent), Wall::from_secs(came)).map(|offset| offset.0)
    }

    #[test]
    fn what_lies_between_request_and_answer_is_no_difference() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (sent, came, want) in [(777, 777, 0), (770, 780, 0), (780, 790, 3), (600, 700, -77), (790, 600, 0)] {
            assert_eq!(seconds(date, 784_111_000 + sent, 784_111_000 + came), Some(want), "{sent} {came}");
        }
        assert_eq!(seconds("yesterday", 0, 0), None);
        let mut cached = HeaderMap::from_iter([(DATE, HeaderValue::from_static(date))]);
        cached.insert(AGE, HeaderValue::from_static("300"));
        assert_eq!(read(&cached, Wall(0), Wall(0)), None);
    }

    #[test]
    fn what_was_found_ends_with_its_token_and_when_the_clock_is_set() {
        let (offsets, name) = (ClockOffsets::default(), |text| TokenName::new(text).unwrap());
        ["a", "b"].iter().for_each(|text| offsets.keep(&name(text), ClockOffset(7)));
        offsets.forget(&name("a"));
        assert_eq!((offsets.of(&name("a")), offsets.of(&name("b"))), (None, Some(ClockOffset(7))));
        offsets.clear();
        assert_eq!(offsets.of(&name("b")), None);
    }
}
