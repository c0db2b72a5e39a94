//! Owns: reading the log of a config as a whole, and the name of its files.
//! Does not: open or lock them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::scan::{self, Newer, Scan};
use crate::core::settings::Fingerprint;

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
