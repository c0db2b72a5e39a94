//! Owns: the way to a file: each name that is looked up on it, in the folder where it really stands.
//! A link on the way leads on; what is missing ends it, and is waited for where it would appear.
//! Does not: watch anything, or hold a file open.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use glob::Pattern;
use rustix::fs::{FileType, Stat};

/// What stands under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Missing,
    Link,
    Folder,
    File,
}

/// A moment of the file system's clock, for comparison with times of change: nanoseconds since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark(i128);

impl Mark {
    /// Now, by the clock that Linux stamps files with: what changes from now on has this mark or a later one.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Self(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
    }

    fn of_change(stat: &Stat) -> Self {
        Self(i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec))
    }
}

/// What matters in one folder.
#[derive(Default, Debug)]
pub(super) struct Interest {
    /// Names that lead to a watched file, with what stood there when the way was walked.
    pub(super) names: HashMap<OsString, Kind>,
    /// Any name that matches one of these.
    pub(super) patterns: Vec<Pattern>,
    /// Without a watch here a change would be missed; else it only tells when the folder itself is moved.
    pub(super) needed: bool,
}

impl Interest {
    pub(super) fn is_in(&self, name: &OsStr) -> bool {
        self.names.contains_key(name) || self.is_included(name)
    }

    pub(super) fn is_included(&self, name: &OsStr) -> bool {
        !self.patterns.is_empty() && {
            let name = name.to_string_lossy();
            self.patterns.iter().any(|pattern| pattern.matches(&name))
        }
    }
}

/// All ways to all watched files, by the folders they lead through.
#[derive(Default, Debug)]
pub(super) struct Routes {
    pub(super) folders: HashMap<PathBuf, Interest>,
    /// Something on the way to a file that is new here changed at or after the mark: the file may have been read before.
    pub(super) is_late: bool,
}

/// Links that are followed to one file; the kernel's own limit (path_resolution(7)).
const LINKS: usize = 40;

/// Walks to `files` and to the folders of `includes` (a folder, or one with a glob behind it). Whatever `is_new` names is
/// compared with the mark.
pub(super) fn walk(
    files: &BTreeSet<PathBuf>,
    includes: &BTreeSet<PathBuf>,
    is_new: impl Fn(&Path) -> bool,
    mark: Mark,
) -> Routes {
    let mut walker = Walker { routes: Routes::default(), known: HashMap::new(), mark: None };
    for file in files {
        walker.mark = is_new(file).then_some(mark);
        walker.follow(file, LINKS);
    }
    for include in includes {
        walker.mark = is_new(include).then_some(mark);
        walker.include(include);
    }
    walker.routes.folders.retain(|folder, interest| {
        let deep = folder.components().count() > 2;
        (interest.needed || deep) && !is_virtual(folder)
    });
    walker.routes
}

/// Folders that the kernel makes up: nothing is delivered there, and everybody opens files in them.
fn is_virtual(folder: &Path) -> bool {
    ["/proc", "/sys", "/dev"].iter().any(|root| folder.starts_with(root)) && !folder.starts_with("/dev/shm")
}

struct Walker {
    routes: Routes,
    /// Folders as they are named -> where they really are. Most files share their folder.
    known: HashMap<PathBuf, Option<PathBuf>>,
    mark: Option<Mark>,
}

impl Walker {
    /// Where `path` really is, if it is there.
    fn follow(&mut self, path: &Path, links: usize) -> Option<PathBuf> {
        match path.components().next_back()? {
            Component::RootDir => Some(PathBuf::from("/")),
            Component::ParentDir => {
                let mut folder = self.folder(path.parent()?, links)?;
                folder.pop();
                Some(folder)
            }
            Component::Normal(name) => {
                let folder = self.folder(path.parent()?, links)?;
                self.step(folder, name, links)
            }
            Component::CurDir | Component::Prefix(_) => None,
        }
    }

    fn folder(&mut self, path: &Path, links: usize) -> Option<PathBuf> {
        if let Some(real) = self.known.get(path) {
            return real.clone();
        }
        let real = self.follow(path, links);
        self.known.insert(path.to_owned(), real.clone());
        real
    }

    /// Looks `name` up in `folder`, where it really is.
    fn step(&mut self, folder: PathBuf, name: &OsStr, links: usize) -> Option<PathBuf> {
        let path = folder.join(name);
        let kind = self.look(&path);
        if kind == Kind::Missing {
            // It may have been there when it was read: then its folder changed since.
            self.compare(rustix::fs::lstat(&folder).ok().as_ref());
        }
        let target = match kind {
            Kind::Link => std::fs::read_link(&path).ok().map(|to| folder.join(to)),
            _ => None,
        };
        let interest = self.routes.folders.entry(folder).or_default();
        interest.names.insert(name.to_owned(), kind);
        interest.needed |= kind != Kind::Folder;
        match kind {
            Kind::Missing => None,
            Kind::Link => self.follow(&target?, links.checked_sub(1)?),
            Kind::Folder | Kind::File => Some(path),
        }
    }

