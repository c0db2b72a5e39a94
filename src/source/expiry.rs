//! Owns: when a token that somebody else issued expires: what the answer says, what the token says, and `ttl`.
//! Does not: read an answer, or look at a clock.

use std::time::Duration;

use serde_json::Value;

use super::moment;
use crate::core::jose::Jws;
use crate::core::time::Wall;

/// What lasts longer is a mistake, or a server's way to say "never".
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);
/// From here on a number of seconds is a moment, which servers write under `expires_in` too: as a span it would be 32 years.
const SPAN_ENDS: f64 = 1e9;
/// Such a moment is one as long as a token out of a cache may have ended then: further back it is a span after all.
const LONG_PAST: Duration = Duration::from_secs(365 * 86_400);
/// What is taken for the lifetime of a token that nobody tells, where another one is not to be had for the asking: `lifetime`
/// where a config is silent.
const ASSUMED: Duration = Duration::from_secs(3600);

/// Why there is no expiry to rely upon. Never quotes what the answer holds: a pointer may point at a secret.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum ExpiryError {
    #[error("it is neither a number of seconds nor a time like 2030-01-02T03:04:05Z (RFC 3339)")]
    Unread,
    #[error("it is negative")]
    Negative,
    #[error("it is more than a thousand years")]
    Absurd,
    #[error("the exp of the token is of no use: {0}; set ttl")]
    Exp(&'static str),
    #[error("the answer tells no expiry: set ttl")]
    Untold,
    #[error("the answer tells no expiry: set ttl. What it has at {at:?} is of no use: {problem}")]
    Unusable { at: String, problem: Box<ExpiryError> },
    #[error("the answer says that the token has no life left (its lifetime is 0)")]
    NoLife,
    #[error(
        "the token had expired when it came: at {}, by {by}, and here it is {}: \
         one of the two clocks is wrong, or the token is an old one",
        at.rfc3339(), now.rfc3339()
    )]
    Past { at: Wall, by: &'static str, now: Wall },
}

/// What a member says of a token's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ToldEnd {
    /// So long from when the request was sent.
    In(Duration),
    At(Wall),
    /// Either of these, by a number that is as large as a moment of today.
    Large {
        at: Wall,
        span: Duration,
    },
    /// A lifetime of 0: of no life left, or of nothing, where servers leave it to the token's `exp`.
    Zero,
}

impl ToldEnd {
    /// The moment; `None` of a 0.
    pub(crate) fn at(self, sent: Wall) -> Option<Wall> {
        match self {
            Self::In(span) => Some(sent.plus(span)),
            Self::At(at) => Some(at),
            Self::Large { at, span } if at.plus(LONG_PAST) < sent => Some(sent.plus(span)),
            Self::Large { at, .. } => Some(at),
            Self::Zero => None,
        }
    }
}

/// Under a name that tells a span: seconds as a number or a text, or, as some servers have it there, a moment.
/// Null and an empty text count as absent.
pub(crate) fn span(value: &Value) -> Result<Option<ToldEnd>, ExpiryError> {
    let Some(written) = WrittenEnd::of(value)? else { return Ok(None) };
    match written {
        WrittenEnd::Number(number) if number < 0.0 => Err(ExpiryError::Negative),
        // The largest number of 32 bits is a way to say "never", and no moment in 2038.
        WrittenEnd::Number(number) if number >= SPAN_ENDS && number != f64::from(i32::MAX) => {
            match (moment::plausible(number), seconds(number)) {
                (Some(at), Ok(ToldEnd::In(span))) => Ok(Some(ToldEnd::Large { at, span })),
                (Some(at), _) => Ok(Some(ToldEnd::At(at))),
                (None, span) => span.map(Some),
            }
        }
        WrittenEnd::Number(number) => seconds(number).map(Some),
        WrittenEnd::Moment(at) => Ok(Some(ToldEnd::At(at))),
    }
}

