//! Owns: that `systemd-analyze verify` has nothing to say about any unit, with any drop-in.
//! Does not: know the names of the units; whatever lies in packaging/systemd is looked at.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{UNITS, at, drop_ins, files_in, systemd, unit, unit_of};

/// All units, with programs that are there in the place of those they name.
struct Units {
    folder: tempfile::TempDir,
}

impl Units {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temp folder");
        for (name, text) in ["", "examples"].into_iter().flat_map(named) {
            fs::write(folder.path().join(name), runnable(&text)).expect("a copy");
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn add(&self, unit: &str, drop_in: &str, text: &str) {
        let folder = self.path(&format!("{unit}.d"));
        fs::create_dir_all(&folder).expect("mkdir");
        fs::write(folder.join(drop_in), text).expect("a drop-in");
    }

    /// What systemd says of a unit; of other units of this machine it may say what it likes.
    fn said_of(&self, unit: &str) -> Vec<String> {
        said(self.folder.path(), &self.path(unit), &[])
    }
}

fn said(folder: &Path, unit: &Path, args: &[&str]) -> Vec<String> {
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).args(args).arg(unit).env("XDG_RUNTIME_DIR", folder);
    let output = command.output().expect("it starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let name = unit.file_name().expect("a name").to_string_lossy().into_owned();
    let ours = |line: &&str| line.contains(folder.to_string_lossy().as_ref()) || line.contains(&name);
    let mut lines: Vec<String> = text.lines().filter(ours).map(String::from).collect();
    if !output.status.success() {
        lines.push(format!("{name}: systemd-analyze ends with {}: {text}", output.status));
    }
    lines
}

/// The units in a folder, an instance for each template.
fn named(folder: &str) -> Vec<(String, String)> {
    let is_unit = |name: &String| [".service", ".socket", ".timer", ".path"].iter().any(|end| name.ends_with(end));
    let names = files_in(folder).into_iter().filter(is_unit);
    names.map(|name| (name.replace('@', "@prod"), unit(Path::new(folder).join(name)))).collect()
}

fn runnable(text: &str) -> String {
    text.replace("/usr/bin/renewd", &support::binary().display().to_string())
        .replace("/usr/local/bin/orders", "/bin/true")
}

#[test]
fn systemd_has_nothing_to_say_about_any_unit() {
    if systemd("systemd_has_nothing_to_say_about_any_unit").is_none() {
        return;
    }
    let units = Units::new();
    let mut seen = 0;
    for (name, _) in ["", "examples"].into_iter().flat_map(named) {
        assert_eq!(units.said_of(&name), Vec::<String>::new(), "{name}");
        seen += 1;
    }
    assert!(seen >= 10, "{seen} units found in {UNITS}");
    // It does look.
    let slip = runnable(&unit("renewd.service")).replace("RestrictRealtime=", "RestrictRealtme=");
    fs::write(units.path("renewd.service"), slip).expect("a copy");
    let words = units.said_of("renewd.service").concat();
    assert!(words.contains("RestrictRealtme"), "a slip goes unnoticed: {words}");
}

#[test]
fn nor_about_those_of_a_user() {
    if systemd("nor_about_those_of_a_user").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temp folder");
    let path = folder.path().join("renewd.service");
    let text = runnable(&unit("user/renewd.service"));
    fs::write(&path, &text).expect("a copy");
    assert_eq!(said(folder.path(), &path, &["--user"]), Vec::<String>::new());
    fs::write(&path, text.replace("LockPersonality=", "LockPersonalty=")).expect("a copy");
    let words = said(folder.path(), &path, &["--user"]).concat();
    assert!(words.contains("LockPersonalty"), "a slip goes unnoticed: {words}");
}

#[test]
fn nor_about_any_drop_in_but_those_that_name_a_newer_systemd() {
    let Some(here) = systemd("nor_about_any_drop_in_but_those_that_name_a_newer_systemd") else { return };
    for (name, needs) in drop_ins() {
        let units = Units::new();
        let text = fs::read_to_string(at(UNITS).join("dropins").join(&name)).expect("a drop-in");
        units.add(unit_of(&name), &name, &text);
        let words = units.said_of(unit_of(&name));
        match needs.filter(|version| *version > here) {
            None => assert_eq!(words, Vec::<String>::new(), "{name}"),
            Some(version) => {
                // As its comment says: otherwise its lines could stand in the unit itself.
                let unknown = |line: &String| line.contains(&name) && line.contains("Unknown key");
                assert!(!words.is_empty() && words.iter().all(unknown), "{name}: {words:?}");
                println!("{name}: systemd {version} is not here to judge it, {here} is");
            }
        }
    }
    let units = Units::new();
    units.add("renewd.service", "slip.conf", "[Service]\nSuplementaryGroups=jobs\n");
    let words = units.said_of("renewd.service").concat();
    assert!(words.contains("SuplementaryGroups"), "drop-ins are not looked at: {words}");
}
