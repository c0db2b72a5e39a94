//! Owns: telling that a watched file changed: closed after writing, moved, removed, given another mode or owner, or reached
//! by another link than before.
//! It watches the folder of every step to a file (never the file), by inotify, and sleeps while nothing happens in them.
//! Does not: read files, or say which changed: a reload reads all anyway.
//!
//! Not seen, because inotify is not told: changes made on another machine (NFS), by truncate(2) or mmap without closing,
//! and by mounting over a folder.

mod pending;
mod route;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::sleep_until;

use pending::{Batch, Next, Pending};
use route::{Kind, Routes, kind_at};

pub use route::Mark;

/// Rounds of walking and watching until nothing new is found, in a tree that changes meanwhile.
const ROUNDS: usize = 8;

/// Between the thread that reads inotify and the one that waits.
#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch on a set of files, and on folders in which new ones may appear.
pub struct Watcher {
    shared: Arc<Shared>,
    /// `None`: inotify is not to be had.
    inotify: Option<RecommendedWatcher>,
    files: BTreeSet<PathBuf>,
    includes: BTreeSet<PathBuf>,
    /// Folder -> device and inode, to see that another one took its place.
    watched: HashMap<PathBuf, (u64, u64)>,
    trouble: Option<String>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Watcher {
    /// Watches nothing yet. Where inotify is not to be had, [`Watcher::trouble`] says so after the first `set`.
    pub fn new() -> Self {
        Self {
            shared: Arc::default(),
            inotify: None,
            files: BTreeSet::new(),
            includes: BTreeSet::new(),
            watched: HashMap::new(),
            trouble: None,
        }
    }

    /// Watches `files` and `includes` and nothing else. Paths are absolute, their links not resolved. An include is a
    /// folder, in which any name counts, or one with a pattern behind it (`/etc/renewd/config.d/*.toml`): then what does
    /// not match, such as a token file beside it, is ignored.
    ///
    /// `read_at` is a [`Mark`] from before the files were read: one that was not watched yet and changed since then is
    /// told as a change, so that no edit falls between reading and watching.
    ///
    /// It looks at the file system, and so blocks; the same set again costs nothing.
    pub fn set(&mut self, files: &BTreeSet<PathBuf>, includes: &BTreeSet<PathBuf>, read_at: Mark) {
        let is_same = self.files == *files && self.includes == *includes;
        if is_same && self.trouble.is_none() {
            return;
        }
        let old_files = std::mem::replace(&mut self.files, files.clone());
        let old_includes = std::mem::replace(&mut self.includes, includes.clone());
        let is_new = |path: &Path| !old_files.contains(path) && !old_includes.contains(path);
        if self.rewatch(is_new, read_at) {
            self.tell(|pending| pending.lose(Instant::now()));
        }
    }

    /// Why changes may be missed, and what to do: then the files are to be read again once a minute.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Returns once something changed or was asked for (true), or may have changed while nobody looked (false): about 10 ms after the last event of it and 100 ms after the first at the latest;
    /// later, by 5 s at most, while a watched file is being written. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        loop {
            let next = self.shared.lock().next(Instant::now());
            match next {
                Next::Nothing => self.shared.wake.notified().await,
                Next::At(at) => tokio::select! {
                    () = self.shared.wake.notified() => {}
                    () = sleep_until(at.into()) => {}
                },
                Next::Tell => break,
            }
        }
        let batch = self.shared.lock().tell();
        if self.leads_elsewhere(&batch) {
            self.forget(&batch.folders);
            if self.rewatch(|_| false, Mark::now()) {
                self.tell(|pending| pending.lose(Instant::now()));
            }
        }
        batch.is_sure()
    }

    /// Has [`Watcher::changed`] return as soon as no watched file is being written: for SIGHUP and `renewd reload`.
    pub fn ask(&self) {
        self.tell(|pending| pending.ask(Instant::now()));
    }

    /// True while a watched file was written to and not closed yet, for 5 s after the last write at most.
    pub fn being_written(&self) -> bool {
        let pending = self.shared.lock();
        pending.written_at(Instant::now()).is_some()
    }

    fn tell(&self, what: impl FnOnce(&mut Pending)) {
        what(&mut self.shared.lock());
        self.shared.wake.notify_one();
    }

    /// Whether the ways must be walked again: a file that is a file again after it was written or replaced changes none.
    fn leads_elsewhere(&self, batch: &Batch) -> bool {
        if batch.lost || !batch.folders.is_empty() {
            return true;
        }
        let pending = self.shared.lock();
        batch.paths.iter().any(|path| {
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return true;
            };
            let interest = pending.routes.folders.get(folder);
            let before = interest.and_then(|interest| interest.names.get(name));
            match before {
                Some(Kind::File) => kind_at(path) != Kind::File,
                Some(_) => true,
                None => false,
            }
        })
    }

    /// inotify drops the watch of a folder that goes, and notify those of all below it.
    fn forget(&mut self, folders: &BTreeSet<PathBuf>) {
        let gone = |path: &Path| folders.iter().any(|folder| path.starts_with(folder));
        let dead: Vec<PathBuf> = self.watched.keys().filter(|path| gone(path)).cloned().collect();
        for path in dead {
            self.unwatch(&path);
        }
    }

    fn unwatch(&mut self, path: &Path) {
        self.watched.remove(path);
        if let Some(inotify) = &mut self.inotify {
            // It fails where the watch is gone already, which is what is wanted.
            let _ = inotify.unwatch(path);
        }
    }

    /// Walks and watches until what was walked is what is watched. True where a new file changed since the mark.
    fn rewatch(&mut self, is_new: impl Fn(&Path) -> bool, read_at: Mark) -> bool {
        self.trouble = None;
        if self.inotify.is_none() {
            self.open();
        }
        let mut is_late = false;
        for _ in 0..ROUNDS {
            let mut routes = route::walk(&self.files, &self.includes, &is_new, read_at);
            is_late |= routes.is_late;
            let folders = by_identity(&mut routes);
            // Before the watches, so that no event of theirs is taken for a neighbour's.
            let needed = |path: &Path| routes.folders.get(path).is_some_and(|at| at.needed);
            let wanted: Vec<_> = folders.into_iter().map(|(path, id)| (needed(&path), path, id)).collect();
            self.shared.lock().routes = routes;
            if !self.watch_all(wanted) {
                break;
            }
        }
        is_late
    }

    /// Watches what is wanted and no more. True where there was something new: it may have changed before it was watched.
    fn watch_all(&mut self, wanted: Vec<(bool, PathBuf, (u64, u64))>) -> bool {
        let keep: HashMap<&Path, (u64, u64)> = wanted.iter().map(|(_, path, id)| (path.as_path(), *id)).collect();
        let stale: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, id)| keep.get(path.as_path()) != Some(id))
            .map(|(path, _)| path.clone())
            .collect();
        for path in stale {
            self.unwatch(&path);
        }
        let mut is_new = false;
        for (needed, path, id) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            let Some(inotify) = &mut self.inotify else {
                break;
            };
            match inotify.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path, id);
                    is_new = true;
                }
                // It went while we looked: the next round sees where it is now.
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => is_new = true,
                Err(error) if needed => self.trouble = Some(explain(&error, &path)),
                Err(_) => {}
            }
        }
        is_new
    }

    fn open(&mut self) {
        let shared = Arc::downgrade(&self.shared);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Some(shared) = shared.upgrade()
                && shared.lock().take(&event, Instant::now())
            {
                shared.wake.notify_one();
            }
        });
        self.watched.clear();
        match watcher {
            Ok(inotify) => self.inotify = Some(inotify),
            Err(error) => self.trouble = Some(explain(&error, Path::new("/"))),
        }
    }
}

