//! A hook runs as promised and leaves nothing behind: real processes.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use renewd::core::settings::{HookAction, HookPlan, HookSignal};
use renewd::host::hook::run;
use support::{pids, runs};
use tokio::sync::watch;

const LABEL: &str = "token sunbird, after_rotate";

fn command(argv: &[&str], timeout: Duration) -> HookPlan {
    HookPlan {
        action: HookAction::Command(argv.iter().map(|word| word.to_string()).collect()),
        timeout,
        after: Duration::ZERO,
    }
}

fn shell(script: &str) -> HookPlan {
    command(&["/bin/sh", "-c", script], Duration::from_secs(20))
}

fn signal(pid_file: &Path) -> HookPlan {
    HookPlan {
        action: HookAction::Signal { pid_file: pid_file.to_owned(), signal: HookSignal::Hup },
        timeout: Duration::from_secs(20),
        after: Duration::ZERO,
    }
}

async fn done(plan: &HookPlan) -> Result<(), String> {
    let (_go_on, stop) = watch::channel(false);
    run(plan, LABEL, &[], &[], stop).await.map_err(|error| error.to_string())
}

async fn written(file: &Path, lines: usize) -> Vec<String> {
    for _ in 0..4000 {
        let found = pids(file);
        if found.len() >= lines {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the hook wrote no process ids");
}

#[tokio::test]
async fn success_and_each_failure_says_what_it_was() {
    done(&shell("exit 0")).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "text").unwrap();
    let cases: [(HookPlan, &str); 5] = [
        (shell("exit 7"), "/bin/sh exited with status 7"),
        (shell("kill -9 $$"), "/bin/sh was killed by signal 9"),
        (
            command(&["/no/such/hook"], Duration::from_secs(20)),
            "/no/such/hook (or the interpreter that it names) was not found: install it or correct the command",
        ),
        (command(&[plain.to_str().unwrap()], Duration::from_secs(20)), "plain cannot be executed: permission denied"),
        (
            command(&["/bin/sleep", "60"], Duration::from_millis(100)),
            "/bin/sleep was stopped: it ran longer than its timeout of 100ms",
        ),
    ];
    for (plan, wanted) in cases {
        let error = done(&plan).await.unwrap_err();
        assert!(error.ends_with(wanted), "{error}");
    }
}

#[tokio::test]
async fn the_environment_is_ours_without_what_is_not_for_hooks() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let plan = shell(&format!(
        "env > {0}; readlink /proc/self/fd/0 >> {0}; ps -o pgid= -p $$ >> {0}; echo pid=$$ >> {0}",
        seen.display()
    ));
    // A process of its own, so that its environment can be set without touching this one's.
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        let this = std::env::current_exe().unwrap();
        let status = Command::new(this)
            .args(["--exact", "the_environment_is_ours_without_what_is_not_for_hooks"])
            .env("NOTIFY_SOCKET", "/run/x")
            .env("WATCHDOG_USEC", "1")
            .env("CREDENTIALS_DIRECTORY", "/run/credentials/x")
            .env("LISTEN_FDS", "1")
            .env("MY_SECRET", "hunter2")
            .env("KEPT", "yes")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let vars = [("RENEWD_TOKEN_NAME", OsString::from("sunbird")), ("RENEWD_EXPIRES_AT", OsString::new())];
    let (_go_on, stop) = watch::channel(false);
    run(&plan, LABEL, &vars, &["MY_SECRET".to_owned()], stop).await.unwrap();
    let seen = fs::read_to_string(seen).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    for wanted in ["RENEWD_TOKEN_NAME=sunbird", "RENEWD_EXPIRES_AT=", "KEPT=yes", "/dev/null"] {
        assert!(lines.contains(&wanted), "{wanted} is missing in {seen}");
    }
    for hidden in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", "LISTEN_FDS", "MY_SECRET"] {
        assert!(!seen.contains(hidden), "{hidden} is in {seen}");
    }
}

#[tokio::test]
async fn a_timeout_ends_the_whole_group_also_what_ignores_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!(
        "trap '' TERM; echo $$ >> {0}; (trap '' TERM; exec sleep 600) & echo $! >> {0}; sleep 600 & echo $! >> {0}; wait; wait; wait",
        file.display()
    );
    let start = Instant::now();
    let plan = command(&["/bin/sh", "-c", &script], Duration::from_millis(1000));
    let error = done(&plan).await.unwrap_err();
    assert!(error.contains("it ran longer than its timeout"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let pids = pids(&file);
    assert_eq!(pids.len(), 3);
    assert!(!pids.iter().any(|pid| runs(pid)));
}

#[tokio::test]
async fn sigterm_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said");
    let script = format!("trap 'echo bye > {}; exit 3' TERM; sleep 600 & wait", file.display());
    let plan = command(&["/bin/sh", "-c", &script], Duration::from_millis(500));
    let error = done(&plan).await.unwrap_err();
    assert!(error.contains("it ran longer than its timeout"), "{error}");
    assert_eq!(fs::read_to_string(file).unwrap(), "bye\n");
}

