//! Each grant, at each issuer that has it: what they were asked for, and what became of the answers.

use serde_json::{Value, json};

use crate::host::{field, hidden, sha256, token};
use crate::issuer::Issuer;
use support::pki::Pki;
use support::{Jwt, Sandbox, until};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ACCESS_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

const SECRET: &str = "a-secret-of-thirty-two-characters";

fn oidc_client(id: &str, grants: &[&str]) -> Value {
    json!({"client_id": id, "client_secret": SECRET, "grant_types": grants, "redirect_uris": [], "response_types": [],
        "scope": "read write offline_access"})
}

/// Lines that are the same for all tokens of a client.
fn client(issuer: &str, id: &str) -> String {
    format!(
        "source = \"oauth2\"\nissuer = \"{issuer}\"\nclient_id = \"{id}\"\nclient_secret.file = \"client.secret\"\n"
    )
}

#[test]
fn all_grants_of_an_openid_provider() {
    let sandbox = Sandbox::new();
    let clients = json!([
        oidc_client("plain", &["client_credentials"]),
        oidc_client("sub", &["client_credentials"]),
        oidc_client("swap", &[EXCHANGE]),
        oidc_client("renew", &["refresh_token"]),
    ]);
    let Some(idp) = Issuer::oidc("all_grants_of_an_openid_provider", &sandbox, &clients, None) else { return };
    sandbox.put("client.secret", SECRET);
    let first = idp.first_refresh_token("renew");
    sandbox.put("first.refresh", &first);
    let of = |id: &str, more: &str| format!("{}{more}", client(&idp.issuer, id));
    let params = "params = { resource = \"https://api.example/\", audience = \"api\" }";
    sandbox.config([
        token("plain", &of("plain", &format!("grant = \"client_credentials\"\nscope = \"read write\"\n{params}"))),
        hidden("sub", &of("sub", "grant = \"client_credentials\"\nscope = \"read\"")),
        token("swap", &of("swap", &format!(
            "grant = \"token_exchange\"\nsubject_token = {{ token = \"sub\", type = \"{ACCESS_TYPE}\" }}\nscope = \"write\""
        ))),
        token("renew", &of("renew", "grant = \"refresh_token\"\nrefresh_token.file = \"first.refresh\"")),
    ].concat());
    sandbox.ours(&["once"]).expect(0);

    let asked = |id: &str| idp.asked_by(id);
    for name in ["plain", "swap", "renew"] {
        assert_eq!(asked(name)[0]["sha256"], json!(sha256(&sandbox, name)), "{name}: what was answered is in the file");
    }
    let plain = Jwt::parse(&sandbox.read("plain.token")).expect("a JWT for a resource");
    assert_eq!((&plain.claims["aud"], &plain.claims["scope"]), (&json!("https://api.example/"), &json!("read write")));
    assert_eq!(field(&asked("plain")[0], "audience"), "api", "a form field of the config's own");
    assert!(asked("plain")[0]["agent"].as_str().is_some_and(|agent| agent.starts_with("renewd/")));
    assert_eq!(asked("sub").len(), 1, "a parent without a file is obtained first");
    assert_eq!(field(&asked("swap")[0], "scope"), "write");
    assert_eq!(field(&asked("renew")[0], "refresh_token"), &json!(first));
    assert_eq!(idp.seen()["discovered"], 1, "the metadata, once for all tokens");

    sandbox.ours(&["once"]).expect(0);
    assert_eq!(idp.seen()["token"].as_array().map(Vec::len), Some(4), "what is valid is not asked for again");
    rotation_of_refresh_tokens(&sandbox, &idp, &first);
}

