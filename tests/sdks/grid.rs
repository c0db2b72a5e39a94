//! WLCG bearer token discovery by scitokens: it finds our file in each place that needs no root, and verifies what is in it.
//! Not tried: /tmp/bt_u$UID itself, which belongs to whoever runs the tests.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use crate::issuers::text;
use crate::job::Job;
use crate::page::part;
use crate::venv::{Venv, venv};
use support::{Jwt, Sandbox, openssl};

/// The key that the page's configs name; where its public half is.
fn keys(sandbox: &Sandbox) -> String {
    let (key, public) = (text(sandbox.path("p256.pem")), text(sandbox.path("p256.pub")));
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", &key], b"");
    openssl(&["pkey", "-in", &key, "-pubout", "-out", &public], b"");
    public
}

/// The same process finds the token of the file, and after a rotation the new one.
#[track_caller]
fn finds(venv: &Venv, sandbox: &Sandbox, environment: &[(String, String)], public: &str, file: &Path) {
    let claims = || -> Value { Jwt::parse(&std::fs::read_to_string(file).expect("the token")).expect("a JWT").claims };
    let mut job = Job::start(venv, sandbox, &["wlcg", public], environment);
    let first = claims();
    assert_eq!(job.ask(), first);
    assert!(sandbox.rotate(&[]), "a rotation");
    let second = claims();
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(job.ask(), second);
}

#[test]
fn scitokens_finds_the_file_that_bearer_token_file_names() {
    let Some(venv) = venv("scitokens_finds_the_file_that_bearer_token_file_names") else { return };
    let (sandbox, part) = (Sandbox::new(), part("transfer"));
    let public = keys(&sandbox);
    sandbox.config(part.config(&sandbox));
    let daemon = sandbox.start();
    finds(&venv, &sandbox, &part.environment(&sandbox), &public, &sandbox.out("transfer.token"));
    daemon.stop();
}

#[test]
fn scitokens_finds_the_file_in_the_users_runtime_folder() {
    let Some(venv) = venv("scitokens_finds_the_file_in_the_users_runtime_folder") else { return };
    let sandbox = Sandbox::new();
    let public = keys(&sandbox);
    let user = rustix::process::geteuid().as_raw();
    let name = format!("bt_u{user}");
    let config = part("wlcg").config(&sandbox);
    assert!(config.contains("\"$XDG_RUNTIME_DIR/bt_u1000\""), "{config}");
    sandbox.config(config.replace("bt_u1000", &name));
    let folder = text(sandbox.path("out"));
    let daemon = sandbox.daemon().env("XDG_RUNTIME_DIR", &folder).ready();
    let meta = sandbox.out(&name).metadata().expect("the token");
    assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o600, user), "its user's alone");
    finds(&venv, &sandbox, &[("XDG_RUNTIME_DIR".into(), folder)], &public, &sandbox.out(&name));
    daemon.stop();
}
