//! Owns: secrets and private keys made ready to sign: found, decoded, parsed once, and judged by the algorithm.
//! Tokens that name the same file share one key.
//! Does not: read files (`Facts` has them).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{ANYBODY_WRITES, GROUP_WRITES, OTHERS_READ};
use super::lacks::Ledger;
use crate::core::config::{CredentialFrom, RawCredential, RawToken, credential_file};
use crate::core::credential::{Encoding, without_newline};
use crate::core::environment::Environment;
use crate::core::facts::{Facts, FileFact};
use crate::core::finding::{At, Place, Severity};
use crate::core::key::{Algorithm, KeyKind, SigningKey};
use crate::core::settings::{Fingerprint, Lack};

/// A key and the digest of the bytes it was made from.
#[derive(Clone)]
pub(super) struct Ready {
    pub key: Arc<SigningKey>,
    pub digest: Fingerprint,
}

/// Why there is no key.
#[derive(Clone)]
struct Problem {
    /// After "the secret of token `x`": "is empty".
    what: String,
    help: String,
    /// It is not to be had from outside the unit.
    outside: bool,
}

impl Problem {
    fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into(), outside: false }
    }
}

#[derive(PartialEq, Eq, Hash)]
enum From<'r> {
    File(PathBuf),
    Variable(&'r str),
}

/// Keys by where they came from, for as long as the plan is made.
pub(super) struct Keyring<'r> {
    facts: &'r Facts,
    env: &'r Environment,
    made: HashMap<(From<'r>, Encoding, bool), Result<Ready, Problem>>,
    judged: HashSet<PathBuf>,
}

impl<'r> Keyring<'r> {
    pub fn new(facts: &'r Facts, env: &'r Environment) -> Self {
        Self { facts, env, made: HashMap::new(), judged: HashSet::new() }
    }

    /// The key of a token, or what it lacks. Neither where the text has no usable credential, which was told or is told here.
    pub fn key(&mut self, token: &'r RawToken, ledger: &mut Ledger) -> (Option<Ready>, Option<Lack>) {
        let (raw, private) = match (&token.jwt.secret, &token.jwt.private_key) {
            (Some(secret), _) => (secret, false),
            (None, Some(key)) => (key, true),
            (None, None) => return (None, None),
        };
        let (Some(from), Some(algorithm)) = (&raw.from, token.jwt.algorithm) else {
            return (None, None);
        };
        let ready = self
            .find(from, raw.encoding, private, ledger)
            .and_then(|ready| suits(&ready, algorithm.value, token.jwt.allow_weak_secret).map(|()| ready));
        match ready {
            Ok(ready) => (Some(ready), None),
            Err(problem) => (None, self.tell(token, raw, private, problem, ledger)),
        }
    }

    fn tell(
        &self,
        token: &RawToken,
        raw: &RawCredential,
        private: bool,
        problem: Problem,
        ledger: &mut Ledger,
    ) -> Option<Lack> {
        let what = if private { "private key" } else { "secret" };
        let message = format!("the {what} of token `{}` {}", token.name.value, problem.what);
        let place = raw.from.as_ref().map_or(raw.place, |from| from.place);
        if matches!(raw.from, Some(At { value: CredentialFrom::Value(_), .. })) {
            ledger.error(place, message, problem.help);
            return None;
        }
        let severity = if problem.outside && !self.env.in_unit() { Severity::Warning } else { Severity::Lack };
        Some(ledger.lack(place, message, &problem.help, severity))
    }

    fn find(
        &mut self,
        from: &'r At<CredentialFrom>,
        encoding: Encoding,
        private: bool,
        ledger: &mut Ledger,
    ) -> Result<Ready, Problem> {
        let (source, outside) = match &from.value {
            CredentialFrom::Value(text) => {
                return make(text.expose().as_bytes(), encoding, private);
            }
            CredentialFrom::Variable(name) => (From::Variable(name), true),
            CredentialFrom::File(path) => (From::File(path.clone()), false),
            CredentialFrom::Credential(name) => match credential_file(name, self.env) {
                Ok(path) => (From::File(path), true),
                Err(_) => {
                    let what = format!(
                        "cannot be read: the credential `{name}` was not passed ($CREDENTIALS_DIRECTORY is not set)"
                    );
                    let help = format!("add LoadCredential={name}:PATH to the unit");
                    return Err(Problem { outside: true, ..Problem::new(what, help) });
                }
            },
        };
        if let From::File(path) = &source {
            self.judge(path, from.place, ledger);
        }
        let (facts, env) = (self.facts, self.env);
        let made = self.made.entry((source, encoding, private));
        let made = made.or_insert_with_key(|(source, _, _)| match source {
            From::File(path) => from_file(path, facts, encoding, private, outside),
            From::Variable(name) => from_variable(name, env, encoding, private),
        });
        made.clone()
    }