/// The provider revokes a family when one of it is used twice.
fn rotation_of_refresh_tokens(sandbox: &Sandbox, idp: &Issuer, first: &str) {
    let daemon = sandbox.start();
    for _ in 0..3 {
        assert!(sandbox.rotate(&["renew"]), "{}", daemon.log());
    }
    let asked = idp.asked_by("renew");
    let used: std::collections::BTreeSet<_> = asked.iter().map(|a| field(a, "refresh_token").to_string()).collect();
    assert_eq!((asked.len(), used.len()), (4, 4), "each is used once");
    assert!(asked.iter().all(|a| a["status"] == 200), "{asked:#?}");
    daemon.stop();

    // An operator who puts an old one back is told what is wrong, and one who puts a new one there is believed.
    let old = sandbox.read("renew.token");
    std::fs::remove_dir_all(sandbox.path("state")).expect("the state");
    let daemon = sandbox.daemon().spawn();
    until("a refusal", || sandbox.path("control.sock").exists() && daemon.token("renew")["reason"] == "rejected");
    let told = daemon.token("renew")["last_error"].to_string();
    assert!(told.contains("400 Bad Request: invalid_grant"), "{told}");
    assert!(told.contains("a new first one is needed in refresh_token"), "{told}");
    assert_eq!(sandbox.read("renew.token"), old, "the file keeps what it has");
    let why = idp.asked_by("renew").pop().expect("a request")["why"].take();
    assert_eq!(why, "refresh token already used");
    assert!(!daemon.log().contains(first) && !told.contains(first), "no secret is told");
    let again = idp.first_refresh_token("renew");
    sandbox.put("first.refresh", &again);
    until("the operator's own is used", || {
        daemon.token("renew")["reason"].is_null() && sandbox.read("renew.token") != old
    });
    let last = idp.asked_by("renew").pop().expect("a request");
    assert_eq!((field(&last, "refresh_token"), &last["status"]), (&json!(again), &json!(200)));
    daemon.stop();
}

#[test]
fn all_grants_of_an_authorization_server() {
    let sandbox = Sandbox::new();
    let [rsa, ec, ed] = ["RS256", "ES256", "EdDSA"].map(|alg| (alg, Pki::at(sandbox.dir()).key(alg, alg)));
    let mut clients = vec![
        json!({"id": "plain", "secret": SECRET, "auth": "client_secret_basic", "grants": ["client_credentials"], "scope": "read"}),
        json!({"id": "swap", "secret": SECRET, "auth": "client_secret_basic", "grants": [], "scope": "read"}),
        json!({"id": "renew", "secret": SECRET, "auth": "client_secret_basic", "grants": ["refresh_token"], "scope": "read"}),
    ];
    clients.extend([rsa, ec, ed].iter().map(|(algorithm, key)| {
        json!({"id": algorithm, "auth": "none", "grants": [BEARER], "scope": "read", "key": key, "algorithm": algorithm})
    }));
    let test = "all_grants_of_an_authorization_server";
    let Some(server) = Issuer::authlib(test, &sandbox, &json!(clients)) else { return };
    sandbox.put("client.secret", SECRET);
    sandbox.put("first.refresh", server.first_refresh_token("renew"));
    let of = |id: &str, more: &str| format!("{}{more}", client(&server.issuer, id));
    let mut config = vec![
        token("plain", &of("plain", "grant = \"client_credentials\"\nscope = \"read\"")),
        token(
            "swap",
            &of(
                "swap",
                &format!(
                    "grant = \"token_exchange\"\nsubject_token = {{ token = \"plain\", type = \"{ACCESS_TYPE}\" }}"
                ),
            ),
        ),
        token("renew", &of("renew", "grant = \"refresh_token\"\nrefresh_token.file = \"first.refresh\"")),
    ];
    config.extend(["RS256", "ES256", "EdDSA"].map(|algorithm| {
        let assertion = format!(
            "assertion = {{ algorithm = \"{algorithm}\", private_key.file = \"{algorithm}.key\", claims = {{ sub = \"robot\" }} }}"
        );
        let endpoint = format!("source = \"oauth2\"\ntoken_url = \"{}\"\n", server.token_url);
        token(algorithm, &format!("{endpoint}grant = \"jwt_bearer\"\nclient_id = \"{algorithm}\"\nscope = \"read\"\n{assertion}"))
    }));
    sandbox.config(config.concat());
    sandbox.ours(&["once"]).expect(0);
    for name in ["plain", "swap", "renew", "RS256", "ES256", "EdDSA"] {
        let asked = server.asked_by(name);
        assert_eq!((asked.len(), &asked[0]["status"]), (1, &json!(200)), "{name}: {asked:#?}");
        assert!(!sandbox.read(&format!("{name}.token")).is_empty(), "{name}");
    }
    assert_eq!(field(&server.asked_by("swap")[0], "subject_token"), &json!(sandbox.read("plain.token")));

    let daemon = sandbox.start();
    for round in 2..4 {
        assert!(sandbox.rotate(&["renew", "RS256"]), "{}", daemon.log());
        assert_eq!(server.asked_by("renew").len(), round);
    }
    assert!(server.asked_by("renew").iter().all(|asked| asked["status"] == 200), "a spent one is never sent again");
    daemon.stop();
}
