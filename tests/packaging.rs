//! Owns: that systemd takes the unit as it is written, and that it says what the manual says of it.
//! Does not: start it; that needs a machine of its own.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

const UNIT: &str = "packaging/systemd/renewd.service";

fn unit() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(UNIT)).expect("the unit")
}

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("skipped: systemd-analyze is not here");
        return;
    }
    let folder = tempfile::tempdir().expect("a temp folder");
    let verify = |text: &str| {
        let path = folder.path().join("renewd.service");
        std::fs::write(&path, text).expect("a copy");
        let output =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().expect("it starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // It wants a program that is there.
    let text = unit().replace("/usr/bin/renewd", env!("CARGO_BIN_EXE_renewd"));
    let (ok, words) = verify(&text);
    // What it says of other units of this machine is not ours.
    let ours: Vec<&str> = words.lines().filter(|line| line.contains("renewd")).collect();
    assert!(ok && ours.is_empty(), "{words}");
    let (_, words) = verify(&text.replace("RestrictRealtime=", "RestrictRealtme="));
    assert!(words.contains("RestrictRealtme"), "a slip goes unnoticed: {words}");
}

#[test]
fn the_unit_keeps_what_users_rely_on() {
    let unit = unit();
    let lines: Vec<&str> = unit.lines().collect();
    for line in [
        "Type=notify",
        "User=renewd",
        "ExecStart=/usr/bin/renewd run -c /etc/renewd/config.toml",
        "ExecReload=/usr/bin/renewd reload -c /etc/renewd/config.toml",
        "RuntimeDirectory=renewd",
        "RuntimeDirectoryPreserve=yes",
        "StateDirectory=renewd",
        "StateDirectoryMode=0700",
        "RestartPreventExitStatus=78",
        "NoNewPrivileges=yes",
    ] {
        assert!(lines.contains(&line), "{UNIT} lacks {line}");
    }
}
