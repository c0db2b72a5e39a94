//! Owns: that sysusers.d and tmpfiles.d make the user and the folders that the units expect.
//! Does not: touch this machine; they work on a root of their own. Needs root.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use support::{is_root, skipped};

use super::{UNITS, at};

const UID: u32 = 987;
const GID: u32 = 986;

fn run(program: &str, args: &[&str], root: &Path, file: &str) -> Option<Output> {
    let root = format!("--root={}", root.display());
    Command::new(program).args(args).arg(root).arg(at(UNITS).join(file)).output().ok()
}

#[test]
fn the_user_is_made() {
    const TEST: &str = "the_user_is_made";
    if !is_root(TEST) {
        return;
    }
    let root = tempfile::tempdir().expect("a temp folder");
    fs::create_dir(root.path().join("etc")).expect("mkdir");
    let Some(output) = run("systemd-sysusers", &[], root.path(), "renewd.sysusers") else {
        skipped(TEST, "systemd-sysusers is not here");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let users = fs::read_to_string(root.path().join("etc/passwd")).expect("users");
    let groups = fs::read_to_string(root.path().join("etc/group")).expect("groups");
    assert!(users.starts_with("renewd:") && groups.starts_with("renewd:"), "{users}{groups}");
    assert!(users.contains("nologin"), "nobody logs in as renewd: {users}");
}

#[test]
fn the_folders_are_made_and_what_an_admin_changed_stays() {
    const TEST: &str = "the_folders_are_made_and_what_an_admin_changed_stays";
    if !is_root(TEST) {
        return;
    }
    let root = tempfile::tempdir().expect("a temp folder");
    // systemd-tmpfiles steps from folders of root alone to those of others.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    for folder in ["etc", "run"] {
        fs::create_dir(root.path().join(folder)).expect("mkdir");
    }
    fs::write(root.path().join("etc/passwd"), format!("root:x:0:0::/:/bin/sh\nrenewd:x:{UID}:{GID}::/:/bin/sh\n"))
        .expect("users");
    fs::write(root.path().join("etc/group"), format!("root:x:0:\nrenewd:x:{GID}:\n")).expect("groups");
    let make = || run("systemd-tmpfiles", &["--create"], root.path(), "renewd.tmpfiles");
    let Some(output) = make() else {
        skipped(TEST, "systemd-tmpfiles is not here");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let seen = |name: &str| {
        let meta = fs::metadata(root.path().join(name)).expect("a folder");
        (meta.permissions().mode() & 0o7777, meta.uid(), meta.gid())
    };
    assert_eq!(seen("etc/renewd"), (0o750, 0, GID));
    assert_eq!(seen("run/renewd"), (0o755, UID, GID));
    fs::set_permissions(root.path().join("etc/renewd"), fs::Permissions::from_mode(0o2770)).expect("chmod");
    assert!(make().is_some_and(|output| output.status.success()));
    assert_eq!(seen("etc/renewd"), (0o2770, 0, GID));
}
