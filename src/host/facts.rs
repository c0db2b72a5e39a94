//! Owns: the answers to `Wants`: users, groups, folders, links, files and programs, each looked at once.
//! Does not: judge what it sees; `plan` does.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use uzers::os::unix::UserExt;
use zeroize::Zeroizing;

use super::account::{self, Account};
use super::patience;
use super::walk::{self, Owner, WalkError, open_folder, open_own_folder};
use crate::core::config::Wants;
use crate::core::environment::Environment;
use crate::core::facts::{Facts, FileFact, FileId, FolderFact, FolderProblem, Myself, Standing};
use crate::core::secret::{Secret, make_room};

/// A secret, key or template is at most this large.
const LARGEST_INPUT: u64 = 1024 * 1024;
/// Where programs are looked up when $PATH is not set (execvp(3)).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Asks the machine.
pub(super) fn gather(wants: Wants<'_>, own: Account, env: &Environment) -> Facts {
    let (is_passing, names_hang) = (Cell::new(false), Cell::new(false));
    let names_answer = || {
        let answer = patience::touch_names().is_ok();
        names_hang.set(names_hang.get() | !answer);
        answer
    };
    let facts = Facts {
        myself: Some(Myself { name: own.shown(), uid: own.uid, groups: own.groups, may_chown: own.may_chown }),
        users: answers(&wants.users, |name| {
            names_answer().then(|| uzers::get_user_by_name(name)).flatten().map(|user| user.uid())
        }),
        groups: answers(&wants.groups, |name| {
            names_answer().then(|| uzers::get_group_by_name(name)).flatten().map(|group| group.gid())
        }),
        folders: wants.folders.iter().map(|path| (path.to_path_buf(), folder_fact(path, &is_passing))).collect(),
        state_dir: wants.state_dir.as_deref().and_then(state_problem),
        outputs: wants.outputs.iter().map(|path| (path.to_path_buf(), standing(path))).collect(),
        files: wants
            .files
            .into_iter()
            .map(|path| {
                let fact = file_fact(&path, &is_passing);
                (path, fact)
            })
            .collect(),
        programs: answers(&wants.programs, |program| program_problem(program, env, &is_passing)),
        commands: HashMap::new(),
        config_files: Vec::new(),
        names_hang: false,
        is_passing: false,
    };
    let unknown = |ids: &HashMap<String, Option<u32>>| ids.values().any(Option::is_none);
    let is_unknown = unknown(&facts.users) || unknown(&facts.groups);
    is_passing.set(is_passing.get() | is_unknown & names_hang.get());
    if is_unknown && !names_hang.get() {
        // getpwnam(3) and getgrnam(3) do not say whether there is none, or only no descriptor to look with.
        for table in ["/etc/passwd", "/etc/group"] {
            let unread = File::open(table).err().map(|error| Unread::of(&error));
            is_passing.set(is_passing.get() | unread.is_some_and(|unread| unread.is_passing));
        }
    }
    patience::rest();
    Facts { is_passing: is_passing.get(), names_hang: names_hang.get(), ..facts }
}

/// Whom this process runs as. Asked before anything large is read: what the name services keep for good stands behind nothing then
/// that goes again, for malloc gives back what is free at the end of its memory alone.
pub(super) fn own_account() -> Account {
    let own = if patience::touch_names().is_ok() { Account::own() } else { Account::own_by_number() };
    patience::rest();
    own
}

/// Files that were read before, as they are now. One that cannot be read for a reason that passes is another one for now.
pub(super) fn files<'p>(paths: impl Iterator<Item = &'p Path>) -> HashMap<PathBuf, FileFact> {
    let is_passing = Cell::new(false);
    let files = paths.map(|path| (path.to_path_buf(), file_fact(path, &is_passing))).collect();
    patience::rest();
    files
}

/// What stands at each of these paths.
pub(super) fn standings<'p>(paths: impl Iterator<Item = &'p Path>) -> Vec<Standing> {
    let standings = paths.map(standing).collect();
    patience::rest();
    standings
}

fn answers<T>(names: &HashSet<&str>, ask: impl Fn(&str) -> T) -> HashMap<String, T> {
    names.iter().map(|name| (name.to_string(), ask(name))).collect()
}

/// The home folder of the user this process runs as.
pub(super) fn account_home() -> Option<PathBuf> {
    let user = uzers::get_user_by_uid(uzers::get_effective_uid())?;
    Some(user.home_dir().to_path_buf()).filter(|home| home.is_absolute())
}

