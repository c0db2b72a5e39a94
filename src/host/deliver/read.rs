//! Owns: reading back what stands in an output's place.
//! Does not: judge it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::host::walk::Folder;

/// Reads a file's first `most` bytes and one more; `None` where it is not the one any more that `stat` tells of.
pub(super) fn read_regular(
    folder: &Folder,
    name: &OsStr,
    stat: &Stat,
    most: usize,
) -> Result<Option<Zeroizing<Vec<u8>>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match rustix::io::retry_on_intr(|| rustix::fs::openat(&folder.fd, name.as_bytes(), flags, Mode::empty())) {
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        other => other?,
    };
    let now = rustix::fs::fstat(&fd)?;
    if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
        return Ok(None);
    }
    let mut content = Zeroizing::new(Vec::with_capacity(most + 1));
    File::from(fd)
        .take(most as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(Some(content))
}
