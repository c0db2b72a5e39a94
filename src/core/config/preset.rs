//! Owns: the presets of `source = "oauth2"`: what each takes, and what it fills in.
//! Does not: read the files that they name.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;

use super::address::{self, Query};
use super::assertion;
use super::client::{Decided, GivenClient};
use super::keys::common::PLACES;
use super::keys::{KeyEntry, entries};
use super::section::{Section, SectionReader};
use super::stage::{RawKey, Written};
use crate::core::crypto::Algorithm;
use crate::core::diagnostic::{Diagnostic, quote};
use crate::core::settings::{AssertionSettings, ClientAuth, Grant, Preset, TokenEndpoint};

/// The keys of presets.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// Fills in what is known of an issuer: endpoint, grant and how the client authenticates.
    preset: Choice(Preset::WORDS) = r#""entra""#;
    /// Of preset "google-service-account": the JSON key file as Google hands it out. With scope, or target_audience.
    service_account: Table(&[PLACES]) = r#"{ file = "service-account.json" }"#;
    /// Of preset "google-service-account", instead of scope: an ID token for this audience is asked for.
    target_audience: Text = r#""https://job.example""#;
    /// Of preset "entra": the tenant's id or domain. In a national cloud, token_url instead.
    tenant: Text = r#""contoso.onmicrosoft.com""#;
};

/// Keys that belong to one preset alone.
const OWN: [(&str, Preset); 3] =
    [("service_account", Preset::Google), ("target_audience", Preset::Google), ("tenant", Preset::Entra)];

/// What Google's key file and the preset decide.
const GOOGLE_KNOWS: [&str; 13] = [
    "token_url",
    "issuer",
    "grant",
    "client_id",
    "client_auth",
    "client_secret",
    "client_cert",
    "client_key",
    "refresh_token",
    "login",
    "authorization_url",
    "device_authorization_url",
    "subject_token",
];
const ENTRA_KNOWS: [&str; 9] = [
    "issuer",
    "grant",
    "client_auth",
    "refresh_token",
    "login",
    "authorization_url",
    "device_authorization_url",
    "subject_token",
    "assertion",
];

/// Where nobody says what the token is for.
const ENTRA_SCOPE: &str = "https://graph.microsoft.com/.default";

pub(super) fn read(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    preset: Preset,
    given: &GivenClient,
) -> Decided {
    let known: &[&str] = if preset == Preset::Google { &GOOGLE_KNOWS } else { &ENTRA_KNOWS };
    for key in known {
        contradiction(cx, token, key, preset, "remove it: the preset decides it");
    }
    for (key, of) in OWN {
        if of != preset {
            contradiction(cx, token, key, preset, &format!("it belongs to preset = \"{}\"", of.word()));
        }
    }
    match preset {
        Preset::Google => google(cx, token, given),
        Preset::Entra => entra(cx, token, given),
    }
}

/// Without a preset.
pub(super) fn refuse_its_keys(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) {
    for (key, of) in OWN {
        if let Some(span) = token.key_span(cx, key) {
            let help = format!("it belongs to preset = \"{}\"", of.word());
            cx.error(span, format!("`{key}` without its preset"), help);
        }
    }
}

fn contradiction(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, key: &str, preset: Preset, help: &str) {
    if let Some(span) = token.key_span(cx, key) {
        let diagnostic = Diagnostic::error(format!("`{key}` with preset \"{}\"", preset.word())).at(span).help(help);
        let preset = token.key_span(cx, "preset").unwrap_or(token.header);
        cx.diagnostics.push(diagnostic.note(preset, "the preset"));
    }
}

