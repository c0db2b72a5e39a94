//! Owns: how a client authenticates at the token endpoint (RFC 6749 2.3, RFC 7523 2.2, RFC 8705 2).
//! Does not: sign, or hold a certificate; the connection does.

use super::assertion::{self, Occasion};
use crate::core::engine::Reason;
use crate::core::secret::Secret;
use crate::core::settings::{ClientAuth, OAuth2Settings};
use crate::source::SourceError;
use crate::source::form::{Form, basic_pair, percent};
use crate::source::net::header::{AUTHORIZATION, HeaderMap};
use crate::source::net::secret_value;

/// RFC 7523 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) fn add(
    settings: &OAuth2Settings,
    occasion: &Occasion<'_>,
    form: &mut Form,
    headers: &mut HeaderMap,
) -> Result<(), SourceError> {
    let pair = encoded(settings);
    if let Some(pair) = &pair {
        let value = secret_value(Secret::new(["Basic ", pair.expose()].concat())).ok_or_else(|| {
            SourceError::new(Reason::Machine, "the client's id and secret cannot be sent: please report this")
        })?;
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(client) = settings.client_id.as_ref().filter(|_| pair.is_none() || settings.client_id_in_body) {
        form.add("client_id", client);
    }
    match &settings.client_auth {
        ClientAuth::Post(secret) => form.add("client_secret", secret.expose()),
        ClientAuth::Jwt(settings) => {
            form.add("client_assertion_type", ASSERTION_TYPE);
            form.add("client_assertion", assertion::make(settings, occasion)?.expose());
        }
        ClientAuth::None | ClientAuth::Basic(_) | ClientAuth::BasicRaw(_) | ClientAuth::Tls(_) => {}
    }
    Ok(())
}

/// RFC 6749 2.3.1: each is form-urlencoded before they are joined, for a colon in the id would end it. A space becomes %20 and
/// no plus: that is undone alike by servers that decode forms and by those that know percent-encoding alone (Authlib). What no
/// encoding needs to touch (`-`, `.`, `_`, `~`) is left as it is, for servers that decode nothing (glewlwyd).
fn encoded_pair(id: &str, secret: &Secret<String>) -> Secret<String> {
    let (id, secret) = (percent(id), percent(secret.expose()));
    basic_pair(id.as_str(), secret.as_str())
}

/// What stands for id and secret in the header, if they are sent there: an endpoint may say it again.
pub(super) fn encoded(settings: &OAuth2Settings) -> Option<Secret<String>> {
    let id = settings.client_id.as_deref().unwrap_or_default();
    match &settings.client_auth {
        ClientAuth::Basic(secret) => Some(encoded_pair(id, secret)),
        ClientAuth::BasicRaw(secret) => Some(basic_pair(id, secret.expose())),
        _ => None,
    }
}

/// The client's secrets that are sent, which must not come back in a message. `basic` is what [`encoded`] gives.
pub(super) fn secrets<'s>(settings: &'s OAuth2Settings, basic: Option<&'s Secret<String>>) -> Vec<&'s str> {
    let secret = match &settings.client_auth {
        ClientAuth::Basic(secret) | ClientAuth::BasicRaw(secret) | ClientAuth::Post(secret) => {
            Some(secret.expose().as_str())
        }
        _ => None,
    };
    // It may come back without its padding.
    let basic = basic.map(|value| value.expose().trim_end_matches('='));
    [secret, basic].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    #[test]
    fn id_and_secret_are_encoded_before_they_are_joined() {
        let value = encoded_pair("a:b", &Secret::new("p @+ü".into()));
        let text = value.expose();
        assert_eq!(BASE64.decode(text.as_bytes()).unwrap(), b"a%3Ab:p%20%40%2B%C3%BC");
        let value = encoded_pair("jobs-1.a_b~c", &Secret::new("s-1.a_b~c".into()));
        let text = value.expose();
        assert_eq!(BASE64.decode(text.as_bytes()).unwrap(), b"jobs-1.a_b~c:s-1.a_b~c");
    }
}
