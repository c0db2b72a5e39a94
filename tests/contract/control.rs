//! The promise: the control socket answers its own user alone, and no client of it, however slow, broken or big, holds
//! anybody up. `rotate` returns when it is on disk and keeps min_interval; `reload` tells every error.
//! One line of JSON each way. What is shown: `status.rs`; what commands exit with: `exit_codes.rs`.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use support::{PATIENCE, SECRET, Sandbox, is_root, skipped, token, until};

#[test]
fn the_socket_is_its_users_alone_under_any_umask() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.daemon().under(&["sh", "-c", "umask 0; exec \"$0\" \"$@\""]).ready();
    let mode = || fs::metadata(sandbox.path("control.sock")).expect("the socket").permissions().mode();
    assert_eq!(mode() & 0o7777, 0o600);
    // What a crash left behind is taken over.
    daemon.kill9();
    let daemon = sandbox.start();
    assert_eq!(mode() & 0o7777, 0o600);
    assert_eq!(daemon.token("a")["state"], "valid");
    daemon.stop();
}

fn connect(sandbox: &Sandbox) -> UnixStream {
    let stream = UnixStream::connect(sandbox.path("control.sock")).expect("connect");
    let short = Some(Duration::from_millis(300));
    stream.set_write_timeout(short).expect("a timeout");
    stream.set_read_timeout(short).expect("a timeout");
    stream
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("VmRSS");
    let number = line.split_whitespace().nth(1).expect("a number");
    number.parse().expect("a number")
}

#[test]
fn clients_that_hang_or_flood_hold_nobody_up() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b").line("lifetime = \"2s\"")));
    let mut daemon = sandbox.start();
    let mut clients = Vec::new();
    for number in 0..120 {
        let mut stream = connect(&sandbox);
        // Silent, half a line, garbage, an answer that is never read.
        let bytes: &[u8] = match number % 4 {
            0 => b"",
            1 => b"{\"command\":\"sta",
            2 => b"\xff\x00\xfe{{{\n\n\n[1,2]\n",
            _ => b"{\"command\":\"status\"}\n{\"command\":\"status\"}\n",
        };
        let _ = stream.write_all(bytes);
        clients.push(stream);
    }
    let flood = vec![b'x'; 1 << 20];
    for _ in 0..4 {
        let mut stream = connect(&sandbox);
        for _ in 0..64 {
            if stream.write_all(&flood).is_err() {
                break;
            }
        }
        clients.push(stream);
    }
    let began = Instant::now();
    assert!(sandbox.rotate(&["a"]));
    assert_eq!(daemon.token("a")["state"], "valid");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(sandbox.jwt("b").left() > 0.0);
    let resident = resident_kib(daemon.pid());
    assert!(resident < 64 * 1024, "{resident} KiB resident after the flood");
    drop(clients);
    assert!(sandbox.rotate(&["a"]) && daemon.alive());
}

#[test]
fn a_request_that_is_none_gets_an_answer_and_hurts_nobody() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let mut daemon = sandbox.start();
    let a = sandbox.read("a.token");
    let deep = "[".repeat(20_000);
    let bad = [
        "nonsense",
        "{}",
        "[]",
        "null",
        "{\"command\":\"no-such\"}",
        "{\"command\":7}",
        "{\"command\":\"rotate\",\"names\":\"a\"}",
        "{\"command\":\"rotate\",\"names\":[\"../../a\"]}",
        &deep,
    ];
    for request in bad {
        let mut stream = connect(&sandbox);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _ = stream.write_all(format!("{request}\n").as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let value: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
        assert_ne!(value["ok"], true, "{:?}: {answer}", &request[..request.len().min(40)]);
    }
    assert!(daemon.alive());
    assert_eq!(sandbox.read("a.token"), a);
}

#[test]
fn rotate_returns_when_it_is_on_disk_and_touches_no_other() {
    let sandbox = Sandbox::new();
    let quick = "[defaults]\nmin_interval = \"1ms\"\n";
    sandbox.config(format!("{quick}{}{}{}", token("a"), token("b"), token("c")));
    let daemon = sandbox.start();
    for round in 0..5 {
        let before = ["a", "b", "c"].map(|n| sandbox.read(&format!("{n}.token")));
        sandbox.ours(&["rotate", "a", "c"]).expect(0);
        let after = ["a", "b", "c"].map(|n| sandbox.read(&format!("{n}.token")));
        let changed: Vec<bool> = before.iter().zip(&after).map(|(x, y)| x != y).collect();
        assert_eq!(changed, [true, false, true], "round {round}");
    }
    let before = sandbox.read("b.token");
    sandbox.ours(&["rotate"]).expect(0);
    assert_ne!(sandbox.read("b.token"), before, "no NAME is all of them");
    daemon.stop();
}

