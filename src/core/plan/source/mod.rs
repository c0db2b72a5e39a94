//! Owns: a token's source from raw to ready, in one file a kind: its settings with every credential in them, or what the
//! machine lacks.
//! Does not: find credentials (`credential` does), or obtain anything.

mod fingerprint;
mod google;
mod jwt;
mod oauth2;

use std::sync::Arc;

use super::credential::{CredentialForm, CredentialProblem, Keyring, MadeCredential, ReadyCredential, suits};
use super::lacks::Ledger;
use super::schedule::Timing;
use crate::core::config::{RawCredential, RawIdentity, RawKey, RawSource, RawToken, Written};
use crate::core::crypto::{Algorithm, SigningKey};
use crate::core::diagnostic::Severity;
use crate::core::facts::Facts;
use crate::core::secret::Secret;
use crate::core::settings::{
    CommandSettings, Fingerprint, FirstRefresh, Identity, Lack, Reach, SecretText, SourcePlan,
};
use fingerprint::{Credentials, fingerprint};

/// What became of a source.
pub(super) struct PlannedSource {
    pub source: SourcePlan,
    pub fingerprint: Fingerprint,
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
) -> Option<PlannedSource> {
    let kind = token.source.kind();
    let mut making =
        Making { token, facts, keyring, ledger, lack: None, refused: false, credentials: Credentials::default() };
    let source = match &token.source {
        RawSource::Jwt(raw) => jwt::plan(raw, timing, &mut making).map(|settings| SourcePlan::Jwt(settings.into())),
        RawSource::OAuth2(raw) => oauth2::plan(raw, &mut making).map(|settings| SourcePlan::OAuth2(settings.into())),
        RawSource::Http(raw) => {
            let (secret, refresh) = (making.secret(raw.secret.as_ref()), making.refresh(raw.refresh_token.as_ref()));
            raw.ready(secret, refresh, making.reach(&raw.reach)).map(|settings| SourcePlan::Http(settings.into()))
        }
        RawSource::GithubApp(raw) => {
            let (key, reach) = (github_key(raw.key.as_ref(), &mut making), making.reach(&raw.reach));
            key.and_then(|key| raw.ready(key, reach)).map(|settings| SourcePlan::GithubApp(settings.into()))
        }
        RawSource::Command(raw) => {
            let secret = making.secret(raw.secret.as_ref());
            making.look_for_program(raw);
            raw.ready(secret).map(|settings| SourcePlan::Command(settings.into()))
        }
        RawSource::Lacking(never) => match *never {},
    };
    // What is wrong in the text is told already where it was read.
    if making.refused || (source.is_none() && making.lack.is_none()) {
        return None;
    }
    let Making { lack, credentials, .. } = making;
    // Where no credential is lacking, but the CA's file or the program, the token in place stays the one of its settings.
    let fingerprint =
        source.as_ref().map_or_else(|| fingerprint::lacking(kind), |source| fingerprint(source, &credentials));
    Some(PlannedSource {
        single_use: token.source.first_refresh_token().is_some(),
        fingerprint,
        source: source.filter(|_| lack.is_none()).unwrap_or(SourcePlan::Lacking(kind)),
        lack,
    })
}

