//! Owns: what an answer says of the next request: Retry-After (RFC 9110 10.2.3), and the header fields of limits, which come in
//! the forms of several drafts (draft-ietf-httpapi-ratelimit-headers) and of several servers.
//! Does not: decide when to ask again.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::offset;
use crate::core::time::Wall;
use crate::source::moment;

/// A server that asks for more is not believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How many requests are left until the reset.
const REMAINING: [&str; 3] = ["ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining"];
/// When there are some again: in seconds from now, or a moment.
const RESET: [&str; 4] = ["ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after"];
/// A field of its own, `limit=100, remaining=0, reset=50`, later `"default";r=0;t=50`.
const TOGETHER: &str = "ratelimit";

/// What an answer says of the next request.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Limit {
    /// It says that no further request is left for now: a refusal by it is none of the credential.
    pub is_spent: bool,
    /// Not to be asked again sooner, from `now` on; a day at most.
    pub wait: Option<Duration>,
}

impl Limit {
    pub(super) fn read(headers: &HeaderMap, status: StatusCode, now: Wall) -> Self {
        // What is told as a moment is one of the server's clock; this machine's may be off.
        let now = offset::date(headers).unwrap_or(now);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let together = text(TOGETHER).map(together).unwrap_or_default();
        let remaining = REMAINING.iter().find_map(|name| text(name)).or(together.remaining);
        let reset = RESET.iter().find_map(|name| text(name)).or(together.reset);
        let is_spent = remaining.map_or(status == StatusCode::TOO_MANY_REQUESTS, is_none_left);
        let retry_after = text(RETRY_AFTER.as_str()).and_then(|text| span(text, now));
        // Where some are left, a limit of another kind was met, and the reset is not its end.
        let reset = reset.filter(|_| is_spent && !status.is_success());
        let reset = reset.and_then(|text| fraction(text, now).or_else(|| span(text, now)));
        Self { is_spent, wait: retry_after.or(reset) }
    }
}

/// Seconds from now, or a moment.
fn span(text: &str, now: Wall) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(|number| number_span(number, now));
    }
    // A number with a sign or a fraction is none that the standard knows, and no date.
    moment::number(text).is_none().then(|| moment::date(text)).flatten().map(|at| at.since(now).min(LONGEST))
}

/// Servers that count on say a negative number.
fn is_none_left(remaining: &str) -> bool {
    moment::number(remaining).is_some_and(|left| left <= 0.0)
}

/// A reset with a fraction of a second, as some servers have it.
fn fraction(text: &str, now: Wall) -> Option<Duration> {
    moment::number(text).filter(|number| *number >= 0.0).map(|number| number_span(number, now))
}

fn number_span(number: f64, now: Wall) -> Duration {
    let span = match moment::plausible(number) {
        Some(at) => at.since(now),
        None => Duration::try_from_secs_f64(number).unwrap_or(LONGEST),
    };
    span.min(LONGEST)
}

/// What the field of its own says of one limit.
#[derive(Clone, Copy, Default)]
struct OneLimit<'a> {
    remaining: Option<&'a str>,
    reset: Option<&'a str>,
}

/// Of several limits the one that is spent counts, and of several of those the one that is over last.
fn together(field: &str) -> OneLimit<'_> {
    // In the older form there is one, with commas between its members.
    let parts: Vec<&str> = if field.contains(';') { field.split(',').collect() } else { vec![field] };
    let limits = parts
        .into_iter()
        .map(|part| OneLimit { remaining: member(part, &["remaining", "r"]), reset: member(part, &["reset", "t"]) });
    let limits: Vec<_> = limits.collect();
    let spent = limits.iter().filter(|limit| limit.remaining.is_some_and(is_none_left));
    let last = spent.max_by_key(|limit| limit.reset.and_then(|reset| reset.parse::<u64>().ok()));
    last.or(limits.first()).copied().unwrap_or_default()
}

