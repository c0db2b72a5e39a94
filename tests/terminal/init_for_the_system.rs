//! The promise: root's `init` writes to /etc/renewd, readable for the daemon's group where there is one; a user's to
//! ~/.config/renewd. As root, in a mount namespace whose /etc is made for the test.

use std::process::Command;

use support::{Ran, SECRET, Sandbox, is_root, skip};

/// Runs a script as root where /etc is empty but for what it puts there. `None`: it cannot be had here.
fn in_another_etc(test: &str, script: &str) -> Option<Ran> {
    if !is_root(test) {
        return None;
    }
    let sandbox = Sandbox::new();
    let unshared = |script: &str| {
        let mut command: Command = sandbox.command(&["unshare", "--mount", "sh", "-ec", script]);
        command.env("HOME", sandbox.path("home"));
        sandbox.finish(command, SECRET)
    };
    if unshared("mount -t tmpfs tmpfs /etc").code != Some(0) {
        skip(test, "no mount namespace is to be had");
        return None;
    }
    // $0 is the binary.
    let passwd = "printf 'root:x:0:0::/root:/bin/sh\\nrenewd:x:990:991::/:/bin/false\\n' > /etc/passwd; chmod 755 /etc";
    Some(unshared(&format!("mount -t tmpfs tmpfs /etc; {passwd}; {script}")))
}

const GROUP: &str = "printf 'root:x:0:\\nrenewd:x:991:\\n' > /etc/group";
const SUNBIRD: &str = "\"$0\" init --for sunbird --key k1";

#[test]
fn the_systems_secret_is_readable_for_the_daemons_group() {
    let test = "the_systems_secret_is_readable_for_the_daemons_group";
    let look = "stat -c '%a %U:%G %n' /etc/renewd /etc/renewd/*; cat /etc/renewd/config.toml";
    let Some(ran) = in_another_etc(test, &format!("{GROUP}; {SUNBIRD}; {look}")) else { return };
    let ran = ran.expect(0);
    for line in [
        "wrote /etc/renewd/sunbird.secret, mode 0640, group renewd\n",
        "  renewd check\n",
        "systemctl enable --now renewd",
        "750 root:renewd /etc/renewd\n",
        "640 root:renewd /etc/renewd/config.toml\n",
        "640 root:renewd /etc/renewd/sunbird.secret\n",
        "path = \"/run/renewd/sunbird.token\"\n",
        "secret.file = \"sunbird.secret\"\n",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {ran:#?}");
    }
}

#[test]
fn without_the_daemons_group_it_is_said() {
    let test = "without_the_daemons_group_it_is_said";
    let script = format!("printf 'root:x:0:\\n' > /etc/group; {SUNBIRD}; stat -c '%a %U:%G %n' /etc/renewd/*");
    let Some(ran) = in_another_etc(test, &script) else { return };
    let ran = ran.expect(0);
    assert!(ran.stdout.contains("note: there is no group renewd here"), "{ran:#?}");
    assert!(ran.stdout.contains("600 root:root /etc/renewd/sunbird.secret\n"), "{ran:#?}");
}

#[test]
fn a_config_of_the_packages_gets_a_file_in_config_d() {
    let test = "a_config_of_the_packages_gets_a_file_in_config_d";
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/etc/config.toml");
    let look = "find /etc/renewd -type f | sort; cat /etc/renewd/config.d/sunbird.toml";
    let script = format!("{GROUP}; mkdir -p /etc/renewd/config.d; cp {shipped} /etc/renewd; {SUNBIRD}; {look}");
    let Some(ran) = in_another_etc(test, &script) else { return };
    let ran = ran.expect(0);
    assert!(
        ran.stdout.contains("/etc/renewd/config.d/sunbird.toml\n/etc/renewd/config.toml\n/etc/renewd/sunbird.secret\n"),
        "{ran:#?}"
    );
    assert!(ran.stdout.contains("secret.file = \"/etc/renewd/sunbird.secret\"\n"), "{ran:#?}");
}

#[test]
fn a_user_has_it_below_the_home_folder() {
    let test = "a_user_has_it_below_the_home_folder";
    if !is_root(test) {
        return;
    }
    let sandbox = Sandbox::new();
    std::os::unix::fs::chown(sandbox.path("home"), Some(65534), Some(65534)).expect("chown");
    let as_nobody = |args: &[&str]| {
        let mut command = sandbox.command(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.args(args);
        sandbox.finish(command, SECRET)
    };
    let ran = as_nobody(&["init", "--for", "sunbird", "--key", "k1"]).expect(0);
    let folder = sandbox.path("home/.config/renewd");
    assert!(ran.stdout.contains(&format!("wrote {}\n", folder.join("config.toml").display())), "{ran:#?}");
    assert!(ran.stdout.contains("systemctl --user enable --now renewd"), "{ran:#?}");
    // As it was said: without any option.
    as_nobody(&["check"]).expect(0);
    as_nobody(&["once"]).expect(0);
    assert!(as_nobody(&["inspect", "sunbird"]).expect(0).stdout.contains("\"iss\": \"k1\""));
}
