//! The gateway of these tests can say no: each kind of bad token is refused, with Kong's status and message.
//! And what Sunbird's published SDK makes is refused by it until `refresh` has seen to it.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::peers::{Peers, peers};
use support::forge::{hs256, unsigned};
use support::{SECRET, Sandbox, now, openssl};

const KEY: &str = "398e54e888da42f8d089";
const OTHER_SECRET: &str = "8582p9e07c6e2t1rb92987fnrd705jkk";

fn header() -> Value {
    json!({"typ": "JWT", "alg": "HS256"})
}

/// The claims of a good token, some of them replaced.
fn claims(changes: Value) -> Value {
    let at = now() as i64;
    let mut claims = json!({"iss": KEY, "iat": at, "nbf": at, "exp": at + 600});
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims(json!({}));
    claims.as_object_mut().expect("an object").remove(name);
    claims
}

/// An HS256 consumer and an RS256 one; the public key of the latter.
fn gateway(peers: &Peers, sandbox: &Sandbox) -> (Gateway, String) {
    let private = sandbox.path("rsa.pem");
    let private = private.to_str().expect("UTF-8");
    openssl(&["genpkey", "-algorithm", "RSA", "-out", private], b"");
    let public = String::from_utf8(openssl(&["pkey", "-in", private, "-pubout"], b"")).expect("PEM");
    let conf = json!({
        "key_claim_name": "iss",
        "claims_to_verify": ["exp", "nbf"],
        "maximum_expiration": 3600,
        "consumers": {
            KEY: {"algorithm": "HS256", "secret": SECRET},
            "rsa": {"algorithm": "RS256", "rsa_public_key": public},
        },
    });
    (Gateway::start(peers, sandbox, "gateway", &conf), public)
}

#[track_caller]
fn refused(gateway: &Gateway, what: &str, token: &str, status: u16, body: Value) {
    let answer = gateway.ask(token);
    assert_eq!((answer.status, answer.body), (status, body), "{what}");
}

#[test]
fn the_gateway_refuses_bad_tokens_as_kong_does() {
    let Some(peers) = peers("the_gateway_refuses_bad_tokens_as_kong_does") else { return };
    let sandbox = Sandbox::new();
    let (gateway, public) = gateway(&peers, &sandbox);
    let at = now() as i64;
    let signed = |claims: &Value| hs256(header(), claims, SECRET.as_bytes());
    let good = signed(&claims(json!({})));
    assert_eq!(gateway.ask(&good).status, 200);

    let said = |message: &str| json!({ "message": message });
    for (what, changes, status, body) in [
        ("expired", json!({"exp": at - 1}), 401, json!({"exp": "token expired"})),
        ("expires this second", json!({"exp": at}), 401, json!({"exp": "token expired"})),
        ("nbf ahead", json!({"nbf": at + 30}), 401, json!({"nbf": "token not valid yet"})),
        ("exp a string", json!({"exp": (at + 600).to_string()}), 401, json!({"exp": "must be a number"})),
        ("exp null", json!({"exp": null}), 401, json!({"exp": "must be a number"})),
        ("nbf true", json!({"nbf": true}), 401, json!({"nbf": "must be a number"})),
        ("too far away", json!({"exp": at + 3700}), 403, json!({"exp": "exceeds maximum allowed expiration"})),
        ("unknown key", json!({"iss": "nobody"}), 403, said("No credentials found for given 'iss'")),
        ("HS256 for an RS256 key", json!({"iss": "rsa"}), 403, said("Invalid algorithm")),
    ] {
        refused(&gateway, what, &signed(&claims(changes)), status, body);
    }
    refused(&gateway, "no exp", &signed(&without("exp")), 401, json!({"exp": "must be a number"}));
    refused(&gateway, "no nbf", &signed(&without("nbf")), 401, json!({"nbf": "must be a number"}));
    refused(&gateway, "no iss", &signed(&without("iss")), 401, said("No mandatory 'iss' in claims"));

    let forged = hs256(header(), claims(json!({})), OTHER_SECRET.as_bytes());
    refused(&gateway, "another secret", &forged, 403, said("Invalid signature"));
    let none = json!({"typ": "JWT", "alg": "none"});
    let forged = format!("{}.", unsigned(&none, claims(json!({}))));
    refused(&gateway, "alg none", &forged, 401, said("Bad token; invalid alg"));
    let as_hmac = hs256(header(), claims(json!({"iss": "rsa"})), public.as_bytes());
    refused(&gateway, "public key as HMAC secret", &as_hmac, 403, said("Invalid algorithm"));
    let as_rsa = json!({"typ": "JWT", "alg": "RS256"});
    let as_rsa = hs256(&as_rsa, claims(json!({"iss": "rsa"})), public.as_bytes());
    refused(&gateway, "the same, called RS256", &as_rsa, 403, said("Invalid signature"));
    let (signed_part, _) = good.rsplit_once('.').expect("three parts");
    refused(&gateway, "no signature", &format!("{signed_part}."), 403, said("Invalid signature"));
    refused(&gateway, "torn", &good[..good.len() / 2], 401, said("Bad token; invalid JSON"));
    let bare = gateway.get("/jobs", "");
    assert_eq!((bare.status, bare.body), (401, said("Unauthorized")));
    assert_eq!(gateway.ask(&good).status, 200, "still let in");
}