/// Under a name that tells a moment: RFC 3339 and its kin, or Unix seconds (milliseconds are known by their size). A small
/// number is a span. Null, an empty text, 0 and the first moment of a calendar, which stands for none, count as absent.
pub(crate) fn moment(value: &Value) -> Result<Option<ToldEnd>, ExpiryError> {
    let Some(written) = WrittenEnd::of(value)? else { return Ok(None) };
    match written {
        WrittenEnd::Number(number) if number < 0.0 => Err(ExpiryError::Negative),
        WrittenEnd::Number(0.0) => Ok(None),
        WrittenEnd::Number(number) if number < SPAN_ENDS / 10.0 => seconds(number).map(Some),
        WrittenEnd::Number(number) => moment::unix(number).map(|at| Some(ToldEnd::At(at))).ok_or(ExpiryError::Absurd),
        WrittenEnd::Moment(at) if at <= Wall(0) => Ok(None),
        WrittenEnd::Moment(at) => Ok(Some(ToldEnd::At(at))),
    }
}

/// A number or a time, as a number or a text.
enum WrittenEnd {
    Number(f64),
    Moment(Wall),
}

impl WrittenEnd {
    fn of(value: &Value) -> Result<Option<Self>, ExpiryError> {
        let number = |number: f64| Ok(Some(Self::Number(number)));
        match value {
            Value::Null => Ok(None),
            Value::Number(n) => n.as_f64().map_or(Err(ExpiryError::Unread), number),
            Value::String(text) if text.trim().is_empty() => Ok(None),
            Value::String(text) => match moment::number(text) {
                Some(n) => number(n),
                None => moment::date(text).map(|at| Some(Self::Moment(at))).ok_or(ExpiryError::Unread),
            },
            _ => Err(ExpiryError::Unread),
        }
    }
}

fn seconds(number: f64) -> Result<ToldEnd, ExpiryError> {
    let span = Duration::try_from_secs_f64(number).map_err(|_| ExpiryError::Absurd)?;
    match span {
        Duration::ZERO => Ok(ToldEnd::Zero),
        span if span > LONGEST => Err(ExpiryError::Absurd),
        span => Ok(ToldEnd::In(span)),
    }
}

/// What is known of a token's end, beside the token itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct KnownExpiry {
    pub expires_in: Option<ToldEnd>,
    pub expires_at: Option<ToldEnd>,
    /// Of the settings: from when the request was sent, too.
    pub ttl: Option<Duration>,
    /// What cannot be read, and where it stands: an error only where nothing else tells the end.
    pub unread: Vec<(String, ExpiryError)>,
    /// A refresh token was spent on it: no other one is to be had for the asking.
    pub is_single: bool,
}

/// When a token ends, and what is to be said of it once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TokenEnd {
    pub at: Wall,
    pub remarks: Vec<String>,
}

/// The earliest of what was told and the `exp` of a token that is a JWT. Its signature is for those who take it to check.
///
/// `sent` is when the request was sent: whatever the way took is on the safe side. It is the moment of issue as well,
/// and a JWT's `iat` is not: it comes from another clock, and of a token out of somebody's cache it is long past,
/// so that the time left would be counted from a moment that says nothing about it.
pub(crate) fn of(token: &str, known: KnownExpiry, sent: Wall, now: Wall) -> Result<TokenEnd, ExpiryError> {
    let exp = exp(token);
    let moment = |told: Option<ToldEnd>| told.and_then(|told| told.at(sent));
    let told = [
        (moment(known.expires_in), "expires_in"),
        (moment(known.expires_at), "expires_at"),
        (exp.as_ref().ok().copied().flatten(), "its exp"),
    ];
    let is_told = told.iter().any(|(at, _)| at.is_some());
    if !is_told && !known.is_single && known.expires_in == Some(ToldEnd::Zero) {
        return Err(ExpiryError::NoLife);
    }
    let ttl = known.ttl.map(|span| sent.plus(span));
    let all = told.into_iter().chain([(ttl, "ttl")]);
    let earliest = all.filter_map(|(at, by)| at.map(|at| (at, by))).min_by_key(|(at, _)| *at);
    let unread =
        known.unread.iter().map(|(at, problem)| format!("has something at {at:?} that is of no use: {problem}"));
    let no_exp = exp.as_ref().err().map(|problem| format!("has a token whose exp is of no use: {problem}"));
    let mut remarks: Vec<String> = unread.chain(no_exp).collect();
    match earliest {
        Some((at, by)) if at <= now => Err(ExpiryError::Past { at, by, now }),
        Some((at, _)) => Ok(TokenEnd { at, remarks }),
        None if known.is_single => {
            remarks.push(
                "does not tell when its token expires, and the refresh token is spent: the token is delivered all the same, \
                 and taken to be good for an hour; set ttl to how long it is"
                    .into(),
            );
            Ok(TokenEnd { at: sent.plus(ASSUMED), remarks })
        }
        None => Err(untold(known.unread, exp)),
    }
}

