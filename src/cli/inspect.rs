//! Owns: `renewd inspect`: what stands in a token, how long it is good for, and whether its signature holds.
//! Does not: renew it, or ask anybody on the network.

mod found;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::core::crypto::{JwkSet, SecretEncoding, VerifyingKey, without_newline};
use crate::core::jose::{JoseError, Jws};
use crate::core::json::RawObject;
use crate::core::printable::escaped;
use crate::core::time::Wall;
use crate::host::clock;

use super::{Ended, Failure, Surroundings, input};

/// Show a token: header, claims, time left, and whether its signature holds
///
/// TOKEN is, in this order: `-` for stdin; a token, an `Authorization: Bearer X` line or a NAME=value line; with a slash in
/// it the path of a file; the NAME of a token of the config, which is read from its outputs and never obtained; a file of
/// the working folder. In a file or on stdin stands a token, or what renewd writes as env, header or json.
/// Without a key the signature is "unchecked". A public key never verifies an HMAC signature, nor the other way round.
/// Exit codes: 0 done, also for an expired token; 1 it is no token, or its signature does not hold or cannot be
/// checked with the key that was given; 64 usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The token, its file, or its NAME; `-` or nothing: stdin
    #[arg(value_name = "TOKEN")]
    token: Option<String>,

    /// Of several NAME=value lines the one to show
    #[arg(long, value_name = "VAR")]
    variable: Option<String>,

    #[command(flatten)]
    verifier: Verifier,

    /// How the secret is written down: utf8, base64, base64url or hex (white space and padding may be there)
    #[arg(long, value_name = "ENCODING", default_value = "utf8", value_parser = input::encoding)]
    secret_encoding: SecretEncoding,

    /// Print one JSON object: header, claims, signature ("valid", "invalid" or "unchecked"), expired, expires_in
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Verifier {
    /// Verify with the secret in this file (`-`: stdin); one trailing newline (LF or CRLF) is dropped
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Verify with the public key in this file: PEM or JWK (`-`: stdin)
    #[arg(long, value_name = "FILE")]
    public_key_file: Option<PathBuf>,

    /// Verify with the key of this JWK set that the token's kid names (`-`: stdin)
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

impl Verifier {
    fn uses_stdin(&self) -> bool {
        let files = [&self.secret_file, &self.public_key_file, &self.jwks];
        files.into_iter().flatten().any(|f| input::is_stdin(f))
    }
}

/// What is known of the signature.
enum SignatureVerdict {
    Valid(String),
    Invalid(JoseError),
    /// A key was given, and cannot be used with this token.
    Unusable(String),
    Unchecked,
}

impl SignatureVerdict {
    fn word(&self) -> &'static str {
        match self {
            Self::Valid(_) => "valid",
            Self::Invalid(_) => "invalid",
            Self::Unusable(_) | Self::Unchecked => "unchecked",
        }
    }
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    let from_stdin = args.token.as_deref().is_none_or(|t| t == "-");
    if from_stdin && args.verifier.uses_stdin() {
        return Err(Failure::usage("the token and the key cannot both come from stdin"));
    }
    let keys = VerifyKeys::load(args)?;
    let token = found::token(args.token.as_deref(), args.variable.as_deref(), around)?;
    let jws = Jws::parse(token.expose()).map_err(|e| Failure::failed(e.to_string()))?;
    let claims = jws.claims().map_err(|e| Failure::failed(e.to_string()))?;
    let verdict = keys.judge(&jws);
    let expiry = Expiry::of(&claims, clock::now().wall);
    let shown = ShownToken {
        header: jws.raw_header().map_err(|e| Failure::failed(e.to_string()))?,
        claims: jws.raw_claims().map_err(|e| Failure::failed(e.to_string()))?,
        verdict: &verdict,
        expiry: &expiry,
    };
    let text = if args.json { shown.json() } else { shown.text() };
    input::print(&escaped(&text), "")?;
    match verdict {
        SignatureVerdict::Valid(_) | SignatureVerdict::Unchecked => Ok(ExitCode::SUCCESS),
        SignatureVerdict::Invalid(why) => Err(Failure::failed(format!("signature: {why}"))),
        SignatureVerdict::Unusable(why) => Err(Failure::failed(format!("the signature cannot be checked: {why}"))),
    }
}

enum VerifyKeys {
    None,
    One(VerifyingKey),
    Set(JwkSet),
}

impl VerifyKeys {
    fn load(args: &Args) -> Result<Self, Failure> {
        let Verifier { secret_file, public_key_file, jwks } = &args.verifier;
        match (secret_file, public_key_file, jwks) {
            (Some(file), ..) => input::load_key(file, "secret", true, |text| {
                VerifyingKey::from_secret_text(without_newline(text), args.secret_encoding).map(Self::One)
            }),
            (_, Some(file), _) => {
                input::load_key(file, "public key", false, |text| VerifyingKey::from_public(text).map(Self::One))
            }
            (.., Some(file)) => input::load_key(file, "JWK set", false, |text| JwkSet::parse(text).map(Self::Set)),
            (None, None, None) => Ok(Self::None),
        }
    }

