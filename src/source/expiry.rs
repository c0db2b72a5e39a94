//! Owns: when a token that somebody else issued expires: what the answer says, what the token says, and `ttl`.
//! Does not: read an answer, or look at a clock.

use std::time::Duration;

use serde_json::Value;

use crate::core::jose::Jws;
use crate::core::time::Wall;

/// What lasts longer is a mistake: milliseconds taken for seconds, or a moment for a span.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// Why there is no expiry to rely upon. Never quotes what the answer holds: a pointer may point at a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExpiryError {
    #[error("it is neither a number of seconds nor a string of digits")]
    NoSpan,
    #[error("it is negative")]
    Negative,
    #[error("it is more than a thousand years: is it in milliseconds, or a moment where a span is meant?")]
    Absurd,
    #[error("it is neither a time like 2030-01-02T03:04:05Z (RFC 3339) nor Unix seconds")]
    NoMoment,
    #[error("it lies before 1970")]
    NegativeMoment,
    #[error("it lies beyond the year 9999: is it in milliseconds?")]
    AbsurdMoment,
    #[error("the token's exp cannot be relied upon: {0}")]
    Exp(&'static str),
    #[error("the answer tells no expiry: set ttl")]
    Untold,
    #[error(
        "the token had expired when it came: at {}, by {by}, and here it is {}: \
         one of the two clocks is wrong, or the token is an old one",
        at.rfc3339(), now.rfc3339()
    )]
    Past { at: Wall, by: &'static str, now: Wall },
}

/// A span in seconds: a number, with a fraction or without, or a string of digits, as some servers send it.
/// 0 is told by servers that leave it to the token's `exp`: it counts as absent, and so does null.
pub(crate) fn span(value: &Value) -> Result<Option<Duration>, ExpiryError> {
    let seconds = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64().ok_or(ExpiryError::NoSpan)?,
        Value::String(text) => digits(text).ok_or(ExpiryError::NoSpan)?,
        _ => return Err(ExpiryError::NoSpan),
    };
    if seconds < 0.0 {
        return Err(ExpiryError::Negative);
    }
    let span = Duration::try_from_secs_f64(seconds).map_err(|_| ExpiryError::Absurd)?;
    match span {
        Duration::ZERO => Ok(None),
        span if span > LONGEST => Err(ExpiryError::Absurd),
        span => Ok(Some(span)),
    }
}

/// A moment: RFC 3339 with an offset, or Unix seconds as a number or a string of digits. Null counts as absent.
pub(crate) fn moment(value: &Value) -> Result<Option<Wall>, ExpiryError> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => unix(number.as_f64().ok_or(ExpiryError::NoMoment)?).map(Some),
        Value::String(text) => match digits(text) {
            Some(seconds) => unix(seconds).map(Some),
            None => rfc3339(text).map(Some),
        },
        _ => Err(ExpiryError::NoMoment),
    }
}

/// What is known of a token's end, beside the token itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct KnownExpiry {
    /// From when the request was sent.
    pub expires_in: Option<Duration>,
    pub expires_at: Option<Wall>,
    /// Of the settings: from when the request was sent, too.
    pub ttl: Option<Duration>,
}

/// The earliest of what was told and the `exp` of a token that is a JWT. Its signature is for those who take it to check.
///
/// `sent` is when the request was sent: whatever the way took is on the safe side. It is the moment of issue as well,
/// and a JWT's `iat` is not: it comes from another clock, and of a token out of somebody's cache it is long past,
/// so that the time left would be counted from a moment that says nothing about it.
pub(crate) fn of(token: &str, told: KnownExpiry, sent: Wall, now: Wall) -> Result<Wall, ExpiryError> {
    let all = [
        (told.expires_in.map(|span| sent.plus(span)), "expires_in"),
        (told.expires_at, "expires_at"),
        (exp(token)?, "its exp"),
        (told.ttl.map(|span| sent.plus(span)), "ttl"),
    ];
    let earliest = all.into_iter().filter_map(|(at, by)| at.map(|at| (at, by))).min_by_key(|(at, _)| *at);
    match earliest {
        None => Err(ExpiryError::Untold),
        Some((at, by)) if at <= now => Err(ExpiryError::Past { at, by, now }),
        Some((at, _)) => Ok(at),
    }
}

