//! The worked examples of the page for Sunbird, against a portal that answers as Sunbird's does: `expires_in` 0 included.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use support::forge::unsigned;
use support::http::{Act, Seen, Server, json as answered, refusal};
use support::{Jwt, Page, SECRET, Sandbox, now, until};

const KEY: &str = "398e54e888da42f8d089";
const DEVICE: &str = "/api-manager/v1/consumer/mobile_device/credential/register";
const REFRESH: &str = "/auth/v1/refresh/token";

/// The n-th config of the page, for this portal and this host.
fn config(sandbox: &Sandbox, portal: &Server, number: usize) -> String {
    let block = Page::open("docs/src/recipes/sunbird.md").texts("toml check").swap_remove(number);
    assert!(block.contains("https://portal.example") && block.contains("/run/renewd/"), "{block}");
    block
        .replace("https://portal.example", &portal.url(""))
        .replace("/run/renewd/", &format!("{}/", sandbox.path("out").display()))
}

fn jwt(claims: &Value) -> String {
    format!("{}.c2lnbmF0dXJl", unsigned(json!({"alg": "RS256", "typ": "JWT"}), claims))
}

/// What Kong in front of it does.
fn refused(asked: &Seen) -> Option<Act> {
    let known = Jwt::good_at(asked.bearer(), SECRET.as_bytes(), now()).is_ok_and(|jwt| jwt.claims["iss"] == KEY);
    (!known).then(|| refusal(401, r#"{"message":"Unauthorized"}"#))
}

#[test]
fn a_device_is_registered() {
    let portal = Server::start(|asked| {
        refused(asked).unwrap_or_else(|| {
            let key = asked.json()["request"]["key"].clone();
            let token = jwt(&json!({"iss": key, "iat": null, "exp": null, "aud": "", "sub": ""}));
            let result = json!({"key": key, "secret": "of-the-device", "token": token});
            answered(json!({"id": "api.am.adminutil.credential.register", "result": result}))
        })
    });
    let sandbox = Sandbox::new();
    sandbox.put("sunbird.secret", SECRET);
    sandbox.config(config(&sandbox, &portal, 0));
    sandbox.ours(&["check"]).expect(0);
    let daemon = sandbox.start();
    let asked = portal.seen_at(DEVICE);
    assert_eq!((asked.len(), asked[0].method.as_str()), (1, "POST"));
    assert_eq!(asked[0].json(), json!({"request": {"key": "device-0001"}}));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    let header = sandbox.read("device.header");
    let token = header.strip_prefix("Authorization: Bearer ").and_then(|rest| rest.strip_suffix('\n'));
    let token = Jwt::parse(token.expect("a header")).expect("a token of Sunbird's");
    assert_eq!(token.claims["iss"], "device-0001");
    let expires = daemon.token("device")["expires_at"].to_string();
    let expires: jiff::Timestamp = expires.trim_matches('"').parse().expect("a time");
    assert!((expires.as_second() as f64 - now() - 86400.0).abs() < 60.0, "ttl counts: {expires}");
    assert!(!daemon.log().contains("of-the-device"));
    daemon.stop();
    assert!(!support::names_in(&sandbox.path("out")).contains(&"sunbird.token".to_owned()));
}

#[test]
fn a_user_is_refreshed() {
    let spent = Arc::new(Mutex::new(BTreeSet::new()));
    let portal = Server::start(move |asked| {
        refused(asked).unwrap_or_else(|| {
            let used = asked.field("refresh_token").unwrap_or_default();
            let mut spent = spent.lock().expect("spent");
            if !used.starts_with("refresh-") || !spent.insert(used) {
                return refusal(400, r#"{"error":"invalid_grant","error_description":"Stale token"}"#);
            }
            let count = spent.len();
            let access = jwt(&json!({"sub": "f:user", "exp": now() as i64 + 1800, "jti": count}));
            answered(json!({"id": "api.refresh.token", "params": {"status": "successful"}, "responseCode": "OK", "result": {
                "access_token": access, "expires_in": 0, "refresh_expires_in": 0, "refresh_token": format!("refresh-{count}"),
            }}))
        })
    });
    let sandbox = Sandbox::new();
    sandbox.put("sunbird.secret", SECRET);
    sandbox.put("portal.refresh", "refresh-of-the-login\n");
    sandbox.config(config(&sandbox, &portal, 1));
    sandbox.ours(&["check"]).expect(0);
    let daemon = sandbox.start();
    let exp = Jwt::parse(&sandbox.read("user.token")).expect("a JWT").number("exp");
    let expires = daemon.token("user")["expires_at"].to_string();
    let expires: jiff::Timestamp = expires.trim_matches('"').parse().expect("a time");
    assert_eq!(expires.as_second(), exp, "expires_in is 0: the exp counts");
    for _ in 0..2 {
        assert!(sandbox.rotate(&["user"]), "{}", daemon.log());
    }
    daemon.stop();
    let sent = |portal: &Server| -> Vec<String> {
        portal.seen_at(REFRESH).iter().filter_map(|asked| asked.field("refresh_token")).collect()
    };
    assert_eq!(sent(&portal), ["refresh-of-the-login", "refresh-1", "refresh-2"]);

    // A restart goes on with the stored one; a login's new one wins; a stale one is told.
    let daemon = sandbox.start();
    assert!(sandbox.rotate(&["user"]), "{}", daemon.log());
    sandbox.put("portal.refresh", "refresh-of-another-login\n");
    until("another login", || sent(&portal).len() == 5);
    assert_eq!(sent(&portal)[3..], ["refresh-3", "refresh-of-another-login"]);
    sandbox.put("portal.refresh", "stale\n");
    until("a refusal", || daemon.token("user")["reason"] == "rejected");
    let token = daemon.token("user");
    assert_eq!(token["state"], "retrying", "the one in place is valid still");
    assert!(token["last_error"].as_str().is_some_and(|e| e.contains("invalid_grant: Stale token")), "{token}");
    daemon.stop();
}
