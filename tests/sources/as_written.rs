//! What servers compare letter by letter, or have in their own way, is sent as the config has it.

use serde_json::Value;
use support::Sandbox;
use support::http::{Seen, Server, json};

const GOOD: &str = r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#;

/// The one request of this token, which is obtained.
fn sent(server: &Server, url: &str, lines: &str) -> Seen {
    let sandbox = Sandbox::new();
    sandbox.put("secret", "a secret: of thirty-two + letters");
    sandbox.config(format!(
        "[token.api]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
         client_secret.file = \"secret\"\n{lines}\noutput = [{{ format = \"token\", path = \"out/api\" }}]\n"
    ));
    server.forget();
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(sandbox.read("api"), "abc");
    server.only()
}

fn claims(seen: &Seen) -> Value {
    let assertion = seen.field("client_assertion").expect("an assertion");
    let part = assertion.split('.').nth(1).expect("claims").to_owned();
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url")).expect("JSON")
}

#[test]
fn an_assertion_is_for_the_endpoint_as_it_is_written() {
    let server = Server::start(|_| json(GOOD));
    let port = server.address.port();
    for url in [format!("http://localhost:{port}"), format!("http://LOCALHOST:{port}/token")] {
        let seen = sent(&server, &url, "client_auth = \"client_secret_jwt\"");
        assert_eq!(claims(&seen)["aud"], url);
    }
}

#[test]
fn an_assertion_is_backdated_by_its_skew() {
    let server = Server::start(|_| json(GOOD));
    for (more, lifetime) in [("", 300), ("assertion = { skew = \"30s\" }", 330)] {
        let seen = sent(&server, &server.url("/token"), &format!("client_auth = \"client_secret_jwt\"\n{more}"));
        let claims = claims(&seen);
        let span = claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat");
        assert_eq!(span, lifetime, "exp stays where it is: {claims}");
    }
}

#[test]
fn the_clients_id_stands_in_the_body_too_where_it_is_asked_for() {
    let server = Server::start(|_| json(GOOD));
    for (lines, fields) in [
        ("", 0),
        ("client_id_in_body = true", 1),
        ("params = { client_id = \"jobs\" }", 1),
        ("client_id_in_body = true\nparams = { client_id = \"jobs\" }", 1),
    ] {
        let seen = sent(&server, &server.url("/token"), lines);
        let found = seen.form().into_iter().filter(|(name, value)| name == "client_id" && value == "jobs").count();
        assert_eq!(found, fields, "{lines}: {seen:#?}");
        assert!(seen.header("authorization").is_some_and(|value| value.starts_with("Basic ")));
    }
}

#[test]
fn id_and_secret_are_sent_without_encoding_where_it_is_asked_for() {
    let server = Server::start(|_| json(GOOD));
    for (auth, wanted) in [
        ("client_secret_basic", "jobs:a%20secret%3A%20of%20thirty-two%20%2B%20letters"),
        ("client_secret_basic_raw", "jobs:a secret: of thirty-two + letters"),
    ] {
        let seen = sent(&server, &server.url("/token"), &format!("client_auth = \"{auth}\""));
        let value = seen.header("authorization").and_then(|value| value.strip_prefix("Basic ")).expect("Basic");
        assert_eq!(data_encoding::BASE64.decode(value.as_bytes()).expect("base64"), wanted.as_bytes());
    }
}

/// A key that came through a variable or a JSON file stands in one line.
#[test]
fn a_private_key_in_one_line_is_read() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    for written in [key.to_owned(), key.replace('\n', "\\n"), data_encoding::BASE64.encode(key.as_bytes())] {
        let sandbox = Sandbox::new();
        sandbox.put("k.pem", &written);
        sandbox.config(
            "[token.api]\nsource = \"jwt\"\nalgorithm = \"EdDSA\"\nkey = \"k\"\nprivate_key.file = \"k.pem\"\n\
             output = [{ format = \"token\", path = \"out/api\" }]\n",
        );
        sandbox.ours(&["once"]).expect(0);
        assert!(sandbox.read("api").starts_with("eyJ"), "{written}");
    }
}
