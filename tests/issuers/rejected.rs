//! A client that is refused: told as such, not asked for again and again, and taken at once when its secret is right.

use serde_json::json;

use crate::host::token;
use crate::issuer::Issuer;
use support::{Sandbox, until};

const RIGHT: &str = "a-secret-of-thirty-two-characters";
const WRONG: &str = "another-secret-that-nobody-has-set";

#[test]
fn a_wrong_secret_is_rejected_by_both() {
    let sandbox = Sandbox::new();
    let test = "a_wrong_secret_is_rejected_by_both";
    let oidc = json!([{"client_id": "jobs", "client_secret": RIGHT, "grant_types": ["client_credentials"],
        "redirect_uris": [], "response_types": []}]);
    let authlib =
        json!([{"id": "jobs", "secret": RIGHT, "auth": "client_secret_basic", "grants": ["client_credentials"]}]);
    let Some(idp) = Issuer::oidc(test, &sandbox, &oidc, None) else { return };
    let Some(server) = Issuer::authlib(test, &sandbox, &authlib) else { return };
    sandbox.put("client.secret", WRONG);
    let of = |url: &str| {
        format!(
            "source = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\nclient_secret.file = \"client.secret\""
        )
    };
    sandbox.config(format!("{}{}", token("idp", &of(&idp.token_url)), token("server", &of(&server.token_url))));

    let ran = sandbox.ours(&["once"]).expect(1);
    assert!(ran.stderr.contains("invalid_client"), "{}", ran.stderr);
    assert!(!ran.text().contains(WRONG), "no secret is told");
    let daemon = sandbox.daemon().spawn();
    for name in ["idp", "server"] {
        until("a refusal", || sandbox.path("control.sock").exists() && daemon.token(name)["reason"] == "rejected");
        let status = daemon.token(name);
        assert_eq!((&status["state"], &status["failures"]), (&json!("pending"), &json!(1)), "{name}");
        assert!(
            status["last_error"].as_str().is_some_and(|e| e.contains("401 Unauthorized: invalid_client")),
            "{status}"
        );
        assert!(!sandbox.out(&format!("{name}.token")).exists());
    }
    sandbox.ours(&["status"]).expect(1);
    sandbox.ours(&["token", "idp"]).expect(75);
    sandbox.ours(&["wait", "--timeout", "100ms"]).expect(75);
    assert!(!daemon.log().contains(WRONG), "no secret is told");
    assert!(idp.seen()["token"].as_array().is_some_and(|all| all.iter().all(|asked| asked["status"] == 401)));

    // Not in a quarter of an hour, as the same one would be.
    sandbox.put("client.secret", RIGHT);
    sandbox.ours(&["wait"]).expect(0);
    sandbox.ours(&["status"]).expect(0);
    daemon.stop();
}

#[test]
fn a_scope_or_grant_that_is_not_allowed() {
    let sandbox = Sandbox::new();
    let clients = json!([{"client_id": "jobs", "client_secret": RIGHT, "grant_types": ["client_credentials"],
        "redirect_uris": [], "response_types": [], "scope": "read"}]);
    let Some(idp) = Issuer::oidc("a_scope_or_grant_that_is_not_allowed", &sandbox, &clients, None) else { return };
    sandbox.put("client.secret", RIGHT);
    sandbox.put("first.refresh", "never-issued");
    let of = |more: &str| {
        format!(
            "source = \"oauth2\"\nissuer = \"{}\"\nclient_id = \"jobs\"\nclient_secret.file = \"client.secret\"\n{more}",
            idp.issuer
        )
    };
    sandbox.config(format!(
        "{}{}",
        token("scope", &of("grant = \"client_credentials\"\nscope = \"write\"")),
        token("grant", &of("grant = \"refresh_token\"\nrefresh_token.file = \"first.refresh\"")),
    ));
    let daemon = sandbox.daemon().spawn();
    let told = |name: &str| {
        until("a failure", || sandbox.path("control.sock").exists() && daemon.token(name)["failures"] != 0);
        let status = daemon.token(name);
        (status["reason"].clone(), status["last_error"].to_string())
    };
    let (reason, message) = told("scope");
    assert_eq!(reason, "invalid_answer");
    assert!(message.contains("invalid_scope"), "{message}");
    let (_, message) = told("grant");
    assert!(message.contains("requested grant type is not allowed for this client"), "{message}");
    daemon.stop();
}
