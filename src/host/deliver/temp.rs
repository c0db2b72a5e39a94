//! Owns: the temporary file `.NAME.renewd-XXXXXXXX`, from its creation to its rename, and the sweep of those left behind.
//! Its mode and owner are right before a byte of the secret is in it; a step that fails removes it.
//! Does not: look at what it replaces, or sync the folder.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{Advice, AtFlags, Dir, FallocateFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use super::error::{DeliverError, Step};
use crate::core::settings::FileSpec;
use crate::host::walk::{WalkError, open_folder};

const MARK: &[u8] = b".renewd-";
const DIGITS: usize = 8;
/// The longest part of NAME that leaves room for the dot, the mark and the digits (NAME_MAX is 255).
const STEM: usize = 255 - 1 - MARK.len() - DIGITS;
/// The bits that a write or a change of owner takes away (chown(2), write(2)).
const SPECIAL: u32 = 0o6000;

type FileFailure = (Step, Errno);

fn stem(name: &[u8]) -> &[u8] {
    &name[..name.len().min(STEM)]
}

fn temp_name(name: &OsStr, digits: u32) -> OsString {
    let mut temp = vec![b'.'];
    temp.extend_from_slice(stem(name.as_bytes()));
    temp.extend_from_slice(MARK);
    temp.extend_from_slice(format!("{digits:08x}").as_bytes());
    OsString::from_vec(temp)
}

/// The stem of a temporary file's name; `None` where it is not one.
fn stem_of_temp(temp: &[u8]) -> Option<&[u8]> {
    let rest = temp.strip_prefix(b".")?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let hex = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let stem = rest.strip_suffix(MARK)?;
    (digits.iter().all(hex) && !stem.is_empty()).then_some(stem)
}

/// Whether one of `names` has this stem: itself, or, where it had to be cut, as its beginning.
fn belongs(stem: &[u8], names: &BTreeSet<OsString>) -> bool {
    let name = OsStr::from_bytes(stem);
    if stem.len() < STEM {
        return names.contains(name);
    }
    names
        .range::<OsStr, _>((Bound::Included(name), Bound::Unbounded))
        .next()
        .is_some_and(|first| first.as_bytes().starts_with(stem))
}

/// File systems without owners or modes (vfat, some network ones) may take a change without making it.
pub(super) fn is_kept(spec: &FileSpec, stat: &Stat) -> bool {
    let plain = !SPECIAL & 0o7777;
    stat.st_mode & plain == spec.mode.0 & plain
        && spec.uid.is_none_or(|uid| uid == stat.st_uid)
        && spec.gid.is_none_or(|gid| gid == stat.st_gid)
}

/// A temporary file that is open for writing. Dropped before it has landed, it is removed.
pub(super) struct Temp<'a> {
    file: Named<'a>,
    fd: OwnedFd,
}

/// A temporary file by its name. Dropped before it has landed, it is removed.
pub(super) struct Named<'a> {
    folder: BorrowedFd<'a>,
    name: OsString,
    landed: bool,
}

