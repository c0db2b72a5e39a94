//! The promise: an env file is read alike by systemd's EnvironmentFile=, docker's --env-file and `. file` in sh.
//! Read by real dash, bash and busybox where they are, by systemd's own parser, and by docker's rules in ten lines.
//! Several tokens share one file: one line each, in the order of the config.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::{Sandbox, skipped, token, until};

type Pairs = BTreeMap<String, String>;

/// Three tokens of two algorithms, one that never expires, in one file; another variable of one in a second file.
fn shared_file(sandbox: &Sandbox) -> Pairs {
    sandbox.put("long", "y".repeat(64));
    let line = |variable: &str, expires: &str| {
        format!(
            "format = \"env\"\npath = \"out/jobs.env\"\nvariable = \"{variable}\"\nexpires_variable = \"{expires}\"\nmode = \"0640\""
        )
    };
    let texts = [
        token("zeta").plain("zeta.token").output(&line("ZETA_TOKEN", "ZETA_UNTIL")),
        token("alpha")
            .algorithm("HS512")
            .secret("secret.file = \"long\"")
            .plain("alpha.token")
            .output(&line("alpha_token", "_alpha9")),
        token("forever")
            .line("lifetime = \"never\"\nrotate_every = \"30d\"")
            .plain("forever.token")
            .output(&line("FOREVER", "FOREVER_UNTIL")),
    ];
    sandbox.config(texts.map(|t| t.to_string()).concat());
    sandbox.ours(&["once"]).expect(0);
    let zeta = sandbox.jwt("zeta");
    let alpha = support::Jwt::parse(&sandbox.read("alpha.token")).expect("a token");
    let forever = sandbox.jwt("forever");
    assert!(forever.claims.get("exp").is_none(), "{}", forever.claims);
    let pairs = [
        ("ZETA_UNTIL", zeta.number("exp").to_string()),
        ("ZETA_TOKEN", zeta.text),
        ("_alpha9", alpha.number("exp").to_string()),
        ("alpha_token", alpha.text),
        ("FOREVER", forever.text),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

fn parse_lines(text: &str) -> Pairs {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What a shell exports after `. file`, less what it exports without.
fn by_shell(shell: &[&str], file: &Path) -> Option<Pairs> {
    let run = |script: &str| {
        let output = Command::new(shell[0])
            .args(&shell[1..])
            .arg("-c")
            .arg(script)
            .arg("sh")
            .arg(file)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .ok()?;
        assert!(output.stderr.is_empty(), "{shell:?}: {output:?}");
        Some(parse_lines(&String::from_utf8_lossy(&output.stdout)))
    };
    let without = run("set -aeu; env")?;
    let mut with = run("set -aeu; . \"$1\"; env")?;
    with.retain(|name, _| !without.contains_key(name));
    Some(with)
}

#[test]
fn shells_read_it() {
    let sandbox = Sandbox::new();
    let want = shared_file(&sandbox);
    let shells: [&[&str]; 5] = [&["sh"], &["dash"], &["bash"], &["bash", "--posix"], &["busybox", "sh"]];
    let mut read_by = 0;
    for shell in shells {
        match by_shell(shell, &sandbox.out("jobs.env")) {
            Some(got) => {
                assert_eq!(got, want, "{shell:?}");
                read_by += 1;
            }
            None => println!("{shell:?}: not here"),
        }
    }
    assert!(read_by > 0, "no shell at all");
}

/// The environment.d generator and EnvironmentFile= share systemd's parser (`parse_env_file_internal`); the generator
/// also fills in `$NAME`, which no byte that renewd writes can ask for. It needs no service manager.
#[test]
fn systemd_reads_it() {
    let places = ["/usr/lib", "/lib"];
    let name = "systemd/user-environment-generators/30-systemd-environment-d-generator";
    let Some(generator) = places.iter().map(|p| Path::new(p).join(name)).find(|p| p.exists()) else {
        skipped("systemd_reads_it", "systemd's generator is not here");
        return;
    };
    let sandbox = Sandbox::new();
    let want = shared_file(&sandbox);
    sandbox.mkdir("xdg/environment.d");
    std::fs::copy(sandbox.out("jobs.env"), sandbox.path("xdg/environment.d/jobs.conf")).expect("cp");
    let output = Command::new(generator)
        .env_clear()
        .env("XDG_CONFIG_HOME", sandbox.path("xdg"))
        .env("HOME", sandbox.path("home"))
        .output()
        .expect("the generator runs");
    assert!(output.status.success(), "{output:?}");
    let mut got = parse_lines(&String::from_utf8_lossy(&output.stdout));
    got.retain(|name, _| want.contains_key(name) || name == "FOREVER_UNTIL");
    assert_eq!(got, want);
}

/// docker's `--env-file`: a line is trimmed on the left, `#` begins a comment, the rest is split at the first `=` and
/// taken literally, quotes and all; a name without `=` comes from the outside.
fn by_docker(text: &str) -> Pairs {
    text.lines()
        .map(|line| line.trim_start_matches([' ', '\t']))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.split_once('=').expect("no name from the outside");
            assert!(!name.contains(char::is_whitespace), "{name:?}");
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn docker_reads_it() {
    let sandbox = Sandbox::new();
    let want = shared_file(&sandbox);
    assert_eq!(by_docker(&sandbox.read("jobs.env")), want);
}

#[test]
fn lines_stand_in_the_order_of_the_config_and_end_in_a_newline() {
    let sandbox = Sandbox::new();
    let want = shared_file(&sandbox);
    let text = sandbox.read("jobs.env");
    let order = ["ZETA_TOKEN", "ZETA_UNTIL", "alpha_token", "_alpha9", "FOREVER"];
    let lines: String = order.iter().map(|name| format!("{name}={}\n", want[*name])).collect();
    assert_eq!(text, lines);
}

/// A shared env file holds the lines of the tokens at hand, and the others' when they come.
#[test]
fn a_shared_file_does_not_wait_for_all_of_its_tokens() {
    let sandbox = Sandbox::new();
    let retry = "[defaults]\nretry = { initial = \"100ms\", max = \"300ms\" }\n";
    let late = token("late").secret("secret.file = \"later\"").env("e", "LATE");
    let body = format!("{retry}{late}{}", token("now").env("e", "NOW"));
    sandbox.config_with("ready_timeout = \"1s\"", body);
    let daemon = sandbox.start();
    let names = |text: &str| parse_lines(text).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&sandbox.read("e")), ["NOW"]);
    let now = sandbox.read("e");
    sandbox.put("later", "z".repeat(32));
    until("the late line", || names(&sandbox.read("e")) == ["LATE", "NOW"]);
    let text = sandbox.read("e");
    assert!(text.starts_with("LATE=") && text.ends_with(&now), "order of the config, or obtained again");
    daemon.stop();
}

#[test]
fn one_file_has_one_mode_and_each_variable_once() {
    let sandbox = Sandbox::new();
    let with = |second: &str| {
        let output = format!("format = \"env\"\npath = \"out/e\"\n{second}");
        format!("{}{}", token("a").env("e", "A"), token("b").output(&output))
    };
    let bad = [
        "variable = \"A\"",
        "variable = \"B\"\nmode = \"0640\"",
        "variable = \"B\"\nexpires_variable = \"A\"",
        "variable = \"9B\"",
        "variable = \"B C\"",
        "variable = \"\"",
    ];
    for lines in bad {
        sandbox.config(with(lines));
        sandbox.ours(&["check"]).expect(78);
    }
    sandbox.config(with("variable = \"B\"\nmode = \"0600\""));
    sandbox.ours(&["check"]).expect(0);
}
