//! Owns: which mount a path lies in. Where a file system hangs, all that is below its mount does, and nothing beside it.
//! Does not: touch what it names; only the kernel's own list is read.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

/// What is mounted, but for `/`: that it hangs says nothing of a place in it.
#[derive(Default)]
pub(crate) struct Mounts(HashSet<PathBuf>);

impl Mounts {
    /// As this process sees them now; none where there is no /proc.
    pub(crate) fn now() -> Self {
        // Names in it need not be UTF-8.
        Self::read(&String::from_utf8_lossy(&std::fs::read("/proc/self/mountinfo").unwrap_or_default()))
    }

    /// proc_pid_mountinfo(5): the fifth field, blanks and backslashes in octal.
    fn read(text: &str) -> Self {
        let points = text.lines().filter_map(|line| line.split(' ').nth(4));
        let points = points.map(|point| PathBuf::from(point.replace("\\040", " ").replace("\\134", "\\")));
        Self(points.filter(|point| point.parent().is_some()).collect())
    }

    /// The deepest mount that a path lies in, by its text: links are not followed.
    pub(crate) fn of(&self, path: &Path) -> Option<&Path> {
        plain(path).ancestors().find_map(|above| self.0.get(above)).map(PathBuf::as_path)
    }
}

/// Without `..`, as far as the text tells.
pub(crate) fn plain(path: &Path) -> Cow<'_, Path> {
    if !path.components().any(|part| part == Component::ParentDir) {
        return path.into();
    }
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain.into()
}

/// The mount that a path lies in, where it is one of its own; else the path.
pub(crate) fn place_of(path: &Path) -> PathBuf {
    let path = plain(path);
    Mounts::now().of(&path).unwrap_or(&path).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_is_the_place() {
        let mounts = Mounts::read(
            "22 1 8:1 / / rw - ext4 /dev/a rw\n30 22 0:4 / /srv rw - tmpfs none rw\n\
             31 30 0:5 / /srv/a\\040b rw - nfs far:/ rw\n",
        );
        let of = |path: &'static str| mounts.of(Path::new(path));
        assert_eq!(of("/srv/a b/secret"), Some(Path::new("/srv/a b")));
        assert_eq!(of("/srv/a b"), Some(Path::new("/srv/a b")));
        assert_eq!(of("/srv/other/secret"), Some(Path::new("/srv")));
        assert_eq!(of("/etc/../srv/out/../a b/secret"), Some(Path::new("/srv/a b")));
        assert_eq!(of("/etc/secret"), None);
    }
}