/// The `exp` of a JWT (RFC 7519 4.1.4). A null one, which some issuers write, says nothing; any other that is not a
/// number is refused here, since whoever verifies the token has to refuse it.
fn exp(token: &str) -> Result<Option<Wall>, ExpiryError> {
    // What is no JWT is opaque: only its issuer can read it.
    let Some(claims) = Jws::parse(token).ok().and_then(|jws| jws.claims().ok()) else { return Ok(None) };
    let at = match claims.get("exp") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64().ok_or(ExpiryError::Exp("it is not a number"))?,
        Some(_) => return Err(ExpiryError::Exp("it is not a number")),
    };
    unix(at).map(Some).map_err(|_| ExpiryError::Exp("it is out of range: is it in milliseconds?"))
}

/// Unix seconds, to the millisecond. The calendar ends with the year 9999: what lies beyond is in another unit.
fn unix(seconds: f64) -> Result<Wall, ExpiryError> {
    if seconds < 0.0 {
        return Err(ExpiryError::NegativeMoment);
    }
    let since = Duration::try_from_secs_f64(seconds).map_err(|_| ExpiryError::AbsurdMoment)?;
    let at = Wall(0).plus(since);
    jiff::Timestamp::from_millisecond(at.0).map_err(|_| ExpiryError::AbsurdMoment)?;
    Ok(at)
}

fn rfc3339(text: &str) -> Result<Wall, ExpiryError> {
    let at: jiff::Timestamp = text.parse().map_err(|_| ExpiryError::NoMoment)?;
    Ok(Wall(at.as_millisecond()))
}

