//! Owns: one source while it is planned: its credentials are asked for here by what they are for, and what is lacking is noted.
//! Does not: know which source needs what.

use std::sync::Arc;
use std::time::Duration;

use super::credential::{CredentialForm, CredentialProblem, Keyring, MadeCredential, ReadyCredential, suits};
use super::lacks::Ledger;
use crate::core::config::{RawCredential, RawIdentity, Written};
use crate::core::crypto::{Algorithm, SecretEncoding, SigningKey};
use crate::core::diagnostic::Located;
use crate::core::facts::Facts;
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, FirstRefresh, Identity, Lack, Lifetime, Reach, SecretText, TokenName};

/// The credentials of a source, in order of being asked for.
#[derive(Default)]
pub(super) struct Credentials {
    /// `None` where there is none that can be used.
    pub digests: Vec<Option<Fingerprint>>,
    /// Of the last secret that signs.
    pub encoding: Option<SecretEncoding>,
}

/// One source while it is planned: what it lacks, and what its credentials were made from.
pub(in crate::core) struct Making<'m, 'r> {
    token: &'r TokenName,
    /// How long a token that is signed here lives, and how far it is backdated.
    pub lifetime: Lifetime,
    pub skew: Duration,
    facts: &'m Facts,
    keyring: &'m mut Keyring<'r>,
    ledger: &'m mut Ledger,
    pub lack: Option<Lack>,
    /// A credential that stands in the text cannot be used.
    pub refused: bool,
    pub(super) credentials: Credentials,
}

impl<'m, 'r> Making<'m, 'r> {
    pub(super) fn new(
        token: &'r TokenName,
        (lifetime, skew): (Lifetime, Duration),
        facts: &'m Facts,
        keyring: &'m mut Keyring<'r>,
        ledger: &'m mut Ledger,
    ) -> Self {
        let credentials = Credentials::default();
        Self { token, lifetime, skew, facts, keyring, ledger, lack: None, refused: false, credentials }
    }

    fn credential(
        &mut self,
        raw: &'r RawCredential,
        form: CredentialForm,
        suits: impl Fn(&ReadyCredential) -> Result<(), CredentialProblem>,
    ) -> Option<ReadyCredential> {
        let found = self.keyring.credential(self.token, raw, form, suits, self.ledger);
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

    pub(crate) fn secret_key(
        &mut self,
        raw: &'r RawCredential,
        algorithm: Algorithm,
        allow_weak: bool,
    ) -> Option<Arc<SigningKey>> {
        self.key(raw, CredentialForm::Secret(raw.encoding), |ready| suits(ready, algorithm, allow_weak))
    }

    pub(crate) fn private_key(&mut self, raw: &'r RawCredential, algorithm: Algorithm) -> Option<Arc<SigningKey>> {
        self.key(raw, CredentialForm::PrivateKey, |ready| suits(ready, algorithm, false))
    }

    /// The key of a source that signs by one algorithm only.
    pub(crate) fn rsa_key(&mut self, raw: &'r RawCredential, algorithm: Algorithm) -> Option<Arc<SigningKey>> {
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
        let MadeCredential::Key(key) = self.credential(raw, form, suits)?.made else { return None };
        Some(key)
    }

    fn text(&mut self, raw: &'r RawCredential) -> Option<(SecretText, Fingerprint)> {
        let ready = self.credential(raw, CredentialForm::Text, |_| Ok(()))?;
        let MadeCredential::Text(text) = ready.made else { return None };
        Some((text, ready.digest))
    }

    pub(crate) fn bytes(
        &mut self,
        raw: &'r RawCredential,
        form: CredentialForm,
        suits: impl Fn(&[u8]) -> Result<(), CredentialProblem>,
    ) -> Option<Arc<Secret<Vec<u8>>>> {
        let suits = |ready: &ReadyCredential| match &ready.made {
            MadeCredential::Bytes(bytes) => suits(bytes.expose()),
            MadeCredential::Key(_) | MadeCredential::Text(_) => Ok(()),
        };
        let MadeCredential::Bytes(bytes) = self.credential(raw, form, suits)?.made else { return None };
        Some(bytes)
    }

    /// The secret that placeholders stand for.
    pub(crate) fn secret(&mut self, raw: Option<&'r Arc<RawCredential>>) -> Option<SecretText> {
        self.text(raw?).map(|(text, _)| text)
    }

    /// Those that placeholders name.
    pub(crate) fn secrets(&mut self, raw: &'r [(String, Arc<RawCredential>)]) -> Vec<(String, SecretText)> {
        raw.iter().filter_map(|(name, raw)| Some((name.clone(), self.secret(Some(raw))?))).collect()
    }

    pub(crate) fn refresh(&mut self, raw: Option<&'r Arc<RawCredential>>) -> Option<FirstRefresh> {
        self.text(raw?).map(|(token, digest)| FirstRefresh { token: Some(token), digest })
    }

    pub(crate) fn identity(&mut self, raw: &'r RawIdentity) -> Option<Identity> {
        let certificates = self.bytes(raw.certificate.as_ref()?, CredentialForm::Certificates, |_| Ok(()));
        let key = self.bytes(raw.key.as_ref()?, CredentialForm::PemKey, |_| Ok(()));
        Some(Identity { certificates: certificates?.expose().as_slice().into(), key: key? })
    }

    pub(crate) fn reach(&mut self, raw: &'r Reach<Written>) -> Reach {
        let ca = raw.ca.as_ref().and_then(|ca| self.bytes(ca, CredentialForm::Trusted, |_| Ok(())));
        Reach {
            ca: ca.map(|ca| ca.expose().as_slice().into()),
            timeout: raw.timeout,
            allow_http: raw.allow_http,
            user_agent: raw.user_agent.clone(),
            ttl: raw.ttl.map(|ttl| ttl.value),
        }
    }

    pub(crate) fn look_for_program(&mut self, argv: &Located<Vec<String>>) {
        let Some(program) = argv.value.first() else { return };
        let whose = format!("the command of token `{}`", self.token);
        if let Some(lack) = self.ledger.program(self.facts, &whose, program, argv.span) {
            self.lack.get_or_insert(lack);
        }
    }
}
