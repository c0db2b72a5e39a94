//! How many at a time, who waits for whom, and what is left open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use renewd::core::settings::{OAuth2Settings, Reach, SourcePlan};

use crate::setting::{Try, block, oauth2, reach};
use support::http::{Act, Server, json};

const GOOD: &str = r#"{"access_token":"abc","expires_in":60}"#;

fn plan(settings: OAuth2Settings) -> SourcePlan {
    SourcePlan::OAuth2(Arc::new(settings))
}

#[test]
fn a_host_is_asked_eight_at_a_time() {
    let server = Server::start(|_| json(GOOD).after(Duration::from_millis(20)));
    let one = Try::new();
    // The wait for a turn, some 500 ms for the last, is no part of the timeout.
    let reach = Reach { timeout: Duration::from_millis(400), ..reach() };
    let settings = OAuth2Settings { reach, ..oauth2(&server.url("/")) };
    let all = block(async { join_all((0..200).map(|_| one.of(plan(settings.clone())))).await });
    assert_eq!(all.iter().filter(|got| got.is_ok()).count(), 200, "{:?}", all.iter().find(|got| got.is_err()));
    assert_eq!((server.seen().len(), server.peak()), (200, 8));
}

#[test]
fn fifty_that_hang_delay_nobody_else() {
    let hanging: Vec<Server> = (0..50).map(|_| Server::start(|_| Act::Hang)).collect();
    let good = Server::start(|_| json(GOOD));
    let one = Try::new();
    let reach = Reach { timeout: Duration::from_secs(3), ..reach() };
    let slow = hanging.iter().map(|server| OAuth2Settings { reach: reach.clone(), ..oauth2(&server.url("/")) });
    let slow: Vec<_> = slow.collect();
    block(async {
        let slow = join_all(slow.into_iter().map(|settings| one.of(plan(settings))));
        let good = async {
            // All of them hang by now.
            while hanging.iter().any(|server| server.seen().is_empty()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let begun = Instant::now();
            let got = one.of(plan(oauth2(&good.url("/")))).await;
            (got, begun.elapsed())
        };
        let (slow, (got, took)) = futures_util::future::join(slow, good).await;
        assert_eq!(got.unwrap().value.expose(), "abc");
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(slow.iter().all(|got| got.is_err()));
    });
}

#[test]
fn nothing_is_open_when_it_is_done() {
    let server = Server::start(|_| json(GOOD));
    let one = Try::new();
    block(async {
        for _ in 0..3 {
            one.of(plan(oauth2(&server.url("/")))).await.unwrap();
            let end = Instant::now() + Duration::from_secs(10);
            while server.open() > 0 {
                assert!(Instant::now() < end, "{} connections are open", server.open());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
}

/// The daemon drops what is under way when it ends.
#[test]
fn what_is_dropped_is_closed_and_gives_its_turn_back() {
    let server = Server::start(|seen| if seen.path == "/hang" { Act::Hang } else { json(GOOD) });
    let one = Try::new();
    block(async {
        let hanging = join_all((0..20).map(|_| one.of(plan(oauth2(&server.url("/hang"))))));
        let dropped = tokio::time::timeout(Duration::from_secs(1), hanging).await;
        assert!(dropped.is_err());
        assert_eq!(server.peak(), 8);
        one.of(plan(oauth2(&server.url("/")))).await.unwrap();
    });
    let end = Instant::now() + Duration::from_secs(10);
    while server.open() > 0 {
        assert!(Instant::now() < end, "{} connections are open", server.open());
        std::thread::sleep(Duration::from_millis(5));
    }
}
