//! Owns: putting files in place: each whole, with its mode and owner before its secret, durable before it is reported.
//! A batch is one walk to its folder and one fsync of it; between them its files share the disk's commits.
//! Does not: render, decide when, create folders, or follow a link in the last component.

mod batch;
mod disk;
mod error;
mod look;
mod read;
mod remove;
mod temp;
mod writer;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use self::disk::Strategy;
use self::writer::FolderWriter;
use super::walk::{Folder, open_folder, sync_folder};

pub(crate) use self::disk::Disks;
pub(crate) use self::error::{DeliverError, Step};
pub(crate) use self::look::{Stamp, look};
pub use self::remove::{Removed, remove};
pub use self::temp::sweep;
pub(crate) use self::writer::Landed;
pub use self::writer::{Done, Job};

/// Delivers `jobs` into `folder` (absolute; links in it are resolved and judged anew at each call).
///
/// The answers stand in the order of the jobs; one that fails leaves its old file and fails no other. Blocks until all
/// is durable. Two jobs of one call must not name the same file.
pub fn deliver(folder: &Path, jobs: &[Job]) -> Vec<Result<Landed, DeliverError>> {
    deliver_unless(folder, jobs, &Disks::default(), |_| |_: &OsStr| None)
}

/// The same, but for files that `rivals` of the opened folder knows another output for: they are left as they are.
/// `disks`: what earlier deliveries have seen of the file systems.
pub(crate) fn deliver_unless<R: Fn(&OsStr) -> Option<PathBuf> + Sync>(
    folder: &Path,
    jobs: &[Job],
    disks: &Disks,
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
    let writer = FolderWriter::new(&open, &rival);
    let mut answers = match disks.strategy(&open, jobs) {
        Strategy::Each => batch::each(&writer, &jobs.iter().collect::<Vec<_>>()),
        Strategy::Late => batch::late(&writer, jobs, disks),
        Strategy::Together => batch::together(&writer, jobs, disks),
    };
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
pub(crate) enum FileStanding {
    Gone,
    /// It has other bytes, another mode or another owner than it shall.
    Other(Stamp),
    Exactly(Stamp),
}

/// Whether the file of a job already is exactly so; nothing is written.
///
/// # Errors
/// Its folder cannot be used, or something that is no file stands there.
pub(crate) fn standing(folder: &Path, job: &Job) -> Result<FileStanding, DeliverError> {
    let open = open_folder(folder).map_err(|cause| DeliverError::folder(&job.path, cause))?;
    let name = job.path.file_name().ok_or_else(|| DeliverError::NoName(job.path.to_path_buf()))?;
    let writer = FolderWriter::new(&open, &|_| None);
    Ok(match writer.in_place(job, name)? {
        None => FileStanding::Gone,
        Some(stat) if writer.is_exactly(job, name, &stat) => FileStanding::Exactly(Stamp::of(&stat)),
        Some(stat) => FileStanding::Other(Stamp::of(&stat)),
    })
}
