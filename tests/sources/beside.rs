//! What goes along with a request beside what its source sends by itself: several secrets, header fields, a name of its own,
//! a user and a password. Through the binary.

use support::Sandbox;
use support::http::{Server, answer, json};

const GOOD: &str = r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#;
const OAUTH2: &str =
    "source = \"oauth2\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\nclient_secret.file = \"secret\"\n";
const HTTP: &str =
    "source = \"http\"\nresponse = { token = \"/access_token\", expires_in = \"/expires_in\" }\nmethod = \"POST\"\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.put("user", "jobs & co\n");
    sandbox.put("password", "hunter2: a b+\u{e9}\n");
    sandbox.put("api.key", "key-hunter2\n");
    sandbox.put("parent.token", "parent-hunter2\n");
    sandbox
}

fn config(sandbox: &Sandbox, url: &str, source: &str, lines: &str) {
    let key = if source.starts_with("source = \"http\"") { "url" } else { "token_url" };
    sandbox.config(format!(
        "[token.parent]\nsource = \"command\"\ncommand = [\"cat\", \"{}\"]\nttl = \"1h\"\n\
         [token.api]\n{source}{key} = \"{url}\"\n{lines}\noutput = [{{ format = \"token\", path = \"out/api\" }}]\n",
        sandbox.path("parent.token").display()
    ));
}

const SECRETS: &str = "secrets = { user.file = \"user\", password.file = \"password\", key.file = \"api.key\" }\n";

#[test]
fn several_secrets_go_into_one_request() {
    let server = Server::start(|_| json(GOOD));
    let sandbox = sandbox();
    let fields =
        "{ username = \"{{ secrets.user }}\", password = \"{{secrets.password}}\", actor = \"x{{ token.parent }}\" }";
    let headers = "headers = { X-Api-Key = \"k={{ secrets.key }}\" }\n";
    for (source, key) in [(OAUTH2, "params"), (HTTP, "form"), (HTTP, "json")] {
        server.forget();
        config(&sandbox, &server.url("/t"), source, &format!("{SECRETS}{headers}{key} = {fields}"));
        sandbox.ours(&["once"]).expect(0);
        assert_eq!(sandbox.read("api"), "abc");
        let seen = server.only();
        assert_eq!(seen.header("x-api-key"), Some("k=key-hunter2"), "{seen:?}");
        let field = |name: &str| match key {
            "json" => seen.json()[name].as_str().map(str::to_owned),
            _ => seen.field(name),
        };
        assert_eq!(field("username").as_deref(), Some("jobs & co"), "{key}");
        assert_eq!(field("password").as_deref(), Some("hunter2: a b+\u{e9}"), "{key}");
        assert_eq!(field("actor").as_deref(), Some("xparent-hunter2"), "{key}");
        std::fs::remove_file(sandbox.out("api")).expect("rm");
        std::fs::remove_dir_all(sandbox.path("state")).expect("rm -r");
    }
}

#[test]
fn several_secrets_go_into_an_address_and_an_environment() {
    let server = Server::start(|_| json(GOOD));
    let sandbox = sandbox();
    let url = server.url("/{{ secrets.user }}?key={{ secrets.key }}");
    config(&sandbox, &url, HTTP, "secrets = { user.file = \"user\", key.file = \"api.key\" }\n");
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(server.only().path, "/jobs%20%26%20co?key=key-hunter2");
    let program = sandbox.script("get", "printf %s%s \"$A\" \"$B\"");
    sandbox.config(format!(
        "[token.api]\nsource = \"command\"\ncommand = [{program:?}]\nttl = \"1h\"\n\
         secrets = {{ one.file = \"api.key\", other.value = \"two\" }}\n\
         env = {{ A = \"{{{{ secrets.one }}}}\", B = \"{{{{ secrets.other }}}}\" }}\n\
         output = [{{ format = \"token\", path = \"out/api\" }}]\n"
    ));
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(sandbox.read("api"), "key-hunter2two");
}

