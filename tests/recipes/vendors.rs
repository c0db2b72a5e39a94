//! The pages for vendors' APIs: APNs, App Store Connect, Snowflake, Twilio. Each is followed with a key made by openssl,
//! PyJWT verifies the token, and header and claims are those that the vendor documents: no more, no less.

use serde_json::{Value, json};

use crate::page::Page;
use crate::peers::{Rule, Verified, peers};
use support::{SECRET, now, openssl};

/// Makes the private key that a vendor would hand out; its public half.
fn ec_key(page: &Page, name: &str) -> String {
    let path = page.sandbox.path(name);
    let path = path.to_str().expect("UTF-8");
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path], b"");
    String::from_utf8(openssl(&["pkey", "-in", path, "-pubout"], b"")).expect("PEM")
}

/// exp - iat, and what is left of it is no more than that.
#[track_caller]
fn life(verified: &Verified) -> i64 {
    let (iat, exp) = (verified.claims["iat"].as_i64(), verified.claims["exp"].as_i64());
    let (iat, exp) = iat.zip(exp).unwrap_or_else(|| panic!("{verified:?}"));
    assert!((iat as f64) <= now() && exp as f64 > now(), "{verified:?}");
    exp - iat
}

/// The value, without members whose value a test cannot know; each of them has to be there.
#[track_caller]
fn apart_from(mut value: Value, names: &[&str]) -> Value {
    let object = value.as_object_mut().expect("an object");
    for name in names {
        assert!(object.remove(*name).is_some(), "{name} is missing");
    }
    value
}

#[test]
fn apns() {
    let Some(peers) = peers("apns") else { return };
    let page = Page::open("apns");
    let public = ec_key(&page, "AuthKey_ABC123DEFG.p8");
    page.deliver(&page.config());
    let rule = Rule { algorithm: "ES256", key: &public, audience: None, require: &["iat", "iss"] };
    let verified = peers.verify(&page.token("apns.token"), &rule);
    assert_eq!(verified.header, json!({"typ": "JWT", "alg": "ES256", "kid": "ABC123DEFG"}));
    assert_eq!(apart_from(verified.claims, &["iat"]), json!({"iss": "DEF123GHIJ"}));

    // Apple wants a new one after 20 minutes at the earliest and 60 at the latest.
    let next = page.next_rotation("apns") - now();
    assert!((20.0 * 60.0..60.0 * 60.0).contains(&next), "in {next} s");
}

#[test]
fn app_store_connect() {
    let Some(peers) = peers("app_store_connect") else { return };
    let page = Page::open("app-store-connect");
    let public = ec_key(&page, "AuthKey_2X9R4HXF34.p8");
    page.deliver(&page.config());
    let rule = Rule {
        algorithm: "ES256",
        key: &public,
        audience: Some("appstoreconnect-v1"),
        require: &["iss", "iat", "exp", "aud"],
    };
    let verified = peers.verify(&page.token("app-store.header"), &rule);
    assert_eq!(verified.header, json!({"typ": "JWT", "alg": "ES256", "kid": "2X9R4HXF34"}));
    assert!((1..=1200).contains(&life(&verified)), "20 minutes at most: {verified:?}");
    let rest = json!({"iss": "57246542-96fe-1a63-e053-0824d011072a", "aud": "appstoreconnect-v1"});
    assert_eq!(apart_from(verified.claims, &["iat", "exp"]), rest);
}

#[test]
fn snowflake() {
    let Some(peers) = peers("snowflake") else { return };
    let page = Page::open("snowflake");
    let printed = page.run(0);
    let fingerprint = printed.lines().last().expect("a fingerprint");
    let config = page.config();
    let example = config.split("SHA256:").nth(1).and_then(|rest| rest.split('"').next()).expect("a fingerprint");
    page.deliver(&config.replace(example, fingerprint));

    let public = std::fs::read_to_string(page.sandbox.path("snowflake.pub")).expect("the public key");
    let rule = Rule { algorithm: "RS256", key: &public, audience: None, require: &["iss", "sub", "iat", "exp"] };
    let verified = peers.verify(&page.token("snowflake.header"), &rule);
    assert_eq!(verified.fingerprint, fingerprint, "as another implementation works it out");
    assert_eq!(verified.header, json!({"typ": "JWT", "alg": "RS256"}));
    assert!((1..=3600).contains(&life(&verified)), "an hour at most: {verified:?}");
    let user = "MYORG-MYACCOUNT.JOBS";
    let rest = json!({"iss": format!("{user}.SHA256:{fingerprint}"), "sub": user});
    assert_eq!(apart_from(verified.claims, &["iat", "exp"]), rest);
}

#[test]
fn twilio() {
    let Some(peers) = peers("twilio") else { return };
    let page = Page::open("twilio");
    page.sandbox.put("twilio.secret", SECRET);
    page.deliver(&page.config());
    let require = &["jti", "iss", "sub", "iat", "nbf", "exp", "grants"];
    let rule = Rule { algorithm: "HS256", key: SECRET, audience: None, require };
    let verified = peers.verify(&page.token("twilio.json"), &rule);
    assert_eq!(verified.header, json!({"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}));
    assert!((1..=86400).contains(&life(&verified)), "24 hours at most: {verified:?}");
    assert_eq!(verified.claims["nbf"], verified.claims["iat"]);
    let rest = json!({
        "iss": "SK0123456789abcdef0123456789abcdef",
        "sub": "AC0123456789abcdef0123456789abcdef",
        "grants": {
            "identity": "wallboard",
            "chat": {"service_sid": "IS0123456789abcdef0123456789abcdef"},
        },
    });
    assert_eq!(apart_from(verified.claims, &["jti", "iat", "nbf", "exp"]), rest);
}
