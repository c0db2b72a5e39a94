//! Owns: what the machine answered to a config's `Wants`, as values.
//! Does not: ask the machine, or judge the answers.

use std::collections::HashMap;
use std::path::PathBuf;

use super::secret::Secret;
use super::settings::Fingerprint;

/// Whom the files are written and read as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Myself {
    pub name: String,
    pub uid: u32,
    pub groups: Vec<u32>,
    /// Files may be given to anybody (CAP_CHOWN, capabilities(7)).
    pub may_chown: bool,
}

/// Answers, each by what was asked for. What is not in here was not asked.
#[derive(Default)]
pub(crate) struct Facts {
    /// `None`: not asked.
    pub myself: Option<Myself>,
    /// `None`: there is no such user.
    pub users: HashMap<String, Option<u32>>,
    /// `None`: there is no such group.
    pub groups: HashMap<String, Option<u32>>,
    pub folders: HashMap<PathBuf, FolderFact>,
    /// What is wrong with the way to the state.
    pub state_dir: Option<FolderProblem>,
    pub outputs: HashMap<PathBuf, Standing>,
    pub files: HashMap<PathBuf, FileFact>,
    /// `None`: it can be executed; else why not.
    pub programs: HashMap<String, Option<String>>,
    /// By argv: what was printed, or why nothing is known: "exited with status 1".
    pub commands: HashMap<Vec<String>, Result<Secret<Vec<u8>>, String>>,
    /// The config file and what it includes, in order.
    pub config_files: Vec<ConfigFile>,
    /// Whoever knows the names of users and groups does not answer: `None` of them says nothing.
    pub names_hang: bool,
    /// Something could not be looked at for a reason that passes: what is lacking may be there at the next try.
    pub is_passing: bool,
}

/// A config file's permissions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ConfigFile {
    /// Absolute, links not resolved.
    pub path: PathBuf,
    /// As people see it.
    pub shown: String,
    pub mode: u32,
    pub id: FileId,
}

/// Device and inode: the same file under any name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// A folder in which something will be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FolderFact {
    /// With its links resolved, as far as it exists.
    pub resolved: PathBuf,
    /// `None`: it cannot be opened. One folder may be mounted in several places.
    pub id: Option<FileId>,
    /// Why nothing can be written there.
    pub problem: Option<FolderProblem>,
    /// Why nothing of the daemon's own (a socket) may be there; the same as `problem`, and that it belongs to somebody else.
    pub for_own: Option<FolderProblem>,
}

/// What is wrong with a folder, as it is said after its name ("does not exist"), and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FolderProblem {
    pub what: String,
    pub help: &'static str,
}

/// What stands at a path, links not followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Nothing,
    File(FileId),
    Link,
    Folder,
    /// A socket, pipe or device.
    Other,
}

impl Standing {
    /// Whether a socket may be made there, in the place of one that nobody listens at.
    pub(crate) fn takes_socket(self) -> bool {
        matches!(self, Self::Nothing | Self::Other)
    }
}

/// A file that was read.
pub(crate) struct FileFact {
    /// Its bytes, or why there are none: "does not exist".
    pub content: Result<Secret<Vec<u8>>, String>,
    /// Of the bytes; `None` where there are none.
    pub digest: Option<Fingerprint>,
    /// Permission bits, where they could be read.
    pub mode: Option<u32>,
    pub id: Option<FileId>,
}

impl FileFact {
    /// What was found at a path, or why nothing could be read there.
    pub(crate) fn new(content: Result<Secret<Vec<u8>>, String>, mode: Option<u32>, id: Option<FileId>) -> Self {
        let digest = content.as_ref().ok().map(|bytes| Fingerprint::of(bytes.expose()));
        Self { content, digest, mode, id }
    }
}
