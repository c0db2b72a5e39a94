use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::core::settings::{Pointers, Reach};
use crate::core::time::Wall;
use crate::source::Shared;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn name(text: &str) -> TokenName {
    TokenName::new(text).unwrap()
}

fn settings(url: &str, body: Body) -> HttpSettings {
    HttpSettings {
        url: pattern(url),
        method: "POST".into(),
        headers: vec![("x-key".into(), pattern("k={{ secret }}"))],
        bearer: Some(name("parent")),
        basic: None,
        body,
        secret: Some(Arc::new(Secret::new("s&/ü\"".into()))),
        secrets: Vec::new(),
        refresh_token: None,
        response: Pointers { token: "/t".into(), expires_in: None, expires_at: None, refresh_token: None },
        reach: Reach { ca: None, timeout: Duration::from_secs(1), allow_http: false, user_agent: None, ttl: None },
    }
}

fn request(settings: &HttpSettings, parent: &str) -> Result<HttpRequest, SourceError> {
    let given = Given::new(name("portal"), Wall(0), [0; 16], &Arc::new(Shared::new(|| Wall(0))));
    let parents = vec![(name("parent"), Secret::new(parent.into()))];
    Filling::of(settings, &Given { parents, ..given }, None).request(settings)
}

#[test]
fn placeholders_are_escaped_where_they_stand() {
    let fields = vec![("a".into(), pattern("{{ secret }}")), ("b".into(), pattern("{{token.parent}} x"))];
    let mut form = settings("https://a.example/{{ secret }}?q={{ token.parent }}", Body::Form(fields));
    form.headers.clear();
    let request = request(&form, "p+p").unwrap();
    assert_eq!(request.url.as_str(), "https://a.example/s%26%2F%C3%BC%22?q=p%2Bp");
    assert!(request.url_is_secret);
    assert_eq!(request.shown_path, "/[masked]");
    assert_eq!(&request.body.unwrap()[..], b"a=s%26%2F%C3%BC%22&b=p%2Bp+x");
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.headers["authorization"], "Bearer p+p");
    assert!(request.headers["authorization"].is_sensitive());
}

#[test]
fn json_strings_are_filled_at_any_depth() {
    let json = json!({"a": ["{{ secret }}", 1], "{{ secret }}": {"b": "x{{ token.parent }}"}});
    let mut settings = settings("https://a.example/", Body::Json(json));
    settings.headers = vec![("Content-Type".into(), pattern("application/vnd.x+json"))];
    let request = request(&settings, "p").unwrap();
    let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
    assert_eq!(body, json!({"a": ["s&/ü\"", 1], "{{ secret }}": {"b": "xp"}}));
    assert_eq!(request.headers["content-type"], "application/vnd.x+json");
}

#[test]
fn what_a_header_cannot_hold_is_not_shown() {
    let mut settings = settings("https://a.example/", Body::None);
    settings.secret = Some(Arc::new(Secret::new("hunter2\n".into())));
    let error = request(&settings, "p").err().unwrap();
    assert!(error.message.contains("x-key") && !error.message.contains("hunter2"), "{error}");
    settings.headers.clear();
    let error = request(&settings, "hunter2\n").err().unwrap();
    assert!(error.message.contains("parent") && !error.message.contains("hunter2"), "{error}");
}

#[test]
fn the_first_token_filled_in_is_blamed_where_there_is_no_bearer() {
    let json = json!({"a": {"b": "{{ token.deep }}"}});
    let mut settings = settings("https://a.example/", Body::Json(json));
    settings.bearer = None;
    assert_eq!(first_parent(&settings), Some(name("deep")));
    settings.headers = vec![("x".into(), pattern("{{ token.top }}"))];
    assert_eq!(first_parent(&settings), Some(name("top")));
    settings.headers.clear();
    settings.body = Body::None;
    assert_eq!(first_parent(&settings), None);
}