/// GitHub knows one algorithm ("Generating a JSON Web Token (JWT) for a GitHub App").
fn github_key<'r>(key: Option<&'r RawKey>, making: &mut Making<'_, 'r>) -> Option<Arc<SigningKey>> {
    match key? {
        RawKey::Private(from) => making.rsa_key(from, Algorithm::RS256),
        RawKey::Secret { .. } | RawKey::Certified(_) | RawKey::ServiceAccount(_) => None,
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
        raw: &'r RawCredential,
        form: CredentialForm,
        suits: impl Fn(&ReadyCredential) -> Result<(), CredentialProblem>,
    ) -> Option<ReadyCredential> {
        let found = self.keyring.credential(&self.token.name.value, raw, form, suits, self.ledger);
        let ready = match found {
            Ok(ready) => Some(ready),
            Err(Some(lack)) => {
                // The first of several.
                self.lack.get_or_insert(lack);
                None
            }
            Err(None) => {
                self.refused = true;
                None
            }
        };
        // Whom a connection trusts makes no other token.
        if form != CredentialForm::Trusted {
            self.credentials.digests.push(ready.as_ref().map(|ready| ready.digest));
        }
        if let CredentialForm::Secret(encoding) = form {
            self.credentials.encoding = Some(encoding);
        }
        ready
    }

    fn secret_key(
        &mut self,
        raw: &'r RawCredential,
        algorithm: Algorithm,
        allow_weak: bool,
    ) -> Option<Arc<SigningKey>> {
        self.key(raw, CredentialForm::Secret(raw.encoding), |ready| suits(ready, algorithm, allow_weak))
    }

    fn private_key(&mut self, raw: &'r RawCredential, algorithm: Algorithm) -> Option<Arc<SigningKey>> {
        self.key(raw, CredentialForm::PrivateKey, |ready| suits(ready, algorithm, false))
    }

    /// The key of a source that signs by one algorithm only.
    fn rsa_key(&mut self, raw: &'r RawCredential, algorithm: Algorithm) -> Option<Arc<SigningKey>> {
        self.key(raw, CredentialForm::PrivateKey, |ready| {
            suits(ready, algorithm, false).map_err(|problem| problem.with_help("use an RSA key"))
        })
    }

    fn key(
        &mut self,
        raw: &'r RawCredential,
        form: CredentialForm,
        suits: impl Fn(&ReadyCredential) -> Result<(), CredentialProblem>,
    ) -> Option<Arc<SigningKey>> {
        match self.credential(raw, form, suits)?.made {
            MadeCredential::Key(key) => Some(key),
            MadeCredential::Text(_) | MadeCredential::Bytes(_) => None,
        }
    }

    fn text(&mut self, raw: &'r RawCredential) -> Option<(SecretText, Fingerprint)> {
        let ready = self.credential(raw, CredentialForm::Text, |_| Ok(()))?;
        match ready.made {
            MadeCredential::Text(text) => Some((text, ready.digest)),
            MadeCredential::Key(_) | MadeCredential::Bytes(_) => None,
        }
    }

    fn bytes(
        &mut self,
        raw: &'r RawCredential,
        form: CredentialForm,
        suits: impl Fn(&[u8]) -> Result<(), CredentialProblem>,
    ) -> Option<Arc<Secret<Vec<u8>>>> {
        let suits = |ready: &ReadyCredential| match &ready.made {
            MadeCredential::Bytes(bytes) => suits(bytes.expose()),
            MadeCredential::Key(_) | MadeCredential::Text(_) => Ok(()),
        };
        match self.credential(raw, form, suits)?.made {
            MadeCredential::Bytes(bytes) => Some(bytes),
            MadeCredential::Key(_) | MadeCredential::Text(_) => None,
        }
    }

    /// The secret that placeholders stand for.
    fn secret(&mut self, raw: Option<&'r Arc<RawCredential>>) -> Option<SecretText> {
        self.text(raw?).map(|(text, _)| text)
    }

    fn refresh(&mut self, raw: Option<&'r Arc<RawCredential>>) -> Option<FirstRefresh> {
        self.text(raw?).map(|(token, digest)| FirstRefresh { token, digest })
    }

    fn identity(&mut self, raw: &'r RawIdentity) -> Option<Identity> {
        let certificates = self.bytes(raw.certificate.as_ref()?, CredentialForm::Certificates, |_| Ok(()));
        let key = self.bytes(raw.key.as_ref()?, CredentialForm::PemKey, |_| Ok(()));
        Some(Identity { certificates: certificates?.expose().as_slice().into(), key: key? })
    }

    fn reach(&mut self, raw: &'r Reach<Written>) -> Reach {
        let ca = raw.ca.as_ref().and_then(|ca| self.bytes(ca, CredentialForm::Trusted, |_| Ok(())));
        raw.ready(ca.map(|ca| ca.expose().as_slice().into()))
    }

    fn look_for_program(&mut self, raw: &'r CommandSettings<Written>) {
        let Some((argv, program)) = raw.argv.as_ref().and_then(|argv| Some((argv, argv.value.first()?))) else {
            return;
        };
        if let Some(Some(problem)) = self.facts.programs.get(program.as_str()) {
            let message = format!("the command of token `{}`: `{program}` {problem}", self.token.name.value);
            let help = "install it, make it executable, or name it by its absolute path";
            let lack = self.ledger.lack(argv.span, message, help, Severity::Lack);
            self.lack.get_or_insert(lack);
        }
    }
}
