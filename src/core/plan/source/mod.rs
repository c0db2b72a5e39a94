//! Owns: a token's source from raw to ready, in one file a kind: its settings with every credential in them, or what the
//! machine lacks.
//! Does not: find credentials (`credential` does), or obtain anything.

mod command;
mod github_app;
mod google;
mod http;
mod jwt;
mod made_from;
mod oauth2;

use std::sync::Arc;
use std::time::Duration;

use super::credential::{Asked, Form, Keyring, Made, Problem, Ready, suits};
use super::lacks::Ledger;
use super::schedule::Timing;
use crate::core::config::{RawCredential, RawReach, RawSource, RawToken};
use crate::core::facts::Facts;
use crate::core::key::{Algorithm, SigningKey};
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, FirstRefresh, Lack, Reach, SecretText, SourcePlan};
use made_from::{Credentials, fingerprint};

/// How long a try takes at most where the config does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What became of a source.
pub(super) struct Planned {
    pub source: SourcePlan,
    pub made_from: Fingerprint,
    pub single_use: bool,
    pub lack: Option<Lack>,
}

/// `None`: a mistake in the text, which was told.
pub(super) fn plan<'r>(
    token: &'r RawToken,
    timing: &Timing,
    facts: &Facts,
    keyring: &mut Keyring<'r>,
    ledger: &mut Ledger,
) -> Option<Planned> {
    let kind = token.source.kind();
    let mut making =
        Making { token, facts, keyring, ledger, lack: None, refused: false, credentials: Credentials::default() };
    let source = match &token.source {
        RawSource::Jwt(raw) => jwt::plan(raw, timing, &mut making).map(|settings| SourcePlan::Jwt(Arc::new(settings))),
        RawSource::OAuth2(raw) => oauth2::plan(raw, &mut making).map(|settings| SourcePlan::OAuth2(Arc::new(settings))),
        RawSource::Http(raw) => http::plan(raw, &mut making).map(|settings| SourcePlan::Http(Arc::new(settings))),
        RawSource::GithubApp(raw) => {
            github_app::plan(raw, &mut making).map(|settings| SourcePlan::GithubApp(Arc::new(settings)))
        }
        RawSource::Command(raw) => {
            command::plan(raw, &mut making).map(|settings| SourcePlan::Command(Arc::new(settings)))
        }
    };
    // What is wrong in the text is told already where it was read.
    if making.refused || (source.is_none() && making.lack.is_none()) {
        return None;
    }
    let Making { lack, credentials, .. } = making;
    // Where no credential is lacking, but the CA's file or the program, the token in place stays the one of its settings.
    let made_from =
        source.as_ref().map_or_else(|| made_from::lacking(kind), |source| fingerprint(source, &credentials));
    Some(Planned {
        single_use: single_use(&token.source),
        made_from,
        source: source.filter(|_| lack.is_none()).unwrap_or(SourcePlan::Lacking(kind)),
        lack,
    })
}

/// Whether each token uses up what it was obtained with.
fn single_use(source: &RawSource) -> bool {
    match source {
        RawSource::OAuth2(oauth2) => oauth2.refresh_token.is_some(),
        RawSource::Http(http) => http.refresh_token.is_some(),
        RawSource::Jwt(_) | RawSource::GithubApp(_) | RawSource::Command(_) => false,
    }
}

/// One source while it is planned: what it lacks, and what its credentials were made from.
struct Making<'m, 'r> {
    token: &'r RawToken,
    facts: &'m Facts,
    keyring: &'m mut Keyring<'r>,
    ledger: &'m mut Ledger,
    lack: Option<Lack>,
    /// A credential that stands in the text cannot be used.
    refused: bool,
    credentials: Credentials,
}

