//! Owns: a JWT by which a client authenticates or asks for a token (RFC 7523 3), made for one request.
//! Does not: read keys, or draw random numbers.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use crate::core::engine::Reason;
use crate::core::jose;
use crate::core::secret::Secret;
use crate::core::settings::{AssertionSettings, Fingerprint};
use crate::core::time::Wall;
use crate::source::SourceError;

/// What differs from one to the next.
pub(super) struct Occasion<'a> {
    pub client_id: Option<&'a str>,
    pub audience: &'a str,
    pub now: Wall,
    pub jti: [u8; 16],
}

/// An attempt is given one nonce; each assertion in it has a jti of its own.
pub(super) fn jti(nonce: [u8; 16], which: [u8; 2]) -> [u8; 16] {
    let mut seed = nonce.to_vec();
    seed.extend(which);
    Fingerprint::of(&seed).0
}

pub(super) fn make(settings: &AssertionSettings, occasion: &Occasion<'_>) -> Result<Secret<String>, SourceError> {
    let mut header = Map::from_iter([("typ".into(), "JWT".into()), ("alg".into(), settings.algorithm.word().into())]);
    header.extend(settings.header.clone());
    let header = BASE64URL_NOPAD.encode(Value::Object(header).to_string().as_bytes());
    let claims = Value::Object(claims(settings, occasion)).to_string();
    jose::seal(&settings.key, settings.algorithm, &header, claims.as_bytes())
        .map_err(|error| SourceError::new(Reason::Machine, format!("the assertion cannot be signed: {error}")))
}

fn claims(settings: &AssertionSettings, occasion: &Occasion<'_>) -> Map<String, Value> {
    let mut claims = Map::new();
    if let Some(client) = occasion.client_id {
        claims.insert("iss".into(), client.into());
        claims.insert("sub".into(), client.into());
    }
    claims.insert("aud".into(), occasion.audience.into());
    claims.insert("iat".into(), occasion.now.minus(settings.skew).secs().into());
    claims.insert("exp".into(), occasion.now.plus(settings.lifetime).secs().into());
    claims.insert("jti".into(), BASE64URL_NOPAD.encode(&occasion.jti).into());
    claims.extend(settings.claims.clone());
    claims
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::core::crypto::{Algorithm, SigningKey};
    use crate::core::jose::Jws;

    fn made(claims: Value, header: Value) -> (Map<String, Value>, Map<String, Value>) {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let settings = AssertionSettings {
            algorithm: Algorithm::HS256,
            key: Arc::new(SigningKey::from_secret(b"07c6e2t1rb92987fnrd705jkk8582p9e")),
            lifetime: Duration::from_secs(300),
            skew: Duration::from_secs(2),
            claims: object(claims),
            header: object(header),
        };
        let occasion =
            Occasion { client_id: Some("jobs"), audience: "https://a/", now: Wall(5999), jti: jti([1; 16], [0, 0]) };
        let token = make(&settings, &occasion).unwrap();
        let jws = Jws::parse(token.expose()).unwrap();
        jws.verify(&settings.key.verifying().unwrap(), Some(Algorithm::HS256)).unwrap();
        (jws.header.clone(), jws.claims().unwrap())
    }

    #[test]
    fn claims_have_defaults_that_settings_replace() {
        let (header, claims) = made(json!({"sub": "user", "x": 1}), json!({"kid": "k", "typ": "at+jwt"}));
        assert_eq!(Value::Object(header), json!({"typ": "at+jwt", "alg": "HS256", "kid": "k"}));
        let jti = claims["jti"].as_str().unwrap().to_owned();
        let wanted = json!({"iss":"jobs","sub":"user","aud":"https://a/","iat":3,"exp":305,"jti":jti,"x":1});
        assert_eq!(Value::Object(claims), wanted);
        assert_eq!(jti.len(), 22);
    }

    #[test]
    fn each_assertion_of_an_attempt_has_its_own_jti() {
        let all = [[0, b'g'], [0, b'c'], [1, b'g'], [1, b'c']].map(|which| jti([7; 16], which));
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one));
        }
    }
}
