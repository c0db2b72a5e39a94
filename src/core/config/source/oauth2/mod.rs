//! Owns: the keys of `source = "oauth2"` without a preset: which belong to its grant, and which to how its client authenticates.
//! Does not: know presets (`preset`), or read credentials.

mod google;
mod login;
mod plan;
mod scope;
mod settings;

use crate::core::config::address::{self, Query};
use crate::core::config::client::{self, Decided, GivenClient};
use crate::core::config::keys::common::{PLACES, SECRETS};
use crate::core::config::keys::{KeyEntry, entries};
use crate::core::config::placeholders::{Placeholders, pairs};
use crate::core::config::section::{Section, SectionReader};
use crate::core::config::stage::{RawIdentity, Written};
use crate::core::config::value::is_visible;
use crate::core::config::{assertion, credential, headers, preset, reach, subject};
use crate::core::diagnostic::{Diagnostic, Located};
use crate::core::pattern::Pattern;
use crate::core::redact;

pub(super) use plan::plan;
pub use settings::{AssertionSettings, ClientAuth, Grant, OAuth2Settings, SubjectToken, TokenEndpoint};
pub(crate) use settings::{AuthKind, GrantKind, Preset};

/// The keys of such a token.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// The token endpoint. This, or issuer, or what a preset knows.
    token_url: Text = r#""https://idp.example/token""#;
    /// Instead of token_url: the issuer, which is asked where its token endpoint is (RFC 8414, OpenID Connect
    /// Discovery).
    issuer: Text = r#""https://idp.example""#;
    /// How the token is asked for: RFC 6749 4.4, RFC 6749 6, RFC 7523 or RFC 8693. Any other text is sent as it is written, with what
    /// it takes in params. Needed unless a preset decides it.
    grant: OpenChoice(GRANTS) = r#""client_credentials""#;
    /// The client's name. Needed but for client_auth = "none" with another grant than client_credentials.
    client_id: Text = r#""jobs""#;
    /// How the client authenticates. Default: client_secret_basic with a client_secret, tls_client_auth with a
    /// client_cert, private_key_jwt with an assertion that is not the grant's, else none.
    client_auth: Choice(AuthKind::WORDS) = r#""client_secret_post""#;
    /// With client_secret_basic: sends client_id in the body too, beside the header, where a server asks for both.
    client_id_in_body: Bool = "true", default("false");
    /// The client's secret, in one of five places.
    client_secret: Table(&[PLACES]) = r#"{ file = "jobs.secret" }"#;
    /// tls_client_auth, and preset "entra": the client's certificate, its chain behind it, as PEM.
    client_cert: Table(&[PLACES]) = r#"{ file = "client.pem" }"#;
    /// The private key of client_cert, as PEM.
    client_key: Table(&[PLACES]) = r#"{ file = "client.key" }"#;
    /// Of grant "refresh_token": the first one; later ones live in state_dir. Another one put here wins over them. Needed
    /// unless there is a login.
    refresh_token: Table(&[PLACES]) = r#"{ file = "first.refresh" }"#;
    /// Of grant "refresh_token": how a person gets the first one, once, by `renewd login NAME`.
    login: Table(login::KEYS) = r#"{ flow = "device" }"#;
    /// Of a login in a browser: where it begins (RFC 6749 3.1). Default: as the issuer says.
    authorization_url: Text = r#""https://idp.example/authorize""#, later;
    /// Of a login by a device code: where it begins (RFC 8628 3.1). Default: as the issuer says.
    device_authorization_url: Text = r#""https://idp.example/device""#;
    /// The JWT of grant "jwt_bearer", or of private_key_jwt and client_secret_jwt. With both, its claims are the
    /// grant's.
    assertion: Table(assertion::KEYS) = r#"{ algorithm = "RS256", private_key = { file = "key.pem" } }"#;
    /// Of grant "token_exchange": the token that is exchanged.
    subject_token: Table(subject::KEYS) = r#"{ file = "/run/id.jwt" }"#;
    /// The scopes, with a space between.
    scope: Text = r#""read write""#;
    /// Further form fields: strings, or lists of strings for one that stands more than once (resource). {{ secrets.NAME }} and
    /// {{ token.NAME }} are filled in, in headers too.
    params: Free = r#"{ audience = "api" }"#;
    /// Further header fields of the request to the token endpoint.
    headers: Free = r#"{ x-api-key = "{{ secrets.api_key }}" }"#;
    ..SECRETS;
    /// Allows an assertion signed with a secret that is shorter than the hash (RFC 7518 3.2).
    allow_weak_secret: Bool = "true", default("false");
};

