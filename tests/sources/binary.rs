//! The binary itself: `check --online`, proxies of its environment, a daemon beside endpoints that hang.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::proxy::Proxy;
use support::http::{Act, Server, answer, json};
use support::pki::Pki;
use support::{Ran, Sandbox, is_root, until};

const GOOD: &str = r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#;
const NAMED: &str = "subjectAltName=DNS:idp.example\nextendedKeyUsage=serverAuth\n";

/// One token by client_credentials, delivered to `out/NAME`.
pub(crate) fn token(sandbox: &Sandbox, name: &str, url: &str, more: &str) -> String {
    let out = sandbox.out(name);
    format!(
        "[token.{name}]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
         client_secret.file = \"secret\"\n{more}\n[[token.{name}.output]]\nformat = \"token\"\npath = \"{}\"\n",
        out.display()
    )
}

#[track_caller]
fn line<'a>(ran: &'a Ran, name: &str) -> &'a str {
    let found = ran.stdout.lines().find(|line| line.starts_with(&format!("{name}: ")));
    found.unwrap_or_else(|| panic!("no line for {name}: {ran:#?}"))
}

#[test]
fn check_online_tries_all_and_spends_nothing() {
    let sandbox = Sandbox::new();
    let server = Server::start(|seen| match seen.path.as_str() {
        "/bad" => answer(401, "application/json", r#"{"error":"invalid_client"}"#),
        "/child" => json(r#"{"t":"abc","e":60}"#),
        _ if seen.method == "HEAD" => answer(405, "text/plain", ""),
        _ => json(GOOD),
    });
    sandbox.put("first.refresh", "first-1\n");
    let mut config = token(&sandbox, "good", &server.url("/token"), "");
    let url = server.url("");
    write!(
        config,
        r#"
[token.child]
source = "http"
url = "{url}/child"
bearer = {{ token = "signed" }}
response = {{ token = "/t", expires_in = "/e" }}
[token.signed]
source = "jwt"
algorithm = "HS256"
key = "k"
secret.file = "secret"
[token.rotating]
source = "oauth2"
token_url = "{url}/rotating"
grant = "refresh_token"
client_id = "jobs"
refresh_token.file = "first.refresh"
[token.portal]
source = "http"
url = "{url}/portal"
form = {{ r = "{{{{ refresh_token }}}}" }}
refresh_token.file = "first.refresh"
response = {{ token = "/t" }}
[token.program]
source = "command"
command = ["/bin/false"]
ttl = "1h"
"#
    )
    .expect("written");
    sandbox.config(&config);
    let ran = sandbox.ours(&["check", "--online"]).expect(0);
    assert!(line(&ran, "good").starts_with("good: ok, obtained: good for "), "{ran:#?}");
    assert!(line(&ran, "child").contains("ok, obtained: good for "));
    assert!(line(&ran, "signed").contains("ok, obtained"));
    for spared in ["rotating", "portal"] {
        assert!(line(&ran, spared).contains("is there; its refresh token was not spent"), "{ran:#?}");
    }
    assert!(line(&ran, "program").contains("not tried: a command is not run"));
    assert!(!ran.text().contains("abc") && !ran.text().contains("first-1"), "{ran:#?}");
    assert!(server.seen().iter().all(|seen| !seen.body.contains("first-1")), "{:#?}", server.seen());
    let child = server.seen().into_iter().find(|seen| seen.path == "/child").expect("the child");
    assert!(child.header("authorization").is_some_and(|value| value.starts_with("Bearer eyJ")), "{child:#?}");
    assert!(support::names_in(&sandbox.path("out")).is_empty(), "nothing is delivered");

    sandbox.config(config + &token(&sandbox, "bad", &server.url("/bad"), ""));
    let ran = sandbox.ours(&["check", "--online"]).expect(1);
    assert!(line(&ran, "bad").contains("failed, rejected: "), "{ran:#?}");
    assert!(line(&ran, "bad").contains("invalid_client") && line(&ran, "good").contains("ok"));
    sandbox.ours(&["check"]).expect(0);
    let asked = server.seen().len();
    sandbox.config("[token.x]\nsource = \"oauth2\"\n");
    sandbox.ours(&["check", "--online"]).expect(78);
    assert_eq!(server.seen().len(), asked, "a wrong config asks nobody");
}

/// Some issuers have one live token for each client: another one ends the one in use (WeChat, an option of Doorkeeper).
#[test]
fn check_online_ends_no_token_in_use_unless_it_is_named() {
    let sandbox = Sandbox::new();
    let live = Arc::new(Mutex::new(BTreeMap::new()));
    let issued = live.clone();
    let server = Server::start(move |seen| {
        let mut live = issued.lock().expect("a lock");
        // Whatever the method is.
        let number = live.get(&seen.path).map_or(1, |number| number + 1);
        live.insert(seen.path.clone(), number);
        json(format!(r#"{{"access_token":"t{number}","t":"t{number}","expires_in":3600,"token_type":"Bearer"}}"#))
    });
    let asked = |path: &str| live.lock().expect("a lock").get(path).copied().unwrap_or(0);
    let entry = |name: &str| token(&sandbox, name, &server.url(&format!("/{name}")), "");
    let child = format!(
        "[token.child]\nsource = \"http\"\nurl = \"{}\"\nbearer = {{ token = \"api\" }}\nresponse = {{ token = \"/t\", \
         expires_in = \"/expires_in\" }}\n",
        server.url("/child")
    );
    sandbox.config(entry("api") + &child);
    let daemon = sandbox.start();
    let ran = sandbox.ours(&["check", "--online"]).expect(0);
    assert!(line(&ran, "api").contains("not tried: the token in use was obtained from there at "), "{ran:#?}");
    assert!(line(&ran, "api").contains("`renewd check --online api` asks for one"), "{ran:#?}");
    assert!(line(&ran, "child").contains("not tried: the token in use was obtained from there at "), "{ran:#?}");
    assert!(!ran.text().contains("warning"), "{ran:#?}");
    assert_eq!((asked("/api"), asked("/child"), sandbox.read("api").as_str()), (1, 1, "t1"));

    // Who names one is told before it is asked for; what it is made from is taken as it is.
    let ran = sandbox.ours(&["check", "--online", "child"]).expect(0);
    assert!(line(&ran, "child").contains("ok, obtained"), "{ran:#?}");
    assert!(
        ran.stderr.contains("warning: child: another token is asked for, and some issuers end the one in use"),
        "{ran:#?}"
    );
    assert_eq!((asked("/api"), asked("/child")), (1, 2));
    let last = server.seen().pop().expect("a request");
    assert_eq!((last.path.as_str(), last.bearer()), ("/child", "t1"));
    sandbox.ours(&["check", "--online", "nobody"]).expect(64);
    sandbox.ours(&["check", "api"]).expect(64);
    daemon.stop();

    // What is in use was made from other settings: it will be obtained anew in any case.
    sandbox.config(token(&sandbox, "api", &server.url("/api"), "scope = \"more\""));
    let ran = sandbox.ours(&["check", "--online"]).expect(0);
    assert!(line(&ran, "api").contains("ok, obtained"), "{ran:#?}");
    // What is lacking for one token keeps no other from being tried.
    let lacking = entry("lacking").replace(&sandbox.path("out").display().to_string(), "/nowhere/at/all");
    sandbox.config(entry("good") + &lacking);
    let ran = sandbox.ours(&["check", "--online"]).expect(78);
    assert!(line(&ran, "good").contains("ok, obtained") && line(&ran, "lacking").contains("ok, obtained"), "{ran:#?}");
    assert!(ran.stderr.contains("/nowhere/at/all"), "{ran:#?}");
}

#[test]
fn a_socks_proxy_is_taken_with_its_account_and_its_way_to_look_up_names() {
    let pki = Pki::new();
    pki.issue("named", "2", "subjectAltName=DNS:idp.example,IP:192.0.2.7\nextendedKeyUsage=serverAuth\n");
    let server = Server::at("127.0.0.1:0", Some(pki.server("named", None)), |_| json(GOOD));
    let sandbox = Sandbox::new();
    sandbox.put("ca.crt", pki.read("ca.crt"));
    let asks = |host: &str, proxy: &str| {
        sandbox.config(token(&sandbox, "far", &format!("https://{host}/token"), "ca_file = \"ca.crt\""));
        let config = sandbox.path("config.toml");
        sandbox.run_with(&["check", "--online", "-c", config.to_str().expect("UTF-8")], "", &[("ALL_PROXY", proxy)])
    };
    let proxy = Proxy::socks(server.address, None);
    let ran = asks("idp.example", &format!("socks5h://{}", proxy.address)).expect(0);
    assert!(line(&ran, "far").contains("ok, obtained"), "{ran:#?}");
    assert_eq!(proxy.asked(), ["name idp.example:443"], "the proxy looks the name up");
    let ran = asks("192.0.2.7", &format!("socks5://{}", proxy.address)).expect(0);
    assert!(line(&ran, "far").contains("ok, obtained"), "{ran:#?}");
    assert_eq!(proxy.asked()[1..], ["address 192.0.2.7:443"]);
    let ran = asks("no-such-host.invalid", &format!("socks5://{}", proxy.address)).expect(1);
    assert!(line(&ran, "far").contains("its name is not found"), "{ran:#?}");
    assert_eq!(proxy.asked().len(), 2, "it is looked up here");

    let closed = Proxy::socks(server.address, Some("user:swordfish-9"));
    let ran = asks("idp.example", &format!("socks5h://user:swordfish-9@{}", closed.address)).expect(0);
    assert!(line(&ran, "far").contains("ok, obtained"), "{ran:#?}");
    let ran = asks("idp.example", &format!("socks5h://user:hunter2@{}", closed.address)).expect(1);
    assert!(line(&ran, "far").contains(&format!("through the proxy {}", closed.address)), "{ran:#?}");
    assert!(!ran.text().contains("hunter2"), "{ran:#?}");
}

#[test]
fn the_environment_names_a_proxy_and_who_goes_without() {
    let pki = Pki::new();
    pki.issue("named", "2", NAMED);
    let server = Server::at("127.0.0.1:0", Some(pki.server("named", None)), |_| json(GOOD));
    let proxy = Proxy::start(Some(server.address));
    let sandbox = Sandbox::new();
    sandbox.put("ca.crt", pki.read("ca.crt"));
    let near = Server::start(|_| json(GOOD));
    let config = token(&sandbox, "far", "https://idp.example/token", "ca_file = \"ca.crt\"");
    sandbox.config(config + &token(&sandbox, "near", &near.url("/token"), ""));
    let through = format!("http://{}", proxy.address);
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let before = proxy.asked().len();
        let env = [(variable, through.as_str()), ("HTTP_PROXY", "http://127.0.0.1:1")];
        let config = sandbox.path("config.toml");
        let ran = sandbox.run_with(&["check", "--online", "-c", config.to_str().expect("UTF-8")], "", &env);
        let ran = ran.expect(0);
        assert!(line(&ran, "far").contains("ok, obtained") && line(&ran, "near").contains("ok, obtained"));
        assert_eq!(proxy.asked()[before..], ["CONNECT idp.example:443 HTTP/1.1"], "{variable}");
    }
    assert!(!server.seen().is_empty());

    let refusing = Proxy::start(None);
    let through = format!("http://user:hunter2@{}", refusing.address);
    let config = sandbox.path("config.toml");
    let args = ["check", "--online", "-c", config.to_str().expect("UTF-8")];
    let ran = sandbox.run_with(&args, "", &[("HTTPS_PROXY", &through)]).expect(1);
    let words = format!("through the proxy {}: the proxy refuses", refusing.address);
    assert!(line(&ran, "far").contains(&words), "{ran:#?}");
    assert!(!ran.text().contains("hunter2"), "{ran:#?}");
    let env = [("HTTPS_PROXY", through.as_str()), ("NO_PROXY", ".example")];
    let ran = sandbox.run_with(&args, "", &env).expect(1);
    assert!(line(&ran, "far").contains("name"), "{ran:#?}");
    assert_eq!(refusing.asked().len(), 1);
}

#[test]
fn a_daemon_delivers_beside_fifty_endpoints_that_hang() {
    let hanging: Vec<Server> = (0..50).map(|_| Server::start(|_| Act::Hang)).collect();
    let good = Server::start(|_| json(GOOD));
    let sandbox = Sandbox::new();
    let mut config = String::new();
    for (number, server) in hanging.iter().enumerate() {
        config += &token(&sandbox, &format!("h{number}"), &server.url("/token"), "required = false\ntimeout = \"20s\"");
    }
    sandbox.config(config + &token(&sandbox, "good", &good.url("/token"), ""));
    let mut daemon = sandbox.start();
    assert!(daemon.started.elapsed() < Duration::from_secs(10));
    assert_eq!(sandbox.read("good"), "abc");
    until("all fifty are asked", || hanging.iter().all(|server| !server.seen().is_empty()));
    // Beside them it is rotated too, and leaves nothing open.
    assert!(sandbox.rotate(&["good"]));
    assert_eq!(good.seen().len(), 2);
    until("nothing is open", || good.open() == 0);
    // In the middle of fifty requests it ends at once.
    let (status, took) = daemon.end(rustix::process::Signal::TERM);
    assert!(status.success());
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// A unit that was made for signing alone says what it needs.
#[test]
fn a_unit_without_network_is_told_how_to_get_one() {
    if !is_root("a_unit_without_network_is_told_how_to_get_one") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.config(
        token(&sandbox, "far", "https://192.0.2.1/token", "") + &token(&sandbox, "named", "https://idp.example/", ""),
    );
    for (unit, told) in [(true, true), (false, false)] {
        let mut command = sandbox.command(&["unshare", "-n"]);
        command.args(["check", "--online"]).arg("-c").arg(sandbox.path("config.toml"));
        if unit {
            command.env("INVOCATION_ID", "x");
        }
        let ran = sandbox.finish(command, "").expect(1);
        for name in ["far", "named"] {
            assert_eq!(line(&ran, name).contains("PrivateNetwork=no"), told, "{ran:#?}");
        }
    }
}

/// Tenants of one host that hang, and one that is served: it is never late.
#[test]
fn tenants_that_hang_keep_a_good_token_of_their_host_from_nothing() {
    let sandbox = Sandbox::new();
    let server = Server::start(|seen| match seen.path.as_str() {
        "/good" => json(r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#),
        _ => Act::Hang,
    });
    let mut config = String::new();
    config += &token(&sandbox, "good", &server.url("/good"), "");
    for number in 0..24 {
        config += &token(
            &sandbox,
            &format!("slow{number}"),
            &server.url(&format!("/{number}")),
            "required = false\ntimeout = \"1s\"",
        );
    }
    sandbox.config_with("ready_timeout = \"1s\"", config);
    let daemon = sandbox.start();
    let asked = |path: &str| server.seen().iter().filter(|seen| seen.path == path).count();
    let hanging = || server.seen().iter().filter(|seen| seen.path != "/good").count();
    // Those that hang take all places that they may have, as new ones first and as failed ones later.
    for (round, least) in [(1, 6), (2, 12), (3, 27)] {
        until("they hang", || hanging() >= least);
        let begun = Instant::now();
        sandbox.ours(&["rotate", "--force", "good"]).expect(0);
        assert!(begun.elapsed() < Duration::from_secs(2), "round {round}: it waited for {:?}", begun.elapsed());
        assert_eq!(asked("/good"), 1 + round);
    }
    until("no more than eight are asked at a time", || server.open() <= 8);
    let status = daemon.status();
    let waiting: Vec<&serde_json::Value> = status["tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|token| !token["waiting_for_turn"].is_null())
        .collect();
    assert!(!waiting.is_empty() && waiting.iter().all(|token| token["name"] != "good"));
    assert_eq!(waiting[0]["waiting_for_turn"]["host"], server.url(""));
    let name = waiting.last().and_then(|token| token["name"].as_str()).expect("a name");
    let page = sandbox.ours(&["status", name]).text();
    assert!(page.contains("for its turn at http://127.0.0.1:"), "{page}");
    daemon.stop();
}
