//! What is sent to a token endpoint: grants, proofs of the client, discovery, and refresh tokens that rotate.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use futures_util::future::join_all;
use renewd::core::crypto::{Algorithm, SigningKey};
use renewd::core::engine::{Doubt, Reason};
use renewd::core::jose::Jws;
use renewd::core::settings::*;
use renewd::core::token::Token;
use renewd::source::not_granted;

use crate::setting::{
    Try, assertion, block, clean, first, identity, name, now, oauth2, pattern, reach, refreshing, refused, secret,
};
use support::http::{Act, Seen, Server, answer, json};
use support::pki::{CLIENT, HERE, Pki};

const GOOD: &str = r#"{"access_token":"abc","token_type":"Bearer","expires_in":60}"#;
const SECRET: &[u8] = b"swordfish-swordfish-swordfish-00";

fn fields(seen: &Seen) -> Vec<(String, String)> {
    seen.form()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The form of the one request.
fn sent(settings: OAuth2Settings, server: &Server, attempt: &Try) -> Seen {
    attempt.oauth2(settings).unwrap();
    server.only()
}

#[test]
fn client_credentials_with_a_secret_in_the_header_or_the_form() {
    let server = Server::start(|_| json(GOOD));
    let settings = OAuth2Settings {
        client_id: Some("a:b".into()),
        client_auth: ClientAuth::Basic(secret("p w+%")),
        scope: Some("read write".into()),
        params: vec![("resource".into(), pattern("https://x/?a=b&c")), ("resource".into(), pattern("ü"))],
        ..oauth2(&server.url("/token"))
    };
    let seen = sent(settings, &server, &Try::new());
    let basic = seen.header("authorization").unwrap().strip_prefix("Basic ").unwrap();
    assert_eq!(BASE64.decode(basic.as_bytes()).unwrap(), b"a%3Ab:p%20w%2B%25");
    let wanted = [
        ("grant_type", "client_credentials"),
        ("scope", "read write"),
        ("resource", "https://x/?a=b&c"),
        ("resource", "ü"),
    ];
    assert_eq!(fields(&seen), pairs(&wanted));

    let server = Server::start(|_| json(GOOD));
    let settings = OAuth2Settings { client_auth: ClientAuth::Post(secret("p w+%")), ..oauth2(&server.url("/token")) };
    let seen = sent(settings, &server, &Try::new());
    assert_eq!(seen.header("authorization"), None);
    let wanted = [("grant_type", "client_credentials"), ("client_id", "jobs"), ("client_secret", "p w+%")];
    assert_eq!(fields(&seen), pairs(&wanted));
}

#[test]
fn a_client_is_named_in_the_body_too_where_that_is_asked_for() {
    let server = Server::start(|_| json(GOOD));
    let settings = OAuth2Settings { client_id_in_body: true, ..oauth2(&server.url("/token")) };
    let seen = sent(settings, &server, &Try::new());
    let basic = seen.header("authorization").unwrap().strip_prefix("Basic ").unwrap();
    assert_eq!(BASE64.decode(basic.as_bytes()).unwrap(), b"jobs:swordfish-1");
    assert_eq!(fields(&seen), pairs(&[("grant_type", "client_credentials"), ("client_id", "jobs")]));
}

#[test]
fn assertions_are_signed_for_the_endpoint_and_never_used_twice() {
    let server = Server::start(|_| json(GOOD));
    let url = server.url("/token?a=b");
    let hmac = assertion(Algorithm::HS256, SigningKey::from_secret(SECRET));
    let settings = OAuth2Settings {
        grant: Grant::JwtBearer(hmac.clone()),
        client_auth: ClientAuth::Jwt(hmac.clone()),
        ..oauth2(&url)
    };
    let mut seen_jtis = Vec::new();
    for _ in 0..2 {
        Try::new().oauth2(settings.clone()).unwrap();
    }
    for seen in server.seen() {
        assert_eq!(seen.field("grant_type").unwrap(), "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let kind = seen.field("client_assertion_type").unwrap();
        assert_eq!(kind, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        for field in ["assertion", "client_assertion"] {
            let token = seen.field(field).unwrap();
            let jws = Jws::parse(&token).unwrap();
            jws.verify(&hmac.key.verifying().unwrap(), Some(Algorithm::HS256)).unwrap();
            let claims = jws.claims().unwrap();
            assert_eq!((&claims["iss"], &claims["sub"]), (&"jobs".into(), &"jobs".into()));
            assert_eq!(claims["aud"], url.as_str());
            let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
            assert_eq!(exp - iat, 300);
            assert!((now().secs() - iat).abs() < 30);
            seen_jtis.push(claims["jti"].as_str().unwrap().to_owned());
        }
    }
    let all = seen_jtis.len();
    seen_jtis.sort();
    seen_jtis.dedup();
    assert_eq!((all, seen_jtis.len()), (4, 4));
}

#[test]
fn a_subject_token_is_exchanged() {
    let server =
        Server::start(|_| json(r#"{"access_token":"abc","token_type":"N_A","expires_in":60,"issued_token_type":"x"}"#));
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("id.jwt");
    let settings = |subject| OAuth2Settings {
        grant: Grant::TokenExchange { subject, subject_type: "urn:x".into() },
        client_auth: ClientAuth::None,
        client_id: None,
        ..oauth2(&server.url("/token"))
    };
    let of_file = || settings(SubjectToken::File(file.clone()));
    let error = refused(of_file());
    assert_eq!(error.reason, Reason::Machine);
    assert!(error.message.contains("id.jwt"), "{error}");
    for content in ["first", "second"] {
        std::fs::write(&file, format!("{content}\n")).unwrap();
        Try::new().oauth2(of_file()).unwrap();
        let wanted = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", content),
            ("subject_token_type", "urn:x"),
        ];
        assert_eq!(fields(server.seen().last().unwrap()), pairs(&wanted), "read anew");
    }
    let chained = Try::new().parent("other", "o").parent("parent", "p");
    chained.oauth2(settings(SubjectToken::Token(name("parent")))).unwrap();
    assert_eq!(server.seen().last().unwrap().field("subject_token").as_deref(), Some("p"));
}

#[test]
fn a_refused_subject_token_is_its_parents_matter() {
    for (status, code, wait, blamed) in [
        (400, "invalid_grant", None, true),
        (400, "invalid_request", None, true),
        (400, "invalid_grant", Some("9"), false),
        (400, "invalid_target", None, false),
        (401, "invalid_client", None, false),
    ] {
        let server = Server::start(move |_| {
            let act = answer(status, "application/json", format!(r#"{{"error":"{code}"}}"#));
            if let Some(wait) = wait { act.header("Retry-After", wait) } else { act }
        });
        let subject = SubjectToken::Token(name("parent"));
        let grant = Grant::TokenExchange { subject, subject_type: "urn:x".into() };
        let settings = OAuth2Settings { grant, ..oauth2(&server.url("/")) };
        let error = Try::new().parent("parent", "hunter2").oauth2(settings).unwrap_err();
        assert_eq!(error.refused_parent, blamed.then(|| name("parent")), "{code} {error}");
        clean(&error);
    }
}

#[test]
fn refresh_tokens_rotate_and_the_operators_wins() {
    let counter = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        let next = counter.fetch_add(1, Ordering::SeqCst);
        let rotated =
            if seen.field("scope").is_some() { format!(r#","refresh_token":"next-{next}""#) } else { String::new() };
        json(format!(r#"{{"access_token":"abc","expires_in":60{rotated}}}"#))
    });
    let settings = OAuth2Settings { scope: Some("x".into()), ..refreshing(&server.url("/"), "first-1") };
    let used = || server.seen().last().unwrap().field("refresh_token").unwrap();
    let mut one = Try::new();
    one.refresh_token = one.oauth2(settings.clone()).unwrap().refresh_token;
    assert_eq!(used(), "first-1");
    one.refresh_token = one.oauth2(settings.clone()).unwrap().refresh_token;
    assert_eq!(used(), "next-0");
    // A server that sends none keeps the old one.
    let kept = one.oauth2(OAuth2Settings { scope: None, ..settings.clone() }).unwrap().refresh_token;
    assert_eq!((used().as_str(), &kept), ("next-1", &one.refresh_token));
    // Another one in the config wins.
    let replaced = OAuth2Settings { grant: Grant::RefreshToken(first("second")), ..settings };
    one.refresh_token = one.oauth2(replaced).unwrap().refresh_token;
    assert_eq!(used(), "second");
    assert_eq!(one.refresh_token.unwrap().first, first("second").digest);
}

#[test]
fn a_lost_answer_to_a_refresh_token_is_asked_for_once_more_at_once() {
    let hmac = assertion(Algorithm::HS256, SigningKey::from_secret(SECRET));
    for act in [
        || Act::Reset,
        || Act::Close,
        || Act::Hang,
        || Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()),
    ] as [fn() -> Act; 4]
    {
        let asked = AtomicUsize::new(0);
        let server = Server::start(move |_| if asked.fetch_add(1, Ordering::SeqCst) == 0 { act() } else { json(GOOD) });
        let timeout = Duration::from_millis(500);
        let settings = OAuth2Settings {
            reach: Reach { timeout, ..reach() },
            client_auth: ClientAuth::Jwt(hmac.clone()),
            ..refreshing(&server.url("/"), "first-1")
        };
        let one = Try::new();
        one.oauth2(settings).unwrap();
        assert_eq!(one.lost.load(Ordering::SeqCst), 1, "it is told before it is sent again");
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().all(|seen| seen.field("refresh_token").as_deref() == Some("first-1")));
        assert_ne!(seen[0].field("client_assertion"), seen[1].field("client_assertion"), "a fresh jti");
    }
    let server = Server::start(|_| Act::Close);
    let error = refused(refreshing(&server.url("/"), "first-1"));
    assert_eq!((error.reason, error.doubt), (Reason::Unreachable, Some(Doubt::Lost)));
    assert_eq!(server.seen().len(), 2, "once more, and no more");
    let server = Server::start(|_| {
        answer(400, "application/json", r#"{"error":"invalid_grant","error_description":"hunter2-1 is spent"}"#)
    });
    let error = refused(refreshing(&server.url("/"), "hunter2-1"));
    assert_eq!(error.reason, Reason::Rejected);
    assert!(error.message.contains("[masked] is spent") && error.message.contains("refresh_token"), "{error}");
    assert_eq!(server.seen().len(), 1, "a refusal is an answer");
}

/// What a refresh token's exchange leaves unknown about the token in place, and what is asked of the person on call.
#[test]
fn a_refresh_that_failed_says_what_may_have_become_of_the_token_in_place() {
    const JSON: &str = "application/json";
    type Case = (fn() -> Act, Reason, Option<Doubt>, &'static str);
    let cases: [Case; 20] = [
        (
            || answer(400, JSON, r#"{"error":"invalid_grant"}"#),
            Reason::Rejected,
            Some(Doubt::Refused),
            "first one is needed",
        ),
        // glewlwyd, and others that say no more.
        (|| answer(400, JSON, ""), Reason::Rejected, Some(Doubt::Refused), "most likely its refresh token"),
        (|| answer(400, "text/html", "<p>no"), Reason::Rejected, Some(Doubt::Refused), "most likely its refresh token"),
        (
            || answer(400, JSON, r#"{"message":"old"}"#),
            Reason::Rejected,
            Some(Doubt::Refused),
            "most likely its refresh",
        ),
        (|| json(r#"{"error":{"code":7}}"#), Reason::Rejected, Some(Doubt::Refused), "most likely its refresh token"),
        // lemonldap-ng.
        (|| answer(400, JSON, r#"{"error":"invalid_request"}"#), Reason::Rejected, Some(Doubt::Refused), "most likely"),
        (|| answer(403, JSON, ""), Reason::Rejected, Some(Doubt::Refused), "if the client's credential is right"),
        (|| answer(401, JSON, ""), Reason::Rejected, Some(Doubt::Refused), "if the client's credential is right"),
        (|| answer(401, JSON, r#"{"error":"invalid_client"}"#), Reason::Rejected, None, "invalid_client"),
        (|| answer(400, JSON, r#"{"error":"unauthorized_client"}"#), Reason::Rejected, None, "unauthorized_client"),
        (|| answer(400, JSON, r#"{"error":"invalid_scope"}"#), Reason::InvalidAnswer, None, "invalid_scope"),
        (|| answer(404, "text/plain", ""), Reason::InvalidAnswer, None, "404"),
        (|| answer(405, "text/plain", ""), Reason::InvalidAnswer, None, "405"),
        (|| answer(429, "text/plain", ""), Reason::Unreachable, None, "429"),
        (|| answer(408, "text/plain", ""), Reason::Unreachable, Some(Doubt::Lost), "408"),
        (|| answer(500, JSON, r#"{"error":"invalid_grant"}"#), Reason::Unreachable, Some(Doubt::Lost), "500"),
        (|| answer(504, "text/html", ""), Reason::Unreachable, Some(Doubt::Lost), "504"),
        (|| answer(302, "text/html", ""), Reason::InvalidAnswer, Some(Doubt::Unread), "302"),
        (|| json(r#"{"access_token":""}"#), Reason::InvalidAnswer, Some(Doubt::Unread), "it is empty"),
        (|| answer(200, "text/html", "<html>"), Reason::InvalidAnswer, Some(Doubt::Unread), "HTML"),
    ];
    for (act, reason, doubt, words) in cases {
        let server = Server::start(move |_| act());
        let of_refresh = refused(refreshing(&server.url("/"), "first-1"));
        assert_eq!((of_refresh.reason, of_refresh.doubt), (reason, doubt), "{of_refresh}");
        assert!(of_refresh.message.contains(words), "{words}: {of_refresh}");
        assert_eq!(refused(oauth2(&server.url("/"))).doubt, None, "no refresh token was sent");
        let of_http =
            Try::new().http(HttpSettings { refresh_token: Some(first("first-1")), ..portal(&server.url("/")) });
        let of_http = of_http.unwrap_err();
        assert_eq!((of_http.reason, of_http.doubt), (reason, doubt), "http: {of_http}");
        clean(&of_http);
    }
    let nobody = refused(refreshing("http://127.0.0.1:1/", "first-1"));
    assert_eq!((nobody.reason, nobody.doubt), (Reason::Unreachable, None), "nothing was sent");
}

/// As oauth2 answers stand, in a request of its own.
fn portal(url: &str) -> HttpSettings {
    HttpSettings {
        url: pattern(url),
        method: "POST".into(),
        headers: Vec::new(),
        bearer: None,
        basic: None,
        body: Body::Form(vec![("refresh_token".into(), pattern("{{ refresh_token }}"))]),
        secret: None,
        secrets: Vec::new(),
        refresh_token: None,
        response: Pointers {
            token: "/access_token".into(),
            expires_in: Some("/expires_in".into()),
            expires_at: None,
            refresh_token: Some("/refresh_token".into()),
        },
        reach: reach(),
    }
}

fn both(url: &str, token: &str, timeout: Duration) -> [SourcePlan; 2] {
    let reach = Reach { timeout, ..reach() };
    let oauth2 = OAuth2Settings { reach: reach.clone(), ..refreshing(url, token) };
    let http = HttpSettings { refresh_token: Some(first(token)), reach, ..portal(url) };
    [SourcePlan::OAuth2(Arc::new(oauth2)), SourcePlan::Http(Arc::new(http))]
}

const NEXT: &str = r#"{"access_token":"abc","expires_in":60,"refresh_token":"next-1","refresh_token_expires_in":3600}"#;

/// A server with a grace answers a second exchange with what it made at the first, and some tell its whole lifetime again.
#[test]
fn a_repeated_exchange_counts_from_when_the_refresh_token_was_first_sent() {
    let span = Duration::from_millis;
    for number in 0..2 {
        // In one attempt: the first answer is lost after its timeout.
        let asked = AtomicUsize::new(0);
        let server =
            Server::start(move |_| if asked.fetch_add(1, Ordering::SeqCst) == 0 { Act::Hang } else { json(NEXT) });
        let before = now();
        let got = block(Try::new().of(both(&server.url("/"), "first-1", span(700))[number].clone())).unwrap();
        assert!(now().since(before) >= span(700), "the first answer was waited for");
        assert!(
            got.life.issued_at >= before && got.life.issued_at <= before.plus(span(600)),
            "{got:?}, begun at {before:?}"
        );
        assert_eq!(got.life.expires_at, Some(got.life.issued_at.plus(Duration::from_secs(60))));
        let ends = got.refresh_token.and_then(|next| next.expires_at);
        assert_eq!(ends, Some(got.life.issued_at.plus(Duration::from_secs(3600))));

        // Over two attempts, with the time of the first from the state.
        let server = Server::start(|_| json(NEXT));
        let source = &both(&server.url("/"), "first-1", span(20_000))[number];
        let first_sent = Some(now().minus(Duration::from_secs(20)));
        let got = block(Try { first_sent, ..Try::new() }.of(source.clone())).unwrap();
        assert_eq!(got.life.expires_at, first_sent.map(|at| at.plus(Duration::from_secs(60))));
        // A clock that was set back meanwhile makes nothing live longer.
        let first_sent = Some(now().plus(Duration::from_secs(3600)));
        let got = block(Try { first_sent, ..Try::new() }.of(source.clone())).unwrap();
        assert!(got.life.issued_at <= now(), "{got:?}");

        // What may have ended is not used, and its successor is not lost.
        let first_sent = Some(now().minus(Duration::from_secs(61)));
        let error = block(Try { first_sent, ..Try::new() }.of(source.clone())).unwrap_err();
        assert_eq!(error.doubt, Some(Doubt::Stale));
        assert!(error.message.contains("when its refresh token was first sent"), "{error}");
        assert_eq!(error.successor.unwrap().token.expose(), "next-1");
    }
    // Nothing else is repeated: it counts from its own sending.
    let server = Server::start(|_| json(GOOD));
    let first_sent = Some(now().minus(Duration::from_secs(20)));
    let got = Try { first_sent, ..Try::new() }.oauth2(oauth2(&server.url("/"))).unwrap();
    assert!(now().since(got.life.issued_at) < Duration::from_secs(15), "{got:?}");
}

/// A token, and what of its scope was not granted.
fn with_missing(settings: OAuth2Settings) -> (Token, Vec<String>) {
    let plan = SourcePlan::OAuth2(Arc::new(settings));
    let got = block(Try::new().of(plan.clone())).unwrap();
    let missing = not_granted(&plan, got.scope.as_deref());
    (got, missing)
}

#[test]
fn a_scope_that_was_not_granted_is_told_of_grants_and_refreshes() {
    for (asked, granted, missing) in [
        (Some("read write"), Some("write read"), ""),
        (Some("read wriet"), Some("read"), "wriet"),
        (Some("read write"), Some(""), "read write"),
        (Some("read write"), None, ""),
        (None, Some("read"), ""),
    ] {
        let scope = granted.map(|granted| format!(r#","scope":"{granted}""#)).unwrap_or_default();
        let body = format!(r#"{{"access_token":"abc","expires_in":60{scope}}}"#);
        let server = Server::start(move |_| json(&body));
        for settings in [oauth2(&server.url("/")), refreshing(&server.url("/"), "first-1")] {
            let settings = OAuth2Settings { scope: asked.map(Into::into), ..settings };
            let (got, not_granted) = with_missing(settings);
            assert_eq!(not_granted.join(" "), missing, "{asked:?} {granted:?}");
            assert_eq!(got.scope.as_deref(), granted);
        }
    }
    // Who refreshes has what `offline_access` asks for; who does not, has not.
    let server = Server::start(|_| json(r#"{"access_token":"abc","expires_in":60,"scope":"read"}"#));
    let scope = Some("read offline_access".to_owned());
    let of = |settings| with_missing(OAuth2Settings { scope: scope.clone(), ..settings }).1;
    assert!(of(refreshing(&server.url("/"), "first-1")).is_empty());
    assert_eq!(of(oauth2(&server.url("/"))), ["offline_access"]);
}

#[test]
fn what_needs_no_encoding_is_left_as_it_is_in_basic() {
    let server = Server::start(|_| json(GOOD));
    let client_auth = ClientAuth::Basic(secret("s-1._~x"));
    let settings = OAuth2Settings { client_id: Some("a-1._~b".into()), client_auth, ..oauth2(&server.url("/")) };
    let seen = sent(settings, &server, &Try::new());
    let basic = seen.header("authorization").unwrap().strip_prefix("Basic ").unwrap();
    assert_eq!(BASE64.decode(basic.as_bytes()).unwrap(), b"a-1._~b:s-1._~x");
}

/// An issuer whose documents are by path.
fn issuer(
    tls: Option<Arc<rustls::ServerConfig>>,
    documents: impl Fn(&str, &str) -> Option<Act> + Send + Sync + 'static,
) -> Server {
    let own = Arc::new(Mutex::new(String::new()));
    let known = own.clone();
    let server = Server::at("127.0.0.1:0", tls, move |seen| {
        let own = known.lock().unwrap().clone();
        documents(&seen.path, &own).unwrap_or_else(|| answer(404, "text/plain", "no such page"))
    });
    *own.lock().unwrap() = server.url("");
    server
}

fn discovered(issuer: &str) -> OAuth2Settings {
    OAuth2Settings { endpoint: TokenEndpoint::Issuer(issuer.to_owned()), ..oauth2("") }
}

#[test]
fn an_issuer_is_asked_once_where_its_endpoint_is() {
    for place in [
        "/.well-known/oauth-authorization-server/t",
        "/t/.well-known/openid-configuration",
        "/t/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration/t",
    ] {
        let server = issuer(None, move |path, own| match path {
            "/token" => Some(json(GOOD)),
            path if path == place => Some(json(format!(r#"{{"issuer":"{own}/t","token_endpoint":"{own}/token"}}"#))),
            _ => None,
        });
        let settings = SourcePlan::OAuth2(Arc::new(discovered(&server.url("/t"))));
        let one = Try::new();
        block(async {
            for got in join_all((0..20).map(|_| one.of(settings.clone()))).await {
                got.unwrap();
            }
        });
        let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths.iter().filter(|path| *path == "/token").count(), 20);
        assert_eq!(paths.iter().filter(|path| *path == place).count(), 1, "{paths:?}");
    }
}

#[test]
fn an_issuer_that_is_another_is_refused() {
    let cases: [(&'static str, &str); 5] = [
        (r#"{"issuer":"https://evil.example","token_endpoint":"OWN/token"}"#, "https://evil.example"),
        (r#"{"issuer":"OWN/","token_endpoint":"OWN/token"}"#, "equal to the letter"),
        (r#"{"token_endpoint":"OWN/token"}"#, "no issuer"),
        (r#"{"issuer":"OWN"}"#, "no token_endpoint"),
        (r#"{"issuer":"OWN","token_endpoint":"http://192.0.2.1/token"}"#, "allow_http"),
    ];
    for (document, words) in cases {
        let server = issuer(None, move |path, own| {
            path.ends_with("oauth-authorization-server").then(|| json(document.replace("OWN", own)))
        });
        let error = refused(discovered(&server.url("")));
        assert_eq!(error.reason, Reason::InvalidAnswer);
        assert!(error.message.contains(words), "{words}: {error}");
        assert!(server.seen().iter().all(|seen| seen.method == "GET"), "no secret was sent");
    }
    let nothing = issuer(None, |_, _| None);
    let error = refused(discovered(&nothing.url("")));
    assert!(error.message.contains("metadata") && error.message.contains("404"), "{error}");
    assert_eq!(nothing.seen().len(), 2);
}

/// Both places are named with what each said, whatever the first one was like; the class is that of what tells most.
#[test]
fn each_place_of_the_metadata_is_told_with_what_it_said() {
    const FIRST: &str = "/.well-known/oauth-authorization-server";
    const SECOND: &str = "/.well-known/openid-configuration";
    let other = || json(r#"{"issuer":"https://other.example","token_endpoint":"https://other.example/token"}"#);
    let no = |status| answer(status, "text/plain", "");
    type Acts = (Box<dyn Fn() -> Act + Send + Sync>, Box<dyn Fn() -> Act + Send + Sync>);
    let cases: [(Acts, Reason, &str, &str); 7] = [
        (
            (Box::new(move || no(401)), Box::new(other)),
            Reason::InvalidAnswer,
            "answered 401",
            "calls itself https://other",
        ),
        (
            (Box::new(move || no(503)), Box::new(other)),
            Reason::InvalidAnswer,
            "answered 503",
            "calls itself https://other",
        ),
        ((Box::new(other), Box::new(move || no(403))), Reason::InvalidAnswer, "calls itself", "answered 403"),
        ((Box::new(move || no(401)), Box::new(move || no(404))), Reason::InvalidAnswer, "answered 401", "answered 404"),
        ((Box::new(move || no(404)), Box::new(move || no(502))), Reason::Unreachable, "answered 404", "answered 502"),
        ((Box::new(move || no(302)), Box::new(move || no(404))), Reason::InvalidAnswer, "answered 302", "answered 404"),
        (
            (Box::new(|| answer(200, "text/html", "<html>")), Box::new(other)),
            Reason::InvalidAnswer,
            "HTML",
            "calls itself",
        ),
    ];
    for ((one, two), reason, first, second) in cases {
        let server = issuer(None, move |path, _| match path {
            FIRST => Some(one()),
            SECOND => Some(two()),
            _ => None,
        });
        let error = refused(discovered(&server.url("")));
        assert_eq!(error.reason, reason, "{error}");
        for (place, said) in [(FIRST, first), (SECOND, second)] {
            let told = error.message.split("; ").find(|part| part.contains(place)).unwrap_or_else(|| panic!("{error}"));
            assert!(told.contains(&server.url(place)) && told.contains(said), "{said}: {told}");
        }
        assert_eq!(server.seen().len(), 2, "no secret was sent");
    }
    // A place that is out of order keeps nobody from the other.
    let server = issuer(None, move |path, own| match path {
        FIRST => Some(no(503).header("Retry-After", "9")),
        SECOND => Some(json(format!(r#"{{"issuer":"{own}","token_endpoint":"{own}/token"}}"#))),
        "/token" => Some(json(GOOD)),
        _ => None,
    });
    Try::new().oauth2(discovered(&server.url(""))).unwrap();
    // Who asks to be left alone is.
    let server = issuer(None, move |_, _| Some(no(429).header("Retry-After", "9")));
    let error = refused(discovered(&server.url("")));
    assert_eq!((error.reason, error.retry_after), (Reason::Unreachable, Some(Duration::from_secs(9))));
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn an_endpoint_that_moved_is_found_again() {
    let moved = Arc::new(AtomicUsize::new(0));
    let now_at = moved.clone();
    let server = issuer(None, move |path, own| {
        let at = now_at.load(Ordering::SeqCst);
        match path {
            "/.well-known/oauth-authorization-server" => {
                Some(json(format!(r#"{{"issuer":"{own}","token_endpoint":"{own}/token-{at}"}}"#)))
            }
            path if path == format!("/token-{at}") => Some(json(GOOD)),
            _ => None,
        }
    });
    let one = Try::new();
    one.oauth2(discovered(&server.url(""))).unwrap();
    moved.store(1, Ordering::SeqCst);
    assert!(one.oauth2(discovered(&server.url(""))).is_err());
    one.oauth2(discovered(&server.url(""))).unwrap();
}

/// RFC 8705 5.
#[test]
fn a_client_with_a_certificate_takes_the_endpoint_that_asks_for_it() {
    let pki = Pki::new();
    pki.issue("here", "2", HERE);
    pki.issue("client", "2", CLIENT);
    let server = issuer(Some(pki.server("here", Some("ca"))), |path, own| match path {
        "/mtls" => Some(json(GOOD)),
        "/.well-known/oauth-authorization-server" => Some(json(format!(
            r#"{{"issuer":"{own}","token_endpoint":"{own}/token","mtls_endpoint_aliases":{{"token_endpoint":"{own}/mtls"}}}}"#
        ))),
        _ => None,
    });
    let settings = OAuth2Settings {
        client_auth: ClientAuth::Tls(identity(&pki, "client")),
        reach: Reach { ca: Some(pki.read("ca.crt").into()), ..reach() },
        ..discovered(&server.url(""))
    };
    Try::new().oauth2(settings).unwrap();
    assert_eq!(server.seen().last().unwrap().path, "/mtls");
}

/// Many wait for one issuer that hangs: they fail together, not one after the other.
#[test]
fn an_issuer_that_hangs_costs_one_timeout() {
    let server = Server::start(|_| Act::Hang);
    let one = Try::new();
    let reach = Reach { timeout: Duration::from_millis(500), ..reach() };
    let settings = SourcePlan::OAuth2(Arc::new(OAuth2Settings { reach, ..discovered(&server.url("")) }));
    let begun = std::time::Instant::now();
    block(async {
        for got in join_all((0..20).map(|_| one.of(settings.clone()))).await {
            assert_eq!(got.unwrap_err().reason, Reason::Unreachable);
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn googles_answer_to_an_audience_is_an_id_token() {
    let server = Server::start(|_| json(r#"{"id_token":"abc"}"#));
    let mut google = (*assertion(Algorithm::HS256, SigningKey::from_secret(SECRET))).clone();
    google.claims.insert("target_audience".into(), "https://x".into());
    let settings = OAuth2Settings {
        grant: Grant::JwtBearer(Arc::new(google)),
        client_auth: ClientAuth::None,
        client_id: None,
        reach: Reach { ttl: Some(Duration::from_secs(60)), ..reach() },
        ..oauth2(&server.url("/"))
    };
    assert_eq!(Try::new().oauth2(settings).unwrap().value.expose(), "abc");
}