#[test]
fn a_token_of_the_sdk_is_let_in_once_it_is_refreshed() {
    let Some(peers) = peers("a_token_of_the_sdk_is_let_in_once_it_is_refreshed") else { return };
    let sandbox = Sandbox::new();
    let (gateway, _) = gateway(&peers, &sandbox);
    let strict = json!({
        "key_claim_name": "iss",
        "claims_to_verify": ["exp"],
        "maximum_expiration": 3600,
        "consumers": {KEY: {"secret": SECRET}},
    });
    let exp_only = Gateway::start(&peers, &sandbox, "exp-only", &strict);
    // What generate(key, secret) of the published SDK gives.
    let claims = json!({"iss": KEY, "iat": null, "exp": null, "aud": "", "sub": ""});
    let old = hs256(header(), &claims, SECRET.as_bytes());
    refused(&exp_only, "as the SDK made it", &old, 401, json!({"exp": "must be a number"}));

    let refresh = |old: &str, more: &[&str]| {
        let mut args = vec!["refresh", "-", "--key", KEY, "--secret-file", "secret"];
        args.extend(more);
        let ran = sandbox.run_with(&args, old, &[]).expect(0);
        ran.stdout.trim_end().to_owned()
    };
    let new = refresh(&old, &[]);
    assert_eq!(exp_only.ask(&new).status, 200);
    // Without nbf, as before: the gateway that wants one says so.
    refused(&gateway, "no nbf is made up", &new, 401, json!({"nbf": "must be a number"}));
    let again = refresh(&new, &["--lifetime", "2h"]);
    refused(&exp_only, "two hours", &again, 403, json!({"exp": "exceeds maximum allowed expiration"}));
    assert_eq!(exp_only.ask(&refresh(&again, &["--lifetime", "1h"])).status, 200);

    // "regenerate expired AuthToken": one that the gateway has refused for its age.
    let at = now() as i64;
    let expired = json!({"iss": KEY, "iat": at - 7200, "exp": at - 3600, "aud": "", "sub": ""});
    let expired = hs256(header(), &expired, SECRET.as_bytes());
    refused(&exp_only, "an hour too late", &expired, 401, json!({"exp": "token expired"}));
    assert_eq!(exp_only.ask(&refresh(&expired, &[])).status, 200);

    let forged = hs256(header(), &claims, OTHER_SECRET.as_bytes());
    let args = ["refresh", "-", "--key", KEY, "--secret-file", "secret"];
    let ran = sandbox.run_with(&args, &forged, &[]).expect(1);
    assert_eq!(ran.stdout, "", "a token of another secret is not renewed");
}