/// What is known of a folder in which something is written: the same walk as before each delivery.
fn folder_fact(path: &Path, is_passing: &Cell<bool>) -> FolderFact {
    if let Err(error) = patience::touch_folder(path) {
        let problem = FolderProblem {
            what: Unread::of(&error).what,
            help: "see to its file system (a server that is gone, a FUSE program that hangs), or name another folder",
        };
        is_passing.set(true);
        return FolderFact { resolved: path.into(), id: None, problem: Some(problem.clone()), for_own: Some(problem) };
    }
    let opened = open_folder(path);
    if let Err(WalkError::Io { errno, .. }) = &opened {
        is_passing.set(is_passing.get() | self::is_passing(*errno));
    }
    match opened {
        Ok(folder) => {
            let folder_id = FileId { device: folder.stat.st_dev, inode: folder.stat.st_ino };
            let for_own = walk::refuse_others(path, &folder).err().map(|error| folder_problem(&error));
            FolderFact { resolved: folder.resolved, id: Some(folder_id), problem: None, for_own }
        }
        Err(error) => FolderFact {
            resolved: resolved(path),
            id: None,
            problem: Some(folder_problem(&error)),
            for_own: Some(folder_problem(&error)),
        },
    }
}

/// What is wrong with the way to the state, as far as it exists; what is missing is made.
fn state_problem(path: &Path) -> Option<FolderProblem> {
    patience::touch_folder(path).ok()?;
    let there = path.ancestors().find(|folder| folder.exists())?;
    let error = open_own_folder(there).err()?;
    // Whoever only checks need not be whom the daemon runs as.
    let is_root = rustix::process::geteuid().is_root();
    match error {
        WalkError::UnsafeStep { .. } | WalkError::WorldWritable { .. } => Some(folder_problem(&error)),
        WalkError::Others { .. } if is_root => Some(folder_problem(&error)),
        _ => None,
    }
}

fn folder_problem(error: &WalkError) -> FolderProblem {
    let (what, help) = match error {
        WalkError::Missing { .. } => {
            ("does not exist".into(), "renewd creates no folders: RuntimeDirectory= or systemd-tmpfiles does")
        }
        WalkError::NotAFolder { .. } => ("is not a folder".into(), "name a path in a folder"),
        WalkError::UnsafeStep { from, from_owner, to, to_owner, .. } => (
            format!(
                "is refused: the step from {} ({from_owner}) to {} ({to_owner}) is unsafe",
                from.display(),
                to.display()
            ),
            "the owner of the first could put something else in the place of the second: give both to one user, or the \
             first to root",
        ),
        WalkError::WorldWritable { at, mode, .. } => (
            format!("is refused: anybody may write to {} (mode {mode:04o}, no sticky bit)", at.display()),
            "chmod o-w or +t it, or name another folder",
        ),
        WalkError::Others { at, owner, user, .. } => (
            format!(
                "is refused: {} belongs to {owner}, who could put something else in the place of what is there",
                at.display()
            ),
            if *user == Owner(0) {
                "name a folder of root"
            } else {
                "name a folder of the daemon's own user, or of root"
            },
        ),
        WalkError::Denied { at, user, what, .. } => (
            format!("cannot be used: {user} may not {what} {}", at.display()),
            "give the right by chmod, or chgrp and SupplementaryGroups=, or name another folder",
        ),
        WalkError::Relative { .. } | WalkError::TooManyLinks { .. } | WalkError::Io { .. } => {
            (format!("cannot be used: {error}"), "name another folder")
        }
    };
    FolderProblem { what, help }
}

/// With its links resolved as far as it exists, so that two names of one missing folder are one.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut there = path;
    loop {
        if let Ok(real) = there.canonicalize() {
            return rest.iter().rev().fold(real, |path, part| path.join(part));
        }
        match (there.parent(), there.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name);
                there = parent;
            }
            _ => return path.to_path_buf(),
        }
    }
}

fn standing(path: &Path) -> Standing {
    // Its folder does not answer either, which is told.
    match patience::touch(path).and_then(|()| path.symlink_metadata()) {
        Ok(meta) if meta.is_symlink() => Standing::Link,
        Ok(meta) if meta.is_dir() => Standing::Folder,
        Ok(meta) if meta.is_file() => Standing::File(id(&meta)),
        Ok(_) => Standing::Other,
        Err(_) => Standing::Nothing,
    }
}

fn id(meta: &Metadata) -> FileId {
    FileId { device: meta.dev(), inode: meta.ino() }
}

fn file_fact(path: &Path, is_passing: &Cell<bool>) -> FileFact {
    let unread = |unread: Unread| {
        is_passing.set(is_passing.get() | unread.is_passing);
        unread.what
    };
    match open(path) {
        Ok((mut file, meta)) => {
            let content = read(&mut file, &meta, LARGEST_INPUT);
            let content = content.map(|mut bytes| Secret::new(std::mem::take(&mut *bytes))).map_err(unread);
            FileFact::new(content, Some(meta.mode() & 0o7777), Some(id(&meta)))
        }
        Err(problem) => FileFact::new(Err(unread(problem)), None, None),
    }
}

/// Why a file could not be read.
#[derive(Debug)]
pub(super) struct Unread {
    /// After its name: "does not exist".
    pub what: String,
    /// The next try may do: it says nothing of the file.
    pub is_passing: bool,
}

