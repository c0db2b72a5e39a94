//! Owns: what a token is made from, as one digest: of the ready settings of its source, and of its credentials.
//!
//! The settings are taken apart member by member, without `..`: a new one does not compile before it is decided whether a
//! token follows from it. Those that do not count have a `_` and the reason. Secrets are in it by the digests of
//! their credentials alone, which are noted where credentials are asked for.
//!
//! The digest is kept in the state: a change of its form obtains every token of that source anew.
//! Does not: find credentials, or compare anything.

use serde_json::{Value, json};

use super::oauth2::ASSERTION_LIFETIME;
use crate::core::key::SecretEncoding;
use crate::core::pattern::Pattern;
use crate::core::settings::{
    AssertionSettings, Body, ClientAuth, CommandSettings, Fingerprint, GithubAppSettings, Grant, HttpSettings,
    Installation, JwtSettings, KeyClaim, Lifetime, OAuth2Settings, Pointers, Reach, SourceKind, SourcePlan,
    SubjectToken, TokenEndpoint,
};

/// The credentials of a source, in order of being asked for.
#[derive(Default)]
pub(super) struct Credentials {
    /// `None` where there is none that can be used.
    pub digests: Vec<Option<Fingerprint>>,
    /// Of the last secret that signs.
    pub encoding: Option<SecretEncoding>,
}

/// What a token of this source is made from. A source without ready settings (`Lacking`) makes none.
pub(super) fn fingerprint(source: &SourcePlan, credentials: &Credentials) -> Fingerprint {
    let text = match source {
        SourcePlan::Jwt(settings) => jwt(settings, credentials),
        SourcePlan::OAuth2(settings) => obtained(source, oauth2(settings), credentials, ttl(&settings.reach)),
        SourcePlan::Http(settings) => obtained(source, http(settings), credentials, ttl(&settings.reach)),
        SourcePlan::GithubApp(settings) => obtained(source, github_app(settings), credentials, ttl(&settings.reach)),
        SourcePlan::Command(settings) => {
            let (text, ttl) = command(settings);
            obtained(source, text, credentials, ttl)
        }
        SourcePlan::Lacking(kind) => return lacking(*kind),
    };
    Fingerprint::of(text.to_string().as_bytes())
}

/// Of a token that cannot be obtained: no token was made from it.
pub(super) fn lacking(kind: SourceKind) -> Fingerprint {
    Fingerprint::of(json!([format!("{} lacking", kind.as_str())]).to_string().as_bytes())
}

fn obtained(source: &SourcePlan, text: Value, credentials: &Credentials, ttl: Value) -> Value {
    json!([format!("{} 1", source.kind().as_str()), text, digests(credentials), ttl])
}

fn digests(credentials: &Credentials) -> Vec<Option<[u8; 16]>> {
    credentials.digests.iter().map(|digest| digest.map(|digest| digest.0)).collect()
}

fn jwt(settings: &JwtSettings, credentials: &Credentials) -> Value {
    let JwtSettings {
        algorithm,
        signing_key: _, // by its digest
        key,
        key_claim,
        lifetime,
        skew,
        claims,
        header,
        iat,
        exp,
        nbf,
        jti,
    } = settings;
    json!([
        "jwt 1",
        algorithm.name(),
        key,
        match key_claim {
            KeyClaim::Iss => "iss",
            KeyClaim::Kid => "kid",
        },
        match lifetime {
            Lifetime::For(span) => Some(span.as_secs()),
            Lifetime::Never => None,
        },
        millis(*skew),
        claims,
        header,
        [iat, exp, nbf, jti],
        credentials.encoding.map(SecretEncoding::name),
        digests(credentials).first().copied().flatten(),
    ])
}

