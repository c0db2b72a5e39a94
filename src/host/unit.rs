//! Owns: finding the systemd service that runs renewd for a config, in the unit files of this machine, and the little of it
//! that others must know: its user, its groups, its folders (systemd.exec(5), systemd.unit(5)).
//! Does not: talk to systemd, which need not run (a container, an image that is being made).

mod files;
mod name;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::account::Account;
use files::ServiceFiles;
use name::UnitName;

/// A unit file is never longer.
const LARGEST: u64 = 256 * 1024;

/// A service that runs renewd for a config.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Service {
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
    pub(crate) fn account(&self) -> Result<Account, String> {
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
pub(crate) fn service_of(config: &Path) -> Option<Service> {
    service_among(&ServiceFiles::of_this_machine(), config)
}

fn service_among(files: &ServiceFiles, config: &Path) -> Option<Service> {
    let mut found: Vec<Service> = files.iter().filter_map(|(name, file)| read(files, &name, file, config)).collect();
    found.sort_by_key(|service| !service.is_daemon);
    found.into_iter().next()
}

fn text_of(file: &Path) -> Option<String> {
    let meta = fs::metadata(file).ok()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return None;
    }
    fs::read_to_string(file).ok()
}

/// The service that this file is, where it runs renewd for the config; of a template the instance that does.
fn read(files: &ServiceFiles, name: &UnitName, file: &Path, config: &Path) -> Option<Service> {
    // One that is masked is a link to /dev/null, or empty.
    let text = text_of(file).filter(|text| text.contains("renewd"))?;
    let whole = |name: &UnitName| {
        let mut settings = Settings::default();
        settings.read(&text);
        files.drop_ins(name).iter().for_each(|file| settings.read(&text_of(file).unwrap_or_default()));
        settings
    };
    if !name.is_template() {
        return whole(name).service(name, config);
    }
    let mut instances = whole(name).instances(name, config);
    instances.extend(files.instances_with_drop_ins(name));
    let units = instances.iter().map(|instance| name.with_instance(instance));
    // An instance with a file of its own, which may be masked, is not the template's.
    units.filter(|unit| !files.has(unit)).find_map(|unit| whole(&unit).service(&unit, config))
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

    /// The config that is meant where the command line names none.
    fn usual(&self) -> String {
        let words = self.words("Environment");
        let mut words = words.iter().map(|word| word.trim_matches(['"', '\'']));
        let named = words.find_map(|word| word.strip_prefix("RENEWD_CONFIG="));
        named.unwrap_or("/etc/renewd/config.toml").to_owned()
    }

    /// Instances of a template that may run for the config.
    fn instances(&self, template: &UnitName, config: &Path) -> Vec<String> {
        let lines = self.0.get("ExecStart").into_iter().flatten();
        let usual = self.usual();
        let named: Vec<String> = lines.filter_map(|line| Some(command(line, &usual)?.config)).collect();
        // The config may be named through a link.
        let real = config.canonicalize().ok();
        let paths: Vec<&Path> = std::iter::once(config).chain(real.as_deref()).collect();
        named.iter().flat_map(|named| paths.iter().flat_map(|path| template.instances(named, path))).collect()
    }

    fn service(&self, name: &UnitName, config: &Path) -> Option<Service> {
        let usual = self.usual();
        let commands = self.0.get("ExecStart")?.iter().filter_map(|line| command(line, &usual));
        let command = commands.into_iter().find(|command| is_same(Path::new(&name.fill(&command.config)), config))?;
        let filled = |text: &str| name.fill(text);
        let first = |key: &str, below: &str| {
            let folder = self.words(key).into_iter().next()?;
            let folder = folder.split(':').next().map(filled)?;
            Some(Path::new(below).join(folder))
        };
        let user = self.last("User").map(filled).filter(|user| user != "root" && user != "0");
        let is_dynamic = self.last("DynamicUser").is_some_and(is_true);
        let ambient = self.words("AmbientCapabilities").iter().any(|word| word == "CAP_CHOWN");
        let dynamic_name = || is_dynamic.then(|| name.as_str().trim_end_matches(".service").to_owned());
        Some(Service {
            user: user.clone().or_else(dynamic_name),
            group: self.last("Group").map(filled),
            supplementary: self.words("SupplementaryGroups").iter().map(|group| filled(group)).collect(),
            runtime: first("RuntimeDirectory", "/run"),
            state: first("StateDirectory", "/var/lib"),
            may_chown: ambient || (user.is_none() && !is_dynamic),
            is_dynamic,
            is_daemon: command.is_daemon,
            name: name.as_str().to_owned(),
        })
    }
}

fn is_true(word: &str) -> bool {
    matches!(word, "1" | "yes" | "y" | "true" | "t" | "on")
}

/// Whether two paths name one config: the same words, or the same file.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    one == other || id(one).is_some_and(|one| Some(one) == id(other))
}

/// A line of ExecStart= that runs renewd.
struct Runs {
    is_daemon: bool,
    /// As it is written there.
    config: String,
}

