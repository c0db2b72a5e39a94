//! A night on call, on the real daemon: fifteen tokens of which ten fail in ten ways. `status` names each way by its class, the
//! worst first, says since when and what next, and fits whatever terminal asks.

use std::collections::BTreeMap;
use std::fs;

use support::http::{Act, Server, answer, json};
use support::{Daemon, Sandbox, until};

const LONG: &str = "a-token-whose-name-is-as-long-as-names-may-be-64-characters.prod";

/// What each of the ten is to be called.
const FAILING: [(&str, &str); 10] = [
    ("crm", "rejected"),
    ("crm-export", "rejected"),
    ("portal", "rejected"),
    ("warehouse", "unreachable"),
    ("maps", "unreachable"),
    ("search", "unreachable"),
    ("reports", "invalid_answer"),
    ("nightly", "machine"),
    ("metrics", "delivery"),
    ("deploy", "hook"),
];

fn issuer() -> Server {
    Server::start(|seen| match seen.path.as_str() {
        "/crm" => answer(401, "application/json", r#"{"error":"invalid_client"}"#),
        "/portal" => answer(400, "application/json", r#"{"error":"invalid_grant"}"#),
        "/search" => answer(503, "text/plain", "busy").header("Retry-After", "1800"),
        "/reports" => json(r#"{"status":"maintenance"}"#),
        _ => Act::Close,
    })
}

fn config(sandbox: &Sandbox, server: &Server) -> String {
    let out = |name: &str| format!("output = [{{ format = \"token\", path = \"{}\" }}]\n", sandbox.out(name).display());
    let asked = |name: &str, url: String| {
        format!(
            "[token.{name}]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
             client_secret.file = \"secret\"\n{}",
            out(name)
        )
    };
    let signed = |name: &str, more: &str| {
        format!(
            "[token.\"{name}\"]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"k\"\nsecret.file = \"secret\"\n{more}{}",
            if more.contains("output") { String::new() } else { out(name) }
        )
    };
    let refreshed = asked("portal", server.url("/portal"))
        .replace("grant = \"client_credentials\"", "grant = \"refresh_token\"\nrefresh_token.file = \"secret\"");
    let child = format!(
        "[token.crm-export]\nsource = \"http\"\nurl = \"{}\"\nbearer = {{ token = \"crm\" }}\nresponse = {{ token = \"/t\" }}\n{}",
        server.url("/export"),
        out("crm-export")
    );
    let slow = format!(
        "[token.maps]\nsource = \"command\"\ncommand = [\"sleep\", \"60\"]\ntimeout = \"200ms\"\nttl = \"1h\"\n{}",
        out("maps")
    );
    let gone = sandbox.path("gone/nightly").display().to_string();
    let moved = sandbox.mkdir("moved").join("metrics").display().to_string();
    [
        // One answer is all that the clock is to tell apart.
        "[defaults]\nretry = { initial = \"5m\", max = \"5m\" }\n".to_owned(),
        asked("crm", server.url("/crm")),
        child,
        refreshed,
        // Port 9 of this host: nobody listens there.
        asked("warehouse", "http://127.0.0.1:9/token".to_owned()),
        slow,
        asked("search", server.url("/search")),
        asked("reports", server.url("/reports")),
        signed("nightly", &format!("output = [{{ format = \"token\", path = \"{gone}\" }}]\n")),
        signed(
            "metrics",
            &format!("min_interval = \"1ms\"\noutput = [{{ format = \"token\", path = \"{moved}\" }}]\n"),
        ),
        signed("deploy", &format!("after_rotate = {{ command = [\"false\"] }}\n{}", out("deploy"))),
        signed("sunbird", ""),
        signed("vault-static", "lifetime = \"never\"\nrotate_every = \"30d\"\n"),
        signed(LONG, ""),
        signed("optional", "required = false\n"),
        signed("kong", ""),
    ]
    .concat()
}

fn reasons(daemon: &Daemon<'_>) -> BTreeMap<String, String> {
    let status = daemon.status();
    let tokens = status["tokens"].as_array().expect("tokens").iter();
    let reason = |token: &serde_json::Value| {
        let text = |member: &str| token[member].as_str().map(str::to_owned);
        Some((text("name")?, text("reason")?))
    };
    tokens.filter_map(reason).collect()
}

/// The row of a token, and what stands below it.
fn part<'t>(text: &'t str, name: &str) -> &'t str {
    let start = text.find(&format!("\n{name}")).unwrap_or_else(|| panic!("{name} in {text}")) + 1;
    let rest = &text[start..];
    let next = rest.match_indices('\n').find(|(at, _)| rest[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric()));
    &rest[..next.map_or(rest.len(), |(at, _)| at)]
}

#[test]
fn ten_of_fifteen_fail_in_ten_ways() {
    let (sandbox, server) = (Sandbox::new(), issuer());
    sandbox.config(config(&sandbox, &server));
    let daemon = sandbox.daemon().spawn();
    until("the well ones are there", || sandbox.out(LONG).exists() && sandbox.path("moved/metrics").exists());
    // Its folder goes while the daemon runs.
    fs::remove_dir_all(sandbox.path("moved")).expect("rm");
    sandbox.ours(&["rotate", "--force", "metrics"]).expect(1);
    let wanted: BTreeMap<String, String> =
        FAILING.map(|(name, reason)| (name.to_owned(), reason.to_owned())).into_iter().collect();
    until("each has failed in its own way", || reasons(&daemon) == wanted);

    for width in [80, 120, 40] {
        let columns = width.to_string();
        let config = sandbox.path("config.toml");
        let args = ["status", "-c", config.to_str().expect("UTF-8")];
        let ran = sandbox.run_with(&args, "", &[("COLUMNS", &columns), ("TZ", "UTC")]).expect(1);
        let text = ran.stdout;
        assert!(text.starts_with("15 tokens: ") && text.contains("10 need attention"), "{text}");
        for line in text.lines().filter(|line| !line.contains('/') && !line.contains(LONG)) {
            assert!(line.chars().count() <= width, "{width}: {line:?} in\n{text}");
        }
        for (name, reason) in FAILING {
            let part = part(&text, name);
            let words: Vec<&str> = part.split_whitespace().collect();
            let part = words.join(" ");
            assert!(part.contains(&format!("{reason}: failing since")), "{width}: {name}: {part}");
        }
        // Well ones come last, and have nothing below them.
        let at = |name: &str| text.find(&format!("\n{name}")).unwrap_or_else(|| panic!("{name} in {text}"));
        assert!(FAILING.iter().all(|(name, _)| at(name) < at("sunbird")), "{text}");
        assert_eq!(part(&text, "kong").trim_end().lines().count(), 1, "{text}");
        assert!(part(&text, "search").contains("try"), "{text}");
    }
    daemon.stop();
}
