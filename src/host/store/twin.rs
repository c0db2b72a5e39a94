//! Owns: finding the states that one config has by its other names: each path of it, through a link or with `..`, is a config of
//! its own for the store.
//! Does not: say which of them is right.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::kept::name_of;
use crate::host::unit::is_same;

/// A lock file is never longer: two short lines and a path.
const LONGEST: u64 = 8 << 10;

/// A further state of a config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Twin {
    /// The path that it was made by.
    pub config: PathBuf,
    pub folder: PathBuf,
}

impl Twin {
    /// What is wrong, and what to do, where `config` has its state in `folder`.
    pub(crate) fn words(&self, config: &Path, folder: &Path) -> String {
        format!(
            "this config has two states, for it is named by two paths: as {} it is kept in {}, as {} in {}. What one of them \
             obtains the other does not know of; name it by one path everywhere",
            config.display(),
            folder.display(),
            self.config.display(),
            self.folder.display()
        )
    }
}

/// The states in these folders that were made by another path of the same file; none where the config itself has none in the
/// first of them.
pub(crate) fn twins(config: &Path, folders: &[PathBuf]) -> Vec<Twin> {
    let own = |folder: &PathBuf| folder.join(format!("{}.log", name_of(config))).exists();
    if !folders.first().is_some_and(own) {
        return Vec::new();
    }
    let mut seen = std::collections::BTreeSet::new();
    let folders = folders.iter().filter(|folder| seen.insert(folder.as_path()));
    let locks = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let twin = |entry: fs::DirEntry| {
        let path = entry.path();
        let is_lock = path.extension().is_some_and(|ending| ending == "lock");
        if !is_lock || !path.with_extension("log").exists() {
            return None;
        }
        let other = config_of(&path).filter(|other| other != config && is_same(other, config))?;
        Some(Twin { config: other, folder: path.parent()?.to_path_buf() })
    };
    locks.filter_map(twin).collect()
}

/// Whose state it is, as its lock tells.
fn config_of(lock: &Path) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    File::open(lock).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let line = bytes.split(|byte| *byte == b'\n').nth(2).filter(|line| line.first() == Some(&b'/'))?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(line)))
}