/// The value of the first of these members.
fn member<'a>(field: &'a str, names: &[&str]) -> Option<&'a str> {
    let members = field.split([',', ';']).filter_map(|member| member.trim().split_once('='));
    members.into_iter().find(|(name, _)| names.contains(&name.trim())).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW: Wall = Wall::from_secs(784_111_777);

    fn read(status: u16, now: Wall, fields: &[(&'static str, &str)]) -> (bool, Option<u64>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let limit = Limit::read(&headers, StatusCode::from_u16(status).unwrap(), now);
        (limit.is_spent, limit.wait.map(|wait| wait.as_secs()))
    }

    fn after(text: &str) -> Option<u64> {
        read(503, NOW, &[("retry-after", text)]).1
    }

    #[test]
    fn seconds_and_all_forms_of_dates() {
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("0"), Some(0));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(after("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(after("Sun Nov  6 08:50:37 1994"), Some(60));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    }

    #[test]
    fn absurd_ones_are_cut_or_ignored() {
        assert_eq!(after("99999999999999999999999"), Some(86_400));
        assert_eq!(after("Sun, 06 Nov 2094 08:50:37 GMT"), None, "a Saturday");
        assert_eq!(after("Sat, 06 Nov 2094 08:50:37 GMT"), Some(86_400));
        for none in ["-5", "1.5", "soon", ""] {
            assert_eq!(after(none), None, "{none}");
        }
    }

    /// A clock that is an hour off would make the wait an hour longer, or none.
    #[test]
    fn a_moment_is_one_of_the_servers_clock() {
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        for off in [-3600_i64, 3600] {
            let now = Wall::from_secs(NOW.secs() + off);
            let told = |field| read(429, now, &[date, field]).1;
            assert_eq!(told(("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")), Some(60), "{off}");
            assert_eq!(told(("x-ratelimit-reset", "Sun, 06 Nov 1994 08:50:37 GMT")), Some(60), "{off}");
            assert_eq!(told(("retry-after", "60")), Some(60), "{off}");
        }
        let cached = [date, ("age", "900"), ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")];
        assert_eq!(read(429, NOW, &cached).1, Some(60));
    }

    #[test]
    fn a_limit_that_is_spent_says_when_it_is_over() {
        let now = Wall::from_secs(1_795_853_853);
        type Fields = &'static [(&'static str, &'static str)];
        let cases: [(u16, Fields, (bool, Option<u64>)); 17] = [
            (429, &[("ratelimit-reset", "30")], (true, Some(30))),
            (429, &[("x-ratelimit-reset", "1795853953")], (true, Some(100))),
            (429, &[("x-ratelimit-reset", "1795853953000")], (true, Some(100))),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795853953")], (true, Some(100))),
            (403, &[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "1795853953")], (false, None)),
            (403, &[("x-ratelimit-reset", "1795853953")], (false, None)),
            (429, &[("ratelimit", "limit=100, remaining=0, reset=50")], (true, Some(50))),
            (429, &[("ratelimit", r#""default";r=0;t=50"#)], (true, Some(50))),
            (429, &[("ratelimit", r#""default";r=9;t=50"#)], (false, None)),
            (429, &[("ratelimit", r#""burst";r=9;t=1, "daily";r=0;t=500"#)], (true, Some(500))),
            (429, &[("ratelimit", r#""burst";r=0;t=1, "daily";r=0;t=500"#)], (true, Some(500))),
            (429, &[("x-rate-limit-reset", "2026-11-28T08:18:33Z")], (true, Some(60))),
            (200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "60")], (true, None)),
            (429, &[("x-ratelimit-reset-after", "2.5")], (true, Some(2))),
            (429, &[("x-ratelimit-reset", "1795853953.25")], (true, Some(100))),
            (429, &[("x-ratelimit-reset", "-5")], (true, None)),
            (403, &[("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "60")], (true, Some(60))),
        ];
        for (status, fields, want) in cases {
            assert_eq!(read(status, now, fields), want, "{status} {fields:?}");
        }
        let both = [("retry-after", "5"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "900")];
        assert_eq!(read(429, now, &both), (true, Some(5)));
    }
}