fn digits(text: &str) -> Option<f64> {
    let all_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;
    use serde_json::json;

    use super::*;

    const SENT: Wall = Wall(1_600_000_000_250);
    const NOW: Wall = Wall(1_600_000_001_000);

    fn jwt(claims: &str) -> String {
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(claims))
    }

    fn seconds(n: u64) -> Option<Duration> {
        Some(Duration::from_secs(n))
    }

    #[test]
    fn spans_as_servers_send_them() {
        use ExpiryError::*;
        for (value, wanted) in [
            (json!(3600), Ok(seconds(3600))),
            (json!("3600"), Ok(seconds(3600))),
            (json!("0003600"), Ok(seconds(3600))),
            (json!(3600.0), Ok(seconds(3600))),
            (json!(1.5), Ok(Some(Duration::from_millis(1500)))),
            (json!(0), Ok(None)),
            (json!("0"), Ok(None)),
            (json!(-0.0), Ok(None)),
            (json!(null), Ok(None)),
            (json!(-1), Err(Negative)),
            (json!(-0.5), Err(Negative)),
            (json!(1_700_000_000_000_u64), Err(Absurd)),
            (json!(u64::MAX), Err(Absurd)),
            (json!(1e300), Err(Absurd)),
            (json!("9".repeat(400)), Err(Absurd)),
            (json!(31_536_000_000_u64), Ok(seconds(31_536_000_000))),
            (json!(31_536_000_001_u64), Err(Absurd)),
            (json!("-1"), Err(NoSpan)),
            (json!(""), Err(NoSpan)),
            (json!(" 3600"), Err(NoSpan)),
            (json!("1h"), Err(NoSpan)),
            (json!("1e3"), Err(NoSpan)),
            (json!("inf"), Err(NoSpan)),
            (json!("NaN"), Err(NoSpan)),
            (json!(true), Err(NoSpan)),
            (json!([3600]), Err(NoSpan)),
            (json!({"s": 1}), Err(NoSpan)),
        ] {
            assert_eq!(span(&value), wanted, "{value}");
        }
    }

    #[test]
    fn moments_as_servers_send_them() {
        use ExpiryError::*;
        let at = |ms| Ok(Some(Wall(ms)));
        for (value, wanted) in [
            (json!("2020-09-13T12:26:40Z"), at(1_600_000_000_000)),
            (json!("2020-09-13T14:26:40+02:00"), at(1_600_000_000_000)),
            (json!("2020-09-13T12:26:40.1234567Z"), at(1_600_000_000_123)),
            (json!(1_600_000_000), at(1_600_000_000_000)),
            (json!("1600000000"), at(1_600_000_000_000)),
            (json!(1_600_000_000.5), at(1_600_000_000_500)),
            (json!(0), at(0)),
            (json!(null), Ok(None)),
            (json!(1_600_000_000_000_u64), Err(AbsurdMoment)),
            (json!("1600000000000"), Err(AbsurdMoment)),
            (json!(1e300), Err(AbsurdMoment)),
            (json!(-1), Err(NegativeMoment)),
            (json!("2020-09-13T12:26:40"), Err(NoMoment)),
            (json!("2020-09-13"), Err(NoMoment)),
            (json!("soon"), Err(NoMoment)),
            (json!(""), Err(NoMoment)),
            (json!(true), Err(NoMoment)),
            (json!([]), Err(NoMoment)),
        ] {
            assert_eq!(moment(&value), wanted, "{value}");
        }
    }

    #[test]
    fn the_earliest_of_all_that_is_there_counts() {
        let told = |expires_in: Option<u64>, expires_at: Option<i64>, ttl: Option<u64>| KnownExpiry {
            expires_in: expires_in.map(Duration::from_secs),
            expires_at: expires_at.map(Wall::from_secs),
            ttl: ttl.map(Duration::from_secs),
        };
        let exp = |n: i64| jwt(&format!(r#"{{"exp":{n}}}"#));
        for (token, told, wanted) in [
            ("opaque".to_owned(), told(Some(60), None, None), SENT.0 + 60_000),
            ("opaque".to_owned(), told(None, Some(1_600_000_060), None), 1_600_000_060_000),
            ("opaque".to_owned(), told(None, None, Some(60)), SENT.0 + 60_000),
            (exp(1_600_000_060), told(None, None, None), 1_600_000_060_000),
            (exp(1_600_000_060), told(Some(30), Some(1_600_000_090), Some(120)), SENT.0 + 30_000),
            (exp(1_600_000_060), told(Some(70), Some(1_600_000_040), Some(120)), 1_600_000_040_000),
            (exp(1_600_000_060), told(Some(70), Some(1_600_000_090), Some(120)), 1_600_000_060_000),
            (exp(1_600_000_060), told(Some(70), Some(1_600_000_090), Some(20)), SENT.0 + 20_000),
            (jwt(r#"{"exp":null}"#), told(Some(60), None, None), SENT.0 + 60_000),
            (jwt(r#"{"exp":1600000060.5}"#), told(None, None, None), 1_600_000_060_500),
            // iat says nothing.
            (jwt(r#"{"iat":1}"#), told(Some(60), None, None), SENT.0 + 60_000),
        ] {
            assert_eq!(of(&token, told, SENT, NOW), Ok(Wall(wanted)), "{told:?}");
        }
    }

    #[test]
    fn no_expiry_names_ttl() {
        let nothing = KnownExpiry::default();
        for token in ["opaque", "a.b.c", &jwt("{}"), &jwt(r#"{"exp":null}"#), &jwt("no JSON")] {
            assert_eq!(of(token, nothing, SENT, NOW), Err(ExpiryError::Untold), "{token}");
        }
        assert!(ExpiryError::Untold.to_string().contains("set ttl"));
    }

    #[test]
    fn an_exp_that_no_verifier_can_read_is_an_error() {
        let ttl = KnownExpiry { ttl: seconds(60), ..KnownExpiry::default() };
        for claims in [r#"{"exp":"1600000060"}"#, r#"{"exp":true}"#, r#"{"exp":1600000060000}"#, r#"{"exp":-1}"#] {
            assert!(matches!(of(&jwt(claims), ttl, SENT, NOW), Err(ExpiryError::Exp(_))), "{claims}");
        }
    }

    #[test]
    fn what_has_expired_is_an_error_that_speaks_of_clocks() {
        let told = KnownExpiry { expires_at: Some(NOW), ttl: seconds(60), ..KnownExpiry::default() };
        let error = of("opaque", told, SENT, NOW).unwrap_err();
        assert_eq!(error, ExpiryError::Past { at: NOW, by: "expires_at", now: NOW });
        assert!(error.to_string().contains("clocks"), "{error}");
        let short = KnownExpiry { expires_in: Some(Duration::from_millis(750)), ..KnownExpiry::default() };
        assert!(matches!(of("opaque", short, SENT, NOW), Err(ExpiryError::Past { by: "expires_in", .. })));
        assert!(of(&jwt(r#"{"exp":0}"#), KnownExpiry::default(), SENT, NOW).is_err());
    }
}
