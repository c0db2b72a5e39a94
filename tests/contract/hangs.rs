//! A folder whose file system hangs is the trouble of what lies in it, and of nothing else: at the start too, and where it is the
//! state's. strace holds each call that names the folder for longer than any test waits.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::strace::{end_tracer, injecting};
use support::{Daemon, Mounts, Sandbox, eventually, has_strace, token, until};

const LOOKS: &str = "newfstatat,statx,openat,getdents64:delay_enter=60s";
const WRITES: &str = "pwrite64,fdatasync,fsync:delay_enter=60s";

/// What holds it is taken away at once: it would wait for what it holds.
fn let_go(daemon: &Daemon<'_>) {
    end_tracer(daemon, Signal::KILL);
}

/// What traces it keeps it until then.
fn is_ending(daemon: &Daemon<'_>) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

#[test]
fn one_that_hangs_at_the_start_keeps_no_other_token_away() {
    if !has_strace("one_that_hangs_at_the_start_keeps_no_other_token_away") {
        return;
    }
    let sandbox = Sandbox::new();
    let far = sandbox.mkdir("far");
    sandbox.put("far/secret", support::SECRET);
    let of_output = token("output").plain("../far/t");
    let of_secret = token("secret").secret("secret.file = \"far/secret\"");
    sandbox.config(format!("{of_output}{of_secret}{}", token("near")));
    let hold = injecting(LOOKS, &[&far, &sandbox.path("far/secret")]);
    let mut daemon = sandbox.daemon().under(&hold).spawn();
    let began = Instant::now();
    until("the other token is there", || sandbox.out("near.token").exists());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(sandbox.rotate(&["near"]), "{}", daemon.log());
    let status = daemon.status();
    let told = status.to_string();
    assert!(told.contains("does not answer"), "{status:#}");
    assert!(daemon.log().contains("does not answer for 2 s"), "{}", daemon.log());
    // A reload leaves it out again, and takes what has changed elsewhere.
    sandbox.config(format!("{of_output}{of_secret}{}{}", token("near"), token("more")));
    until("the new token is there", || sandbox.out("more.token").exists());
    assert!(daemon.alive());
    let_go(&daemon);
    until("what hung is delivered when it answers", || {
        sandbox.rotate(&["output", "secret"]);
        sandbox.path("far/t").exists() && sandbox.out("secret.token").exists()
    });
    daemon.stop();
}

#[test]
fn a_state_that_hangs_keeps_no_token_of_ours_away_and_no_stop() {
    if !has_strace("a_state_that_hangs_keeps_no_token_of_ours_away_and_no_stop") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    sandbox.ours(&["once", "a"]).expect(0);
    let log = fs::read_dir(sandbox.path("state")).expect("a state").flatten().map(|entry| entry.path());
    let log = log.into_iter().find(|path| path.extension().is_some_and(|is| is == "log")).expect("a log");
    let mut daemon = sandbox.daemon().under(&injecting(WRITES, &[&log])).ready();
    assert!(sandbox.out("b.token").exists());
    let before = sandbox.read("a.token");
    assert!(sandbox.rotate(&["a"]), "{}", daemon.log());
    assert_ne!(sandbox.read("a.token"), before);
    until("it is told", || daemon.status().to_string().contains("the state has not answered since 2"));
    assert_eq!(daemon.log().matches("the state has not answered since").count(), 1, "{}", daemon.log());
    sandbox.ours(&["status"]);
    let began = Instant::now();
    daemon.send(Signal::TERM);
    until("it ends", || is_ending(&daemon));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let_go(&daemon);
    until("it is gone", || !daemon.alive());
}

/// What starts a hook's program, and a pid file, may hang: nothing else waits.
#[test]
fn a_hook_that_hangs_before_it_starts_holds_nobody_up() {
    if !has_strace("a_hook_that_hangs_before_it_starts_holds_nobody_up") {
        return;
    }
    let sandbox = Sandbox::new();
    let hook = sandbox.script("hook", "true");
    let pid_file = sandbox.put("service.pid", "1\n");
    let program = token("program").hook("after_rotate", &format!("command = [{hook:?}]\ntimeout = \"2s\""));
    let signal = format!("signal = {{ pid_file = {pid_file:?}, signal = \"HUP\" }}\ntimeout = \"2s\"");
    let signal = token("signal").hook("after_rotate", &signal);
    sandbox.config(format!("{program}{signal}{}", token("near")));
    let hold = injecting("execve,openat:delay_enter=60s", &[&hook, &pid_file]);
    let daemon = sandbox.daemon().under(&hold).ready();
    for _ in 0..3 {
        let began = Instant::now();
        assert!(sandbox.rotate(&["near"]), "{}", daemon.log());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
    until("the program is given up", || daemon.log().contains("program, after_rotate"));
    until("the pid file is given up", || daemon.log().contains("service.pid"));
    assert!(daemon.log().contains("does its file system hang?"), "{}", daemon.log());
    let_go(&daemon);
    daemon.kill9();
}

/// The file is read at each exchange: what hangs ends with the time of a try, and is told.
#[test]
fn a_subject_token_that_hangs_is_told_and_tried_again() {
    if !has_strace("a_subject_token_that_hangs_is_told_and_tried_again") {
        return;
    }
    let sandbox = Sandbox::new();
    let subject = sandbox.put("subject.jwt", "abc\n");
    let exchange = "[token.far]\nsource = \"oauth2\"\ngrant = \"token_exchange\"\ntoken_url = \"http://127.0.0.1:1/token\"\n\
                    client_id = \"c\"\nclient_auth = \"none\"\ntimeout = \"1s\"\nrequired = false\n\
                    subject_token = { file = \"subject.jwt\", type = \"urn:ietf:params:oauth:token-type:jwt\" }\n";
    sandbox.config(format!("{exchange}{}", token("near")));
    let daemon = sandbox.daemon().under(&injecting(LOOKS, &[&subject])).ready();
    let told = || daemon.token("far")["last_error"].as_str().unwrap_or_default().to_owned();
    until("it is told", || told().contains("subject.jwt cannot be read: no answer within 1s"));
    let_go(&daemon);
    until("it is read when it answers", || told().contains("127.0.0.1"));
    daemon.stop();
}

/// Another config keeps its state in the same folder, and lies where nothing answers now.
#[test]
fn another_config_that_hangs_keeps_no_daemon_from_starting() {
    if !has_strace("another_config_that_hangs_keeps_no_daemon_from_starting") {
        return;
    }
    let sandbox = Sandbox::new();
    let output = "format = \"token\"\npath = \"../out/other.token\"";
    let text = sandbox.config_text("", token("other").secret("secret.file = \"../secret\"").output(output));
    sandbox.mkdir("far");
    let other = sandbox.put("far/config.toml", text);
    sandbox.run(&["once", "-c", other.to_str().expect("UTF-8")]).expect(0);
    sandbox.config(token("a"));
    sandbox.ours(&["once"]).expect(0);
    let daemon = sandbox.daemon().under(&injecting(LOOKS, &[&other])).ready();
    assert!(sandbox.rotate(&["a"]), "{}", daemon.log());
    let_go(&daemon);
    daemon.stop();
}

/// Nothing is begun before it is known what is valid, or spent: that the state hangs is told, and the next start tries again.
#[test]
fn a_state_that_hangs_at_the_start_is_told_and_ends_it() {
    if !has_strace("a_state_that_hangs_at_the_start_is_told_and_ends_it") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    sandbox.ours(&["once"]).expect(0);
    let log = fs::read_dir(sandbox.path("state")).expect("a state").flatten().map(|entry| entry.path());
    let log = log.into_iter().find(|path| path.extension().is_some_and(|is| is == "log")).expect("a log");
    let mut daemon = sandbox.daemon().under(&injecting("read,pread64,statx,fstat:delay_enter=300s", &[&log])).spawn();
    until("it is told", || daemon.log().contains("has not answered for 5 s, and is waited for"));
    eventually(Duration::from_secs(90), "it is given up", || {
        daemon.log().contains("has not answered for 30 s: does its file system hang?").then_some(())
    });
    until("it ends", || is_ending(&daemon));
    let_go(&daemon);
    until("it is gone", || !daemon.alive());
}

/// One folder of a mount hangs, and the mount answers.
#[test]
fn what_is_mounted_is_not_left_out_for_one_of_its_folders() {
    let test = "what_is_mounted_is_not_left_out_for_one_of_its_folders";
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new(test, &sandbox).filter(|_| has_strace(test)) else { return };
    let here = sandbox.mkdir("here");
    mounts.tmpfs(&here);
    let dir = sandbox.dir().display();
    let of = |name: &str| {
        format!(
            "[token.{name}]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"k\"\nsecret.file = \"{dir}/secret\"\n\
             [[token.{name}.output]]\nformat = \"token\"\npath = \"{name}/t\"\n"
        )
    };
    let text = sandbox.config_text("", format!("{}{}", of("near"), of("far")));
    sandbox.put("config.toml", text);
    mounts.run(&["sh", "-c", &format!("cd {dir} && mkdir here/near here/far && cp -p config.toml here/config.toml")]);
    let far = sandbox.path("here/far");
    let hold: Vec<String> = mounts.enter().map(String::from).into_iter().chain(injecting(LOOKS, &[&far])).collect();
    let daemon = sandbox.daemon().config("here/config.toml").under(&hold).spawn();
    until("the other token is there", || sandbox.rotate(&["near"]));
    let_go(&daemon);
    daemon.kill9();
}

/// Names of users and groups may be a server's to know.
#[test]
fn names_that_nobody_looks_up_keep_no_token_away_that_has_none() {
    if !has_strace("names_that_nobody_looks_up_keep_no_token_away_that_has_none") {
        return;
    }
    let sandbox = Sandbox::new();
    let named = token("named").output("format = \"token\"\npath = \"out/named\"\nowner = \"daemon\"\n");
    sandbox.config(format!("{named}{}", token("near")));
    let hold = injecting("openat:delay_enter=60s", &[std::path::Path::new("/etc/passwd")]);
    let daemon = sandbox.daemon().under(&hold).spawn();
    until("the other token is there", || sandbox.out("near.token").exists());
    assert!(daemon.log().contains("the look-up of users and groups"), "{}", daemon.log());
    let told = daemon.status().to_string();
    assert!(told.contains("the user `daemon` is not known just now"), "{told}");
    let_go(&daemon);
    daemon.kill9();
}

/// Certificates that cannot be read are told, and are no trouble of who needs none.
#[test]
fn certificates_that_hang_are_told_and_keep_no_endpoint_of_this_machine_away() {
    let test = "certificates_that_hang_are_told_and_keep_no_endpoint_of_this_machine_away";
    if !has_strace(test) {
        return;
    }
    let sandbox = Sandbox::new();
    let roots = sandbox.put("roots.pem", "");
    let dir = sandbox.dir().display();
    let of = |name: &str, url: &str| {
        format!(
            "[token.{name}]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"c\"\n\
             client_secret.file = \"secret\"\nrequired = false\n[[token.{name}.output]]\nformat = \"token\"\n\
             path = \"{dir}/out/{name}\"\n"
        )
    };
    let far: String = (0..4).map(|number| of(&format!("far{number}"), "https://127.0.0.1:1/token")).collect();
    sandbox.config(format!("{far}{}{}", of("here", "http://127.0.0.1:1/token"), token("near")));
    let hold = injecting("openat:delay_enter=60s", &[&roots]);
    let certificates = roots.to_str().expect("UTF-8");
    let daemon = sandbox.daemon().env("SSL_CERT_FILE", certificates).under(&hold).ready();
    let told = |name: &str| daemon.token(name)["last_error"].as_str().unwrap_or_default().to_owned();
    until("the one of this machine is tried", || told("here").contains("connection refused"));
    until("it is told", || {
        daemon.log().contains("the certificates of this machine cannot be read: no answer within 10s")
    });
    let_go(&daemon);
    daemon.kill9();
}
