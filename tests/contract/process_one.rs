//! As process 1 of a container it reaps what others left behind and ends at SIGTERM, whichever command it is; and signals that
//! whoever started it ignored or blocked are set right, for itself and for what it runs.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::strace::injecting;
use support::{Sandbox, eventually, has_strace, is_root, token, until};

const FIRST: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// The signals of signal(7) but for those of a C library and of real time.
const STANDARD: u64 = (1 << 31) - 1;

/// The processes that this one has started, or inherited.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

/// A line of its status file, without its name.
fn of_status(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim_start_matches(':').trim().to_owned())
}

fn zombies(pid: u32) -> usize {
    let is_zombie = |child: &u32| of_status(*child, "State").is_some_and(|state| state.starts_with('Z'));
    children(pid).iter().filter(|child| is_zombie(child)).count()
}

/// Has a handler for SIGTERM.
fn minds_sigterm(pid: u32) -> bool {
    let caught = of_status(pid, "SigCgt").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    caught.is_some_and(|mask| mask & (1 << 14) != 0)
}

fn terminate(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::TERM).expect("kill");
}

#[test]
fn process_one_reaps_what_hooks_left_behind_and_keeps_their_exit_codes() {
    if !is_root("process_one_reaps_what_hooks_left_behind_and_keeps_their_exit_codes") {
        return;
    }
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    // What it starts leaves its process group, and ends later than it.
    let leaves = "setsid sh -c 'touch left-'$1'; exec sleep 0.2' </dev/null >/dev/null 2>&1 &\n\
                  while [ ! -e left-$1 ]; do sleep 0.01; done; rm left-$1";
    sandbox.script("hook", &format!("cd {dir}\n{leaves}\necho >> ran-$1\nexit $2"));
    let hook = |name: &str, code: u8| format!("command = [\"{dir}/hook\", \"{name}\", \"{code}\"]");
    let config = format!(
        "{}{}",
        token("good").hook("after_rotate", &hook("good", 0)),
        token("bad").hook("after_rotate", &hook("bad", 3))
    );
    sandbox.config(config);
    let daemon = sandbox.daemon().under(&FIRST).ready();
    let inner = eventually(Duration::from_secs(20), "process 1 runs", || children(daemon.pid()).first().copied());
    let ran = |name: &str| fs::read_to_string(sandbox.path(&format!("ran-{name}"))).unwrap_or_default().lines().count();
    for round in 1..=10 {
        until("both hooks have run", || ran("good") >= round && ran("bad") >= round);
        let done = |name: &str, ok: bool| daemon.token(name)["last_hook"]["ok"] == ok;
        until("each end is known for what it was", || done("good", true) && done("bad", false));
        let error = daemon.token("bad")["last_hook"]["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("status 3"), "{error}");
        assert!(sandbox.rotate(&["good", "bad"]));
    }
    until("nothing is left behind", || zombies(inner) == 0);
    terminate(inner);
    until("it ends at SIGTERM", || !fs::exists(format!("/proc/{inner}")).unwrap_or(true));
}

/// A program on a file system that does not answer has no number yet, for as long as that takes.
#[test]
fn process_one_reaps_others_while_a_program_of_its_own_hangs_before_it_begins() {
    let test = "process_one_reaps_others_while_a_program_of_its_own_hangs_before_it_begins";
    if !is_root(test) || !has_strace(test) {
        return;
    }
    let sandbox = Sandbox::new();
    let far = sandbox.script("far", "true");
    let leaves = "setsid sh -c 'touch left; exec sleep 1' </dev/null >/dev/null 2>&1 &\n\
                  while [ ! -e left ]; do sleep 0.01; done; rm left";
    let leaves = sandbox.script("leaves", &format!("cd {}\n{leaves}", sandbox.dir().display()));
    let hook = |program: &Path| format!("command = [{program:?}]\ntimeout = \"2s\"");
    let (hung, good) =
        (token("hung").hook("after_rotate", &hook(&far)), token("good").hook("after_rotate", &hook(&leaves)));
    sandbox.config(format!("{hung}{good}"));
    let wrapper = [FIRST.map(String::from).into(), injecting("execve:delay_enter=300s", &[&far])].concat();
    let daemon = sandbox.daemon().under(&wrapper).ready();
    let inner = eventually(Duration::from_secs(20), "process 1 runs", || children(daemon.pid()).first().copied());
    until("it hangs", || daemon.log().contains("does its file system hang?"));
    assert!(sandbox.rotate(&["good"]), "{}", daemon.log());
    // What looks for the file is no child of process 1.
    let is_left = |pid: &u32| of_status(*pid, "Name").as_deref() == Some("sleep");
    let left = eventually(Duration::from_secs(20), "one is left behind", || children(inner).into_iter().find(is_left));
    until("it is reaped", || !children(inner).contains(&left));
    daemon.kill9();
}

#[test]
fn each_command_ends_at_sigterm_as_process_one() {
    if !is_root("each_command_ends_at_sigterm_as_process_one") {
        return;
    }
    let sandbox = Sandbox::new();
    // Whoever connects is never answered.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/token", silent.local_addr().expect("an address"));
    let dir = sandbox.dir().display();
    sandbox.config(format!(
        "[token.a]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"c\"\n\
         client_secret.file = \"secret\"\ntimeout = \"60s\"\n[[token.a.output]]\nformat = \"token\"\npath = \"{dir}/out/a\"\n"
    ));
    let commands: [&[&str]; 4] =
        [&["wait", "--timeout", "5m"], &["check", "--online"], &["token", "a"], &["exec", "a", "--", "true"]];
    for args in commands {
        let mut command = sandbox.command(&FIRST);
        command.arg(args[0]).arg("-c").arg(sandbox.path("config.toml")).args(&args[1..]);
        let mut outer = sandbox.detached(command);
        let inner = eventually(Duration::from_secs(20), "process 1 minds SIGTERM", || {
            children(outer.id()).into_iter().find(|pid| minds_sigterm(*pid))
        });
        let begun = Instant::now();
        terminate(inner);
        let ended = eventually(Duration::from_secs(20), "it ends", || outer.try_wait().expect("wait"));
        assert!(!ended.success(), "{args:?}: {ended}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{args:?} took {:?}", begun.elapsed());
    }
}

#[test]
fn signals_that_were_ignored_or_blocked_are_set_right() {
    let test = "signals_that_were_ignored_or_blocked_are_set_right";
    let those = "CHLD,TERM,INT,HUP,QUIT,USR1,USR2,ALRM";
    let (ignored, blocked) = (format!("--ignore-signal={those}"), format!("--block-signal={those}"));
    let wrapper = ["env", &ignored, &blocked];
    if !std::process::Command::new("env")
        .args([&ignored, &blocked, "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        println!("{test}: left out, this env(1) does not set signals");
        return;
    }
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    sandbox.script("hook", &format!("grep -E '^Sig(Blk|Ign)' /proc/self/status > {dir}/seen\nexit 3"));
    sandbox.config(token("a").hook("after_rotate", &format!("command = [\"{dir}/hook\"]")));
    let daemon = sandbox.daemon().under(&wrapper).ready();
    until("the hook's end is known", || daemon.token("a")["last_hook"]["ok"] == false);
    let error = daemon.token("a")["last_hook"]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("status 3"), "{error}");
    let seen = fs::read_to_string(sandbox.path("seen")).expect("what the hook saw");
    let masks: Vec<u64> = seen
        .split_whitespace()
        .filter_map(|word| u64::from_str_radix(word, 16).ok())
        .map(|mask| mask & STANDARD)
        .collect();
    assert_eq!(masks, [0, 0], "{seen}");
    daemon.send(Signal::USR1);
    until("SIGUSR1 is heard", || daemon.log().contains("status: "));
    daemon.stop();

    // One that has no handler of its own ends at SIGTERM too.
    let mut command = sandbox.command(&wrapper);
    command.args(["wait", "--timeout", "5m", "-c"]).arg(sandbox.path("config.toml"));
    let mut waiting = sandbox.detached(command);
    until("it minds SIGTERM", || minds_sigterm(waiting.id()));
    terminate(waiting.id());
    let ended = eventually(Duration::from_secs(20), "it ends", || waiting.try_wait().expect("wait"));
    assert_eq!(ended.code(), Some(143));
}
