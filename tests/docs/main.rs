//! Owns: that the README, the manual and the examples say what the binary does: commands, flags, keys, configs, links.
//! `RENEWD_BLESS=1` writes the generated parts of the reference anew; `RENEWD_BINARY=PATH` asks another build.
//! Does not: judge the prose.
#![forbid(unsafe_code)]

mod commands;
mod configs;
mod house;
mod marks;
mod reference;

use std::path::Path;
use std::process::{Command, Output};

use support::{binary, manual, pages, repository};

/// The binary, in an environment that leads to no config, state or daemon of this machine.
fn renewd(home: &Path) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", home).current_dir(home);
    command
}

/// Its standard output; panics where it failed.
fn printed(args: &[&str]) -> String {
    let output = renewd(&std::env::temp_dir()).args(args).output().expect("renewd starts");
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for page in pages() {
        for piece in page.prose().split("](").skip(1) {
            let target = piece.split(')').next().unwrap_or_default();
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = if file.is_empty() {
                page.path.clone()
            } else {
                page.path.parent().expect("a page lies in a folder").join(file)
            };
            assert!(path.exists(), "{}: ({target}) leads nowhere", page.path.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&path).expect("a page");
                let found = text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
                assert!(found, "{}: ({target}): no such heading", page.path.display());
            }
            links += 1;
        }
    }
    assert!(links > 30, "{links} links found");
}

/// The anchor that forges and mdbook give a heading.
fn slug(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = std::fs::read_to_string(repository().join("docs/src/SUMMARY.md")).expect("the summary");
    for path in manual() {
        let name = path.strip_prefix(repository().join("docs/src")).expect("below").display().to_string();
        assert!(name == "SUMMARY.md" || summary.contains(&format!("({name})")), "docs/src/SUMMARY.md lacks {name}");
    }
}