/// What was sent is in no message, though the server says it again.
#[test]
fn no_secret_comes_back_in_an_error() {
    let server = Server::start(|seen| {
        let basic = seen.header("authorization").unwrap_or_default().to_owned();
        let words = format!("{} {:?} {basic}", seen.body, seen.header("x-api-key"));
        answer(400, "application/json", serde_json::json!({ "error": "invalid_scope", "message": words }).to_string())
    });
    let sandbox = sandbox();
    let fields = "{ p = \"{{ secrets.password }}\", u = \"{{ secrets.user }}\", t = \"{{ token.parent }}\" }";
    let headers = "headers = { X-Api-Key = \"{{ secrets.key }}\" }\n";
    let basic = "basic = { user = \"me\", password.file = \"password\" }\n";
    for (source, lines) in [(OAUTH2, format!("params = {fields}")), (HTTP, format!("{basic}form = {fields}"))] {
        config(&sandbox, &server.url("/t"), source, &format!("{SECRETS}{headers}{lines}"));
        let told = sandbox.run_with(&["once", "-c", "config.toml"], "", &[("RENEWD_LOG", "debug")]).expect(1).text();
        assert!(told.contains("invalid_scope") && told.contains("[masked]"), "{told}");
        let pair = data_encoding::BASE64.encode("me:hunter2: a b+\u{e9}".as_bytes());
        assert!(!told.contains("hunter2") && !told.contains(pair.trim_end_matches('=')), "{told}");
    }
}

#[test]
fn a_user_and_a_password_go_as_basic() {
    let server = Server::start(|_| json(GOOD));
    let sandbox = sandbox();
    config(&sandbox, &server.url("/t"), HTTP, "basic = { user = \"jobs & co\", password.file = \"password\" }\n");
    sandbox.ours(&["once"]).expect(0);
    let seen = server.only();
    let value = seen.header("authorization").and_then(|value| value.strip_prefix("Basic ")).expect("Basic");
    assert_eq!(
        data_encoding::BASE64.decode(value.as_bytes()).expect("base64"),
        "jobs & co:hunter2: a b+\u{e9}".as_bytes()
    );
}

#[test]
fn a_request_may_call_itself_something_else() {
    let server = Server::start(|_| json(GOOD));
    let sandbox = sandbox();
    for (lines, wanted) in [
        ("", concat!("renewd/", env!("CARGO_PKG_VERSION"))),
        ("user_agent = \"jobs/1.0 (ops@example.com)\"\n", "jobs/1.0 (ops@example.com)"),
    ] {
        for source in [OAUTH2, HTTP] {
            server.forget();
            config(&sandbox, &server.url("/t"), source, lines);
            let _ = std::fs::remove_dir_all(sandbox.path("state"));
            sandbox.ours(&["once"]).expect(0);
            let seen = server.only();
            assert_eq!(seen.header("user-agent"), Some(wanted), "{seen:?}");
        }
    }
}

/// What the config has wins over what is sent by itself, where nothing depends on it.
#[test]
fn a_header_of_the_config_is_sent_in_place_of_ours() {
    let server = Server::start(|_| json(GOOD));
    let sandbox = sandbox();
    let lines = "client_auth = \"client_secret_post\"\nheaders = { Accept = \"application/vnd.x+json\", authorization = \"Key a\" }\n";
    config(&sandbox, &server.url("/t"), OAUTH2, lines);
    sandbox.ours(&["once"]).expect(0);
    let seen = server.only();
    assert_eq!(seen.header("accept"), Some("application/vnd.x+json"));
    assert_eq!(seen.header("authorization"), Some("Key a"));
}

#[test]
fn a_grant_of_another_name_is_sent_as_it_is_written() {
    let server = Server::start(|_| json(GOOD));
    let sandbox = sandbox();
    for grant in ["account_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"] {
        let source = OAUTH2.replace("\"client_credentials\"", &format!("\"{grant}\""));
        server.forget();
        let _ = std::fs::remove_dir_all(sandbox.path("state"));
        config(
            &sandbox,
            &server.url("/t"),
            &source,
            "params = { account_id = \"7\", subject_token = \"{{ token.parent }}\" }",
        );
        sandbox.ours(&["once"]).expect(0);
        let seen = server.only();
        assert_eq!(seen.field("grant_type").as_deref(), Some(grant));
        assert_eq!(seen.field("account_id").as_deref(), Some("7"));
        assert_eq!(seen.field("subject_token").as_deref(), Some("parent-hunter2"));
    }
}
