//! `source = "command"` end to end: real programs under the real binary. What they print is a token or an error that says
//! why; what they get is theirs alone; nothing of them is left behind.
#![forbid(unsafe_code)]

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use support::forge::unsigned;
use support::{Ran, Sandbox, now, pids, runs, until};

/// `[token.cmd]` with these lines, delivered as JSON to `out/cmd.json`.
fn config(lines: &str) -> String {
    format!(
        "[token.cmd]\nsource = \"command\"\n{lines}\n[[token.cmd.output]]\nformat = \"json\"\npath = \"out/cmd.json\"\n"
    )
}

/// One try of a script, with all of the log.
fn once(sandbox: &Sandbox, script: &str, lines: &str) -> Ran {
    let program = sandbox.script("get-token", script);
    sandbox.config(config(&format!("command = [{:?}]\n{lines}", program.display().to_string())));
    let config = sandbox.path("config.toml");
    sandbox.run_with(&["once", "-c", config.to_str().unwrap()], "", &[("RENEWD_LOG", "debug")])
}

fn delivered(sandbox: &Sandbox) -> Value {
    serde_json::from_str(&sandbox.read("cmd.json")).expect("JSON")
}

/// Seconds from now to `expires_at`.
fn left(delivered: &Value) -> f64 {
    let at: jiff::Timestamp = delivered["expires_at"].as_str().expect("a time").parse().expect("RFC 3339");
    at.as_second() as f64 - now()
}

