//! The promise: the credential socket gives a token to the units of its `units` and to nobody else, obtained first where it
//! is not valid, within credential_timeout; while hooks run too; and each request is one line of the log.
//! The clients here connect as the service manager does. The real one: tests/vm.

use std::fs;
use std::io::Read;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with};

use support::{SECRET, Sandbox, is_root, skipped, token, until};

/// Connects from an abstract address, as the service manager does (systemd.exec(5)); `None` where nobody listens.
pub(super) fn connected(path: &Path, from: Option<&str>) -> Option<UnixStream> {
    static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
    if let Some(name) = from {
        let unique = format!("{:x}-{:x}{name}", std::process::id(), CONNECTIONS.fetch_add(1, Ordering::Relaxed));
        bind(&fd, &SocketAddrUnix::new_abstract_name(unique.as_bytes()).expect("a name")).expect("bind");
    }
    connect(&fd, &SocketAddrUnix::new(path).expect("a path")).ok()?;
    let stream = UnixStream::from(fd);
    stream.shutdown(Shutdown::Write).expect("shutdown");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    Some(stream)
}

pub(super) fn all_of(mut stream: UnixStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer within 30 s");
    answer
}

/// What a unit finds in its credential.
fn read(sandbox: &Sandbox, unit: &str, credential: &str) -> String {
    let from = format!("/unit/{unit}/{credential}");
    all_of(connected(&sandbox.path("credentials.sock"), Some(&from)).expect("it listens"))
}

fn with_socket(sandbox: &Sandbox, more: &str, body: impl std::fmt::Display) {
    let socket = sandbox.path("credentials.sock");
    sandbox.config_with(&format!("credential_socket = \"{}\"\n{more}", socket.display()), body);
}

#[test]
fn a_unit_reads_what_it_may_and_nothing_else() {
    let sandbox = Sandbox::new();
    let a = token("a").line("units = [\"job.service\", \"batch@*.service\"]");
    with_socket(&sandbox, "", format!("{a}{}", token("b")));
    let daemon = sandbox.start();
    let mode = fs::metadata(sandbox.path("credentials.sock")).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    let in_file = sandbox.read("a.token");
    assert_eq!(read(&sandbox, "job.service", "a"), in_file, "the bare token, nothing behind it");
    assert_eq!(read(&sandbox, "batch@7.service", "a"), in_file);
    assert_eq!(read(&sandbox, "other.service", "a"), "", "not among its units");
    assert_eq!(read(&sandbox, "job.service", "b"), "", "nobody may read that one");
    assert_eq!(read(&sandbox, "job.service", "nosuch"), "");
    let unnamed = connected(&sandbox.path("credentials.sock"), None).expect("it listens");
    assert_eq!(all_of(unnamed), "", "whoever is not a service manager");

    let log = daemon.log();
    for line in [
        "token a for unit `job.service`: handed over",
        "token a for unit `batch@7.service`: handed over",
        "credential `a` for unit `other.service`: refused: the unit is not among `units` of [token.a]",
        "credential `b` for unit `job.service`: refused",
        "credential `nosuch` for unit `job.service`: refused: there is no such token",
        "refused: the client is not a service manager",
    ] {
        let count = log.lines().filter(|l| l.contains(line)).count();
        assert_eq!(count, 1, "{line:?} in:\n{log}");
    }
    assert!(!log.contains(&in_file) && !log.contains(SECRET));
    daemon.stop();
    assert!(!sandbox.path("credentials.sock").exists(), "a socket that nobody listens at any more");
}

