//! `source = "http"`: what is filled in, and what an answer from anywhere means.

use std::sync::atomic::{AtomicUsize, Ordering};

use renewd::core::engine::Reason;
use renewd::core::settings::{Body, HttpSettings, Pointers};
use renewd::source::SourceError;
use serde_json::{Value, json};

use crate::setting::{Try, clean, first, name, pattern, reach, secret};
use support::http::{Act, Server, answer, json as answered};

/// Sunbird's: a form with the refresh token, an API token as bearer, and an expiry of 0.
fn portal(url: &str) -> HttpSettings {
    HttpSettings {
        url: pattern(url),
        method: "POST".into(),
        headers: vec![("accept".into(), pattern("application/json"))],
        bearer: Some(name("sunbird")),
        basic: None,
        body: Body::Form(vec![("refresh_token".into(), pattern("{{ refresh_token }}"))]),
        secret: None,
        secrets: Vec::new(),
        refresh_token: Some(first("hunter2+first")),
        response: Pointers {
            token: "/result/access_token".into(),
            expires_in: Some("/result/expires_in".into()),
            expires_at: None,
            refresh_token: Some("/result/refresh_token".into()),
        },
        reach: reach(),
    }
}

fn plain(url: &str) -> HttpSettings {
    let response =
        Pointers { token: "/t".into(), expires_in: Some("/e".into()), expires_at: None, refresh_token: None };
    HttpSettings { bearer: None, body: Body::None, refresh_token: None, response, ..portal(url) }
}

#[track_caller]
fn error(attempt: &Try, settings: HttpSettings) -> SourceError {
    let error = attempt.http(settings).unwrap_err();
    clean(&error);
    error
}

#[test]
fn sunbirds_refresh_endpoint() {
    // {"exp": 4102444800}
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.c2ln";
    let counter = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let next = counter.fetch_add(1, Ordering::SeqCst);
        answered(format!(
            r#"{{"result":{{"access_token":"{jwt}","expires_in":0,"refresh_expires_in":0,"refresh_token":"next-{next}"}}}}"#
        ))
    });
    let mut one = Try::new().parent("sunbird", "api-token");
    let got = one.http(portal(&server.url("/auth/v1/refresh/token"))).unwrap();
    assert_eq!(got.life.expires_at.unwrap().secs(), 4_102_444_800);
    one.refresh_token = got.refresh_token;
    one.http(portal(&server.url("/auth/v1/refresh/token"))).unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("authorization"), Some("Bearer api-token"));
    assert_eq!(seen[0].header("accept"), Some("application/json"));
    assert_eq!(seen[0].body, "refresh_token=hunter2%2Bfirst");
    assert_eq!(seen[1].body, "refresh_token=next-0");
}

#[test]
fn sunbirds_register_endpoint() {
    let server = Server::start(|_| answered(r#"{"result":{"key":"k","secret":"s","token":"abc"}}"#));
    let body = json!({"request": {"key": "{{ secret }}"}});
    let settings = HttpSettings {
        body: Body::Json(body),
        secret: Some(secret("a\"b")),
        response: Pointers { token: "/result/token".into(), ..plain("").response },
        reach: renewd::core::settings::Reach { ttl: Some(std::time::Duration::from_secs(60)), ..reach() },
        ..plain(&server.url("/x"))
    };
    assert_eq!(Try::new().http(settings).unwrap().value.expose(), "abc");
    let seen = server.only();
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap(), json!({"request": {"key": "a\"b"}}));
}

#[test]
fn a_401_is_blamed_on_the_token_that_was_sent() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/busy" => answer(401, "application/json", "{}").header("Retry-After", "5"),
        "/own" => answer(401, "application/json", "{}"),
        "/forbidden" => answer(403, "application/json", r#"{"message":"no, hunter2+first"}"#),
        _ => answer(401, "application/json", r#"{"message":"expired, hunter2+token"}"#),
    });
    let one = Try::new().parent("sunbird", "hunter2+token");
    let refused = error(&one, portal(&server.url("/")));
    assert_eq!((refused.reason, refused.refused_parent.clone()), (Reason::Rejected, Some(name("sunbird"))));
    assert!(refused.message.contains("expired, [masked]"), "{refused}");
    let busy = error(&one, portal(&server.url("/busy")));
    assert_eq!((busy.reason, busy.refused_parent.clone()), (Reason::Rejected, None));
    let forbidden = error(&one, portal(&server.url("/forbidden")));
    assert_eq!((forbidden.reason, forbidden.refused_parent.clone()), (Reason::Rejected, None));
    let filled =
        HttpSettings { headers: vec![("x".into(), pattern("{{ token.sunbird }}"))], ..plain(&server.url("/")) };
    assert_eq!(error(&one, filled).refused_parent, Some(name("sunbird")));
    assert_eq!(error(&Try::new(), plain(&server.url("/own"))).refused_parent, None);
}

#[test]
fn a_secret_in_the_address_stays_out_of_errors() {
    let server =
        Server::start(|seen| answer(302, "text/html", "").header("Location", format!("{}x?s=hunter2", seen.path)));
    let settings = HttpSettings { secret: Some(secret("hunter2/")), ..plain(&server.url("/{{ secret }}/a")) };
    let problem = Try::new().http(settings).unwrap_err();
    assert_eq!(server.only().path, "/hunter2%2F/a");
    assert!(!problem.message.contains("hunter2"), "{problem}");
}

#[test]
fn a_lost_answer_is_asked_for_again_only_where_a_refresh_token_was_sent() {
    let server = Server::start(|_| Act::Close);
    let one = Try::new().parent("sunbird", "api-token");
    assert_eq!(error(&one, portal(&server.url("/"))).reason, Reason::Unreachable);
    assert_eq!(server.seen().len(), 2);
    assert_eq!(error(&one, plain(&server.url("/"))).reason, Reason::Unreachable);
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn strange_answers_name_the_place() {
    for (body, words) in [("{}", "/t"), ("<p>", "HTML"), (r#"{"t":"a b"}"#, "space"), (r#"{"t":"a","e":true}"#, "/e")] {
        let server = Server::start(move |_| answered(body));
        let problem = error(&Try::new(), plain(&server.url("/")));
        assert_eq!(problem.reason, Reason::InvalidAnswer);
        assert!(problem.message.contains(words), "{words}: {problem}");
    }
}
