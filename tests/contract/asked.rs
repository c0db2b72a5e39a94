//! The promise: who asks for a token is told what is, not what was: a server that asked for time, or refused, is not asked
//! again for each of them, and they are told since when, until when, and what does ask. What was mended is looked at first.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use support::http::{Server, json as answered, refusal};
use support::{Daemon, Sandbox, names_in, token, until};

/// A token endpoint on loopback that gives the answers it was told to, in turn, and then good ones.
struct Endpoint {
    server: Server,
}

const BUSY: u16 = 503;
const REFUSED: u16 = 401;

impl Endpoint {
    fn first_saying(answers: &'static [u16]) -> Self {
        let count = AtomicUsize::new(0);
        let server = Server::start(move |_| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            match answers.get(number) {
                Some(&BUSY) => refusal(BUSY, r#"{"error":"invalid_client"}"#).header("Retry-After", "600"),
                Some(&status) => refusal(status, r#"{"error":"invalid_client"}"#),
                None => answered(
                    json!({"access_token": format!("opaque-{number}"), "token_type": "Bearer", "expires_in": 600}),
                ),
            }
        });
        Self { server }
    }

    fn asked(&self) -> usize {
        self.server.seen().len()
    }

    fn url(&self) -> String {
        self.server.url("/token")
    }

    fn token(&self, name: &str, more: &str) -> String {
        format!(
            "[token.{name}]\nsource = \"oauth2\"\ngrant = \"client_credentials\"\ntoken_url = \"{}\"\nclient_id = \"jobs\"\n\
             client_secret.file = \"secret\"\n{more}output = [{{ format = \"token\", path = \"out/{name}.token\" }}]\n",
            self.url()
        )
    }
}

fn failing(sandbox: &Sandbox, daemon: &Daemon<'_>, name: &str) {
    until("its failure is told", || {
        sandbox.path("control.sock").exists() && !daemon.token(name)["last_error"].is_null()
    });
}

#[test]
fn a_server_that_asked_for_time_is_left_alone_and_that_is_said() {
    let sandbox = Sandbox::new();
    let server = Endpoint::first_saying(&[BUSY]);
    sandbox.config(server.token("a", ""));
    let daemon = sandbox.daemon().spawn();
    failing(&sandbox, &daemon, "a");
    for (args, code) in [(&["rotate", "a"][..], 1), (&["rotate"], 1), (&["token", "a"], 75)] {
        let ran = sandbox.ours(args).expect(code);
        assert!(ran.took.as_secs() < 5, "{ran:?}");
        let said = &ran.stderr;
        assert!(said.contains("not asked: the server said at 2"), "{said}");
        assert!(said.contains(" to wait until 2") && said.contains("--force"), "{said}");
        assert!(said.contains("503"), "what it answered is told too: {said}");
    }
    assert_eq!(server.asked(), 1, "it was asked all the same");
    sandbox.ours(&["rotate", "--force", "a"]).expect(0);
    assert_eq!(sandbox.read("a.token"), "opaque-1");
    assert_eq!(server.asked(), 2);
    daemon.stop();
}

#[test]
fn who_needs_a_token_whose_server_asked_for_time_is_told_so_and_forces_both() {
    let sandbox = Sandbox::new();
    let (parents, children) = (Endpoint::first_saying(&[BUSY, BUSY]), Endpoint::first_saying(&[]));
    let child = format!(
        "[token.child]\nsource = \"http\"\nurl = \"{}\"\nmethod = \"POST\"\nbearer = {{ token = \"parent\" }}\n\
         response = {{ token = \"/access_token\", expires_in = \"/expires_in\" }}\n",
        children.url()
    );
    sandbox.config(format!("{}{child}", parents.token("parent", "")));
    let daemon = sandbox.daemon().spawn();
    failing(&sandbox, &daemon, "child");
    let ran = sandbox.ours(&["rotate", "child"]).expect(1);
    assert!(ran.stderr.contains("not asked: the server said at"), "{ran:?}");
    assert_eq!(parents.asked(), 1);
    // The second answer is as the first: that failure is new, and told as such.
    let ran = sandbox.ours(&["rotate", "--force", "child"]).expect(1);
    assert!(!ran.stderr.contains("not asked") && ran.stderr.contains("503"), "{ran:?}");
    assert_eq!(parents.asked(), 2);
    sandbox.ours(&["rotate", "--force", "child"]).expect(0);
    assert_eq!((parents.asked(), children.asked()), (3, 1));
    daemon.stop();
}

#[test]
fn a_refused_credential_is_tried_by_rotate_and_not_by_each_token_command() {
    let sandbox = Sandbox::new();
    let server = Endpoint::first_saying(&[REFUSED, REFUSED]);
    sandbox.config(server.token("a", ""));
    let daemon = sandbox.daemon().spawn();
    failing(&sandbox, &daemon, "a");
    for args in [&["token", "a"][..], &["exec", "a", "--", "true"]] {
        let ran = sandbox.ours(args).expect(75);
        let said = &ran.stderr;
        assert!(said.contains("not asked: it was refused at 2") && said.contains("is tried again at 2"), "{said}");
        assert!(said.contains("invalid_client") && said.contains("renewd rotate a"), "{said}");
    }
    assert_eq!(server.asked(), 1, "a refused credential was sent for each who asks");
    let ran = sandbox.ours(&["rotate", "a"]).expect(1);
    assert!(!ran.stderr.contains("not asked") && ran.stderr.contains("invalid_client"), "{ran:?}");
    assert_eq!(server.asked(), 2);
    sandbox.ours(&["rotate", "a"]).expect(0);
    daemon.stop();
}

/// Who waits in vain is told since when it fails, not only how.
#[test]
fn who_waits_in_vain_is_told_since_when() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a").plain("nowhere/t"));
    let daemon = sandbox.daemon().spawn();
    failing(&sandbox, &daemon, "a");
    let ran = sandbox.ours(&["wait", "a", "--timeout", "200ms"]).expect(75);
    assert!(ran.stderr.contains("failing since 2") && ran.stderr.contains("nowhere"), "{ran:?}");
    daemon.stop();
}

