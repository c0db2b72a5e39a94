//! Owns: the way to a file: each name that is looked up on it, in the folder where it really stands, with how it stood.
//! A link on the way leads on; what is missing ends it, and is waited for where it would appear.
//! Does not: watch anything, or hold a file open.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use glob::Pattern;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};

use crate::host::include::{self, Part};

/// What stands under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NameKind {
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

    fn of_change(stat: &Metadata) -> Self {
        Self(i128::from(stat.ctime()) * 1_000_000_000 + i128::from(stat.ctime_nsec()))
    }
}

/// How a name stood: what tells by a look that it was replaced, written, mounted over, or leads elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NameStamp {
    pub(super) kind: NameKind,
    /// Device and inode.
    pub(super) id: (u64, u64),
    /// Of a folder neither counts: its names come and go.
    size: u64,
    changed: Mark,
    /// It is mounted by itself: a watch of its folder does not tell of it.
    pub(super) is_mounted: bool,
}

impl NameStamp {
    /// Follows no link.
    fn of(path: &Path) -> Self {
        let Ok(stat) = path.symlink_metadata() else {
            return Self { kind: NameKind::Missing, id: (0, 0), size: 0, changed: Mark(0), is_mounted: false };
        };
        let kind = match stat.file_type() {
            kind if kind.is_symlink() => NameKind::Link,
            kind if kind.is_dir() => NameKind::Folder,
            _ => NameKind::File,
        };
        let counts = kind != NameKind::Folder;
        Self {
            kind,
            id: (stat.dev(), stat.ino()),
            size: if counts { stat.size() } else { 0 },
            changed: if counts { Mark::of_change(&stat) } else { Mark(0) },
            is_mounted: kind == NameKind::File && is_mounted(path),
        }
    }
}

/// Where the kernel does not say it (before 5.8) it is taken for one that is not.
fn is_mounted(file: &Path) -> bool {
    let stat = rustix::fs::statx(CWD, file, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE);
    stat.is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// What matters in one folder.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Interest {
    /// Names that lead to a watched file.
    pub(super) names: HashMap<OsString, NameStamp>,
    /// Any name that matches one of these.
    pub(super) patterns: Vec<Pattern>,
    /// Without a watch here a change would be missed; else it only tells when the folder itself is moved.
    pub(super) needed: bool,
    /// Device and inode.
    pub(super) id: (u64, u64),
}

impl Interest {
    pub(super) fn is_in(&self, name: &OsStr) -> bool {
        self.names.contains_key(name) || self.patterns.iter().any(|pattern| include::matches(pattern, name))
    }
}

/// The ways to some of the files, by the folders they lead through.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Ways {
    pub(super) folders: HashMap<PathBuf, Interest>,
}

impl Ways {
    /// Whether anything that these and the older ones lead through stands otherwise than it did then.
    pub(super) fn differ_from(&self, older: &Self) -> bool {
        let differs = |(path, now): (&PathBuf, &Interest)| {
            older.folders.get(path).is_some_and(|then| {
                let stands =
                    |(name, stamp): (&OsString, &NameStamp)| then.names.get(name).is_none_or(|old| old == stamp);
                // Where any name may come, all that are there are in `names`.
                let is_listed = !now.patterns.is_empty() && now.patterns == then.patterns;
                !now.names.iter().all(stands)
                    || is_listed
                        && (now.names.len() != then.names.len()
                            || !now.names.keys().all(|name| then.names.contains_key(name)))
            })
        };
        self.folders.iter().any(differs)
    }
}

/// Whether a folder is worth a watch.
pub(super) fn is_worth(folder: &Path, interest: &Interest) -> bool {
    let deep = folder.components().count() > 2;
    (interest.needed || deep) && !is_virtual(folder)
}

/// Folders that the kernel makes up: nothing is delivered there, and everybody opens files in them.
fn is_virtual(folder: &Path) -> bool {
    ["/proc", "/sys", "/dev"].iter().any(|root| folder.starts_with(root)) && !folder.starts_with("/dev/shm")
}

/// Links that are followed to one file; the kernel's own limit (path_resolution(7)).
const LINKS: usize = 40;

/// What is walked to together.
#[derive(Clone, Default, Debug)]
pub(super) struct Errand {
    pub(super) files: Vec<PathBuf>,
    /// Globs.
    pub(super) includes: Vec<PathBuf>,
    /// Those that are new here are compared with the mark.
    pub(super) is_new: BTreeSet<PathBuf>,
    pub(super) mark: Option<Mark>,
}

/// What was found on the way.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) ways: Ways,
    /// Something on the way to a file that is new here changed at or after the mark: the file may have been read before.
    pub(super) is_late: bool,
}

