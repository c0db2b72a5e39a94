//! Owns: that every config which the README and the manual show is one that `check` takes, and that the example runs.
//! A block marked "toml check" is checked on a machine made for it: its folders, users and programs are replaced.
//! Does not: run a daemon.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;

use support::{Page, binary, openssl_in, pages, repository};

use super::{renewd, said};

/// RFC 8037 A.1 and RFC 7515 A.3.1: published keys.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
const SECRET: &str = "a-secret-of-the-tests-32-bytes-or-more\n";

/// The machine that the docs speak of, in a folder: `/etc/renewd` is `etc`, `/run/renewd` is `run`.
fn machine() -> tempfile::TempDir {
    let machine = tempfile::tempdir().expect("a temp folder");
    let at = |name: &str| machine.path().join(name);
    for folder in ["etc", "etc/run", "etc/config.d", "run", "srv"] {
        std::fs::create_dir(at(folder)).expect("mkdir");
    }
    let included =
        "[token.more]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret.file = \"../sunbird.secret\"\n".to_string();
    let files = [
        ("etc/sunbird.secret", SECRET.to_string()),
        ("etc/api.secret", SECRET.to_string()),
        ("etc/p256.pem", P256.to_string()),
        ("etc/ed25519.pem", ED25519.to_string()),
        ("etc/app.pem", rsa_key()),
        ("etc/tenant.key", SECRET.to_string()),
        ("etc/vault.json", r#"{"data":{"user":"jobs","password":"p"}}"#.to_string()),
        ("etc/portal.refresh", SECRET.to_string()),
        ("etc/login.password", SECRET.to_string()),
        ("etc/user.refresh", SECRET.to_string()),
        ("etc/service-account.json", service_account()),
        ("etc/netrc.tmpl", "machine api.example password {{ token }}\n".to_string()),
        ("etc/config.d/more.toml", included),
    ];
    for (name, text) in files {
        std::fs::write(at(name), text).expect("a file");
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o600)).expect("chmod");
    }
    certificate(&at("etc"));
    std::fs::copy(at("etc/client.crt"), at("etc/example-ca.pem")).expect("a copy");
    machine
}

/// As Google hands one out.
fn service_account() -> String {
    serde_json::json!({
        "type": "service_account",
        "private_key_id": "k1",
        "private_key": rsa_key(),
        "client_email": "jobs@project.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

fn certificate(folder: &Path) {
    let made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=jobs"];
    openssl_in(folder, &[&made[..], &["-keyout", "client.key", "-out", "client.crt"]].concat());
}

/// As GitHub hands one out, but PKCS#8.
fn rsa_key() -> String {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).expect("a key");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
    pem::encode(&pem::Pem::new("PRIVATE KEY", der.as_ref()))
}

#[test]
fn every_config_checks_out() {
    let machine = machine();
    let folder = machine.path().display().to_string();
    let group = rustix::process::getegid().as_raw().to_string();
    let mut checked = 0;
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.info == "toml check") {
            let text = block
                .text
                .replace("\"/tmp/", &format!("\"{folder}/run/"))
                .replace("\"/run/renewd/", &format!("\"{folder}/run/"))
                .replace("\"$XDG_RUNTIME_DIR/", &format!("\"{folder}/run/"))
                .replace("\"/etc/renewd/", &format!("\"{folder}/etc/"))
                .replace("\"/var/lib/renewd\"", &format!("\"{folder}/state\""))
                .replace("\"/usr/local/bin/tell-orders\"", "\"true\"")
                .replace("\"/usr/local/bin/page\"", "\"true\"")
                .replace("\"/usr/local/bin/get-token\"", "\"true\"")
                .replace("\"/usr/local/bin/login\"", "\"true\"")
                .replace("[\"pass\", \"show\", \"api\"]", &format!("[\"cat\", \"{folder}/etc/api.secret\"]"))
                .replace("[\"pass\", \"show\", \"gateway\"]", &format!("[\"cat\", \"{folder}/etc/api.secret\"]"))
                .replace("[\"az\"", "[\"true\"")
                .replace("[\"aws\"", "[\"true\"")
                .replace("\"jobs\"", &format!("\"{group}\""));
            let config = machine.path().join("etc/config.toml");
            std::fs::write(&config, &text).expect("the config");
            std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).expect("chmod");
            let output = renewd(machine.path()).args(["check", "-c"]).arg(&config).output().expect("renewd starts");
            let place = format!("{}, line {}", page.path.display(), block.line);
            assert!(output.status.success(), "{place}: {}", said(&output));
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked} configs found");
}

/// The command below a mark of the README.
fn command(mark: &str) -> String {
    let mut blocks = Page::open("README.md").blocks().into_iter();
    let block = blocks.find(|block| block.above == format!("<!-- {mark} -->")).expect("the mark");
    assert_eq!((block.info.as_str(), block.text.lines().count()), ("sh", 1), "it is one line, to be copied as one");
    block.text.trim_end().to_owned()
}

#[test]
fn the_tests_are_run_by_one_command() {
    assert_eq!(command("tests"), "cargo test");
}

#[test]
fn the_example_runs_as_it_is_twice_and_a_job_reads_it() {
    let clone = tempfile::tempdir().expect("a temp folder");
    std::fs::create_dir(clone.path().join("example")).expect("mkdir");
    for name in ["config.example.toml", "example/sunbird.secret"] {
        std::fs::copy(repository().join(name), clone.path().join(name)).expect("a copy");
        // As git checks it out.
        std::fs::set_permissions(clone.path().join(name), std::fs::Permissions::from_mode(0o644)).expect("chmod");
    }
    let line = command("main-job");
    assert!(line.starts_with("cargo run -- once -c config.example.toml && "), "nothing comes before it");
    let line = line.replace("cargo run --", &binary().display().to_string());
    let first = run(&line, clone.path());
    assert!(first.contains("a job has a token for 3600 seconds: eyJ") || first.contains("for 3599 seconds"), "{first}");
    let token = std::fs::read_to_string(clone.path().join("example/sunbird.token")).expect("the token");
    let (header, rest) = token.split_once('.').expect("a JWS");
    assert!(first.contains(header) && !first.contains(rest), "it shows that there is one, and not the token: {first}");
    run(&line, clone.path());
    let again = std::fs::read_to_string(clone.path().join("example/sunbird.token")).expect("the token");
    assert_eq!(again, token, "the second run keeps the token");
    assert!(!clone.path().join("example/control.sock").exists());
}

fn run(line: &str, folder: &Path) -> String {
    let output = Command::new("sh").args(["-c", line]).current_dir(folder).output().expect("sh starts");
    assert!(output.status.success(), "{}", said(&output));
    let quiet = String::from_utf8_lossy(&output.stderr).lines().all(|line| !line.contains("warning"));
    assert!(quiet, "it warns of nothing: {}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}
