//! The promise: `status --json` has the shape of the contract, and `status` tells what is.
//! A token is valid, retrying, expired or pending; each state is brought about and seen.
//! Lacks and refused configs in `config.error`: `lacks.rs` and `reload_refused.rs`.

use std::fs;

use serde_json::Value;

use crate::support::{Sandbox, openssl, token, until};

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
    sandbox.ours(&["status", "retrying"]).expect(0);
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
