//! The promise of `src/core/mod.rs`: core decides and touches nothing. It names the values of the standard library and
//! libraries that compute, and nothing outside itself: what is not listed here is not to be touched. The other rooms point
//! inward only.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use support::files_below;

/// What core names of the standard library.
const STD: [&str; 18] = [
    "borrow",
    "cell",
    "cmp",
    "collections",
    "convert",
    "error",
    "ffi",
    "fmt",
    "iter",
    "marker",
    "mem",
    "ops",
    "os::unix::ffi",
    "path",
    "str",
    "sync",
    "time::Duration",
    "net::SocketAddr",
];

/// The libraries that core names.
const LIBRARIES: [&str; 16] = [
    "annotate_snippets",
    "data_encoding",
    "glob",
    "hashbrown",
    "humantime",
    "jiff",
    "minijinja",
    "pem",
    "serde",
    "serde_json",
    "smallvec",
    "strsim",
    "thiserror",
    "toml",
    "url",
    "zeroize",
];

/// Those that sign and verify have a room of their own.
const CRYPTO: [&str; 2] = ["aws_lc_rs", "jsonwebtoken"];

/// What looks at the machine, or at chance, and is had from a library that may be named, or without any path.
const NEVER: [&str; 8] =
    ["::now(", "glob::glob", "RandomState", "SystemRandom", "print!(", "println!(", "eprintln!(", "dbg!("];

/// aws-lc draws what a signature needs by itself: `core::crypto` says why.
const EXCEPTION: (&str, &str) = ("crypto/signing.rs", "SystemRandom");

/// Each room, and those that it may name.
const ROOMS: [(&str, &[&str]); 6] = [
    ("core", &["core"]),
    ("process", &["core", "process"]),
    ("source", &["core", "process", "source"]),
    ("host", &["core", "process", "host"]),
    ("daemon", &["core", "process", "source", "host", "daemon"]),
    ("cli", &["core", "process", "source", "host", "daemon", "cli"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files below a folder, each with its code: without comments and unit tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let files = files_below(folder, "rs").into_iter().filter(|path| !path.ends_with("tests.rs"));
    let code = |path: &Path| {
        let text = fs::read_to_string(path).expect("source");
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
        lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    };
    files.map(|path| (path.clone(), code(&path))).collect()
}

/// All paths that are named, from their first part on: `crate::core::json`.
fn paths(code: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(move |c: char| !part(c)).filter(|path| path.contains("::"))
}

fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// All that Cargo.toml lists, as it is called in code.
fn dependencies() -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).expect("Cargo.toml").parse().expect("TOML");
    manifest["dependencies"].as_table().expect("a table").keys().map(|name| name.replace('-', "_")).collect()
}

/// Why core may not name this path.
fn wrong(path: &str, inside: &Path, dependencies: &[String]) -> Option<&'static str> {
    let first = path.split("::").next().unwrap_or_default();
    let ups = path.split("::").take_while(|part| *part == "super").count();
    match first {
        "std" => (!STD.iter().any(|known| begins_with(path, &format!("std::{known}")))).then_some("of the machine"),
        "alloc" | "nix" | "libc" => Some("not listed"),
        "crate" => (!begins_with(path, "crate::core")).then_some("outside core"),
        // A file in core is one step below it; `mod.rs` is its folder.
        "super" => {
            let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
            (ups > depth).then_some("outside core")
        }
        _ if CRYPTO.contains(&first) => (!inside.starts_with("crypto")).then_some("of core::crypto"),
        _ if dependencies.iter().any(|name| name == first) => (!LIBRARIES.contains(&first)).then_some("not listed"),
        _ => None,
    }
}

