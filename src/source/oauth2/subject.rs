//! Owns: the token that is exchanged for another (RFC 8693 2.1): a file's, read each time, or another token of the config.
//! Does not: watch the file, or obtain the other token.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::core::crypto::without_newline;
use crate::core::engine::Reason;
use crate::core::jose::MAX_TOKEN;
use crate::core::secret::Secret;
use crate::core::settings::{SubjectToken, TokenName};
use crate::process::threads;
use crate::source::SourceError;
use crate::source::document::check_token;

pub(super) async fn read(
    subject: &SubjectToken,
    parents: &[(TokenName, Secret<String>)],
    limit: Duration,
) -> Result<Secret<String>, SourceError> {
    match subject {
        SubjectToken::Token(wanted) => {
            let found = parents.iter().find(|(name, _)| name == wanted).map(|(_, token)| token.clone());
            found.ok_or_else(|| SourceError::new(Reason::Machine, format!("the token {wanted} is not at hand")))
        }
        // A file system that hangs holds up this token alone, and not for ever.
        SubjectToken::File(path) => {
            let file = path.clone();
            let read = threads::within(limit, path, move || Ok(of_file(&file))).await;
            let token = read.unwrap_or_else(|error| Err(format!("cannot be read: {error}")));
            token.map_err(|problem| lack(path, &problem))
        }
    }
}

fn lack(path: &Path, problem: &str) -> SourceError {
    SourceError::new(Reason::Machine, format!("the subject token's file {} {problem}", path.display()))
}

fn of_file(path: &Path) -> Result<Secret<String>, String> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(nonblock.cast_signed()).open(path).map_err(|e| why(&e))?;
    if !file.metadata().map_err(|e| why(&e))?.is_file() {
        return Err("is not a regular file".into());
    }
    // One byte more than a token and its newline may have.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TOKEN + 3));
    file.take(MAX_TOKEN as u64 + 3).read_to_end(&mut bytes).map_err(|e| why(&e))?;
    let token = without_newline(&bytes);
    check_token(token).map_err(|problem| format!("holds no token: {problem}"))?;
    let token = str::from_utf8(token).map_err(|_| "holds no token: it is not text")?;
    Ok(Secret::new(token.to_owned()))
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".into(),
        io::ErrorKind::PermissionDenied => "cannot be read: permission denied".into(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_token_and_a_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let of = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            of_file(&path).map(|token| token.expose().clone())
        };
        assert_eq!(of(b"abc\n"), Ok("abc".into()));
        assert_eq!(of(&[b'a'; MAX_TOKEN]), Ok("a".repeat(MAX_TOKEN)));
        for bad in [&b""[..], b"\n", b"a\n\n", b"a b", b"\xff", &[b'a'; MAX_TOKEN + 1]] {
            assert!(of(bad).unwrap_err().starts_with("holds no token"));
        }
        assert_eq!(of_file(folder.path()).unwrap_err(), "is not a regular file");
        assert_eq!(of_file(&folder.path().join("no")).unwrap_err(), "does not exist");
    }
}
