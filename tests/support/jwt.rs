//! Owns: an eye for tokens that shares nothing with renewd: parts by hand, and a bare HMAC.
//! Does not: mint tokens.

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::now;

/// A JWS in compact serialization, taken apart.
#[derive(Debug, PartialEq)]
pub struct Jwt {
    pub text: String,
    pub header: Value,
    pub claims: Value,
    pub signature: Vec<u8>,
}

impl Jwt {
    /// Three parts, strict base64url, two JSON objects.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = || format!("{} bytes {:?}", text.len(), &text[..text.len().min(24)]);
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(format!("not three parts: {}", shown()));
        };
        let bytes = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|e| format!("{e}: {}", shown()));
        let object =
            |part: &str| serde_json::from_slice::<Value>(&bytes(part)?).map_err(|e| format!("{e}: {}", shown()));
        Ok(Self {
            text: text.to_owned(),
            header: object(header)?,
            claims: object(claims)?,
            signature: bytes(signature)?,
        })
    }

    /// The same, and its HMAC holds under `secret`, by the hash its header names.
    pub fn signed_with(text: &str, secret: &[u8]) -> Result<Self, String> {
        let jwt = Self::parse(text)?;
        let hash = match jwt.header["alg"].as_str() {
            Some("HS256") => hmac::HMAC_SHA256,
            Some("HS384") => hmac::HMAC_SHA384,
            Some("HS512") => hmac::HMAC_SHA512,
            other => return Err(format!("alg {other:?}")),
        };
        let key = hmac::Key::new(hash, secret);
        hmac::verify(&key, jwt.signing_input().as_bytes(), &jwt.signature)
            .map_err(|_| "the signature does not hold".to_owned())?;
        Ok(jwt)
    }

    /// The same, and not past its expiry at `at` (Unix seconds).
    pub fn good_at(text: &str, secret: &[u8], at: f64) -> Result<Self, String> {
        let jwt = Self::signed_with(text, secret)?;
        match jwt.claims.get("exp").map(|exp| exp.as_i64()) {
            None => Ok(jwt),
            Some(Some(exp)) if exp as f64 > at => Ok(jwt),
            Some(exp) => Err(format!("exp {exp:?} at {at:.3}")),
        }
    }

    /// What was signed: the first two parts.
    pub fn signing_input(&self) -> &str {
        self.text.rsplit_once('.').map_or("", |(signed, _)| signed)
    }

    /// A claim that is a whole number.
    #[track_caller]
    pub fn number(&self, claim: &str) -> i64 {
        self.claims[claim].as_i64().unwrap_or_else(|| panic!("{claim} in {}", self.claims))
    }

    /// Seconds it is still good for.
    #[track_caller]
    pub fn left(&self) -> f64 {
        self.number("exp") as f64 - now()
    }
}