#[test]
fn another_user_is_refused_whatever_the_mode() {
    if !is_root("another user at the credential socket") || !Path::new("/usr/bin/setpriv").exists() {
        return;
    }
    let sandbox = Sandbox::new();
    with_socket(&sandbox, "", token("a").line("units = [\"*\"]"));
    let daemon = sandbox.start();
    let socket = sandbox.path("credentials.sock");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("chmod");
    fs::set_permissions(sandbox.dir(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut command = sandbox.command(&wrapper);
    command.args(["status", "--socket"]).arg(&socket);
    sandbox.finish(command, "");
    until("its line", || daemon.log().contains("refused: uid 65534 is neither root nor the daemon's own user"));
}

#[test]
fn a_token_that_is_not_there_yet_is_waited_for() {
    let sandbox = Sandbox::new();
    let late = token("late").secret("secret.file = \"late-secret\"").line("units = [\"job.service\"]");
    with_socket(&sandbox, "ready_timeout = \"1s\"\ncredential_timeout = \"20s\"", late);
    let _daemon = sandbox.start();
    let stream = connected(&sandbox.path("credentials.sock"), Some("/unit/job.service/late")).expect("it listens");
    sandbox.put("late-secret", SECRET);
    let answer = all_of(stream);
    assert_eq!(answer.split('.').count(), 3, "a token: {answer}");
    until("the same on disk", || fs::read_to_string(sandbox.out("late.token")).is_ok_and(|text| text == answer));
}

#[test]
fn the_wait_is_bounded_and_the_refusal_told() {
    let sandbox = Sandbox::new();
    let never = token("never").secret("secret.file = \"never-there\"").line("units = [\"job.service\"]");
    with_socket(&sandbox, "ready_timeout = \"1s\"\ncredential_timeout = \"700ms\"", format!("{never}{}", token("a")));
    let mut daemon = sandbox.start();
    let began = Instant::now();
    assert_eq!(read(&sandbox, "job.service", "never"), "");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(650) && took < Duration::from_secs(8), "{took:?}");
    let log = daemon.log();
    let told = "token never for unit `job.service`: refused, the unit gets an empty credential: ";
    let line = log.lines().find(|line| line.contains(told)).unwrap_or_else(|| panic!("not told: {log}"));
    assert!(line.contains("never-there"), "why: {line}");
    // A stop does not wait for those who wait: they are sent nothing. One that was not even let in is reset, so that the
    // service manager does not take nothing for a credential.
    let mut stream = connected(&sandbox.path("credentials.sock"), Some("/unit/job.service/never")).expect("it listens");
    let (status, took) = daemon.end(rustix::process::Signal::TERM);
    assert!(status.success() && took < Duration::from_secs(2), "{status:?} after {took:?}");
    let mut sent = String::new();
    match stream.read_to_string(&mut sent) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    assert_eq!(sent, "");
}

#[test]
fn it_is_served_while_hooks_run() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir().display();
    let hook = sandbox.script(
        "hook",
        &format!("touch {dir}/begun; for i in $(seq 600); do [ -e {dir}/go ] && exit; sleep 0.05; done"),
    );
    let lines = format!("command = [\"{}\"]\ntimeout = \"50s\"", hook.display());
    let waits = token("a").line("units = [\"job.service\"]").hook("after_rotate", &lines);
    with_socket(&sandbox, "", waits);
    let daemon = sandbox.start();
    until("the hook", || sandbox.path("begun").exists());
    // A unit that the hook restarts reads from us before the hook ends.
    assert_eq!(read(&sandbox, "job.service", "a"), sandbox.read("a.token"));
    sandbox.put("go", "");
    daemon.stop();
}

#[test]
fn sockets_that_systemd_hands_over_are_used_instead_of_the_paths() {
    if !Path::new("/bin/bash").exists() {
        skipped("handed over sockets", "needs bash");
        return;
    }
    let sandbox = Sandbox::new();
    let (credentials, control) = (sandbox.path("handed-credentials"), sandbox.path("handed-control"));
    let listeners = [&credentials, &control].map(|path| UnixListener::bind(path).expect("bind"));
    for listener in &listeners {
        fcntl_setfd(listener, FdFlags::empty()).expect("inherited");
    }
    sandbox.config(token("a").line("units = [\"job.service\"]"));
    // Who connects before the daemon is there waits.
    let early = connected(&credentials, Some("/unit/job.service/a")).expect("systemd listens");
    let [first, second] = listeners.each_ref().map(AsRawFd::as_raw_fd);
    let shell = format!("LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&{first} 4<&{second}");
    let daemon = sandbox
        .daemon()
        .under(&["/bin/bash", "-c", &shell])
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", "credentials:control")
        .ready();
    assert_eq!(all_of(early), sandbox.read("a.token"));
    let control = control.to_str().expect("UTF-8");
    sandbox.run(&["status", "--socket", control]).expect(0);
    assert!(!sandbox.path("control.sock").exists(), "the path of the config is not used");
    daemon.stop();
    assert!(credentials.exists(), "the file is systemd's");
}

#[test]
fn what_a_unit_may_read_is_listed() {
    let sandbox = Sandbox::new();
    let a = token("a").line("units = [\"job.service\"]");
    let b = token("b").line("units = [\"batch@*.service\"]");
    with_socket(&sandbox, "", format!("{a}{b}{}", token("c")));
    let path = sandbox.path("credentials.sock");
    let ran = sandbox.ours(&["check", "--unit", "job.service"]).expect(0);
    let line = format!("LoadCredential=a:{}", path.display());
    assert!(ran.stdout.lines().any(|l| l == line), "{}", ran.stdout);
    assert!(!ran.stdout.contains("LoadCredential=b") && !ran.stdout.contains("LoadCredential=c"), "{}", ran.stdout);
    let ran = sandbox.ours(&["check", "--unit", "batch@x.service"]).expect(0);
    assert!(ran.stdout.contains("LoadCredential=b:"), "{}", ran.stdout);
    let ran = sandbox.ours(&["check", "--unit", "other.service"]).expect(1);
    assert!(ran.stderr.contains("other.service may read no token"), "{}", ran.stderr);
}

#[test]
fn a_path_that_cannot_be_had_is_told_and_the_rest_runs() {
    let sandbox = Sandbox::new();
    let line = "credential_socket = \"no-folder/credentials.sock\"";
    sandbox.config_with(line, token("a"));
    let daemon = sandbox.start();
    assert!(daemon.config_error().contains("credential socket"), "{}", daemon.config_error());
    assert_eq!(daemon.token("a")["state"], "valid");
    sandbox.ours(&["check"]).expect(78);
    sandbox.mkdir("no-folder");
    until("it listens", || sandbox.path("no-folder/credentials.sock").exists());
    daemon.stop();
}
