//! Tokens that are made from other tokens: where a parent stands in a request, in what order they are obtained, and whose failure
//! a failure is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use crate::host::{hidden, token};
use support::http::{Act, Seen, Server, json as answered, refusal};
use support::{Daemon, Sandbox, until};

/// What no path, form or JSON may hold as it is.
const ODD: &str = r#"a/b?c&d=e+f%20"\'"#;

/// A token with an hour to live.
fn fresh(token: &str) -> Act {
    answered(json!({"t": token, "n": 3600}))
}

/// A token of `source = "http"` that reads such an answer.
fn http(endpoint: &Server, path: &str, more: &str) -> String {
    let url = endpoint.url(path);
    let retry = "retry = { initial = \"50ms\", max = \"200ms\" }";
    format!("source = \"http\"\nurl = \"{url}\"\n{retry}\n{more}\nresponse = {{ token = \"/t\", expires_in = \"/n\" }}")
}

/// A number that counts up with each request: `NAME-1`, `NAME-2`...
fn numbered(name: &str, count: &AtomicUsize) -> String {
    format!("{name}-{}", count.fetch_add(1, Ordering::SeqCst) + 1)
}

/// A parent that hands out `p-1`, `p-2`..., and a child whose requests are answered as told.
fn family(child: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |asked| if asked.path == "/parent" { fresh(&numbered("p", &count)) } else { child(asked) })
}

fn parent_and_child(endpoint: &Server) -> String {
    let bearer = "method = \"POST\"\nbearer = { token = \"parent\" }";
    format!("{}{}", hidden("parent", &http(endpoint, "/parent", "")), token("child", &http(endpoint, "/child", bearer)))
}

/// Waits until `status` says so of a token.
fn told(sandbox: &Sandbox, daemon: &Daemon<'_>, name: &str, member: &str, wanted: &serde_json::Value) {
    until(&format!("{name}: {member} is {wanted}"), || {
        sandbox.path("control.sock").exists() && daemon.token(name)[member] == *wanted
    });
}

#[test]
fn a_token_in_each_place_of_a_request() {
    let endpoint = Server::start(|asked| fresh(if asked.path == "/parent" { ODD } else { "child" }));
    let sandbox = Sandbox::new();
    let child = |name: &str, path: &str, more: &str| token(name, &http(&endpoint, path, more));
    sandbox.config(
        [
            child("in-json", "/json", "json = { deep = [{ at = \"<{{ token.parent }}>\" }], number = 1 }"),
            child("in-form", "/form", "form = { at = \"<{{ token.parent }}>\", also = \"b c\" }"),
            child("in-url", "/url/{{ token.parent }}/x?at={{ token.parent }}", ""),
            child("in-header", "/header", "headers = { x-api-key = \"key {{ token.parent }}\" }"),
            child("as-bearer", "/bearer", "method = \"POST\"\nbearer = { token = \"parent\" }"),
            child("of-child", "/grandchild", "bearer = { token = \"in-json\" }"),
            hidden("parent", &http(&endpoint, "/parent", "")),
        ]
        .concat(),
    );
    sandbox.ours(&["check"]).expect(0);
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(endpoint.count_at("/parent"), 1, "one parent serves all");
    let the = |path: &str| {
        let mut asked = endpoint.seen_at(path);
        assert_eq!(asked.len(), 1, "{path}");
        asked.remove(0)
    };
    assert_eq!(the("/json").json(), json!({"deep": [{"at": format!("<{ODD}>")}], "number": 1}));
    assert_eq!(the("/form").field("at"), Some(format!("<{ODD}>")));
    assert_eq!(the("/form").field("also").as_deref(), Some("b c"));
    let encoded = "a%2Fb%3Fc%26d%3De%2Bf%2520%22%5C%27";
    assert_eq!(the("/url/").path, format!("/url/{encoded}/x?at={encoded}"), "it adds no path and no query of its own");
    assert_eq!(the("/header").header("x-api-key"), Some(format!("key {ODD}").as_str()));
    assert_eq!((the("/bearer").bearer(), the("/bearer").method.as_str()), (ODD, "POST"));
    assert_eq!(the("/grandchild").bearer(), "child", "a child may be a parent");
    assert_eq!(support::names_in(&sandbox.path("out")).len(), 6, "a parent without an output has none");
}