impl<'a> Temp<'a> {
    /// Created 0600 at most, whatever the umask.
    pub(super) fn create(folder: &'a OwnedFd, for_name: &OsStr) -> Result<Self, FileFailure> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            let digits = getrandom::u32().map_err(|_| (Step::Create, Errno::AGAIN))?;
            let name = temp_name(for_name, digits);
            match rustix::fs::openat(folder, name.as_bytes(), flags, Mode::from_raw_mode(0o600)) {
                Ok(fd) => {
                    return Ok(Self { file: Named { folder: folder.as_fd(), name, landed: false }, fd });
                }
                Err(Errno::EXIST | Errno::INTR) => {}
                Err(errno) => return Err((Step::Create, errno)),
            }
        }
    }

    /// Group, mode, owner, in this order: whoever holds CAP_CHOWN without CAP_FOWNER loses the right to change the mode,
    /// and in a sticky folder that to remove the file, with the owner. So what may fail comes before: room too. The answer is
    /// how it stands then.
    pub(super) fn dress(&self, spec: &FileSpec, len: usize) -> Result<Stat, FileFailure> {
        let look = || rustix::fs::fstat(&self.fd).map_err(|e| (Step::Mode, e));
        let stat = look()?;
        let gid = spec.gid.filter(|gid| *gid != stat.st_gid);
        let uid = spec.uid.filter(|uid| *uid != stat.st_uid);
        if gid.is_none() && uid.is_none() && stat.st_mode & 0o7777 == spec.mode.0 {
            return Ok(stat);
        }
        if let Some(gid) = gid {
            rustix::fs::fchown(&self.fd, None, Some(Gid::from_raw(gid))).map_err(|e| (Step::Group(gid), e))?;
        }
        self.set_mode(spec)?;
        if let Some(uid) = uid {
            self.reserve(len)?;
            rustix::fs::fchown(&self.fd, Some(Uid::from_raw(uid)), None).map_err(|e| (Step::Owner(uid), e))?;
        }
        look()
    }

    fn set_mode(&self, spec: &FileSpec) -> Result<(), FileFailure> {
        let step = if spec.mode.0 & SPECIAL == 0 { Step::Mode } else { Step::Special };
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(spec.mode.0)).map_err(|e| (step, e))
    }

    fn reserve(&self, len: usize) -> Result<(), FileFailure> {
        if len == 0 {
            return Ok(());
        }
        let keep = FallocateFlags::KEEP_SIZE;
        match rustix::io::retry_on_intr(|| rustix::fs::fallocate(&self.fd, keep, 0, len as u64)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err((Step::Write, errno)),
        }
    }

    /// Writes it whole; what is written is not durable yet.
    pub(super) fn fill(&self, spec: &FileSpec, mut bytes: &[u8]) -> Result<(), FileFailure> {
        while !bytes.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::write(&self.fd, bytes)) {
                Ok(0) => return Err((Step::Write, Errno::NOSPC)),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(errno) => return Err((Step::Write, errno)),
            }
        }
        if spec.mode.0 & SPECIAL != 0 {
            self.set_special(spec)?;
        }
        Ok(())
    }

    /// Has the kernel begin to write it to the disk, as far as it will: a commit of the journal can then be for many files.
    pub(super) fn hurry(&self) {
        // Advice alone. What is being written is not given up by it.
        let _ = rustix::fs::fadvise(&self.fd, 0, None, Advice::DontNeed);
    }

    pub(super) fn sync(&self) -> Result<(), FileFailure> {
        rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.fd)).map_err(|e| (Step::Sync, e))
    }

    /// fchmod drops setgid without a word where the group is not the process's own.
    fn set_special(&self, spec: &FileSpec) -> Result<(), FileFailure> {
        self.set_mode(spec)?;
        let stat = rustix::fs::fstat(&self.fd).map_err(|e| (Step::Mode, e))?;
        if stat.st_mode & 0o7777 != spec.mode.0 {
            return Err((Step::Special, Errno::PERM));
        }
        Ok(())
    }

    /// Closes it, so that a batch may hold more files than a process may have open.
    pub(super) fn close(self) -> Named<'a> {
        self.file
    }
}

impl Named<'_> {
    /// The rename into place; the file as it stands there. `dressed`: how it stood before it was written.
    pub(super) fn land(mut self, name: &OsStr, dressed: &Stat) -> Result<Stat, FileFailure> {
        rustix::fs::renameat(self.folder, self.name.as_bytes(), self.folder, name.as_bytes())
            .map_err(|e| (Step::Rename, e))?;
        self.landed = true;
        // After the rename, which is a change too (st_ctime).
        let now = rustix::fs::statat(self.folder, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
        // Where somebody else has replaced it already, the next look is to find that it is not as it was left.
        Ok(now.ok().filter(|now| (now.st_dev, now.st_ino) == (dressed.st_dev, dressed.st_ino)).unwrap_or(*dressed))
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        if let Err(Errno::PERM | Errno::ACCESS) =
            rustix::fs::unlinkat(self.folder, self.name.as_bytes(), AtFlags::empty())
        {
            // What cannot be removed now is swept at the next start.
            let _ = sweep_one(self.folder, &self.name);
        }
    }
}