fn jwt(claims: &str) -> String {
    format!("{}.c2lnbmF0dXJl", unsigned(r#"{"alg":"RS256"}"#, claims))
}

/// Hangs with a child and a grandchild that both refuse SIGTERM, and writes down all three.
const HANG: &str = "trap '' TERM\necho $$ >> pids\n(echo $(exec sh -c 'echo $PPID') >> pids; sleep 600 & echo $! >> pids; wait) &\nwait\nwait";

#[test]
fn what_is_printed_becomes_the_token() {
    let sandbox = Sandbox::new();
    let soon = now() as i64 + 900;
    let rfc3339 = jiff::Timestamp::from_second(soon).unwrap();
    let token = jwt(&format!(r#"{{"exp":{soon}}}"#));
    let cases = [
        (format!("echo {token}"), "", token.as_str(), 900.0),
        (format!("echo {token}"), "ttl = \"5m\"", token.as_str(), 300.0),
        ("printf opaque-1".into(), "ttl = \"10m\"", "opaque-1", 600.0),
        (
            r#"echo '{"accessToken": "opaque-2", "tokenType": "Bearer", "expiresIn": "1200"}'"#.into(),
            r#"response = { token = "/accessToken", expires_in = "/expiresIn" }"#,
            "opaque-2",
            1200.0,
        ),
        (
            format!(r#"echo '{{"a":{{"t":"opaque-3","at":{soon}}}}}'"#),
            r#"response = { token = "/a/t", expires_at = "/a/at" }"#,
            "opaque-3",
            900.0,
        ),
        (
            format!(
                r#"echo '{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{{}},"status":{{"expirationTimestamp":"{rfc3339}","token":"k8s-aws-v1.abc"}}}}'"#
            ),
            "",
            "k8s-aws-v1.abc",
            900.0,
        ),
    ];
    for (script, lines, wanted, life) in cases {
        once(&sandbox, &script, lines).expect(0);
        let got = delivered(&sandbox);
        assert_eq!(got["token"], wanted, "{script}");
        assert!((life - 60.0..=life + 1.0).contains(&left(&got)), "{script}: {got}");
    }
}

#[test]
fn what_is_no_token_is_told_and_not_shown() {
    let sandbox = Sandbox::new();
    let ttl = "ttl = \"1h\"";
    let untimed = "response = { token = \"/t\", expires_in = \"/e\" }";
    let pointers = &format!("{ttl}\n{untimed}");
    let certificate = r#"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientCertificateData":"hunter2"}}'"#;
    for (script, lines, wanted) in [
        ("echo hunter2", "", "the answer tells no expiry: set ttl"),
        ("true", ttl, "it printed nothing"),
        ("echo hunter2 hunter2", ttl, "it has a space or a newline in it"),
        ("echo hunter2; echo hunter2", ttl, "it has a space or a newline in it"),
        ("printf 'hunter2\\303\\244'", ttl, "not visible ASCII"),
        (r#"echo '{"token":"hunter2"}'"#, ttl, "say by response"),
        ("echo hunter2", pointers, "it is not JSON (line 1, column 1)"),
        (r#"echo '{"t":{"hunter2":1}}'"#, pointers, "an object at \"/t\", not a string"),
        (r#"echo '{"t":"a","e":"hunter2"}'"#, untimed, "neither a number of seconds nor a time"),
        (r#"echo '{"t":"a","e":-1}'"#, untimed, "it is negative"),
        (certificate, "", "a client certificate and no token"),
        (&format!("echo {}", jwt("{\"exp\":1000000000}")), "", "one of the two clocks is wrong"),
    ] {
        let ran = once(&sandbox, script, lines).expect(1);
        assert!(ran.stderr.contains(wanted), "{script}: {ran:#?}");
        assert!(ran.stderr.contains("get-token"), "{script}: {ran:#?}");
        assert!(!ran.text().contains("hunter2"), "{script}: {ran:#?}");
        assert!(!sandbox.out("cmd.json").exists());
    }
}

#[test]
fn a_failure_says_how_it_ended_and_its_last_words() {
    let sandbox = Sandbox::new();
    let ttl = "ttl = \"1h\"\ntimeout = \"1s\"";
    for (script, wanted) in [
        ("echo first >&2; echo 'no such profile' >&2; echo >&2; exit 3", "exited with status 3: no such profile"),
        ("exit 1", "exited with status 1"),
        ("kill -9 $$", "was killed by signal 9"),
        ("echo waiting >&2; exec sleep 600", "was stopped: it ran longer than its timeout of 1s: waiting"),
    ] {
        let ran = once(&sandbox, script, ttl).expect(1);
        assert!(ran.stderr.contains(&format!("get-token {wanted}")), "{script}: {ran:#?}");
    }
    let program = sandbox.script("get-token", "exit 1");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    let config = sandbox.path("config.toml");
    let ran = sandbox.run_with(&["once", "-c", config.to_str().unwrap()], "", &[]).expect(1);
    assert!(ran.stderr.contains("(or the interpreter that it names) was not found"), "{ran:#?}");
}

#[test]
fn its_environment_is_its_own() {
    let sandbox = Sandbox::new();
    let program = sandbox.script(
        "get-token",
        "env > seen; readlink /proc/self/fd/0 >> seen; ps -o pgid= -p $$ | tr -d ' ' >> seen; echo pid=$$ >> seen; echo token-1",
    );
    sandbox.put("api.secret", "hunter2-hunter2\n");
    let base = support::token("base").without_output();
    let lines = format!(
        "command = [{:?}]\nttl = \"1h\"\nsecret.file = \"api.secret\"\n\
         env = {{ API_SECRET = \"{{{{ secret }}}}\", BASE = \"x {{{{ token.base }}}}\", LANG = \"C\" }}",
        program.display().to_string()
    );
    let other = support::token("other").secret("secret.env = \"OTHER_SECRET\"").without_output();
    sandbox.config(format!("{}\n{base}\n{other}", config(&lines)));
    let config = sandbox.path("config.toml");
    let env = [
        ("OTHER_SECRET", support::SECRET),
        ("NOTIFY_SOCKET", "/run/nobody"),
        ("CREDENTIALS_DIRECTORY", "/run/credentials/x"),
        ("LD_LIBRARY_PATH", "/nowhere"),
        ("SOMETHING", "else"),
        ("LANG", "de_DE.UTF-8"),
        ("TZ", "Europe/Berlin"),
        ("NO_PROXY", "internal"),
    ];
    sandbox.run_with(&["once", "-c", config.to_str().unwrap()], "", &env).expect(0);
    let seen = fs::read_to_string(sandbox.path("seen")).expect("seen");
    let lines: Vec<&str> = seen.lines().collect();
    let home = format!("HOME={}", sandbox.path("home").display());
    for wanted in [
        "API_SECRET=hunter2-hunter2",
        "LANG=C",
        "TZ=Europe/Berlin",
        "NO_PROXY=internal",
        "RENEWD_TOKEN_NAME=cmd",
        "/dev/null",
        &home,
    ] {
        assert!(lines.contains(&wanted), "{wanted} is missing in {seen}");
    }
    assert!(lines.iter().any(|line| line.starts_with("PATH=/")), "{seen}");
    let base = lines.iter().find_map(|line| line.strip_prefix("BASE=x ")).expect("BASE");
    support::Jwt::signed_with(base, support::SECRET.as_bytes()).expect("the parent's token");
    for hidden in
        ["OTHER_SECRET", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "LD_LIBRARY_PATH", "SOMETHING", "RENEWD_LOG"]
    {
        assert!(!seen.contains(hidden), "{hidden} is in {seen}");
    }
    let own = lines.iter().find_map(|line| line.strip_prefix("pid=")).expect("a pid");
    assert!(lines.contains(&own), "it leads its own group: {seen}");
}

#[test]
fn its_words_are_logged_without_secrets() {
    let sandbox = Sandbox::new();
    sandbox.put("api.secret", "hunter2-hunter2\n");
    let lines = "ttl = \"1h\"\nsecret.file = \"api.secret\"\nenv = { API_SECRET = \"{{ secret }}\" }";
    let masked = jwt("{}");
    let script = |end: &str| {
        format!(
            "echo asking with $API_SECRET >&2\necho got {masked} >&2\necho ghp_16C7e42F292c6912E7710c838347Ae178B4a >&2\n\
             echo short-token >&2\necho short-token\n{end}"
        )
    };
    for (end, code, level) in [("exit 4", 1, "WARN"), ("exit 0", 0, "DEBUG")] {
        let ran = once(&sandbox, &script(end), lines).expect(code);
        for wanted in ["asking with [masked]", "got [masked]", "stderr: [masked]"] {
            let line = ran.stderr.lines().find(|line| line.contains(wanted)).unwrap_or_else(|| panic!("{ran:#?}"));
            assert!(line.contains(level) && line.contains("token cmd"), "{line}");
        }
        for secret in ["hunter2", "ghp_16C7", masked.as_str()] {
            assert!(!ran.text().contains(secret), "{secret}: {ran:#?}");
        }
        // What was printed on stdout is known to be a token only where it succeeded.
        assert!(code != 0 || !ran.text().contains("short-token"), "{ran:#?}");
    }
    let many = "i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done; echo token-1";
    let ran = once(&sandbox, many, "ttl = \"1h\"").expect(0);
    assert!(ran.stderr.contains("4968 lines before the last 32 are not shown"), "{ran:#?}");
    assert!(ran.stderr.contains("line 4999") && !ran.stderr.contains("line 4000"));
}

#[test]
fn an_endless_output_is_ended() {
    let sandbox = Sandbox::new();
    let ran = once(&sandbox, "echo $$ > pids\nexec head -c 10000000 /dev/zero", "ttl = \"1h\"").expect(1);
    assert!(ran.stderr.contains("it printed more than 1 MiB"), "{ran:#?}");
    let ran = once(&sandbox, "echo $$ > pids\nexec yes", "ttl = \"1h\"\ntimeout = \"10m\"").expect(1);
    assert!(ran.stderr.contains("it printed more than 1 MiB"), "{ran:#?}");
    assert!(ran.took < Duration::from_secs(20), "{ran:#?}");
    assert!(!pids(&sandbox.path("pids")).iter().any(|pid| runs(pid)));
}

#[test]
fn a_timeout_ends_all_that_it_started() {
    let sandbox = Sandbox::new();
    let ran = once(&sandbox, HANG, "ttl = \"1h\"\ntimeout = \"2s\"").expect(1);
    assert!(ran.stderr.contains("it ran longer than its timeout of 2s"), "{ran:#?}");
    assert!(ran.took < Duration::from_secs(20), "{ran:#?}");
    let pids = pids(&sandbox.path("pids"));
    assert_eq!(pids.len(), 3, "{pids:?}");
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}

#[test]
fn what_it_leaves_in_the_background_is_ended_and_not_waited_for() {
    let sandbox = Sandbox::new();
    let ran = once(&sandbox, "sleep 600 & echo $! > pids; echo token-1", "ttl = \"1h\"").expect(0);
    assert!(ran.took < Duration::from_secs(20), "{ran:#?}");
    assert_eq!(delivered(&sandbox)["token"], "token-1");
    let pids = pids(&sandbox.path("pids"));
    assert_eq!(pids.len(), 1);
    assert!(!pids.iter().any(|pid| runs(pid)), "{pids:?}");
}

#[test]
fn sigterm_of_the_daemon_leaves_no_process_of_it() {
    let sandbox = Sandbox::new();
    let program = sandbox.script("get-token", HANG);
    sandbox
        .config(config(&format!("command = [{:?}]\nttl = \"1h\"\ntimeout = \"10m\"", program.display().to_string())));
    let mut daemon = sandbox.daemon().spawn();
    until("the command hangs", || pids(&sandbox.path("pids")).len() == 3);
    let (status, took) = daemon.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    // 2 s are promised; a busy machine gets some more.
    assert!(took < Duration::from_secs(5), "{took:?}");
    until("all of it is gone", || !pids(&sandbox.path("pids")).iter().any(|pid| runs(pid)));
}

#[test]
fn fifty_that_hang_delay_no_other_token() {
    let sandbox = Sandbox::new();
    let hang = sandbox.script("hang", "echo $$ >> pids\nexec sleep 600");
    let good = sandbox.script("get-token", "echo token-1");
    let hanging = |n: usize| {
        let command = format!("command = [{:?}, \"{n}\"]", hang.display().to_string());
        format!(
            "[token.hang{n}]\nsource = \"command\"\n{command}\nttl = \"1h\"\ntimeout = \"10m\"\n\
             [[token.hang{n}.output]]\nformat = \"token\"\npath = \"out/hang{n}\"\n"
        )
    };
    let all: String = (0..50).map(hanging).collect();
    let good = config(&format!("command = [{:?}]\nttl = \"1h\"", good.display().to_string()));
    sandbox.config(format!("{all}\n{good}"));
    let began = Instant::now();
    let mut daemon = sandbox.daemon().spawn();
    until("the good one is delivered", || sandbox.out("cmd.json").exists());
    println!("delivered after {:?}", began.elapsed());
    until("all of them hang", || pids(&sandbox.path("pids")).len() == 50);
    daemon.end(Signal::TERM);
    until("none is left", || !pids(&sandbox.path("pids")).iter().any(|pid| runs(pid)));
}

#[test]
fn a_failing_command_is_unreachable_and_the_token_stays() {
    let sandbox = Sandbox::new();
    let program = sandbox.script("get-token", "test -e broken && { echo 'broken pipe' >&2; exit 7; }; echo token-1");
    sandbox.config(config(&format!(
        "command = [{:?}]\nttl = \"1h\"\nmin_interval = \"0s\"",
        program.display().to_string()
    )));
    let daemon = sandbox.start();
    sandbox.put("broken", "");
    assert!(!sandbox.rotate(&["cmd"]));
    let token = daemon.token("cmd");
    assert_eq!((&token["state"], &token["reason"]), (&"retrying".into(), &"unreachable".into()), "{token}");
    assert!(token["last_error"].as_str().unwrap().contains("exited with status 7: broken pipe"), "{token}");
    assert_eq!(delivered(&sandbox)["token"], "token-1");
    fs::remove_file(sandbox.path("broken")).unwrap();
    until("it is valid again", || daemon.token("cmd")["state"] == "valid");
    daemon.stop();
}