#[test]
fn rotate_within_min_interval_waits_a_little_else_fails_and_says_when() {
    let sandbox = Sandbox::new();
    let short = token("short").line("min_interval = \"3s\"");
    let far = token("far").line("lifetime = \"4h\"\nmin_interval = \"1h\"");
    sandbox.config(format!("{short}{far}"));
    let daemon = sandbox.start();
    assert!(sandbox.rotate(&["short"]));
    let text = sandbox.read("short.token");
    let waited = sandbox.ours(&["rotate", "short"]).expect(0);
    assert!(waited.took >= Duration::from_secs(2), "min_interval was not kept: {:?}", waited.took);
    assert_ne!(sandbox.read("short.token"), text);
    let forced = sandbox.ours(&["rotate", "--force", "short"]).expect(0);
    assert!(forced.took < Duration::from_secs(2), "{:?}", forced.took);

    let text = sandbox.read("far.token");
    let refused = sandbox.ours(&["rotate", "far"]);
    assert!(matches!(refused.code, Some(1 | 75)), "{refused:#?}");
    assert!(refused.took < Duration::from_secs(20), "{:?}", refused.took);
    assert!(refused.stderr.contains("far"), "{refused:#?}");
    assert!(refused.stderr.contains(|c: char| c.is_ascii_digit()), "says no time: {refused:#?}");
    assert_eq!(sandbox.read("far.token"), text);
    sandbox.ours(&["rotate", "--force", "far"]).expect(0);
    assert_ne!(sandbox.read("far.token"), text);
    daemon.stop();
}

#[test]
fn many_at_once_are_all_answered() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    let daemon = sandbox.start();
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..12)
            .map(|i| {
                scope.spawn({
                    let sandbox = &sandbox;
                    move || sandbox.rotate(&[["a", "b"][i % 2]])
                })
            })
            .collect();
        for one in asking {
            assert!(one.join().expect("a client"));
        }
    });
    sandbox.jwt("a");
    daemon.stop();
}

#[test]
fn reload_tells_every_error() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let text = sandbox.config_text(
        "",
        format!("{}{}", token("a").line("lifetime = \"soon\""), token("b").line("clams = 1").plain("nowhere/t")),
    );
    let lines: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, l)| ["\"soon\"", "clams", "nowhere"].iter().any(|w| l.contains(w)))
        .map(|(i, _)| i + 1)
        .collect();
    sandbox.put("config.toml", text);
    let ran = sandbox.ours(&["reload"]).expect(78);
    for line in &lines[..2] {
        assert!(ran.stderr.contains(&format!("config.toml:{line}")), "{}", ran.stderr);
    }
    let check = sandbox.ours(&["check"]).expect(78);
    for line in lines {
        assert!(check.stderr.contains(&format!("config.toml:{line}")), "{}", check.stderr);
    }
    sandbox.config(token("a").line("claims = { aud = \"new\" }"));
    sandbox.ours(&["reload"]).expect(0);
    until("taken", || sandbox.jwt("a").claims["aud"] == "new");
    daemon.stop();
}

#[test]
fn the_socket_is_found_through_a_config_that_is_broken_by_now() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    sandbox.config(token("a").line("lifetime = \"soon\""));
    sandbox.ours(&["status"]).expect(0);
    sandbox.ours(&["rotate", "--force"]).expect(0);
    daemon.stop();
}

/// The daemon runs by the config that was good: what it says of the token holds, not what cannot be read.
#[test]
fn exec_keeps_its_variable_while_the_config_is_broken() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a").env("a.env", "MINE"));
    let daemon = sandbox.start();
    sandbox.put("config.toml", sandbox.config_text("", "nonsense"));
    let ran = sandbox.ours(&["exec", "a", "--", "sh", "-c", "echo $MINE"]).expect(0);
    assert!(ran.stdout.starts_with("ey"), "{ran:#?}");
    daemon.stop();
}

