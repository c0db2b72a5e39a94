//! The pages for gateways: Sunbird and Kong. Each is followed, and PyJWT and the gateway take what it gives.

use serde_json::json;

use crate::gateway::Gateway;
use crate::page::Page;
use crate::peers::{Rule, peers};
use support::forge::hs256;
use support::{SECRET, now};

const SUNBIRD_KEY: &str = "398e54e888da42f8d089";

fn secret_rule() -> Rule<'static> {
    Rule { algorithm: "HS256", key: SECRET, audience: None, require: &["exp", "iat", "jti"] }
}

#[test]
fn each_page_is_followed_by_a_test() {
    let names: Vec<String> = support::names_in(&support::repository().join("docs/src/recipes"));
    let tested = ["apns.md", "app-store-connect.md", "kong.md", "snowflake.md", "sunbird.md", "twilio.md"];
    assert_eq!(names, tested);
}

#[test]
fn sunbird() {
    let Some(peers) = peers("sunbird") else { return };
    let page = Page::open("sunbird");
    page.sandbox.put("sunbird.secret", SECRET);
    page.deliver(&page.config());
    let token = page.token("sunbird.token");
    assert_eq!(page.token("sunbird.header"), token);

    let verified = peers.verify(&token, &secret_rule());
    assert_eq!(verified.header, json!({"typ": "JWT", "alg": "HS256"}));
    assert_eq!(verified.claims["iss"], SUNBIRD_KEY);
    let life = verified.claims["exp"].as_i64().zip(verified.claims["iat"].as_i64()).map(|(exp, iat)| exp - iat);
    assert_eq!(life, Some(3600));

    let conf = json!({
        "key_claim_name": "iss",
        "claims_to_verify": ["exp"],
        "maximum_expiration": 86400,
        "consumers": {SUNBIRD_KEY: {"secret": SECRET}},
    });
    let gateway = Gateway::start(&peers, &page.sandbox, "gateway", &conf);
    assert_eq!(gateway.ask(&token).status, 200, "from the file");
    assert_eq!(gateway.ask(page.run(0).trim_end()).status, 200, "by hand");

    let claims = json!({"iss": SUNBIRD_KEY, "iat": null, "exp": null, "aud": "", "sub": ""});
    let old = hs256(json!({"typ": "JWT", "alg": "HS256"}), &claims, SECRET.as_bytes());
    page.sandbox.put("old.token", &old);
    assert_eq!(gateway.ask(&old).status, 401, "of the SDK");
    let new = page.run(1);
    let new = peers.verify(new.trim_end(), &secret_rule());
    assert_eq!((&new.claims["aud"], &new.claims["sub"]), (&json!(""), &json!("")));
    assert!(new.claims["exp"].as_i64().is_some_and(|exp| exp as f64 > now()), "{new:?}");
    assert_eq!(gateway.ask(page.run(1).trim_end()).status, 200, "refreshed");
}

#[test]
fn kong() {
    let Some(peers) = peers("kong") else { return };
    let page = Page::open("kong");
    page.sandbox.put("kong.secret", SECRET);
    page.run(0);
    page.deliver(&page.config());
    let public = std::fs::read_to_string(page.sandbox.path("kong.pub")).expect("the public key");
    let consumers = json!({
        "nightly": {"algorithm": "HS256", "secret": SECRET},
        "nightly-rsa": {"algorithm": "RS256", "rsa_public_key": public},
    });
    let gateway = |key_claim_name: &str| {
        let conf = json!({
            "key_claim_name": key_claim_name,
            "claims_to_verify": ["exp"],
            "maximum_expiration": 86400,
            "consumers": consumers,
        });
        Gateway::start(&peers, &page.sandbox, key_claim_name, &conf)
    };
    let (by_iss, by_kid) = (gateway("iss"), gateway("kid"));

    let iss = page.token("kong.header");
    let verified = peers.verify(&iss, &secret_rule());
    assert_eq!((&verified.claims["iss"], &verified.header["kid"]), (&json!("nightly"), &json!(null)));
    assert_eq!(by_iss.ask(&iss).status, 200);

    let kid = page.token("kong-kid.header");
    let verified = peers.verify(&kid, &secret_rule());
    assert_eq!((&verified.claims["iss"], &verified.header["kid"]), (&json!(null), &json!("nightly")));
    assert_eq!(by_kid.ask(&kid).status, 200);
    assert_eq!(by_iss.ask(&kid).status, 401, "a gateway that looks for iss");

    let rsa = page.token("kong-rsa.header");
    let rule = Rule { algorithm: "RS256", key: &public, audience: None, require: &["exp", "iat", "iss"] };
    let verified = peers.verify(&rsa, &rule);
    assert_eq!((&verified.claims["iss"], &verified.header["alg"]), (&json!("nightly-rsa"), &json!("RS256")));
    assert_eq!(by_iss.ask(&rsa).status, 200);
}
