//! Owns: `source = "github-app"`: an installation access token: its keys, how it is read, and its settings.
//! Does not: look installations up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::config::address::{self, Query};
use crate::core::config::keys::common::PLACES;
use crate::core::config::keys::{KeyEntry, entries};
use crate::core::config::placeholders::pairs;
use crate::core::config::section::{Section, SectionReader};
use crate::core::config::stage::{RawKey, Written};
use crate::core::config::{credential, reach};
use crate::core::crypto::Algorithm;
use crate::core::diagnostic::quote;
use crate::core::plan::Making;
use crate::core::redact;
use crate::core::settings::{Reach, Ready, SourceSettings, Stage};

/// An installation access token (docs.github.com, "Generating an installation access token").
#[derive(Clone, Debug)]
pub struct GithubAppSettings<S: Stage = Ready> {
    /// The app's id or its client id: the JWT's iss.
    pub app: S::Must<String>,
    /// An RSA key: the JWT is RS256.
    pub key: S::Must<S::Key>,
    /// One of three keys says it.
    pub installation: S::Must<Installation>,
    /// `read`, `write` or `admin` by name. Empty: all that the installation may.
    pub permissions: BTreeMap<String, String>,
    /// Names without their owner. Empty: all of the installation.
    pub repositories: Vec<String>,
    /// Without a slash at its end.
    pub api_url: S::Must<String>,
    /// Of the API, for the look-up and for the token.
    pub reach: Reach<S>,
}

/// Which installation of the app; all but `Id` are looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Installation {
    /// Its number, as it stands in the address of its page.
    Id(String),
    /// Of a user or an organization.
    Owner(String),
    /// `owner/name`.
    Repository(String),
}

impl<S: Stage> SourceSettings<S> for GithubAppSettings<S> {
    fn ttl(&self) -> Option<&S::At<Duration>> {
        self.reach.ttl.as_ref()
    }

    fn longest_try(&self) -> Duration {
        // The installation is looked up before.
        self.reach.timeout.saturating_mul(2)
    }
}

impl GithubAppSettings {
    /// What a token follows from, but for the key.
    pub(crate) fn canonical(&self) -> Value {
        let Self { app, key: _, installation, permissions, repositories, api_url, reach: _ } = self;
        let installation = match installation {
            Installation::Id(id) => ("id", id),
            Installation::Owner(owner) => ("owner", owner),
            Installation::Repository(repository) => ("repository", repository),
        };
        json!([app, installation, permissions, repositories, api_url])
    }
}

/// The keys of such a token.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// The app's id. This, or client_id.
    app_id: Id = r#""12345""#;
    /// The app's client id. This, or app_id.
    client_id: Text = r#""Iv23liAbCdEfGhIjKlMn""#;
    /// The app's private key (RSA), as GitHub hands it out, in one of five places.
    private_key: Table(&[PLACES]) = r#"{ file = "app.pem" }"#, required;
    /// The installation's id. This, or installation_owner, or repository.
    installation_id: Id = r#""67890""#;
    /// The user or organization whose installation is looked up. (`owner` is the owner of the token's files.)
    installation_owner: Text = r#""acme""#;
    /// A repository, as OWNER/NAME, whose installation is looked up.
    repository: Text = r#""acme/jobs""#;
    /// What the token may do: read, write or admin by name. Default: all that the installation may.
    permissions: Free = r#"{ contents = "read" }"#;
    /// The repositories it is good for, without their owner. Default: all of the installation.
    repositories: Texts = r#"["jobs"]"#;
    /// The API; of GitHub Enterprise: https://HOST/api/v3.
    api_url: Text = r#""https://api.github.com""#, default(r#""https://api.github.com""#);
};

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> GithubAppSettings<Written> {
    let reach = reach::read(cx, token);
    let app = one_of(cx, token, &["app_id", "client_id"]).and_then(|key| match key {
        "app_id" => token.id(cx, key),
        _ => token.visible(cx, key),
    });
    GithubAppSettings {
        app,
        key: credential::read(cx, token, "private_key", "private key").map(RawKey::Private),
        installation: installation(cx, token),
        permissions: permissions(cx, token),
        repositories: repositories(cx, token),
        api_url: match token.has("api_url") {
            true => address::read(cx, token, "api_url", Query::Refused, reach.allow_http)
                .map(|url| url.trim_end_matches('/').to_owned()),
            false => Some(token.default("api_url").into()),
        },
        reach,
    }
}