fn untold(unread: Vec<(String, ExpiryError)>, exp: Result<Option<Wall>, &'static str>) -> ExpiryError {
    match (unread.into_iter().next(), exp) {
        (Some((at, problem)), _) => ExpiryError::Unusable { at, problem: Box::new(problem) },
        (None, Err(problem)) => ExpiryError::Exp(problem),
        (None, Ok(_)) => ExpiryError::Untold,
    }
}

/// The end of a refresh token that is a JWT (Keycloak's, for one). Nobody but its issuer is to rely on what stands in it (RFC 6749
/// 1.5): where it cannot be read, it tells nothing.
pub(crate) fn of_refresh_token(token: &str) -> Option<Wall> {
    exp(token).ok().flatten()
}

/// The `exp` of a JWT (RFC 7519 4.1.4), which is to be Unix seconds. Digits as a text, and milliseconds, are read for what they
/// are; a null one, which some issuers write, says nothing.
fn exp(token: &str) -> Result<Option<Wall>, &'static str> {
    // What is no JWT is opaque: only its issuer can read it.
    let Some(claims) = Jws::parse(token).ok().and_then(|jws| jws.claims().ok()) else { return Ok(None) };
    let number = match claims.get("exp") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => moment::number(text),
        Some(_) => None,
    };
    let number = number.ok_or("it is not a number")?;
    moment::unix(number).map(Some).ok_or("it is out of range")
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

    #[test]
    fn spans_as_servers_send_them() {
        use ExpiryError::*;
        let span_of = |ms| Ok(Some(ToldEnd::In(Duration::from_millis(ms))));
        let at = |ms| Ok(Some(ToldEnd::At(Wall(ms))));
        let large =
            |n| Ok(Some(ToldEnd::Large { at: Wall::from_secs(n), span: Duration::from_secs(n.unsigned_abs()) }));
        for (value, wanted) in [
            (json!(3600), span_of(3_600_000)),
            (json!("3600"), span_of(3_600_000)),
            (json!(" 0003600\n"), span_of(3_600_000)),
            (json!("3600s"), span_of(3_600_000)),
            (json!(3600.0), span_of(3_600_000)),
            (json!("1.5"), span_of(1500)),
            (json!(i32::MAX), span_of(2_147_483_647_000)),
            (json!(0), Ok(Some(ToldEnd::Zero))),
            (json!("0"), Ok(Some(ToldEnd::Zero))),
            (json!(-0.0), Ok(Some(ToldEnd::Zero))),
            (json!(null), Ok(None)),
            (json!(""), Ok(None)),
            // A moment where a span is meant.
            (json!(1_900_000_000), large(1_900_000_000)),
            (json!("1000000000"), large(1_000_000_000)),
            (json!(1_900_000_000_000_u64), at(1_900_000_000_000)),
            (json!("1900000000000"), at(1_900_000_000_000)),
            (json!(1_900_000_000_000_000_000_u64), at(1_900_000_000_000)),
            (json!("2030-03-17T17:46:40Z"), at(1_900_000_000_000)),
            (json!(-1), Err(Negative)),
            (json!("-1"), Err(Negative)),
            (json!(-0.5), Err(Negative)),
            (json!(i64::MAX), Err(Absurd)),
            (json!(i64::MAX / 1000), Err(Absurd)),
            (json!(u64::MAX), Err(Absurd)),
            (json!(1e300), Err(Absurd)),
            (json!("9".repeat(400)), Err(Absurd)),
            (json!("1h"), Err(Unread)),
            (json!("1e3"), Err(Unread)),
            (json!("inf"), Err(Unread)),
            (json!("NaN"), Err(Unread)),
            (json!("s"), Err(Unread)),
            (json!(true), Err(Unread)),
            (json!([3600]), Err(Unread)),
            (json!({"s": 1}), Err(Unread)),
        ] {
            assert_eq!(span(&value), wanted, "{value}");
        }
    }

    #[test]
    fn moments_as_servers_send_them() {
        use ExpiryError::*;
        let at = |ms| Ok(Some(ToldEnd::At(Wall(ms))));
        for (value, wanted) in [
            (json!("2020-09-13T12:26:40Z"), at(1_600_000_000_000)),
            (json!("2020-09-13T14:26:40+02:00"), at(1_600_000_000_000)),
            (json!("2020-09-13T14:26:40+0200"), at(1_600_000_000_000)),
            (json!("2020-09-13T12:26:40.1234567Z"), at(1_600_000_000_123)),
            (json!("2020-09-13T12:26:40"), at(1_600_000_000_000)),
            (json!("2020-09-13 12:26:40.123456"), at(1_600_000_000_123)),
            (json!("2020-09-13 12:26:40 UTC"), at(1_600_000_000_000)),
            (json!("2020-09-13 12:26:40 +0000 UTC"), at(1_600_000_000_000)),
            (json!("2020-09-13 14:26:40+02:00"), at(1_600_000_000_000)),
            (json!("Sun, 13 Sep 2020 12:26:40 GMT"), at(1_600_000_000_000)),
            (json!("Sun, 13 Sep 2020 14:26:40 +0200"), at(1_600_000_000_000)),
            (json!("/Date(1600000000000)/"), at(1_600_000_000_000)),
            (json!("2020-09-13"), at(1_599_955_200_000)),
            (json!(1_600_000_000), at(1_600_000_000_000)),
            (json!("1600000000"), at(1_600_000_000_000)),
            (json!(1_600_000_000.5), at(1_600_000_000_500)),
            (json!(1_600_000_000_000_u64), at(1_600_000_000_000)),
            (json!("1600000000000"), at(1_600_000_000_000)),
            (json!(3600), Ok(Some(ToldEnd::In(Duration::from_secs(3600))))),
            (json!(0), Ok(None)),
            (json!(null), Ok(None)),
            (json!(""), Ok(None)),
            (json!("0001-01-01T00:00:00Z"), Ok(None)),
            (json!(i64::MAX), Err(Absurd)),
            (json!(1e300), Err(Absurd)),
            (json!(-1), Err(Negative)),
            (json!("2020-13-13"), Err(Unread)),
            (json!("soon"), Err(Unread)),
            (json!(true), Err(Unread)),
            (json!([]), Err(Unread)),
        ] {
            assert_eq!(moment(&value), wanted, "{value}");
        }
    }

    fn known(expires_in: Option<u64>, expires_at: Option<i64>, ttl: Option<u64>) -> KnownExpiry {
        KnownExpiry {
            expires_in: expires_in.map(|n| if n == 0 { ToldEnd::Zero } else { ToldEnd::In(Duration::from_secs(n)) }),
            expires_at: expires_at.map(|n| ToldEnd::At(Wall::from_secs(n))),
            ttl: ttl.map(Duration::from_secs),
            ..KnownExpiry::default()
        }
    }

    fn end(token: &str, known: KnownExpiry) -> Result<(i64, usize), ExpiryError> {
        of(token, known, SENT, NOW).map(|end| (end.at.0, end.remarks.len()))
    }

    #[test]
    fn the_earliest_of_all_that_is_there_counts() {
        let exp = |n: i64| jwt(&format!(r#"{{"exp":{n}}}"#));
        for (token, known, wanted) in [
            ("opaque".to_owned(), known(Some(60), None, None), SENT.0 + 60_000),
            ("opaque".to_owned(), known(None, Some(1_600_000_060), None), 1_600_000_060_000),
            ("opaque".to_owned(), known(None, None, Some(60)), SENT.0 + 60_000),
            (exp(1_600_000_060), known(None, None, None), 1_600_000_060_000),
            (exp(1_600_000_060), known(Some(0), None, None), 1_600_000_060_000),
            (exp(1_600_000_060), known(Some(30), Some(1_600_000_090), Some(120)), SENT.0 + 30_000),
            (exp(1_600_000_060), known(Some(70), Some(1_600_000_040), Some(120)), 1_600_000_040_000),
            (exp(1_600_000_060), known(Some(70), Some(1_600_000_090), Some(120)), 1_600_000_060_000),
            (exp(1_600_000_060), known(Some(70), Some(1_600_000_090), Some(20)), SENT.0 + 20_000),
            (jwt(r#"{"exp":null}"#), known(Some(60), None, None), SENT.0 + 60_000),
            (jwt(r#"{"exp":1600000060.5}"#), known(None, None, None), 1_600_000_060_500),
            (jwt(r#"{"exp":"1600000060"}"#), known(None, None, None), 1_600_000_060_000),
            (jwt(r#"{"exp":1600000060000}"#), known(None, None, None), 1_600_000_060_000),
            // iat says nothing.
            (jwt(r#"{"iat":1}"#), known(Some(60), None, None), SENT.0 + 60_000),
        ] {
            assert_eq!(end(&token, known.clone()), Ok((wanted, 0)), "{known:?}");
        }
    }

    #[test]
    fn a_large_lifetime_is_a_moment_where_that_is_not_long_past() {
        let ends = |number: i64| {
            let expires_in = span(&json!(number)).unwrap();
            end("opaque", KnownExpiry { expires_in, ..KnownExpiry::default() })
        };
        assert_eq!(ends(1_600_000_060), Ok((1_600_000_060_000, 0)));
        assert!(matches!(ends(1_599_999_000), Err(ExpiryError::Past { .. })), "a cache's token");
        // 40 years, which as a moment are in 2009.
        assert_eq!(ends(1_261_440_000), Ok((SENT.0 + 1_261_440_000_000, 0)));
    }

    #[test]
    fn no_expiry_names_ttl() {
        for token in ["opaque", "a.b.c", &jwt("{}"), &jwt(r#"{"exp":null}"#), &jwt("no JSON")] {
            assert_eq!(end(token, KnownExpiry::default()), Err(ExpiryError::Untold), "{token}");
        }
        assert!(ExpiryError::Untold.to_string().contains("set ttl"));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_only_where_nothing_else_tells_the_end() {
        let unread = vec![("/expires_in".to_owned(), ExpiryError::Negative)];
        let with = |known: KnownExpiry| KnownExpiry { unread: unread.clone(), ..known };
        assert_eq!(end("opaque", with(known(None, None, Some(60)))), Ok((SENT.0 + 60_000, 1)));
        assert_eq!(end(&jwt(r#"{"exp":1600000060}"#), with(known(None, None, None))), Ok((1_600_000_060_000, 1)));
        let error = end("opaque", with(known(None, None, None))).unwrap_err().to_string();
        assert!(error.contains("set ttl") && error.contains("/expires_in") && error.contains("negative"), "{error}");
        for claims in [r#"{"exp":"soon"}"#, r#"{"exp":true}"#, r#"{"exp":1e30}"#, r#"{"exp":-1}"#] {
            assert_eq!(end(&jwt(claims), known(Some(60), None, None)), Ok((SENT.0 + 60_000, 1)), "{claims}");
            let error = end(&jwt(claims), known(None, None, None)).unwrap_err();
            assert!(matches!(error, ExpiryError::Exp(_)), "{claims}");
        }
    }

    #[test]
    fn a_lifetime_of_0_is_none_that_ttl_makes_longer() {
        assert_eq!(end("opaque", known(Some(0), None, Some(60))), Err(ExpiryError::NoLife));
        assert_eq!(end("opaque", known(Some(0), None, None)), Err(ExpiryError::NoLife));
        assert_eq!(end("opaque", known(Some(0), Some(1_600_000_060), None)), Ok((1_600_000_060_000, 0)));
    }

    #[test]
    fn a_token_that_a_refresh_token_was_spent_on_is_taken_in_any_case() {
        let single = |known: KnownExpiry| KnownExpiry { is_single: true, ..known };
        assert_eq!(end("opaque", single(known(None, None, None))), Ok((SENT.0 + 3_600_000, 1)));
        assert_eq!(end("opaque", single(known(Some(0), None, None))), Ok((SENT.0 + 3_600_000, 1)));
        assert_eq!(end("opaque", single(known(Some(0), None, Some(60)))), Ok((SENT.0 + 60_000, 0)));
    }

    #[test]
    fn what_has_expired_is_an_error_that_speaks_of_clocks() {
        let told = KnownExpiry { expires_at: Some(ToldEnd::At(NOW)), ..known(None, None, Some(60)) };
        let error = end("opaque", told).unwrap_err();
        assert_eq!(error, ExpiryError::Past { at: NOW, by: "expires_at", now: NOW });
        assert!(error.to_string().contains("clocks"), "{error}");
        let short = KnownExpiry { expires_in: Some(ToldEnd::In(Duration::from_millis(750))), ..KnownExpiry::default() };
        assert!(matches!(end("opaque", short), Err(ExpiryError::Past { by: "expires_in", .. })));
        assert!(end(&jwt(r#"{"exp":0}"#), KnownExpiry::default()).is_err());
    }
}