#[test]
fn core_touches_nothing() {
    let (core, dependencies) = (root().join("core"), dependencies());
    let files = sources(&core);
    assert!(files.len() > 20, "core was found: {}", files.len());
    assert!(dependencies.iter().any(|name| name == "tokio"), "{dependencies:?}");
    for (file, code) in &files {
        let inside = file.strip_prefix(&core).expect("below core");
        for path in paths(code) {
            let why = wrong(path, inside, &dependencies);
            assert_eq!(why, None, "{} names {path}", file.display());
        }
        for word in NEVER.iter().filter(|word| (inside, **word) != (Path::new(EXCEPTION.0), EXCEPTION.1)) {
            assert!(!code.contains(word), "{} names {word}", file.display());
        }
    }
}

#[test]
fn what_core_must_not_name_is_told() {
    let names = ["tokio".to_owned(), "reqwest".into(), "aws_lc_rs".into(), "serde".into()];
    for (path, inside) in [
        ("std::fs::File", "jose.rs"),
        ("std::env", "jose.rs"),
        ("std::time::Instant", "jose.rs"),
        ("std::time::", "jose.rs"),
        ("std::io::Read", "jose.rs"),
        ("std::thread", "jose.rs"),
        ("std::net::TcpStream", "jose.rs"),
        ("crate::daemon::vault", "jose.rs"),
        ("crate::cli::input", "engine/mod.rs"),
        ("crate::core_of_another", "jose.rs"),
        ("super::super::host", "jose.rs"),
        ("super::super::host", "engine/mod.rs"),
        ("super::super::super::host", "engine/token.rs"),
        ("tokio::time", "jose.rs"),
        ("reqwest::Client", "engine/mod.rs"),
        ("aws_lc_rs::hmac", "jose.rs"),
    ] {
        assert!(wrong(path, Path::new(inside), &names).is_some(), "{path} in {inside}");
    }
    for (path, inside) in [
        ("std::time::Duration", "jose.rs"),
        ("crate::core::json", "engine/token.rs"),
        ("super::json", "jose.rs"),
        ("super::super::json", "engine/token.rs"),
        ("super::json", "engine/mod.rs"),
        ("aws_lc_rs::hmac", "crypto/signing.rs"),
        ("serde::Serialize", "jose.rs"),
        ("Self::new", "jose.rs"),
    ] {
        assert_eq!(wrong(path, Path::new(inside), &names), None, "{path} in {inside}");
    }
}

#[test]
fn arrows_point_inward() {
    for (room, may) in ROOMS {
        let files = sources(&root().join(room));
        assert!(!files.is_empty(), "{room}");
        for (file, code) in files {
            for path in paths(&code).filter(|path| begins_with(path, "crate")) {
                let named = path.split("::").nth(1).unwrap_or_default();
                let is_outward = ROOMS.iter().any(|(other, _)| *other == named) && !may.contains(&named);
                assert!(!is_outward, "{} names {path}", file.display());
            }
        }
    }
    let rooms = fs::read_dir(root()).expect("src").map(|entry| entry.expect("an entry").path());
    for room in rooms.filter(|path| path.is_dir()) {
        let name = room.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        assert!(ROOMS.iter().any(|(known, _)| *known == name), "{name} is no room that is listed");
    }
}

/// A name of a type means one thing. `Args` does too: the arguments of the command whose file it is.
#[test]
fn each_type_has_a_name_of_its_own() {
    let mut homes = BTreeMap::<String, Vec<PathBuf>>::new();
    for (file, code) in sources(&root()) {
        // Not those of a function or of a trait's implementation.
        for line in code.lines().filter(|line| !line.starts_with(' ')) {
            let words: Vec<_> = line.split([' ', '<', '(', '{', ';', ':']).filter(|word| !word.is_empty()).collect();
            let kind = words.iter().position(|word| ["struct", "enum", "trait", "type"].contains(word));
            if let Some(name) = kind.and_then(|at| words.get(at + 1)) {
                homes.entry((*name).to_owned()).or_default().push(file.clone());
            }
        }
    }
    assert!(homes.len() > 300, "types were found: {}", homes.len());
    homes.retain(|name, homes| name != "Args" && homes.len() > 1);
    assert!(homes.is_empty(), "{homes:#?}");
}
