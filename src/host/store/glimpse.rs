//! Owns: reading a state without working on it: no lock is taken, nothing is made, cut or put aside.
//! Does not: wait for who writes. What is being appended just now is not seen.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::kept::{name_of, read};
use super::place::{self, Signature, Worker};
use super::scan::{Kept, Newer};
use crate::host::walk::Owner;

/// What a state says, and who worked on it last.
#[derive(Debug)]
pub struct Glimpse {
    pub kept: Kept,
    /// A process that has the state open, or had it last and still is there.
    pub holder: Option<u32>,
    /// Who kept the tokens last.
    pub keeper: Option<Worker>,
}

/// Reads the state of the config `config` in `state_dir`; `None` where there is none.
///
/// # Errors
/// It cannot be read, or is of a newer renewd.
pub fn glimpse(state_dir: &Path, config: &Path) -> Result<Option<Glimpse>, StoreError> {
    let name = name_of(config);
    let path = state_dir.join(format!("{name}.log"));
    let log = match File::open(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(state_dir, path, error)),
    };
    let scan = read(&log).map_err(|error| StoreError::io(&path, "reading", error))?;
    let scan = scan.map_err(|Newer(version)| StoreError::Newer { log: path, version })?;
    let lock = File::open(state_dir.join(format!("{name}.lock")));
    let Signature { pid, keeper } = lock.map(|lock| place::read_signature(&lock)).unwrap_or_default();
    let kept = Kept { seed: scan.seed.unwrap_or_default(), ..scan.kept };
    Ok(Some(Glimpse { kept, holder: pid.filter(|pid| place::is_alive(*pid)), keeper }))
}

fn refused(folder: &Path, path: PathBuf, error: io::Error) -> StoreError {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    match folder.metadata().map(|meta| meta.uid()) {
        Ok(owner) if error.kind() == io::ErrorKind::PermissionDenied && owner != me => {
            StoreError::Foreign { folder: folder.into(), owner: Owner(owner), user: Owner(me) }
        }
        _ => StoreError::io(&path, "opening", error),
    }
}
