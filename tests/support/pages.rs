//! Owns: the README, the changes and the manual as their fenced blocks, each with what stands behind the fence, the mark above it and
//! the section that it is in.
//! Does not: judge or run what they hold.

use std::path::{Path, PathBuf};

use super::repository;

/// A Markdown file.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// A fenced block.
pub struct Block {
    /// What stands behind the fence.
    pub info: String,
    pub text: String,
    /// The number of the line with the fence.
    pub line: usize,
    /// The line above it.
    pub above: String,
    /// The heading of the second level that it stands below, empty before the first.
    pub section: String,
}

/// The README, the changes and all pages of the manual.
pub fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].iter().map(|page| repository().join(page)).collect();
    paths.extend(manual());
    assert!(paths.len() > 10, "the manual is not where it was");
    paths.into_iter().map(Page::read).collect()
}

/// Where the pages of the manual are.
pub fn manual() -> Vec<PathBuf> {
    files_below(&repository().join("docs/src"), "md")
}

/// The files below a folder whose names end so, in order.
#[track_caller]
pub fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Page {
    /// A page by its path in the repository.
    #[track_caller]
    pub fn open(name: &str) -> Self {
        Self::read(repository().join(name))
    }

    #[track_caller]
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, text }
    }

    /// Its fenced blocks, in order.
    #[track_caller]
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        let (mut above, mut section) = ("", "");
        for (number, line) in self.text.lines().enumerate() {
            // In a list a fence is indented, and what it holds too.
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(info)) => {
                    let (info, above, section) = (info.trim().into(), above.trim().into(), section.into());
                    open = Some(Block { info, text: String::new(), line: number + 1, above, section });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text.extend([line, "\n"]),
                (None, None) => section = line.strip_prefix("## ").unwrap_or(section),
            }
            above = line;
        }
        assert!(open.is_none(), "{}: a block without an end", self.path.display());
        blocks
    }

    /// The texts of its blocks with this behind the fence; there is one at least.
    #[track_caller]
    pub fn texts(&self, info: &str) -> Vec<String> {
        let blocks = self.blocks().into_iter().filter(|block| block.info == info);
        let texts: Vec<String> = blocks.map(|block| block.text).collect();
        assert!(!texts.is_empty(), "{}: no block of {info}", self.path.display());
        texts
    }

    /// The text outside of blocks.
    pub fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }
}