/// Programs in a unit of their own have a $RUNTIME_DIRECTORY too, and the daemon is not in it.
#[test]
fn the_next_default_place_is_looked_at_too() {
    let sandbox = Sandbox::new();
    let runtime = sandbox.mkdir("runtime");
    sandbox.mkdir("runtime/renewd");
    let other = sandbox.mkdir("other");
    let (runtime, other) = (runtime.to_str().expect("UTF-8"), other.to_str().expect("UTF-8"));
    sandbox.put("config.toml", format!("[daemon]\nstate_dir = \"state\"\n{}", token("a")));
    let daemon = sandbox.daemon().env("XDG_RUNTIME_DIR", runtime).spawn();
    until("it listens", || sandbox.path("runtime/renewd/control.sock").exists());
    let config = sandbox.path("config.toml");
    let config = config.to_str().expect("UTF-8");
    let env = [("XDG_RUNTIME_DIR", runtime), ("RUNTIME_DIRECTORY", other)];
    sandbox.run_with(&["wait", "-c", config, "--timeout", "30s"], "", &env).expect(0);
    daemon.stop();
}

/// `token` and `exec` ask a daemon that serves them; one of somebody else is as good as none.
#[test]
fn token_and_exec_of_another_user_work_from_their_own_state() {
    if !is_root("another user") || !std::path::Path::new("/usr/bin/setpriv").exists() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let copy = sandbox.path("renewd");
    fs::copy(support::binary(), &copy).expect("cp");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::set_permissions(sandbox.dir(), fs::Permissions::from_mode(0o755)).expect("chmod");
    sandbox.mkdir("own");
    sandbox.put("own/secret", SECRET);
    let text = format!("[daemon]\nstate_dir = \"state\"\n{}", token("a").without_output());
    let config = sandbox.put("own/config.toml", text);
    for path in ["own", "own/secret", "own/config.toml"] {
        std::os::unix::fs::chown(sandbox.path(path), Some(65534), Some(65534)).expect("chown");
    }
    let as_nobody = |command: &[&str], rest: &[&str]| {
        let mut run = std::process::Command::new("setpriv");
        run.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy).args(command);
        run.arg("-c").arg(&config).arg("--socket").arg(sandbox.path("control.sock")).args(rest).current_dir("/");
        sandbox.finish(run, "")
    };
    // A socket that refuses them, and one behind which the daemon does.
    for mode in [0o600, 0o666] {
        fs::set_permissions(sandbox.path("control.sock"), fs::Permissions::from_mode(mode)).expect("chmod");
        let own = as_nobody(&["token", "a"], &[]).expect(0);
        assert_ne!(own.stdout.trim(), sandbox.read("a.token"), "it is the daemon's");
        as_nobody(&["exec", "a"], &["--", "sh", "-c", "exit 42"]).expect(42);
    }
    daemon.stop();
}

/// control_group may read status, and rotate nothing.
#[test]
fn another_user_of_the_group_reads_and_changes_nothing() {
    if !is_root("another user of the control group") || !std::path::Path::new("/usr/bin/setpriv").exists() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config_with("control_group = \"nogroup\"", token("a"));
    let known = fs::read_to_string("/etc/group").is_ok_and(|g| g.lines().any(|l| l.starts_with("nogroup:x:65534:")));
    if !known {
        skipped("another user", "there is no group `nogroup` 65534");
        return;
    }
    let daemon = sandbox.start();
    let mode = fs::metadata(sandbox.path("control.sock")).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    let a = sandbox.read("a.token");
    // A copy that another user can reach, wherever the build stands.
    let copy = sandbox.path("renewd");
    fs::copy(support::binary(), &copy).expect("cp");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("chmod");
    let as_nobody = |args: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy).args(args);
        command.args(["--socket"]).arg(sandbox.path("control.sock")).current_dir("/");
        sandbox.finish(command, "")
    };
    let read = as_nobody(&["status", "--json"]).expect(0);
    assert!(!read.stdout.contains(&a));
    // Of its claims only the names.
    let shown: Value = serde_json::from_str(&read.stdout).expect("JSON");
    let claims = &shown["tokens"][0]["claims"];
    assert_eq!(claims["registered"], serde_json::json!({}), "{claims}");
    assert!(claims["others"].as_array().is_some_and(|names| names.iter().any(|name| name == "iss")), "{claims}");
    assert!(!read.stdout.contains("key-a"), "{shown:#}");
    for args in [&["rotate", "--force"][..], &["reload"]] {
        let refused = as_nobody(args);
        refused.expect(1);
    }
    assert_eq!(sandbox.read("a.token"), a, "rotated by a stranger");
    daemon.stop();
}

