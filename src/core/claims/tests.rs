use serde_json::json;

use super::super::crypto::{Algorithm, SigningKey};
use super::*;

fn settings() -> JwtSettings {
    JwtSettings {
        algorithm: Algorithm::HS256,
        signing_key: std::sync::Arc::new(SigningKey::from_secret(b"07c6e2t1rb92987fnrd705jkk8582p9e")),
        key: Some("K\"\u{e9}".into()),
        key_claim: KeyClaim::Iss,
        lifetime: Lifetime::For(Duration::from_secs(3600)),
        skew: Duration::ZERO,
        claims: Map::new().into(),
        header: Map::new().into(),
        iat: true,
        exp: true,
        nbf: false,
        jti: true,
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn header_of(settings: &JwtSettings) -> String {
    let bytes = BASE64URL_NOPAD.decode(header(settings).as_bytes()).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn payload_of(settings: &JwtSettings, now: Wall) -> String {
    String::from_utf8(payload(settings, now, [0; 16]).json).unwrap()
}

#[test]
fn claims_stand_in_their_order() {
    let now = Wall(1_600_000_000_999);
    let all = JwtSettings {
        skew: Duration::from_secs(30),
        nbf: true,
        claims: object(json!({"z": [1, {"y": null}], "aud": "", "a": 1.5})).into(),
        ..settings()
    };
    assert_eq!(
        payload_of(&all, now),
        "{\"iss\":\"K\\\"\u{e9}\",\"iat\":1599999970,\"nbf\":1599999970,\"exp\":1600003600,\
         \"jti\":\"AAAAAAAAAAAAAAAAAAAAAA\",\"z\":[1,{\"y\":null}],\"aud\":\"\",\"a\":1.5}"
    );
    let none = JwtSettings { key: None, iat: false, exp: false, jti: false, ..settings() };
    assert_eq!(payload_of(&none, now), "{}");
    assert_eq!(payload(&none, now, [0; 16]).expires_at, None);
    let never = JwtSettings { lifetime: Lifetime::Never, jti: false, key: None, ..settings() };
    assert_eq!(payload_of(&never, now), "{\"iat\":1600000000}");
}

#[test]
fn the_header_is_typ_and_alg_first() {
    assert_eq!(header_of(&settings()), r#"{"typ":"JWT","alg":"HS256"}"#);
    let more = JwtSettings {
        key: Some("k1".into()),
        key_claim: KeyClaim::Kid,
        header: object(json!({"cty": "a", "typ": "at+jwt", "x": {"n": [null]}})).into(),
        ..settings()
    };
    assert_eq!(header_of(&more), r#"{"typ":"at+jwt","alg":"HS256","kid":"k1","cty":"a","x":{"n":[null]}}"#);
    assert!(!payload_of(&more, Wall(0)).contains("iss"));
}

#[test]
fn numbers_are_whole_and_never_overflow() {
    for now in [Wall(i64::MIN), Wall(-1), Wall(0), Wall(1), Wall(i64::MAX)] {
        let wild = JwtSettings { lifetime: Lifetime::For(Duration::MAX), skew: Duration::MAX, ..settings() };
        let text = payload_of(&wild, now);
        let claims: Map<String, Value> = serde_json::from_str(&text).unwrap();
        assert!(claims["iat"].is_i64() && claims["exp"].is_i64(), "{text}");
    }
    let odd = JwtSettings { skew: Duration::from_millis(1500), ..settings() };
    assert!(payload_of(&odd, Wall(10_900)).contains("\"iat\":8,"));
}