/// The folders to watch, each once: inotify knows inodes, and a folder that is mounted in two places has two paths. The
/// second one's names are looked for in the first.
fn by_identity(routes: &mut Routes) -> Vec<(PathBuf, (u64, u64))> {
    let mut paths: Vec<PathBuf> = routes.folders.keys().cloned().collect();
    paths.sort();
    let mut first: HashMap<(u64, u64), PathBuf> = HashMap::new();
    for path in paths {
        let Ok(stat) = rustix::fs::stat(&path) else {
            continue;
        };
        match first.get(&(stat.st_dev, stat.st_ino)) {
            None => {
                first.insert((stat.st_dev, stat.st_ino), path);
            }
            Some(same) => {
                let twin = routes.folders.remove(&path).unwrap_or_default();
                let interest = routes.folders.entry(same.clone()).or_default();
                interest.names.extend(twin.names);
                interest.patterns.extend(twin.patterns);
                interest.needed |= twin.needed;
            }
        }
    }
    first.into_iter().map(|(id, path)| (path, id)).collect()
}

fn explain(error: &notify::Error, path: &Path) -> String {
    let limit = |name| {
        let path = format!("/proc/sys/fs/inotify/{name}");
        let value = std::fs::read_to_string(path).unwrap_or_default();
        format!("raise fs.inotify.{name} (now {}) with sysctl", value.trim())
    };
    let why = match &error.kind {
        ErrorKind::MaxFilesWatch => limit("max_user_watches"),
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            limit("max_user_instances")
        }
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "its folder must be readable to be watched".to_owned()
        }
        ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    };
    match path.parent() {
        Some(_) => format!("changes in {} are not noticed: {why}", path.display()),
        None => format!("changes of files are not noticed: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn set(paths: &[&Path]) -> BTreeSet<PathBuf> {
        paths.iter().map(|path| path.to_path_buf()).collect()
    }

    /// Makes the files by a process that is gone then: a program that another test starts meanwhile inherits what this one
    /// has open, and a file would be closed once more when it begins.
    fn make(files: &[&Path]) {
        let script = "for file; do printf x >\"$file\"; done";
        let made = Command::new("/bin/sh").args(["-c", script, "sh"]).args(files).status().unwrap();
        assert!(made.success());
    }

    /// Waits until inotify's events up to here were handled: a file that is being written is seen to be.
    fn handled(watcher: &Watcher, fence: &mut File) {
        fence.write_all(b".").unwrap();
        while !watcher.being_written() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn readers_and_token_files_of_the_same_folder_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let (config, fence) = (at.join("config.toml"), at.join("fence"));
        let token = at.join("sunbird.token");
        make(&[&config, &fence, &token]);
        let mut watcher = Watcher::new();
        watcher.set(&set(&[&config, &fence]), &set(&[&at.join("*.toml")]), Mark::now());
        watcher.shared.lock().tell();
        for n in 0..1000 {
            drop(File::open(if n % 2 == 0 { &token } else { &config }).unwrap());
            let temp = at.join(".sunbird.token.renewd-1");
            fs::write(&temp, "new").unwrap();
            fs::rename(&temp, &token).unwrap();
        }
        fs::set_permissions(&token, fs::metadata(&config).unwrap().permissions()).unwrap();
        let mut fence = File::options().append(true).open(&fence).unwrap();
        handled(&watcher, &mut fence);
        assert_eq!(watcher.shared.lock().next(Instant::now()), Next::Nothing);
    }

    #[test]
    fn a_write_without_a_close_is_no_change_and_a_close_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let (config, fence) = (at.join("config.toml"), at.join("fence"));
        make(&[&config, &fence]);
        let mut watcher = Watcher::new();
        watcher.set(&set(&[&config, &fence]), &BTreeSet::new(), Mark::now());
        watcher.shared.lock().tell();
        // A file that is there for the first time, and one that is written anew.
        let new = at.join("new");
        watcher.set(&set(&[&config, &fence, &new]), &BTreeSet::new(), Mark::now());
        watcher.shared.lock().tell();
        // The new one was opened, and nothing was written yet.
        let mut half = [File::create(&config).unwrap(), File::create(&new).unwrap()];
        half[0].write_all(b"half").unwrap();
        let mut fence = File::options().append(true).open(&fence).unwrap();
        handled(&watcher, &mut fence);
        let later = Instant::now() + Duration::from_secs(1);
        assert_eq!(watcher.shared.lock().next(later), Next::Nothing);
        drop(half);
        while watcher.shared.lock().next(Instant::now()) == Next::Nothing {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
