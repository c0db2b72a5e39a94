//! No circle among the modules of src: whatever a file is built on can be read, and changed, without it.
//!
//! The rule. A module is a file. It leans on another one where it names an item of it, in a `use` or in a path of its code. A name
//! counts for the file that has the item, whatever re-exports it came through: `super::Reader` leans on the file of `Reader`,
//! and on the parent only where it stands there. To declare a child and to hand on what it has is no leaning. For the rest a
//! parent and its child are two modules like any: a child may use its parent's items, or a parent its child's, but not both;
//! what both need has a file of its own. Unit tests do not count, and methods are not followed.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use source::{Source, Use};
use support::files_below;

/// The names of a module from the crate's root; the root itself has none.
type Name = Vec<String>;

struct Crate(BTreeMap<Name, Source>);

/// Each module with those it leans on, and by which words.
type Leanings<'c> = BTreeMap<&'c Name, BTreeMap<&'c Name, String>>;

impl Crate {
    fn read(root: &Path) -> Self {
        let files = files_below(root, "rs");
        let modules =
            files.iter().filter(|file| !file.ends_with("main.rs") && !file.ends_with("tests.rs")).map(|file| {
                let path = file.strip_prefix(root).expect("below src").with_extension("");
                let mut name: Name = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                name.pop_if(|last| last == "mod" || last == "lib");
                (name, Source::read(&fs::read_to_string(file).expect("source")))
            });
        Self(modules.collect())
    }

    fn find(&self, name: &[String]) -> Option<(&Name, &Source)> {
        self.0.get_key_value(name)
    }

    /// Where a path begins that stands in `at`, and what is left of it.
    fn start<'p>(at: &[String], path: &'p [String]) -> (Name, &'p [String]) {
        let mut from = at.to_vec();
        let mut rest = path;
        while let Some((first, behind)) = rest.split_first() {
            match first.as_str() {
                "crate" => from.clear(),
                "super" => drop(from.pop()),
                "self" => {}
                _ => break,
            }
            rest = behind;
        }
        (from, rest)
    }

    /// The module that has the item which a path in `at` names; `None` for what is of another crate, and for a whole module.
    fn home(&self, at: &[String], path: &[String], seen: &mut Vec<(Name, Name)>) -> Option<&Name> {
        let visit = (at.to_vec(), path.to_vec());
        if seen.contains(&visit) {
            return None;
        }
        seen.push(visit);
        let (mut module, mut rest) = Self::start(at, path);
        while let Some((first, behind)) = rest.split_first() {
            module.push(first.clone());
            if !self.0.contains_key(&module) {
                module.pop();
                break;
            }
            rest = behind;
        }
        let (item, behind) = rest.split_first()?;
        let (name, source) = self.find(&module)?;
        if source.items.contains(item) {
            return Some(name);
        }
        if let Some(used) = source.uses.iter().find(|used| used.name == *item) {
            return self.home(name, &[used.path.as_slice(), behind].concat(), seen);
        }
        let globs = source.uses.iter().filter(|used| used.name == "*");
        globs.into_iter().find_map(|glob| self.home(name, &[glob.path.as_slice(), rest].concat(), seen))
    }

    /// All names that a glob of a module brings.
    fn exports(&self, module: &[String]) -> BTreeSet<String> {
        let Some((name, source)) = self.find(module) else { return BTreeSet::new() };
        let mut names = source.items.clone();
        for Use { path, name: used, .. } in source.uses.iter().filter(|used| used.is_public) {
            if used == "*" {
                let (from, rest) = Self::start(name, path);
                names.extend(self.exports(&[from.as_slice(), rest].concat()));
            } else {
                names.insert(used.clone());
            }
        }
        names
    }

    fn leanings(&self) -> Leanings<'_> {
        let mut all = Leanings::new();
        for (name, source) in &self.0 {
            let mut paths: BTreeSet<Vec<String>> = source.paths.clone();
            for used in &source.uses {
                if used.name == "*" {
                    let (from, rest) = Self::start(name, &used.path);
                    let brought = self.exports(&[from.as_slice(), rest].concat());
                    let said = brought.intersection(&source.words);
                    paths.extend(said.map(|word| [used.path.as_slice(), std::slice::from_ref(word)].concat()));
                } else if !used.is_public || source.words.contains(&used.name) {
                    paths.insert(used.path.clone());
                }
            }
            let on = all.entry(name).or_default();
            for path in paths {
                if let Some(home) = self.home(name, &path, &mut Vec::new()).filter(|home| *home != name) {
                    on.entry(home).or_insert_with(|| path.join("::"));
                }
            }
        }
        all
    }

    /// What stands in circles, one a line, with the words that close them.
    fn circles(&self) -> Vec<String> {
        let leanings = self.leanings();
        let reached: BTreeMap<&Name, BTreeSet<&Name>> =
            leanings.keys().map(|name| (*name, reach(&leanings, name))).collect();
        let mut told = Vec::new();
        for (name, on) in &leanings {
            for (other, words) in on {
                if reached.get(other).is_some_and(|reached| reached.contains(name)) {
                    told.push(format!("{} -> {} by {words}", name.join("::"), other.join("::")));
                }
            }
        }
        told
    }
}

fn reach<'c>(leanings: &Leanings<'c>, from: &Name) -> BTreeSet<&'c Name> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&Name> = vec![from];
    while let Some(name) = open.pop() {
        for on in leanings.get(name).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*on) {
                open.push(on);
            }
        }
    }
    reached
}

#[test]
fn no_module_leans_on_one_that_leans_on_it() {
    let whole = Crate::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(whole.0.len() > 200, "src was read");
    let leanings: usize = whole.leanings().values().map(BTreeMap::len).sum();
    assert!(leanings > 1_000, "what leans on what was found: {leanings}");
    let circles = whole.circles();
    assert!(circles.is_empty(), "modules that lean on each other: {circles:#?}");
}

fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let name = |path: &str| path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect::<Name>();
    Crate(files.iter().map(|(path, text)| (name(path), Source::read(text))).collect()).circles()
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let child = "use super::Item; fn make(_: Item) {}";
    for parent in [
        "mod child; struct Item; fn run() { child::make(Item) }",
        "mod child; struct Item; use child::make; fn run() { make(Item) }",
        "mod child; pub struct Item; pub use child::*; fn run() { make(Item) }",
        "mod child; enum Item {} macro_rules! run { () => { self::child::make() } }",
    ] {
        let found = circles(&[("a", parent), ("a::child", child)]);
        assert_eq!(found.len(), 2, "{parent}: {found:?}");
    }
    let three = [
        ("a", "use crate::b::B; pub struct A;"),
        ("b", "pub struct B(crate::c::C);"),
        ("c", "pub struct C; fn f(_: super::a::A) {}"),
    ];
    assert_eq!(circles(&three).len(), 3);
}

#[test]
fn what_leans_one_way_is_no_circle() {
    let child = "use super::{Item, other}; fn make(_: Item) { other::made() } #[cfg(test)] mod tests { use super::super::run; }";
    for parent in [
        "mod child; mod other; pub use child::make; pub use other::Item; fn run() {}",
        "mod child; pub mod other; use other::Item; fn run() { let a = \"child::make\"; /* child::make */ child::make(a) }",
    ] {
        let other = "pub struct Item; pub fn made() {}";
        assert_eq!(
            circles(&[("a", parent), ("a::child", child), ("a::other", other)]),
            Vec::<String>::new(),
            "{parent}"
        );
    }
}
