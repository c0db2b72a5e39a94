//! Owns: finding the systemd service that runs renewd for a config, in the unit files of this machine, and the little of it
//! that others must know: its user, its groups, its folders (systemd.exec(5), systemd.unit(5)).
//! Does not: talk to systemd, which need not run (a container, an image that is being made).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::account::Account;

/// Where unit files lie, the strongest first (systemd.unit(5), "Unit File Load Path").
const PLACES: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/transient",
];
/// A unit file is never longer.
const LARGEST: u64 = 256 * 1024;

/// A service that runs renewd for a config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// `renewd.service`, `renewd@one.service`.
    pub name: String,
    /// `None`: root.
    pub user: Option<String>,
    pub group: Option<String>,
    pub supplementary: Vec<String>,
    /// RuntimeDirectory= below /run.
    pub runtime: Option<PathBuf>,
    /// StateDirectory= below /var/lib.
    pub state: Option<PathBuf>,
    /// CAP_CHOWN is among its AmbientCapabilities=, or it runs as root.
    pub may_chown: bool,
    /// Its user is made when it starts (DynamicUser=).
    pub is_dynamic: bool,
    /// `renewd run`, not `renewd once`.
    pub is_daemon: bool,
}

impl Service {
    /// Whom it runs as.
    ///
    /// # Errors
    /// The name of a user that this machine does not have now (DynamicUser= makes him when the service starts).
    pub fn account(&self) -> Result<Account, String> {
        let name = self.user.as_deref().unwrap_or("root");
        let mut account = Account::named(name).ok_or_else(|| name.to_owned())?;
        if let Some(gid) = self.group.as_deref().and_then(group) {
            account.gid = gid;
        }
        let gid = account.gid;
        let more: Vec<u32> = self.supplementary.iter().filter_map(|name| group(name)).collect();
        Ok(Account { may_chown: self.may_chown, ..account.with_groups([gid]).with_groups(more) })
    }
}

fn group(name: &str) -> Option<u32> {
    uzers::get_group_by_name(name).map(|group| group.gid()).or_else(|| name.parse().ok())
}

/// The service that runs renewd for the config at this absolute path; one that stays (`run`) before one that does not.
pub fn service_of(config: &Path) -> Option<Service> {
    let files = unit_files(&PLACES.map(Path::new));
    let mut found: Vec<Service> = files.iter().filter_map(|(name, file)| read(name, file, config)).collect();
    found.sort_by_key(|service| !service.is_daemon);
    found.into_iter().next()
}

/// All service files by name: of each name the strongest.
fn unit_files(places: &[&Path]) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for place in places {
        // Thousands of units come with a distribution; an administrator's own may have any name.
        let is_vendors = place.starts_with("/usr/lib") || place.starts_with("/lib");
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".service") && (!is_vendors || name.contains("renewd")) {
                files.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    files
}

fn text_of(file: &Path) -> Option<String> {
    let meta = fs::metadata(file).ok()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return None;
    }
    fs::read_to_string(file).ok()
}

fn read(name: &str, file: &Path, config: &Path) -> Option<Service> {
    let text = text_of(file).filter(|text| text.contains("renewd"))?;
    let mut settings = Settings::default();
    settings.read(&text);
    for drop_in in drop_ins(name, &PLACES.map(Path::new)) {
        settings.read(&text_of(&drop_in).unwrap_or_default());
    }
    settings.service(name, config)
}

/// The drop-ins of a unit, in the order in which they count; of two with the same name the stronger place's.
fn drop_ins(name: &str, places: &[&Path]) -> Vec<PathBuf> {
    let mut files = BTreeMap::new();
    for place in places {
        for entry in fs::read_dir(place.join(format!("{name}.d"))).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().ends_with(".conf") {
                files.entry(name).or_insert_with(|| entry.path());
            }
        }
    }
    files.into_values().collect()
}

/// The settings of `[Service]`: the last value of each, or all where it is a list.
#[derive(Default)]
struct Settings(BTreeMap<String, Vec<String>>);

impl Settings {
    fn read(&mut self, text: &str) {
        let mut is_service = false;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut line = line.trim().to_owned();
            if line.starts_with(['#', ';']) {
                continue;
            }
            while line.ends_with('\\') {
                line.pop();
                let Some(next) = lines.next() else { break };
                if !next.trim_start().starts_with(['#', ';']) {
                    line = format!("{line} {}", next.trim());
                } else {
                    line.push('\\');
                }
            }
            if line.starts_with('[') {
                is_service = line == "[Service]";
            } else if let Some((key, value)) = line.split_once('=').filter(|_| is_service) {
                let values = self.0.entry(key.trim().to_owned()).or_default();
                match value.trim() {
                    "" => values.clear(),
                    value => values.push(value.to_owned()),
                }
            }
        }
    }

    fn last(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.last().map(String::as_str)
    }

    fn words(&self, key: &str) -> Vec<String> {
        let values = self.0.get(key).into_iter().flatten();
        values.flat_map(|value| value.split_whitespace()).map(str::to_owned).collect()
    }

    fn service(&self, name: &str, config: &Path) -> Option<Service> {
        let usual = self
            .words("Environment")
            .into_iter()
            .find_map(|word| word.trim_matches(['"', '\'']).strip_prefix("RENEWD_CONFIG=").map(str::to_owned));
        let usual = usual.unwrap_or_else(|| "/etc/renewd/config.toml".into());
        let (is_daemon, instance) =
            self.0.get("ExecStart")?.iter().find_map(|line| runs(line, name, config, &usual))?;
        let filled = |text: &str| match &instance {
            Some(instance) => text.replace("%i", instance).replace("%I", instance),
            None => text.to_owned(),
        };
        let first = |key: &str, below: &str| {
            let folder = self.words(key).into_iter().next()?;
            let folder = folder.split(':').next().map(filled)?;
            Some(Path::new(below).join(folder))
        };
        let user = self.last("User").map(filled).filter(|user| user != "root" && user != "0");
        let is_dynamic = self.last("DynamicUser").is_some_and(is_true);
        let ambient = self.words("AmbientCapabilities").iter().any(|word| word == "CAP_CHOWN");
        let unit = match &instance {
            Some(instance) => name.replacen('@', &format!("@{instance}"), 1),
            None => name.to_owned(),
        };
        let dynamic_name = || is_dynamic.then(|| unit.trim_end_matches(".service").to_owned());
        Some(Service {
            user: user.clone().or_else(dynamic_name),
            group: self.last("Group").map(filled),
            supplementary: self.words("SupplementaryGroups").iter().map(|group| filled(group)).collect(),
            runtime: first("RuntimeDirectory", "/run"),
            state: first("StateDirectory", "/var/lib"),
            may_chown: ambient || (user.is_none() && !is_dynamic),
            is_dynamic,
            is_daemon,
            name: unit,
        })
    }
}

