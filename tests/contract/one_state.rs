//! The promise: one config has one state, whoever asks, from whatever environment. Beside its daemon others work through it or
//! refuse; without it root works as the user whom the daemon runs as. `token` and `exec` touch no file. `check` judges for the
//! user who will run it, and names users and groups.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::machine::{ALICE, JOBS, Machine, PERSON, PERSON_IN_JOBS, RENEWD, ROOT, SERVICE, SERVICE_IN_JOBS, owner_of};
use support::{Jwt, SECRET, until};

const CONFIG: &str = "/etc/renewd/config.toml";

fn config(path: &str, more: &str) -> String {
    format!(
        "[token.a]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"k\"\nsecret.file = \"secret\"\n{more}\n\
         [[token.a.output]]\nformat = \"token\"\npath = \"{path}\"\n"
    )
}

/// A machine with the shipped config's places: readable for the service alone.
fn machine(test: &str, text: &str) -> Option<Machine> {
    let machine = Machine::new(test)?;
    machine.put("/etc/renewd/secret", SECRET, 0o600, RENEWD);
    machine.put(CONFIG, text, 0o640, RENEWD);
    Some(machine)
}

fn unit(machine: &Machine, name: &str, lines: &str) {
    machine.folder("/etc/systemd/system", 0o755, 0);
    machine.put(&format!("/etc/systemd/system/{name}"), &format!("[Service]\n{lines}"), 0o644, 0);
}

#[test]
fn beside_its_daemon_root_works_through_it_and_without_it_as_its_user() {
    let Some(machine) = machine("root beside the daemon", &config("/run/renewd/a", "")) else { return };
    let service = machine.service(SERVICE, CONFIG, "renewd");
    until("the token is there", || machine.at("/run/renewd/a").exists());
    let first = machine.read("/run/renewd/a");
    let once = machine.run(ROOT, &["once", "a"]).expect(1);
    assert!(once.stderr.contains(&service.pid()) && once.stderr.contains("/var/lib/renewd"), "{once:#?}");
    assert_eq!(machine.run(ROOT, &["token", "a"]).expect(0).stdout.trim(), first);
    machine.run(ROOT, &["rotate", "a"]).expect(0);
    let second = machine.read("/run/renewd/a");
    assert_ne!(first, second);
    service.stop();

    // From the state, though that is in somebody else's folder: the same one, and its file is not touched.
    let written = fs::metadata(machine.at("/run/renewd/a")).and_then(|meta| meta.modified()).expect("stat");
    assert_eq!(machine.run(ROOT, &["token", "a"]).expect(0).stdout.trim(), second);
    // A fresh one for who asked is no rotation either.
    let longer = machine.run(ROOT, &["token", "a", "--min-valid", "59m 59s"]).expect(0);
    assert!(Jwt::signed_with(longer.stdout.trim(), SECRET.as_bytes()).is_ok(), "{longer:#?}");
    assert_eq!(machine.read("/run/renewd/a"), second);
    assert_eq!(fs::metadata(machine.at("/run/renewd/a")).and_then(|meta| meta.modified()).expect("stat"), written);
    // The command of `exec` is root's own.
    let ran = machine.run(ROOT, &["exec", "a", "--", "sh", "-c", "id -u; echo $HOME; test -n \"$A_TOKEN\""]).expect(0);
    assert_eq!(ran.stdout, "0\n/root\n");

    machine.run(ROOT, &["once", "--force"]).expect(0);
    assert_ne!(machine.read("/run/renewd/a"), second);
    assert_eq!(owner_of(&machine.at("/run/renewd/a")), RENEWD);
    for entry in fs::read_dir(machine.at("/var/lib/renewd")).expect("the state").flatten() {
        assert_eq!(owner_of(&entry.path()), RENEWD, "{}", entry.path().display());
    }
    let at_home: Vec<_> = fs::read_dir(machine.at("/root")).expect("root's home").flatten().collect();
    assert!(at_home.is_empty(), "{at_home:?}");
}

#[test]
fn cron_needs_no_environment() {
    let Some(machine) = machine("once from cron", &config("/run/renewd/a", "")) else { return };
    machine.folder("/var/lib/renewd", 0o700, RENEWD);
    let once = machine.run(SERVICE, &["once"]).expect(0);
    assert!(!once.stderr.contains("warning") && !once.stderr.contains("control socket"), "{once:#?}");
    let first = machine.read("/run/renewd/a");
    machine.run(ROOT, &["once"]).expect(0);
    assert_eq!(machine.read("/run/renewd/a"), first, "root made another one");
}

