//! Owns: that every command and flag which the README and the manual show is one the binary has.
//! Does not: run them.

use std::collections::BTreeMap;

use support::{Page, pages, repository};

use super::printed;

/// The commands that `--help` lists, in its order.
pub(super) fn all() -> Vec<String> {
    let help = printed(&["--help"]);
    let (_, rest) = help.split_once("Commands:\n").expect("a list of commands");
    let lines = rest.lines().take_while(|line| !line.trim().is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(String::from).collect()
}

/// Words before which a new command begins.
const BREAKS: [&str; 6] = ["|", "||", "&&", ";", ">", "<"];
/// Words behind which a command may stand that is run by another.
const WRAPPERS: [&str; 2] = ["--init-groups", "sudo"];

/// The lines of shell in a page, and what it calls `renewd ...` in passing.
fn lines(page: &Page) -> Vec<String> {
    let mut lines = Vec::new();
    for block in page.blocks().iter().filter(|block| ["", "sh"].contains(&block.info.as_str())) {
        lines.extend(block.text.lines().map(String::from));
    }
    lines.extend(page.prose().split('`').skip(1).step_by(2).map(String::from));
    lines
}

/// The command and flags of each call of renewd in a line.
fn calls(line: &str) -> Vec<(String, Vec<String>)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut calls = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let begins = at == 0 || BREAKS.contains(&words[at - 1]) || WRAPPERS.contains(&words[at - 1]);
        let cargo = word == &"--" && at >= 2 && words[at - 2..at] == ["cargo", "run"];
        if !(begins && (*word == "renewd" || word.ends_with("/renewd")) || cargo) {
            continue;
        }
        let rest = words[at + 1..].iter().take_while(|word| **word != "--" && !BREAKS.contains(word));
        let mut rest = rest.map(|word| word.trim_matches(['[', ']', ',', '(', ')']).to_string());
        let Some(command) = rest.next() else { continue };
        let flags = rest.filter(|word| word.starts_with("--") && word.len() > 2);
        calls.push((command, flags.map(|flag| flag.split('=').next().unwrap_or_default().to_string()).collect()));
    }
    calls
}

#[test]
fn every_command_and_flag_exists() {
    let help: BTreeMap<String, String> =
        all().into_iter().map(|command| (command.clone(), printed(&[&command, "--help"]))).collect();
    let mut seen = 0;
    for page in pages() {
        for line in lines(&page) {
            for (command, flags) in calls(&line) {
                let place = format!("{}: `{line}`", page.path.display());
                let help = help.get(&command).unwrap_or_else(|| panic!("{place}: no command {command}"));
                for flag in flags {
                    let known = help.split_whitespace().any(|word| word.trim_end_matches(',') == flag);
                    assert!(known || flag == "--help", "{place}: {command} has no {flag}");
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen} calls found");
}

#[test]
fn calls_are_found() {
    let found = calls("cd x && renewd once -c F --ahead 30m | ./target/debug/renewd inspect - # renewd none");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], ("once".into(), vec!["--ahead".into()]));
    assert_eq!(calls("renewd exec a -- ls --all")[0].1, Vec::<String>::new());
    assert_eq!(calls("cargo run -- once -c F")[0].0, "once");
    assert!(calls("systemctl reload renewd").is_empty());
}

#[test]
fn the_readme_names_every_command() {
    let readme = std::fs::read_to_string(repository().join("README.md")).expect("the README");
    for command in all() {
        assert!(readme.contains(&format!("`renewd {command}")), "the README's table lacks {command}");
    }
}
