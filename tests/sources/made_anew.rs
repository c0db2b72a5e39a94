//! Owns: that a changed setting of each source obtains another token, and that what does not count leaves the token in place.
//! Does not: walk all keys (`fingerprint` of `tests/config_errors` does, by the plan).

use std::sync::atomic::{AtomicUsize, Ordering};

use support::http::{Server, answer};
use support::{Sandbox, openssl_in};

/// A source that never gives the same token twice: its config, one that differs in a setting, and one line that does
/// not count.
fn check(sandbox: &Sandbox, source: &str, setting: [&str; 2], unimportant: &str) {
    let token = |setting: &str, more: &str| {
        let out = "[[token.t.output]]\nformat = \"token\"\npath = \"out/t\"\n";
        sandbox.config(format!("[token.t]\n{source}{setting}\n{more}\n{out}"));
        sandbox.ours(&["once"]).expect(0);
        sandbox.read("t")
    };
    let first = token(setting[0], "");
    assert_eq!(token(setting[0], ""), first, "{source}: nothing changed");
    let second = token(setting[1], "");
    assert_ne!(second, first, "{source}: {setting:?}");
    assert_eq!(token(setting[1], unimportant), second, "{source}: {unimportant}");
    assert_ne!(token(setting[0], unimportant), second, "{source}: back again");
}

#[test]
fn a_changed_setting_obtains_another_token() {
    let sandbox = Sandbox::new();
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"access_token":"t-{number}","token":"t-{number}","token_type":"Bearer","expires_in":3600,
            "expires_at":"2099-01-01T00:00:00Z"}}"#
        );
        answer(200, "application/json", body)
    });
    let url = server.url("");
    openssl_in(sandbox.dir(), &["genrsa", "-out", "rsa.pem", "2048"]);
    let counter = sandbox.script("print", "echo >> calls; echo token-$(wc -l < calls)").display().to_string();

    let jwt = "source = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"k\"\nsecret.file = \"secret\"\n";
    check(&sandbox, jwt, ["claims.aud = \"a\"", "claims.aud = \"b\""], "rotate_at = 0.5");
    let oauth2 = format!(
        "source = \"oauth2\"\ntoken_url = \"{url}/token\"\ngrant = \"client_credentials\"\nclient_secret.file = \"secret\"\n"
    );
    check(&sandbox, &oauth2, ["client_id = \"a\"", "client_id = \"b\""], "timeout = \"20s\"");
    let http = format!("source = \"http\"\nurl = \"{url}/token\"\nttl = \"1h\"\n");
    check(&sandbox, &http, ["response.token = \"/token\"", "response.token = \"/access_token\""], "timeout = \"20s\"");
    let github = format!(
        "source = \"github-app\"\napp_id = 1\nprivate_key.file = \"rsa.pem\"\ninstallation_id = 2\napi_url = \"{url}\"\n"
    );
    check(&sandbox, &github, ["", "permissions.contents = \"read\""], "timeout = \"20s\"");
    let command = format!("source = \"command\"\ncommand = [\"{counter}\"]\nttl = \"1h\"\n");
    check(&sandbox, &command, ["env.A = \"a\"", "env.A = \"b\""], "timeout = \"20s\"");
    check(&sandbox, jwt, ["key_claim = \"kid\"", "skew = \"1s\""], "required = false");
}