fn oauth2(settings: &OAuth2Settings) -> Value {
    // `reach` is told by `ttl`.
    let OAuth2Settings { endpoint, grant, client_id, client_auth, scope, params, reach: _ } = settings;
    let (grant, subject, of_grant) = match grant {
        Grant::ClientCredentials => ("client_credentials", None, None),
        Grant::RefreshToken(_) => ("refresh_token", None, None), // by its digest
        Grant::JwtBearer(settings) => ("jwt_bearer", None, Some(assertion(settings))),
        Grant::TokenExchange { subject, subject_type } => {
            ("token_exchange", Some(self::subject(subject, subject_type)), None)
        }
    };
    let (auth, of_client) = match client_auth {
        ClientAuth::None => ("none", None),
        ClientAuth::Basic(_) => ("client_secret_basic", None), // by its digest
        ClientAuth::Post(_) => ("client_secret_post", None),   // by its digest
        ClientAuth::Jwt(settings) => {
            let symmetric = settings.algorithm.min_secret_bytes().is_some();
            (if symmetric { "client_secret_jwt" } else { "private_key_jwt" }, Some(assertion(settings)))
        }
        ClientAuth::Tls(_) => ("tls_client_auth", None), // by the digests of certificate and key
    };
    let mut text = vec![
        // Null, as where no preset is: what one decides counts as what it decided. So does the seventh.
        Value::Null,
        match endpoint {
            TokenEndpoint::Url(url) => json!(["url", url]),
            TokenEndpoint::Issuer(issuer) => json!(["issuer", issuer]),
        },
        json!(grant),
        json!(auth),
        json!(client_id),
        json!(scope),
        Value::Null,
        json!(params),
        json!(subject),
    ];
    match (of_grant, of_client) {
        (Some(grant), Some(client)) => text.extend([grant, client]),
        (one, other) => text.push(json!(one.or(other))),
    }
    Value::Array(text)
}

fn subject(subject: &SubjectToken, subject_type: &str) -> Value {
    match subject {
        SubjectToken::File(path) => json!(["file", path.to_string_lossy(), subject_type]),
        SubjectToken::Token(name) => json!(["token", name.as_str(), subject_type]),
    }
}

fn assertion(settings: &AssertionSettings) -> Value {
    // The key counts by its digest.
    let AssertionSettings { algorithm, key: _, lifetime, claims, header } = settings;
    let lifetime = (*lifetime != ASSERTION_LIFETIME).then_some(lifetime.as_secs());
    json!([algorithm.name(), claims, header, lifetime])
}

fn http(settings: &HttpSettings) -> Value {
    let HttpSettings {
        url,
        method,
        headers,
        bearer,
        body,
        secret: _,        // by its digest
        refresh_token: _, // by its digest
        response,
        reach: _, // told by `ttl`
    } = settings;
    json!([
        url.source(),
        method,
        patterns(headers),
        bearer.as_ref().map(|bearer| bearer.as_str()),
        match body {
            Body::Form(fields) => json!(["form", patterns(fields)]),
            Body::Json(body) => json!(["json", body]),
            Body::None => Value::Null,
        },
        pointers(response),
    ])
}

fn github_app(settings: &GithubAppSettings) -> Value {
    let GithubAppSettings {
        app,
        key: _, // by its digest
        installation,
        permissions,
        repositories,
        api_url,
        reach: _, // told by `ttl`
    } = settings;
    let installation = match installation {
        Installation::Id(id) => ("id", id),
        Installation::Owner(owner) => ("owner", owner),
        Installation::Repository(repository) => ("repository", repository),
    };
    json!([app, installation, permissions, repositories, api_url])
}

fn command(settings: &CommandSettings) -> (Value, Value) {
    let CommandSettings {
        argv,
        env,
        secret: _,  // by its digest
        timeout: _, // how long a try may take: the token is the same
        response,
        ttl,
    } = settings;
    (json!([argv, patterns(env), response.as_ref().map(pointers)]), json!(ttl.map(millis)))
}

/// What of the way to an endpoint a token follows from.
fn ttl(reach: &Reach) -> Value {
    let Reach {
        ca: _,         // whom the connection trusts: the endpoint is the same
        timeout: _,    // how long a try may take: the token is the same
        allow_http: _, // whether the address is taken; the address itself counts
        ttl,
    } = reach;
    json!(ttl.map(millis))
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn pointers(pointers: &Pointers) -> Value {
    let Pointers { token, expires_in, expires_at, refresh_token } = pointers;
    json!([token, expires_in, expires_at, refresh_token])
}

fn patterns(pairs: &[(String, Pattern)]) -> Value {
    pairs.iter().map(|(name, pattern)| json!([name, pattern.source()])).collect()
}
