//! Owns: which unit files and drop-ins count, of all that lie about (systemd.unit(5), "Unit File Load Path").
//! Does not: read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::name::UnitName;

/// Where unit files lie, the strongest first.
const PLACES: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// The service files of a machine: of each name the strongest.
pub(super) struct ServiceFiles {
    places: Vec<PathBuf>,
    files: BTreeMap<String, PathBuf>,
    /// Further names of a unit, by links.
    aliases: BTreeMap<String, BTreeSet<String>>,
}

impl ServiceFiles {
    pub(super) fn of_this_machine() -> Self {
        Self::below(PLACES.map(PathBuf::from).to_vec())
    }

    pub(super) fn below(places: Vec<PathBuf>) -> Self {
        let mut found = Self { places, files: BTreeMap::new(), aliases: BTreeMap::new() };
        for place in found.places.clone() {
            // Thousands of units come with a distribution; an administrator's own may have any name.
            let is_vendors = place.starts_with("/usr/lib") || place.starts_with("/lib");
            for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.ends_with(".service") && (!is_vendors || name.contains("renewd")) {
                    found.files.entry(name).or_insert_with(|| entry.path());
                }
            }
        }
        found.set_aliases_apart();
        found
    }

    /// A link to a unit of another name is a further name of that unit; one to a file elsewhere is the unit itself, as
    /// `systemctl link` makes it.
    fn set_aliases_apart(&mut self) {
        let other = |(name, path): (&String, &PathBuf)| {
            let link = path.read_link().ok()?;
            let link = path.parent()?.join(link);
            let target = link.file_name()?.to_string_lossy().into_owned();
            // A folder may be named by two paths (/lib is often a link).
            let folder = link.parent()?.canonicalize().ok()?;
            let is_unit = self.places.iter().any(|place| place.canonicalize().is_ok_and(|place| place == folder));
            (target != *name && target.ends_with(".service") && is_unit).then(|| (name.clone(), target, link))
        };
        let aliases: Vec<_> = self.files.iter().filter_map(other).collect();
        for (name, target, link) in aliases {
            self.files.remove(&name);
            self.files.entry(target.clone()).or_insert(link);
            self.aliases.entry(target).or_default().insert(name);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (UnitName, &Path)> {
        self.files.iter().filter_map(|(name, path)| Some((UnitName::parse(name)?, path.as_path())))
    }

    pub(super) fn has(&self, name: &UnitName) -> bool {
        self.files.contains_key(name.as_str())
    }

    /// Instances of a template that somebody gave settings of their own.
    pub(super) fn instances_with_drop_ins(&self, template: &UnitName) -> BTreeSet<String> {
        let begin = template.as_str().trim_end_matches(".service");
        let entries = self.places.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
        let instance = |entry: fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let instance = name.strip_prefix(begin)?.strip_suffix(".service.d")?;
            (!instance.is_empty()).then(|| instance.to_owned())
        };
        entries.filter_map(instance).collect()
    }

    /// The drop-ins of a unit in the order in which they are read. Of two with the same name the stronger counts: first by
    /// its place, then by how much of the unit's name its folder bears. One that is a link to /dev/null takes away the others.
    pub(super) fn drop_ins(&self, name: &UnitName) -> Vec<PathBuf> {
        let mut names = vec![name.clone()];
        let aliases = self.aliases.get(name.as_str()).into_iter().flatten();
        names.extend(aliases.filter_map(|alias| UnitName::parse(alias)));
        let mut folders = Vec::new();
        for name in &names {
            let of_name = name.drop_in_folders();
            folders.extend(self.places.iter().flat_map(|place| of_name.iter().map(|folder| place.join(folder))));
        }
        // Those of all services.
        folders.extend(self.places.iter().map(|place| place.join("service.d")));
        let mut files = BTreeMap::new();
        for folder in folders {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let file = entry.file_name();
                if file.to_string_lossy().ends_with(".conf") {
                    files.entry(file).or_insert_with(|| entry.path());
                }
            }
        }
        files.into_values().collect()
    }
}