/// `None`: it runs something else. `usual`: the config where it names none.
fn command(line: &str, usual: &str) -> Option<Runs> {
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
    Some(Runs { is_daemon, config: named.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these files below its places (`etc/x.service`); a text that begins with `->` is a link.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, ServiceFiles) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("->") {
                Some(to) => std::os::unix::fs::symlink(to, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
        let places = ["control", "etc", "run", "lib"].map(|place| root.path().join(place)).to_vec();
        let files = ServiceFiles::below(places);
        (root, files)
    }

    fn service(name: &str, texts: &[&str], config: &str) -> Option<Service> {
        let mut files = vec![(format!("lib/{name}"), texts[0])];
        let drop_ins = texts[1..].iter().enumerate();
        files.extend(drop_ins.map(|(number, text)| (format!("etc/{name}.d/{number}.conf"), *text)));
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        service_among(&machine(&files).1, Path::new(config))
    }

    const TEMPLATE: &str = include_str!("../../packaging/systemd/renewd@.service");
    const BLUE: &str = "/etc/renewd/blue.toml";

    fn user_of(files: &[(&str, &str)]) -> Option<String> {
        service_among(&machine(files).1, Path::new(BLUE))?.user
    }

    #[test]
    fn an_instances_own_settings_count() {
        let user = |name: &'static str| format!("[Service]\nUser={name}\n");
        let (a, b, c) = (user("a"), user("b"), user("c"));
        let template = ("lib/renewd@.service", TEMPLATE);
        assert_eq!(user_of(&[template]).as_deref(), Some("renewd"));
        assert_eq!(user_of(&[template, ("etc/renewd@blue.service.d/u.conf", &a)]).as_deref(), Some("a"));
        assert_eq!(user_of(&[template, ("etc/renewd@red.service.d/u.conf", &a)]).as_deref(), Some("renewd"));
        // Of the same name: the stronger place, then the nearer name; those of all services are the weakest.
        let both = [template, ("etc/renewd@.service.d/u.conf", &a), ("lib/renewd@blue.service.d/u.conf", &b)];
        assert_eq!(user_of(&both).as_deref(), Some("a"));
        let both = [template, ("etc/renewd@.service.d/u.conf", &a), ("etc/renewd@blue.service.d/u.conf", &b)];
        assert_eq!(user_of(&both).as_deref(), Some("b"));
        let all = [both[0], both[1], both[2], ("control/service.d/u.conf", &c)];
        assert_eq!(user_of(&all).as_deref(), Some("b"));
        // Of different names: the last in the alphabet.
        let both = [template, ("etc/renewd@blue.service.d/a.conf", &a), ("etc/service.d/b.conf", &b)];
        assert_eq!(user_of(&both).as_deref(), Some("b"));
        let masked = [template, ("lib/renewd@.service.d/u.conf", &a), ("etc/renewd@.service.d/u.conf", "->/dev/null")];
        assert_eq!(user_of(&masked).as_deref(), Some("renewd"));
        // It may name the config only there.
        let config = format!("[Service]\nExecStart=\nExecStart=/usr/bin/renewd run -c {BLUE}\nUser=a\n");
        let (_machine, files) = machine(&[template, ("etc/renewd@sky.service.d/c.conf", &config)]);
        assert_eq!(service_among(&files, Path::new(BLUE)).unwrap().name, "renewd@blue.service");
        let (_machine, files) = machine(&[
            ("lib/renewd@.service", &TEMPLATE.replace("/etc/renewd/%i", "/x/%i")),
            ("etc/renewd@sky.service.d/c.conf", &config),
        ]);
        assert_eq!(service_among(&files, Path::new(BLUE)).unwrap().name, "renewd@sky.service");
    }

    #[test]
    fn what_is_masked_runs_nothing_and_what_is_linked_does() {
        let template = ("lib/renewd@.service", TEMPLATE);
        assert_eq!(user_of(&[template, ("etc/renewd@.service", "->/dev/null")]), None);
        assert_eq!(user_of(&[template, ("etc/renewd@blue.service", "->/dev/null")]), None);
        assert_eq!(user_of(&[template, ("run/renewd@blue.service", "")]), None);
        let own = format!("[Service]\nExecStart=/opt/renewd run -c {BLUE}\nUser=%p\n");
        assert_eq!(user_of(&[template, ("etc/renewd@blue.service", &own)]).as_deref(), Some("renewd"));
        let linked = [("opt/tokens.service", own.as_str()), ("etc/tokens.service", "->../opt/tokens.service")];
        assert_eq!(user_of(&linked).as_deref(), Some("tokens"));
        // A further name: the unit is still the one, with the drop-ins of both.
        let alias = [
            ("etc/tokens.service", own.as_str()),
            ("etc/also.service", "->tokens.service"),
            ("etc/also.service.d/u.conf", "[Service]\nSupplementaryGroups=%N\n"),
        ];
        let (_machine, files) = machine(&alias);
        let found = service_among(&files, Path::new(BLUE)).unwrap();
        assert_eq!((found.name.as_str(), found.supplementary), ("tokens.service", vec!["tokens".to_owned()]));
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