#[test]
fn a_service_with_folders_of_its_own_is_found_by_its_unit() {
    let Some(machine) = machine("a template's instance", "") else { return };
    let blue = "/etc/renewd/blue.toml";
    machine.put(blue, &config("$RUNTIME_DIRECTORY/a", ""), 0o640, RENEWD);
    unit(
        &machine,
        "renewd@.service",
        "User=renewd\nExecStart=/usr/bin/renewd run -c /etc/renewd/%i.toml\nRuntimeDirectory=renewd-%i\nStateDirectory=renewd-%i\n",
    );
    let service = machine.service(SERVICE, blue, "renewd-blue");
    until("the token is there", || machine.at("/run/renewd-blue/a").exists());
    let status = machine.run(ROOT, &["status", "-c", blue]).expect(0);
    assert!(status.stdout.contains("valid"), "{status:#?}");
    let once = machine.run(ROOT, &["once", "-c", blue]).expect(1);
    assert!(once.stderr.contains(&service.pid()), "{once:#?}");
    let first = machine.read("/run/renewd-blue/a");
    service.stop();
    assert_eq!(machine.run(ROOT, &["token", "a", "-c", blue]).expect(0).stdout.trim(), first);
    machine.run(ROOT, &["once", "-c", blue, "--force"]).expect(0);
    assert_eq!(owner_of(&machine.at("/run/renewd-blue/a")), RENEWD);
    assert!(!machine.at("/var/lib/renewd").exists(), "a second state was made");
}

/// `check` says that all is well, and so it is for root's first `once`: the folder is made as the unit would.
#[test]
fn the_first_once_of_root_makes_the_folder_of_the_state() {
    let Some(machine) = machine("no state yet", &config("/run/renewd/a", "")) else { return };
    machine.folder("/etc/renewd", 0o755, 0);
    machine.put(CONFIG, &config("/run/renewd/a", ""), 0o644, 0);
    unit(
        &machine,
        "renewd.service",
        "User=renewd\nExecStart=/usr/bin/renewd run\nStateDirectory=renewd\nRuntimeDirectory=renewd\n",
    );
    machine.run(ROOT, &["check"]).expect(0);
    assert!(!machine.at("/var/lib/renewd").exists(), "a look made it");
    machine.run(ROOT, &["once"]).expect(0);
    let made = fs::metadata(machine.at("/var/lib/renewd")).expect("the folder");
    assert_eq!((owner_of(&machine.at("/var/lib/renewd")), made.permissions().mode() & 0o7777), (RENEWD, 0o700));
    assert_eq!(owner_of(&machine.at("/run/renewd/a")), RENEWD);
}

/// A config has a state for each path that it is named by: where there are two, that is said, with both.
#[test]
fn two_states_of_one_config_are_told() {
    let sandbox = support::Sandbox::new();
    sandbox.config(support::token("a"));
    sandbox.ours(&["once"]).expect(0);
    std::os::unix::fs::symlink(sandbox.path("config.toml"), sandbox.path("link.toml")).expect("ln -s");
    for other in ["link.toml", "out/../config.toml"] {
        let other = sandbox.path(other);
        let other = other.to_str().expect("UTF-8");
        let (one, folder) = (sandbox.path("config.toml"), sandbox.path("state"));
        let told = format!("as {} in {}", one.display(), folder.display());
        let is_told = |text: &str| text.contains("two states") && text.contains(&told);
        let before = sandbox.run(&["check", "-c", other]).expect(0);
        assert!(!before.stderr.contains("two states"), "there is one still: {before:#?}");
        let once = sandbox.run(&["once", "-c", other]).expect(0);
        assert!(is_told(&once.stderr), "{once:#?}");
        let after = sandbox.run(&["check", "-c", other]).expect(0);
        assert!(is_told(&after.stderr), "{after:#?}");
    }
    let daemon = sandbox.start();
    assert!(daemon.log().contains("two states") && daemon.log().contains("link.toml"), "{}", daemon.log());
    daemon.stop();
}

