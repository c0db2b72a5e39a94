//! The promise: `init` writes a config that `check` takes and the file of its secret, for each kind; both or neither; it
//! overwrites nothing, and refuses a secret or key that does not fit. Here without a terminal: by flags and stdin.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Ran, SECRET, Sandbox, names_in, openssl};

/// A P-256 key, made for this test.
pub(crate) const P256: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgehMXJLI/JEzCHJPb\n\
XwUO5qfMjv3uY4pokh+SE6tEovehRANCAASdw3BjFqtnKQNrVOUKYxRCCfOmlB7Y\n\
0Dbm+Av/X/M7Yi05PHZm1Gskijnn46322eNVIezQ/bHoHmEnvwv5vYdo\n\
-----END PRIVATE KEY-----\n";

pub(crate) fn rsa() -> String {
    String::from_utf8(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], b"")).expect("PEM")
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o7777
}

/// `init` in a folder of its own.
fn init(sandbox: &Sandbox, args: &[&str], secret: &str) -> Ran {
    sandbox.run_with(&[&["init", "-c", "made/config.toml"], args].concat(), secret, &[])
}

/// Runs `init`, and `check` and a look at what was written.
#[track_caller]
fn good(args: &[&str], secret: &str, file: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.script("get-token", "echo x");
    let ran = init(&sandbox, args, secret).expect(0);
    assert!(ran.stderr.is_empty() && ran.stdout.contains("next:"), "{ran:#?}");
    assert!(!ran.stdout.contains("note:"), "nothing is missing: {ran:#?}");
    let config = sandbox.path("made/config.toml");
    assert_eq!(mode(&config), 0o600);
    assert_eq!(mode(&sandbox.path("made")), 0o700);
    if !file.is_empty() {
        let kept = std::fs::read_to_string(sandbox.path("made").join(file)).expect("the secret");
        assert_eq!(kept.trim_end(), secret.trim_end());
        assert_eq!(mode(&sandbox.path("made").join(file)), 0o600);
    }
    let mut names = vec!["config.toml", "tokens"];
    names.extend([file].iter().filter(|file| !file.is_empty()));
    names.sort_unstable();
    assert_eq!(names_in(&sandbox.path("made")), names, "nothing else is left");
    let ran = sandbox.run(&["check", "-c", "made/config.toml"]).expect(0);
    assert!(ran.stdout.contains("ok: 1 token, 1 output\n") && ran.stderr.is_empty(), "{args:?}: {ran:#?}");
    let text = std::fs::read_to_string(config).expect("the config");
    assert!(text.contains("# ") && !text.contains(secret.trim_end()) || secret.is_empty(), "{text}");
    sandbox
}

#[test]
fn every_kind_makes_a_config_that_check_takes() {
    let sandbox = good(&["--for", "sunbird", "--key", "k1"], SECRET, "sunbird.secret");
    sandbox.run(&["once", "-c", "made/config.toml"]).expect(0);
    let ran = sandbox.run(&["inspect", "sunbird", "-c", "made/config.toml", "--secret-file", "made/sunbird.secret"]);
    assert!(ran.expect(0).stdout.contains("\"iss\": \"k1\""));
    good(&["--for", "kong", "--key", "nightly", "--name", "a.b"], SECRET, "a.b.secret");
    let url = "https://idp.example/token";
    good(&["--for", "oauth2", "--issuer", "https://idp.example", "--client-id", "jobs"], "hunter2\n", "api.secret");
    good(&["--for", "oauth2", "--url", url, "--client-id", "j \"q\"", "--scope", "a b"], "hunter2\n", "api.secret");
    for installation in ["67890", "acme", "acme/jobs"] {
        let args = ["--for", "github-app", "--client-id", "12345", "--installation", installation];
        good(&args, &rsa(), "github.pem");
    }
    good(&["--for", "github-app", "--client-id", "Iv23liAb", "--installation", "1"], &rsa(), "github.pem");
    let account = serde_json::json!({
        "type": "service_account", "private_key_id": "k1", "private_key": rsa(),
        "client_email": "jobs@project.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
    });
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    good(&["--for", "google", "--scope", scope], &format!("{account:#}"), "google.json");
    let entra = [
        "--for",
        "entra",
        "--tenant",
        "contoso.onmicrosoft.com",
        "--client-id",
        "66666666-7777-8888-9999-000000000000",
    ];
    good(&entra, "hunter2", "entra.secret");
    good(&["--for", "apns", "--key", "ABC123DEFG", "--team", "DEF123GHIJ"], P256, "apns.p8");
    good(&["--for", "http", "--url", "https://api.example/login"], "hunter2", "portal.secret");
    let sandbox = good(&["--for", "command", "--program", "/bin/echo"], "", "");
    assert!(!sandbox.path("made/command.secret").exists());
}

