//! The promise: who may look at the control socket keeps nobody else from it, and does not make the daemon big or slow: places,
//! bytes and time are bounded for each user, root and the daemon's own user have what nobody else can take, and who gets
//! none is told so in words. One user's floods; who is served meanwhile; hung and broken clients: `control.rs`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::thread::{Gid, Uid};
use serde_json::{Value, json};

use crate::credentials::{all_of, connected as connected_from};
use support::{Daemon, PATIENCE, Sandbox, is_root, token};

/// Places of one user, and of all that are neither root nor the daemon's own.
const PLACES: usize = 64;
const OTHERS_PLACES: usize = 256;
const WAIT: &str = "{\"command\":\"wait\",\"min_valid\":360000000,\"timeout\":3600000}\n";

/// As another user: the kernel keeps who connected. A thread may be somebody else than its process (setresuid(2)).
fn as_user<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
            rustix::thread::set_thread_groups(&[]).expect("setgroups");
            rustix::thread::set_thread_res_gid(gid, gid, gid).expect("setresgid");
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("setresuid");
            work()
        });
        thread.join().expect("the other user")
    })
}

fn connected(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// So many connections of a user, each with something sent. A refused one may be closed by then.
fn sent_by(sandbox: &Sandbox, uid: u32, number: usize, bytes: &[u8]) -> Vec<UnixStream> {
    let path = sandbox.path("control.sock");
    as_user(uid, || {
        let mut streams: Vec<UnixStream> = Vec::new();
        for _ in 0..number {
            let mut stream = connected(&path);
            let _ = stream.write_all(bytes);
            streams.push(stream);
        }
        streams
    })
}

fn answer(stream: UnixStream) -> Value {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn asked_by(sandbox: &Sandbox, uid: u32, request: &Value) -> Value {
    let mut streams = sent_by(sandbox, uid, 1, format!("{request}\n").as_bytes());
    answer(streams.remove(0))
}

fn errors(answer: &Value) -> String {
    answer["errors"].to_string()
}

/// Which of them has an answer already, or its end.
fn has_ended(stream: &UnixStream) -> bool {
    stream.set_nonblocking(true).expect("non-blocking");
    let mut stream = stream;
    let ended = !matches!(stream.read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("blocking");
    ended
}

/// The log tells of them once a minute, and the service manager is served.
#[test]
fn strangers_at_the_credential_socket_fill_neither_it_nor_the_log() {
    if !is_root("other users at the credential socket") {
        return;
    }
    let sandbox = Sandbox::new();
    let socket = sandbox.path("credentials.sock");
    let line = format!("credential_socket = \"{}\"", socket.display());
    sandbox.config_with(&line, token("a").line("units = [\"job.service\"]"));
    let daemon = sandbox.start();
    open_to_all(&sandbox);
    // As SocketMode= of a socket unit lets them, where it is not set.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("chmod");
    let strangers: Vec<UnixStream> = as_user(62_000, || (0..600).map(|_| connected(&socket)).collect());
    for mut stream in strangers {
        let mut sent = String::new();
        stream.read_to_string(&mut sent).expect("its end");
        assert_eq!(sent, "");
    }
    assert_eq!(
        all_of(connected_from(&socket, Some("/unit/job.service/a")).expect("it listens")),
        sandbox.read("a.token")
    );
    let told = "uid 62000 is neither root nor the daemon's own user";
    assert_eq!(daemon.log().lines().filter(|line| line.contains(told)).count(), 1, "{}", daemon.log());
    daemon.stop();
}

/// A daemon that is not root's: its own user cannot take what is kept for the service manager.
#[test]
fn its_own_user_leaves_the_service_manager_room_at_the_credential_socket() {
    if !is_root("a daemon of another user") || !Path::new("/usr/bin/setpriv").exists() {
        return;
    }
    let sandbox = Sandbox::new();
    let socket = sandbox.path("credentials.sock");
    let line =
        format!("credential_socket = \"{}\"\ncredential_timeout = \"1m\"\nready_timeout = \"1s\"", socket.display());
    let never = token("never").secret("secret.file = \"never-there\"").line("units = [\"job.service\"]");
    sandbox.config_with(&line, format!("{}{never}", token("a").line("units = [\"job.service\"]")));
    for name in ["", "out", "home", "secret", "config.toml"] {
        std::os::unix::fs::chown(sandbox.path(name), Some(62_000), Some(62_000)).expect("chown");
    }
    let under = ["setpriv", "--reuid=62000", "--regid=62000", "--clear-groups"];
    let daemon = sandbox.daemon().on_abstract_socket().under(&under).ready();
    let held: Vec<UnixStream> = as_user(62_000, || {
        (0..500).map(|_| connected_from(&socket, Some("/unit/job.service/never")).expect("it listens")).collect()
    });
    assert_eq!(
        all_of(connected_from(&socket, Some("/unit/job.service/a")).expect("it listens")),
        sandbox.read("a.token")
    );
    let waiting = held.iter().filter(|stream| !has_ended(stream)).count();
    assert_eq!(waiting, 448);
    assert!(daemon.log().contains("the others are kept for root"), "{}", daemon.log());
    drop(held);
    daemon.stop();
}

/// Others may connect, as members of a control_group do, whatever groups there are here.
fn open_to_all(sandbox: &Sandbox) {
    fs::set_permissions(sandbox.dir(), fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::set_permissions(sandbox.path("control.sock"), fs::Permissions::from_mode(0o666)).expect("chmod");
}

fn started(sandbox: &Sandbox, tokens: usize) -> Daemon<'_> {
    let one = |number: usize| token(&format!("t{number}")).without_output().to_string();
    sandbox.config(format!("{}{}", token("a"), (1..tokens).map(one).collect::<String>()));
    let daemon = sandbox.start();
    open_to_all(sandbox);
    daemon
}

fn all_are_served(sandbox: &Sandbox) {
    let began = Instant::now();
    sandbox.ours(&["status"]).expect(0);
    sandbox.ours(&["rotate", "--force", "a"]).expect(0);
    sandbox.ours(&["token", "a"]).expect(0);
    sandbox.ours(&["reload"]).expect(0);
    let told = asked_by(sandbox, 62_001, &json!({"command": "status", "names": ["a"]}));
    assert_eq!(told["ok"], true, "{told}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

fn resident_kib(daemon: &Daemon<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn who_waits_in_every_place_keeps_nobody_else_out() {
    if !is_root("other users at the control socket") {
        return;
    }
    let sandbox = Sandbox::new();
    let daemon = started(&sandbox, 3);
    let held = sent_by(&sandbox, 62_000, 600, WAIT.as_bytes());
    all_are_served(&sandbox);
    let (ended, waiting): (Vec<UnixStream>, Vec<UnixStream>) = held.into_iter().partition(has_ended);
    assert_eq!(waiting.len(), PLACES, "one user's");
    drop(ended);
    let refused = asked_by(&sandbox, 62_000, &json!({"command": "status"}));
    assert_eq!(refused["exit"], 75);
    assert!(errors(&refused).contains("user 62000 has 64 connections here already"), "{refused}");
    let lines = daemon.log().lines().filter(|line| line.contains("a connection was refused")).count();
    assert_eq!(lines, 1, "a line a minute: {}", daemon.log());

    // Several together leave root's alone still; one that comes now finds none.
    let more: Vec<UnixStream> = (2..8).flat_map(|user| sent_by(&sandbox, 62_000 + user, 80, WAIT.as_bytes())).collect();
    // Who came before it has been let in by then.
    assert!(sandbox.rotate(&["a"]));
    let others = more.into_iter().filter(|stream| !has_ended(stream)).collect::<Vec<_>>();
    assert_eq!(others.len() + waiting.len(), OTHERS_PLACES);
    let refused = asked_by(&sandbox, 62_001, &json!({"command": "status"}));
    assert!(errors(&refused).contains("have 256 connections here already"), "{refused}");
    sandbox.ours(&["status"]).expect(0);
    // Who hangs up gives his place back.
    drop((waiting, others));
    support::until("there is room again", || asked_by(&sandbox, 62_001, &json!({"command": "status"}))["ok"] == true);
    daemon.stop();
}

/// Its own user has more places, and not all.
#[test]
fn the_owner_is_told_too_when_his_places_are_taken() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let mut held: Vec<UnixStream> = (0..256).map(|_| connected(&sandbox.path("control.sock"))).collect();
    for stream in &mut held {
        stream.write_all(WAIT.as_bytes()).expect("a request");
    }
    let refused = sandbox.ours(&["rotate", "a"]).expect(75);
    assert!(refused.stderr.contains("has 256 connections here already"), "{refused:#?}");
    drop(held);
    support::until("there is room again", || sandbox.rotate(&["a"]));
    daemon.stop();
}

#[test]
fn requests_without_an_end_are_ended_and_take_no_room() {
    if !is_root("other users at the control socket") {
        return;
    }
    let sandbox = Sandbox::new();
    let daemon = started(&sandbox, 3);
    let before = resident_kib(&daemon);
    // A little more than 64 KiB, for which 128 are held.
    let long = b"[1,".repeat(21_848);
    let unfinished = sent_by(&sandbox, 62_000, 32, &long);
    let endless = sent_by(&sandbox, 62_002, 32, &b"[1,".repeat(400_000));
    all_are_served(&sandbox);
    let grown = resident_kib(&daemon).saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB more");
    for stream in endless {
        let told = answer(stream);
        assert_eq!(told["exit"], 64);
        assert!(errors(&told).contains("the request is longer than 65"), "{told}");
    }
    // In all places together they would hold too much.
    let more = sent_by(&sandbox, 62_000, 32, &long);
    let told = more.into_iter().map(answer).find(|told| errors(told).contains("unread answers of user 62000 hold"));
    assert!(told.is_some_and(|told| told["exit"] == 75));
    for stream in unfinished {
        let told = answer(stream);
        assert_eq!(told["exit"], 75);
        assert!(errors(&told).contains("was not finished within 5 s"), "{told}");
    }
    daemon.stop();
}

#[test]
fn answers_that_nobody_reads_are_bounded() {
    if !is_root("other users at the control socket") {
        return;
    }
    let sandbox = Sandbox::new();
    let daemon = started(&sandbox, 3_000);
    // The size of one status, and what writing it down takes.
    let one = asked_by(&sandbox, 62_000, &json!({"command": "status"})).to_string().len() as u64 / 1024;
    let before = resident_kib(&daemon);
    let unread = sent_by(&sandbox, 62_000, PLACES, b"{\"command\":\"status\"}\n");
    let others = sent_by(&sandbox, 62_002, PLACES, b"{\"command\":\"status\"}\n");
    all_are_served(&sandbox);
    let grown = resident_kib(&daemon).saturating_sub(before);
    assert!(grown < 32 * one, "{grown} KiB more, one status has {one} KiB");
    drop((unread, others));
    assert_eq!(asked_by(&sandbox, 62_000, &json!({"command": "status"}))["ok"], true);
    daemon.stop();
}

#[test]
fn a_request_costs_no_more_than_the_tokens_that_there_are() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    let daemon = sandbox.start();
    let ask = |names: &[String]| {
        let mut stream = connected(&sandbox.path("control.sock"));
        // It may be refused before it is read to its end.
        let _ = stream.write_all(format!("{}\n", json!({"command": "status", "names": names})).as_bytes());
        answer(stream)
    };
    let told = ask(&vec!["a".to_owned(); 130_000]);
    assert!(errors(&told).contains("the request is longer than") && told["exit"] == 64, "{told}");
    let told = ask(&vec!["a".to_owned(); 10_000]);
    assert_eq!(told["status"]["tokens"].as_array().map(Vec::len), Some(1), "{told}");
    let told = ask(&(0..5_000).map(|number| format!("x{number}")).collect::<Vec<_>>());
    let lines = told["errors"].as_array().expect("errors");
    assert_eq!((told["exit"].as_u64(), lines.len()), (Some(64), 9), "{told}");
    assert_eq!(lines[0], "token x0 is not in the daemon's config");
    assert_eq!(lines[8], "4992 more of the names are not in the daemon's config");
    daemon.stop();
}

/// What is held of a request for its user is what it is long, however small the pieces are that it comes in.
#[test]
fn a_request_in_small_pieces_takes_no_more_room() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let mut streams: Vec<UnixStream> = (0..16).map(|_| connected(&sandbox.path("control.sock"))).collect();
    let mut send = |bytes: &[u8]| {
        for stream in &mut streams {
            stream.write_all(bytes).expect("the daemon reads");
        }
    };
    send(b"{\"command\":\"about\"");
    // Each piece is read by itself: the daemon is turned to the others meanwhile.
    for _ in 0..1_500 {
        send(b" ");
    }
    send(b"}\n");
    for stream in streams {
        let told = answer(stream);
        assert_eq!(told["ok"], true, "{told}");
    }
    daemon.stop();
}

/// A config with long names lets each of them be named.
#[test]
fn each_token_can_be_named_in_one_request() {
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..1_500).map(|number| format!("{number:064}")).collect();
    let tokens = names.iter().map(|name| token(name).without_output().to_string());
    sandbox.config(tokens.collect::<String>());
    let daemon = sandbox.start();
    let all: Vec<&str> = ["status", "--json"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let told = sandbox.ours(&all);
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|error| panic!("{error}: {told:#?}"));
    assert_eq!(told["tokens"].as_array().map(Vec::len), Some(1_500));
    daemon.stop();
}
