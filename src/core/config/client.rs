//! Owns: what a grant and a client's proof of itself are made of, from what is given.
//! Does not: read a config, or tell what is absent.

use std::sync::Arc;

use serde_json::Map;

use super::assertion;
use super::stage::{RawCredential, RawIdentity, Written};
use crate::core::settings::{
    AssertionSettings, AuthKind, ClientAuth, Grant, GrantKind, LoginSettings, Reach, SubjectToken, TokenEndpoint,
};

/// What of a client and its token is given: grant, client_auth and preset decide what is made of it.
pub(super) struct GivenClient {
    pub reach: Reach<Written>,
    pub client_secret: Option<Arc<RawCredential>>,
    pub client: RawIdentity,
    pub refresh_token: Option<Arc<RawCredential>>,
    pub service_account: Option<Arc<RawCredential>>,
    pub target_audience: Option<String>,
    pub scope: Option<String>,
    /// A `grant` that is none of renewd's words.
    pub free_grant: Option<String>,
    pub allow_weak_secret: bool,
}

/// Where the token is asked for, by which grant, by whom, and for what.
#[derive(Default)]
pub(super) struct Decided {
    pub endpoint: Option<TokenEndpoint>,
    pub grant: Option<Grant<Written>>,
    pub client_auth: Option<ClientAuth<Written>>,
    pub scope: Option<String>,
    pub login: Option<Box<LoginSettings>>,
}

pub(super) fn grant(
    grant: GrantKind,
    assertion: Option<AssertionSettings<Written>>,
    subject: Option<(SubjectToken, String)>,
    given: &GivenClient,
) -> Option<Grant<Written>> {
    Some(match grant {
        GrantKind::ClientCredentials => Grant::ClientCredentials,
        GrantKind::RefreshToken => Grant::RefreshToken(given.refresh_token.clone()),
        GrantKind::JwtBearer => Grant::JwtBearer(Arc::new(assertion?)),
        GrantKind::Free => Grant::Free(given.free_grant.clone()?),
        GrantKind::TokenExchange => {
            let (subject, subject_type) = subject?;
            Grant::TokenExchange { subject, subject_type }
        }
    })
}

pub(super) fn auth(
    auth: AuthKind,
    grant: Option<GrantKind>,
    assertion: Option<&AssertionSettings<Written>>,
    given: &GivenClient,
) -> Option<ClientAuth<Written>> {
    let is_grants = grant == Some(GrantKind::JwtBearer);
    Some(match auth {
        AuthKind::None => ClientAuth::None,
        AuthKind::Basic => ClientAuth::Basic(given.client_secret.clone()),
        AuthKind::BasicRaw => ClientAuth::BasicRaw(given.client_secret.clone()),
        AuthKind::Post => ClientAuth::Post(given.client_secret.clone()),
        AuthKind::SecretJwt => ClientAuth::Jwt(Arc::new(assertion::of_client_secret(
            assertion.filter(|_| !is_grants),
            given.client_secret.clone(),
            given.allow_weak_secret,
        ))),
        AuthKind::KeyJwt => {
            let assertion = assertion?.clone();
            // Where the grant has one too, the claims are the grant's.
            let claims = if is_grants { Map::new() } else { assertion.claims };
            ClientAuth::Jwt(Arc::new(AssertionSettings { claims, ..assertion }))
        }
        AuthKind::Tls => ClientAuth::Tls(given.client.clone()),
    })
}
