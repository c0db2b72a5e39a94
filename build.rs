//! What the linker is told where the program itself is built with optimisation; nothing else is made here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The functions that a daemon with one token calls, a line each, in the order of their first call; packaging/startup/list
/// makes it.
const FUNCTIONS: &str = "packaging/startup/functions";

/// Set for a linker that does not know what is asked of it here (mold, gold).
const PLAIN: &str = "RENEWD_PLAIN_LINK";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={PLAIN}");
    println!("cargo:rerun-if-changed={FUNCTIONS}");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    let is_release = of("PROFILE") == "release";
    let is_gnu = of("CARGO_CFG_TARGET_ENV") == "gnu" && of("CARGO_CFG_TARGET_ARCH") == "x86_64";
    if !is_release || !is_gnu || std::env::var_os(PLAIN).is_some() {
        return;
    }
    let script = PathBuf::from(of("OUT_DIR")).join("startup.ld");
    place_together(&script);
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    if of("HOST") == of("TARGET") && knows_packed_relocations() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// A script that puts these functions beside each other. The kernel maps a file in large pieces around each page that is
/// touched: spread over the program, they had three quarters of it mapped. A name that nothing has any more is passed over.
fn place_together(script: &Path) {
    let functions = fs::read_to_string(FUNCTIONS).unwrap_or_default();
    // A function has a section of its own: .text.NAME, or .text.unlikely.NAME where it is marked as cold.
    let lines: String = functions.lines().map(|name| format!("    *(.text.{name} .text.unlikely.{name})\n")).collect();
    let text = format!("SECTIONS\n{{\n  .text.startup : {{\n{lines}  }}\n}}\nINSERT BEFORE .text;\n");
    if let Err(error) = fs::write(script, text) {
        println!("cargo:warning={}: {error}", script.display());
    }
}

/// Addresses that are set right at the start take a thirtieth of the program, or next to nothing in packed form (DT_RELR), which
/// glibc reads from 2.36 on. A program needs the glibc that it was built with, or a newer one, in any case.
fn knows_packed_relocations() -> bool {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = told.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    version.is_some_and(|(major, minor)| (number(major), number(minor)) >= (2, 36))
}
