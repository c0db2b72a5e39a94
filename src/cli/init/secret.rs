//! Owns: where the secret or private key comes from: a file, the terminal without a trace, or stdin; never the command line.
//! Does not: judge whether it fits.

use std::path::{Path, PathBuf};

use super::ask::Prompt;
use super::kind::{InitKind, SecretFile as Wanted};
use crate::cli::aside::tell_line;
use crate::cli::exit::Failure;
use crate::cli::input;
use crate::core::crypto::without_newline;
use crate::core::secret::Secret;

/// The bytes of the secret's file; `None`: the kind goes without.
pub(super) fn read(
    kind: InitKind,
    file: Option<&Path>,
    asker: Option<&Prompt>,
) -> Result<Option<Secret<Vec<u8>>>, Failure> {
    let wanted = kind.secret();
    let bytes = match (file, asker, wanted) {
        (Some(file), _, _) => input::read_key(file, "secret", true)?,
        (None, Some(asker), Wanted::Text(question)) => {
            asker.hidden(&format!("{question} (it is not shown): "), Vec::new(), |line, _| !line.is_empty())?
        }
        (None, Some(asker), Wanted::File(what)) => key_file(asker, what)?,
        (None, Some(asker), Wanted::Optional(question)) => {
            asker.hidden(&format!("{question}, not shown: "), Vec::new(), |_, _| true)?
        }
        (None, None, Wanted::Optional(_)) => return Ok(None),
        (None, None, _) => input::read_key(Path::new("-"), "secret", true)?,
    };
    let blank = bytes.expose().iter().all(u8::is_ascii_whitespace);
    match wanted {
        Wanted::Optional(_) if blank => Ok(None),
        _ if blank => Err(Failure::failed("there is no secret: nothing was written")),
        Wanted::File(_) => Ok(Some(bytes)),
        Wanted::Text(_) | Wanted::Optional(_) => Ok(Some(one_line(&bytes))),
    }
}

/// Ended by one newline, which every reader of it drops.
fn one_line(bytes: &Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    Secret::new([without_newline(bytes.expose()), b"\n"].concat())
}

/// By its path, or pasted.
fn key_file(asker: &Prompt, what: &str) -> Result<Secret<Vec<u8>>, Failure> {
    let answer = asker.line(&format!("File with {what} (Return to paste it): "))?;
    if answer.starts_with("-----") || answer.starts_with('{') {
        // The terminal has shown some of it by now; the rest must not go on to the shell.
        let key = asker.hidden("", format!("{answer}\n").into_bytes(), whole)?;
        tell_line!("warning: the key was pasted where the terminal shows it: clear the screen");
        return Ok(key);
    }
    if !answer.is_empty() {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let path = match (answer.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(&answer),
        };
        return input::read_key(&path, "key", true);
    }
    asker.hidden("Paste it; it is not shown (Ctrl-D ends it): ", Vec::new(), whole)
}

/// The last line of a PEM file, or of a JSON object.
fn whole(line: &[u8], all: &[u8]) -> bool {
    let json = all.trim_ascii_start().starts_with(b"{");
    if json {
        return line.trim_ascii_end().ends_with(b"}") && serde_json::from_slice::<serde::de::IgnoredAny>(all).is_ok();
    }
    line.starts_with(b"-----END ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_key_ends_where_it_is_whole() {
        assert!(!whole(b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN PRIVATE KEY-----\n"));
        assert!(whole(b"-----END PRIVATE KEY-----\n", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"));
        assert!(!whole(b"  \"a\": {}\n", b"{\n  \"a\": {}\n"));
        assert!(whole(b"}\n", b"{\n  \"a\": {}\n}\n"));
    }

    #[test]
    fn a_secret_is_kept_as_one_line() {
        for bytes in [&b"x"[..], b"x\n", b"x\r\n"] {
            assert_eq!(one_line(&Secret::new(bytes.to_vec())).expose(), b"x\n");
        }
    }
}
