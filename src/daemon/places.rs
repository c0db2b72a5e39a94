//! Owns: which folder each path led to when it was opened last, and so whether two outputs have come to be one file since the
//! config was read: a folder that is mounted in two places.
//! Does not: refuse (a delivery does), or judge a config (`plan` does).

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::core::facts::FileId;
use crate::core::settings::Plan;
use crate::host::walk::{Folder, open_folder};

/// Shared by the threads that deliver.
#[derive(Default)]
pub(super) struct Places(Mutex<KnownFolders>);

#[derive(Default)]
struct KnownFolders {
    plan: Option<Arc<Plan>>,
    ids: HashMap<PathBuf, FileId>,
    ways: HashMap<FileId, Vec<PathBuf>>,
}

/// The other ways to a folder: hardly ever is there one.
pub(super) struct FolderWays {
    others: Vec<PathBuf>,
    plan: Option<Arc<Plan>>,
}

impl Places {
    /// From now on these outputs are there.
    pub(super) fn set_plan(&self, plan: &Arc<Plan>) {
        let folders: HashSet<&Path> = plan.targets.iter().filter_map(|target| target.shown.parent()).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<PathBuf> =
            known.ids.keys().filter(|folder| !folders.contains(folder.as_path())).cloned().collect();
        gone.iter().for_each(|folder| known.forget(folder));
        known.plan = Some(plan.clone());
    }

    /// A folder was opened by this path: the other paths that lead to it.
    pub(super) fn opened(&self, path: &Path, folder: &Folder) -> FolderWays {
        let id = id(folder);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.ids.get(path) != Some(&id) {
            known.forget(path);
            known.ids.insert(path.to_path_buf(), id);
            known.ways.entry(id).or_default().push(path.to_path_buf());
        }
        let ways = known.ways.get(&id).into_iter().flatten();
        let others: Vec<PathBuf> = ways.filter(|other| *other != path).cloned().collect();
        let plan = known.plan.clone().filter(|_| !others.is_empty());
        drop(known);
        // What was true when they were opened may not be any more.
        let still = |other: &PathBuf| open_folder(other).is_ok_and(|other| self::id(&other) == id);
        FolderWays { others: others.into_iter().filter(still).collect(), plan }
    }
}

impl KnownFolders {
    fn forget(&mut self, path: &Path) {
        let Some(id) = self.ids.remove(path) else { return };
        if let Some(ways) = self.ways.get_mut(&id) {
            ways.retain(|way| way != path);
            if ways.is_empty() {
                self.ways.remove(&id);
            }
        }
    }
}

impl FolderWays {
    /// Another output that is the file of this name.
    pub(super) fn rival(&self, name: &OsStr) -> Option<PathBuf> {
        if self.others.is_empty() {
            return None;
        }
        let targets = self.plan.iter().flat_map(|plan| &plan.targets);
        let of_name = |path: &&Path| {
            path.file_name() == Some(name)
                && path.parent().is_some_and(|folder| self.others.iter().any(|o| o == folder))
        };
        targets.map(|target| &*target.shown).find(of_name).map(Path::to_path_buf)
    }
}

fn id(folder: &Folder) -> FileId {
    FileId { device: folder.stat.st_dev, inode: folder.stat.st_ino }
}
