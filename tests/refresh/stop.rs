//! The promise: SIGTERM in the middle of an exchange. One that spends a refresh token is finished: its answer is waited
//! for, kept and delivered. All others are left, and the process ends with 0 within 2 s.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::idp::{Grace, Idp, Step, refresh_token};
use crate::portal::{FAMILY, KINDS, Kind, LONG, Portal, Traced};
use support::{Daemon, PATIENCE, Sandbox, eventually, has_strace, openssl, until};

const SOON: Duration = Duration::from_secs(2);

fn ends_soon(mut daemon: Daemon<'_>, what: &str) {
    let (status, took) = daemon.end(Signal::TERM);
    assert_eq!(status.code(), Some(0), "{what}");
    assert!(took < SOON, "{what}: {took:?}");
    println!("{what}: ended after {} ms", took.as_millis());
}

#[test]
fn an_exchange_that_spends_nothing_is_left() {
    let sandbox = Sandbox::new();
    let idp = Idp::start(Grace::None);
    let key = sandbox.path("key.pem");
    openssl(&["genrsa", "-out", key.to_str().unwrap(), "2048"], b"");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.put("subject", "subject");
    let (token, issuer, api) = (idp.url("plain"), idp.url("issuer"), idp.url("api"));
    sandbox.put("client.secret", "hunter2hunter2");
    let client = "client_id = \"jobs\"\nclient_secret.file = \"client.secret\"";
    let oauth2 = |rest: &str| format!("source = \"oauth2\"\n{client}\n{rest}");
    let app = format!("source = \"github-app\"\napp_id = \"1\"\nprivate_key.file = \"key.pem\"\napi_url = \"{api}\"");
    let cases = [
        ("client_credentials", oauth2(&format!("grant = \"client_credentials\"\ntoken_url = \"{token}\"")), "plain"),
        ("discovery", oauth2(&format!("grant = \"client_credentials\"\nissuer = \"{issuer}\"")), "well-known"),
        (
            "jwt_bearer",
            oauth2(&format!(
                "grant = \"jwt_bearer\"\ntoken_url = \"{token}\"\nassertion = {{ algorithm = \"RS256\", private_key.file = \
                 \"key.pem\" }}"
            )),
            "plain",
        ),
        (
            "token_exchange",
            oauth2(&format!(
                "grant = \"token_exchange\"\ntoken_url = \"{token}\"\nsubject_token = {{ file = \"subject\", type = \
                 \"urn:ietf:params:oauth:token-type:jwt\" }}"
            )),
            "plain",
        ),
        (
            "http",
            format!(
                "source = \"http\"\nurl = \"{token}\"\nmethod = \"POST\"\nresponse = {{ token = \"/access_token\" }}"
            ),
            "plain",
        ),
        ("github-app, the lookup", format!("{app}\ninstallation_owner = \"acme\""), "/orgs/acme"),
        ("github-app, the token", format!("{app}\ninstallation_owner = \"acme\""), "access_tokens"),
    ];
    for (what, lines, path) in cases {
        sandbox.config(format!("[token.t]\n{lines}\n[[token.t.output]]\nformat = \"token\"\npath = \"out/t\"\n"));
        idp.hold_path(path);
        let daemon = sandbox.daemon().spawn();
        idp.wait_held();
        ends_soon(daemon, what);
        idp.let_go();
        assert!(!sandbox.out("t").exists(), "{what}");
        idp.hold_path(path);
        let mut command = sandbox.command(&[]);
        command.args(["once", "-c"]).arg(sandbox.path("config.toml")).stderr(Stdio::null());
        let mut once = command.spawn().expect("the binary starts");
        idp.wait_held();
        let began = Instant::now();
        kill_process(Pid::from_child(&once), Signal::TERM).unwrap();
        eventually(SOON, what, || once.try_wait().unwrap());
        println!("{what}, once: ended after {} ms", began.elapsed().as_millis());
        idp.let_go();
    }
}

#[test]
fn a_command_is_ended_with_all_its_processes() {
    let sandbox = Sandbox::new();
    sandbox.script("slow", "sleep 300 & echo $! > child.pid; echo $$ > own.pid; wait");
    sandbox.config(
        "[token.t]\nsource = \"command\"\ncommand = [\"./slow\"]\nttl = \"1h\"\n[[token.t.output]]\nformat = \"token\"\n\
         path = \"out/t\"\n",
    );
    let pid = |name: &str| {
        let text = fs::read_to_string(sandbox.path(name)).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    };
    let daemon = sandbox.daemon().spawn();
    let pids = ["child.pid", "own.pid"].map(|name| eventually(PATIENCE, name, || pid(name)));
    ends_soon(daemon, "command");
    // A zombie that nobody reaps yet is gone, too.
    until("its processes are gone", || pids.iter().all(|pid| is_gone(*pid)));
}

fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_err() || stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn an_exchange_that_spends_is_waited_for() {
    for kind in KINDS {
        let portal = Portal::new(kind, Grace::None);
        let mut daemon = portal.sandbox.start();
        portal.idp.be_slow(Duration::from_millis(3500));
        let rotating = portal.rotate_beside();
        until("an exchange is under way", || portal.idp.seen().len() == 2);
        let (status, took) = daemon.end(Signal::TERM);
        assert_eq!(status.code(), Some(0));
        assert!(took > SOON, "{took:?}");
        assert_eq!(portal.delivered().as_deref(), Some("access.portal.2"));
        assert!(portal.state_holds(&refresh_token(FAMILY, 2)));
        rotating.join().unwrap();
        portal.idp.be_slow(Duration::ZERO);
        let daemon = portal.sandbox.start();
        portal.assert_alive(&daemon);
        daemon.stop();
    }
}

/// Commands that obtain without a daemon wait, too.
#[test]
fn commands_finish_an_exchange_that_spends() {
    for args in [
        &["once", "--ahead", "2h"][..],
        &["token", FAMILY, "--min-valid", "2h"],
        &["exec", FAMILY, "--min-valid", "2h", "--", "true"],
    ] {
        let portal = Portal::new(Kind::OAuth2, Grace::None);
        portal.sandbox.ours(&["once"]).expect(0);
        portal.idp.be_slow(Duration::from_millis(3500));
        let mut command = portal.sandbox.command(&[]);
        command.arg(args[0]).arg("-c").arg(portal.sandbox.path("config.toml")).args(&args[1..]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        until("an exchange is under way", || portal.idp.seen().len() == 2);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = eventually(PATIENCE, "it ends", || child.try_wait().unwrap());
        println!("{args:?}: {status}");
        assert!(portal.state_holds(&refresh_token(FAMILY, 2)), "{args:?}");
        portal.idp.be_slow(Duration::ZERO);
        let daemon = portal.sandbox.start();
        portal.assert_alive(&daemon);
        daemon.stop();
    }
}

/// The endpoint hangs: the wait ends with the token's own `timeout`, and the service manager is told how long it may take.
#[test]
fn the_wait_is_as_long_as_the_tokens_own_timeout_allows() {
    let portal = Portal::new(Kind::OAuth2, Grace::SameSuccessor(LONG));
    portal.config("timeout = \"1s\"");
    let mut daemon = portal.sandbox.start();
    portal.idp.be_slow(Duration::from_secs(20));
    let rotating = portal.rotate_beside();
    until("an exchange is under way", || portal.idp.seen().len() == 2);
    let (status, took) = daemon.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    // The first try, and the one that asks again.
    assert!(took < Duration::from_secs(5), "{took:?}");
    rotating.join().unwrap();
    portal.idp.be_slow(Duration::ZERO);
    portal.config("timeout = \"3m\"");
    let daemon = portal.sandbox.start();
    portal.idp.hold_at(Step::Received);
    let rotating = portal.rotate_beside();
    portal.idp.wait_held();
    daemon.send(Signal::TERM);
    let told = eventually(PATIENCE, "more time is asked for", || {
        let all = daemon.messages();
        let from = all.iter().position(|message| message.has("STOPPING=1"))?;
        let lines = all[from..].iter().flat_map(|message| message.text.lines());
        lines.filter_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC=")).find_map(|micros| micros.parse::<u64>().ok())
    });
    assert!(told >= 360_000_000, "{told} us for two tries of 3 min");
    daemon.kill9();
    portal.idp.let_go();
    rotating.join().unwrap();
}

/// A refresh token in the config is no reason to wait where none is being spent.
#[test]
fn a_write_that_hangs_is_left_beside_a_refresh_token_at_rest() {
    if !has_strace("a_write_that_hangs_is_left_beside_a_refresh_token_at_rest") {
        return;
    }
    let portal = Portal::new(Kind::OAuth2, Grace::None);
    let other = support::token("other").to_string();
    portal.sandbox.config(format!("{}{other}", portal.entry("")));
    portal.sandbox.ours(&["once"]).expect(0);
    let path = portal.sandbox.path("out");
    let hang =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path.to_str().unwrap(), "-e", "inject=fsync:delay_enter=20s"];
    let mut daemon = portal.sandbox.daemon().under(&hang).ready();
    let traced = Traced::below(&daemon);
    let before = portal.sandbox.read("other.token");
    let socket = portal.sandbox.path("control.sock");
    let mut command = portal.sandbox.command(&[]);
    command.args(["rotate", "--force", "other", "--socket"]).arg(socket);
    let mut rotating = portal.sandbox.detached(command);
    // It is renamed in, and the folder's fsync does not come back.
    until("the write hangs", || portal.sandbox.read("other.token") != before);
    let began = Instant::now();
    kill_process(traced.0, Signal::TERM).unwrap();
    until("it has ended", || is_gone(traced.0) || !daemon.alive());
    assert!(began.elapsed() < SOON * 2, "{:?}", began.elapsed());
    let _ = rotating.kill();
    let _ = rotating.wait();
}