/// The grants that renewd knows what to send with.
const GRANTS: &[&str] = match GrantKind::WORDS.split_last() {
    Some((_, known)) => known,
    None => &[],
};

/// Form fields that have keys of their own, or none for the user.
const OWN_FIELDS: [(&str, &str); 10] = [
    ("grant_type", "`grant` decides it"),
    ("client_secret", "use the key `client_secret`: it takes a file, and is never shown"),
    ("client_assertion", "use the key `assertion`"),
    ("client_assertion_type", "`client_auth` decides it"),
    ("assertion", "use the key `assertion`"),
    ("scope", "use the key `scope`"),
    ("refresh_token", "use the key `refresh_token`: it takes a file, and is never shown"),
    ("subject_token", "use the key `subject_token`"),
    ("subject_token_type", "use subject_token.type"),
    ("code", "use the key `login`: `renewd login NAME` gets it"),
];

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> OAuth2Settings<Written> {
    let reach = reach::read(cx, token);
    let preset = token.choice(cx, "preset", Preset::parse).map(|preset| preset.value);
    let client_id = token.visible(cx, "client_id");
    let given = GivenClient {
        reach,
        client_secret: credential::read(cx, token, "client_secret", "client secret"),
        client: RawIdentity {
            certificate: credential::read(cx, token, "client_cert", "client certificate"),
            key: credential::read(cx, token, "client_key", "client key"),
        },
        refresh_token: credential::read(cx, token, "refresh_token", "refresh token"),
        service_account: credential::read(cx, token, "service_account", "service account"),
        target_audience: token.visible(cx, "target_audience"),
        scope: scope::read(cx, token),
        free_grant: free_grant(token),
        allow_weak_secret: token.bool_or_default(cx, "allow_weak_secret"),
    };
    let mut placeholders = Placeholders::of_secrets(cx, token);
    let mut params = params(cx, token, &mut placeholders);
    let headers = own_headers(cx, token, &mut placeholders);
    let secrets = credential::named(cx, token);
    placeholders.finish(cx, "params or headers");
    let decided = match preset {
        Some(preset) => preset::read(cx, token, preset, &given),
        // A preset that is not known may have decided anything.
        None if token.has("preset") => {
            token.choice(cx, "grant", GrantKind::parse);
            token.choice(cx, "client_auth", AuthKind::parse);
            Decided::default()
        }
        None => plain(cx, token, &given),
    };
    let Decided { endpoint, grant, client_auth, scope, login } = decided;
    refuse_colon(cx, token, client_id.as_deref(), client_auth.as_ref());
    // Written as a field, it is the same.
    let is_basic = matches!(client_auth, None | Some(ClientAuth::Basic(_) | ClientAuth::BasicRaw(_)));
    let field = params.iter().position(|(name, _)| name == "client_id").map(|at| params.remove(at));
    let has_field = field.is_some_and(|(_, value)| {
        let is_same = is_basic && client_id == Some(value.source());
        if !is_same {
            refuse_field(cx, token, "client_id", "use the key `client_id`, and client_id_in_body beside Basic");
        }
        is_same
    });
    let client_id_in_body = in_body(cx, token, client_auth.as_ref()) || has_field;
    let reach = given.reach;
    OAuth2Settings {
        endpoint,
        grant,
        client_id,
        client_id_in_body,
        client_auth,
        scope,
        params,
        login,
        headers,
        secrets,
        reach,
    }
}

