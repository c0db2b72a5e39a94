//! Owns: `source = "github-app"`: an installation access token.
//! Does not: look installations up.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::reach::Reach;
use super::stage::{Ready, Stage};
use crate::core::crypto::SigningKey;

#[derive(Clone, Debug)]
pub struct GithubAppSettings<S: Stage = Ready> {
    /// The app's id or its client id: the JWT's iss.
    pub app: S::Must<String>,
    pub key: S::Must<S::Key>,
    pub installation: S::Must<Installation>,
    pub permissions: BTreeMap<String, String>,
    /// Names without their owner. Empty: all of the installation.
    pub repositories: Vec<String>,
    /// Without a slash at its end.
    pub api_url: S::Must<String>,
    pub reach: Reach<S>,
}

/// Which installation of the app; all but `Id` are looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Installation {
    Id(String),
    /// Of a user or an organization.
    Owner(String),
    /// `owner/name`.
    Repository(String),
}

impl<S: Stage> GithubAppSettings<S> {
    /// Ready for use, with its key.
    pub(crate) fn ready(&self, key: Arc<SigningKey>, reach: Reach) -> Option<GithubAppSettings> {
        Some(GithubAppSettings {
            app: S::known(&self.app)?.clone(),
            key,
            installation: S::known(&self.installation)?.clone(),
            permissions: self.permissions.clone(),
            repositories: self.repositories.clone(),
            api_url: S::known(&self.api_url)?.clone(),
            reach,
        })
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