#[test]
fn a_secret_may_come_from_a_file() {
    let sandbox = Sandbox::new();
    init(&sandbox, &["--for", "sunbird", "--key", "k", "--secret-file", "secret"], "").expect(0);
    let kept = std::fs::read_to_string(sandbox.path("made/sunbird.secret")).expect("the secret");
    assert_eq!(kept, format!("{SECRET}\n"));
    let sandbox = Sandbox::new();
    let args = ["--for", "command", "--program", "/bin/echo", "--secret-file", "-"];
    init(&sandbox, &args, "hunter2\r\n").expect(0);
    assert_eq!(std::fs::read_to_string(sandbox.path("made/command.secret")).expect("the secret"), "hunter2\n");
    sandbox.run(&["check", "-c", "made/config.toml"]).expect(0);
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let rsa = rsa();
    let public = String::from_utf8(openssl(&["pkey", "-pubout"], P256.as_bytes())).expect("PEM");
    let apns = ["--for", "apns", "--key", "ABC123DEFG", "--team", "DEF123GHIJ"];
    let github = ["--for", "github-app", "--client-id", "1", "--installation", "2"];
    let sunbird = ["--for", "sunbird", "--key", "k"];
    let cases: [(&[&str], &str, i32, &str); 13] = [
        (&apns, &rsa, 1, "does not fit: ES256"),
        (&apns, &public, 1, "not usable"),
        (&apns, SECRET, 1, "not usable"),
        (&github, P256, 1, "private key"),
        (&["--for", "google", "--scope", "https://x"], "{}", 1, "service"),
        (&sunbird, "hunter2", 1, "too short"),
        (&sunbird, "", 1, "there is no secret"),
        (&sunbird, "\n", 1, "there is no secret"),
        (&["--for", "http", "--url", "http://api.example/x"], "hunter2", 1, "http"),
        (&["--for", "command", "--program", "/nonexistent"], "", 1, "/nonexistent"),
        (&["--for", "sunbird"], SECRET, 64, "needs --key too"),
        (&["--for", "sunbird", "--key", "k", "--tenant", "t"], SECRET, 64, "--tenant does not go with --for sunbird"),
        (&["--for", "sunbird", "--key", "k", "--name", "a b"], SECRET, 64, "--name"),
    ];
    for (args, secret, code, said) in cases {
        let sandbox = Sandbox::new();
        let ran = init(&sandbox, args, secret).expect(code);
        assert!(ran.stderr.contains(said), "{args:?}: {ran:#?}");
        assert!(secret.trim().is_empty() || secret == "{}" || !ran.text().contains(secret.trim()), "{ran:#?}");
        assert!(!ran.text().contains(".init-"), "the draft's name is nobody's concern: {ran:#?}");
        assert!(!sandbox.path("made").exists(), "{args:?}: {:?}", names_in(&sandbox.path("made")));
    }
    let ran = Sandbox::new().run(&["init"]).expect(64);
    assert!(ran.stderr.contains("--for is missing: one of sunbird, kong"), "{ran:#?}");
}