fn is_true(word: &str) -> bool {
    matches!(word, "1" | "yes" | "y" | "true" | "t" | "on")
}

/// Whether two paths name one config: the same words, or the same file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    one == other || id(one).is_some_and(|one| Some(one) == id(other))
}

/// Whether a line of ExecStart= runs renewd for this config: as a daemon or once, and for which instance of a template.
fn runs(line: &str, unit: &str, config: &Path, usual: &str) -> Option<(bool, Option<String>)> {
    let mut words = line.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let program = words.next()?.trim_start_matches(['@', '-', ':', '+', '!', '|']);
    if Path::new(program).file_name()? != "renewd" {
        return None;
    }
    let words: Vec<&str> = words.collect();
    let is_daemon = words.contains(&"run");
    if !is_daemon && !words.contains(&"once") {
        return None;
    }
    let after = words.iter().position(|word| matches!(*word, "-c" | "--config"));
    let named = after.and_then(|at| words.get(at + 1).copied());
    let joined = words.iter().find_map(|word| word.strip_prefix("--config=").or_else(|| word.strip_prefix("-c")));
    let named = named.or(joined.filter(|word| !word.is_empty())).unwrap_or(usual);
    match named.split_once("%i").or_else(|| named.split_once("%I")).filter(|_| unit.contains("@.")) {
        None => is_same(Path::new(named), config).then_some((is_daemon, None)),
        Some((before, behind)) => {
            let instance = config.to_str()?.strip_prefix(before)?.strip_suffix(behind)?;
            let is_one = !instance.is_empty() && !instance.contains('/');
            is_one.then(|| (is_daemon, Some(instance.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, texts: &[&str], config: &str) -> Option<Service> {
        let mut settings = Settings::default();
        texts.iter().for_each(|text| settings.read(text));
        settings.service(name, Path::new(config))
    }

    #[test]
    fn the_shipped_units_are_understood() {
        let text = include_str!("../../packaging/systemd/renewd.service");
        let one = service("renewd.service", &[text], "/etc/renewd/config.toml").unwrap();
        assert_eq!(one.user.as_deref(), Some("renewd"));
        assert_eq!(one.runtime.as_deref(), Some(Path::new("/run/renewd")));
        assert_eq!(one.state.as_deref(), Some(Path::new("/var/lib/renewd")));
        assert!(one.is_daemon && !one.may_chown && !one.is_dynamic);
        assert_eq!(service("renewd.service", &[text], "/etc/renewd/other.toml"), None);
        let text = include_str!("../../packaging/systemd/renewd@.service");
        let one = service("renewd@.service", &[text], "/etc/renewd/blue.toml").unwrap();
        assert_eq!(one.name, "renewd@blue.service");
        assert_eq!(one.state.as_deref(), Some(Path::new("/var/lib/renewd-blue")));
        let text = include_str!("../../packaging/systemd/renewd-once.service");
        assert!(!service("renewd-once.service", &[text], "/etc/renewd/config.toml").unwrap().is_daemon);
    }

    #[test]
    fn drop_ins_add_and_reset() {
        let text = include_str!("../../packaging/systemd/renewd.service");
        let group = "[Service]\nSupplementaryGroups=jobs\nSupplementaryGroups=ops \\\n  more\n";
        let chown = "# why\n[Service]\nAmbientCapabilities=CAP_CHOWN\nUser=\nUser = tokens\n";
        let one = service("renewd.service", &[text, group, chown], "/etc/renewd/config.toml").unwrap();
        assert_eq!(one.supplementary, ["jobs", "ops", "more"]);
        assert_eq!(one.user.as_deref(), Some("tokens"));
        assert!(one.may_chown);
    }

    #[test]
    fn other_services_are_none_of_ours() {
        for text in [
            "[Service]\nExecStart=/usr/bin/other run -c /etc/renewd/config.toml\n",
            "[Service]\nExecStart=/usr/bin/renewd status -c /etc/renewd/config.toml\n",
            "[Unit]\nExecStart=/usr/bin/renewd run -c /etc/renewd/config.toml\n",
            "",
        ] {
            assert_eq!(service("x.service", &[text], "/etc/renewd/config.toml"), None, "{text}");
        }
        let bare = "[Service]\nExecStart=-/opt/bin/renewd run\nDynamicUser=yes\n";
        let one = service("tokens.service", &[bare], "/etc/renewd/config.toml").unwrap();
        assert_eq!((one.user.as_deref(), one.is_dynamic), (Some("tokens"), true));
    }
}
