//! Owns: credentials that a program prints, and credentials inside a JSON document: `secret.command` and `secret.pointer`.
//! Does not: know what a credential is for (`config_errors` has each in each place).

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use support::{SECRET, Sandbox, until};

/// A token that is the same for the same secret.
fn token(name: &str, secret: &str) -> String {
    format!(
        "[token.{name}]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"K\"\nlifetime = \"never\"\nrotate_every = \"30d\"\n\
         claims = {{ iat = false, jti = false }}\nsecret = {{ {secret} }}\noutput = [{{ format = \"token\", path = \"out/{name}\" }}]\n"
    )
}

/// A script, as `command` names it.
fn script(sandbox: &Sandbox, name: &str, body: &str) -> String {
    format!("command = [{:?}]", sandbox.script(name, body).display().to_string())
}

#[test]
fn what_a_program_prints_is_the_secret() {
    let sandbox = Sandbox::new();
    let printed = script(&sandbox, "print", "cat secret; echo chatter >&2");
    let document = script(&sandbox, "document", &format!("echo '{{\"data\": {{\"a/b\": [\"{SECRET}\"]}}}}'"));
    sandbox.put("vault.json", format!("{{\"data\": {{\"secret\": \"{SECRET}\"}}}}\n"));
    let encoded = data_encoding::BASE64.encode(SECRET.as_bytes());
    sandbox.config(
        [
            token("plain", "file = \"secret\""),
            token("printed", &printed),
            token("document", &format!("{document}, pointer = \"/data/a~1b/0\"")),
            token("pointed", "file = \"vault.json\", pointer = \"/data/secret\""),
            token("inline", &format!("value = '{{\"s\": \"{encoded}\"}}', pointer = \"/s\", encoding = \"base64\"")),
            token("variable", "env = \"VAULT\", pointer = \"/s\""),
        ]
        .concat(),
    );
    let vault = format!("{{\"s\": \"{SECRET}\"}}");
    sandbox.run_with(&["once", "-c", "config.toml"], "", &[("VAULT", &vault)]).expect(0);
    let plain = sandbox.read("plain");
    for name in ["printed", "document", "pointed", "inline", "variable"] {
        assert_eq!(sandbox.read(name), plain, "{name}");
    }
}

#[test]
fn a_jwk_and_pem_inside_a_document_are_keys() {
    let sandbox = Sandbox::new();
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    // RFC 8410 10.3 as a JWK: the same key.
    let jwk = serde_json::json!({
        "kty": "OKP", "crv": "Ed25519",
        "d": "1O5y2_kTWErVttjx92n4rTr-fCjL8dT74Jeoj0R1WEI",
        "x": "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE",
    });
    let bare: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    sandbox.put("keys.json", serde_json::json!({ "pem": pem, "jwk": jwk, "der": bare }).to_string());
    sandbox.put("bare", &bare);
    let token = |name: &str, key: &str| {
        let secret = token(name, "file = \"secret\"");
        secret
            .replace("HS256", "EdDSA")
            .replace("secret = { file = \"secret\" }", &format!("private_key = {{ {key} }}"))
    };
    sandbox.config(
        [
            token("pem", "file = \"keys.json\", pointer = \"/pem\""),
            token("jwk", "file = \"keys.json\", pointer = \"/jwk\""),
            token("der", "file = \"keys.json\", pointer = \"/der\""),
            token("bare", "file = \"bare\""),
        ]
        .concat(),
    );
    sandbox.ours(&["once"]).expect(0);
    let tokens: Vec<_> = ["pem", "jwk", "der", "bare"].map(|name| sandbox.read(name)).into();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[test]
fn what_is_wrong_with_a_document_is_said_without_it() {
    let sandbox = Sandbox::new();
    for (document, words) in [
        ("hunter2", "it is not JSON (line 1, column 1)"),
        ("{\"hunter2\": 1}", "nothing stands at `/s`"),
        ("{\"s\": [\"hunter2\"]}", "at `/s` stands a list, not a text"),
        ("{\"s\": null}", "at `/s` stands null, not a text"),
        ("{\"s\": 12345}", "what stands at `/s` is no text: it has no quotes"),
        ("{\"s\": \"\"}", "is empty"),
        ("{\"s\": \"a\", \"s\": \"hunter2\"}", "a member of it stands twice"),
    ] {
        sandbox.put("vault.json", document);
        sandbox.config(token("a", "file = \"vault.json\", pointer = \"/s\""));
        let told = sandbox.ours(&["check"]).expect(78).text();
        assert!(told.contains(words) && told.contains("the secret of token `a`"), "{document}: {told}");
        assert!(!told.contains("hunter2") && !told.contains("12345"), "{told}");
    }
}

#[test]
fn a_program_that_fails_is_told_in_its_own_words_but_for_secrets() {
    let sandbox = Sandbox::new();
    let none = "command = [\"/no/such/program\"]".to_owned();
    for (command, words) in [
        (none, "`/no/such/program` (or the interpreter that it names) was not found"),
        (script(&sandbox, "fails", "echo no such entry >&2; exit 3"), "exited with status 3: no such entry"),
        (script(&sandbox, "silent", "exit 4"), "exited with status 4"),
        (script(&sandbox, "killed", "kill -9 $$"), "was killed by signal 9"),
        (
            script(&sandbox, "tells", "echo hunter2-is-it; echo it is hunter2-is-it >&2; exit 1"),
            "status 1: it is [masked]",
        ),
        (script(&sandbox, "empty", "true"), "is empty"),
        (
            script(&sandbox, "large", "exec head -c 3000000 /dev/zero"),
            "it printed more than 1 MiB, which is no credential",
        ),
        (script(&sandbox, "hangs", "sleep 600 & wait"), "was stopped: it ran longer than its timeout of 10s"),
    ] {
        sandbox.config(token("a", &command));
        let told = sandbox.ours(&["check"]).expect(78).text();
        assert!(told.contains(words) && !told.contains("hunter2"), "{command}: {told}");
        // What needs no such secret is obtained all the same.
        if !command.contains("hangs") {
            sandbox.config(token("a", &command) + &token("b", "file = \"secret\""));
            sandbox.ours(&["once"]).expect(78);
            assert!(!sandbox.read("b").is_empty());
            fs::remove_file(sandbox.out("b")).unwrap();
        }
    }
}

#[test]
fn nothing_is_run_for_a_config_that_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let command = script(&sandbox, "print", "touch ran; cat secret");
    let config = sandbox.config(token("a", &command) + "odd = 1\n");
    let told = sandbox.ours(&["check"]).expect(78).text();
    assert!(!sandbox.path("ran").exists() && !told.contains("was not run"), "{told}");
    sandbox.config(token("a", &command));
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();
    let told = sandbox.ours(&["check"]).expect(78).text();
    assert!(!sandbox.path("ran").exists() && told.contains("anybody may write"), "{told}");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.ours(&["check"]).expect(0);
    assert!(sandbox.path("ran").exists());
}