/// The one key of several that is there; told where there is none, or a second one.
fn one_of<'k>(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, keys: &[&'k str]) -> Option<&'k str> {
    let mut there = keys.iter().filter_map(|key| Some((*key, token.key_span(cx, key)?)));
    match (there.next(), there.next()) {
        (Some((key, _)), None) => Some(key),
        (Some((first, before)), Some((second, span))) => {
            cx.beside(first, before, second, span);
            None
        }
        (None, _) => {
            let mut help = format!("add one of {}", keys.join(", "));
            if token.has("owner") && keys.contains(&"installation_owner") {
                help.push_str("; `owner` is the owner of the token's files");
            }
            cx.error(token.header, format!("`{}` is missing", keys.first().unwrap_or(&"")), help);
            None
        }
    }
}

fn installation(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<Installation> {
    let key = one_of(cx, token, &["installation_id", "installation_owner", "repository"])?;
    if key == "installation_id" {
        return token.id(cx, key).map(Installation::Id);
    }
    let text = token.text(cx, key)?;
    let is_name = |name: &str| !name.is_empty() && name != "." && name != ".." && name.bytes().all(in_name);
    match (key, text.value.split_once('/')) {
        ("installation_owner", None) if is_name(&text.value) => return Some(Installation::Owner(text.value)),
        ("repository", Some((owner, name))) if is_name(owner) && is_name(name) => {
            return Some(Installation::Repository(text.value));
        }
        _ => {}
    }
    let help =
        if key == "repository" { "OWNER/NAME: \"acme/jobs\"" } else { "the name of a user or organization: \"acme\"" };
    cx.error(text.span, format!("`{key}` cannot be {}", quote(&text.value)), help);
    None
}

/// What GitHub allows in names.
fn in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn permissions(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> BTreeMap<String, String> {
    let mut permissions = BTreeMap::new();
    for (name, level) in pairs(cx, token, "permissions", false) {
        if !["read", "write", "admin"].contains(&level.value.as_str()) {
            let title = format!("`permissions.{}` cannot be {}", redact::name(&name.value), quote(&level.value));
            cx.error(level.span, title, "one of read, write, admin");
        } else if name.value.is_empty() || !name.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            let help = "GitHub's name of it: contents, pull_requests";
            cx.error(name.span, format!("no permission is called {}", quote(&name.value)), help);
        } else {
            permissions.insert(name.value, level.value);
        }
    }
    permissions
}

fn repositories(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Vec<String> {
    let mut names = Vec::new();
    for name in token.texts(cx, "repositories") {
        if !name.value.is_empty() && name.value.bytes().all(in_name) {
            names.push(name.value);
            continue;
        }
        let help = "the name alone, without its owner: \"jobs\"";
        cx.error(name.span, format!("{} names no repository", quote(&name.value)), help);
    }
    names
}

/// GitHub knows one algorithm ("Generating a JSON Web Token (JWT) for a GitHub App").
pub(super) fn plan<'r>(raw: &'r GithubAppSettings<Written>, making: &mut Making<'_, 'r>) -> Option<GithubAppSettings> {
    let key = match raw.key.as_ref() {
        Some(RawKey::Private(from)) => making.rsa_key(from, Algorithm::RS256),
        Some(RawKey::Secret { .. } | RawKey::Certified(_) | RawKey::ServiceAccount(_)) | None => None,
    };
    let reach = making.reach(&raw.reach);
    Some(GithubAppSettings {
        app: raw.app.clone()?,
        key: key?,
        installation: raw.installation.clone()?,
        permissions: raw.permissions.clone(),
        repositories: raw.repositories.clone(),
        api_url: raw.api_url.clone()?,
        reach,
    })
}
