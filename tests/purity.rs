//! The promise of DESIGN: core decides and touches nothing. It names no clock, file, environment, process, network,
//! runtime or randomness, and nothing outside itself.

use std::fs;
use std::path::{Path, PathBuf};

const FORBIDDEN: [&str; 16] = [
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "time::{Instant",
    "time::{SystemTime",
    "tokio",
    "rustix",
    "getrandom",
    "crate::host",
    "crate::source",
    "crate::process",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file, without its comments and unit tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    lines.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn core_touches_nothing() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core"), &mut files);
    assert!(files.len() > 20, "core was found: {files:?}");
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).expect("source");
        for (at, line) in code(&text) {
            for word in FORBIDDEN {
                assert!(!line.contains(word), "{}:{at} names {word}: {line}", file.display());
            }
        }
    }
}

#[test]
fn arrows_point_inward() {
    let outward = [
        ("source", ["crate::host", "crate::daemon", "crate::cli"].as_slice()),
        ("host", &["crate::source", "crate::daemon", "crate::cli"]),
        ("process", &["crate::host", "crate::source", "crate::daemon", "crate::cli"]),
        ("daemon", &["crate::cli"]),
    ];
    for (room, forbidden) in outward {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room), &mut files);
        assert!(!files.is_empty(), "{room}");
        for file in files {
            let text = fs::read_to_string(&file).expect("source");
            for (at, line) in code(&text) {
                for word in forbidden {
                    assert!(!line.contains(word), "{}:{at} names {word}", file.display());
                }
            }
        }
    }
}