/// Removes a temporary file that `fd` (O_PATH will do) is open on. Where its new owner is in the way (a sticky folder,
/// CAP_CHOWN without CAP_FOWNER), it is taken back first: never a file that has another name elsewhere.
fn discard(folder: BorrowedFd<'_>, name: &OsStr, fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let unlink = || rustix::fs::unlinkat(folder, name.as_bytes(), AtFlags::empty());
    match unlink() {
        Err(refused @ (Errno::PERM | Errno::ACCESS)) => {
            let stat = rustix::fs::statat(fd, "", AtFlags::EMPTY_PATH)?;
            let me = rustix::process::geteuid();
            if stat.st_nlink != 1 || stat.st_uid == me.as_raw() {
                return Err(refused);
            }
            rustix::fs::chownat(fd, "", Some(me), None, AtFlags::EMPTY_PATH).map_err(|_| refused)?;
            unlink()
        }
        other => other,
    }
}

/// Removes from `folder` what crashed deliveries of exactly the files `names` left behind; tells how many it were.
/// A folder that is missing holds none. Not to be called while a delivery of one of these files is under way.
///
/// # Errors
/// The walk's, or the first file's that could not be removed (the others are).
pub fn sweep(folder: &Path, names: &BTreeSet<OsString>) -> Result<usize, DeliverError> {
    let open = match open_folder(folder) {
        Ok(open) => open,
        Err(WalkError::Missing { .. }) => return Ok(0),
        Err(cause) => return Err(DeliverError::folder(folder, cause)),
    };
    let listed = |errno| DeliverError::failed(folder, Step::List, errno);
    let mut swept = 0;
    let mut first_failure = None;
    for entry in Dir::read_from(&open.fd).map_err(listed)? {
        let entry = entry.map_err(listed)?;
        let temp = entry.file_name().to_bytes();
        if !stem_of_temp(temp).is_some_and(|stem| belongs(stem, names)) {
            continue;
        }
        match sweep_one(open.fd.as_fd(), OsStr::from_bytes(temp)) {
            Ok(gone) => swept += usize::from(gone),
            Err(errno) => {
                let file = folder.join(OsStr::from_bytes(temp));
                first_failure.get_or_insert(DeliverError::failed(&file, Step::Remove, errno));
            }
        }
    }
    first_failure.map_or(Ok(swept), Err)
}

fn sweep_one(folder: BorrowedFd<'_>, name: &OsStr) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(folder, name.as_bytes(), flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        other => other?,
    };
    let stat = rustix::fs::statat(&fd, "", AtFlags::EMPTY_PATH)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(false);
    }
    discard(folder, name, fd.as_fd())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<OsString> {
        list.iter().map(OsString::from).collect()
    }

    fn is_ours(temp: &str, list: &[&str]) -> bool {
        stem_of_temp(temp.as_bytes()).is_some_and(|stem| belongs(stem, &names(list)))
    }

    #[test]
    fn only_the_exact_pattern_of_a_known_name_is_ours() {
        assert!(is_ours(".a.token.renewd-0123abcd", &["a.token", "b"]));
        for foreign in [
            ".b.token.renewd-0123abcd",
            "a.token.renewd-0123abcd",
            ".a.token.renewd-0123ABCD",
            ".a.token.renewd-0123abc",
            ".a.token.renewd-0123abcde",
            ".a.token.renewd-notes123",
            ".a.token.swp",
            ".a.toke.renewd-0123abcd",
            ".a.token2.renewd-0123abcd",
            ".renewd-0123abcd",
            ".keep",
            ".",
            "",
        ] {
            assert!(!is_ours(foreign, &["a.token", "b"]), "{foreign}");
        }
    }

    #[test]
    fn a_long_name_is_cut_to_fit_and_known_again() {
        let long = "n".repeat(255);
        for len in [STEM - 1, STEM, STEM + 1, 255] {
            let name = &long[..len];
            let temp = temp_name(OsStr::new(name), 0xdead_beef);
            assert!(temp.len() <= 255);
            assert!(is_ours(&temp.to_string_lossy(), &["m", name, "z"]), "{len}");
            assert!(!is_ours(&temp.to_string_lossy(), &["m", "z"]), "{len}");
        }
        let other = format!("{}x", &long[..STEM - 1]);
        let temp = temp_name(OsStr::new(&long), 7);
        assert!(!is_ours(&temp.to_string_lossy(), &[&other]));
    }
}
