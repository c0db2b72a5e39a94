//! Owns: credentials made ready for use: found, decoded, parsed once, and judged. Tokens that name the same file share one.
//! Does not: read files (`Facts` has them), or know which source takes which.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

use super::lacks::Ledger;
use crate::core::config::{CredentialFrom, RawCredential, credential_file};
use crate::core::crypto::{
    self, Algorithm, Exposure, KeyError, SecretEncoding, SigningKey, decode_secret, without_newline,
};
use crate::core::diagnostic::{Located, Severity, Span, quote};
use crate::core::environment::Environment;
use crate::core::facts::{Facts, FileFact};
use crate::core::json;
use crate::core::secret::Secret;
use crate::core::settings::{Fingerprint, Lack, SecretText, TokenName};

const CERTIFICATES: &str = "PEM: -----BEGIN CERTIFICATE----- and what follows";

/// What a credential is read as.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::core) enum CredentialForm {
    /// A secret that signs.
    Secret(SecretEncoding),
    PrivateKey,
    /// A secret that is sent: a client secret, a refresh token.
    Text,
    /// PEM certificates: no secret.
    Certificates,
    /// The same, of those whom a connection trusts.
    Trusted,
    /// The private key of a certificate, kept as PEM.
    PemKey,
    /// A file of its own kind, as it is.
    Whole,
}

/// What it became.
#[derive(Clone)]
pub(super) enum MadeCredential {
    Key(Arc<SigningKey>),
    Text(SecretText),
    Bytes(Arc<Secret<Vec<u8>>>),
}

/// A credential, and the digest of the bytes it was made from.
#[derive(Clone)]
pub(super) struct ReadyCredential {
    pub made: MadeCredential,
    pub digest: Fingerprint,
}

/// Why there is none.
#[derive(Clone)]
pub(in crate::core) struct CredentialProblem {
    /// After "the secret of token `x`": "is empty".
    what: String,
    help: String,
    /// It is not to be had from outside the unit.
    outside: bool,
}

impl CredentialProblem {
    pub(crate) fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into(), outside: false }
    }

    pub(crate) fn with_help(self, help: &str) -> Self {
        Self { help: help.into(), ..self }
    }
}

