//! Owns: what `generate`, `refresh` and `inspect` read: secrets, keys and tokens, from files and stdin, never from argv.
//! Does not: judge them beyond who may write or read their files.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub(crate) use crate::core::config::parse_duration as duration;
use crate::core::crypto::{Algorithm, Exposure, KeyError, SecretEncoding, SigningKey, without_newline};
use crate::core::redact::looks_opaque;
use crate::core::secret::Secret;
use crate::core::settings::Lifetime;
use crate::host::facts::read_on;

use super::aside::tell_line;
use super::exit::Failure;

/// A file with a key or tokens is never longer.
const LONGEST: u64 = 1024 * 1024;

/// Where the signing key is.
#[derive(clap::Args)]
pub(crate) struct KeyArgs {
    /// File with the secret for HS256, HS384 and HS512 (`-`: stdin); one trailing newline (LF or CRLF) is dropped
    #[arg(long, value_name = "FILE", required_unless_present = "private_key_file")]
    pub(crate) secret_file: Option<PathBuf>,

    /// File with the private key for RS, PS, ES and EdDSA: PEM or JWK (`-`: stdin)
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    pub(crate) private_key_file: Option<PathBuf>,

    /// How the secret is written down: utf8, base64, base64url or hex (white space and padding may be there)
    #[arg(long, value_name = "ENCODING", default_value = "utf8", value_parser = encoding)]
    pub(crate) secret_encoding: SecretEncoding,

    /// Algorithm; by default HS256, and with a private key what its type or the JWK says
    #[arg(long, value_name = "ALG", value_parser = algorithm)]
    pub(crate) alg: Option<Algorithm>,

    /// Take a secret that is shorter than the hash (RFC 7518 3.2)
    #[arg(long)]
    pub(crate) allow_weak_secret: bool,
}

impl KeyArgs {
    pub(crate) fn uses_stdin(&self) -> bool {
        let file = self.secret_file.as_ref().or(self.private_key_file.as_ref());
        file.is_some_and(|f| is_stdin(f))
    }

    /// The key, and the algorithm that it shall sign with.
    pub(crate) fn load(&self) -> Result<(SigningKey, Algorithm), Failure> {
        let (file, what) = match (&self.secret_file, &self.private_key_file) {
            (Some(file), _) => (file, "secret"),
            (None, Some(file)) => (file, "private key"),
            (None, None) => return Err(Failure::usage("--secret-file or --private-key-file is missing")),
        };
        let is_secret = self.secret_file.is_some();
        match self.alg {
            Some(alg) if is_secret && !alg.is_symmetric() => {
                return Err(Failure::usage(format!("{alg} takes a private key (--private-key-file), not a secret")));
            }
            Some(alg) if !is_secret && alg.is_symmetric() => {
                return Err(Failure::usage(format!("{alg} takes a secret (--secret-file), not a private key")));
            }
            _ => {}
        }
        load_key(file, what, true, |text| {
            let key = match is_secret {
                true => SigningKey::from_secret_text(without_newline(text), self.secret_encoding)?,
                false => SigningKey::from_private(text)?,
            };
            let algorithm = self.alg.unwrap_or_else(|| key.default_algorithm());
            key.check(algorithm, self.allow_weak_secret).map(|()| (key, algorithm))
        })
    }
}

/// A key as `read` takes it from its file, which is as private as `read_key` says.
pub(crate) fn load_key<T>(
    file: &Path,
    what: &str,
    private: bool,
    read: impl FnOnce(&[u8]) -> Result<T, KeyError>,
) -> Result<T, Failure> {
    let text = read_key(file, what, private)?;
    read(text.expose()).map_err(|error| Failure::failed(format!("{what} {}: {error}", shown(file))))
}

fn shown(file: &Path) -> String {
    let name = file.display().to_string();
    match name {
        _ if is_stdin(file) => "from stdin".into(),
        // The secret itself, in the place of its file's name.
        word if !word.contains(['/', '.']) && looks_opaque(&word) => "in a file with a name that is not shown".into(),
        path => path,
    }
}

