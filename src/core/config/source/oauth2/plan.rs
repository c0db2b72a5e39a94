//! Owns: `source = "oauth2"`: grant and client with their credentials.
//! Does not: read a service account's file (`google`), or ask anybody.

use std::sync::Arc;

use super::google;
use crate::core::config::{RawIdentity, RawKey, Written};
use crate::core::crypto;
use crate::core::plan::CredentialForm;
use crate::core::plan::Making;
use crate::core::settings::{AssertionSettings, ClientAuth, FirstRefresh, Grant, OAuth2Settings, TokenEndpoint};

type RawAssertion = AssertionSettings<Written>;

pub(in crate::core::config) fn plan<'r>(
    raw: &'r OAuth2Settings<Written>,
    making: &mut Making<'_, 'r>,
) -> Option<OAuth2Settings> {
    let reach = making.reach(&raw.reach);
    let own = match &raw.grant {
        Some(Grant::JwtBearer(settings)) => Some((&**settings, assertion(settings, reach.allow_http, making))),
        _ => None,
    };
    let auth = raw.client_auth.as_ref().and_then(|auth| client_auth(auth, own.as_ref(), making));
    let (endpoint, assertion) = own.and_then(|(_, made)| made).unzip();
    let grant = match raw.grant.as_ref()? {
        Grant::ClientCredentials => Grant::ClientCredentials,
        // Without one, what a login brings is the first.
        Grant::RefreshToken(None) => Grant::RefreshToken(FirstRefresh::of_a_login()),
        Grant::RefreshToken(first) => Grant::RefreshToken(making.refresh(first.as_ref())?),
        Grant::JwtBearer(_) => Grant::JwtBearer(Arc::new(assertion?)),
        Grant::Free(written) => Grant::Free(written.clone()),
        Grant::TokenExchange { subject, subject_type } => {
            Grant::TokenExchange { subject: subject.clone(), subject_type: subject_type.clone() }
        }
    };
    let endpoint = endpoint.flatten().or_else(|| raw.endpoint.clone())?;
    let secrets = making.secrets(&raw.secrets);
    Some(raw.ready(endpoint, grant, auth?, secrets, reach))
}

/// An assertion, and the endpoint where its key's file names one.
type MadeAssertion = (Option<TokenEndpoint>, AssertionSettings);

fn client_auth<'r>(
    raw: &'r ClientAuth<Written>,
    of_grant: Option<&(&'r RawAssertion, Option<MadeAssertion>)>,
    making: &mut Making<'_, 'r>,
) -> Option<ClientAuth> {
    Some(match raw {
        ClientAuth::None => ClientAuth::None,
        ClientAuth::Basic(secret) => ClientAuth::Basic(making.secret(secret.as_ref())?),
        ClientAuth::BasicRaw(secret) => ClientAuth::BasicRaw(making.secret(secret.as_ref())?),
        ClientAuth::Post(secret) => ClientAuth::Post(making.secret(secret.as_ref())?),
        // One key serves both assertions where there are two.
        ClientAuth::Jwt(raw) => ClientAuth::Jwt(Arc::new(match of_grant {
            Some((own, made)) if same_key(own, raw) => raw.ready(Arc::clone(&made.as_ref()?.1.key))?,
            _ => assertion(raw, false, making)?.1,
        })),
        ClientAuth::Tls(identity) => ClientAuth::Tls(making.identity(identity)?),
    })
}

fn same_key(one: &RawAssertion, other: &RawAssertion) -> bool {
    match (&one.key, &other.key) {
        (Some(RawKey::Secret { from, .. }), Some(RawKey::Secret { from: other, .. })) => Arc::ptr_eq(from, other),
        (Some(RawKey::Private(from)), Some(RawKey::Private(other))) => Arc::ptr_eq(from, other),
        _ => false,
    }
}

fn assertion<'r>(raw: &'r RawAssertion, allow_http: bool, making: &mut Making<'_, 'r>) -> Option<MadeAssertion> {
    let algorithm = raw.algorithm?;
    let key = match raw.key.as_ref()? {
        RawKey::Secret { from, allow_weak } => making.secret_key(from, algorithm, *allow_weak),
        RawKey::Private(from) => making.private_key(from, algorithm),
        RawKey::Certified(identity) => return certified(raw, identity, making).map(|made| (None, made)),
        RawKey::ServiceAccount(from) => {
            return google::assertion(raw, from, allow_http, making).map(|(endpoint, made)| (Some(endpoint), made));
        }
    };
    Some((None, raw.ready(key?)?))
}

/// Entra knows a client's key by the digest of its certificate (RFC 7515 4.1.8).
fn certified<'r>(
    raw: &'r RawAssertion,
    identity: &'r RawIdentity,
    making: &mut Making<'_, 'r>,
) -> Option<AssertionSettings> {
    let certificate = making.bytes(identity.certificate.as_ref()?, CredentialForm::Certificates, |_| Ok(()));
    let key = making.rsa_key(identity.key.as_ref()?, raw.algorithm?);
    let first = crypto::certificates(certificate?.expose()).ok()?.into_iter().next()?;
    let mut made = raw.ready(key?)?;
    let thumbprint = data_encoding::BASE64URL_NOPAD.encode(crypto::sha256(&first).as_ref());
    made.header.insert("x5t#S256".into(), thumbprint.into());
    Some(made)
}
