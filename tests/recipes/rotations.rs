//! The promise to the first users: through 200 rotations no job is refused once, by a gateway that allows no leeway,
//! however it reads its token. Forced by the control socket and by the schedule alike, HS256 and RS256, iss and kid.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gateway::{Answer, Gateway};
use crate::jobs::Jobs;
use crate::peers::peers;
use support::{Daemon, SECRET, Sandbox, TokenText, eventually, openssl, program, token};

/// How many rotations the issue asks for.
const ROTATIONS: usize = 200;

/// The jobs' pace, and that of the rotations: they drift through each other.
const PACE: Duration = Duration::from_millis(103);

/// The whole of exp - iat: long enough for a slow machine, short enough that a stale token would be found out.
const LIFETIME: &str = "lifetime = \"5s\"";

fn settings(key_claim_name: &str, consumers: Value) -> Value {
    json!({
        "key_claim_name": key_claim_name,
        "claims_to_verify": ["exp", "nbf"],
        "maximum_expiration": 3600,
        "consumers": consumers,
    })
}

fn gateway_token(name: &str) -> TokenText {
    token(name).line(LIFETIME).line("claims = { nbf = true }")
}

/// Every answer of every job is 200, and each job asked often enough to mean something.
fn all_let_in(jobs: Jobs, at_least: usize) {
    for (name, answers) in jobs.stop() {
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        answers.iter().for_each(|answer| *counted.entry(answer).or_default() += 1);
        println!("{name}: {counted:?}");
        assert_eq!(counted.keys().copied().collect::<Vec<_>>(), ["200"], "{name}: {counted:#?}");
        assert!(answers.len() >= at_least, "{name} asked {} times only", answers.len());
    }
}

