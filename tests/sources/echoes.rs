//! What was sent to a server and comes back in its answer is shown nowhere, wherever in the answer it stands and however it is written.

use serde_json::{Value, json};
use support::http::{Act, Server, answer};
use support::{Sandbox, until};

const SECRET: &str = "h0tel+7/&\"q";
/// The same as servers and proxies quote it: as it is, in an address (the digits in both cases), in HTML by name and by number, in
/// JSON, in base64, in hex.
const WRITTEN: [&str; 10] = [
    SECRET,
    "h0tel%2B7%2F%26%22q",
    "h0tel%2b7%2f%26%22q",
    "%68%30%74%65%6c%2b%37%2f%26%22%71",
    "h0tel+7/&amp;&quot;q",
    "h0tel&#43;7&#x2f;&#38;&#34;q",
    "h0tel+7\\/\\u0026\\\"q",
    "aDB0ZWwrNy8mInE=",
    "aDB0ZWwrNy8mInE",
    "683074656c2b372f262271",
];

/// Each place of an answer that may be told, with the secret in it.
const PLACES: [&str; 13] = [
    "words",
    "code",
    "success",
    "text",
    "page",
    "challenge",
    "type-of-error",
    "type-of-success",
    "coding",
    "place",
    "host",
    "token-type",
    "scope",
];

fn say(place: &str, written: &'static str) -> Act {
    let found = |rest: Value| {
        let mut body = json!({"access_token": "opaque", "expires_in": 3600});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        answer(200, "application/json", body.to_string())
    };
    let json = |status, body: Value| answer(status, "application/json", body.to_string());
    match place {
        "words" => {
            json(400, json!({"error": "invalid_client", "error_description": format!("no: {written} is wrong")}))
        }
        "code" => json(400, json!({"error": written})),
        "success" => json(200, json!({"message": format!("no: {written} is wrong")})),
        "text" => answer(403, "text/plain", format!("no: {written} is wrong")),
        "page" => answer(403, "text/html", format!("<title>no: {written} is wrong</title>")),
        "challenge" => answer(401, "", "").header("WWW-Authenticate", format!("Bearer error=\"{written}\"")),
        "type-of-error" => answer(500, written, ""),
        "type-of-success" => answer(200, written, "<html>"),
        "coding" => answer(200, "application/json", "x").header("Content-Encoding", written),
        "place" => answer(302, "", "").header("Location", format!("/login/{written}/x")),
        "host" => {
            answer(302, "", "").header("Location", format!("http://{}.example/x", written.replace(['/', '"'], "-")))
        }
        "token-type" => found(json!({"token_type": written})),
        _ => found(json!({"scope": written})),
    }
}

#[test]
fn a_secret_that_comes_back_is_shown_nowhere() {
    let server = Server::start(|seen| {
        let (at, place) = seen.path.trim_start_matches('/').split_once('.').unwrap();
        say(place, WRITTEN[at.parse::<usize>().unwrap()])
    });
    let sandbox = Sandbox::new();
    sandbox.put("secret", SECRET);
    let names = || (0..WRITTEN.len()).flat_map(|at| PLACES.map(|place| format!("{at}.{place}")));
    let token = |name: String| {
        format!(
            "[token.\"{name}\"]\nsource = \"oauth2\"\ntoken_url = \"{}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
             client_auth = \"client_secret_post\"\nclient_secret.file = \"secret\"\nscope = \"read\"\nttl = \"1h\"\nrequired = false\n\
             retry = {{ initial = \"1m\", max = \"1m\", rejected = \"1m\" }}\n",
            server.url(&format!("/{name}"))
        )
    };
    sandbox.config(names().map(token).collect::<String>());
    let daemon = sandbox.daemon().spawn();
    until("each was tried", || {
        let told: Value = serde_json::from_str(&sandbox.ours(&["status", "--json"]).stdout).unwrap_or_default();
        let tokens = told["tokens"].as_array().into_iter().flatten();
        let tried = tokens.filter(|token| token["last_error"].is_string() || token["state"] == "valid");
        tried.count() == WRITTEN.len() * PLACES.len()
    });
    let told = [sandbox.ours(&["status", "--json"]).text(), sandbox.ours(&["status"]).text(), daemon.log()];
    daemon.stop();
    for text in told {
        let text = text.to_lowercase().replace("[masked]", "");
        for written in WRITTEN {
            let in_json = json!(written).to_string();
            for written in [written, in_json.trim_matches('"')].map(str::to_lowercase) {
                let found = text.lines().flat_map(|line| line.split("},{")).find(|told| told.contains(&written));
                assert_eq!(found, None, "{written}");
            }
        }
    }
}