/// A relative path, a path through a link and the path itself: all are this daemon's config.
#[test]
fn a_config_by_another_name_is_the_daemons_too() {
    let Some(machine) = machine("another name of the config", &config("/run/renewd/a", "")) else { return };
    std::os::unix::fs::symlink(CONFIG, machine.at("/root/link.toml")).expect("ln -s");
    let service = machine.service(SERVICE, CONFIG, "renewd");
    until("the token is there", || machine.at("/run/renewd/a").exists());
    for path in ["etc/renewd/config.toml", "/root/link.toml"] {
        let once = machine.run(ROOT, &["once", "-c", path]).expect(1);
        assert!(once.stderr.contains(&service.pid()), "{path}: {once:#?}");
    }
}

#[test]
fn the_daemon_of_another_config_is_not_asked() {
    let Some(machine) = machine("another config's daemon", &config("/run/renewd/a", "")) else { return };
    machine.put("/etc/renewd/other.toml", &config("/run/renewd/b", ""), 0o640, RENEWD);
    let service = machine.service(SERVICE, CONFIG, "renewd");
    until("the token is there", || machine.at("/run/renewd/a").exists());
    let first = machine.read("/run/renewd/a");
    for command in ["rotate", "reload"] {
        let ran = machine.run(ROOT, &[command, "-c", "/etc/renewd/other.toml"]).expect(69);
        assert!(ran.stderr.contains(CONFIG) && ran.stderr.contains(&service.pid()), "{ran:#?}");
    }
    assert_eq!(machine.read("/run/renewd/a"), first);
    // Who names the socket means it.
    machine.run(ROOT, &["rotate", "-c", "/etc/renewd/other.toml", "--socket", "/run/renewd/control.sock"]).expect(0);
    assert_ne!(machine.read("/run/renewd/a"), first);
}

#[test]
fn a_config_in_a_home_has_its_state_there_and_root_works_as_its_owner() {
    let Some(machine) = Machine::new("a config in a home") else { return };
    machine.folder("/home/alice/.config/renewd", 0o700, ALICE);
    machine.folder("/home/alice/out", 0o700, ALICE);
    let own = "/home/alice/.config/renewd/config.toml";
    machine.put("/home/alice/.config/renewd/secret", SECRET, 0o600, ALICE);
    machine.put(own, &config("~/out/a", ""), 0o600, ALICE);
    machine.run(ROOT, &["once", "-c", own]).expect(0);
    assert_eq!(owner_of(&machine.at("/home/alice/out/a")), ALICE);
    assert_eq!(owner_of(&machine.at("/home/alice/.local/state/renewd")), ALICE);
    let first = machine.read("/home/alice/out/a");
    assert_eq!(machine.run(PERSON, &["token", "a"]).expect(0).stdout.trim(), first);
    machine.run(PERSON, &["once"]).expect(0);
    assert_eq!(machine.read("/home/alice/out/a"), first);
}

#[test]
fn other_users_are_told_what_helps_them() {
    let Some(machine) = machine("other users", &config("/run/renewd/a", "")) else { return };
    let told = machine.run(PERSON, &["check"]).expect(78);
    assert!(told.stderr.contains(CONFIG) && told.stderr.contains("permission denied"), "{told:#?}");
    assert!(!told.stderr.contains("there is no config"), "{told:#?}");
    let service = machine.service(SERVICE, CONFIG, "renewd");
    let refused = machine.run(PERSON, &["status"]).expect(1);
    assert!(refused.stderr.contains("control_group"), "{refused:#?}");
    service.stop();
    // A config that she may read; the state is not hers.
    machine.folder("/etc/renewd", 0o755, 0);
    machine.put(CONFIG, &config("/run/renewd/a", ""), 0o644, RENEWD);
    machine.put("/etc/renewd/secret", SECRET, 0o644, RENEWD);
    let own = machine.run(PERSON, &["token", "a"]).expect(75);
    assert!(own.stderr.contains("belongs to the user renewd, and this runs as alice"), "{own:#?}");
}

