//! Owns: putting files in place: each whole, with its mode and owner before its secret, durable before it is reported.
//! A batch is one walk to its folder, a few threads that share the disk's commits, and one fsync of the folder.
//! Does not: render, decide when, create folders, or follow a link in the last component.

mod error;
mod look;
mod read;
mod remove;
mod temp;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;

use self::read::read_regular;
use self::temp::Temp;
use super::walk::{Folder, open_folder, sync_folder};
use crate::core::secret::Secret;
use crate::core::settings::{FileSpec, TargetPath};

pub use self::error::{DeliverError, Step};
pub use self::look::{Stamp, look};
pub use self::remove::{Removed, remove};
pub use self::temp::sweep;

/// Writers at most for one folder: more gain nothing (benches/delivery.rs).
const WRITERS: usize = 8;
/// Files for which another writer is worth its start.
const FILES_A_WRITER: usize = 8;

/// One file to put in place.
#[derive(Debug)]
pub struct Job {
    /// Absolute. Its last component names the file in the folder that is walked to; the whole is what messages show.
    pub path: TargetPath,
    pub spec: FileSpec,
    pub bytes: Secret<Vec<u8>>,
    /// Leave a file that already is exactly so: bytes, mode, owner, group, regular, one name.
    pub verify: bool,
}

/// What became of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// In place and durable, its folder entry too.
    Written,
    /// Was exactly so.
    Unchanged,
}

/// A file that is as a job wants it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Landed {
    pub done: Done,
    /// How it stood then: who looks later sees by it whether somebody changed it.
    pub stamp: Stamp,
}

/// Delivers `jobs` into `folder` (absolute; links in it are resolved and judged anew at each call).
///
/// The answers stand in the order of the jobs; one that fails leaves its old file and fails no other. Blocks until all
/// is durable. Two jobs of one call must not name the same file.
pub fn deliver(folder: &Path, jobs: &[Job]) -> Vec<Result<Landed, DeliverError>> {
    deliver_unless(folder, jobs, |_| |_: &OsStr| None)
}

/// The same, but for files that `rivals` of the opened folder knows another output for: they are left as they are.
pub fn deliver_unless<R: Fn(&OsStr) -> Option<PathBuf> + Sync>(
    folder: &Path,
    jobs: &[Job],
    rivals: impl FnOnce(&Folder) -> R,
) -> Vec<Result<Landed, DeliverError>> {
    if jobs.is_empty() {
        return Vec::new();
    }
    let open = match open_folder(folder) {
        Ok(open) => open,
        Err(cause) => {
            return jobs.iter().map(|job| Err(DeliverError::folder(&job.path, cause.clone()))).collect();
        }
    };
    let rival = rivals(&open);
    let mut answers = spread(&FolderWriter::new(&open), jobs, &rival);
    let written = |answer: &Result<Landed, _>| matches!(answer, Ok(Landed { done: Done::Written, .. }));
    if answers.iter().any(written)
        && let Err(errno) = sync_folder(&open.fd)
    {
        for (answer, job) in answers.iter_mut().zip(jobs).filter(|(a, _)| written(a)) {
            *answer = Err(DeliverError::failed(&job.path, Step::SyncFolder, errno));
        }
    }
    answers
}

/// How a file is found by who only looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileStanding {
    Gone,
    /// It has other bytes, another mode or another owner than it shall.
    Other(Stamp),
    Exactly(Stamp),
}

/// Whether the file of a job already is exactly so; nothing is written.
///
/// # Errors
/// Its folder cannot be used, or something that is no file stands there.
pub fn standing(folder: &Path, job: &Job) -> Result<FileStanding, DeliverError> {
    let open = open_folder(folder).map_err(|cause| DeliverError::folder(&job.path, cause))?;
    let name = job.path.file_name().ok_or_else(|| DeliverError::NoName(job.path.to_path_buf()))?;
    let writer = FolderWriter::new(&open);
    Ok(match writer.in_place(job, name)? {
        None => FileStanding::Gone,
        Some(stat) if writer.is_exactly(job, name, &stat) => FileStanding::Exactly(Stamp::of(&stat)),
        Some(stat) => FileStanding::Other(Stamp::of(&stat)),
    })
}

