//! Owns: room on the disk behind the end of a log, so that what is written next cannot fail for want of it.
//! Does not: decide how much, or for whom.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Bytes written at once where the file system cannot be asked for room.
const CHUNK: usize = 64 << 10;

/// Makes sure that bytes may be written from `end` to `to`. What stands there counts for nothing: zeros, or no bytes at all.
pub(super) fn reserve(log: &File, end: u64, to: u64) -> io::Result<()> {
    let Some(more) = to.checked_sub(end).filter(|more| *more > 0) else { return Ok(()) };
    // Room behind a file's end does not count for it (setrlimit(2), RLIMIT_FSIZE), and what is written there does.
    if getrlimit(Resource::Fsize).current.is_some_and(|most| to > most) {
        return Err(Errno::FBIG.into());
    }
    match rustix::io::retry_on_intr(|| fallocate(log, FallocateFlags::KEEP_SIZE, end, more)) {
        // It knows no such call (NFS before 4.2, ext3, many FUSE ones): what is written has its room.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => pad(log, end, to),
        other => other.map_err(Into::into),
    }
}

/// Zeros behind the end are what a crash may leave too: the next start cuts them off without a word.
fn pad(log: &File, end: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    let mut at = end;
    while at < to {
        let part = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
        log.write_all_at(zeros.get(..part).unwrap_or_default(), at)?;
        at += part as u64;
    }
    Ok(())
}

/// Whether a write failed for want of room: a full disk, a quota, or the limit of a file's size (RLIMIT_FSIZE).
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG))
}