#[test]
fn check_judges_for_the_user_who_will_run_it() {
    let text = config("/run/renewd/a", "").replace("format =", "mode = \"0640\"\ngroup = \"jobs\"\nformat =");
    let Some(machine) = machine("check for another user", &text) else { return };
    // The config is his: root judges for him.
    machine.run(ROOT, &["check"]).expect(78);
    let named = machine.run(ROOT, &["check", "--as", "renewd"]).expect(78);
    assert!(named.stderr.contains("the user renewd is not in the group jobs"), "{named:#?}");
    unit(&machine, "tokens.service", "User=renewd\nExecStart=/usr/bin/renewd run -c /etc/renewd/config.toml\n");
    let by_unit = machine.run(ROOT, &["check"]).expect(78);
    assert!(by_unit.stderr.contains("the user renewd is not in the group jobs"), "{by_unit:#?}");
    assert!(
        !by_unit.stderr.contains(&JOBS.to_string()) && !by_unit.stderr.contains(&RENEWD.to_string()),
        "{by_unit:#?}"
    );
    machine.folder("/etc/systemd/system/tokens.service.d", 0o755, 0);
    machine.put("/etc/systemd/system/tokens.service.d/group.conf", "[Service]\nSupplementaryGroups=jobs\n", 0o644, 0);
    let ok = machine.run(ROOT, &["check"]).expect(0);
    assert!(ok.stdout.contains("for the user renewd"), "{ok:#?}");
    machine.put("/etc/renewd/secret", SECRET, 0o600, 0);
    let secret = machine.run(ROOT, &["check"]).expect(78);
    assert!(secret.stderr.contains("permission denied for the user renewd"), "{secret:#?}");
    machine.run(PERSON, &["check", "--as", "renewd"]).expect(64);
}

/// What its daemon can do counts, not what a file says of its user: it runs with a group that nobody knows of.
#[test]
fn check_judges_by_the_groups_of_a_daemon_that_runs() {
    let text = config("/run/renewd/a", "").replace("format =", "mode = \"0640\"\ngroup = \"jobs\"\nformat =");
    let Some(machine) = machine("check beside a daemon", &text) else { return };
    machine.run(ROOT, &["check", "--as", "renewd"]).expect(78);
    let service = machine.service(SERVICE_IN_JOBS, CONFIG, "renewd");
    machine.run(ROOT, &["check"]).expect(0);
    service.stop();
}

