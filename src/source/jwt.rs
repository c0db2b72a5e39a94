//! Owns: `source = "jwt"`, a JWS signed on this machine.
//! Does not: decide when, or keep the key's bytes.

use crate::core::claims::{self, Jti};
use crate::core::jose;
use crate::core::settings::JwtSettings;
use crate::core::time::Wall;

use super::{Obtained, SourceError, SourceReason};

/// Signs one token for `now`. HMAC and EC take microseconds, RSA up to milliseconds; nothing is waited for.
pub fn mint(settings: &JwtSettings, now: Wall, jti: Jti) -> Result<Obtained, SourceError> {
    let Some(key) = &settings.signing_key else {
        return Err(failed("the secret or private key is not at hand".into()));
    };
    let payload = claims::payload(settings, now, jti);
    let header = claims::header(settings);
    let token = jose::seal(key, settings.algorithm, &header, &payload.json)
        .map_err(|e| failed(format!("the token can't be signed: {e}")))?;
    Ok(Obtained { token, issued_at: now.whole(), expires_at: payload.expires_at, refresh_token: None })
}

fn failed(message: String) -> SourceError {
    SourceError { reason: SourceReason::Machine, message, retry_after: None }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::core::jose::Jws;
    use crate::core::key::{Algorithm, SigningKey};
    use crate::core::settings::{KeyClaim, Lifetime};

    fn settings() -> JwtSettings {
        let key = SigningKey::from_secret(b"07c6e2t1rb92987fnrd705jkk8582p9e");
        JwtSettings {
            algorithm: Algorithm::HS256,
            signing_key: Some(Arc::new(key)),
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
        let key = settings.signing_key.as_ref().unwrap().verifying().unwrap();
        let jws = Jws::parse(got.token.expose()).unwrap();
        assert_eq!(jws.verify(&key, Some(Algorithm::HS256)), Ok(Algorithm::HS256));
        assert_eq!(got.token.expose().capacity(), got.token.expose().len());
    }

    #[test]
    fn a_key_that_is_missing_or_wrong_is_a_lack() {
        let lacking = JwtSettings { signing_key: None, ..settings() };
        let wrong = JwtSettings { algorithm: Algorithm::RS256, ..settings() };
        for settings in [lacking, wrong] {
            let error = mint(&settings, Wall(5), [7; 16]).unwrap_err();
            assert_eq!(error.reason, SourceReason::Machine);
        }
    }
}