fn plain(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, given: &GivenClient) -> Decided {
    preset::refuse_its_keys(cx, token);
    let endpoint = endpoint(cx, token, given.reach.allow_http);
    let grant = if token.require(cx, "grant") { token.choice(cx, "grant", kind_of) } else { None };
    let auth = auth(cx, token, grant);
    let subject = subject::read(cx, token);
    let assertion = assertion::read(cx, token, grant, auth, given.allow_weak_secret);
    let login = login::read(cx, token, grant.as_ref(), given.reach.allow_http);
    if let Some(grant) = grant {
        let is_told = token.has("refresh_token") || !token.has("login");
        if is_told || grant.value != GrantKind::RefreshToken {
            belongs(cx, token, "refresh_token", "grant", &grant, &[GrantKind::RefreshToken], GrantKind::word);
        }
        belongs(cx, token, "subject_token", "grant", &grant, &[GrantKind::TokenExchange], GrantKind::word);
    }
    if let Some(auth) = auth {
        let secret = [AuthKind::Basic, AuthKind::BasicRaw, AuthKind::Post, AuthKind::SecretJwt];
        belongs(cx, token, "client_secret", "client_auth", &auth, &secret, AuthKind::word);
        belongs(cx, token, "client_cert", "client_auth", &auth, &[AuthKind::Tls], AuthKind::word);
        belongs(cx, token, "client_key", "client_auth", &auth, &[AuthKind::Tls], AuthKind::word);
    }
    if let (Some(grant), Some(auth)) = (grant, auth) {
        check_client(cx, token, grant, auth);
    }
    let (grant, auth) = (grant.map(|grant| grant.value), auth.map(|auth| auth.value));
    Decided {
        endpoint,
        client_auth: auth.and_then(|auth| client::auth(auth, grant, assertion.as_ref(), given)),
        grant: grant.and_then(|grant| client::grant(grant, assertion, subject, given)),
        scope: given.scope.clone(),
        login,
    }
}

/// A colon ends the client's name in Basic (RFC 7617 2), where nothing encodes it.
fn refuse_colon(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    id: Option<&str>,
    auth: Option<&ClientAuth<Written>>,
) {
    if matches!(auth, Some(ClientAuth::BasicRaw(_))) && id.is_some_and(|id| id.contains(':')) {
        let span = token.key_span(cx, "client_id").unwrap_or(token.header);
        let help = "use client_auth = \"client_secret_basic\", which encodes it, or \"client_secret_post\"";
        cx.error(span, "a colon in `client_id` with client_auth \"client_secret_basic_raw\"", help);
    }
}

/// A grant of renewd's own by its word, and any other but a slip for one of them.
fn kind_of(word: &str) -> Option<GrantKind> {
    let plain = word.to_ascii_lowercase().replace('-', "_");
    let is_slip = |known: &str| strsim::osa_distance(&plain, known) <= 2;
    let is_free = is_visible(word) && !word.trim().is_empty() && !GRANTS.iter().any(|known| is_slip(known));
    GrantKind::parse(word).filter(|kind| *kind != GrantKind::Free).or(is_free.then_some(GrantKind::Free))
}

fn free_grant(token: &Section<'_, '_>) -> Option<String> {
    let word = token.value("grant")?.get_ref().as_str()?;
    (kind_of(word) == Some(GrantKind::Free)).then(|| word.to_owned())
}

/// `client_id_in_body`: Basic alone keeps the client's name out of the body (RFC 6749 2.3.1).
fn in_body(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, auth: Option<&ClientAuth<Written>>) -> bool {
    let on = token.bool_or_default(cx, "client_id_in_body");
    let span = token.key_span(cx, "client_id_in_body");
    if let (Some(span), Some(auth)) = (span.filter(|_| on), auth)
        && !matches!(auth, ClientAuth::Basic(_) | ClientAuth::BasicRaw(_))
    {
        let help = "remove it: it belongs to client_auth = \"client_secret_basic\"";
        cx.error(span, "`client_id_in_body` without client_auth \"client_secret_basic\"", help);
    }
    on
}

/// What authenticates has a name, and client_credentials is nothing without a proof (RFC 6749 4.4).
fn check_client(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    grant: Located<GrantKind>,
    auth: Located<AuthKind>,
) {
    let credentials = grant.value == GrantKind::ClientCredentials;
    if auth.value == AuthKind::None && credentials {
        cx.diagnostics.push(
            Diagnostic::error("grant \"client_credentials\" with a client that does not authenticate")
                .at(token.key_span(cx, "client_auth").unwrap_or(token.header))
                .note(grant.span, "the grant")
                .help("add client_secret.file, or client_cert.file and client_key.file, or assertion (RFC 6749 4.4)"),
        );
    }
    if auth.value != AuthKind::None || credentials {
        token.require(cx, "client_id");
    }
}

