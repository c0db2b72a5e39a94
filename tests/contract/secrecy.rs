//! The promise: no secret and no token is ever logged or shown in an error, an argument, or the environment of a hook.
//! All that the binary says is gathered, in good and in bad times and at its most talkative, and searched.
//! `status` shows the first 8 hex digits of a token's SHA-256, and nothing else of it.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;

use support::{SECRET, Sandbox, token, until};

/// Words that must not be said: the secret and its encodings, each token, and each token's signature.
struct Hush(BTreeSet<String>);

impl Hush {
    fn new(secrets: &[&str]) -> Self {
        let mut words = BTreeSet::new();
        for secret in secrets {
            words.insert((*secret).to_owned());
            words.insert(data_encoding::BASE64.encode(secret.as_bytes()));
            words.insert(data_encoding::HEXLOWER.encode(secret.as_bytes()));
        }
        Self(words)
    }

    fn token(&mut self, text: &str) {
        let (_, signature) = text.rsplit_once('.').expect("a token");
        self.0.insert(signature.to_owned());
        self.0.insert(text.to_owned());
    }

    #[track_caller]
    fn keeps(&self, what: &str, said: &str) {
        for word in &self.0 {
            let at = said.find(word.as_str());
            let around = at.map(|at| said[..at].lines().last().unwrap_or_default());
            assert!(at.is_none(), "{what} gives a secret away after {around:?}");
        }
    }
}

const LOUD: [(&str, &str); 3] = [("RUST_LOG", "trace"), ("RENEWD_LOG", "trace"), ("RUST_BACKTRACE", "full")];

#[test]
fn the_daemon_says_nothing_in_good_times_and_bad() {
    let sandbox = Sandbox::new();
    let mut hush = Hush::new(&[SECRET, "inline-secret-of-32-bytes-456789"]);
    sandbox.script("hook", "env; cat /proc/$$/environ; tr '\\0' ' ' < /proc/$PPID/cmdline");
    sandbox.script("fail", "echo \"$RENEWD_TOKEN_NAME failed\" >&2; exit 3");
    let hook = |name: &str| format!("command = [\"{}\"]", sandbox.path(name).display());
    let a = token("a").hook("after_rotate", &hook("hook"));
    let b = token("b").hook("after_rotate", &hook("fail")).env("e", "B");
    let inline = "secret.value = \"inline-secret-of-32-bytes-456789\"";
    let c = token("c").secret(inline).line("retry = { initial = \"100ms\", max = \"300ms\" }").plain("sub/c");
    sandbox.mkdir("out/sub");
    let good = format!("{a}{b}{c}");
    sandbox.config(&good);
    let daemon = LOUD.iter().fold(sandbox.daemon(), |d, (n, v)| d.env(n, v)).ready();
    let mut gather = || {
        for file in ["a.token", "sub/c"] {
            if let Ok(text) = fs::read_to_string(sandbox.out(file)) {
                hush.token(&text);
            }
        }
        if let Some(line) = sandbox.read("e").trim_end().strip_prefix("B=") {
            hush.token(line);
        }
    };
    gather();
    for _ in 0..3 {
        assert!(sandbox.rotate(&["a", "b", "c"]));
        gather();
    }
    fs::remove_dir_all(sandbox.out("sub")).expect("rm -r");
    assert!(!sandbox.rotate(&["c"]));
    let bad = [
        // The secret itself where TOML breaks, where a value is wrong, and where a key is unknown.
        format!("{good}\n{inline}\nx = "),
        format!("{good}\n[token.d]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"k\"\n{inline} \"\n"),
        format!("{good}\n[token.d]\nsource = \"jwt\"\nsecret.valu = \"{SECRET}\"\n"),
        token("c").secret(&format!("secret = \"{SECRET}\"")).to_string(),
        token("c").secret(&format!("secret.value = [\"{SECRET}\"]")).to_string(),
        token("c").secret(&format!("secret.value = \"{SECRET}\"\nsecret.encoding = \"hex\"")).to_string(),
    ];
    for text in &bad {
        daemon.reloaded_by(|| {
            sandbox.config(text);
        });
        hush.keeps("status", &daemon.status().to_string());
        hush.keeps("status", &sandbox.ours(&["status"]).text());
        hush.keeps("reload", &sandbox.ours(&["reload"]).expect(78).text());
    }
    daemon.send(Signal::USR1);
    daemon.reloaded_by(|| daemon.send(Signal::HUP));
    let proc = format!("/proc/{}", daemon.pid());
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("{proc}/{file}")).expect("of its own process");
        hush.keeps(file, &String::from_utf8_lossy(&bytes));
    }
    until("the log knows of the failing hook", || daemon.log().contains("fail"));
    let said: String = daemon.messages().iter().map(|m| m.text.clone()).collect();
    hush.keeps("sd_notify", &said);
    hush.keeps("the log", &daemon.log());
    daemon.stop();
}