    fn look(&mut self, path: &Path) -> Kind {
        let stat = rustix::fs::lstat(path).ok();
        let kind = kind(stat.as_ref());
        if matches!(kind, Kind::Link | Kind::File) {
            self.compare(stat.as_ref());
        }
        kind
    }

    fn compare(&mut self, stat: Option<&Stat>) {
        if let (Some(mark), Some(stat)) = (self.mark, stat) {
            self.routes.is_late |= Mark::of_change(stat) >= mark;
        }
    }

    fn include(&mut self, include: &Path) {
        let (folder, pattern) = split(include);
        let Some(real) = self.folder(folder, LINKS) else {
            return;
        };
        self.compare(rustix::fs::lstat(&real).ok().as_ref());
        let interest = self.routes.folders.entry(real).or_default();
        interest.needed = true;
        if !interest.patterns.contains(&pattern) {
            interest.patterns.push(pattern);
        }
    }
}

/// The folder and what counts in it: a last name that holds a glob is the pattern, else every name counts.
fn split(include: &Path) -> (&Path, Pattern) {
    let glob = include
        .file_name()
        .and_then(OsStr::to_str)
        .filter(|name| name.contains(['*', '?', '[']))
        .and_then(|name| Pattern::new(name).ok());
    match (glob, include.parent()) {
        (Some(pattern), Some(folder)) => (folder, pattern),
        _ => (include, Pattern::new("*").unwrap_or_default()),
    }
}

pub(super) fn kind_at(path: &Path) -> Kind {
    kind(rustix::fs::lstat(path).ok().as_ref())
}

fn kind(stat: Option<&Stat>) -> Kind {
    match stat.map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        None => Kind::Missing,
        Some(FileType::Symlink) => Kind::Link,
        Some(FileType::Directory) => Kind::Folder,
        Some(_) => Kind::File,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn set(paths: &[&Path]) -> BTreeSet<PathBuf> {
        paths.iter().map(|path| path.to_path_buf()).collect()
    }

    fn kinds(routes: &Routes, folder: &Path) -> Vec<(String, Kind)> {
        let mut names: Vec<_> = routes.folders[folder]
            .names
            .iter()
            .map(|(name, kind)| (name.to_string_lossy().into_owned(), *kind))
            .collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }

    fn walked(files: &[&Path], includes: &[&Path]) -> Routes {
        walk(&set(files), &set(includes), |_| true, Mark(i128::MAX))
    }

    #[test]
    fn every_link_is_a_step_as_kubernetes_makes_them() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("m/..v1")).unwrap();
        std::fs::write(root.join("m/..v1/config.toml"), "x").unwrap();
        symlink("..v1", root.join("m/..data")).unwrap();
        symlink("..data/config.toml", root.join("m/config.toml")).unwrap();
        symlink("m/config.toml", root.join("config.toml")).unwrap();
        let routes = walked(&[&root.join("config.toml")], &[]);
        assert_eq!(kinds(&routes, &root), [("config.toml".into(), Kind::Link), ("m".into(), Kind::Folder)]);
        assert_eq!(
            kinds(&routes, &root.join("m")),
            [("..data".into(), Kind::Link), ("..v1".into(), Kind::Folder), ("config.toml".into(), Kind::Link)]
        );
        assert_eq!(kinds(&routes, &root.join("m/..v1")), [("config.toml".into(), Kind::File)]);
        assert!(!routes.folders.contains_key(Path::new("/")));
    }

    #[test]
    fn what_is_missing_is_waited_for_in_the_nearest_folder() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let routes = walked(&[&root.join("a/b/c")], &[&root.join("d/*.toml")]);
        assert_eq!(kinds(&routes, &root), [("a".into(), Kind::Missing), ("d".into(), Kind::Missing)]);
        assert!(routes.folders[&root].needed && routes.folders[&root].patterns.is_empty());
    }

    #[test]
    fn circles_and_dots_end() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        std::fs::create_dir(root.join("c")).unwrap();
        std::fs::write(root.join("f"), "x").unwrap();
        let routes = walked(&[&root.join("a"), &root.join("c/../f")], &[]);
        let names: Vec<_> = kinds(&routes, &root).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c", "f"]);
    }

    #[test]
    fn an_include_is_a_folder_or_a_pattern_in_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let with_pattern = walked(&[], &[&root.join("*.toml")]);
        let interest = &with_pattern.folders[&root];
        assert!(interest.is_in(OsStr::new("a.toml")) && !interest.is_in(OsStr::new("a.token")));
        assert!(walked(&[], &[&root]).folders[&root].is_in(OsStr::new("a.token")));
    }

    #[test]
    fn a_change_since_the_mark_is_told_of_new_files_only() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        let before = Mark::now();
        std::fs::write(&file, "x").unwrap();
        let files = set(&[&file]);
        let none = BTreeSet::new();
        assert!(walk(&files, &none, |_| true, before).is_late);
        assert!(!walk(&files, &none, |_| false, before).is_late);
        assert!(!walk(&files, &none, |_| true, Mark(i128::MAX)).is_late);
        std::fs::remove_file(&file).unwrap();
        assert!(walk(&files, &none, |_| true, before).is_late);
    }
}
