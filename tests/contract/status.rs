//! The promise: `status --json` has the shape of the contract, and `status` tells what is.
//! A token is valid, retrying, expired or pending; each state is brought about and seen.
//! Lacks and refused configs in `config.error`: `lacks.rs` and `reload_refused.rs`.

use std::fs;

use serde_json::{Value, json};

use support::{Sandbox, openssl, token, until};

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|t| t.ends_with('Z') && t.parse::<jiff::Timestamp>().is_ok())
}

#[test]
fn status_has_its_shape_and_its_states() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("out/sub");
    let retry = "retry = { initial = \"200ms\", max = \"500ms\" }";
    let texts = [
        token("valid").to_string(),
        token("forever").line("lifetime = \"never\"\nrotate_every = \"30d\"").without_output().to_string(),
        token("pending").plain("nowhere/t").line("required = false").line(retry).to_string(),
        token("retrying").plain("sub/r").line(retry).to_string(),
        token("expired").plain("sub/e").line("lifetime = \"2s\"").line(retry).to_string(),
    ];
    sandbox.config(texts.concat());
    let daemon = sandbox.start();
    sandbox.ours(&["status"]).expect(0);
    // By one step: the daemon may be writing there.
    fs::rename(sandbox.out("sub"), sandbox.path("sub.gone")).expect("mv");
    assert!(!sandbox.rotate(&["retrying"]));
    let state = |name: &str| daemon.token(name)["state"].clone();
    until("each in its state", || ["valid", "pending", "retrying", "expired"].iter().all(|s| state(s) == *s));
    let status = daemon.status();
    assert_eq!(status["version"], 1);
    let config = sandbox.path("config.toml");
    assert_eq!(status["config"]["path"], config.to_str().expect("UTF-8"));
    assert!(is_time(&status["config"]["loaded_at"]), "{status:#}");
    let names: Vec<&str> =
        status["tokens"].as_array().expect("tokens").iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(names, ["valid", "forever", "pending", "retrying", "expired"], "order of the config");
    let members = [
        "name",
        "source",
        "state",
        "issued_at",
        "expires_at",
        "next_rotation_at",
        "sha256",
        "outputs",
        "failures",
        "last_error",
        "reason",
    ];
    for token in status["tokens"].as_array().expect("tokens") {
        for member in members {
            assert!(token.get(member).is_some(), "{member} in {token:#}");
        }
        assert_eq!(token["source"], "jwt");
        assert!(token["failures"].is_u64());
        let pending = token["state"] == "pending";
        assert_eq!(is_time(&token["issued_at"]), !pending, "{token:#}");
        let expires = !pending && token["name"] != "forever";
        assert_eq!(is_time(&token["expires_at"]), expires, "{token:#}");
    }
    let one = daemon.token("valid");
    let digest = openssl(&["dgst", "-sha256", "-r"], sandbox.read("valid.token").as_bytes());
    assert_eq!(one["sha256"].as_str().map(str::as_bytes), digest.get(..8), "{one:#}");
    let path = sandbox.out("valid.token");
    assert_eq!(one["outputs"][0]["path"], path.to_str().expect("UTF-8"));
    assert_eq!(one["outputs"][0]["format"], "token");
    assert_eq!(daemon.token("expired")["reason"], "delivery");
    assert_eq!(daemon.token("pending")["reason"], "machine");
    // A required token that is expired, and one that is retrying but valid.
    sandbox.ours(&["status"]).expect(1);
    // Its folder is gone, and with it what readers found.
    assert_eq!(daemon.token("retrying")["on_disk"], false);
    sandbox.ours(&["status", "retrying"]).expect(1);
    sandbox.ours(&["status", "valid", "forever"]).expect(0);
    let filtered = sandbox.ours(&["status", "--json", "valid"]).expect(0);
    let filtered: Value = serde_json::from_str(&filtered.stdout).expect("JSON");
    assert_eq!(filtered["tokens"].as_array().map(Vec::len), Some(1));
    let human = sandbox.ours(&["status"]).stdout;
    for name in names {
        assert!(human.contains(name), "{human}");
    }
    daemon.stop();
}