#[test]
fn nothing_is_overwritten() {
    let args = ["--for", "sunbird", "--key", "k"];
    let sandbox = Sandbox::new();
    sandbox.mkdir("made");
    sandbox.put("made/sunbird.secret", "older");
    let ran = init(&sandbox, &args, SECRET).expect(1);
    assert!(ran.stderr.contains("made/sunbird.secret is there already"), "{ran:#?}");
    assert_eq!(names_in(&sandbox.path("made")), ["sunbird.secret"]);
    assert_eq!(std::fs::read_to_string(sandbox.path("made/sunbird.secret")).expect("the secret"), "older");

    std::fs::remove_file(sandbox.path("made/sunbird.secret")).expect("rm");
    sandbox.put("made/config.toml", "[daemon]\n");
    let ran = init(&sandbox, &args, SECRET).expect(1);
    assert!(ran.stderr.contains("made/config.toml is there already") && ran.stderr.contains("include = "), "{ran:#?}");
    assert_eq!(names_in(&sandbox.path("made")), ["config.toml"]);
    sandbox.put("made/config.toml", "[daemon\n");
    assert!(init(&sandbox, &args, SECRET).expect(1).stderr.contains("not TOML"));
    // A link that leads nowhere is somebody's, too.
    std::fs::remove_file(sandbox.path("made/config.toml")).expect("rm");
    std::os::unix::fs::symlink("elsewhere", sandbox.path("made/config.toml")).expect("ln");
    init(&sandbox, &args, SECRET).expect(1);
    assert_eq!(names_in(&sandbox.path("made")), ["config.toml"]);
}

#[test]
fn a_config_that_includes_others_gets_a_file_more() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("made");
    sandbox.put("made/config.toml", "include = [\"config.d/*.toml\"]\n[daemon]\ncontrol_socket = \"tokens/c.sock\"\n");
    init(&sandbox, &["--for", "sunbird", "--key", "k1"], SECRET).expect(0);
    init(&sandbox, &["--for", "kong", "--key", "k2"], SECRET).expect(0);
    assert_eq!(names_in(&sandbox.path("made/config.d")), ["kong.toml", "sunbird.toml"]);
    let ran = sandbox.run(&["check", "-c", "made/config.toml"]).expect(0);
    assert!(ran.stdout.contains("ok: 2 tokens, 2 outputs\n"), "{ran:#?}");
    sandbox.run(&["once", "-c", "made/config.toml"]).expect(0);
    // A name of the config is taken; so is the path of another token's file, which only the whole config knows.
    let ran = init(&sandbox, &["--for", "kong", "--key", "k", "--name", "sunbird"], SECRET).expect(1);
    assert!(ran.stderr.contains("has a token sunbird already"), "{ran:#?}");
    let taken = sandbox.path("made/tokens/kong.token").display().to_string();
    let ran = init(&sandbox, &["--for", "kong", "--key", "k", "--name", "third", "--output", &taken], SECRET).expect(1);
    assert!(ran.stderr.contains("would be refused"), "{ran:#?}");
    assert_eq!(names_in(&sandbox.path("made/config.d")), ["kong.toml", "sunbird.toml"]);
    assert_eq!(names_in(&sandbox.path("made")), ["config.d", "config.toml", "kong.secret", "sunbird.secret", "tokens"]);
}

#[test]
fn a_missing_folder_of_the_output_is_told_and_is_no_hindrance() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("gone/a.token").display().to_string();
    let ran = init(&sandbox, &["--for", "sunbird", "--key", "k", "--output", &out], SECRET).expect(0);
    assert!(ran.stdout.contains("note: ") && ran.stdout.contains("/gone"), "{ran:#?}");
    assert!(!ran.stdout.contains(".init-"), "{ran:#?}");
    sandbox.run(&["check", "-c", "made/config.toml"]).expect(78);
}