impl<'r> Making<'_, 'r> {
    fn credential(
        &mut self,
        what: &'static str,
        raw: &'r RawCredential,
        form: Form,
        suits: impl Fn(&Ready) -> Result<(), Problem>,
    ) -> Option<Ready> {
        let asked = Asked { token: &self.token.name.value, what };
        let found = self.keyring.credential(asked, raw, form, suits, self.ledger);
        let ready = self.note(found);
        self.credentials.digests.push(ready.as_ref().map(|ready| ready.digest));
        if let Form::Secret(encoding) = form {
            self.credentials.encoding = Some(encoding);
        }
        ready
    }

    /// Keeps what is lacked: the first of several.
    fn note(&mut self, found: Result<Ready, Option<Lack>>) -> Option<Ready> {
        match found {
            Ok(ready) => Some(ready),
            Err(Some(lack)) => {
                self.lack.get_or_insert(lack);
                None
            }
            Err(None) => {
                self.refused = true;
                None
            }
        }
    }

    fn key(
        &mut self,
        what: &'static str,
        raw: &'r RawCredential,
        form: Form,
        algorithm: Algorithm,
        allow_weak: bool,
    ) -> Option<Arc<SigningKey>> {
        match self.credential(what, raw, form, |ready| suits(ready, algorithm, allow_weak))?.made {
            Made::Key(key) => Some(key),
            Made::Text(_) | Made::Bytes(_) => None,
        }
    }

    /// The key of a source that signs by one algorithm only.
    fn rsa_key(&mut self, what: &'static str, raw: &'r RawCredential, algorithm: Algorithm) -> Option<Arc<SigningKey>> {
        let fits =
            |ready: &Ready| suits(ready, algorithm, false).map_err(|problem| problem.with_help("use an RSA key"));
        match self.credential(what, raw, Form::PrivateKey, fits)?.made {
            Made::Key(key) => Some(key),
            Made::Text(_) | Made::Bytes(_) => None,
        }
    }

    fn text(&mut self, what: &'static str, raw: &'r RawCredential) -> Option<(SecretText, Fingerprint)> {
        let ready = self.credential(what, raw, Form::Text, |_| Ok(()))?;
        match ready.made {
            Made::Text(text) => Some((text, ready.digest)),
            Made::Key(_) | Made::Bytes(_) => None,
        }
    }

    fn bytes(
        &mut self,
        what: &'static str,
        raw: &'r RawCredential,
        form: Form,
        suits: impl Fn(&[u8]) -> Result<(), Problem>,
    ) -> Option<Arc<Secret<Vec<u8>>>> {
        let suits = |ready: &Ready| match &ready.made {
            Made::Bytes(bytes) => suits(bytes.expose()),
            Made::Key(_) | Made::Text(_) => Ok(()),
        };
        match self.credential(what, raw, form, suits)?.made {
            Made::Bytes(bytes) => Some(bytes),
            Made::Key(_) | Made::Text(_) => None,
        }
    }

    /// The secret that placeholders stand for.
    fn secret(&mut self, raw: Option<&'r RawCredential>) -> Option<SecretText> {
        self.text("secret", raw?).map(|(text, _)| text)
    }

    fn first_refresh(&mut self, raw: &'r RawCredential) -> Option<FirstRefresh> {
        self.text("refresh token", raw).map(|(token, digest)| FirstRefresh { token, digest })
    }

    fn reach(&mut self, raw: &'r RawReach) -> Reach {
        let ca = raw.ca_file.as_ref().and_then(|path| {
            let asked = Asked { token: &self.token.name.value, what: "CA file" };
            let found = self.keyring.certificates(asked, path, self.ledger);
            match self.note(found)?.made {
                Made::Bytes(bytes) => Some(bytes.expose().as_slice().into()),
                Made::Key(_) | Made::Text(_) => None,
            }
        });
        Reach {
            ca,
            timeout: raw.timeout.unwrap_or(TIMEOUT),
            allow_http: raw.allow_http,
            ttl: raw.ttl.map(|ttl| ttl.value),
        }
    }
}
