//! Owns: `source = "jwt"`, a JWS signed on this machine.
//! Does not: decide when, or keep the key's bytes.

use std::future::ready;

use futures_util::future::BoxFuture;

use crate::core::claims::{self, Jti};
use crate::core::crypto::KeyKind;
use crate::core::engine::Reason;
use crate::core::jose;
use crate::core::settings::JwtSettings;
use crate::core::time::Wall;

use super::{Execution, Given, Obtained, Source, SourceError};

impl Source for JwtSettings {
    /// An RSA signature takes a hundred times what the others take.
    fn cost(&self) -> Execution {
        if self.algorithm.kind() == KeyKind::Rsa { Execution::Computing } else { Execution::Instant }
    }

    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Obtained, SourceError>> {
        Box::pin(ready(mint(self, given.at, given.nonce)))
    }
}

/// Signs one token for `now`. HMAC and EC take microseconds, RSA up to milliseconds; nothing is waited for.
pub fn mint(settings: &JwtSettings, now: Wall, jti: Jti) -> Result<Obtained, SourceError> {
    let payload = claims::payload(settings, now, jti);
    let header = claims::header(settings);
    let token = jose::seal(&settings.signing_key, settings.algorithm, &header, &payload.json)
        .map_err(|e| failed(format!("the token can't be signed: {e}")))?;
    Ok(Obtained {
        token,
        issued_at: now.whole(),
        expires_at: payload.expires_at,
        refresh_token: None,
        scope: None,
        not_granted: Vec::new(),
    })
}

fn failed(message: String) -> SourceError {
    SourceError::new(Reason::Machine, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::core::crypto::{Algorithm, SigningKey};
    use crate::core::jose::Jws;
    use crate::core::settings::{KeyClaim, Lifetime};

    fn settings() -> JwtSettings {
        let key = SigningKey::from_secret(b"07c6e2t1rb92987fnrd705jkk8582p9e");
        JwtSettings {
            algorithm: Algorithm::HS256,
            signing_key: Arc::new(key),
            key: Some("K".into()),
            key_claim: KeyClaim::Iss,
            lifetime: Lifetime::For(Duration::from_secs(60)),
            skew: Duration::from_secs(30),
            claims: serde_json::Map::new(),
            header: serde_json::Map::new(),
            iat: true,
            exp: true,
            nbf: false,
            jti: true,
        }
    }

    #[test]
    fn times_are_whole_and_not_backdated() {
        let got = mint(&settings(), Wall(1_600_000_000_999), [0; 16]).unwrap();
        assert_eq!(got.issued_at, Wall::from_secs(1_600_000_000));
        assert_eq!(got.expires_at, Some(Wall::from_secs(1_600_000_060)));
        let never = JwtSettings { exp: false, ..settings() };
        assert_eq!(mint(&never, Wall(0), [0; 16]).unwrap().expires_at, None);
    }

    #[test]
    fn what_is_minted_verifies() {
        let settings = settings();
        let got = mint(&settings, Wall(5), [7; 16]).unwrap();
        let key = settings.signing_key.verifying().unwrap();
        let jws = Jws::parse(got.token.expose()).unwrap();
        assert_eq!(jws.verify(&key, Some(Algorithm::HS256)), Ok(Algorithm::HS256));
        assert_eq!(got.token.expose().capacity(), got.token.expose().len());
    }

    #[test]
    fn a_key_of_another_kind_is_a_lack() {
        let wrong = JwtSettings { algorithm: Algorithm::RS256, ..settings() };
        let error = mint(&wrong, Wall(5), [7; 16]).unwrap_err();
        assert_eq!(error.reason, Reason::Machine);
    }
}