#[tokio::test]
async fn what_a_hook_leaves_behind_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let start = Instant::now();
    let script = format!("sleep 600 & echo $! >> {0}; (trap '' TERM; exec sleep 600) & echo $! >> {0}", file.display());
    done(&shell(&script)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let pids = pids(&file);
    assert_eq!(pids.len(), 2);
    assert!(!pids.iter().any(|pid| runs(pid)));
}

#[tokio::test]
async fn a_daemon_that_keeps_the_pipes_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    // setsid leaves the group: it is not ours any more.
    let script = format!("setsid sleep 600 & echo $! > {}; sleep 0.2", file.display());
    let start = Instant::now();
    done(&shell(&script)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for pid in pids(&file) {
        let _ = Command::new("kill").args(["-9", &pid]).status();
    }
}

#[tokio::test]
async fn a_stop_ends_it_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 600; done", file.display());
    let (go_on, stop) = watch::channel(false);
    let plan = shell(&script);
    let hook = run(&plan, LABEL, &[], &[], stop);
    let stopping = async {
        let pids = written(&file, 1).await;
        let start = Instant::now();
        go_on.send(true).unwrap();
        (pids, start)
    };
    let (result, (pids, start)) = tokio::join!(hook, stopping);
    assert!(result.unwrap_err().to_string().contains("was stopped: renewd is stopping"));
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    assert!(!runs(&pids[0]));
}

#[tokio::test]
async fn a_hook_that_is_dropped_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let script = format!("echo $$ >> {0}; sleep 600 & echo $! >> {0}; wait", file.display());
    let plan = shell(&script);
    let pids = tokio::select! {
        result = done(&plan) => panic!("{result:?}"),
        pids = written(&file, 2) => pids,
    };
    let start = Instant::now();
    while pids.iter().any(|pid| runs(pid)) {
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn logged(plan: &HookPlan) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    done(plan).await.unwrap();
    drop(guard);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn output_is_logged_bounded_and_without_tokens() {
    let text =
        logged(&shell("echo reloaded; printf 'no end' >&2; echo eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl"))
            .await;
    for wanted in ["stdout: reloaded\n", "stderr: no end\n", "stdout: [masked]\n"] {
        assert!(text.contains(&format!("{LABEL}: {wanted}")), "{wanted} is missing in {text}");
    }
    let text = logged(&shell("yes | head -n 100000; head -c 3000000 /dev/zero")).await;
    assert_eq!(text.matches("stdout: y\n").count(), 64);
    assert!(text.contains("99937 more lines of output are not shown"), "{text}");
    assert!(text.len() < 20_000);
}

#[tokio::test]
async fn a_signal_reaches_the_process_of_a_pid_file() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let pid_file = folder.path().join("pid");
    let script = format!(
        "trap 'echo hup > {}; exit 0' HUP; echo $$ > {}; while :; do sleep 0.01; done",
        said.display(),
        pid_file.display()
    );
    let mut child = Command::new("/bin/sh").args(["-c", &script]).spawn().unwrap();
    written(&pid_file, 1).await;
    done(&signal(&pid_file)).await.unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(said).unwrap(), "hup\n");
    // It is reaped: nobody has that number now.
    let error = done(&signal(&pid_file)).await.unwrap_err();
    assert!(error.contains("SIGHUP") && error.contains("there is no process"), "{error}");
}

#[tokio::test]
async fn a_pid_file_that_cannot_be_trusted_signals_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let own = std::process::id().to_string();
    let cases: [(&str, u32, &str); 6] = [
        ("1\n", 0o644, "names process 1"),
        ("0\n", 0o644, "names process 0"),
        (&own, 0o644, "names renewd itself"),
        ("-1\n", 0o644, "holds no process number"),
        ("12 13\n", 0o644, "holds no process number"),
        ("2\n", 0o646, "anybody may write it"),
    ];
    for (text, mode, wanted) in cases {
        let file = folder.path().join("pid");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let error = done(&signal(&file)).await.unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    let missing: PathBuf = folder.path().join("missing");
    let error = done(&signal(&missing)).await.unwrap_err();
    assert!(error.contains("missing is not there: the service does not run yet"), "{error}");
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let error = done(&signal(&fifo)).await.unwrap_err();
    assert!(error.contains("is not a regular file"), "{error}");
}