/// More of them than there is room for, each with an hour to wait: their places are free when they are gone.
#[test]
fn who_hangs_up_leaves_no_place_taken() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let request = b"{\"command\":\"wait\",\"names\":[\"a\"],\"min_valid\":36000000,\"timeout\":3600000}\n";
    for _ in 0..600 {
        connect(&sandbox).write_all(request).expect("a request");
    }
    until("there is room again", || sandbox.rotate(&["a"]));
    daemon.stop();
}

/// As `nc -N` does: the end of what is sent is not the end of the wish.
#[test]
fn who_only_ends_his_sending_is_answered() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a").line("min_interval = \"4s\""));
    let daemon = sandbox.start();
    let mut stream = connect(&sandbox);
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"{\"command\":\"rotate\",\"names\":[\"a\"]}\n").expect("a request");
    stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("\"ok\":true"), "{answer}");
    daemon.stop();
}

const WAIT: &[u8] = b"{\"command\":\"wait\",\"min_valid\":36000000,\"timeout\":60000}\n";

fn waiting(sandbox: &Sandbox, number: usize) -> Vec<UnixStream> {
    let mut streams: Vec<UnixStream> = (0..number).map(|_| connect(sandbox)).collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(WAIT).expect("a request");
    }
    streams
}

fn all_are_told_that_it_stops(streams: Vec<UnixStream>) {
    for mut stream in streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains("\"exit\":75") && answer.contains("renewd is stopping"), "{answer:?}");
    }
}

/// Whether its request was read or not, and whether the files that it is about were looked at yet.
#[test]
fn who_waits_is_answered_when_it_stops() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let mut daemon = sandbox.start();
    std::thread::scope(|scope| {
        let ours = |args: &'static [&'static str]| scope.spawn(|| sandbox.ours(args));
        let client = ours(&["wait", "a", "--min-valid", "10h", "--timeout", "30s"]);
        let streams = waiting(&sandbox, 100);
        // It comes behind them.
        assert!(sandbox.rotate(&["a"]));
        let (status, took) = daemon.end(rustix::process::Signal::TERM);
        assert_eq!(status.code(), Some(0));
        assert!(took < Duration::from_secs(2), "{took:?}");
        all_are_told_that_it_stops(streams);
        let ended = client.join().expect("the client");
        assert!(matches!(ended.code, Some(75 | 69)), "{ended:#?}");
    });
}

/// Those whom it had not even let in are not cut off: the stop finds them in the socket's queue.
#[test]
fn who_stands_in_the_queue_is_answered_when_it_stops() {
    use rustix::process::Signal;
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let mut daemon = sandbox.start();
    // While it stands still it lets nobody in; the signal that ends it is waiting when it goes on.
    daemon.send(Signal::STOP);
    let streams = waiting(&sandbox, 100);
    daemon.send(Signal::TERM);
    let (status, _) = daemon.end(Signal::CONT);
    assert_eq!(status.code(), Some(0));
    all_are_told_that_it_stops(streams);
}

/// A look at files that is under way when it stops is not waited for, and who asked is answered all the same.
#[test]
fn who_waits_for_a_look_at_files_is_answered_when_it_stops() {
    let sandbox = Sandbox::new();
    let each = |n: usize| {
        sandbox.mkdir(&format!("out/f{n}"));
        token(&format!("t{n}")).plain(&format!("f{n}/t")).to_string()
    };
    sandbox.config((0..200).map(each).collect::<String>());
    let mut daemon = sandbox.start();
    // One folder after another is looked at for each of them: the stop comes upon that.
    let streams = waiting(&sandbox, 20);
    let (status, _) = daemon.end(rustix::process::Signal::TERM);
    assert_eq!(status.code(), Some(0));
    all_are_told_that_it_stops(streams);
}
