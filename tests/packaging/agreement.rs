//! Owns: that the units agree with each other and with what the manual promises of them.
//! Does not: ask systemd.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{settings, unit};

/// The value of a setting that stands once.
fn value(text: &str, key: &str) -> String {
    let found: Vec<&str> =
        settings(text).into_iter().filter_map(|line| line.strip_prefix(&format!("{key}="))).collect();
    assert_eq!(found.len(), 1, "{key}: {found:?}");
    found[0].to_owned()
}

fn time(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_unit_keeps_what_users_rely_on() {
    let text = unit("renewd.service");
    let lines = settings(&text);
    for line in [
        "Type=notify",
        "User=renewd",
        "ExecStart=/usr/bin/renewd run -c /etc/renewd/config.toml",
        "ExecReload=/usr/bin/renewd reload -c /etc/renewd/config.toml",
        "RuntimeDirectory=renewd",
        "RuntimeDirectoryPreserve=yes",
        "StateDirectory=renewd",
        "StateDirectoryMode=0700",
        "Restart=on-failure",
        "RestartPreventExitStatus=78",
        "StartLimitIntervalSec=0",
        "LimitCORE=0",
        "MemorySwapMax=0",
        "NoNewPrivileges=yes",
    ] {
        assert!(lines.contains(&line), "renewd.service lacks {line}");
    }
}

#[test]
fn an_instance_is_the_unit_with_names_of_its_own() {
    let one = unit("renewd.service")
        .replace("in files\n", "in files (%i)\n")
        .replace("/etc/renewd/config.toml", "/etc/renewd/%i.toml")
        .replace("Directory=renewd\n", "Directory=renewd-%i\n")
        .replace("=/run/renewd /var/lib/renewd\n", "=/run/renewd-%i /var/lib/renewd-%i\n");
    assert_eq!(settings(&unit("renewd@.service")), settings(&one));
}

/// What follows the line of the core dumps is the sandbox.
fn sandbox(text: &str) -> BTreeSet<&str> {
    let lines = settings(text);
    let begin = lines.iter().position(|line| *line == "LimitCORE=0").expect("a sandbox");
    lines[begin..].iter().copied().take_while(|line| !line.starts_with('[')).collect()
}

#[test]
fn what_runs_without_the_daemon_is_in_the_same_sandbox() {
    let (daemon, once, check) = (unit("renewd.service"), unit("renewd-once.service"), unit("renewd-check.service"));
    assert_eq!(sandbox(&once), sandbox(&daemon));
    // It writes nothing and gives nothing away.
    let missing: Vec<&str> = sandbox(&daemon).difference(&sandbox(&check)).copied().collect();
    assert_eq!(missing, ["NoExecPaths=/run/renewd /var/lib/renewd", "SystemCallFilter=@chown"]);
    assert!(sandbox(&check).is_subset(&sandbox(&daemon)));
    for key in ["User", "Group", "RuntimeDirectory", "RuntimeDirectoryPreserve", "StateDirectory", "UMask"] {
        assert_eq!(value(&once, key), value(&daemon, key), "{key}");
    }
    assert!(
        !check.lines().any(|line| line.starts_with("RuntimeDirectory=")),
        "a check takes no folder of the daemon's"
    );
}

#[test]
fn a_run_comes_before_what_the_run_before_it_left_falls_due() {
    let (service, timer) = (unit("renewd-once.service"), unit("renewd-once.timer"));
    let command = value(&service, "ExecStart");
    let ahead = time(command.rsplit(" --ahead ").next().expect("a time"));
    let minutes = value(&timer, "OnCalendar");
    let every = time(&format!("{}min", minutes.strip_prefix("*:0/").expect("each so many minutes")));
    let late = time(&value(&timer, "AccuracySec")) + time(&value(&timer, "RandomizedDelaySec"));
    let pause = time(&format!("{}s", value(&service, "RestartSec")));
    assert!(ahead > every + late + pause, "--ahead {ahead:?}, and the next run may come after {:?}", every + late);
    assert_eq!(value(&timer, "Persistent"), "yes");
    // /run is empty at boot.
    assert_eq!(value(&service, "WantedBy"), "multi-user.target");
    assert_eq!(value(&timer, "Also"), "renewd-once.service");
}

#[test]
fn the_socket_is_for_root_and_known_by_its_name() {
    let socket = unit("renewd.socket");
    for (key, wanted) in [
        ("ListenStream", "/run/renewd/credentials.sock"),
        ("FileDescriptorName", "credentials"),
        ("SocketMode", "0600"),
        ("RemoveOnStop", "yes"),
    ] {
        assert_eq!(value(&socket, key), wanted, "{key}");
    }
    assert!(!settings(&socket).iter().any(|line| line.starts_with("Accept=")), "renewd accepts itself");
    let job = unit("examples/job-credential.service");
    let (name, path) =
        value(&job, "LoadCredential").split_once(':').map(|(n, p)| (n.to_owned(), p.to_owned())).unwrap();
    assert_eq!(path, value(&socket, "ListenStream"));
    assert_eq!(value(&job, "ExecStartPre"), format!("test -s %d/{name}"), "a refusal is an empty credential");
}

#[test]
fn the_drop_ins_are_listed_where_they_lie() {
    let page = unit("dropins/README.md");
    for (name, _) in super::drop_ins() {
        assert!(page.contains(&format!("| `{name}` |")), "dropins/README.md lacks {name}");
    }
}
