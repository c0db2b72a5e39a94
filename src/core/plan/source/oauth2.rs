//! Owns: `source = "oauth2"`: grant and client with their credentials.
//! Does not: read a service account's file (`google`), or ask anybody.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;

use super::super::credential::Form;
use super::super::pem;
use super::{Making, google};
use crate::core::config::{AuthKind, GrantKind, Preset, RawAssertion, RawOAuth2};
use crate::core::key::Algorithm;
use crate::core::settings::{AssertionSettings, ClientAuth, Grant, Identity, OAuth2Settings};

/// RFC 7523 names no lifetime; an assertion is used once, at once.
pub(super) const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);

pub(super) fn plan<'r>(raw: &'r RawOAuth2, making: &mut Making<'_, 'r>) -> Option<OAuth2Settings> {
    let reach = making.reach(&raw.reach);
    if raw.preset == Some(Preset::Google) {
        return google::plan(raw, reach, making);
    }
    // One key serves both assertions where there are two.
    let assertion = raw.assertion.as_ref().and_then(|assertion| own_key(assertion, raw, making));
    let auth = client_auth(raw, assertion.as_ref(), making);
    let grant = grant(raw, assertion, making);
    Some(OAuth2Settings {
        endpoint: raw.endpoint.clone()?,
        grant: grant?,
        client_id: raw.client_id.clone(),
        client_auth: auth?,
        scope: raw.scope.clone(),
        params: raw.params.clone(),
        reach,
    })
}

fn grant<'r>(
    raw: &'r RawOAuth2,
    assertion: Option<Arc<AssertionSettings>>,
    making: &mut Making<'_, 'r>,
) -> Option<Grant> {
    Some(match raw.grant? {
        GrantKind::ClientCredentials => Grant::ClientCredentials,
        GrantKind::RefreshToken => Grant::RefreshToken(making.first_refresh(raw.refresh_token.as_ref()?)?),
        GrantKind::JwtBearer => Grant::JwtBearer(assertion?),
        GrantKind::TokenExchange => {
            let (subject, subject_type) = raw.subject.clone()?;
            Grant::TokenExchange { subject, subject_type }
        }
    })
}

fn client_auth<'r>(
    raw: &'r RawOAuth2,
    assertion: Option<&Arc<AssertionSettings>>,
    making: &mut Making<'_, 'r>,
) -> Option<ClientAuth> {
    Some(match raw.auth? {
        AuthKind::None => ClientAuth::None,
        AuthKind::Basic => ClientAuth::Basic(making.text("client secret", raw.client_secret.as_ref()?)?.0),
        AuthKind::Post => ClientAuth::Post(making.text("client secret", raw.client_secret.as_ref()?)?.0),
        AuthKind::SecretJwt => ClientAuth::Jwt(Arc::new(by_client_secret(raw, making)?)),
        AuthKind::KeyJwt if raw.preset == Some(Preset::Entra) => {
            ClientAuth::Jwt(Arc::new(by_certificate(raw, making)?))
        }
        AuthKind::KeyJwt => ClientAuth::Jwt(of_client(raw, assertion?)),
        AuthKind::Tls => ClientAuth::Tls(identity(raw, making)?),
    })
}

/// An assertion with a key of its own.
fn own_key<'r>(
    assertion: &'r RawAssertion,
    raw: &RawOAuth2,
    making: &mut Making<'_, 'r>,
) -> Option<Arc<AssertionSettings>> {
    let algorithm = assertion.algorithm?.value;
    let key = match (&assertion.secret, &assertion.private_key) {
        (Some(secret), None) if algorithm.min_secret_bytes().is_some() => {
            let form = Form::Secret(secret.encoding);
            making.key("assertion's secret", secret, form, algorithm, raw.allow_weak_secret)?
        }
        (None, Some(key)) if algorithm.min_secret_bytes().is_none() => {
            making.key("assertion's private key", key, Form::PrivateKey, algorithm, false)?
        }
        // The wrong one, or none: told already, or the client secret signs.
        _ => return None,
    };
    Some(Arc::new(AssertionSettings {
        algorithm,
        key,
        lifetime: assertion.lifetime.unwrap_or(ASSERTION_LIFETIME),
        claims: assertion.claims.clone(),
        header: assertion.header.clone(),
    }))
}

/// The client's own assertion: where the grant has one too, the claims are the grant's.
fn of_client(raw: &RawOAuth2, assertion: &Arc<AssertionSettings>) -> Arc<AssertionSettings> {
    if raw.grant == Some(GrantKind::JwtBearer) {
        return Arc::new(AssertionSettings { claims: Map::new(), ..AssertionSettings::clone(assertion) });
    }
    Arc::clone(assertion)
}

/// The client secret signs (OpenID Connect Core 9).
fn by_client_secret<'r>(raw: &'r RawOAuth2, making: &mut Making<'_, 'r>) -> Option<AssertionSettings> {
    let own = raw.assertion.as_ref().filter(|_| raw.grant != Some(GrantKind::JwtBearer));
    let algorithm = own.and_then(|own| own.algorithm).map_or(Algorithm::HS256, |algorithm| algorithm.value);
    // The wrong kind was told already.
    algorithm.min_secret_bytes()?;
    let secret = raw.client_secret.as_ref()?;
    let key = making.key("client secret", secret, Form::Secret(secret.encoding), algorithm, raw.allow_weak_secret)?;
    Some(AssertionSettings {
        algorithm,
        key,
        lifetime: own.and_then(|own| own.lifetime).unwrap_or(ASSERTION_LIFETIME),
        claims: own.map(|own| own.claims.clone()).unwrap_or_default(),
        header: own.map(|own| own.header.clone()).unwrap_or_default(),
    })
}

/// Entra knows a client's key by the digest of its certificate (RFC 7515 4.1.8).
fn by_certificate<'r>(raw: &'r RawOAuth2, making: &mut Making<'_, 'r>) -> Option<AssertionSettings> {
    let certificate = making.bytes("client certificate", raw.client_cert.as_ref()?, Form::Certificates, |_| Ok(()));
    let key = making.rsa_key("client key", raw.client_key.as_ref()?, Algorithm::PS256);
    let first = pem::certificates(certificate?.expose()).ok()?.into_iter().next()?;
    let mut header = Map::new();
    header.insert("x5t#S256".into(), thumbprint(&first).into());
    Some(AssertionSettings {
        algorithm: Algorithm::PS256,
        key: key?,
        lifetime: ASSERTION_LIFETIME,
        claims: Map::new(),
        header,
    })
}

fn thumbprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    data_encoding::BASE64URL_NOPAD.encode(digest.as_ref())
}

fn identity<'r>(raw: &'r RawOAuth2, making: &mut Making<'_, 'r>) -> Option<Identity> {
    let certificates = making.bytes("client certificate", raw.client_cert.as_ref()?, Form::Certificates, |_| Ok(()));
    let key = making.bytes("client key", raw.client_key.as_ref()?, Form::PemKey, |_| Ok(()));
    Some(Identity { certificates: certificates?.expose().as_slice().into(), key: key? })
}
