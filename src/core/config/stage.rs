//! Owns: the settings of a source at the stage where they are written: credentials by their places, and what was found wrong
//! is absent.
//! Does not: read them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::crypto::SecretEncoding;
use crate::core::diagnostic::Located;
use crate::core::environment::{Environment, PathProblem};
use crate::core::secret::Secret;
use crate::core::settings::Stage;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Written;

/// A credential: `secret`, `private_key`, `client_secret` and the like.
#[derive(Debug)]
pub(crate) struct RawCredential {
    /// As messages call it: "client secret".
    pub what: Cow<'static, str>,
    pub from: Option<Located<CredentialFrom>>,
    /// Where it stands in that, if that is JSON (RFC 6901).
    pub pointer: Option<String>,
    pub encoding: SecretEncoding,
    /// That anybody may read it is meant so.
    pub allow_readable: bool,
}

#[derive(Debug)]
pub(crate) enum CredentialFrom {
    Value(Secret<String>),
    File(PathBuf),
    Variable(String),
    /// The name of a credential of the unit.
    Credential(String),
    /// argv of a program that prints it.
    Command(Vec<String>),
}

/// Where a key that signs comes from.
#[derive(Clone, Debug)]
pub(crate) enum RawKey {
    Secret {
        from: Arc<RawCredential>,
        allow_weak: bool,
    },
    Private(Arc<RawCredential>),
    /// A private key that is known by the digest of its certificate.
    Certified(RawIdentity),
    /// Google's key file, which says more than the key.
    ServiceAccount(Arc<RawCredential>),
}

#[derive(Clone, Debug)]
pub(crate) struct RawIdentity {
    pub certificate: Option<Arc<RawCredential>>,
    pub key: Option<Arc<RawCredential>>,
}

impl Stage for Written {
    type Key = RawKey;
    type Text = Arc<RawCredential>;
    type Refresh = Arc<RawCredential>;
    type Certificates = Arc<RawCredential>;
    type Identity = RawIdentity;
    type Content = ();
    type Must<T: Clone + Debug> = Option<T>;
    type At<T: Clone + Debug> = Located<T>;
    type OrDefault<T: Clone + Debug> = Option<Located<T>>;
    type Lacking = Infallible;

    fn known<T: Clone + Debug>(must: &Option<T>) -> Option<&T> {
        must.as_ref()
    }

    fn value<T: Clone + Debug>(at: &Located<T>) -> &T {
        &at.value
    }
}

/// Where a credential of the unit is (systemd.exec(5), LoadCredential=).
pub(crate) fn credential_file(name: &str, env: &Environment) -> Result<PathBuf, PathProblem> {
    Ok(env.folder("CREDENTIALS_DIRECTORY")?.join(name))
}

impl RawCredential {
    /// The file that it stands in, if it does.
    pub(crate) fn file(&self, env: &Environment) -> Option<Cow<'_, Path>> {
        match &self.from.as_ref()?.value {
            CredentialFrom::File(path) => Some(path.into()),
            CredentialFrom::Credential(name) => credential_file(name, env).ok().map(Cow::Owned),
            CredentialFrom::Value(_) | CredentialFrom::Variable(_) | CredentialFrom::Command(_) => None,
        }
    }

    /// argv of the program that prints it, if one does.
    pub(crate) fn command(&self) -> Option<&[String]> {
        match &self.from.as_ref()?.value {
            CredentialFrom::Command(argv) => Some(argv),
            _ => None,
        }
    }
}