#[test]
fn a_program_finds_the_environment_of_the_daemon_without_its_secrets() {
    let sandbox = Sandbox::new();
    let command = script(&sandbox, "print", "env > seen; cat secret");
    sandbox.config(token("a", &command) + &token("b", "env = \"OTHER\""));
    let env = [("OTHER", SECRET), ("PASSWORD_STORE_DIR", "/store"), ("NOTIFY_SOCKET", "/n")];
    sandbox.run_with(&["check", "-c", "config.toml"], "", &env).expect(0);
    let seen = fs::read_to_string(sandbox.path("seen")).unwrap();
    assert!(seen.contains("PASSWORD_STORE_DIR=/store"), "{seen}");
    assert!(!seen.contains("OTHER=") && !seen.contains("NOTIFY_SOCKET="), "{seen}");
}

/// What a program prints is known by running it: a reload does, and nothing else. So many tokens that a reading leaves out those that
/// did not change.
#[test]
fn a_reload_runs_it_again_and_a_failure_keeps_the_old_secret() {
    let sandbox = Sandbox::new();
    let many: String = (0..150).map(|n| token(&format!("t{n}"), "file = \"secret\"")).collect();
    let command = script(&sandbox, "print", "[ -e locked ] && { echo locked >&2; exit 2; }; cat store");
    sandbox.put("store", SECRET);
    sandbox.config(token("a", &command) + &many);
    let daemon = sandbox.start();
    let (before, other) = (sandbox.read("a"), sandbox.read("t7"));
    let hash = |name: &str| daemon.token(name)["issued_at"].to_string();
    let issued = hash("t7");

    sandbox.put("store", SECRET.to_uppercase());
    daemon.reloaded_by(|| daemon.send(Signal::HUP));
    until("another token", || sandbox.read("a") != before);
    assert_eq!((sandbox.read("t7"), hash("t7")), (other, issued), "nothing else is obtained again");

    let after = sandbox.read("a");
    sandbox.put("locked", "");
    daemon.reloaded_by(|| daemon.send(Signal::HUP));
    until("it is told", || daemon.config_error().contains("exited with status 2: locked"));
    assert_eq!(sandbox.read("a"), after);
    fs::remove_file(sandbox.path("locked")).unwrap();
    daemon.reloaded_by(|| daemon.send(Signal::HUP));
    assert_eq!(daemon.config_error(), "");
    daemon.stop();
}

/// A reading takes as long as its slowest program, and not as long as all of them.
#[test]
fn programs_run_beside_each_other_and_once_for_all_that_name_them() {
    let sandbox = Sandbox::new();
    let body = "echo x >> count; while [ ! -e go ]; do sleep 0.02; done; cat secret";
    let one = script(&sandbox, "one", body);
    let other = script(&sandbox, "other", &format!("touch go; {body}"));
    sandbox.config(token("a", &one) + &token("b", &one) + &token("c", &other));
    let ran = sandbox.ours(&["once"]).expect(0);
    assert!(ran.took < Duration::from_secs(9), "{ran:?}");
    assert_eq!(fs::read_to_string(sandbox.path("count")).unwrap().lines().count(), 2);
}
