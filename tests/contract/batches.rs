//! Many files that are due together in one folder: in whatever order they are written, made durable and renamed, each is durable
//! before it has its name, one failure fails no other, and nothing is left behind.
//! strace tells the order, fails a call, or kills the process at it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use crate::strace::injecting;
use support::{Ran, Sandbox, has_strace, token};

const FILES: usize = 24;

fn names() -> Vec<String> {
    (0..FILES).map(|i| format!("t{i}")).collect()
}

/// Tokens with a file each, of a mode that the temporary file has not from its creation.
fn config(sandbox: &Sandbox) {
    let output = |name: &str| format!("format = \"token\"\npath = \"out/{name}.token\"\nmode = \"0640\"");
    let text: String = names().iter().map(|name| token(name).output(&output(name)).to_string()).collect();
    sandbox.config(text);
}

fn once(sandbox: &Sandbox, wrapper: &[String]) -> Ran {
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let mut command = sandbox.command(&wrapper);
    // What is new is obtained anyway, and would be once more.
    command.arg("once").args(sandbox.path("state").exists().then_some("--force"));
    command.arg("-c").arg(sandbox.path("config.toml"));
    sandbox.finish(command, "")
}

/// The calls of a trace that are about the files of `out/`, in the order in which they ended: their names, and what they name.
fn calls(trace: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(trace).expect("a trace");
    let mut begun: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let (pid, call) = line.split_once(' ').expect("a process number");
        let call = call.trim_start();
        let whole = if let Some(first) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, first.to_owned());
            continue;
        } else if let Some((_, rest)) = call.split_once(" resumed>") {
            begun.remove(pid).unwrap_or_default() + rest
        } else {
            call.to_owned()
        };
        let Some((name, arguments)) = whole.split_once('(') else { continue };
        assert!(temporary(arguments).is_none() || !whole.contains(" = -1 "), "{line}");
        calls.push((name.to_owned(), arguments.to_owned()));
    }
    calls
}

/// What stands between `<` and `>` or between quotes and is the path or name of a temporary file of ours.
fn temporary(arguments: &str) -> Option<&str> {
    let part = arguments.split(['<', '>', '"']).find(|part| part.contains(".renewd-"))?;
    Some(part.rsplit('/').next().unwrap_or(part))
}

fn in_order(sandbox: &Sandbox) {
    config(sandbox);
    let trace = sandbox.path("trace");
    let traced = "trace=openat,fchmod,write,fsync,fdatasync,syncfs,renameat";
    let strace = ["strace", "-f", "-qq", "-y", "-s", "0", "-e", traced, "-o", trace.to_str().expect("UTF-8")];
    once(sandbox, &strace.map(String::from)).expect(0);
    // Of each temporary file: what was done to it last.
    let mut stands: BTreeMap<String, &str> = BTreeMap::new();
    let (mut renamed, mut folder_synced) = (0, false);
    for (call, arguments) in calls(&trace) {
        let file = temporary(&arguments).map(str::to_owned);
        match (call.as_str(), file) {
            ("fchmod", Some(file)) => {
                assert_eq!(stands.insert(file, "has its mode"), None, "{arguments}");
            }
            ("write", Some(file)) => {
                assert_eq!(stands.insert(file, "written"), Some("has its mode"), "{arguments}");
            }
            ("fsync" | "fdatasync", Some(file)) => {
                assert_eq!(stands.insert(file, "durable"), Some("written"), "{arguments}");
            }
            ("syncfs", _) => {
                stands.values_mut().filter(|stand| **stand == "written").for_each(|stand| *stand = "durable")
            }
            ("renameat", Some(file)) => {
                assert_eq!(stands.remove(&file), Some("durable"), "{arguments}");
                (renamed, folder_synced) = (renamed + 1, false);
            }
            ("fsync", None) => folder_synced |= arguments.contains("/out>"),
            _ => {}
        }
    }
    assert!(stands.is_empty(), "{stands:?}");
    assert_eq!(
        (renamed, folder_synced),
        (FILES, true),
        "of {FILES} files, and whether the folder was synced behind them"
    );
}

#[test]
fn each_is_durable_before_it_has_its_name() {
    if has_strace("each_is_durable_before_it_has_its_name") {
        in_order(&Sandbox::new());
        in_order(&Sandbox::in_memory());
    }
}

fn all_there(sandbox: &Sandbox, place: &str) {
    for name in names() {
        assert!(sandbox.try_jwt(&name).is_some(), "{place}: {name}");
    }
}

/// Where the file system as a whole cannot be synced, or has no room for all of it, each file is done by itself.
#[test]
fn what_a_batch_cannot_do_is_done_file_by_file() {
    if !has_strace("what_a_batch_cannot_do_is_done_file_by_file") {
        return;
    }
    for fault in ["syncfs:error=EIO", "syncfs:error=ENOSYS", "fchmod:error=ENOSPC:when=5", "fchmod:error=EDQUOT:when=5"]
    {
        let sandbox = Sandbox::in_memory();
        config(&sandbox);
        let ran = once(&sandbox, &injecting(fault, &[]));
        assert_eq!(ran.code, Some(0), "{fault}: {ran:#?}");
        all_there(&sandbox, fault);
        assert_eq!(sandbox.leftovers(), Vec::<String>::new(), "{fault}");
    }
}

#[test]
fn one_that_fails_fails_no_other() {
    if !has_strace("one_that_fails_fails_no_other") {
        return;
    }
    for fault in ["fchmod:error=EIO:when=5", "renameat:error=EIO:when=5"] {
        let sandbox = Sandbox::in_memory();
        config(&sandbox);
        let ran = once(&sandbox, &injecting(fault, &[]));
        assert_eq!(ran.code, Some(1), "{fault}: {ran:#?}");
        // strace counts the calls of each thread for itself.
        let failed = ran.stderr.matches("Input/output error").count();
        assert!((1..FILES / 2).contains(&failed), "{fault}: {ran:#?}");
        let there = names().iter().filter(|name| sandbox.try_jwt(name).is_some()).count();
        assert_eq!(there, FILES - failed, "{fault}: {ran:#?}");
        assert_eq!(sandbox.leftovers(), Vec::<String>::new(), "{fault}");
    }
}

#[test]
fn killed_at_any_call_of_a_batch_it_leaves_whole_files() {
    if !has_strace("killed_at_any_call_of_a_batch_it_leaves_whole_files") {
        return;
    }
    let sandbox = Sandbox::in_memory();
    config(&sandbox);
    once(&sandbox, &[]).expect(0);
    let mut left = 0;
    for call in ["fchmod", "syncfs", "renameat", "fsync"] {
        let counts: Vec<usize> =
            if matches!(call, "syncfs" | "fsync") { vec![1] } else { vec![1, 2, FILES / 2, FILES] };
        for nth in counts {
            let place = format!("killed at {call} {nth}");
            let ran = once(&sandbox, &injecting(&format!("{call}:signal=KILL:when={nth}"), &[]));
            assert_eq!(ran.code, None, "{place}: {ran:#?}");
            all_there(&sandbox, &place);
            left += sandbox.leftovers().len();
            once(&sandbox, &[]).expect(0);
            assert_eq!(sandbox.leftovers(), Vec::<String>::new(), "{place}");
        }
    }
    assert!(left > FILES, "no kill left a batch half done: the test proves nothing");
}
