//! Owns: compact JWS (RFC 7515 7.1): strict reading, verifying, and putting one together.
//! A token is judged by its bytes: nothing is skipped, trimmed or guessed, and the algorithm is never taken on trust.
//! Does not: decide what claims mean; `claims` does.

mod error;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::crypto::{Algorithm, KeyError, SigningKey, VerifyingKey};
use super::json::{self, RawObject};
use super::printable::shortened;
use super::secret::Secret;

pub(crate) use self::error::{JoseError, MAX_TOKEN};

/// A token taken apart. Its signature was not looked at yet.
#[derive(Debug)]
pub struct Jws<'a> {
    pub(crate) header: Map<String, Value>,
    pub(crate) payload: Vec<u8>,
    header_text: &'a str,
    signing_input: &'a str,
    signature: &'a str,
}

impl<'a> Jws<'a> {
    /// Takes a token apart, which has to be one to the last byte.
    pub fn parse(token: &'a str) -> Result<Self, JoseError> {
        match token.len() {
            0 => return Err(JoseError::Empty),
            bytes if bytes > MAX_TOKEN => return Err(JoseError::TooLong { bytes }),
            _ => {}
        }
        let parts = token.split('.').count();
        let (Some((signing_input, signature)), 3) = (token.rsplit_once('.'), parts) else {
            return Err(JoseError::Parts { parts });
        };
        let (header_text, payload) = signing_input.split_once('.').unwrap_or((signing_input, ""));
        let header = decode("header", header_text)?;
        let header = json::parse_object(&header).map_err(|error| JoseError::Json { part: "header", error })?;
        decode("signature", signature)?;
        Ok(Self { header, payload: decode("payload", payload)?, header_text, signing_input, signature })
    }

    /// The claims, of a payload that holds some (RFC 7519 7.2).
    pub fn claims(&self) -> Result<Map<String, Value>, JoseError> {
        json::parse_object(&self.payload).map_err(|error| JoseError::Json { part: "payload", error })
    }

    /// The claims with the text of each, which a number read as `f64` would lose.
    pub(crate) fn raw_claims(&self) -> Result<RawObject, JoseError> {
        json::parse_raw(&self.payload).map_err(|error| JoseError::Json { part: "payload", error })
    }

    /// The header's members, likewise.
    pub(crate) fn raw_header(&self) -> Result<RawObject, JoseError> {
        let part = "header";
        json::parse_raw(&decode(part, self.header_text)?).map_err(|error| JoseError::Json { part, error })
    }

    /// The header as it stands in the token.
    pub(crate) fn header_text(&self) -> &'a str {
        self.header_text
    }

    /// The algorithm that the header names.
    pub fn algorithm(&self) -> Result<Algorithm, JoseError> {
        match self.header.get("alg") {
            Some(Value::String(name)) if name.eq_ignore_ascii_case("none") => Err(JoseError::Unsigned),
            Some(Value::String(name)) => Algorithm::parse(name).ok_or_else(|| JoseError::UnknownAlgorithm(quote(name))),
            _ => Err(JoseError::NoAlgorithm),
        }
    }

    /// The header's `kid`, where it is a string.
    pub fn kid(&self) -> Option<&str> {
        self.header.get("kid").and_then(Value::as_str)
    }

    /// Whether the signature holds, by an algorithm that goes with the key and is the one that was asked for, if any
    /// (RFC 8725 3.1).
    pub fn verify(&self, key: &VerifyingKey, only: Option<Algorithm>) -> Result<Algorithm, JoseError> {
        let found = self.algorithm()?;
        if let Some(wanted) = only.filter(|wanted| *wanted != found) {
            return Err(JoseError::OtherAlgorithm { found, wanted });
        }
        if self.header.contains_key("crit") {
            return Err(JoseError::Critical);
        }
        if !key.accepts(found) {
            return Err(JoseError::OtherKey { algorithm: found, key: key.describe() });
        }
        if key.verify(found, self.signing_input.as_bytes(), self.signature) {
            Ok(found)
        } else {
            Err(JoseError::Signature)
        }
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, JoseError> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JoseError::Base64 { part })
}

/// A name out of a token, fit for a terminal and a log line.
pub(crate) fn quote(name: &str) -> String {
    format!("{:?}", shortened(name, 40))
}

/// Signs a payload under a header that is base64url already.
pub fn seal(
    key: &SigningKey,
    algorithm: Algorithm,
    header_text: &str,
    payload: &[u8],
) -> Result<Secret<String>, KeyError> {
    let message = [header_text, ".", &BASE64URL_NOPAD.encode(payload)].concat();
    let signature = key.sign(algorithm, message.as_bytes())?;
    Ok(Secret::new([&message, ".", signature.as_str()].concat()))
}