impl Unread {
    fn because(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_passing: false }
    }

    pub(super) fn of(error: &std::io::Error) -> Self {
        let is_passing = Errno::from_io_error(error).is_some_and(is_passing);
        let what = match error.kind() {
            ErrorKind::NotFound => "does not exist".into(),
            ErrorKind::PermissionDenied => {
                let me = account::user_name(uzers::get_effective_uid());
                format!("cannot be read: permission denied for the user {me}")
            }
            ErrorKind::NotADirectory => "does not exist: a part of its path is not a folder".into(),
            ErrorKind::TimedOut => "does not answer: does its file system hang?".into(),
            _ if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
                "cannot be read just now: renewd's own limit of open files is reached (LimitNOFILE=, ulimit -n)".into()
            }
            _ if is_passing => format!("cannot be read just now: {error}"),
            _ => format!("cannot be read: {error}"),
        };
        Self { what, is_passing }
    }
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

/// Whether a call failed by something that passes: the machine or this process is short of something (ENOMEM, ENFILE, EMFILE,
/// EAGAIN), or a disk or a server did not answer well (EIO, ESTALE, ETIMEDOUT). Then the config was not judged at all.
fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::IO
            | Errno::STALE
            | Errno::TIMEDOUT
            | Errno::AGAIN
            | Errno::INTR
    )
}

/// A config file as it was read.
pub(super) struct ConfigRead {
    pub bytes: Zeroizing<Vec<u8>>,
    pub mode: u32,
    pub id: FileId,
}

/// Reads a config file, or says why not: "does not exist".
pub(super) fn read_config(path: &Path, largest: u64) -> Result<ConfigRead, Unread> {
    let (mut file, meta) = open(path)?;
    Ok(ConfigRead { bytes: read(&mut file, &meta, largest)?, mode: meta.mode() & 0o7777, id: id(&meta) })
}

/// Opens a regular file. Nothing else: a pipe would hold up the daemon until somebody writes to it.
fn open(path: &Path) -> Result<(File, Metadata), Unread> {
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits();
    patience::touch(path).map_err(|error| Unread::of(&error))?;
    let opened = File::options().read(true).custom_flags(nonblock.cast_signed()).open(path);
    let file = opened.map_err(|error| Unread::of(&error))?;
    let meta = file.metadata().map_err(|error| Unread::of(&error))?;
    if meta.is_file() {
        return Ok((file, meta));
    }
    let kind = meta.file_type();
    Err(Unread::because(if kind.is_dir() {
        "is a folder"
    } else if kind.is_fifo() || kind.is_char_device() {
        "is not a regular file"
    } else {
        "cannot be read"
    }))
}

fn read(file: &mut File, meta: &Metadata, largest: u64) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let too_large = || Unread::because(format!("is larger than {} MiB", largest / 1024 / 1024));
    if meta.len() > largest {
        return Err(too_large());
    }
    let length = usize::try_from(meta.len()).unwrap_or(0);
    let mut bytes = Zeroizing::new(vec![0; length]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Unread::of(&error)),
        }
    }
    bytes.truncate(filled);
    // The kernel's own files tell no length.
    if length == 0 {
        read_on(file, &mut bytes, largest + 1).map_err(|error| Unread::of(&error))?;
    }
    if bytes.len() as u64 > largest {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Reads on to the end, or up to so many bytes.
pub(crate) fn read_on(from: &mut dyn Read, bytes: &mut Zeroizing<Vec<u8>>, most: u64) -> io::Result<()> {
    let mut from = from.take(most.saturating_sub(bytes.len() as u64));
    loop {
        make_room(bytes, 1);
        // As much as there is room for: growing is not left to the `Vec`.
        let room = bytes.capacity() - bytes.len();
        if from.by_ref().take(room as u64).read_to_end(bytes)? < room {
            return Ok(());
        }
    }
}

/// Why a program cannot be executed.
fn program_problem(program: &str, env: &Environment, is_passing: &Cell<bool>) -> Option<String> {
    let problem = |path: &Path| {
        let problem = executable(path).err()?;
        is_passing.set(is_passing.get() | problem.is_passing);
        Some(problem.what)
    };
    if program.contains('/') {
        return problem(Path::new(program));
    }
    let path = env.non_empty("PATH").map_or_else(|| DEFAULT_PATH.into(), std::ffi::OsStr::to_os_string);
    let found = std::env::split_paths(&path).any(|folder| problem(&folder.join(program)).is_none());
    (!found).then(|| "is not in $PATH".into())
}

fn executable(path: &Path) -> Result<(), Unread> {
    let meta = patience::touch(path).and_then(|()| path.metadata()).map_err(|error| Unread::of(&error))?;
    if meta.is_dir() {
        return Err(Unread::because("is a folder"));
    }
    rustix::fs::accessat(rustix::fs::CWD, path, rustix::fs::Access::EXEC_OK, rustix::fs::AtFlags::EACCESS)
        .map_err(|_| Unread::because("cannot be executed"))
}