/// A key that is needed with some words of another one, and cannot stand beside the rest.
fn belongs<T: Copy + PartialEq>(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    key: &str,
    other: &str,
    is: &Located<T>,
    wanted: &[T],
    word: impl Fn(T) -> &'static str,
) {
    match token.key_span(cx, key) {
        None if wanted.contains(&is.value) => {
            token.require(cx, key);
        }
        Some(span) if !wanted.contains(&is.value) => {
            let words: Vec<_> = wanted.iter().map(|wanted| format!("\"{}\"", word(*wanted))).collect();
            cx.diagnostics.push(
                Diagnostic::error(format!("`{key}` with {other} \"{}\"", word(is.value)))
                    .at(span)
                    .note(is.span, if other == "grant" { "the grant" } else { "decides how the client authenticates" })
                    .help(format!("it belongs to {other} = {}", words.join(" or "))),
            );
        }
        _ => {}
    }
}

fn endpoint(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, allow_http: bool) -> Option<TokenEndpoint> {
    match (token.key_span(cx, "token_url"), token.key_span(cx, "issuer")) {
        (Some(url), Some(issuer)) => {
            cx.beside("token_url", url, "issuer", issuer);
            None
        }
        (None, None) => {
            cx.error(token.header, "`token_url` is missing", "add token_url = \"https://...\", or issuer");
            None
        }
        (Some(_), None) => address::read(cx, token, "token_url", Query::Allowed, allow_http).map(TokenEndpoint::Url),
        (None, Some(_)) => address::read(cx, token, "issuer", Query::Refused, allow_http).map(TokenEndpoint::Issuer),
    }
}

/// How the client authenticates: as `client_auth` says, else by what was given. At the place that decides it.
fn auth(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    grant: Option<Located<GrantKind>>,
) -> Option<Located<AuthKind>> {
    if token.has("client_auth") {
        return token.choice(cx, "client_auth", AuthKind::parse);
    }
    let is_grants = grant.is_none_or(|grant| grant.value == GrantKind::JwtBearer);
    let by = [
        ("client_secret", AuthKind::Basic),
        ("client_cert", AuthKind::Tls),
        ("client_key", AuthKind::Tls),
        ("assertion", AuthKind::KeyJwt),
    ];
    let mut given = by.into_iter().filter(|(key, _)| *key != "assertion" || !is_grants);
    let found = given.find_map(|(key, value)| Some(Located { value, span: token.key_span(cx, key)? }));
    Some(found.unwrap_or(Located { value: AuthKind::None, span: token.header }))
}

fn refuse_field(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, name: &str, help: &str) {
    let span = token.key_span(cx, "params").unwrap_or(token.header);
    cx.error(span, format!("`params.{name}` is a field of renewd's own"), help);
}

/// The header that proves who the client is stands there already, and so does what the body is.
fn own_headers(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    placeholders: &mut Placeholders,
) -> Vec<(String, Pattern)> {
    let mut taken = vec![("content-type", "source", "remove it: it is application/x-www-form-urlencoded")];
    let auth = token.value("client_auth").and_then(|auth| auth.get_ref().as_str());
    if auth.is_none_or(|auth| auth.starts_with(AuthKind::Basic.word())) {
        taken.push((
            "authorization",
            "client_secret",
            "keep one of the two, or set client_auth = \"client_secret_post\"",
        ));
    }
    headers::read(cx, token, &taken, placeholders)
}

fn params(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    placeholders: &mut Placeholders,
) -> Vec<(String, Pattern)> {
    let mut params = Vec::new();
    token.hide(cx, "params");
    let of_free = ["code", "assertion", "refresh_token", "subject_token", "subject_token_type"];
    let is_free = free_grant(token).is_some();
    for (key, value) in pairs(cx, token, "params", true) {
        match OWN_FIELDS.iter().find(|(name, _)| *name == key.value && !(is_free && of_free.contains(name))) {
            Some((name, help)) => cx.error(key.span, format!("`params.{name}` is a field of renewd's own"), help),
            None => {
                let called = format!("params.{}", redact::name(&key.value));
                params.extend(placeholders.pattern(cx, &called, &value).map(|pattern| (key.value, pattern)));
            }
        }
    }
    params
}