#[test]
fn a_parent_that_rotates_leaves_its_children_alone() {
    let endpoint = family(|asked| fresh(&format!("by-{}", asked.bearer())));
    let sandbox = Sandbox::new();
    sandbox.config(parent_and_child(&endpoint));
    let daemon = sandbox.start();
    assert_eq!(sandbox.read("child.token"), "by-p-1");
    for _ in 0..2 {
        assert!(sandbox.rotate(&["parent"]));
    }
    assert_eq!((endpoint.count_at("/parent"), endpoint.count_at("/child")), (3, 1));
    assert!(sandbox.rotate(&["child"]));
    assert_eq!(sandbox.read("child.token"), "by-p-3", "the one at hand is used");
    assert_eq!((endpoint.count_at("/parent"), endpoint.count_at("/child")), (3, 2), "and it is not obtained for it");
    daemon.stop();
    sandbox.ours(&["once"]).expect(0);
    let printed = sandbox.ours(&["token", "child", "--min-valid", "2h"]);
    assert_eq!(printed.code, Some(75), "{printed:#?}");
    assert_eq!((endpoint.count_at("/parent"), endpoint.count_at("/child")), (3, 3), "without a daemon too");
}

#[test]
fn a_refused_child_has_its_parent_obtained_once_more() {
    let endpoint = family(|asked| match asked.bearer() {
        "p-1" => refusal(401, r#"{"error":"invalid_token"}"#),
        good => fresh(&format!("by-{good}")),
    });
    let sandbox = Sandbox::new();
    sandbox.config(parent_and_child(&endpoint));
    sandbox.ours(&["once"]).expect(0);
    assert_eq!(sandbox.read("child.token"), "by-p-2");
    assert_eq!((endpoint.count_at("/parent"), endpoint.count_at("/child")), (2, 2));
}

#[test]
fn two_refused_children_cost_one_parent() {
    let endpoint = family(|asked| match asked.bearer() {
        "p-1" => refusal(401, "{}"),
        good => fresh(&format!("by-{good}")),
    });
    let sandbox = Sandbox::new();
    let bearer = "bearer = { token = \"parent\" }";
    let twin = |name: &str| token(name, &http(&endpoint, "/child", bearer));
    let parent = hidden("parent", &http(&endpoint, "/parent", ""));
    sandbox.config([parent, twin("a"), twin("b"), twin("c")].concat());
    let daemon = sandbox.start();
    for name in ["a", "b", "c"] {
        assert_eq!(sandbox.read(&format!("{name}.token")), "by-p-2");
        assert_eq!(daemon.token(name)["failures"], 0, "it was the parent's fault");
    }
    assert_eq!((endpoint.count_at("/parent"), endpoint.count_at("/child")), (2, 6));
    daemon.stop();
}

#[test]
fn a_second_refusal_is_the_childs_own() {
    let endpoint = family(|_| refusal(401, r#"{"error":"access_denied"}"#));
    let sandbox = Sandbox::new();
    sandbox.config(parent_and_child(&endpoint));
    let ran = sandbox.ours(&["once"]).expect(1);
    assert!(ran.stderr.contains("access_denied"), "{}", ran.stderr);
    assert_eq!((endpoint.count_at("/parent"), endpoint.count_at("/child")), (2, 2));

    let daemon = sandbox.daemon().spawn();
    told(&sandbox, &daemon, "child", "reason", &json!("rejected"));
    assert_eq!(daemon.token("child")["failures"], 1);
    assert_eq!((&daemon.token("parent")["state"], &daemon.token("parent")["failures"]), (&json!("valid"), &json!(0)));
    // The parent of `once` was at hand; one more of it was tried.
    assert_eq!((endpoint.count_at("/parent"), endpoint.count_at("/child")), (3, 4));
    daemon.stop();
}

#[test]
fn a_parent_that_cannot_be_had_fails_its_children_by_name() {
    let up = Arc::new(AtomicBool::new(false));
    let lever = up.clone();
    let endpoint = Server::start(move |asked| match asked.path.as_str() {
        "/parent" if !lever.load(Ordering::SeqCst) => refusal(503, r#"{"error":"maintenance"}"#),
        "/parent" => fresh("p"),
        _ => fresh(&format!("by-{}", asked.bearer())),
    });
    let sandbox = Sandbox::new();
    sandbox.config(parent_and_child(&endpoint));
    let ran = sandbox.ours(&["once"]).expect(1);
    assert!(ran.stderr.contains("needs token parent, which failed"), "{}", ran.stderr);
    let daemon = sandbox.daemon().spawn();
    told(&sandbox, &daemon, "child", "reason", &json!("unreachable"));
    let error = daemon.token("child")["last_error"].to_string();
    assert!(error.contains("needs token parent, which failed") && error.contains("maintenance"), "{error}");
    assert_eq!(endpoint.count_at("/child"), 0, "it is not asked without its parent");
    up.store(true, Ordering::SeqCst);
    told(&sandbox, &daemon, "child", "state", &json!("valid"));
    assert_eq!(sandbox.read("child.token"), "by-p");
    told(&sandbox, &daemon, "child", "reason", &json!(null));
    daemon.stop();
}

#[test]
fn a_refused_parent_that_cannot_be_had_again_is_told_of_the_child() {
    let count = AtomicUsize::new(0);
    let endpoint = Server::start(move |asked| match asked.path.as_str() {
        "/parent" if count.fetch_add(1, Ordering::SeqCst) > 0 => refusal(503, r#"{"error":"maintenance"}"#),
        "/parent" => fresh("p"),
        _ => refusal(401, "{}"),
    });
    let sandbox = Sandbox::new();
    sandbox.config(parent_and_child(&endpoint));
    let ran = sandbox.ours(&["once"]).expect(1);
    assert!(ran.stderr.contains("needs token parent, which failed"), "{}", ran.stderr);
    assert_eq!(endpoint.count_at("/child"), 1);
    let daemon = sandbox.daemon().spawn();
    told(&sandbox, &daemon, "child", "reason", &json!("unreachable"));
    let error = daemon.token("child")["last_error"].to_string();
    assert!(error.contains("needs token parent, which failed") && error.contains("maintenance"), "{error}");
    daemon.stop();
}

#[test]
fn reloads_and_removals() {
    let endpoint = family(|asked| fresh(&format!("by-{}", asked.bearer())));
    let sandbox = Sandbox::new();
    let body = parent_and_child(&endpoint);
    sandbox.config(&body);
    let daemon = sandbox.start();
    let names = || daemon.status()["tokens"].as_array().map_or(0, Vec::len);

    let without_parent = token("child", &http(&endpoint, "/child", "bearer = { token = \"parent\" }"));
    daemon.reloaded_by(|| drop(sandbox.config(&without_parent)));
    assert!(daemon.config_error().contains("parent"), "{}", daemon.config_error());
    assert_eq!((names(), sandbox.read("child.token")), (2, "by-p-1".to_owned()), "the old config runs on");

    let circle = format!(
        "{}{}",
        hidden("parent", &http(&endpoint, "/parent", "bearer = { token = \"child\" }")),
        token("child", &http(&endpoint, "/child", "bearer = { token = \"parent\" }"))
    );
    sandbox.put("circle.toml", sandbox.config_text("", circle));
    let checked = sandbox.run(&["check", "-c", sandbox.path("circle.toml").to_str().expect("UTF-8")]).expect(78);
    assert!(checked.stderr.contains("parent") && checked.stderr.contains("child"), "{}", checked.stderr);

    // Another setting of the parent is the parent's affair.
    let changed = body.replacen("response", "ttl = \"30m\"\nresponse", 1);
    daemon.reloaded_by(|| drop(sandbox.config(&changed)));
    until("the parent is obtained anew", || endpoint.count_at("/parent") == 2);
    assert!(sandbox.rotate(&["child"]));
    assert_eq!(sandbox.read("child.token"), "by-p-2");
    assert_eq!(endpoint.count_at("/child"), 2, "only when it was asked for");

    let alone = hidden("parent", &http(&endpoint, "/parent", "ttl = \"30m\""));
    daemon.reloaded_by(|| drop(sandbox.config(alone)));
    until("the child is gone", || names() == 1 && !sandbox.out("child.token").exists());
    assert_eq!(endpoint.count_at("/parent"), 2, "what nobody needs any more is kept all the same");
    daemon.stop();
}