pub(crate) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// A key file, whole. Who else may write it could sign in our name; who may read it, too, if it is `private`.
pub(crate) fn read_key(file: &Path, what: &str, private: bool) -> Result<Secret<Vec<u8>>, Failure> {
    if is_stdin(file) {
        return read(&mut io::stdin().lock()).map_err(|e| Failure::failed(format!("{what} from stdin: {e}")));
    }
    let failed = |e: &dyn std::fmt::Display| Failure::failed(format!("{what} {}: {e}", shown(file)));
    let mut open = File::open(file).map_err(|e| failed(&e))?;
    let about = open.metadata().map_err(|e| failed(&e))?;
    if about.is_dir() {
        return Err(failed(&"it is a folder"));
    }
    if about.is_file() {
        for found in Exposure::of(about.mode(), private) {
            let (who, shown) = (found.who(), file.display());
            match found {
                Exposure::AnybodyWrites => {
                    return Err(failed(&format!("{who} it: `chmod o-w` it, and look at what is in it")));
                }
                Exposure::GroupWrites => tell_line!("warning: {what} {shown}: {who} it"),
                Exposure::AnybodyReads => tell_line!("warning: {what} {shown}: {who} it: `chmod 600` it"),
            }
        }
    }
    read(&mut open).map_err(|e| failed(&e))
}

/// A token, from argv or stdin; one trailing newline is dropped.
pub(crate) fn read_token(arg: Option<&str>) -> Result<Secret<String>, Failure> {
    if let Some(token) = arg.filter(|t| *t != "-") {
        return Ok(Secret::new(token.to_owned()));
    }
    let text = token_from_stdin()?;
    let text = text.expose();
    Ok(Secret::new(text[..without_newline(text.as_bytes()).len()].to_owned()))
}

/// What stands on stdin, whole. Who sits at a terminal is asked for it.
pub(crate) fn token_from_stdin() -> Result<Secret<String>, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        tell_line!("type or paste the token, then Return and Ctrl-D");
    }
    read_text(&mut stdin.lock()).map_err(|why| Failure::failed(format!("token from stdin: {why}")))
}

/// A text with a token in it, whole.
pub(crate) fn read_text(from: &mut dyn Read) -> Result<Secret<String>, String> {
    let bytes = read(from).map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| "it is not a JWT: it is not even text")?;
    Ok(Secret::new(text.to_owned()))
}

fn read(from: &mut dyn Read) -> io::Result<Secret<Vec<u8>>> {
    let mut bytes = Zeroizing::default();
    read_on(from, &mut bytes, LONGEST + 1)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    Ok(bytes.into())
}

pub(crate) fn print(text: &str, end: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.write_all(end.as_bytes()))
        .and_then(|()| out.flush())
        .map_err(|e| Failure::failed(format!("stdout: {e}")))
}

pub(crate) fn no_random_numbers(error: getrandom::Error) -> Failure {
    Failure::failed(format!("the system gives no random numbers: {error}"))
}

/// Sixteen bytes of the kernel's random numbers.
pub(crate) fn draw_jti() -> Result<[u8; 16], Failure> {
    let mut jti = [0; 16];
    getrandom::fill(&mut jti).map_err(no_random_numbers)?;
    Ok(jti)
}

pub(crate) fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::parse(name).ok_or_else(|| format!("it is one of {}", Algorithm::WORDS.join(", ")))
}

pub(crate) fn encoding(name: &str) -> Result<SecretEncoding, String> {
    SecretEncoding::parse(name).ok_or_else(|| "it is utf8, base64, base64url or hex".into())
}

/// `never`, or whole seconds, one at least.
pub(crate) fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime::Never);
    }
    let span = duration(text)?;
    if span.as_secs() == 0 || span.subsec_nanos() != 0 {
        return Err("it is a number of whole seconds, one at least, or \"never\"".into());
    }
    Ok(Lifetime::For(span))
}
