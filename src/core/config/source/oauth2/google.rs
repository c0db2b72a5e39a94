//! Owns: a Google service account's key file, and the grant that it signs for itself (RFC 7523 2.1).
//! Does not: ask for the token.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::core::address;
use crate::core::config::{RawCredential, Written};
use crate::core::crypto::{Algorithm, SigningKey};
use crate::core::json;
use crate::core::plan::Making;
use crate::core::plan::{CredentialForm, CredentialProblem};
use crate::core::settings::{AssertionSettings, TokenEndpoint};

const HELP: &str = "the JSON key file of a service account, as Google hands it out";

/// What the file says.
struct ServiceAccount {
    email: String,
    key: SigningKey,
    key_id: Option<String>,
    token_uri: String,
}

/// The endpoint that it names, and the assertion: what the config says of one wins over the file.
pub(super) fn assertion<'r>(
    raw: &AssertionSettings<Written>,
    credential: &'r RawCredential,
    allow_http: bool,
    making: &mut Making<'_, 'r>,
) -> Option<(TokenEndpoint, AssertionSettings)> {
    let suits = |bytes: &[u8]| read(bytes, allow_http).map(|_| ());
    let bytes = making.bytes(credential, CredentialForm::Whole, suits)?;
    let account = read(bytes.expose(), allow_http).ok()?;
    let mut own = raw.ready(Arc::new(account.key))?;
    let mut header = Map::new();
    header.extend(account.key_id.map(|id| ("kid".to_owned(), id.into())));
    header.append(&mut own.header);
    let mut claims = Map::from_iter([("iss".to_owned(), account.email.into())]);
    claims.append(&mut own.claims);
    Some((TokenEndpoint::Url(account.token_uri), AssertionSettings { header, claims, ..own }))
}

fn read(bytes: &[u8], allow_http: bool) -> Result<ServiceAccount, CredentialProblem> {
    let unusable = |what: &str| CredentialProblem::new(format!("is not usable: {what}"), HELP);
    let members = json::parse_object(bytes).map_err(|_| unusable("it is not a JSON object"))?;
    let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let needed = |name: &str| text(name).ok_or_else(|| unusable(&format!("it has no {name}")));
    if text("type").is_some_and(|kind| kind != "service_account") {
        return Err(unusable("it is no service account's (its `type` says so)"));
    }
    let key = SigningKey::from_private(needed("private_key")?.as_bytes())
        .map_err(|error| unusable(&format!("its private_key: {error}")))?;
    key.check(Algorithm::RS256, false).map_err(|error| unusable(&format!("its private_key: {error}")))?;
    let token_uri = needed("token_uri")?;
    address::parse(token_uri, allow_http).map_err(|wrong| unusable(&format!("its token_uri {wrong}")))?;
    Ok(ServiceAccount {
        email: needed("client_email")?.to_owned(),
        key,
        key_id: text("private_key_id").map(str::to_owned),
        token_uri: token_uri.to_owned(),
    })
}