/// Rotates all tokens `ROTATIONS` times; what is on disk after each is let in at once.
fn rotate_and_ask(sandbox: &Sandbox, gateways: &[(&Gateway, &str)]) {
    let mut distinct: Vec<HashSet<String>> = vec![HashSet::new(); gateways.len()];
    for round in 0..ROTATIONS {
        let next = Instant::now() + PACE;
        assert!(sandbox.rotate(&[]), "rotation {round}");
        for ((gateway, file), distinct) in gateways.iter().zip(&mut distinct) {
            let token = sandbox.read(file);
            let answer = gateway.ask(&token);
            assert_eq!(answer.status, 200, "rotation {round}, {file}: {answer:?}");
            assert!(distinct.insert(token), "rotation {round}: {file} is the old one");
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

#[test]
fn no_job_is_refused_through_200_rotations() {
    let Some(peers) = peers("no_job_is_refused_through_200_rotations") else { return };
    if program("no_job_is_refused_through_200_rotations", "curl").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    openssl(&["genpkey", "-algorithm", "RSA", "-out", path(&sandbox, "rsa.pem")], b"");
    let public = openssl(&["pkey", "-in", path(&sandbox, "rsa.pem"), "-pubout"], b"");
    let public = String::from_utf8(public).expect("PEM");
    let by_iss = Gateway::start(
        &peers,
        &sandbox,
        "by-iss",
        &settings(
            "iss",
            json!({
                "key-sunbird": {"algorithm": "HS256", "secret": SECRET},
                "key-rsa": {"algorithm": "RS256", "rsa_public_key": public},
            }),
        ),
    );
    let by_kid = settings("kid", json!({"key-kid": {"algorithm": "HS256", "secret": SECRET}}));
    let by_kid = Gateway::start(&peers, &sandbox, "by-kid", &by_kid);
    sandbox.config(format!(
        "{}{}{}",
        gateway_token("sunbird").plain("sunbird.token"),
        gateway_token("kid").line("key_claim = \"kid\"").plain("kid.token").env("gateway.env", "GATEWAY_TOKEN"),
        gateway_token("rsa")
            .algorithm("RS256")
            .secret("private_key.file = \"rsa.pem\"")
            .plain("rsa.token")
            .output("format = \"header\"\npath = \"out/rsa.header\""),
    ));
    let daemon = sandbox.start();

    let mut jobs = Jobs::new(&sandbox);
    jobs.python(&peers, &by_iss, &sandbox.out("sunbird.token"));
    jobs.sh_with_env_file(&by_kid, &sandbox.out("gateway.env"));
    jobs.curl_with_header_file(&by_iss, &sandbox.out("rsa.header"));
    rotate_and_ask(&sandbox, &[(&by_iss, "sunbird.token"), (&by_iss, "rsa.token"), (&by_kid, "kid.token")]);

    all_let_in(jobs, ROTATIONS / 4);
    for (gateway, key) in [(&by_iss, "key-sunbird"), (&by_iss, "key-rsa"), (&by_kid, "key-kid")] {
        let seen = gateway.seen();
        assert_eq!(seen["refusals"], json!([]), "{key}");
        assert!(count(&seen, key) >= ROTATIONS, "{key}: {seen}");
    }
    daemon.stop();
}

#[test]
fn no_job_is_refused_while_the_schedule_rotates() {
    let Some(peers) = peers("no_job_is_refused_while_the_schedule_rotates") else { return };
    let sandbox = Sandbox::new();
    let conf = settings("iss", json!({"key-jobs": {"algorithm": "HS256", "secret": SECRET}}));
    let gateway = Gateway::start(&peers, &sandbox, "gateway", &conf);
    // Times in a token are whole seconds, so that it is due at once most of the time: min_interval sets the pace.
    let quick = token("jobs")
        .line("lifetime = \"5s\"\nrotate_every = \"120ms\"\nmin_interval = \"110ms\"")
        .line("claims = { nbf = true }");
    sandbox.config(quick);
    let daemon = sandbox.start();

    let mut jobs = Jobs::new(&sandbox);
    jobs.python(&peers, &gateway, &sandbox.out("jobs.token"));
    let rotations = watched_rotations(&sandbox, ROTATIONS);
    all_let_in(jobs, ROTATIONS / 4);

    let seen = gateway.seen();
    println!("{rotations} rotations, {seen}");
    assert_eq!(seen["refusals"], json!([]));
    assert!(count(&seen, "key-jobs") >= ROTATIONS / 4, "the job was given different tokens: {seen}");
    daemon.stop();
}

/// A job that keeps its token is refused: the gateway would have found out.
#[test]
fn a_job_that_keeps_its_token_is_refused() {
    let Some(peers) = peers("a_job_that_keeps_its_token_is_refused") else { return };
    let sandbox = Sandbox::new();
    let conf = settings("iss", json!({"key-jobs": {"algorithm": "HS256", "secret": SECRET}}));
    let gateway = Gateway::start(&peers, &sandbox, "gateway", &conf);
    sandbox.config(token("jobs").line("lifetime = \"3s\"").line("claims = { nbf = true }"));
    let daemon: Daemon = sandbox.start();

    let kept = sandbox.read("jobs.token");
    assert_eq!(gateway.ask(&kept).status, 200);
    let refusal = eventually(Duration::from_secs(10), "the kept token expires", || {
        let answer = gateway.ask(&kept);
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refusal, Answer { status: 401, body: json!({"exp": "token expired"}) });
    assert_eq!(gateway.ask(&sandbox.read("jobs.token")).status, 200, "the one in the file");
    daemon.stop();
}

/// Waits until `wanted` different tokens were seen in `out/jobs.token`.
fn watched_rotations(sandbox: &Sandbox, wanted: usize) -> usize {
    let mut distinct = HashSet::new();
    let path = sandbox.out("jobs.token");
    eventually(Duration::from_secs(300), "as many rotations", || {
        distinct.insert(fs::read_to_string(&path).expect("the token"));
        (distinct.len() > wanted).then_some(())
    });
    distinct.len() - 1
}

fn count(seen: &Value, key: &str) -> usize {
    seen["tokens"][key].as_u64().unwrap_or_default() as usize
}

/// A path of the sandbox as an argument.
fn path(sandbox: &Sandbox, name: &str) -> &'static str {
    sandbox.path(name).to_str().expect("UTF-8").to_owned().leak()
}
