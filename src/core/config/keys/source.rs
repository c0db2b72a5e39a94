//! Owns: the keys that a token has by its source, a table for each.
//! Does not: hold those that every token has (`common` does), or check anything.

use super::common::{COMMON, ENCODING, FILE, LIFETIME, PLACES, SCHEDULE};
use super::{Key, Keys, Kind, Source};
use crate::core::key::Algorithm;
use crate::core::settings::{AuthKind, GrantKind, KeyClaim, Preset, SourceKind};

/// Each source with all that its token's table may hold: first what every token has.
pub(crate) const SOURCES: &[Source] = &[
    Source { word: SourceKind::Jwt.word(), keys: &[COMMON, SCHEDULE, FILE, LIFETIME, JWT] },
    Source { word: SourceKind::OAuth2.word(), keys: &[COMMON, SCHEDULE, FILE, OAUTH2, PRESETS, NETWORK] },
    Source { word: SourceKind::Http.word(), keys: &[COMMON, SCHEDULE, FILE, HTTP, NETWORK] },
    Source { word: SourceKind::GithubApp.word(), keys: &[COMMON, SCHEDULE, FILE, GITHUB_APP, NETWORK] },
    Source { word: SourceKind::Command.word(), keys: &[COMMON, SCHEDULE, FILE, COMMAND] },
];

/// What every token has.
pub(crate) const EVERY_TOKEN: Keys = &[COMMON, SCHEDULE, FILE];

