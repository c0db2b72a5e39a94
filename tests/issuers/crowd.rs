//! A thousand tokens at one endpoint: eight at a time, and no stampede while it is out of order or when it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::host::hidden;
use support::http::{Act, Server, json as answered, refusal};
use support::{Daemon, Sandbox, until};

const TOKENS: usize = 1000;
/// A stampede is all in one of these; what a busy machine holds up for a moment is not.
const BUCKET: Duration = Duration::from_millis(500);

fn crowd(endpoint: &Server, number: usize, retry: &str) -> String {
    let url = endpoint.url("/token");
    let one = |index: usize| {
        let client = format!("client_id = \"c{index}\"\nclient_secret.file = \"secret\"");
        hidden(
            &format!("t{index}"),
            &format!("source = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\n{client}"),
        )
    };
    let defaults = format!("[defaults]\nretry = {retry}\n");
    std::iter::once(defaults).chain((0..number).map(one)).collect()
}

fn good() -> Act {
    answered(json!({"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}))
}

fn all_valid(daemon: &Daemon<'_>, number: usize) -> bool {
    let status = daemon.status();
    let valid = status["tokens"].as_array().map_or(0, |all| all.iter().filter(|t| t["state"] == "valid").count());
    valid == number
}

#[test]
fn a_thousand_tokens_eight_at_a_time() {
    let endpoint = Server::start(|_| {
        // Long enough for others to come meanwhile, if they may.
        std::thread::sleep(Duration::from_millis(3));
        good()
    });
    let sandbox = Sandbox::in_memory();
    sandbox.config(crowd(&endpoint, TOKENS, "{}"));
    let daemon = sandbox.start();
    assert!(all_valid(&daemon, TOKENS), "READY=1 waits for all");
    assert_eq!(endpoint.count_at("/token"), TOKENS, "each asked once");
    assert_eq!(endpoint.peak(), 8);
    daemon.stop();
}

/// Requests per half a second from `start` to `end`.
fn buckets(endpoint: &Server, start: Instant, end: Instant) -> Vec<usize> {
    let mut buckets = vec![0; (end.duration_since(start).as_millis() / BUCKET.as_millis()) as usize];
    for asked in endpoint.seen_at("/token") {
        let bucket = asked.at.saturating_duration_since(start).as_millis() / BUCKET.as_millis();
        if asked.at >= start
            && let Some(count) = buckets.get_mut(bucket as usize)
        {
            *count += 1;
        }
    }
    buckets
}

/// The peak of the buckets against their mean.
fn peak(name: &str, buckets: &[usize]) -> f64 {
    let (peak, sum) = (buckets.iter().max().copied().unwrap_or(0), buckets.iter().sum::<usize>());
    let mean = sum as f64 / buckets.len() as f64;
    println!("{name}: {sum} requests in {} halves of a second, peak {peak}, mean {mean:.1}", buckets.len());
    peak as f64 / mean
}

#[test]
fn an_outage_is_followed_by_no_stampede() {
    let up = Arc::new(AtomicBool::new(false));
    let lever = up.clone();
    let endpoint = Server::start(move |_| if lever.load(Ordering::SeqCst) { good() } else { refusal(503, "{}") });
    let sandbox = Sandbox::in_memory();
    sandbox.config(crowd(&endpoint, TOKENS, "{ initial = \"8s\", max = \"8s\" }"));
    let daemon = sandbox.daemon().spawn();
    until("the second round", || endpoint.count_at("/token") >= 2 * TOKENS);
    let start = Instant::now();
    until("the fourth round", || endpoint.count_at("/token") >= 4 * TOKENS);
    let down = buckets(&endpoint, start, Instant::now());
    up.store(true, Ordering::SeqCst);
    let start = Instant::now();
    until("all are there", || all_valid(&daemon, TOKENS));
    let back = buckets(&endpoint, start, Instant::now());
    assert!(endpoint.peak() <= 8);
    for (when, buckets) in [("while it lasts", down), ("when it is over", back)] {
        let peak = peak(when, &buckets);
        assert!(peak < 6.0, "{when}: the peak is {peak:.1} times the mean: {buckets:?}");
    }
    daemon.stop();
}

#[test]
fn nobody_comes_at_the_moment_that_a_server_tells_all() {
    let until_then = 5;
    let opening = jiff::Timestamp::now().as_second() + until_then;
    let date = jiff::Timestamp::from_second(opening).expect("a time").strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let open = move || support::now() >= opening as f64;
    let endpoint =
        Server::start(move |_| if open() { good() } else { refusal(503, "{}").header("Retry-After", &date) });
    let sandbox = Sandbox::in_memory();
    sandbox.config(crowd(&endpoint, TOKENS, "{ initial = \"6s\", max = \"6s\" }"));
    let daemon = sandbox.daemon().spawn();
    until("the control socket", || sandbox.path("control.sock").exists());
    until("all are there", || all_valid(&daemon, TOKENS));
    let mut asked: Vec<Instant> = endpoint.seen_at("/token").iter().map(|asked| asked.at).collect();
    asked.sort();
    assert_eq!(asked.len(), 2 * TOKENS, "nobody comes sooner");
    let second = &asked[TOKENS..];
    let span = second[TOKENS * 9 / 10].duration_since(second[TOKENS / 10]);
    println!("after the moment: four fifths of {TOKENS} within {} ms", span.as_millis());
    assert!(span > Duration::from_millis(2500), "they come within {span:?}");
    daemon.stop();
}

#[test]
fn retry_after_is_obeyed() {
    let endpoint = Server::start(|asked| match asked.path.as_str() {
        "/token" => refusal(503, "{}").header("Retry-After", "30"),
        _ => good(),
    });
    let sandbox = Sandbox::new();
    let refused = crowd(&endpoint, 3, "{ initial = \"10ms\", max = \"20ms\" }");
    sandbox.config_with("ready_timeout = \"100ms\"", &refused);
    let daemon = sandbox.start();
    until("all failed", || (0..3).all(|i| daemon.token(&format!("t{i}"))["failures"] == 1));
    for index in 0..3 {
        let token = daemon.token(&format!("t{index}"));
        let next: jiff::Timestamp = token["next_rotation_at"].as_str().expect("a time").parse().expect("RFC 3339");
        let wait = next.as_second() as f64 - support::now();
        assert!((20.0..=31.0).contains(&wait), "{wait}: {token}");
        assert_eq!((&token["reason"], &token["state"]), (&json!("unreachable"), &Value::from("pending")));
    }
    // Nor does a reload ask sooner. When the one that it added is there, the others would have been asked too.
    let other = crowd(&endpoint, 1, "{}").replace("/token", "/other").replace("t0", "fence");
    let (_, other) = other.split_once("\n\n").expect("a token");
    daemon.reloaded_by(|| drop(sandbox.config_with("ready_timeout = \"100ms\"", format!("{refused}\n{other}"))));
    until("the new one", || daemon.token("fence")["state"] == "valid");
    assert_eq!(endpoint.count_at("/token"), 3);
    daemon.stop();
}
