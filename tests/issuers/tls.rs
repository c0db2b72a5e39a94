//! An issuer with a private CA, and a client that authenticates by its certificate (RFC 8705).

use serde_json::json;

use crate::host::token;
use crate::issuer::{Issuer, Tls};
use support::pki::{CLIENT, HERE, Pki};
use support::{Sandbox, until};

#[test]
fn a_private_ca_and_a_client_certificate() {
    let sandbox = Sandbox::new();
    let pki = Pki::at(sandbox.dir());
    let ca = pki.authority("ca");
    pki.authority("other-ca");
    let cert = pki.issue("server", "2", HERE);
    let key = sandbox.path("server.key");
    let client = |of: &str| format!("{CLIENT}subjectAltName=DNS:{of}.example\n");
    pki.issue("jobs", "2", &client("jobs"));
    pki.issue("stranger", "2", &client("stranger"));
    pki.issue_by("other-ca", "forged", "2", &client("jobs"));
    let clients = json!([
        {"client_id": "jobs", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "jobs.example",
            "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": []},
        {"client_id": "secret", "client_secret": "a-secret-of-thirty-two-characters",
            "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": []},
    ]);
    let tls = Tls { cert: &cert, key: &key, ca: &ca };
    let test = "a_private_ca_and_a_client_certificate";
    let Some(idp) = Issuer::oidc(test, &sandbox, &clients, Some(&tls)) else { return };
    sandbox.put("client.secret", "a-secret-of-thirty-two-characters");
    let oauth2 = |client: &str, more: &str| {
        let issuer = &idp.issuer;
        format!(
            "source = \"oauth2\"\nissuer = \"{issuer}\"\ngrant = \"client_credentials\"\nclient_id = \"{client}\"\n{more}"
        )
    };
    let by = |name: &str| {
        oauth2(
            "jobs",
            &format!("ca_file = \"ca.crt\"\nclient_cert.file = \"{name}.crt\"\nclient_key.file = \"{name}.key\""),
        )
    };
    let secret = "client_secret.file = \"client.secret\"";
    sandbox.config(
        [
            token("good", &by("jobs")),
            token("stranger", &by("stranger")),
            token("forged", &by("forged")),
            token("secret", &oauth2("secret", &format!("ca_file = \"ca.crt\"\n{secret}"))),
            token("untrusting", &oauth2("secret", secret)),
        ]
        .concat(),
    );
    let daemon = sandbox.daemon().spawn();
    let token = |name: &str| daemon.token(name);
    for name in ["good", "secret"] {
        until("a token", || sandbox.path("control.sock").exists() && token(name)["state"] == "valid");
    }
    for (name, reason, words) in [
        ("stranger", "rejected", "invalid_client"),
        ("forged", "rejected", "invalid_client"),
        ("untrusting", "unreachable", "ca_file"),
    ] {
        until("a failure", || token(name)["failures"] != 0);
        assert_eq!(token(name)["reason"], reason, "{name}: {}", token(name));
        assert!(token(name)["last_error"].as_str().is_some_and(|e| e.contains(words)), "{}", token(name));
    }
    let mut why: Vec<String> = idp.asked_by("jobs").iter().map(|asked| asked["why"].to_string()).collect();
    why.sort();
    let wanted = [
        "\"certificate subject value does not match the registered one\"",
        "\"client certificate was not verified\"",
        "null",
    ];
    assert_eq!(why, wanted);
    assert_eq!(idp.asked_by("jobs").iter().filter(|asked| asked["status"] == 200).count(), 1);
    daemon.stop();
}
