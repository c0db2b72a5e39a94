//! What others say is shown without what steers a terminal, turns its line round or takes no room, wherever it is shown.

use serde_json::json;

use support::http::{Server, answer};
use support::{Sandbox, until};

/// Steering, bidirectional controls, no width, tags, line ends that are none of ASCII's.
const UNSEEN: [char; 19] = [
    '\u{1b}',
    '\u{7}',
    '\u{9b}',
    '\u{ad}',
    '\u{61c}',
    '\u{200b}',
    '\u{200d}',
    '\u{200e}',
    '\u{202a}',
    '\u{202e}',
    '\u{2028}',
    '\u{2029}',
    '\u{2060}',
    '\u{2066}',
    '\u{2069}',
    '\u{fe0f}',
    '\u{feff}',
    '\u{fff9}',
    '\u{e0041}',
];

#[track_caller]
fn is_clean(place: &str, text: &str) {
    assert!(text.contains("lorem") && text.contains("ipsum"), "{place}: the words themselves stay: {text:?}");
    // Colours are renewd's own; there are none where it does not write to a terminal.
    let found: Vec<char> = text.chars().filter(|c| UNSEEN.contains(c)).collect();
    assert!(found.is_empty(), "{place}: {found:?} in {text:?}");
}

#[test]
fn nothing_of_it_turns_a_line_round_or_hides_in_one() {
    let sandbox = Sandbox::new();
    let hostile = |word: &str| UNSEEN.iter().map(|c| format!("{word}{c}")).collect::<String>() + "ipsum";
    // A secret, and a token, each with something between its letters that hides it from who looks for it.
    let secret = "sword\u{200b}fish-sword\u{2060}fish-sword\u{feff}fish-00";
    let said = json!({
        "error": format!("invalid_{}", hostile("client")),
        "error_description": format!("{} {secret}", hostile("lorem")),
    });
    let server = Server::start(move |_| answer(401, "application/json", said.to_string()));
    sandbox.put("cs", "swordfish-swordfish-swordfish-00");
    let dir = sandbox.dir().display();
    sandbox.script("tool", &format!("cat {dir}/words >&2\nexit 1"));
    sandbox.put("words", format!("{}\n", hostile("lorem")));
    let out = |name: &str| format!("[[token.{name}.output]]\nformat = \"token\"\npath = \"{dir}/out/{name}\"\n");
    sandbox.config_with(
        "ready_timeout = \"1s\"",
        format!(
            "[token.a]\nsource = \"oauth2\"\ntoken_url = \"{}\"\ngrant = \"client_credentials\"\nclient_id = \"c\"\n\
             client_auth = \"client_secret_post\"\nclient_secret.file = \"cs\"\n{}[token.tool]\nsource = \"command\"\n\
             command = [\"{dir}/tool\"]\nttl = \"1h\"\n{}",
            server.url("/token"),
            out("a"),
            out("tool"),
        ),
    );
    let online = sandbox.ours(&["check", "--online"]);
    is_clean("check --online", &online.text());
    let daemon = sandbox.daemon().spawn();
    until("both have failed", || {
        sandbox.path("control.sock").exists()
            && ["a", "tool"].iter().all(|name| daemon.token(name)["last_error"].is_string())
    });
    let mut seen = vec![online.text()];
    for args in [
        &["status"][..],
        &["status", "a"],
        &["status", "tool"],
        &["status", "--json"],
        &["rotate", "a"],
        &["rotate", "tool"],
    ] {
        let ran = sandbox.ours(args);
        is_clean(&args.join(" "), &ran.text());
        seen.push(ran.text());
    }
    let error = daemon.token("a")["last_error"].as_str().unwrap_or_default().to_owned();
    is_clean("the socket's answer", &error);
    until("READY=1", || daemon.messages().iter().any(|message| message.has("READY=1")));
    let status = daemon.status_line();
    is_clean("STATUS=", &status);
    is_clean("the log", &daemon.log());
    seen.extend([error, status, daemon.log()]);
    for text in seen {
        assert!(!text.contains("swordfish"), "a secret that hid from the mask: {text}");
    }
    daemon.stop();
}
