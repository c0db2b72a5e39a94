//! What comes back: good, strange, too much, or a refusal.

use std::time::Duration;

use renewd::core::engine::Reason;
use renewd::core::settings::{OAuth2Settings, Reach};

use crate::setting::{Try, now, oauth2, reach, refused};
use crate::wire::packed;
use support::http::{Act, Server, answer, json};

type Answering = fn() -> Act;

fn error_of(act: Answering) -> renewd::source::SourceError {
    let server = Server::start(move |_| act());
    refused(oauth2(&server.url("/token?hunter2")))
}

#[test]
fn an_answer_becomes_a_token_with_an_expiry_from_when_it_was_asked_for() {
    let body = r#"{"access_token":"abc","token_type":"bearer","expires_in":"60","refresh_token":"unasked"}"#;
    let server = Server::start(move |_| json(body).after(Duration::from_millis(300)));
    let (before, got, after) = (now(), Try::new().oauth2(oauth2(&server.url("/token"))).unwrap(), now());
    assert_eq!(got.value.expose(), "abc");
    assert!(got.life.issued_at >= before && got.life.issued_at.0 + 300 <= after.0);
    assert_eq!(got.life.expires_at, Some(got.life.issued_at.plus(Duration::from_secs(60))));
    assert_eq!(got.refresh_token, None, "there was none to be replaced");
    let seen = server.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/token"));
    assert_eq!(seen.header("user-agent"), Some(concat!("renewd/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("referer"), None);
}

#[test]
fn the_content_type_of_a_good_answer_does_not_matter() {
    for kind in ["text/plain", "text/html; charset=utf-8", "application/octet-stream"] {
        let server = Server::start(move |_| answer(200, kind, r#"{"access_token":"abc","expires_in":60}"#));
        Try::new().oauth2(oauth2(&server.url("/"))).unwrap();
    }
}

#[test]
fn strange_answers_are_told_apart_and_not_shown() {
    let cases: [(Answering, &str); 14] = [
        (|| answer(200, "text/html", "<html>hunter2</html>"), "HTML, not JSON"),
        (|| answer(200, "text/plain", "hunter2"), "text/plain"),
        (|| json(""), "empty"),
        (|| json("[]"), "/access_token"),
        // What has a name as words have may be the token.
        (|| json(r#"{"text":"hunter2","message":""}"#), "/access_token"),
        (|| json(r#"{"access_token":"hunter2 x","expires_in":9}"#), "a space or a newline"),
        (|| json(r#"{"access_token":"hunter2\nX: y","expires_in":9}"#), "a space or a newline"),
        (|| json(r#"{"access_token":"","expires_in":9}"#), "empty"),
        (|| json(r#"{"access_token":7,"expires_in":9}"#), "not a string"),
        (|| json(r#"{"access_token":"hunter2","expires_in":-1}"#), "negative"),
        (|| json(r#"{"access_token":"hunter2","expires_in":99999999999999999}"#), "thousand years"),
        (|| json(r#"{"access_token":"hunter2","expires_in":0}"#), "no life left"),
        (|| json(r#"{"access_token":"hunter2"}"#), "ttl"),
        (|| json(r#"{"access_token":"hunter2","token_type":"DPoP","expires_in":9}"#), "Bearer"),
    ];
    for (act, words) in cases {
        let error = error_of(act);
        assert_eq!(error.reason, Reason::InvalidAnswer, "{error}");
        assert!(error.message.contains(words), "{words}: {error}");
        assert!(error.message.starts_with("http://127.0.0.1:"), "{error}");
    }
}

#[test]
fn a_code_that_says_no_more_than_the_status_is_not_repeated() {
    for (body, shown) in [
        (r#"{"type":"about:blank","title":"the words","status":400}"#, "400 Bad Request: the words"),
        (r#"{"code":400,"message":"the words"}"#, "400 Bad Request: the words"),
        (r#"{"code":7,"status":400,"message":"the words"}"#, "400 Bad Request: 7: the words"),
    ] {
        let server = Server::start(move |_| answer(400, "application/problem+json", body));
        let error = refused(oauth2(&server.url("/")));
        assert!(error.message.ends_with(shown), "{error}");
    }
}

#[test]
fn ttl_stands_in_for_an_expiry_and_bounds_it() {
    for (body, lifetime) in [(r#"{"access_token":"a"}"#, 30), (r#"{"access_token":"a","expires_in":9}"#, 9)] {
        let server = Server::start(move |_| json(body));
        let reach = Reach { ttl: Some(Duration::from_secs(30)), ..reach() };
        let got = Try::new().oauth2(OAuth2Settings { reach, ..oauth2(&server.url("/")) }).unwrap();
        assert_eq!(got.life.expires_at, Some(got.life.issued_at.plus(Duration::from_secs(lifetime))));
    }
}

#[test]
fn an_answer_ends_at_a_mebibyte_whatever_it_says_of_its_length() {
    let large = |extra: usize| {
        let start = r#"{"expires_in":60,"access_token":"a","x":""#;
        format!("{start}{}\"}}", "x".repeat(1024 * 1024 - start.len() - 2 + extra))
    };
    let fits = large(0);
    let server = Server::start(move |_| json(&fits));
    Try::new().oauth2(oauth2(&server.url("/"))).unwrap();
    let too_large = large(1);
    let server = Server::start(move |_| json(&too_large));
    assert!(refused(oauth2(&server.url("/"))).message.contains("1 MiB"));
    // 10 MB without a length, and in chunks.
    for head in ["", "Transfer-Encoding: chunked\r\n"] {
        let server = Server::start(move |_| {
            let mut bytes = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes();
            for _ in 0..1000 {
                let chunk = "x".repeat(10_000);
                let framed = if head.is_empty() { chunk } else { format!("{:x}\r\n{chunk}\r\n", 10_000) };
                bytes.extend_from_slice(framed.as_bytes());
            }
            Act::Raw(bytes)
        });
        let error = refused(oauth2(&server.url("/")));
        assert_eq!(error.reason, Reason::InvalidAnswer);
        assert!(error.message.contains("1 MiB"), "{error}");
    }
}

#[test]
fn a_compressed_answer_that_cannot_be_unpacked_is_told() {
    let error = error_of(|| json("x").header("Content-Encoding", "gzip"));
    assert!(error.message.contains("cannot be unpacked"), "{error}");
    let error = error_of(|| json("x").header("Content-Encoding", "br"));
    assert!(error.message.contains("compressed (br)"), "{error}");
    // A mebibyte of nothing, and one byte more.
    let large = || answer(200, "application/json", packed("gzip", &vec![b' '; 1024 * 1024 + 1]));
    let server = Server::start(move |_| large().header("Content-Encoding", "gzip"));
    assert!(refused(oauth2(&server.url("/"))).message.contains("1 MiB"));
}

#[test]
fn redirects_are_told_without_their_query_and_not_followed() {
    let elsewhere = Server::start(|_| json(r#"{"access_token":"a","expires_in":60}"#));
    let to = elsewhere.url("/login");
    for status in [301, 302, 303, 307, 308] {
        let to = to.clone();
        let server =
            Server::start(move |_| answer(status, "text/html", "").header("Location", format!("{to}?s=hunter2")));
        let error = refused(oauth2(&server.url("/token")));
        assert_eq!(error.reason, Reason::InvalidAnswer);
        assert!(error.message.contains(&elsewhere.url("/login")), "{error}");
        assert!(error.message.contains(&status.to_string()), "{error}");
    }
    assert!(elsewhere.seen().is_empty());
    assert!(error_of(|| answer(302, "text/html", "")).message.contains("302"));
}

#[test]
fn refused_and_out_of_order_are_told_apart() {
    let cases: [(Answering, Reason); 18] = [
        (|| answer(400, "application/json", r#"{"error":"invalid_grant"}"#), Reason::Rejected),
        (|| answer(400, "application/json", r#"{"error":"invalid_client"}"#), Reason::Rejected),
        (|| answer(403, "application/json", r#"{"error":"unauthorized_client"}"#), Reason::Rejected),
        (|| json(r#"{"error":"invalid_grant"}"#), Reason::Rejected),
        (|| answer(401, "text/html", "no"), Reason::Rejected),
        (|| answer(400, "application/json", r#"{"error":"invalid_scope"}"#), Reason::InvalidAnswer),
        (|| answer(403, "text/plain", "no"), Reason::Rejected),
        (|| answer(403, "application/json", ""), Reason::Rejected),
        (|| answer(403, "application/json", r#"{"error":"temporarily_unavailable"}"#), Reason::Unreachable),
        // Without a refresh token nothing says that a credential is what is wrong.
        (|| answer(400, "text/plain", ""), Reason::InvalidAnswer),
        (|| answer(400, "application/json", r#"{"error":"invalid_request"}"#), Reason::InvalidAnswer),
        (|| answer(404, "text/plain", "no"), Reason::InvalidAnswer),
        (|| answer(400, "application/json", r#"{"error":"temporarily_unavailable"}"#), Reason::Unreachable),
        (|| answer(408, "text/plain", ""), Reason::Unreachable),
        (|| answer(429, "text/plain", ""), Reason::Unreachable),
        (|| answer(500, "application/json", r#"{"error":"invalid_grant"}"#), Reason::Unreachable),
        (|| answer(502, "text/html", "<html>"), Reason::Unreachable),
        (|| answer(503, "text/plain", ""), Reason::Unreachable),
    ];
    for (act, reason) in cases {
        let error = error_of(act);
        assert_eq!(error.reason, reason, "{error}");
        assert_eq!((error.retry_after, error.refused_parent), (None, None));
    }
}

#[test]
fn the_endpoints_words_are_shown_and_what_was_sent_is_not() {
    let body = r#"{"error":"invalid_client","error_description":"no\r\nsuch client: swordfish-1, jobs"}"#;
    let server = Server::start(move |_| answer(401, "application/json", body));
    let error = refused(oauth2(&server.url("/token")));
    assert!(error.message.contains("401 Unauthorized: invalid_client: no such client: [masked], jobs"), "{error}");
    // As it stood in the header, with and without its padding (RFC 7617 2).
    let basic =
        r#"{"error":"invalid_client","error_description":"am9iczpzd29yZGZpc2gtMQ== am9iczpzd29yZGZpc2gtMQ ends"}"#;
    let server = Server::start(move |_| answer(401, "application/json", basic));
    let error = refused(oauth2(&server.url("/token")));
    assert!(error.message.contains("invalid_client: [masked]== [masked] ends"), "{error}");
    let long = format!(r#"{{"error_description":"{}"}}"#, "very long ".repeat(1000));
    let server = Server::start(move |_| answer(400, "application/json", long.clone()));
    assert!(refused(oauth2(&server.url("/token"))).message.len() < 1000);
}

#[test]
fn retry_after_is_read_in_both_forms() {
    for status in [429, 503, 400] {
        let server = Server::start(move |_| answer(status, "text/plain", "").header("Retry-After", "120"));
        assert_eq!(refused(oauth2(&server.url("/"))).retry_after, Some(Duration::from_secs(120)));
    }
    let server = Server::start(|_| {
        let at = jiff::Timestamp::now() + Duration::from_secs(100);
        answer(503, "text/plain", "").header("Retry-After", at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
    });
    let wait = refused(oauth2(&server.url("/"))).retry_after.unwrap().as_secs();
    assert!((90..=100).contains(&wait), "{wait}");
}