/// Threads that wait for the disk together share its journal commits. One that cannot be started is done without.
fn spread(
    writer: &FolderWriter<'_>,
    jobs: &[Job],
    rival: &(impl Fn(&OsStr) -> Option<PathBuf> + Sync),
) -> Vec<Result<Landed, DeliverError>> {
    let put = |job: &Job| match job.path.file_name().and_then(rival) {
        Some(other) => Err(DeliverError::Shared { file: job.path.to_path_buf(), other }),
        None => writer.put(job),
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else {
                return done;
            };
            done.push((index, put(job)));
        }
    };
    let more = jobs.len().div_ceil(FILES_A_WRITER).clamp(1, WRITERS) - 1;
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..more)
            .map_while(|_| std::thread::Builder::new().name("deliver".into()).spawn_scoped(scope, work).ok())
            .collect();
        let mut done = work();
        for thread in threads {
            match thread.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, answer)| answer).collect()
}

/// Writes files into one folder, as one user.
struct FolderWriter<'a> {
    folder: &'a Folder,
    /// Owner and group of a file that is just created there.
    uid: u32,
    gid: u32,
}

impl<'a> FolderWriter<'a> {
    fn new(folder: &'a Folder) -> Self {
        let setgid = Mode::from_raw_mode(folder.stat.st_mode).contains(Mode::SGID);
        Self {
            folder,
            uid: rustix::process::geteuid().as_raw(),
            gid: match setgid {
                true => folder.stat.st_gid,
                false => rustix::process::getegid().as_raw(),
            },
        }
    }

    fn put(&self, job: &Job) -> Result<Landed, DeliverError> {
        let name = job.path.file_name().ok_or_else(|| DeliverError::NoName(job.path.to_path_buf()))?;
        let there = self.in_place(job, name)?;
        if let Some(stat) = there.filter(|stat| job.verify && self.is_exactly(job, name, stat)) {
            return Ok(Landed { done: Done::Unchanged, stamp: Stamp::of(&stat) });
        }
        let failed = |(step, errno)| DeliverError::failed(&job.path, step, errno);
        let temp = Temp::create(&self.folder.fd, name).map_err(failed)?;
        temp.dress(&job.spec, job.bytes.expose().len()).map_err(failed)?;
        temp.check(&job.spec, &job.path)?;
        temp.fill(&job.spec, job.bytes.expose()).map_err(failed)?;
        // Once more, right before: the write may have taken long.
        self.in_place(job, name)?;
        let stat = temp.land(name).map_err(failed)?;
        Ok(Landed { done: Done::Written, stamp: Stamp::of(&stat) })
    }

    /// What stands in the file's place; anything but a regular file is refused.
    fn in_place(&self, job: &Job, name: &OsStr) -> Result<Option<Stat>, DeliverError> {
        let stat = match rustix::fs::statat(&self.folder.fd, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(DeliverError::failed(&job.path, Step::Look, errno)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(stat)),
            other => Err(DeliverError::irregular(&job.path, other)),
        }
    }

    /// A file that cannot be read back is not exactly so: it is written again.
    fn is_exactly(&self, job: &Job, name: &OsStr, stat: &Stat) -> bool {
        let bytes = job.bytes.expose();
        let dressed = stat.st_mode & 0o7777 == job.spec.mode.0
            && stat.st_uid == job.spec.uid.unwrap_or(self.uid)
            && stat.st_gid == job.spec.gid.unwrap_or(self.gid)
            && stat.st_nlink == 1
            && u64::try_from(stat.st_size).ok() == u64::try_from(bytes.len()).ok();
        dressed
            && read_regular(self.folder, name, stat, bytes.len())
                .is_ok_and(|content| content.is_some_and(|content| *content == *bytes))
    }
}
