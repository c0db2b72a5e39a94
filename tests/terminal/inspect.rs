//! The promise: `inspect` finds a token where it stands: as an argument in the forms people have it in, in a file of renewd's,
//! by its NAME in the outputs on disk; what could be two things is decided as --help says, and nothing secret is echoed.

use std::os::unix::fs::PermissionsExt;

use support::{Ran, SECRET, Sandbox, is_root, token};

/// A token with this issuer.
fn made(sandbox: &Sandbox, key: &str) -> String {
    let ran = sandbox.run(&["generate", "--key", key, "--secret-file", "secret"]).expect(0);
    ran.stdout.trim().to_owned()
}

#[track_caller]
fn shows(ran: Ran, issuer: &str) {
    let ran = ran.expect(0);
    assert!(ran.stdout.contains(&format!("\"iss\": \"{issuer}\"")) && ran.stderr.is_empty(), "{ran:#?}");
}

#[test]
fn every_form_of_renewds_is_read_as_an_argument_a_file_and_on_stdin() {
    let sandbox = Sandbox::new();
    let token = made(&sandbox, "me");
    for text in [
        token.clone(),
        format!("Authorization: Bearer {token}"),
        format!("authorization: bearer {token}\n"),
        format!("Bearer {token}"),
        format!("A_TOKEN={token}"),
        format!("# a comment\n\nA_TOKEN={token}\nA_TOKEN_EXPIRES_AT=1795787119\n"),
        format!("export A_TOKEN='{token}'"),
        format!("export A_TOKEN=\"{token}\"\n"),
        format!("{{\"name\": \"a\", \"token\": \"{token}\", \"issued_at\": \"x\", \"expires_at\": null}}\n"),
    ] {
        shows(sandbox.run(&["inspect", &text, "--secret-file", "secret"]), "me");
        shows(sandbox.run_with(&["inspect", "--secret-file", "secret"], &text, &[]), "me");
        sandbox.put("it", &text);
        shows(sandbox.run(&["inspect", "./it", "--secret-file", "secret"]), "me");
        shows(sandbox.run(&["inspect", "it"]), "me");
    }
}

#[test]
fn of_several_variables_one_is_chosen() {
    let sandbox = Sandbox::new();
    let (a, b) = (made(&sandbox, "a"), made(&sandbox, "b"));
    sandbox.put("jobs.env", format!("A_TOKEN={a}\nA_TOKEN_EXPIRES_AT=1\nB_TOKEN={b}\nOTHER=x\n"));
    let ran = sandbox.run(&["inspect", "./jobs.env"]).expect(64);
    assert!(ran.stderr.contains("--variable") && ran.stderr.contains("A_TOKEN, B_TOKEN\n"), "{ran:#?}");
    shows(sandbox.run(&["inspect", "./jobs.env", "--variable", "B_TOKEN"]), "b");
    let ran = sandbox.run(&["inspect", "./jobs.env", "--variable", "C"]).expect(1);
    assert!(ran.stderr.contains("no variable C"), "{ran:#?}");
    sandbox.run(&["inspect", &a, "--variable", "A"]).expect(0);
    sandbox.run(&["inspect", &format!("Bearer {a}"), "--variable", "A"]).expect(64);
    sandbox.put("none.env", "A=1\nB=2\n");
    let ran = sandbox.run(&["inspect", "./none.env"]).expect(1);
    assert!(ran.stderr.contains("none of its variables holds a JWT: A, B"), "{ran:#?}");
}

#[test]
fn a_name_is_read_from_its_outputs_and_never_obtained() {
    let sandbox = Sandbox::new();
    let lonely = token("lonely").without_output();
    let template = token("made").output("format = \"template\"\npath = \"out/made\"\ntemplate = \"x.tmpl\"");
    let shared = |name: &str, variable: &str| token(name).env("jobs.env", variable);
    sandbox.put("x.tmpl", "{{ token }}");
    sandbox.config(format!("{}{lonely}{template}{}{}", token("plain"), shared("a", "A"), shared("b", "B")));
    // Nothing is there yet, and nothing is made.
    let ran = sandbox.ours(&["inspect", "plain"]).expect(1);
    assert!(ran.stderr.contains("there is no ") && ran.stderr.contains("out/plain.token"), "{ran:#?}");
    assert!(ran.stderr.contains("`renewd token plain | renewd inspect -`"), "{ran:#?}");
    assert!(!sandbox.path("state").exists() && !sandbox.out("plain.token").exists());

    sandbox.ours(&["once"]).expect(0);
    shows(sandbox.ours(&["inspect", "plain"]), "key-plain");
    shows(sandbox.ours(&["inspect", "a"]), "key-a");
    shows(sandbox.ours(&["inspect", "b"]), "key-b");
    assert!(sandbox.ours(&["inspect", "lonely"]).expect(1).stderr.contains("has no output"));
    assert!(sandbox.ours(&["inspect", "made"]).expect(1).stderr.contains("made by a template"));
    // The NAME comes before a file of the working folder; a path says which is meant.
    sandbox.put("plain", made(&sandbox, "file"));
    shows(sandbox.ours(&["inspect", "plain"]), "key-plain");
    shows(sandbox.ours(&["inspect", "./plain"]), "file");
    // The secret is not looked at.
    std::fs::remove_file(sandbox.path("secret")).expect("the secret");
    shows(sandbox.ours(&["inspect", "plain"]), "key-plain");
}

#[test]
fn who_may_not_read_it_is_told_who_may() {
    if !is_root("who_may_not_read_it_is_told_who_may") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    sandbox.ours(&["once"]).expect(0);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(sandbox.path("config.toml"), open).expect("chmod");
    let mut command = sandbox.command(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.args(["inspect", "a", "-c"]).arg(sandbox.path("config.toml"));
    let ran = sandbox.finish(command, "").expect(1);
    assert!(ran.stderr.contains("nobody may not read "), "{ran:#?}");
    assert!(ran.stderr.contains("it belongs to root, group root, mode 0600"), "{ran:#?}");
}

#[test]
fn garbage_is_one_sentence_that_does_not_repeat_it() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    for text in [SECRET, "hunter2", "two words", "a.b.c", "X=hunter2", "Bearer hunter2", "{\"a\": \"hunter2\"}", "{"] {
        for ran in [sandbox.ours(&["inspect", text]), sandbox.run_with(&["inspect", "-"], text, &[])] {
            let ran = ran.expect(1);
            assert!(ran.stdout.is_empty() && ran.stderr.starts_with("error: "), "{text}: {ran:#?}");
            assert_eq!(ran.stderr.lines().count(), 1, "{text}: {ran:#?}");
            assert!(!ran.stderr.contains("hunter2") && !ran.stderr.contains(SECRET), "{text}: {ran:#?}");
        }
    }
    assert!(sandbox.run(&["inspect", "./out"]).expect(1).stderr.contains("is a folder"));
    assert!(sandbox.run(&["inspect", "./gone"]).expect(1).stderr.contains("there is no ./gone"));
    assert!(sandbox.ours(&["inspect", "nosuch"]).expect(1).stderr.contains("has no token of that name"));
}
