//! A good token is delivered whatever stands beside it in the answer: what is odd is said once. What a single-use refresh token was
//! spent on is never thrown away.

use std::sync::Mutex;

use serde_json::json;
use support::http::{self, Act, Seen, Server, answer, refusal};
use support::{Sandbox, until};

const CLIENT: &str = "grant = \"client_credentials\"\nclient_id = \"jobs\"\nclient_secret.file = \"secret\"";

fn oauth2(url: &str, lines: &str) -> String {
    format!(
        "[token.api]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\n{lines}\n\
         output = [{{ format = \"token\", path = \"out/api\" }}]\n"
    )
}

/// What is delivered of this answer to client_credentials, and what is said.
fn delivered(body: impl Into<Vec<u8>>, lines: &str) -> (String, String) {
    let body = body.into();
    let server = Server::start(move |_| answer(200, "application/json", body.clone()));
    let sandbox = Sandbox::new();
    sandbox.config(oauth2(&server.url("/token"), &format!("{CLIENT}\n{lines}")));
    let ran = sandbox.ours(&["once"]);
    let token = if ran.code == Some(0) { sandbox.read("api") } else { String::new() };
    (token, ran.stderr)
}

#[test]
fn what_stands_beside_a_token_does_not_cost_it() {
    let cases: [(&[u8], &str); 20] = [
        (br#"{"access_token":"abc","expires_in":60,"token_type":"BearerToken"}"#, r#"token_type "BearerToken""#),
        (br#"{"access_token":"abc","expires_in":60,"token_type":"User Access Token"}"#, "User Access Token"),
        (br#"{"access_token":"abc","expires_in":60,"token_type":["bearer"]}"#, "an array for its token_type"),
        (br#"{"access_token":"abc","expires_in":60,"refresh_token":7}"#, "refresh token that is of no use"),
        (br#"{"access_token":"abc","expires_in":-1}"#, r#"at "/expires_in" that is of no use: it is negative"#),
        (br#"{"access_token":"abc","expires_in":9223372036854775807}"#, "thousand years"),
        (br#"{"access_token":"abc","expires_in":9223372036854775}"#, "thousand years"),
        (br#"{"access_token":"abc","expires_in":"never"}"#, "neither a number"),
        (br#"{"access_token":"abc","expires_in":{"s":1}}"#, "neither a number"),
        (br#"{"access_token":"abc","expires_in":""}"#, ""),
        (br#"{"access_token":"abc","expires_in":"2099-01-01 00:00:00"}"#, ""),
        (br#"{"access_token":"abc","expires_in":4070908800000}"#, ""),
        (br#"{"access_token":" Bearer abc","expires_in":60}"#, "the word Bearer"),
        (br#"{"access_token":"abc\n","expires_in":60}"#, "white space"),
        (br#"{"access_token":"abc","expires_in":60,"scope":"a","scope":"b"}"#, ""),
        (br#"{"access_token":"abc","expires_in":90,"expires_in":60}"#, r#"two different values at "/expires_in""#),
        (
            br#"{"access_token":"abc","expires_in":60,"refresh_token":"a","refresh_token":"b"}"#,
            r#"two different values at "/refresh_token""#,
        ),
        (b"{\"access_token\":\"abc\",\"expires_in\":60,\"user\":\"Gr\xfcn\"}", ""),
        (b"\xef\xbb\xbf{\"access_token\":\"abc\",\"expires_in\":60}", ""),
        (b"{\"access_token\":\"abc\",\"expires_in\":60,\"note\":\"a\nb\"}", ""),
    ];
    for (body, words) in cases {
        let shown = String::from_utf8_lossy(body);
        let (token, said) = delivered(body, "ttl = \"1h\"");
        assert_eq!(token, "abc", "{shown}: {said}");
        assert!(said.contains(words), "{shown}: {said}");
        assert_eq!(said.contains("WARN"), !words.is_empty(), "{shown}: {said}");
    }
}

#[test]
fn what_the_token_needs_still_counts() {
    let cases: [(&[u8], &str, &str); 6] = [
        (br#"{"access_token":"abc","expires_in":60,"token_type":"DPoP"}"#, "", "of the type DPoP"),
        (br#"{"access_token":"abc","expires_in":-1}"#, "", "set ttl"),
        (br#"{"access_token":"abc","expires_in":0}"#, "ttl = \"1h\"", "no life left"),
        (br#"{"access_token":"abc","access_token":"abd","expires_in":60}"#, "", "two different values"),
        (b"{\"access_token\":\"ab\xffc\",\"expires_in\":60}", "", "not visible ASCII"),
        (br#"{"access_token":"abc","expires_in":60"#, "", "not JSON"),
    ];
    for (body, lines, words) in cases {
        let (token, said) = delivered(body, lines);
        assert_eq!(token, "", "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// A server with single-use refresh tokens: the answer to the current one is made of its successor; another one is refused.
fn single_use(sent: fn(&Seen) -> String, answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    let live = Mutex::new((0, "first-0".to_owned()));
    Server::start(move |seen| -> Act {
        let mut live = live.lock().expect("no panic");
        if sent(seen) != live.1 {
            return refusal(400, r#"{"error":"invalid_grant"}"#);
        }
        live.0 += 1;
        live.1 = format!("next-{}", live.0);
        http::json(answer(&live.1))
    })
}

fn in_form(seen: &Seen) -> String {
    seen.field("refresh_token").unwrap_or_default()
}

#[test]
fn what_a_refresh_token_was_spent_on_is_delivered() {
    let oauth2_lines = "grant = \"refresh_token\"\nclient_id = \"jobs\"\nrefresh_token.file = \"first\"";
    for beside in [
        r#""expires_in":-1"#,
        r#""expires_in":"never""#,
        r#""expires_in":0"#,
        r#""scope":"x""#,
        r#""expires_in":3600,"token_type":"Whatever""#,
        r#""expires_in":3600,"refresh_token_expires_in":"soon""#,
    ] {
        let server = single_use(in_form, move |next| {
            format!(r#"{{"access_token":"for-{next}","refresh_token":"{next}",{beside}}}"#)
        });
        let sandbox = Sandbox::new();
        sandbox.put("first", "first-0");
        sandbox.config(oauth2(&server.url("/token"), oauth2_lines));
        let daemon = sandbox.daemon().ready();
        assert_eq!(sandbox.read("api"), "for-next-1", "{beside}");
        assert_eq!(daemon.token("api")["state"], "valid", "{beside}");
        assert_eq!(server.seen().len(), 1, "{beside}: no other one was spent");
        daemon.stop();
        let again = sandbox.daemon().ready();
        assert_eq!(again.token("api")["state"], "valid", "{beside}: a restart keeps it");
        assert_eq!(server.seen().len(), 1, "{beside}");
    }
}

/// A token that is itself what the next one is obtained with, and ends on a day: GitLab's own.
#[test]
fn a_token_that_rotates_itself_is_not_withheld() {
    let server = single_use(
        |seen| seen.header("private-token").unwrap_or_default().to_owned(),
        |next| {
            let day = jiff::Timestamp::now() + std::time::Duration::from_secs(7 * 86_400);
            json!({"id": 7, "active": true, "expires_at": day.strftime("%Y-%m-%d").to_string(), "token": next})
                .to_string()
        },
    );
    let sandbox = Sandbox::new();
    sandbox.put("first", "first-0");
    sandbox.config(format!(
        "[token.api]\nsource = \"http\"\nurl = \"{}\"\nmethod = \"POST\"\n\
         headers = {{ PRIVATE-TOKEN = \"{{{{ refresh_token }}}}\" }}\nrefresh_token.file = \"first\"\n\
         response = {{ token = \"/token\", refresh_token = \"/token\", expires_at = \"/expires_at\" }}\n\
         output = [{{ format = \"token\", path = \"out/api\" }}]\n",
        server.url("/rotate")
    ));
    let daemon = sandbox.daemon().ready();
    assert_eq!(sandbox.read("api"), "next-1");
    let row = daemon.token("api");
    assert!(row["expires_at"].as_str().is_some_and(|at| at.ends_with("T00:00:00Z")), "{row}");
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn an_oddity_that_comes_each_time_is_said_once() {
    let server = Server::start(|_| http::json(r#"{"access_token":"abc","expires_in":2,"token_type":"bot"}"#));
    let sandbox = Sandbox::new();
    sandbox.config(oauth2(&server.url("/token"), CLIENT));
    let daemon = sandbox.daemon().ready();
    until("it was asked for three times", || server.seen().len() >= 3);
    let said = daemon.log().matches("token_type \"bot\"").count();
    assert_eq!(said, 1, "{}", daemon.log());
}
