//! Owns: that no command of the README and the manual slips by: each block of them says above it by whom it is run, or why
//! it is not. `tests/manual/run` and `tests/vm/run --case 'manual.*'` run them. And that all are such as a shell can read.
//! Does not: run them.

use std::io::Write;
use std::process::{Command, Stdio};

use support::{Block, Page, pages};

/// Who runs commands: root, an ordinary user, renewd's user, a job's, and cron.
const WHO: [&str; 5] = ["root", "user", "renewd", "orders", "cron"];
/// Of the README: `.ci/run` runs what stands below these.
const IN_CI: [&str; 2] = ["<!-- main-job -->", "<!-- tests -->"];

/// The blocks that hold commands.
fn commands(page: &Page) -> Vec<Block> {
    let name = page.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let all = if name == "CHANGELOG.md" { Vec::new() } else { page.blocks() };
    all.into_iter().filter(|block| ["", "sh", "console"].contains(&block.info.as_str())).collect()
}

/// What is wrong with the mark above a block.
fn fault(block: &Block) -> Option<String> {
    let mark = block.above.as_str();
    if IN_CI.contains(&mark) {
        return None;
    }
    let words = mark.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
    match words.and_then(|words| words.split_once(": ")) {
        Some(("run", "cron")) if block.info.is_empty() => None,
        Some(("run", _)) if block.info.is_empty() => {
            Some("only lines of cron stand in a block without a language".into())
        }
        Some(("run", who)) if WHO.contains(&who) => None,
        Some(("run", who)) => Some(format!("nobody is called {who}: there are {}", WHO.join(", "))),
        Some(("not run", why)) if why.split_whitespace().count() > 2 => None,
        _ => Some("it says neither `<!-- run: WHO -->` nor `<!-- not run: WHY -->` above it".into()),
    }
}

#[test]
fn every_command_says_who_runs_it() {
    let (mut run, mut not_run) = (0, 0);
    for page in pages() {
        for block in commands(&page) {
            let place = format!("{}, line {}", page.path.display(), block.line);
            if let Some(fault) = fault(&block) {
                panic!("{place}: {fault}:\n{}", block.text);
            }
            *if block.above.contains("not run") { &mut not_run } else { &mut run } += 1;
        }
    }
    assert!(run > 40 && not_run < run / 2, "{run} are run, {not_run} are not");
}

#[test]
fn a_command_without_a_mark_is_found() {
    let block = |info: &str, above: &str| Block {
        info: info.into(),
        text: String::new(),
        line: 1,
        above: above.into(),
        section: String::new(),
    };
    for (info, above) in [("sh", ""), ("sh", "text"), ("sh", "<!-- run: nobody -->"), ("", "<!-- run: root -->")] {
        assert!(fault(&block(info, above)).is_some(), "{info:?} below {above:?}");
    }
    assert!(fault(&block("console", "<!-- not run: -->")).is_some(), "no reason is given");
    for (info, above) in
        [("sh", "<!-- run: root -->"), ("", "<!-- run: cron -->"), ("sh", "<!-- not run: it needs a cluster -->")]
    {
        assert_eq!(fault(&block(info, above)), None, "{info:?} below {above:?}");
    }
}

/// The commands of a block: of a console what stands behind the prompts, of cron what stands behind time and user.
fn script(block: &Block) -> String {
    let mut script = String::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        let command = match block.info.as_str() {
            "console" if !goes_on && !line.starts_with("$ ") => continue,
            "console" => line.strip_prefix("$ ").unwrap_or(line).to_owned(),
            "" => {
                let fields = if line.starts_with('@') { 2 } else { 6 };
                line.split_whitespace().skip(fields).collect::<Vec<_>>().join(" ")
            }
            _ => line.to_owned(),
        };
        goes_on = line.ends_with('\\');
        script += &format!("{command}\n");
    }
    script
}

#[test]
fn a_shell_can_read_every_command() {
    for page in pages() {
        for block in commands(&page) {
            let mut sh =
                Command::new("sh").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh starts");
            sh.stdin.take().expect("its stdin").write_all(script(&block).as_bytes()).expect("it reads");
            let said = sh.wait_with_output().expect("it ends");
            let place = format!("{}, line {}", page.path.display(), block.line);
            assert!(said.status.success(), "{place}: {}", String::from_utf8_lossy(&said.stderr));
        }
    }
}