    fn judge(&self, jws: &Jws) -> SignatureVerdict {
        match self {
            Self::None => SignatureVerdict::Unchecked,
            Self::One(key) => verdict(jws, key),
            Self::Set(set) => judge_by_set(jws, set),
        }
    }
}

fn verdict(jws: &Jws, key: &VerifyingKey) -> SignatureVerdict {
    match jws.verify(key, None) {
        Ok(algorithm) => SignatureVerdict::Valid(format!("{algorithm}, {}", key.describe())),
        Err(JoseError::UnknownAlgorithm(name)) => SignatureVerdict::Unusable(format!("alg {name} is not supported")),
        Err(error) => SignatureVerdict::Invalid(error),
    }
}

/// By the key that the kid names; where keys have no names, by any that goes with the algorithm.
fn judge_by_set(jws: &Jws, set: &JwkSet) -> SignatureVerdict {
    let kid = jws.kid();
    let candidates = set.candidates(kid);
    if candidates.is_empty() {
        let name = kid.map(crate::core::jose::quote);
        return SignatureVerdict::Unusable(match (set.why_unusable(kid), name) {
            (Some(why), Some(name)) => format!("the key {name} of the set cannot be used: {why}"),
            (Some(why), None) => format!("no key of the set can be used: {why}"),
            (None, Some(name)) => {
                format!("the set has no key {name} (the token's kid): fetch it again, or it is another issuer's")
            }
            (None, None) => "the set has no keys".into(),
        });
    }
    let mut last = None;
    for key in candidates {
        match verdict(jws, key) {
            SignatureVerdict::Invalid(error @ JoseError::OtherKey { .. }) => {
                last.get_or_insert(SignatureVerdict::Invalid(error));
            }
            SignatureVerdict::Invalid(error) => last = Some(SignatureVerdict::Invalid(error)),
            done => return done,
        }
    }
    last.unwrap_or(SignatureVerdict::Unchecked)
}

/// What `exp` says (RFC 7519 4.1.4).
struct Expiry {
    /// Seconds, negative when they are over; `None`: never, or no number.
    left: Option<i64>,
}

impl Expiry {
    fn of(claims: &Map<String, Value>, now: Wall) -> Self {
        let exp = claims.get("exp").and_then(Value::as_f64);
        Self { left: exp.map(|exp| (exp.floor() as i64).saturating_sub(now.secs())) }
    }

    fn expired(&self) -> bool {
        self.left.is_some_and(|left| left <= 0)
    }
}

/// What is printed: members as they are written in the token, numbers to the last digit.
struct ShownToken<'a> {
    header: RawObject,
    claims: RawObject,
    verdict: &'a SignatureVerdict,
    expiry: &'a Expiry,
}

impl ShownToken<'_> {
    fn json(&self) -> String {
        let object = |members: &RawObject| {
            let pairs = members.iter().map(|(name, value)| format!("{}:{}", quoted(name), line(value)));
            pairs.collect::<Vec<_>>().join(",")
        };
        let left = self.expiry.left.map_or("null".into(), |left| left.to_string());
        format!(
            "{{\"header\":{{{}}},\"claims\":{{{}}},\"signature\":\"{}\",\"expired\":{},\"expires_in\":{left}}}\n",
            object(&self.header),
            object(&self.claims),
            self.verdict.word(),
            self.expiry.expired(),
        )
    }

    fn text(&self) -> String {
        let mut text = String::from("header:\n");
        for (name, value) in &self.header {
            let _ = writeln!(text, "  {}: {}", quoted(name), line(value));
        }
        text.push_str("claims:\n");
        for (name, value) in &self.claims {
            let _ = writeln!(text, "  {}: {}{}", quoted(name), line(value), time(name, value));
        }
        let signature = match self.verdict {
            SignatureVerdict::Valid(how) => format!("valid ({how})"),
            SignatureVerdict::Unchecked => "unchecked (--secret-file, --public-key-file or --jwks checks it)".into(),
            other => other.word().into(),
        };
        let exp = self.claims.iter().find(|(name, _)| name == "exp");
        let expires = match (self.expiry.left, exp) {
            (Some(left), _) if left > 0 => format!("in {}", span(left)),
            (Some(left), _) => format!("expired {} ago", span(left)),
            (None, Some((_, value))) if value.get() != "null" => {
                "exp is not a number: verifiers refuse such a token".into()
            }
            (None, _) => "never".into(),
        };
        let _ = writeln!(text, "signature: {signature}\nexpires: {expires}");
        text
    }
}

fn quoted(name: &str) -> String {
    Value::from(name).to_string()
}

/// A value on one line: line breaks in JSON stand between its parts, never in its strings.
fn line(value: &RawValue) -> String {
    value.get().replace(['\n', '\r', '\t'], " ")
}

/// A NumericDate for people (RFC 7519 2; auth_time is of OpenID Connect).
fn time(name: &str, value: &RawValue) -> String {
    let secs = value.get().parse::<i64>().ok();
    match (name, secs) {
        ("iat" | "nbf" | "exp" | "auth_time", Some(secs)) => {
            format!("  ({})", Wall::from_secs(secs).rfc3339())
        }
        _ => String::new(),
    }
}

fn span(secs: i64) -> String {
    humantime::format_duration(Duration::from_secs(secs.unsigned_abs())).to_string()
}