    /// Says once for each file what is to be said of its permissions; that anybody may write it makes it unusable instead.
    fn judge(&mut self, path: &Path, place: Place, ledger: &mut Ledger) {
        let Some(mode) = self.facts.files.get(path).and_then(|file| file.mode) else {
            return;
        };
        if mode & ANYBODY_WRITES != 0 || mode & (GROUP_WRITES | OTHERS_READ) == 0 || !self.judged.insert(path.into()) {
            return;
        }
        let shown = path.display();
        if mode & GROUP_WRITES != 0 {
            ledger.warning(place, format!("its group may write `{shown}`"), format!("chmod g-w {shown}"));
        }
        if mode & OTHERS_READ != 0 {
            ledger.warning(place, format!("anybody may read `{shown}`"), format!("chmod o-r {shown}"));
        }
    }
}

fn from_file(path: &Path, facts: &Facts, encoding: Encoding, private: bool, outside: bool) -> Result<Ready, Problem> {
    let shown = path.display();
    let gone = |what: &str| Problem {
        outside,
        ..Problem::new(
            format!("cannot be read: `{shown}` {what}"),
            "put the credential there, readable for the daemon's user",
        )
    };
    let Some(file) = facts.files.get(path) else {
        return Err(gone("was not looked at"));
    };
    if file.mode.is_some_and(|mode| mode & ANYBODY_WRITES != 0) {
        return Err(Problem::new(
            format!("cannot be trusted: anybody may write `{shown}`"),
            format!("chmod o-w {shown}"),
        ));
    }
    let FileFact { content, .. } = file;
    let bytes = content.as_ref().map_err(|problem| gone(problem))?;
    make(without_newline(bytes.expose()), encoding, private)
        .map_err(|problem| Problem { what: format!("{} (`{shown}`)", problem.what), ..problem })
}

fn from_variable(name: &str, env: &Environment, encoding: Encoding, private: bool) -> Result<Ready, Problem> {
    use std::os::unix::ffi::OsStrExt;
    match env.variable(name) {
        Some(value) => make(value.as_bytes(), encoding, private)
            .map_err(|problem| Problem { what: format!("{} (${name})", problem.what), ..problem }),
        None => Err(Problem {
            outside: true,
            ..Problem::new(
                format!("cannot be read: the environment variable `{name}` is not set"),
                "set it in the unit (EnvironmentFile=), or better use secret.credential",
            )
        }),
    }
}

fn make(bytes: &[u8], encoding: Encoding, private: bool) -> Result<Ready, Problem> {
    if bytes.is_empty() {
        return Err(Problem::new("is empty", "put the credential there as it was handed out"));
    }
    if private {
        let key = SigningKey::from_private(bytes).map_err(|error| {
            Problem::new(format!("is not usable: {error}"), "PEM (PKCS#1, SEC1, PKCS#8) or JWK, not encrypted")
        })?;
        return Ok(Ready { key: Arc::new(key), digest: Fingerprint::of(bytes) });
    }
    let decoded = encoding.decode(bytes).map_err(|error| {
        let help = match encoding {
            Encoding::Utf8 => "bytes that are no text are written as base64 or hex: secret.encoding = \"base64\"",
            _ => "check secret.encoding: utf8, base64, base64url or hex; no spaces or line breaks within",
        };
        Problem::new(format!("is {error}"), help)
    })?;
    Ok(Ready { key: Arc::new(SigningKey::from_secret(&decoded)), digest: Fingerprint::of(&decoded) })
}

/// Whether the key is one for the algorithm, and long enough (RFC 7518 3.2).
fn suits(ready: &Ready, algorithm: Algorithm, allow_weak: bool) -> Result<(), Problem> {
    let kind = ready.key.kind();
    if let (KeyKind::Hmac { bytes }, Some(least)) = (kind, algorithm.min_secret_bytes())
        && bytes < least
        && !allow_weak
    {
        return Err(Problem::new(
            format!("is too short: {} takes {least} bytes or more (RFC 7518 3.2)", algorithm.name()),
            "use a longer secret, or set allow_weak_secret = true",
        ));
    }
    if !algorithm.accepts(kind) {
        return Err(Problem::new(
            format!("does not fit: {} cannot sign with {}", algorithm.name(), kind.describe()),
            "change `algorithm`, or use another key",
        ));
    }
    match ready.key.jwk_algorithm() {
        Some(said) if said != algorithm => Err(Problem::new(
            format!("does not fit: the JWK is for {}, not {}", said.name(), algorithm.name()),
            format!("set algorithm = \"{}\"", said.name()),
        )),
        _ => Ok(()),
    }
}