#[test]
fn rotate_looks_again_at_what_was_lacking() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("out/ok");
    let two = token("two").plain("ok/two").plain("late/two");
    let secret = token("secret").secret("secret.file = \"later/secret\"");
    sandbox.config(format!("{two}{secret}{}", token("one").plain("later/one")));
    let daemon = sandbox.daemon().spawn();
    until("the folder that is there has it", || sandbox.out("ok/two").exists());
    let still = sandbox.ours(&["rotate", "one"]).expect(1);
    assert!(still.stderr.contains("out/later"), "{still:?}");
    for (name, folder, file) in [("two", "out/late", "late/two"), ("one", "out/later", "later/one")] {
        sandbox.mkdir(folder);
        sandbox.ours(&["rotate", name]).expect(0);
        assert!(sandbox.out(file).exists(), "{name}: {:?}", names_in(&sandbox.path("out")));
    }
    // `token` too; its credential stands in a folder that the watcher could not see.
    sandbox.ours(&["token", "secret"]).expect(75);
    sandbox.mkdir("later");
    fs::copy(sandbox.path("secret"), sandbox.path("later/secret")).expect("cp");
    sandbox.ours(&["token", "secret"]).expect(0);
    // A folder that vanished while it ran is no lack, and is looked at as well.
    // At once: a file that is removed alone would be written again before its folder is gone.
    fs::rename(sandbox.out("late"), sandbox.path("gone")).expect("mv");
    sandbox.ours(&["rotate", "--force", "two"]).expect(1);
    sandbox.mkdir("out/late");
    sandbox.ours(&["rotate", "--force", "two"]).expect(0);
    daemon.stop();
}

#[test]
fn what_was_done_is_told_on_a_terminal_alone() {
    let sandbox = Sandbox::new();
    let forever = token("forever").line("lifetime = \"never\"\nrotate_every = \"30d\"");
    sandbox.config(format!("{}{forever}", token("a")));
    let daemon = sandbox.start();
    let answer = sandbox.ask(&json!({"command": "rotate", "names": [], "force": true})).expect("an answer");
    let notes: Vec<&str> = answer["notes"].as_array().into_iter().flatten().filter_map(|note| note.as_str()).collect();
    assert!(
        matches!(notes[..], [a, f] if a.starts_with("a: renewed, valid until 2") && f.starts_with("forever: renewed"))
    );
    for args in [&["rotate", "--force"][..], &["reload"]] {
        let ran = sandbox.ours(args).expect(0);
        assert_eq!(ran.text(), "", "{args:?}");
    }
    if Command::new("script").arg("--version").output().is_err() {
        println!("what_was_done_is_told_on_a_terminal_alone: in part, there is no script(1)");
        return;
    }
    for (args, line) in
        [("rotate --force a", "a: renewed, valid until 2"), ("reload", "the config is read: 2 tokens, 2 files")]
    {
        let ours = format!("{} {args} -c config.toml", support::binary().display());
        let mut command = Command::new("script");
        command.args(["-qec", &ours, "/dev/null"]).current_dir(sandbox.dir()).env("HOME", sandbox.path("home"));
        let ran = sandbox.finish(command, "").expect(0);
        assert!(ran.stdout.contains(line), "{args}: {ran:?}");
    }
    daemon.stop();
}
