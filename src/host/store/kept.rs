//! Owns: what the state of a config says when it is read as a whole, and the name of its files.
//! Does not: open or lock them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::record::{KeptRefresh, KeptTarget};
use super::scan::{self, Newer, Scan};
use crate::core::engine::FailureStreak;
use crate::core::settings::{Fingerprint, TargetPath, TokenName};
use crate::core::token::Token;

/// What the state says at the start.
#[derive(Debug)]
pub struct Kept {
    /// Drawn once for each config: jitter and backoff are hashed from it.
    pub seed: u64,
    /// The last good one of each, expired or not.
    pub tokens: BTreeMap<TokenName, Arc<Token>>,
    /// Files that are renewd's to replace and remove.
    pub targets: BTreeMap<TargetPath, KeptTarget>,
    /// What the tokens' own records do not tell of refresh tokens.
    pub refreshes: BTreeMap<TokenName, KeptRefresh>,
    /// Tokens that failed when the state was written last.
    pub streaks: BTreeMap<TokenName, FailureStreak>,
    /// Tokens that were obtained by who delivers nothing, and are not delivered yet.
    pub owed_hooks: BTreeSet<TokenName>,
    /// Set where the state was damaged, or is that of a newer renewd: one line that says so, and where it was put.
    pub damaged: Option<String>,
}

/// What a log says.
pub(super) fn read(mut log: &File) -> io::Result<Result<Scan, Newer>> {
    let len = usize::try_from(log.metadata()?.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    log.read_to_end(&mut bytes)?;
    Ok(scan::scan(&bytes))
}

/// 16 hex digits of the config's path, with which its files begin.
pub(super) fn name_of(config: &Path) -> String {
    let Fingerprint(digest) = Fingerprint::of(config.as_os_str().as_bytes());
    let mut name = data_encoding::HEXLOWER.encode(&digest);
    name.truncate(16);
    name
}
