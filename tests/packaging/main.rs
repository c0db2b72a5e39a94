//! Owns: that systemd takes the units as they are written, that the sandbox is as tight as the manual says, and that the
//! files agree with each other. What systemd-analyze is needed for is skipped, and said, where it is not here.
//! Does not: start a unit; that needs a machine of its own.
#![forbid(unsafe_code)]

mod agreement;
mod exposure;
mod folders;
mod verify;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::skipped;

const UNITS: &str = "packaging/systemd";

/// A path below the crate.
fn at(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The text of a file below `packaging/systemd`.
fn unit(name: impl AsRef<Path>) -> String {
    let path = at(UNITS).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the files in a folder below `packaging/systemd`, sorted.
fn files_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(at(UNITS).join(folder)).expect("a folder").flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The drop-ins, with the systemd that each needs where an older one complains of it: `systemd-254-backoff.conf`.
fn drop_ins() -> Vec<(String, Option<u32>)> {
    let confs = files_in("dropins").into_iter().filter(|name| name.ends_with(".conf"));
    let needs = |name: &str| name.strip_prefix("systemd-")?.split('-').next()?.parse().ok();
    confs.map(|name| (name.clone(), needs(&name))).collect()
}

/// The unit that a drop-in is for.
fn unit_of(drop_in: &str) -> &'static str {
    if drop_in.contains("socket") { "renewd.socket" } else { "renewd.service" }
}

/// The number of the systemd that is here; `None`, and a line that says so, where there is none.
fn systemd(test: &str) -> Option<u32> {
    let output = Command::new("systemd-analyze").arg("--version").output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = text.and_then(|text| text.split_whitespace().nth(1)?.split(['.', '~', '-']).next()?.parse().ok());
    if version.is_none() {
        skipped(test, "systemd-analyze is not here");
    }
    version
}

/// The lines that say something: neither comments nor empty.
fn settings(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}
