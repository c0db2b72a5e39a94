//! A login that ends, whatever is rotated: told before, once, and over when there is a new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use serde_json::json;
use support::http::{Server, json as answer};
use support::{Daemon, Sandbox, until};

/// An issuer whose refresh tokens end at one moment.
struct Issuer {
    server: Server,
    /// Unix seconds.
    end: Arc<AtomicI64>,
}

impl Issuer {
    /// `member`: how the end is told; `None`: as the `exp` of a refresh token that is a JWT.
    fn start(member: Option<&'static str>) -> Self {
        let end = Arc::new(AtomicI64::new(0));
        let (told, number) = (end.clone(), AtomicI64::new(0));
        let server = Server::start(move |_| {
            let (end, number) = (told.load(Ordering::SeqCst), number.fetch_add(1, Ordering::SeqCst));
            let mut body = json!({ "access_token": format!("a{number}"), "token_type": "Bearer", "expires_in": 3600 });
            match member {
                Some(member) => {
                    body["refresh_token"] = format!("r{number}").into();
                    body[member] = (end - Timestamp::now().as_second()).into();
                }
                None => {
                    body["refresh_token"] =
                        support::forge::hs256(r#"{"alg":"HS256"}"#, json!({ "exp": end, "n": number }), b"k").into()
                }
            }
            answer(body)
        });
        Self { server, end }
    }

    fn ends_in(&self, seconds: i64) -> i64 {
        let end = Timestamp::now().as_second() + seconds;
        self.end.store(end, Ordering::SeqCst);
        end
    }
}

fn sandbox(issuer: &Issuer, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.put("first.refresh", "first\n");
    let page = sandbox.script("page", "echo \"$RENEWD_TOKEN_NAME $RENEWD_REASON\" >> \"$(dirname \"$0\")/pages\"");
    sandbox.config(format!(
        "[token.api]\nsource = \"oauth2\"\ngrant = \"refresh_token\"\ntoken_url = \"{}\"\nclient_id = \"jobs\"\n\
         client_auth = \"none\"\nrefresh_token.file = \"first.refresh\"\nmin_interval = \"0s\"\n{more}\n\
         [token.api.on_failure]\ncommand = [\"{}\"]\n\
         [[token.api.output]]\nformat = \"token\"\npath = \"{}\"\n",
        issuer.server.url("/token"),
        page.display(),
        sandbox.out("api").display(),
    ));
    sandbox
}

fn pages(sandbox: &Sandbox) -> Vec<String> {
    let text = std::fs::read_to_string(sandbox.path("pages")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn end_of(daemon: &Daemon<'_>) -> i64 {
    let token = daemon.token("api");
    let end: Timestamp = token["login_expires_at"].as_str().unwrap_or_else(|| panic!("{token:#}")).parse().unwrap();
    end.as_second()
}

#[test]
fn the_end_of_a_login_is_told_once_and_over_with_the_next_one() {
    for member in [Some("refresh_expires_in"), Some("refresh_token_expires_in"), None] {
        let issuer = Issuer::start(member);
        let end = issuer.ends_in(5 * 86_400);
        let sandbox = sandbox(&issuer, "");
        let daemon = sandbox.start();
        // One answer does not tell whether the next moves it.
        assert!((end_of(&daemon) - end).abs() <= 1, "{member:?}");
        assert_eq!(daemon.token("api")["login_due"], false);
        until("it is told", || sandbox.rotate(&["api"]) && pages(&sandbox) == ["api login_due"]);
        let token = daemon.token("api");
        assert_eq!((&token["login_due"], &token["state"]), (&true.into(), &"valid".into()), "{token:#}");
        let text = sandbox.ours(&["status"]).expect(0).text();
        assert!(text.contains("its refresh token ends at") && text.contains("a new login is needed"), "{text}");
        assert!(daemon.log().contains("log in again before that"), "{}", daemon.log());
        assert!(sandbox.rotate(&["api"]));
        daemon.stop();
        // Nor after a restart, though nobody knows then whether the next rotation moves it, nor by `once`.
        sandbox.ours(&["once", "--force"]).expect(0);
        let daemon = sandbox.start();
        assert!(sandbox.rotate(&["api"]));
        assert_eq!(
            (daemon.token("api")["login_due"].clone(), pages(&sandbox)),
            (true.into(), vec!["api login_due".into()])
        );
        issuer.ends_in(90 * 86_400);
        sandbox.put("first.refresh", "another\n");
        until("it is over", || pages(&sandbox) == ["api login_due", "api recovered"]);
        assert_eq!(daemon.token("api")["login_due"], false);
        daemon.stop();
    }
}

#[test]
fn who_does_not_want_to_be_told_is_not() {
    let issuer = Issuer::start(Some("refresh_expires_in"));
    issuer.ends_in(3600);
    let sandbox = sandbox(&issuer, "warn_before = \"0s\"");
    let daemon = sandbox.start();
    for _ in 0..3 {
        assert!(sandbox.rotate(&["api"]));
    }
    let token = daemon.token("api");
    assert_eq!((&token["login_due"], pages(&sandbox).len()), (&false.into(), 0), "{token:#}");
    daemon.stop();
}

/// The refresh token ends long before its access token, and each rotation moves its end: it is spent in time.
#[test]
fn a_refresh_token_that_ends_first_is_not_left_to_end() {
    for member in [Some("refresh_expires_in"), None] {
        let issuer = Issuer::start(member);
        let moved = issuer.end.clone();
        moved.store(Timestamp::now().as_second() + 600, Ordering::SeqCst);
        let sandbox = sandbox(&issuer, "jitter = 0");
        let daemon = sandbox.start();
        let token = daemon.token("api");
        let at = |member: &str| token[member].as_str().unwrap().parse::<Timestamp>().unwrap().as_second();
        let due = at("next_rotation_at") - at("issued_at");
        assert!((398..=403).contains(&due), "0.67 of 600 s, not of an hour: {due} s, {token:#}");
        daemon.stop();
    }
}
