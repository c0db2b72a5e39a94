//! Owns: which files an include names: its glob taken apart by folders, and walked one folder after another, so that a folder
//! that cannot be listed is told and is not taken for an empty one.
//! Does not: read the files, or watch anything.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::patience;
use glob::{MatchOptions, Pattern};

/// One step of a glob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// A name, with nothing wild in it.
    Name(PathBuf),
    /// All names that match, but those that begin with a dot, unless the pattern does.
    Wild(Pattern),
    /// `**`: any number of folders, none too.
    Folders,
}

/// What an include came to.
#[derive(Default, Debug)]
pub(super) struct Expanded {
    /// Sorted, each once; folders are left out.
    pub files: Vec<PathBuf>,
    /// What could not be looked at, and why: there may be more files.
    pub unseen: Vec<(PathBuf, io::Error)>,
}

/// Takes an absolute glob apart. `[[]` and its like, which stand for the character in them, are no pattern.
pub(super) fn parts(glob: &Path) -> Vec<Part> {
    glob.components()
        .map(|component| match component {
            Component::Normal(name) => part(name),
            other => Part::Name(other.as_os_str().into()),
        })
        .collect()
}

fn part(name: &OsStr) -> Part {
    let text = name.to_string_lossy();
    if text == "**" {
        return Part::Folders;
    }
    let plain = plain(&text);
    match (plain, Pattern::new(&text)) {
        (Some(plain), _) => Part::Name(if text.len() == plain.len() { name.into() } else { plain.into() }),
        (None, Ok(pattern)) => Part::Wild(pattern),
        // The config refuses what is no glob.
        (None, Err(_)) => Part::Name(name.into()),
    }
}

/// The one name that a pattern can match: classes of a single character are that character.
fn plain(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(one) = rest.next() {
        match one {
            '*' | '?' => return None,
            '[' => {
                let only = rest.next().filter(|only| *only != '!')?;
                plain.push(only);
                rest.next().filter(|end| *end == ']')?;
            }
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// Whether a name is one of a pattern's.
pub(super) fn matches(pattern: &Pattern, name: &OsStr) -> bool {
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    pattern.matches_with(&name.to_string_lossy(), options)
}

/// The names in a folder, sorted; a folder that is not there, or is none, has none.
///
/// # Errors
/// It cannot be listed.
pub(super) fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let listed = match patience::touch_folder(folder).and_then(|()| std::fs::read_dir(folder)) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = listed.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// The files that a glob (absolute) names now.
pub(super) fn expand(glob: &Path) -> Expanded {
    let mut expanded = Expanded::default();
    expanded.walk(PathBuf::new(), &parts(glob));
    expanded.files.sort();
    expanded.files.dedup();
    expanded
}

impl Expanded {
    fn walk(&mut self, at: PathBuf, parts: &[Part]) {
        let Some((first, rest)) = parts.split_first() else {
            return self.file(at);
        };
        match first {
            Part::Name(name) => self.walk(at.join(name), rest),
            Part::Wild(pattern) => {
                for name in self.names(&at).iter().filter(|name| matches(pattern, name)) {
                    let below = at.join(name);
                    if rest.is_empty() || self.is_folder(&below) {
                        self.walk(below, rest);
                    }
                }
            }
            Part::Folders => {
                self.walk(at.clone(), rest);
                for name in self.names(&at).iter().filter(|name| !is_hidden(name)) {
                    let below = at.join(name);
                    if is_own_folder(&below) {
                        self.walk(below, parts);
                    } else if self.is_folder(&below) {
                        self.walk(below, rest);
                    }
                }
            }
        }
    }

    fn names(&mut self, folder: &Path) -> Vec<std::ffi::OsString> {
        names(folder).unwrap_or_else(|error| {
            self.unseen.push((folder.into(), error));
            Vec::new()
        })
    }

    /// What is there and is no folder. A link that leads nowhere is there: reading it tells what is wrong.
    fn file(&mut self, path: PathBuf) {
        match patience::touch(&path).and_then(|()| path.symlink_metadata()) {
            Ok(_) if self.is_folder(&path) => {}
            Ok(_) => self.files.push(path),
            Err(error) if is_absent(&error) => {}
            Err(error) => self.unseen.push((path, error)),
        }
    }

    fn is_folder(&mut self, path: &Path) -> bool {
        match patience::touch(path).and_then(|()| path.metadata()) {
            Ok(meta) => meta.is_dir(),
            Err(error) => {
                if !is_absent(&error) {
                    self.unseen.push((path.into(), error));
                }
                false
            }
        }
    }
}

/// A folder that is no link. Through a link `**` goes one step: it could lead round in a circle.
pub(super) fn is_own_folder(path: &Path) -> bool {
    patience::touch(path).and_then(|()| path.symlink_metadata()).is_ok_and(|meta| meta.is_dir())
}

pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wild_is_told_from_what_only_looks_like_it() {
        let wild = |text: &str| Part::Wild(Pattern::new(text).unwrap());
        assert_eq!(
            parts(Path::new("/a/[[]x]/**/b*/c?/[ab]/d[*].toml/[!]]")),
            [
                Part::Name("/".into()),
                Part::Name("a".into()),
                Part::Name("[x]".into()),
                Part::Folders,
                wild("b*"),
                wild("c?"),
                wild("[ab]"),
                Part::Name("d*.toml".into()),
                wild("[!]]"),
            ]
        );
    }

    #[test]
    fn files_are_found_as_the_glob_crate_finds_them() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        for folder in ["a", "b/deep/er", ".hidden", "[x]", "c.toml"] {
            std::fs::create_dir_all(at.join(folder)).unwrap();
        }
        for file in
            ["a/t.toml", "a/u.toml", "b/t.toml", "b/deep/er/t.toml", ".hidden/t.toml", "[x]/t.toml", "a/.t.toml"]
        {
            std::fs::write(at.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("a", at.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", at.join("lost.toml")).unwrap();
        let options =
            MatchOptions { require_literal_separator: true, require_literal_leading_dot: true, ..MatchOptions::new() };
        for glob in [
            "*/t.toml",
            "*.toml",
            "a/*.toml",
            "**/t.toml",
            "[[]x]/t.toml",
            "[ab]/t.toml",
            "a/t.toml",
            "no/*",
            "a/t.toml/*",
        ] {
            let glob = at.join(glob);
            let mut theirs: Vec<PathBuf> = glob::glob_with(glob.to_str().unwrap(), options)
                .unwrap()
                .flatten()
                .filter(|path| !path.is_dir())
                .collect();
            theirs.sort();
            let ours = expand(&glob);
            assert_eq!(ours.files, theirs, "{glob:?}");
            assert!(ours.unseen.is_empty(), "{glob:?}: {:?}", ours.unseen);
        }
    }
}