const JWT: &[Key] = &[
    Key::new(
        "algorithm",
        Kind::Choice(Algorithm::WORDS),
        r#""HS256""#,
        "The signature's algorithm (RFC 7518 3.1, RFC 8037 3.1).",
    )
    .required(),
    Key::new(
        "key",
        Kind::Text,
        r#""398e54e888da42f8d089""#,
        "The public name of the credential; becomes the claim iss, or the header's kid.",
    ),
    Key::new(
        "key_claim",
        Kind::Choice(KeyClaim::WORDS),
        r#""iss""#,
        "Where `key` goes: the claim iss, or the header member kid.",
    )
    .default(r#""iss""#),
    Key::new(
        "secret",
        Kind::Table(&[PLACES, ENCODING]),
        r#"{ file = "sunbird.secret" }"#,
        "The secret of HS256, HS384 and HS512, in one of four places.",
    ),
    PRIVATE_KEY,
    Key::new("allow_weak_secret", Kind::Bool, "true", "Allows a secret that is shorter than the hash (RFC 7518 3.2).")
        .default("false"),
    Key::new(
        "claims",
        Kind::Free,
        r#"{ aud = "api", sub = "" }"#,
        "Claims with any value JSON has. iat, exp, nbf and jti are switches: true or false (default: iat, exp, jti on; nbf off).",
    ),
    Key::new("header", Kind::Free, r#"{ kid = "k1", typ = "JWT" }"#, "Header members; any but alg."),
];

const PRIVATE_KEY: Key = Key::new(
    "private_key",
    Kind::Table(&[PLACES]),
    r#"{ file = "key.pem" }"#,
    "The private key of RS, PS, ES and EdDSA: PEM (PKCS#1, SEC1, PKCS#8) or JWK, in one of four places.",
);

const OAUTH2: &[Key] = &[
    Key::new(
        "token_url",
        Kind::Text,
        r#""https://idp.example/token""#,
        "The token endpoint. This, or issuer, or what a preset knows.",
    ),
    Key::new(
        "issuer",
        Kind::Text,
        r#""https://idp.example""#,
        "Instead of token_url: the issuer, which is asked where its token endpoint is (RFC 8414, OpenID Connect Discovery).",
    ),
    Key::new(
        "grant",
        Kind::Choice(GrantKind::WORDS),
        r#""client_credentials""#,
        "How the token is asked for: RFC 6749 4.4, RFC 6749 6, RFC 7523 or RFC 8693. Needed unless a preset decides it.",
    ),
    Key::new(
        "client_id",
        Kind::Text,
        r#""jobs""#,
        "The client's name. Needed but for client_auth = \"none\" with another grant than client_credentials.",
    ),
    Key::new(
        "client_auth",
        Kind::Choice(AuthKind::WORDS),
        r#""client_secret_post""#,
        "How the client proves itself. Default: client_secret_basic with a client_secret, tls_client_auth with a client_cert, private_key_jwt with an assertion that is not the grant's, else none.",
    ),
    Key::new(
        "client_secret",
        Kind::Table(&[PLACES]),
        r#"{ file = "jobs.secret" }"#,
        "The client's secret, in one of four places.",
    ),
    Key::new(
        "client_cert",
        Kind::Table(&[PLACES]),
        r#"{ file = "client.pem" }"#,
        "tls_client_auth, and preset \"entra\": the client's certificate, its chain behind it, as PEM.",
    ),
    Key::new(
        "client_key",
        Kind::Table(&[PLACES]),
        r#"{ file = "client.key" }"#,
        "The private key of client_cert, as PEM.",
    ),
    Key::new(
        "refresh_token",
        Kind::Table(&[PLACES]),
        r#"{ file = "first.refresh" }"#,
        "Of grant \"refresh_token\": the first one; later ones live in state_dir. Another one put here wins over them.",
    ),
    Key::new(
        "assertion",
        Kind::Table(ASSERTION),
        r#"{ algorithm = "RS256", private_key = { file = "key.pem" } }"#,
        "The JWT of grant \"jwt_bearer\", or of private_key_jwt and client_secret_jwt. With both, its claims are the grant's.",
    ),
    Key::new(
        "subject_token",
        Kind::Table(SUBJECT),
        r#"{ file = "/run/id.jwt" }"#,
        "Of grant \"token_exchange\": the token that is exchanged.",
    ),
    Key::new("scope", Kind::Text, r#""read write""#, "The scopes, with a space between."),
    Key::new(
        "params",
        Kind::Free,
        r#"{ audience = "api" }"#,
        "Further form fields: strings, or lists of strings for one that stands more than once (resource).",
    ),
    Key::new(
        "allow_weak_secret",
        Kind::Bool,
        "true",
        "Allows an assertion signed with a secret that is shorter than the hash (RFC 7518 3.2).",
    )
    .default("false"),
];

const PRESETS: &[Key] = &[
    Key::new(
        "preset",
        Kind::Choice(Preset::WORDS),
        r#""entra""#,
        "Fills in what is known of an issuer: endpoint, grant and how the client proves itself.",
    ),
    Key::new(
        "service_account",
        Kind::Table(&[PLACES]),
        r#"{ file = "service-account.json" }"#,
        "Of preset \"google-service-account\": the JSON key file as Google hands it out. With scope, or target_audience.",
    ),
    Key::new(
        "target_audience",
        Kind::Text,
        r#""https://job.example""#,
        "Of preset \"google-service-account\", instead of scope: an ID token for this audience is asked for.",
    ),
    Key::new(
        "tenant",
        Kind::Text,
        r#""contoso.onmicrosoft.com""#,
        "Of preset \"entra\": the tenant's id or domain. In a national cloud, token_url instead.",
    ),
];

const ASSERTION: Keys = &[&[
    Key::new(
        "algorithm",
        Kind::Choice(Algorithm::WORDS),
        r#""RS256""#,
        "The signature's algorithm. Needed but for client_secret_jwt, where it is HS256.",
    ),
    PRIVATE_KEY,
    Key::new(
        "secret",
        Kind::Table(&[PLACES, ENCODING]),
        r#"{ file = "assertion.secret" }"#,
        "Instead of a private key, for HS256, HS384 and HS512.",
    ),
    Key::new(
        "claims",
        Kind::Free,
        r#"{ sub = "robot@idp.example" }"#,
        "Claims with any value JSON has. Default: iss and sub are the client_id, aud is the token endpoint. exp, iat and jti are filled in for each.",
    ),
    Key::new("header", Kind::Free, r#"{ kid = "k1" }"#, "Header members; any but alg."),
    Key::new("lifetime", Kind::Seconds, r#""5m""#, "From issue to expiry, in whole seconds.").default(r#""5m""#),
]];

const SUBJECT: Keys = &[&[
    Key::new(
        "file",
        Kind::Path,
        r#""/run/id.jwt""#,
        "A file, read each time it is needed. Its change triggers nothing.",
    ),
    Key::new("token", Kind::Text, r#""sunbird""#, "Instead of a file: another token of this config."),
    Key::new("type", Kind::Text, r#""urn:ietf:params:oauth:token-type:jwt""#, "What it is (RFC 8693 3).")
        .default(r#""urn:ietf:params:oauth:token-type:jwt""#),
]];

const HTTP: &[Key] = &[
    Key::new(
        "url",
        Kind::Text,
        r#""https://api.example/auth/token""#,
        "The endpoint. Placeholders may stand behind the host.",
    )
    .required(),
    Key::new(
        "method",
        Kind::Choice(&["GET", "POST", "PUT", "PATCH"]),
        r#""POST""#,
        "The method. Default: POST with form or json, else GET.",
    ),
    Key::new(
        "headers",
        Kind::Free,
        r#"{ accept = "application/json" }"#,
        "Header fields. {{ secret }}, {{ refresh_token }} and {{ token.NAME }} are filled in, in url, form and json too.",
    ),
    Key::new(
        "bearer",
        Kind::Table(BEARER),
        r#"{ token = "sunbird" }"#,
        "Another token of this config, obtained first and sent as Authorization: Bearer.",
    ),
    Key::new(
        "form",
        Kind::Free,
        r#"{ refresh_token = "{{ refresh_token }}" }"#,
        "The body as form fields: strings, or lists of strings.",
    ),
    Key::new(
        "json",
        Kind::Free,
        r#"{ key = "jobs", secret = "{{ secret }}" }"#,
        "Instead of form: the body as JSON; placeholders in its strings are filled in at any depth.",
    ),
    TEXT_SECRET,
    Key::new(
        "refresh_token",
        Kind::Table(&[PLACES]),
        r#"{ file = "portal.refresh" }"#,
        "What {{ refresh_token }} stands for: the first one; later ones live in state_dir. Another one put here wins over them.",
    ),
    Key::new(
        "response",
        Kind::Table(&[RESPONSE, RESPONSE_REFRESH]),
        r#"{ token = "/access_token", expires_in = "/expires_in" }"#,
        "Where the answer's members stand, as JSON pointers (RFC 6901).",
    )
    .required(),
];

const TEXT_SECRET: Key = Key::new(
    "secret",
    Kind::Table(&[PLACES]),
    r#"{ file = "api.secret" }"#,
    "What {{ secret }} stands for, in one of four places.",
);

const BEARER: Keys =
    &[&[Key::new("token", Kind::Text, r#""sunbird""#, "The name of a token of this config.").required()]];

const RESPONSE: &[Key] = &[
    Key::new("token", Kind::Text, r#""/result/access_token""#, "Where the token stands.").required(),
    Key::new("expires_in", Kind::Text, r#""/result/expires_in""#, "Where its lifetime in seconds stands."),
    Key::new(
        "expires_at",
        Kind::Text,
        r#""/result/expires_at""#,
        "Where its expiry stands: RFC 3339, or Unix seconds.",
    ),
];

const RESPONSE_REFRESH: &[Key] = &[Key::new(
    "refresh_token",
    Kind::Text,
    r#""/result/refresh_token""#,
    "Where the next refresh token stands; without it the one at hand stays.",
)];

const GITHUB_APP: &[Key] = &[
    Key::new("app_id", Kind::Id, r#""12345""#, "The app's id. This, or client_id."),
    Key::new("client_id", Kind::Text, r#""Iv23liAbCdEfGhIjKlMn""#, "The app's client id. This, or app_id."),
    Key::new(
        "private_key",
        Kind::Table(&[PLACES]),
        r#"{ file = "app.pem" }"#,
        "The app's private key (RSA), as GitHub hands it out, in one of four places.",
    )
    .required(),
    Key::new(
        "installation_id",
        Kind::Id,
        r#""67890""#,
        "The installation's id. This, or installation_owner, or repository.",
    ),
    Key::new(
        "installation_owner",
        Kind::Text,
        r#""acme""#,
        "The user or organization whose installation is looked up. (`owner` is the owner of the token's files.)",
    ),
    Key::new(
        "repository",
        Kind::Text,
        r#""acme/jobs""#,
        "A repository, as OWNER/NAME, whose installation is looked up.",
    ),
    Key::new(
        "permissions",
        Kind::Free,
        r#"{ contents = "read" }"#,
        "What the token may do: read, write or admin by name. Default: all that the installation may.",
    ),
    Key::new(
        "repositories",
        Kind::Texts,
        r#"["jobs"]"#,
        "The repositories it is good for, without their owner. Default: all of the installation.",
    ),
    Key::new(
        "api_url",
        Kind::Text,
        r#""https://api.github.com""#,
        "The API; of GitHub Enterprise: https://HOST/api/v3.",
    )
    .default(r#""https://api.github.com""#),
];

const COMMAND: &[Key] = &[
    Key::new(
        "command",
        Kind::Texts,
        r#"["/usr/local/bin/get-token"]"#,
        "A program and its arguments, run without a shell. It prints the token, or JSON that response reads, or an ExecCredential.",
    )
    .required(),
    Key::new(
        "env",
        Kind::Free,
        r#"{ API_SECRET = "{{ secret }}" }"#,
        "Its environment beside PATH, HOME and the like. {{ secret }} and {{ token.NAME }} are filled in.",
    ),
    TEXT_SECRET,
    Key::new(
        "response",
        Kind::Table(&[RESPONSE]),
        r#"{ token = "/token", expires_at = "/expiry" }"#,
        "Where the members stand in what it prints, as JSON pointers (RFC 6901). Without it: the bare token, or an ExecCredential.",
    ),
    TIMEOUT,
    TTL,
];

const NETWORK: &[Key] = &[
    Key::new("ca_file", Kind::Path, r#""ca.pem""#, "Certificates (PEM) that are trusted beside those of the system."),
    TIMEOUT,
    TTL,
    Key::new("allow_http", Kind::Bool, "true", "Allows plain http beyond loopback (127.0.0.0/8, ::1, localhost).")
        .default("false"),
];

const TIMEOUT: Key = Key::new("timeout", Kind::Span, r#""30s""#, "How long one try may take.").default(r#""30s""#);

const TTL: Key =
    Key::new("ttl", Kind::Span, r#""1h""#, "The lifetime at most, and the one of a token whose answer tells none.");