/// Walks to all files of an errand. `step` is called before each look.
pub(super) fn walk(errand: &Errand, step: &dyn Fn()) -> Walked {
    let mut walker = Walker { ways: Ways::default(), is_late: false, known: HashMap::new(), mark: None, step };
    let mark = |path: &Path| errand.mark.filter(|_| errand.is_new.contains(path));
    for file in &errand.files {
        walker.mark = mark(file);
        walker.follow(file, LINKS);
    }
    for include in &errand.includes {
        walker.mark = mark(include);
        walker.include(PathBuf::from("/"), &include::parts(include));
    }
    Walked { ways: walker.ways, is_late: walker.is_late }
}

struct Walker<'s> {
    ways: Ways,
    is_late: bool,
    /// Folders as they are named -> where they really are. Most files share their folder.
    known: HashMap<PathBuf, Option<PathBuf>>,
    mark: Option<Mark>,
    step: &'s dyn Fn(),
}

impl Walker<'_> {
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
        (self.step)();
        let stamp = NameStamp::of(&path);
        match stamp.kind {
            NameKind::Link | NameKind::File => self.compare(Some(stamp.changed)),
            // It may have been there when it was read: then its folder changed since.
            NameKind::Missing => self.compare_folder(&folder),
            NameKind::Folder => {}
        }
        let target = match stamp.kind {
            NameKind::Link => std::fs::read_link(&path).ok().map(|to| folder.join(to)),
            _ => None,
        };
        let interest = self.interest(folder);
        interest.names.insert(name.to_owned(), stamp);
        interest.needed |= stamp.kind != NameKind::Folder;
        match stamp.kind {
            NameKind::Missing => None,
            NameKind::Link => self.follow(&target?, links.checked_sub(1)?),
            NameKind::Folder | NameKind::File => Some(path),
        }
    }

    fn interest(&mut self, folder: PathBuf) -> &mut Interest {
        let step = self.step;
        self.ways.folders.entry(folder).or_insert_with_key(|folder| {
            step();
            Interest { id: NameStamp::of(folder).id, ..Interest::default() }
        })
    }

    fn compare(&mut self, changed: Option<Mark>) {
        if let (Some(mark), Some(changed)) = (self.mark, changed) {
            self.is_late |= changed >= mark;
        }
    }

    fn compare_folder(&mut self, folder: &Path) {
        if self.mark.is_some() {
            self.compare(folder.symlink_metadata().ok().map(|stat| Mark::of_change(&stat)));
        }
    }

    /// To all that a glob names, from a folder where it really is.
    fn include(&mut self, folder: PathBuf, parts: &[Part]) {
        let Some((first, rest)) = parts.split_first() else { return };
        match first {
            Part::Name(name) => match name.components().next() {
                Some(Component::ParentDir) => {
                    let up = folder.parent().unwrap_or(&folder).to_path_buf();
                    self.include(up, rest);
                }
                Some(Component::Normal(name)) => self.enter(folder, name, rest),
                _ => self.include(folder, rest),
            },
            Part::Wild(pattern) => {
                let names = self.listed(&folder, pattern);
                names.iter().for_each(|name| self.enter(folder.clone(), name, rest));
            }
            Part::Folders => {
                let any = Pattern::new("*").unwrap_or_default();
                for name in self.listed(&folder, &any) {
                    if include::is_own_folder(&folder.join(&name)) {
                        self.enter(folder.clone(), &name, parts);
                    } else {
                        self.enter(folder.clone(), &name, rest);
                    }
                }
                self.include(folder, rest);
            }
        }
    }

    fn enter(&mut self, folder: PathBuf, name: &OsStr, rest: &[Part]) {
        if let Some(real) = self.step(folder, name, LINKS) {
            self.include(real, rest);
        }
    }

    /// The names of a folder that match now; those that come are waited for.
    fn listed(&mut self, folder: &Path, pattern: &Pattern) -> Vec<OsString> {
        self.compare_folder(folder);
        let interest = self.interest(folder.to_path_buf());
        interest.needed = true;
        if !interest.patterns.contains(pattern) {
            interest.patterns.push(pattern.clone());
        }
        (self.step)();
        let mut names = include::names(folder).unwrap_or_default();
        names.retain(|name| include::matches(pattern, name));
        names
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn kinds(ways: &Ways, folder: &Path) -> Vec<(String, NameKind)> {
        let names = ways.folders[folder].names.iter();
        let mut names: Vec<_> = names.map(|(name, stamp)| (name.to_string_lossy().into_owned(), stamp.kind)).collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        names
    }

    fn errand(files: &[&Path], includes: &[&Path]) -> Errand {
        let owned = |paths: &[&Path]| paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>();
        let is_new = owned(files).into_iter().chain(owned(includes)).collect();
        Errand { files: owned(files), includes: owned(includes), is_new, mark: None }
    }

    fn walked(files: &[&Path], includes: &[&Path]) -> Ways {
        walk(&errand(files, includes), &|| {}).ways
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
        let ways = walked(&[&root.join("config.toml")], &[]);
        assert_eq!(kinds(&ways, &root), [("config.toml".into(), NameKind::Link), ("m".into(), NameKind::Folder)]);
        assert_eq!(
            kinds(&ways, &root.join("m")),
            [
                ("..data".into(), NameKind::Link),
                ("..v1".into(), NameKind::Folder),
                ("config.toml".into(), NameKind::Link)
            ]
        );
        assert_eq!(kinds(&ways, &root.join("m/..v1")), [("config.toml".into(), NameKind::File)]);
        // A link or a file is missed without a watch on its folder; a folder is only found moved a little later.
        for folder in [&root, &root.join("m"), &root.join("m/..v1")] {
            assert!(ways.folders[folder].needed, "{folder:?}");
        }
        assert!(!is_worth(Path::new("/"), &ways.folders[Path::new("/")]));
    }

    #[test]
    fn what_is_missing_is_waited_for_in_the_nearest_folder() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let ways = walked(&[&root.join("a/b/c")], &[&root.join("d/*.toml")]);
        assert_eq!(kinds(&ways, &root), [("a".into(), NameKind::Missing), ("d".into(), NameKind::Missing)]);
        assert!(ways.folders[&root].needed && ways.folders[&root].patterns.is_empty());
    }

    #[test]
    fn circles_and_dots_end() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        std::fs::create_dir(root.join("c")).unwrap();
        std::fs::write(root.join("f"), "x").unwrap();
        let ways = walked(&[&root.join("a"), &root.join("c/../f")], &[]);
        let names: Vec<_> = kinds(&ways, &root).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "c", "f"]);
    }

    #[test]
    fn an_include_leads_through_all_folders_that_match() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::fs::write(root.join("x.toml"), "").unwrap();
        let ways = walked(&[], &[&root.join("*.toml")]);
        let interest = &ways.folders[&root];
        assert!(interest.is_in(OsStr::new("a.toml")) && !interest.is_in(OsStr::new("a.token")));
        assert_eq!(kinds(&ways, &root), [("x.toml".into(), NameKind::File)]);
        let ways = walked(&[], &[&root.join("*/t.toml")]);
        assert!(ways.folders[&root].is_in(OsStr::new("b")) && ways.folders[&root].needed);
        assert_eq!(kinds(&ways, &root.join("a")), [("t.toml".into(), NameKind::Missing)]);
        let ways = walked(&[], &[&root.join("**/t.toml")]);
        assert!(ways.folders[&root.join("a")].is_in(OsStr::new("b")) && ways.folders[&root.join("a")].needed);
    }

    #[test]
    fn a_change_since_the_mark_is_told_of_new_files_only() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("f");
        let before = Mark::now();
        std::fs::write(&file, "x").unwrap();
        let is_late = |mark, is_new: bool| {
            let mut errand = Errand { mark: Some(mark), ..errand(&[&file], &[]) };
            errand.is_new.retain(|_| is_new);
            walk(&errand, &|| {}).is_late
        };
        assert!(is_late(before, true));
        assert!(!is_late(before, false));
        assert!(!is_late(Mark(i128::MAX), true));
        std::fs::remove_file(&file).unwrap();
        assert!(is_late(before, true));
    }

    #[test]
    fn what_stands_otherwise_differs_and_what_is_only_new_to_us_does_not() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let (file, other, include) = (root.join("f"), root.join("g"), root.join("*.toml"));
        std::fs::write(&file, "x").unwrap();
        let look = || walked(&[&file], &[&include]);
        let mut last = look();
        assert!(!look().differ_from(&last) && !walked(&[&file, &other], &[]).differ_from(&last));
        let deeds: [&dyn Fn(); 6] = [
            &|| std::fs::write(&file, "xy").unwrap(),
            &|| std::fs::remove_file(&file).unwrap(),
            &|| symlink("g", &file).unwrap(),
            &|| std::fs::write(root.join("a.toml"), "").unwrap(),
            &|| std::fs::rename(root.join("a.toml"), root.join("b.toml")).unwrap(),
            &|| std::fs::remove_file(root.join("b.toml")).unwrap(),
        ];
        for (number, deed) in deeds.into_iter().enumerate() {
            deed();
            let now = look();
            assert!(now.differ_from(&last), "{number}");
            last = now;
        }
    }
}
