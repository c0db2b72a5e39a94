//! The promise: what another user made, or can put something else in the place of, takes neither the state nor a socket.
//! `check` says so, and `run` and `once` keep to it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use support::{Sandbox, is_root, token};

const OTHER: u32 = 61_001;

/// A folder of another user in one where anybody may make folders.
fn of_other(sandbox: &Sandbox) -> bool {
    if !is_root("folders of another user") {
        return false;
    }
    let public = sandbox.mkdir("public");
    fs::set_permissions(&public, fs::Permissions::from_mode(0o1777)).unwrap();
    let his = sandbox.mkdir("public/his");
    chown(&his, Some(OTHER), Some(OTHER)).unwrap();
    true
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_state_of_root_is_not_kept_in_a_folder_that_another_user_made() {
    let sandbox = Sandbox::new();
    if !of_other(&sandbox) {
        return;
    }
    for state in ["public/his", "public/his/new"] {
        sandbox.put("config.toml", format!("[daemon]\nstate_dir = \"{state}\"\n{}", token("a")));
        let checked = sandbox.ours(&["check"]).expect(78);
        assert!(checked.stderr.contains("state_dir") && checked.stderr.contains("uid 61001"), "{checked:#?}");
        for command in ["once", "run"] {
            let ran = sandbox.ours(&[command]);
            assert!(ran.code.is_some_and(|code| code != 0), "{ran:#?}");
            assert!(ran.stderr.contains("uid 61001"), "{ran:#?}");
        }
        assert!(is_empty(&sandbox.path("public/his")));
    }
}

#[test]
fn no_socket_is_bound_in_a_folder_that_check_refuses() {
    let sandbox = Sandbox::new();
    if !of_other(&sandbox) {
        return;
    }
    for key in ["control_socket", "credential_socket"] {
        let lines = format!("[daemon]\nstate_dir = \"state\"\n{key} = \"public/his/its.sock\"\n{}", token("a"));
        sandbox.put("config.toml", lines);
        let checked = sandbox.ours(&["check"]).expect(78);
        assert!(checked.stderr.contains("its.sock") && checked.stderr.contains("uid 61001"), "{checked:#?}");
        let daemon = sandbox.daemon().ready();
        assert!(daemon.log().contains("is refused"), "{}", daemon.log());
        assert!(is_empty(&sandbox.path("public/his")));
    }
}

/// With its group and mode, whatever the umask takes of them.
#[test]
fn a_socket_has_its_mode_and_group_from_the_moment_it_is_there() {
    let sandbox = Sandbox::new();
    let gid = rustix::process::getegid().as_raw();
    sandbox.config_with(&format!("control_group = \"{gid}\""), token("a"));
    let daemon = sandbox.daemon().under(&["sh", "-c", "umask 0077; exec \"$@\"", "sh"]).ready();
    let meta = fs::symlink_metadata(sandbox.path("control.sock")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.gid()), (0o660, gid));
    daemon.stop();
    assert!(!sandbox.path("control.sock").exists());
}