/// What the person on call asks: since when, how often, when next, which file, what happened.
#[test]
fn a_token_that_fails_tells_since_when_and_what_comes_next() {
    let sandbox = Sandbox::new();
    sandbox.mkdir("out/sub");
    sandbox.script("hook", "exit 0");
    let hook = format!("command = [\"{}\"]", sandbox.path("hook").display());
    let retry = "retry = { initial = \"200ms\", max = \"500ms\" }";
    let a = token("a").plain("a.token").plain("sub/a").line(retry).hook("after_rotate", &hook);
    let opaque = token("opaque").line("required = false").plain("nowhere/t");
    sandbox.config(format!("{a}{opaque}"));
    let daemon = sandbox.start();
    until("the hook has run", || daemon.token("a")["last_hook"]["ok"] == true);
    let status = daemon.status();
    assert_eq!((&status["from"], &status["pid"]), (&json!("daemon"), &json!(daemon.pid())));
    assert_eq!(status["renewd"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["state_dir"], sandbox.path("state").to_str().expect("UTF-8"));
    assert_eq!(status["control_socket"], sandbox.path("control.sock").to_str().expect("UTF-8"));
    assert!(is_time(&status["started_at"]) && is_time(&status["now"]), "{status:#}");
    let well = daemon.token("a");
    for member in ["failing_since", "next_try_at", "expired_since"] {
        assert!(well[member].is_null(), "{member}: {well:#}");
    }
    assert_eq!(well["tries"], 0);
    assert!(is_time(&well["last_try_at"]), "{well:#}");
    let hook = &well["last_hook"];
    assert!(hook["hook"] == "after_rotate" && is_time(&hook["started_at"]) && is_time(&hook["ended_at"]), "{hook:#}");
    assert_eq!(well["claims"]["registered"]["iss"], "key-a");
    let output = &well["outputs"][0];
    assert_eq!((&output["mode"], &output["problem"]), (&json!("0600"), &Value::Null));
    assert!(is_time(&output["written_at"]), "{output:#}");
    let what = |row: &Value| -> Vec<String> {
        let events = row["events"].as_array().into_iter().flatten();
        events.map(|event| event["what"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert!(what(&well)[0].starts_with("renewed, valid until 2"), "{well:#}");
    assert!(what(&well).contains(&"after_rotate ran".to_owned()), "{well:#}");

    fs::remove_dir_all(sandbox.out("sub")).expect("rm -r");
    until("it fails", || daemon.token("a")["tries"].as_u64() > Some(2));
    let row = daemon.token("a");
    assert_eq!(
        (&row["state"], &row["reason"], &row["on_disk"]),
        (&json!("retrying"), &json!("delivery"), &json!(false))
    );
    let moment = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time");
    let now = moment(&daemon.status()["now"]);
    assert!(moment(&row["failing_since"]) <= now, "{row:#}");
    // A write that is tried again twice a second, not at the next rotation.
    assert!(moment(&row["next_try_at"]).as_second() - now.as_second() <= 2, "{row:#}");
    assert!(moment(&row["next_rotation_at"]).as_second() - now.as_second() > 1000, "{row:#}");
    let (there, gone) = (&row["outputs"][0], &row["outputs"][1]);
    assert!(there["problem"].is_null() && is_time(&there["written_at"]), "{row:#}");
    assert!(gone["written_at"].is_null() && gone["problem"].as_str().is_some_and(|why| why.contains("sub")), "{row:#}");
    let failed: Vec<String> = what(&row).into_iter().filter(|what| what.starts_with("not delivered")).collect();
    assert!(matches!(&failed[..], [one] if one.contains(" times since 2")), "{failed:?}");
    // What the machine lacks is looked for again by itself.
    let lacking = daemon.token("opaque");
    assert!(lacking["reason"] == "machine" && is_time(&lacking["next_try_at"]), "{lacking:#}");
    assert!(lacking["claims"].is_null() && lacking["last_try_at"].is_null(), "{lacking:#}");
    sandbox.mkdir("out/sub");
    until("recovered", || daemon.token("a")["failing_since"].is_null());
    assert!(what(&daemon.token("a")).last().is_some_and(|what| what == "recovered"));
    daemon.stop();
}

#[test]
fn the_first_line_of_a_run_tells_what_runs() {
    let sandbox = Sandbox::new();
    sandbox.config(format!("{}{}", token("a"), token("b")));
    sandbox.ours(&["once", "a"]).expect(0);
    let daemon = sandbox.start();
    let log = daemon.log();
    let first = log.lines().find(|line| line.contains(" starts: ")).expect("the line");
    let places = ["config.toml", "state", "control.sock"].map(|name| sandbox.path(name).display().to_string());
    for word in [env!("CARGO_PKG_VERSION"), "2 tokens, 2 files, 1 kept from an earlier run"]
        .into_iter()
        .chain(places.iter().map(String::as_str))
    {
        assert!(first.contains(word), "{word}: {first}");
    }
    daemon.stop();
}