/// A timer keeps the tokens: no daemon is missing, and `status` and `wait` tell by the state and the files.
#[test]
fn without_a_daemon_the_state_and_the_files_tell() {
    let Some(machine) = machine("status without a daemon", &config("/run/renewd/a", "")) else { return };
    machine.folder("/var/lib/renewd", 0o700, RENEWD);
    // Nothing is known yet.
    machine.run(ROOT, &["status"]).expect(69);
    machine.run(SERVICE, &["wait", "--timeout", "10ms"]).expect(69);
    machine.run(SERVICE, &["once"]).expect(0);
    for who in [ROOT, SERVICE] {
        let status = machine.run(who, &["status"]).expect(0);
        assert!(status.stdout.contains("valid") && status.stdout.contains("no daemon"), "{status:#?}");
    }
    let json = machine.run(ROOT, &["status", "--json"]).expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["from"], "state");
    assert_eq!(
        (&json["tokens"][0]["on_disk"], &json["tokens"][0]["failing_since"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert_eq!(json["tokens"][0]["outputs"][0]["owner"], "renewd");
    let waited = machine.run(ROOT, &["wait", "a"]).expect(0);
    assert!(waited.stderr.contains("no daemon answers"), "{waited:#?}");
    machine.run(ROOT, &["wait", "a", "--min-valid", "2h", "--timeout", "10ms"]).expect(75);
    machine.run(ROOT, &["status", "nosuch"]).expect(64);
    // Somebody takes the file away: a reader would find nothing.
    fs::remove_file(machine.at("/run/renewd/a")).expect("rm");
    let status = machine.run(ROOT, &["status"]).expect(1);
    assert!(status.stdout.contains("/run/renewd/a is not there"), "{status:#?}");
    machine.run(ROOT, &["wait", "--timeout", "10ms"]).expect(75);
    assert!(!machine.at("/run/renewd/a").exists(), "a look wrote a file");
    // A daemon took over and died: that it is missing is not well, whatever the files say.
    machine.service(SERVICE, CONFIG, "renewd").stop();
    let status = machine.run(ROOT, &["status"]).expect(69);
    assert!(status.stdout.contains("valid"), "{status:#?}");
}

/// Nobody makes root work as root, or as somebody else, by a config that he may write; root's command gets no variable of his
/// choice, and he gets nothing of root's environment.
#[test]
fn a_users_config_has_no_power_over_root() {
    let Some(machine) = Machine::new("a user's config") else { return };
    machine.folder("/home/alice/out", 0o700, ALICE);
    machine.folder("/var/lib/other", 0o700, 0);
    machine.folder("/var/lib/renewd", 0o700, RENEWD);
    machine.put("/home/alice/secret", SECRET, 0o600, ALICE);
    machine.put(
        "/home/alice/who.sh",
        "#!/bin/sh\nid -u > /home/alice/out/who\nenv >> /home/alice/out/who\necho opaque\n",
        0o755,
        ALICE,
    );
    let source = "source = \"command\"\ncommand = [\"/home/alice/who.sh\"]\nttl = \"1h\"";
    for state in ["/var/lib/other", "/var/lib/renewd"] {
        let text = format!("[daemon]\nstate_dir = \"{state}\"\n[token.a]\n{source}\n");
        machine.put("/home/alice/c.toml", &text, 0o600, ALICE);
        machine.run_in(ROOT, &[("PASSWORD", "of-root")], &["once", "-c", "/home/alice/c.toml"]);
        machine.run_in(ROOT, &[("PASSWORD", "of-root")], &["token", "a", "-c", "/home/alice/c.toml"]);
        let ran = fs::read_to_string(machine.at("/home/alice/out/who")).unwrap_or_default();
        assert!(ran.is_empty() || ran.starts_with(&format!("{ALICE}\n")), "{state}: {ran}");
        let entries = fs::read_dir(machine.at(state)).expect("ls").count();
        assert_eq!(entries, 0, "{state} was worked in");
    }
    let env = "output = [{ format = \"env\", path = \"/home/alice/out/env\", variable = \"LD_PRELOAD\" }]";
    machine.put("/home/alice/c.toml", &format!("[token.a]\n{source}\n{env}\n"), 0o600, ALICE);
    let ran = machine
        .run_in(ROOT, &[("PASSWORD", "of-root")], &["exec", "a", "-c", "/home/alice/c.toml", "--", "env"])
        .expect(64);
    assert!(ran.stderr.contains("--as") && ran.stdout.is_empty(), "{ran:#?}");
    let ran = machine
        .run(ROOT, &["exec", "a", "--as", "MINE", "-c", "/home/alice/c.toml", "--", "sh", "-c", "echo $MINE; id -u"])
        .expect(0);
    assert_eq!(ran.stdout, "opaque\n0\n");
    let who = machine.read("/home/alice/out/who");
    assert!(who.starts_with(&format!("{ALICE}\n")) && !who.contains("of-root"), "{who}");
    machine.run(ROOT, &["init", "--for", "kong", "--key", "k", "--name", "b", "-c", "/home/alice/n/c.toml"]).expect(1);
}

/// A daemon names the variable of `exec` too: it is believed where root and its user are the same, or root's own config says so.
#[test]
fn a_users_daemon_chooses_no_variable_for_root() {
    let env =
        |variable: &str| format!("[[token.a.output]]\nformat = \"env\"\npath = \"~/env\"\nvariable = \"{variable}\"\n");
    let Some(machine) = Machine::new("a user's daemon") else { return };
    machine.folder("/home/alice/out", 0o700, ALICE);
    machine.put("/home/alice/secret", SECRET, 0o600, ALICE);
    machine.put("/home/alice/c.toml", &config("~/out/a", &env("LD_PRELOAD")), 0o600, ALICE);
    let hers = machine.service(PERSON, "/home/alice/c.toml", "alice");
    until("the token is there", || machine.at("/home/alice/env").exists());
    let socket = ["exec", "a", "--socket", "/run/alice/control.sock"];
    let ran = machine.run(ROOT, &[&socket[..], &["--", "env"]].concat()).expect(64);
    assert!(ran.stderr.contains("the user alice chose the variable LD_PRELOAD") && ran.stdout.is_empty(), "{ran:#?}");
    let ran = machine.run(ROOT, &[&socket[..], &["--as", "MINE", "--", "sh", "-c", "echo $MINE"]].concat()).expect(0);
    assert_eq!(ran.stdout.trim(), machine.read("/home/alice/out/a"));
    // It is her own choice for herself.
    let ran = machine.run(PERSON, &[&socket[..], &["--", "sh", "-c", "echo ran"]].concat()).expect(0);
    assert!(ran.stdout.contains("ran"), "{ran:#?}");
    hers.stop();
}

#[test]
fn roots_own_config_chooses_the_variable_whoever_the_daemon_runs_as() {
    let Some(machine) = machine("root's config", "") else { return };
    let text = config("/run/renewd/a", "").replace("format = \"token\"", "format = \"env\"\nvariable = \"MINE\"");
    let exec = ["exec", "a", "--", "sh", "-c", "test -n \"$MINE\" && echo ran"];
    for (owner, code) in [(0, 0), (RENEWD, 64)] {
        machine.put(CONFIG, &text, 0o644, owner);
        let service = machine.service(SERVICE, CONFIG, "renewd");
        until("the token is there", || machine.at("/run/renewd/a").exists());
        let ran = machine.run(ROOT, &exec).expect(code);
        assert_eq!(ran.stderr.contains("the user renewd chose the variable MINE"), code == 64, "{ran:#?}");
        service.stop();
        // The same from the state, as its user.
        let ran = machine.run(ROOT, &exec).expect(code);
        assert_eq!(ran.stdout.contains("ran"), code == 0, "{ran:#?}");
    }
}

/// A daemon that claims the config at an earlier place hides nothing: the true one's groups count.
#[test]
fn the_true_daemon_is_found_behind_a_false_one() {
    let Some(machine) = Machine::new("two daemons that claim a config") else { return };
    let own = "/home/alice/c.toml";
    let text = config("/home/alice/out/a", "").replace("format =", "mode = \"0640\"\ngroup = \"jobs\"\nformat =");
    machine.folder("/home/alice/out", 0o700, ALICE);
    machine.put("/home/alice/secret", SECRET, 0o600, ALICE);
    machine.put(own, &text, 0o600, ALICE);
    machine.folder("/run/first/renewd", 0o755, RENEWD);
    machine.folder("/run/user/1990", 0o700, ALICE);
    let _false = machine.program(SERVICE, &["python3", "-c", &claiming("/run/first/renewd/control.sock", own)]);
    until("it listens", || machine.at("/run/first/renewd/control.sock").exists());
    let service = machine.service(PERSON_IN_JOBS, own, "user/1990/renewd");
    machine.run_in(ROOT, &[("XDG_RUNTIME_DIR", "/run/first")], &["check", "-c", own]).expect(0);
    service.stop();
    machine.run_in(ROOT, &[("XDG_RUNTIME_DIR", "/run/first")], &["check", "-c", own]).expect(78);
}

/// A program that listens there and says that it is the daemon of that config.
fn claiming(socket: &str, config: &str) -> String {
    format!(
        "import json, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('{socket}')\ns.listen()\n\
         while True:\n    c, _ = s.accept()\n    c.recv(9999)\n    c.sendall(json.dumps({{'ok': True, 'exit': 0, 'about': \
         {{'config': '{config}', 'pid': 1, 'state_dir': '/x', 'version': '0'}}}}).encode() + b'\\n')\n    c.close()\n"
    )
}

/// Who listens at a socket says who he is, and the kernel is asked whether that is so.
#[test]
fn a_socket_of_somebody_else_is_not_believed() {
    let Some(machine) = machine("a stranger's socket", &config("/run/renewd/a", "")) else { return };
    machine.put("/root/key", SECRET, 0o600, 0);
    machine.folder("/home/alice/out", 0o700, ALICE);
    machine.folder("/run/user/1990/renewd", 0o700, ALICE);
    machine.put(
        "/home/alice/c.toml",
        &config("/home/alice/out/a", "").replace("\"secret\"", "\"/root/key\""),
        0o600,
        ALICE,
    );
    let socket = "/run/user/1990/renewd/control.sock";
    let _fake = machine.program(PERSON, &["python3", "-c", &claiming(socket, "/home/alice/c.toml")]);
    until("it listens", || machine.at(socket).exists());
    let checked = machine.run(ROOT, &["check", "-c", "/home/alice/c.toml"]).expect(78);
    assert!(checked.stderr.contains("permission denied for the user alice"), "{checked:#?}");
}
