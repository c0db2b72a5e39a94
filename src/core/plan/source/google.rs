//! Owns: a Google service account's key file, and the grant that it signs for itself (RFC 7523 2.1).
//! Does not: ask for the token.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::credential::{Form, Problem};
use super::Making;
use super::oauth2::ASSERTION_LIFETIME;
use crate::core::address;
use crate::core::config::RawOAuth2;
use crate::core::json;
use crate::core::key::{Algorithm, SigningKey};
use crate::core::settings::{AssertionSettings, ClientAuth, Grant, OAuth2Settings, Reach, TokenEndpoint};

const HELP: &str = "the JSON key file of a service account, as Google hands it out";

/// What the file says.
struct Account {
    email: String,
    key: SigningKey,
    key_id: Option<String>,
    token_uri: String,
}

pub(super) fn plan<'r>(raw: &'r RawOAuth2, reach: Reach, making: &mut Making<'_, 'r>) -> Option<OAuth2Settings> {
    let allow_http = reach.allow_http;
    let credential = raw.service_account.as_ref()?;
    let suits = |bytes: &[u8]| read(bytes, allow_http).map(|_| ());
    let bytes = making.bytes("service account", credential, Form::Whole, suits)?;
    let account = read(bytes.expose(), allow_http).ok()?;
    let mut header = Map::new();
    if let Some(id) = account.key_id {
        header.insert("kid".into(), id.into());
    }
    let own = raw.assertion.as_ref();
    let mut claims = Map::new();
    claims.insert("iss".into(), account.email.into());
    if let Some(scope) = &raw.scope {
        claims.insert("scope".into(), scope.as_str().into());
    }
    if let Some(audience) = &raw.target_audience {
        claims.insert("target_audience".into(), audience.as_str().into());
    }
    if let Some(own) = own {
        header.extend(own.header.clone());
        claims.extend(own.claims.clone());
    }
    Some(OAuth2Settings {
        endpoint: TokenEndpoint::Url(account.token_uri),
        grant: Grant::JwtBearer(Arc::new(AssertionSettings {
            algorithm: Algorithm::RS256,
            key: Arc::new(account.key),
            lifetime: own.and_then(|own| own.lifetime).unwrap_or(ASSERTION_LIFETIME),
            claims,
            header,
        })),
        client_id: None,
        client_auth: ClientAuth::None,
        scope: None,
        params: raw.params.clone(),
        reach,
    })
}

fn read(bytes: &[u8], allow_http: bool) -> Result<Account, Problem> {
    let unusable = |what: &str| Problem::new(format!("is not usable: {what}"), HELP);
    let members = json::parse_object(bytes).map_err(|_| unusable("it is not a JSON object"))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let needed = |name: &str| text(name).ok_or_else(|| unusable(&format!("it has no {name}")));
    if text("type").is_some_and(|kind| kind != "service_account") {
        return Err(unusable("it is no service account's (its `type` says so)"));
    }
    let key = SigningKey::from_private(needed("private_key")?.as_bytes())
        .map_err(|error| unusable(&format!("its private_key: {error}")))?;
    key.check_algorithm(Algorithm::RS256).map_err(|error| unusable(&format!("its private_key: {error}")))?;
    let token_uri = needed("token_uri")?;
    address::parse(token_uri, allow_http).map_err(|wrong| unusable(&format!("its token_uri {wrong}")))?;
    Ok(Account {
        email: needed("client_email")?.to_owned(),
        key,
        key_id: text("private_key_id").map(str::to_owned),
        token_uri: token_uri.to_owned(),
    })
}
