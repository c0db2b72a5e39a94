//! Owns: `source = "github-app"`.
//! Does not: look installations up.

use super::Making;
use crate::core::config::RawGithubApp;
use crate::core::key::Algorithm;
use crate::core::settings::GithubAppSettings;

pub(super) fn plan<'r>(raw: &'r RawGithubApp, making: &mut Making<'_, 'r>) -> Option<GithubAppSettings> {
    let credential = raw.private_key.as_ref();
    let key = credential.and_then(|key| making.rsa_key("private key", key, Algorithm::RS256));
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
