//! The promise: a man page for each command and one for the config, from the text of --help and the table of keys; the tools
//! that read man pages find nothing wrong with them.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::pty::Terminal;
use support::{Sandbox, names_in, program};

/// The commands that `--help` lists.
fn commands(sandbox: &Sandbox) -> Vec<String> {
    let help = sandbox.run(&["--help"]).expect(0).stdout;
    let (_, rest) = help.split_once("Commands:\n").expect("a list of commands");
    let lines = rest.lines().take_while(|line| !line.trim().is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(String::from).collect()
}

/// A page as roff, with `\-` for the dashes of options.
fn plain(page: &str) -> String {
    page.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "")
}

#[test]
fn every_command_and_its_flags_stand_in_a_page_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("man");
    sandbox.run(&["man", "--dir", "man"]).expect(0);
    let commands = commands(&sandbox);
    let mut wanted: Vec<String> = commands.iter().map(|command| format!("renewd-{command}.1")).collect();
    wanted.extend(["renewd.1".into(), "renewd.toml.5".into()]);
    wanted.sort();
    assert_eq!(names_in(&sandbox.path("man")), wanted);
    let whole = plain(&std::fs::read_to_string(sandbox.path("man/renewd.1")).expect("the page"));
    for command in &commands {
        let help = sandbox.run(&[command, "--help"]).expect(0).stdout;
        let page = sandbox.run(&["man", command]).expect(0).stdout;
        let kept = std::fs::read_to_string(sandbox.path("man").join(format!("renewd-{command}.1"))).expect("the page");
        assert_eq!(page, kept, "a pipe gets roff");
        let page = plain(&page);
        let words = help.split([' ', '\n', ',', '`']).filter(|word| word.starts_with("--") && word.len() > 2);
        for flag in words.map(|word| word.split('=').next().unwrap_or_default().trim_end_matches(['.', ';', ')'])) {
            assert!(page.contains(flag), "renewd-{command}(1) lacks {flag}");
        }
        let about = help.lines().next().expect("a first line");
        assert!(page.contains(about), "renewd-{command}(1) lacks: {about}");
        assert!(whole.contains(&format!("renewd-{command}(1)")), "renewd(1) lacks {command}");
    }
}

#[test]
fn every_key_stands_in_the_page_of_the_config() {
    fn keys(schema: &Value, into: &mut BTreeSet<(String, String)>) {
        for (name, key) in schema["properties"].as_object().into_iter().flatten() {
            let doc = key["description"].as_str().unwrap_or_default();
            into.insert((name.clone(), doc.to_owned()));
            for below in [key, &key["additionalProperties"], &key["items"]] {
                keys(below, into);
            }
        }
        for branch in schema["allOf"].as_array().into_iter().flatten() {
            keys(&branch["then"], into);
        }
    }
    let sandbox = Sandbox::new();
    let schema = serde_json::from_str(&sandbox.run(&["schema"]).expect(0).stdout).expect("JSON");
    let mut all = BTreeSet::new();
    keys(&schema, &mut all);
    assert!(all.len() > 80, "{} keys found", all.len());
    let page = plain(&sandbox.run(&["man", "renewd.toml"]).expect(0).stdout);
    // A line that begins with a dot is written with something before it.
    let page = page.replace("\\&", "");
    for (name, doc) in all {
        assert!(page.contains(&format!("\n{name} = ")), "renewd.toml(5) lacks {name}");
        assert!(page.contains(&doc.replace('\'', "\\*(Aq")) || page.contains(&doc), "{name}: {doc}");
    }
}

#[test]
fn groff_and_mandoc_find_nothing_wrong() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("man");
    sandbox.run(&["man", "--dir", "man"]).expect(0);
    let lints: [(&str, &[&str]); 2] =
        [("groff", &["-man", "-Tutf8", "-ww", "-z"]), ("mandoc", &["-T", "lint", "-W", "error"])];
    for (tool, args) in lints {
        if program("the lint of the man pages", tool).is_none() {
            continue;
        }
        for page in names_in(&sandbox.path("man")) {
            let mut lint = Command::new(tool);
            lint.args(args).arg(sandbox.path("man").join(&page));
            let ran = sandbox.finish(lint, "").expect(0);
            assert_eq!(ran.text(), "", "{tool}: {page}");
        }
    }
}

#[test]
fn a_terminal_is_shown_the_page_by_man_or_as_text() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("bin");
    sandbox.script("bin/man", "echo \"MAN[$*]\"; head -n 1");
    let at = |path: &str, page: &str| {
        let mut command = sandbox.command(&[]);
        command.args(["man", page]).env("PATH", path);
        let mut terminal = Terminal::start(&command);
        let code = terminal.end();
        (code, terminal)
    };
    let with_man = format!("{}:/usr/bin:/bin", sandbox.path("bin").display());
    let (code, mut terminal) = at(&with_man, "token");
    assert_eq!(code, Some(0));
    terminal.wait_for("MAN[-l -]");
    terminal.wait_for(".TH \"renewd-token\" \"1\"");
    // Without man(1): no roff for a person.
    let (code, mut terminal) = at(&sandbox.path("out").display().to_string(), "token");
    assert_eq!(code, Some(0));
    terminal.wait_for("--min-valid");
    let (code, mut terminal) = at(&sandbox.path("out").display().to_string(), "renewd.toml");
    assert_eq!(code, Some(0));
    terminal.wait_for("credential_timeout = \"10s\"");
    assert!(!terminal.all().contains(".TH"), "{}", terminal.all());
}

#[test]
fn pages_have_several_names() {
    let sandbox = Sandbox::new();
    for page in ["token", "renewd-token", "renewd-token.1"] {
        assert!(sandbox.run(&["man", page]).expect(0).stdout.starts_with(".TH \"renewd-token\""), "{page}");
    }
    assert!(sandbox.run(&["man"]).expect(0).stdout.starts_with(".TH \"renewd\" "));
    assert!(sandbox.run(&["man", "renewd.toml.5"]).expect(0).stdout.starts_with(".TH \"renewd.toml\" \"5\""));
    let ran = sandbox.run(&["man", "nonsense"]).expect(64);
    assert!(ran.stderr.contains("renewd-token, "), "{ran:#?}");
    assert!(sandbox.run(&["man", "--dir", "gone"]).expect(1).stderr.contains("gone/"), "it names the folder");
}
