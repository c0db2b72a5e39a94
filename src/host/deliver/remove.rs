//! Owns: taking away a file whose entry left the config, if it still is what renewd wrote.
//! Does not: follow links, or remove what somebody else changed.

use std::path::Path;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::error::{DeliverError, Step};
use super::read::read_regular;
use crate::core::settings::Fingerprint;
use crate::host::walk::{WalkError, open_folder, sync_folder};

/// No output is longer; what is, is somebody else's.
const MOST: usize = 16 << 20;

/// What became of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removed {
    /// It was renewd's, and its removal is durable.
    Gone,
    /// Somebody else changed or replaced it: it stays.
    Foreign,
    /// There was none, or no folder for it.
    Absent,
}

/// Removes `path` if it is a regular file and its content's fingerprint is among `digests`. Same walk as a delivery.
///
/// # Errors
/// The folder is refused, or the file cannot be looked at, read or removed.
pub fn remove(path: &Path, digests: &[Fingerprint]) -> Result<Removed, DeliverError> {
    let failed = |step| move |errno| DeliverError::failed(path, step, errno);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(DeliverError::NoName(path.to_path_buf()));
    };
    let folder = match open_folder(folder) {
        Ok(open) => open,
        Err(WalkError::Missing { .. }) => return Ok(Removed::Absent),
        Err(cause) => return Err(DeliverError::folder(path, cause)),
    };
    let look = || rustix::fs::statat(&folder.fd, name, AtFlags::SYMLINK_NOFOLLOW);
    let stat = match look() {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(Removed::Absent),
        Err(errno) => return Err(failed(Step::Look)(errno)),
    };
    let length = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || length > MOST {
        return Ok(Removed::Foreign);
    }
    let Some(content) = read_regular(&folder, name, &stat, length).map_err(failed(Step::Read))? else {
        return Ok(Removed::Foreign);
    };
    let same = look().is_ok_and(|now| (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino));
    if !same || !digests.contains(&Fingerprint::of(&content)) {
        return Ok(Removed::Foreign);
    }
    rustix::fs::unlinkat(&folder.fd, name, AtFlags::empty()).map_err(failed(Step::Remove))?;
    sync_folder(&folder.fd).map_err(failed(Step::SyncFolder))?;
    Ok(Removed::Gone)
}