#[test]
fn commands_say_nothing_of_it_in_their_errors() {
    let sandbox = Sandbox::new();
    let mut hush = Hush::new(&[SECRET, "another-secret-that-is-32-bytes-", "short-secret"]);
    sandbox.put("other", "another-secret-that-is-32-bytes-");
    sandbox.put("short", "short-secret");
    let made = sandbox.run(&["generate", "--key", "k", "--secret-file", "secret"]).expect(0);
    let made = made.stdout.trim().to_owned();
    hush.token(&made);
    let cut = &made[..made.len() - 5];
    hush.token(cut);
    let failing: [&[&str]; 8] = [
        &["refresh", &made, "--key", "k", "--secret-file", "other"],
        &["refresh", &made, "--key", "not-k", "--secret-file", "secret"],
        &["refresh", cut, "--key", "k", "--secret-file", "secret"],
        &["refresh", &made, "--key", "k", "--secret-file", "secret", "--alg", "HS512"],
        &["generate", "--key", "k", "--secret-file", "short"],
        &["generate", "--key", "k", "--secret-file", "secret", "--secret-encoding", "hex"],
        &["generate", "--key", "k", "--private-key-file", "secret"],
        &["generate", "--key", "k", "--secret", SECRET],
    ];
    for args in failing {
        let ran = sandbox.run_with(args, "", &LOUD);
        assert!(matches!(ran.code, Some(1 | 64 | 78)), "{args:?}: {ran:#?}");
        hush.keeps(args[0], &ran.text());
    }
    // In a place that is not theirs.
    sandbox.config(token("a"));
    let daemon = sandbox.start();
    let misplaced: [&[&str]; 9] = [
        &[SECRET],
        &["generate", "--key", "k", "--secret-file", "secret", SECRET],
        &["generate", "--key", "k", "--secret-file", SECRET],
        &["generate", "--key", "k", "--secret-file", "secret", "--alg", SECRET],
        &["generate", "--key", "k", "--secret-file", "secret", "--secret-encoding", SECRET],
        &["inspect", &made, &made],
        &["token", "-c", "config.toml", &made],
        &["once", "-c", "config.toml", &made],
        &["exec", "-c", "config.toml", "a", "--as", &made, "--", "true"],
    ];
    for args in misplaced {
        let ran = sandbox.run_with(args, "", &LOUD);
        assert!(matches!(ran.code, Some(1 | 64)), "{args:?}: {ran:#?}");
        hush.keeps(args[0], &ran.text());
    }
    daemon.stop();
    let from_stdin = ["refresh", "-", "--key", "k", "--secret-file", "other"];
    hush.keeps("refresh", &sandbox.run_with(&from_stdin, &made, &LOUD).text());
    let bad = [
        format!("secret.value = \"{SECRET}\"\nclams = 1"),
        format!("secret.value = \"{SECRET}\"\nsecret.file = \"secret\""),
        format!("secret.value = \"{SECRET}\"\nsecret.encoding = \"hex\""),
        format!("secret.value = \"{SECRET}"),
        format!("secret.value = {SECRET}"),
        format!("secret = \"{SECRET}\""),
        "secret.value = \"short-secret\"".to_owned(),
    ];
    for secret in &bad {
        sandbox.config(token("a").secret(secret));
        for command in ["check", "once", "run"] {
            let config = sandbox.path("config.toml");
            let args = [command, "-c", config.to_str().expect("UTF-8")];
            let ran = sandbox.run_with(&args, "", &LOUD).expect(78);
            hush.keeps(&format!("{command} of {:?}", &secret[..12]), &ran.text());
        }
    }
}

/// A secret that comes in by the environment goes out to no child.
#[test]
fn hooks_inherit_no_secret() {
    let sandbox = Sandbox::new();
    let log = sandbox.path("hook.log");
    let body = format!("env > {0}.new\nls -l /proc/$$/fd >> {0}.new\nmv {0}.new {0}", log.display());
    sandbox.script("hook", &body);
    let hook = format!("command = [\"{}\"]", sandbox.path("hook").display());
    sandbox.config(token("a").secret("secret.env = \"THE_SECRET\"").hook("after_rotate", &hook));
    let daemon = sandbox.daemon().env("THE_SECRET", SECRET).ready();
    let mut hush = Hush::new(&[SECRET]);
    hush.token(&sandbox.jwt("a").text);
    until("the hook ran", || log.exists());
    let said = fs::read_to_string(&log).expect("what it saw");
    hush.keeps("the hook's environment", &said);
    assert!(said.contains("RENEWD_TOKEN_NAME=a"));
    let state = sandbox.path("state");
    assert!(!said.contains(state.to_str().expect("UTF-8")), "an open file of the state: {said}");
    assert!(!said.contains("socket:"), "an open socket: {said}");
    daemon.stop();
}

#[test]
fn the_state_holds_no_credential() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b").secret(&format!("secret.value = \"{SECRET}\""))));
    sandbox.start().stop();
    let hush = Hush::new(&[SECRET]);
    let mut folders = vec![sandbox.path("state")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the state").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                let bytes = fs::read(entry.path()).expect("read");
                hush.keeps("the state", &String::from_utf8_lossy(&bytes));
            }
        }
    }
    assert!(files > 0, "no state at all");
}