#[derive(PartialEq, Eq, Hash)]
enum From<'r> {
    File(Cow<'r, Path>),
    Variable(&'r str),
    Command(&'r [String]),
}

/// A credential in the making: where it comes from, where it stands there, and what it is read as.
type Wanted<'r> = (From<'r>, Option<&'r str>, CredentialForm);

/// Credentials by where they came from, for as long as the plan is made.
pub(super) struct Keyring<'r> {
    facts: &'r Facts,
    env: &'r Environment,
    made: HashMap<Wanted<'r>, Result<ReadyCredential, CredentialProblem>>,
    judged: HashSet<PathBuf>,
}

impl<'r> Keyring<'r> {
    pub(super) fn new(facts: &'r Facts, env: &'r Environment) -> Self {
        Self { facts, env, made: HashMap::new(), judged: HashSet::new() }
    }

    /// A credential that `suits`. Else what is lacked, or nothing where the text has none that can be used, which is told.
    pub(super) fn credential(
        &mut self,
        token: &TokenName,
        raw: &'r RawCredential,
        form: CredentialForm,
        suits: impl Fn(&ReadyCredential) -> Result<(), CredentialProblem>,
        ledger: &mut Ledger,
    ) -> Result<ReadyCredential, Option<Lack>> {
        let from = raw.from.as_ref().ok_or(None)?;
        // Nothing is run for a config that is refused anyhow.
        if raw.command().is_some_and(|argv| !self.facts.commands.contains_key(argv)) {
            return Err(None);
        }
        let found = self.find(raw, from, form, ledger);
        let ready = found.and_then(|ready| suits(&ready).map(|()| ready));
        let inline = matches!(from.value, CredentialFrom::Value(_));
        ready.map_err(|problem| {
            let message = format!("the {} of token `{token}` {}", raw.what, problem.what);
            self.tell(message, from.span, inline, problem, ledger)
        })
    }

    fn tell(
        &self,
        message: String,
        span: Span,
        inline: bool,
        problem: CredentialProblem,
        ledger: &mut Ledger,
    ) -> Option<Lack> {
        if inline {
            ledger.error(span, message, problem.help);
            return None;
        }
        let severity = if problem.outside && !self.env.in_unit() { Severity::Warning } else { Severity::Lack };
        Some(ledger.lack(span, message, &problem.help, severity))
    }

    fn find(
        &mut self,
        raw: &'r RawCredential,
        from: &'r Located<CredentialFrom>,
        form: CredentialForm,
        ledger: &mut Ledger,
    ) -> Result<ReadyCredential, CredentialProblem> {
        let pointer = raw.pointer.as_deref();
        let (source, outside) = match &from.value {
            CredentialFrom::Value(text) => {
                return make_at(text.expose().as_bytes(), pointer, form);
            }
            CredentialFrom::Command(argv) => (From::Command(argv), false),
            CredentialFrom::Variable(name) => (From::Variable(name), true),
            CredentialFrom::File(path) => (From::File(path.into()), false),
            CredentialFrom::Credential(name) => match credential_file(name, self.env) {
                Ok(path) => (From::File(path.into()), true),
                Err(_) => {
                    let what = format!(
                        "cannot be read: the credential `{name}` was not passed ($CREDENTIALS_DIRECTORY is not set)"
                    );
                    let help = format!("add LoadCredential={name}:PATH to the unit");
                    return Err(CredentialProblem { outside: true, ..CredentialProblem::new(what, help) });
                }
            },
        };
        if let From::File(path) = &source {
            self.judge(
                path,
                from.span,
                !matches!(form, CredentialForm::Certificates | CredentialForm::Trusted) && !raw.allow_readable,
                ledger,
            );
        }
        self.made((source, pointer, form), outside)
    }

    fn made(&mut self, wanted: Wanted<'r>, outside: bool) -> Result<ReadyCredential, CredentialProblem> {
        let (facts, env) = (self.facts, self.env);
        let made = self.made.entry(wanted).or_insert_with_key(|(source, pointer, form)| match source {
            From::File(path) => from_file(path, facts, *pointer, *form, outside),
            From::Variable(name) => from_variable(name, env, *pointer, *form),
            From::Command(argv) => from_command(argv, facts, *pointer, *form),
        });
        made.clone()
    }

    /// Says once for each file what is to be said of its permissions; that anybody may write it makes it unusable instead.
    fn judge(&mut self, path: &Path, span: Span, secret: bool, ledger: &mut Ledger) {
        let Some(mode) = self.facts.files.get(path).and_then(|file| file.mode) else {
            return;
        };
        let shown = path.display();
        let told = Exposure::of(mode, secret);
        if Exposure::anybody_writes(mode) || told.is_empty() || !self.judged.insert(path.into()) {
            return;
        }
        for found in told {
            ledger.warning(span, format!("{} `{shown}`", found.who()), format!("chmod {} {shown}", found.remedy()));
        }
    }
}

fn from_file(
    path: &Path,
    facts: &Facts,
    pointer: Option<&str>,
    form: CredentialForm,
    outside: bool,
) -> Result<ReadyCredential, CredentialProblem> {
    let shown = path.display();
    let gone = |what: &str| CredentialProblem {
        outside,
        ..CredentialProblem::new(
            format!("cannot be read: `{shown}` {what}"),
            match form {
                CredentialForm::Certificates | CredentialForm::Trusted => {
                    "put the certificates there, readable for the daemon's user"
                }
                _ => "put the credential there, readable for the daemon's user",
            },
        )
    };
    let Some(file) = facts.files.get(path) else {
        return Err(gone("was not looked at"));
    };
    if file.mode.is_some_and(Exposure::anybody_writes) {
        return Err(CredentialProblem::new(
            format!("cannot be trusted: anybody may write `{shown}`"),
            format!("chmod o-w {shown}"),
        ));
    }
    let FileFact { content, .. } = file;
    let bytes = content.as_ref().map_err(|problem| gone(problem))?;
    make_at(without_newline(bytes.expose()), pointer, form)
        .map_err(|problem| CredentialProblem { what: format!("{} (`{shown}`)", problem.what), ..problem })
}

/// The arguments may be a secret of somebody's: the program alone is named.
fn from_command(
    argv: &[String],
    facts: &Facts,
    pointer: Option<&str>,
    form: CredentialForm,
) -> Result<ReadyCredential, CredentialProblem> {
    let program = argv.first().map_or("", String::as_str);
    let help =
        "run the command as the daemon's user, in the daemon's environment: it has to print the credential alone";
    let unread = |what: &str| CredentialProblem::new(format!("cannot be read: `{program}` {what}"), help);
    let printed = facts.commands.get(argv).ok_or_else(|| unread("was not run"))?.as_ref();
    let printed = printed.map_err(|problem| unread(problem))?;
    make_at(without_newline(printed.expose()), pointer, form)
        .map_err(|problem| CredentialProblem { what: format!("{} (printed by `{program}`)", problem.what), ..problem })
}

fn from_variable(
    name: &str,
    env: &Environment,
    pointer: Option<&str>,
    form: CredentialForm,
) -> Result<ReadyCredential, CredentialProblem> {
    use std::os::unix::ffi::OsStrExt;
    match env.variable(name) {
        Some(value) => make_at(value.as_bytes(), pointer, form)
            .map_err(|problem| CredentialProblem { what: format!("{} (${name})", problem.what), ..problem }),
        None => Err(CredentialProblem {
            outside: true,
            ..CredentialProblem::new(
                format!("cannot be read: the environment variable `{name}` is not set"),
                "set it in the unit (EnvironmentFile=), or better pass a credential (LoadCredential=)",
            )
        }),
    }
}

/// What stands at the pointer of a JSON text, or all of it without one.
fn make_at(bytes: &[u8], pointer: Option<&str>, form: CredentialForm) -> Result<ReadyCredential, CredentialProblem> {
    match pointer {
        Some(pointer) => make(&pointed(bytes, pointer)?, form),
        None => make(bytes, form),
    }
}

/// A text as it is, an object (a JWK) as JSON.
fn pointed(bytes: &[u8], pointer: &str) -> Result<Zeroizing<Vec<u8>>, CredentialProblem> {
    let unusable = |what: String| {
        CredentialProblem::new(
            format!("is not usable: {what}"),
            "`pointer` leads to a text in a JSON document (RFC 6901)",
        )
    };
    let mut whole = json::parse(bytes).map_err(|error| unusable(error.to_string()))?;
    let at = quote(pointer);
    let found = match whole.pointer(pointer) {
        Some(Value::String(text)) => Ok(Zeroizing::new(text.clone().into_bytes())),
        Some(object @ Value::Object(_)) => Ok(Zeroizing::new(object.to_string().into_bytes())),
        Some(Value::Array(_)) => Err(unusable(format!("at {at} stands a list, not a text"))),
        Some(Value::Null) => Err(unusable(format!("at {at} stands null, not a text"))),
        Some(_) => Err(unusable(format!("what stands at {at} is no text: it has no quotes"))),
        None => Err(unusable(format!("nothing stands at {at}"))),
    };
    json::wipe(&mut whole);
    found
}

fn make(bytes: &[u8], form: CredentialForm) -> Result<ReadyCredential, CredentialProblem> {
    if bytes.is_empty() {
        return Err(CredentialProblem::new("is empty", "put the credential there as it was handed out"));
    }
    let digest = Fingerprint::of(bytes);
    let kept = || MadeCredential::Bytes(Arc::new(Secret::new(bytes.to_vec())));
    let made = match form {
        CredentialForm::Secret(encoding) => return decoded(bytes, encoding),
        CredentialForm::PrivateKey => MadeCredential::Key(Arc::new(private_key(bytes)?)),
        CredentialForm::Text => MadeCredential::Text(Arc::new(Secret::new(text(bytes)?.to_owned()))),
        CredentialForm::Certificates | CredentialForm::Trusted => {
            crypto::certificates(bytes)
                .map_err(|what| CredentialProblem::new(format!("is not usable: {what}"), CERTIFICATES))?;
            kept()
        }
        CredentialForm::PemKey => {
            private_key(bytes).map_err(|problem| problem.with_help("PEM (PKCS#1, SEC1, PKCS#8), not encrypted"))?;
            crypto::private_der(bytes)
                .map_err(|_| CredentialProblem::new("is not usable: it is not PEM", "write the key as PEM"))?;
            kept()
        }
        CredentialForm::Whole => kept(),
    };
    Ok(ReadyCredential { made, digest })
}

/// The digest is of the decoded bytes: the same secret in another encoding signs the same.
fn decoded(text: &[u8], encoding: SecretEncoding) -> Result<ReadyCredential, CredentialProblem> {
    let secret = decode_secret(text, encoding).map_err(|error| {
        let help = match error {
            KeyError::NotEncoded { .. } => "check secret.encoding: utf8, base64, base64url or hex",
            KeyError::NulInSecret => "secret.encoding = \"base64\", or \"hex\"",
            KeyError::KeyForSecret { .. } => {
                "put the secret there that was handed out, or sign with the key by another algorithm (`private_key`)"
            }
            KeyError::JwkSymmetric => "secret.encoding = \"base64url\", and the text of its k alone",
            _ => "put the credential there as it was handed out",
        };
        CredentialProblem::new(format!("is not usable: {error}"), help)
    })?;
    let key = SigningKey::from_secret(secret.expose());
    Ok(ReadyCredential { made: MadeCredential::Key(Arc::new(key)), digest: Fingerprint::of(secret.expose()) })
}

fn private_key(bytes: &[u8]) -> Result<SigningKey, CredentialProblem> {
    SigningKey::from_private(bytes).map_err(|error| {
        CredentialProblem::new(format!("is not usable: {error}"), "PEM (PKCS#1, SEC1, PKCS#8) or JWK, not encrypted")
    })
}

/// A secret that is sent as text: a line break in it is a slip of whoever wrote the file.
fn text(bytes: &[u8]) -> Result<&str, CredentialProblem> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text),
        Ok(_) => Err(CredentialProblem::new(
            "holds a line break, or another control character",
            "one line, as it was handed out",
        )),
        Err(_) => Err(CredentialProblem::new("is not UTF-8", "put the credential there as it was handed out")),
    }
}

/// Whether the key is one for the algorithm, and long enough (RFC 7518 3.2): as `generate` judges it, in the config's words.
pub(super) fn suits(ready: &ReadyCredential, algorithm: Algorithm, allow_weak: bool) -> Result<(), CredentialProblem> {
    let MadeCredential::Key(key) = &ready.made else { return Ok(()) };
    key.check(algorithm, allow_weak).map_err(|error| match error {
        KeyError::WeakSecret { algorithm, min, .. } => CredentialProblem::new(
            format!("is too short: {algorithm} takes {min} bytes or more (RFC 7518 3.2)"),
            "use a longer secret, or set allow_weak_secret = true",
        ),
        KeyError::WrongKind { algorithm, kind } => CredentialProblem::new(
            format!("does not fit: {algorithm} cannot sign with {kind}"),
            "change `algorithm`, or use another key",
        ),
        KeyError::JwkOnlyFor { algorithm, only } => CredentialProblem::new(
            format!("does not fit: the JWK is for {only}, not {algorithm}"),
            format!("set algorithm = \"{only}\""),
        ),
        other => CredentialProblem::new(format!("is not usable: {other}"), "use another key"),
    })
}
