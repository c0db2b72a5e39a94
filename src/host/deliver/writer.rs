//! Owns: one file of a batch: what is asked for it, and its way from a look at what stands there to its name.
//! Does not: choose the order in which a batch goes that way.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;

use super::error::{DeliverError, Step};
use super::look::Stamp;
use super::read::read_regular;
use super::temp::{Temp, is_kept};
use crate::core::secret::Secret;
use crate::core::settings::{FileSpec, TargetPath};
use crate::host::walk::Folder;

/// One file to put in place.
#[derive(Debug)]
pub struct Job {
    /// Absolute. Its last component names the file in the folder that is walked to; the whole is what messages show.
    pub path: TargetPath,
    /// Set on the temporary file, before it takes the name.
    pub spec: FileSpec,
    /// All that the file will hold.
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

/// Tells of another output that is the file of a name.
pub(super) type Rival<'a> = dyn Fn(&OsStr) -> Option<PathBuf> + Sync + 'a;

/// Writes files into one folder, as one user.
pub(super) struct FolderWriter<'a> {
    pub(super) folder: &'a Folder,
    /// Owner and group of a file that is just created there.
    uid: u32,
    gid: u32,
    rival: &'a Rival<'a>,
}

/// A job that is begun: nothing of it is seen yet, and what is written is not durable.
pub(super) enum Begun<'a> {
    Unchanged(Stamp),
    /// And how it stood before it was written.
    Written(Temp<'a>, Stat),
}

impl<'a> FolderWriter<'a> {
    pub(super) fn new(folder: &'a Folder, rival: &'a Rival<'a>) -> Self {
        let setgid = Mode::from_raw_mode(folder.stat.st_mode).contains(Mode::SGID);
        Self {
            folder,
            uid: rustix::process::geteuid().as_raw(),
            gid: match setgid {
                true => folder.stat.st_gid,
                false => rustix::process::getegid().as_raw(),
            },
            rival,
        }
    }

    /// One file from its beginning to its end, but for the fsync of the folder.
    pub(super) fn put(&self, job: &Job) -> Result<Landed, DeliverError> {
        let failed = |(step, errno)| DeliverError::failed(&job.path, step, errno);
        let (temp, stat) = match self.begin(job)? {
            Begun::Unchanged(stamp) => return Ok(Landed { done: Done::Unchanged, stamp }),
            Begun::Written(temp, stat) => (temp, stat),
        };
        temp.sync().map_err(failed)?;
        self.finish(job, |name| temp.close().land(name, &stat))
    }

    /// Gives a file that is durable its name, by `land`, which tells how it stands there.
    pub(super) fn finish(
        &self,
        job: &Job,
        land: impl FnOnce(&OsStr) -> Result<Stat, (Step, Errno)>,
    ) -> Result<Landed, DeliverError> {
        let name = self.name(job)?;
        // Once more, right before: the write may have taken long.
        self.in_place(job, name)?;
        let stat = land(name).map_err(|(step, errno)| DeliverError::failed(&job.path, step, errno))?;
        Ok(Landed { done: Done::Written, stamp: Stamp::of(&stat) })
    }

    /// Writes the temporary file, with its mode and owner before its secret.
    pub(super) fn begin(&self, job: &Job) -> Result<Begun<'a>, DeliverError> {
        let name = self.name(job)?;
        if let Some(other) = (self.rival)(name) {
            return Err(DeliverError::Shared { file: job.path.to_path_buf(), other });
        }
        let there = self.in_place(job, name)?;
        if let Some(stat) = there.filter(|stat| job.verify && self.is_exactly(job, name, stat)) {
            return Ok(Begun::Unchanged(Stamp::of(&stat)));
        }
        let failed = |(step, errno)| DeliverError::failed(&job.path, step, errno);
        let temp = Temp::create(&self.folder.fd, name).map_err(failed)?;
        let stat = temp.dress(&job.spec, job.bytes.expose().len()).map_err(failed)?;
        if !is_kept(&job.spec, &stat) {
            return Err(DeliverError::NotKept { file: job.path.to_path_buf() });
        }
        temp.fill(&job.spec, job.bytes.expose()).map_err(failed)?;
        Ok(Begun::Written(temp, stat))
    }

    pub(super) fn name<'j>(&self, job: &'j Job) -> Result<&'j OsStr, DeliverError> {
        job.path.file_name().ok_or_else(|| DeliverError::NoName(job.path.to_path_buf()))
    }

    /// What stands in the file's place; anything but a regular file is refused.
    pub(super) fn in_place(&self, job: &Job, name: &OsStr) -> Result<Option<Stat>, DeliverError> {
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
    pub(super) fn is_exactly(&self, job: &Job, name: &OsStr, stat: &Stat) -> bool {
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
