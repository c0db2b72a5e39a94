//! Owns: that each figure of `systemd-analyze security` in docs/src/explanation/hardening.md is what it says today, and
//! that the profiles keep their bounds.
//! Does not: judge the profiles that are outside the score.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{UNITS, at, drop_ins, systemd, unit, unit_of};

const PAGE: &str = "docs/src/explanation/hardening.md";
/// The systemd whose figures the page shows: each version weighs a little differently.
const MEASURED_WITH: u32 = 252;
/// What a profile may have at most: without network, and with.
const BOUNDS: [(&str, f64); 2] = [("", 0.5), ("network.conf", 1.4)];

/// A row of the page's table: `| renewd.service | network.conf | 1.4 |`, with or without words behind.
struct Row {
    unit: String,
    drop_ins: Vec<String>,
    figure: String,
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string(at(PAGE)).expect("the page");
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let rows = page.lines().map(cells).filter(|cells| cells.len() > 4 && cells[1].contains(".service`"));
    rows.map(|cells| Row {
        unit: cells[1].trim_matches('`').to_owned(),
        drop_ins: cells[2].split('`').skip(1).step_by(2).map(String::from).collect(),
        figure: cells[3].clone(),
    })
    .collect()
}

/// The overall exposure of a unit with drop-ins, as it is printed.
fn exposure(name: &str, drop_ins: &[String]) -> String {
    let root = tempfile::tempdir().expect("a temp folder");
    let folder = root.path().join("etc/systemd/system");
    let instance = name.replace('@', "@prod");
    fs::create_dir_all(folder.join(format!("{instance}.d"))).expect("mkdir");
    fs::write(folder.join(&instance), unit(name)).expect("a copy");
    for drop_in in drop_ins {
        let text = fs::read_to_string(at(UNITS).join("dropins").join(drop_in)).expect("a drop-in");
        fs::write(folder.join(format!("{instance}.d")).join(drop_in), text).expect("a copy");
    }
    overall(root.path(), &instance)
}

fn overall(root: &Path, name: &str) -> String {
    let mut command = Command::new("systemd-analyze");
    let root = format!("--root={}", root.display());
    let output = command.args(["security", "--no-pager", "--offline=true", &root, name]).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().rfind(|line| line.contains("Overall exposure level")).unwrap_or_default();
    let figure = line.rsplit(": ").next().and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    assert!(figure.parse::<f64>().is_ok(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
    figure.to_owned()
}

#[test]
fn the_figures_are_those_of_the_page() {
    let Some(here) = systemd("the_figures_are_those_of_the_page") else { return };
    if here != MEASURED_WITH {
        println!("the_figures_are_those_of_the_page: skipped, they are systemd {MEASURED_WITH}'s and {here} is here");
        return;
    }
    for row in rows() {
        let Row { unit, drop_ins, figure } = &row;
        assert_eq!(&exposure(unit, drop_ins), figure, "{PAGE}: {unit} with {drop_ins:?}");
    }
}

#[test]
fn the_page_has_every_profile() {
    let rows = rows();
    let has = |unit: &str, drop_in: Option<&str>| {
        rows.iter().any(|row| row.unit == unit && row.drop_ins.iter().map(String::as_str).eq(drop_in))
    };
    for unit in ["renewd.service", "renewd@.service", "renewd-once.service", "renewd-check.service"] {
        assert!(has(unit, None), "{PAGE} lacks {unit}");
    }
    for (name, newer) in drop_ins() {
        let scored = newer.is_none() && unit_of(&name) == "renewd.service";
        assert!(!scored || has("renewd.service", Some(&name)), "{PAGE} lacks {name}");
    }
    let page = fs::read_to_string(at(PAGE)).expect("the page");
    assert!(page.contains(&format!("systemd {MEASURED_WITH}")), "{PAGE} does not say whose figures they are");
}

#[test]
fn the_profiles_keep_their_bounds() {
    if systemd("the_profiles_keep_their_bounds").is_none() {
        return;
    }
    for (drop_in, bound) in BOUNDS {
        let drop_ins: Vec<String> = [drop_in].into_iter().filter(|name| !name.is_empty()).map(String::from).collect();
        for unit in ["renewd.service", "renewd@.service", "renewd-once.service", "renewd-check.service"] {
            let figure = exposure(unit, &drop_ins);
            let above = figure.parse::<f64>().map_or(true, |figure| figure > bound);
            assert!(!above, "{unit} with {drop_ins:?}: {figure}, and at most {bound} is promised");
        }
    }
    // A drop-in is seen, so a setting that it takes back is too.
    let open = exposure("renewd.service", &["sudo.conf".to_owned()]);
    assert!(open.parse::<f64>().is_ok_and(|figure| figure > 5.0), "{open}");
}
