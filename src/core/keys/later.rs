//! Owns: the keys of the sources to come, known by name so that they are not taken for slips.
//! Does not: describe them in full; they are not in the schema.

use super::table::PLACES;
use super::{Key, Kind};

pub(super) const NETWORK: &[Key] = &[
    Key::new("token_url", Kind::Text, "", "oauth2: the token endpoint.").later(),
    Key::new("issuer", Kind::Text, "", "oauth2: the issuer, for discovery (RFC 8414).").later(),
    Key::new("grant", Kind::Text, "", "oauth2: the grant.").later(),
    Key::new("client_id", Kind::Text, "", "oauth2, github-app: the client's name.").later(),
    Key::new("client_auth", Kind::Text, "", "oauth2: how the client proves itself.").later(),
    Key::new("client_secret", Kind::Table(&[PLACES]), "", "oauth2: the client's secret.").later(),
    Key::new("client_cert", Kind::Table(&[PLACES]), "", "oauth2: the client's certificate.").later(),
    Key::new("client_key", Kind::Table(&[PLACES]), "", "oauth2: the key of the client's certificate.").later(),
    Key::new("scope", Kind::Text, "", "oauth2: the scope.").later(),
    Key::new("params", Kind::Free, "", "oauth2: further form fields.").later(),
    Key::new("refresh_token", Kind::Table(&[PLACES]), "", "oauth2, http: the first refresh token.").later(),
    Key::new("assertion", Kind::Free, "", "oauth2: the assertion's settings (RFC 7523).").later(),
    Key::new("subject_token", Kind::Free, "", "oauth2: the token to exchange (RFC 8693).").later(),
    Key::new("url", Kind::Text, "", "http: the endpoint.").later(),
    Key::new("method", Kind::Text, "", "http: the method.").later(),
    Key::new("headers", Kind::Free, "", "http: the request's headers.").later(),
    Key::new("bearer", Kind::Free, "", "http: the token that authorises the request.").later(),
    Key::new("form", Kind::Free, "", "http: form fields.").later(),
    Key::new("json", Kind::Free, "", "http: a JSON body.").later(),
    Key::new("response", Kind::Free, "", "http, command: where the answer's members stand.").later(),
    Key::new("app_id", Kind::Text, "", "github-app: the app's id.").later(),
    Key::new("installation_id", Kind::Text, "", "github-app: the installation's id.").later(),
    Key::new("permissions", Kind::Free, "", "github-app: what the token may do.").later(),
    Key::new("repositories", Kind::Texts, "", "github-app: the repositories it is good for.").later(),
    Key::new("api_url", Kind::Text, "", "github-app: the API's address.").later(),
    Key::new("command", Kind::Texts, "", "command: the program that prints the token.").later(),
    Key::new("timeout", Kind::Duration, "", "Network sources and command: how long one try may take.").later(),
    Key::new("ca_file", Kind::Path, "", "Network sources: a CA certificate file.").later(),
    Key::new("ttl", Kind::Duration, "", "Network sources and command: the lifetime where the answer does not tell it.")
        .later(),
    Key::new("allow_http", Kind::Bool, "", "Network sources: allows plain http beyond loopback.").later(),
];
