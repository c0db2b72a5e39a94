//! Owns: the `openssl` command, run to its end.
//! Does not: know what for.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `openssl` and gives its stdout; panics where it fails.
#[track_caller]
pub fn openssl(args: &[&str], stdin: &[u8]) -> Vec<u8> {
    run(Command::new("openssl").args(args), stdin)
}

/// The same in a folder, without an input.
#[track_caller]
pub fn openssl_in(folder: &Path, args: &[&str]) -> Vec<u8> {
    run(Command::new("openssl").args(args).current_dir(folder), b"")
}

#[track_caller]
fn run(command: &mut Command, stdin: &[u8]) -> Vec<u8> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the openssl command");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(stdin).expect("openssl reads");
    drop(pipe);
    let done = child.wait_with_output().expect("openssl ends");
    let said = || [&done.stdout, &done.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert!(done.status.success(), "{command:?}: {}", said());
    done.stdout
}