/// A service account's key file signs for itself (RFC 7523 2.1).
fn google(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, given: &GivenClient) -> Decided {
    token.require(cx, "service_account");
    match (token.key_span(cx, "scope"), token.key_span(cx, "target_audience")) {
        (Some(scope), Some(audience)) => cx.beside("scope", scope, "target_audience", audience),
        (None, None) => cx.error(
            token.header,
            "`scope` is missing",
            "add: scope = \"https://www.googleapis.com/auth/cloud-platform\", or target_audience for an ID token",
        ),
        _ => {}
    }
    let own = token.table(cx, "assertion").map(|section| google_assertion(cx, token, &section));
    let mut claims = Map::new();
    for (claim, value) in [("scope", &given.scope), ("target_audience", &given.target_audience)] {
        claims.extend(value.as_deref().map(|value| (claim.to_owned(), value.into())));
    }
    claims.extend(own.iter().flat_map(|own| own.claims.clone()));
    let assertion = AssertionSettings {
        algorithm: Some(Algorithm::RS256),
        key: given.service_account.clone().map(RawKey::ServiceAccount),
        lifetime: own.as_ref().map_or_else(assertion::default_lifetime, |own| own.lifetime),
        skew: own.as_ref().map(|own| own.skew).unwrap_or_default(),
        claims,
        header: own.map(|own| own.header).unwrap_or_default(),
    };
    Decided {
        // The key file says it.
        endpoint: None,
        grant: Some(Grant::JwtBearer(Arc::new(assertion))),
        client_auth: Some(ClientAuth::None),
        scope: None,
        login: None,
    }
}

fn google_assertion(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    section: &Section<'_, '_>,
) -> AssertionSettings<Written> {
    for key in ["algorithm", "private_key", "secret"] {
        if let Some(span) = section.key_span(cx, key) {
            let title = format!("`assertion.{key}` with preset \"{}\"", Preset::Google.word());
            cx.error(span, title, "remove it: the key file says it");
        }
    }
    let (raw, _) = assertion::members(cx, section, false);
    for claim in ["iss", "scope", "target_audience"] {
        if raw.claims.contains_key(claim) {
            let span = token.key_span(cx, "assertion").unwrap_or(section.header);
            let help = "remove it: the key file says iss, and the keys `scope` and `target_audience` the others";
            cx.error(span, format!("`assertion.claims.{claim}` with preset \"{}\"", Preset::Google.word()), help);
        }
    }
    raw
}

/// Client credentials at a tenant's endpoint, by a secret or a certificate.
fn entra(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, given: &GivenClient) -> Decided {
    token.require(cx, "client_id");
    let endpoint = match (token.key_span(cx, "tenant"), token.key_span(cx, "token_url")) {
        (Some(tenant), Some(url)) => {
            cx.beside("tenant", tenant, "token_url", url);
            None
        }
        (None, None) => {
            token.require(cx, "tenant");
            None
        }
        (None, Some(_)) => address::read(cx, token, "token_url", Query::Allowed, given.reach.allow_http),
        (Some(_), None) => tenant(cx, token),
    }
    .map(TokenEndpoint::Url);
    Decided {
        endpoint,
        grant: Some(Grant::ClientCredentials),
        client_auth: entra_client(cx, token, given),
        scope: if token.has("scope") { given.scope.clone() } else { Some(ENTRA_SCOPE.into()) },
        login: None,
    }
}

fn entra_client(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    given: &GivenClient,
) -> Option<ClientAuth<Written>> {
    let secret = token.key_span(cx, "client_secret");
    let certificate = token.key_span(cx, "client_cert").or_else(|| token.key_span(cx, "client_key"));
    match (secret, certificate) {
        (Some(secret), Some(certificate)) => {
            cx.beside("client_secret", secret, "client_cert", certificate);
            None
        }
        (Some(_), None) => Some(ClientAuth::Post(given.client_secret.clone())),
        (None, Some(_)) => {
            let both = [token.require(cx, "client_cert"), token.require(cx, "client_key")];
            let assertion = AssertionSettings {
                algorithm: Some(Algorithm::PS256),
                key: Some(RawKey::Certified(given.client.clone())),
                lifetime: assertion::default_lifetime(),
                skew: Duration::ZERO,
                claims: Map::new(),
                header: Map::new(),
            };
            (both == [true, true]).then(|| ClientAuth::Jwt(Arc::new(assertion)))
        }
        (None, None) => {
            cx.error(
                token.header,
                "the client does not authenticate",
                "add client_secret.file, or client_cert.file and client_key.file",
            );
            None
        }
    }
}

fn tenant(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<String> {
    let tenant = token.text(cx, "tenant")?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if tenant.value.is_empty() || !tenant.value.bytes().all(good) {
        let help = "the directory's id, or its domain: \"contoso.onmicrosoft.com\"";
        cx.error(tenant.span, format!("`tenant` cannot be {}", quote(&tenant.value)), help);
        return None;
    }
    Some(format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", tenant.value))
}
