//! Owns: `source = "jwt"`, a JWS signed on this machine.
//! Does not: decide when, or keep the key's bytes.

use std::future::ready;

use futures_util::future::BoxFuture;

use crate::core::claims::{self, Jti};
use crate::core::crypto::KeyKind;
use crate::core::engine::Reason;
use crate::core::jose;
use crate::core::schedule::Life;
use crate::core::secret::Secret;
use crate::core::settings::JwtSettings;
use crate::core::time::Wall;
use crate::core::token::Token;

use super::{Execution, Given, Source, SourceError};

impl Source for JwtSettings {
    /// An RSA signature takes a hundred times what the others take.
    fn cost(&self) -> Execution {
        if self.algorithm.kind() == KeyKind::Rsa { Execution::Computing } else { Execution::Instant }
    }

    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Token, SourceError>> {
        Box::pin(ready(obtain(self, given)))
    }
}

fn obtain(settings: &JwtSettings, given: Given) -> Result<Token, SourceError> {
    let (value, expires_at) = mint(settings, given.at, given.nonce)?;
    let life = Life { issued_at: given.at.whole(), expires_at, obtained_at: given.now() };
    Ok(Token::new(given.name, value, life))
}

/// Signs one token for `now`, and tells its end. HMAC and EC take microseconds, RSA up to milliseconds; nothing is waited for.
pub(crate) fn mint(settings: &JwtSettings, now: Wall, jti: Jti) -> Result<(Secret<String>, Option<Wall>), SourceError> {
    let payload = claims::payload(settings, now, jti);
    let header = claims::header(settings);
    let token = jose::seal(&settings.signing_key, settings.algorithm, &header, &payload.json)
        .map_err(|e| failed(format!("the token cannot be signed: {e}")))?;
    Ok((token, payload.expires_at))
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
    use crate::source::Shared;

    fn settings() -> JwtSettings {
        let key = SigningKey::from_secret(b"07c6e2t1rb92987fnrd705jkk8582p9e");
        JwtSettings {
            algorithm: Algorithm::HS256,
            signing_key: Arc::new(key),
            key: Some("K".into()),
            key_claim: KeyClaim::Iss,
            lifetime: Lifetime::For(Duration::from_secs(60)),
            skew: Duration::from_secs(30),
            claims: serde_json::Map::new().into(),
            header: serde_json::Map::new().into(),
            iat: true,
            exp: true,
            nbf: false,
            jti: true,
        }
    }

    #[test]
    fn times_are_whole_and_not_backdated() {
        let at = |at| {
            let name = crate::core::settings::TokenName::new("a").unwrap();
            Given::new(name, at, [0; 16], &Arc::new(Shared::new(|| Wall(0))))
        };
        let got = obtain(&settings(), at(Wall(1_600_000_000_999))).unwrap().life;
        assert_eq!(got.issued_at, Wall::from_secs(1_600_000_000));
        assert_eq!(got.expires_at, Some(Wall::from_secs(1_600_000_060)));
        let never = JwtSettings { exp: false, ..settings() };
        assert_eq!(obtain(&never, at(Wall(0))).unwrap().life.expires_at, None);
    }

    #[test]
    fn what_is_minted_verifies() {
        let settings = settings();
        let (got, _) = mint(&settings, Wall(5), [7; 16]).unwrap();
        let key = settings.signing_key.verifying().unwrap();
        let jws = Jws::parse(got.expose()).unwrap();
        assert_eq!(jws.verify(&key, Some(Algorithm::HS256)), Ok(Algorithm::HS256));
        assert_eq!(got.expose().capacity(), got.expose().len());
    }

    #[test]
    fn a_key_of_another_kind_is_a_lack() {
        let wrong = JwtSettings { algorithm: Algorithm::RS256, ..settings() };
        let error = mint(&wrong, Wall(5), [7; 16]).unwrap_err();
        assert_eq!(error.reason, Reason::Machine);
    }
}
