//! The promise: kill -9 at any moment leaves whole files, and the next start leaves nothing of the temporary ones.
//! A token that was valid and not due is kept: what stood in its file before the crash stands there after it.
//! Killed while it starts, while it rotates, and while it serves; seeded, so that a failure can be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use support::{Dice, Jwt, PATIENCE, SECRET, Sandbox, long, names_in, token};

const STORM: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];
const QUIET: [&str; 3] = ["q0", "q1", "q2"];

/// Each token by name, read from its own file; panics where one is not whole.
fn tokens(sandbox: &Sandbox) -> BTreeMap<String, String> {
    STORM.iter().chain(&QUIET).map(|name| ((*name).to_owned(), sandbox.jwt(name).text)).collect()
}

/// The lines of the shared env file, each a whole token.
fn shared(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let text = sandbox.read("e");
    let body = text.strip_suffix('\n').expect("a newline at the end");
    body.lines()
        .map(|line| {
            let (name, value) = line.split_once('=').expect("NAME=value");
            Jwt::signed_with(value, SECRET.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name.to_lowercase(), value.to_owned())
        })
        .collect()
}

/// What is not in doubt is as it was.
fn same(round: usize, doubtful: &BTreeSet<String>, known: &BTreeMap<String, String>, found: &BTreeMap<String, String>) {
    for (name, text) in found {
        let kept = doubtful.contains(name) || known.get(name) == Some(text);
        assert!(kept, "round {round}: {name} was valid and became another");
    }
}

/// Rotates one storm token after the other until the daemon is gone, and tells of each; gives the one that was on its way
/// then, and how many had come.
fn storm(
    sandbox: &Sandbox,
    over: &AtomicBool,
    known: &Mutex<BTreeMap<String, String>>,
    tell: &Sender<()>,
) -> (String, usize) {
    for (count, name) in STORM.iter().cycle().enumerate() {
        if over.load(Ordering::Relaxed) || !sandbox.rotate(&[name]) {
            return ((*name).to_owned(), count);
        }
        // Nobody else rotates it: what is in its file once `rotate` has returned is the token of that rotation.
        let text = sandbox.read(&format!("{name}.token"));
        known.lock().expect("known").insert((*name).to_owned(), text);
        // The end has come: nobody counts any more.
        let _ = tell.send(());
    }
    unreachable!("a cycle ends only by return")
}

#[test]
fn killed_at_random_moments_nothing_is_torn_left_or_lost() {
    let sandbox = Sandbox::new();
    let storm_texts = STORM.map(|n| token(n).plain(&format!("{n}.token")).env("e", &n.to_uppercase()).to_string());
    let quiet_texts = QUIET.map(|n| token(n).plain(&format!("{n}.token")).env("e", &n.to_uppercase()).to_string());
    sandbox.config(storm_texts.concat() + &quiet_texts.concat());
    sandbox.start().kill9();
    let mut known = tokens(&sandbox);
    let mut doubtful = BTreeSet::new();
    let mut dice = Dice::new("crash");
    let rounds = if long() { 2000 } else { 200 };
    let mut rotations = 0;
    for round in 0..rounds {
        let after = Duration::from_micros(dice.below(60_000));
        let mut daemon = sandbox.daemon().spawn();
        if dice.below(2) == 0 {
            std::thread::sleep(after);
            daemon.kill9();
        } else {
            daemon.wait_ready();
            assert_eq!(sandbox.leftovers(), Vec::<String>::new(), "round {round}");
            let found = tokens(&sandbox);
            same(round, &doubtful, &known, &found);
            let lines = shared(&sandbox);
            assert_eq!(lines, found, "round {round}: the env file tells another story");
            (known, doubtful) = (found, BTreeSet::new());
            let (over, seen) = (AtomicBool::new(false), Mutex::new(known));
            let (tell, told) = channel();
            // By rotations, not by time: a busy machine is slow.
            let spared = dice.below(4);
            let (in_flight, count) = std::thread::scope(|scope| {
                let storming = scope.spawn(|| storm(&sandbox, &over, &seen, &tell));
                (0..spared).for_each(|_| told.recv_timeout(PATIENCE).expect("a rotation"));
                std::thread::sleep(after / 4);
                daemon.kill9();
                over.store(true, Ordering::Relaxed);
                storming.join().expect("the storm ends")
            });
            known = seen.into_inner().expect("seen");
            doubtful.insert(in_flight);
            rotations += count;
        }
        let found = tokens(&sandbox);
        same(round, &doubtful, &known, &found);
        shared(&sandbox);
    }
    println!("{rounds} crashes in {rotations} rotations");
    assert!(rotations > rounds / 2, "hardly any rotation was there to be cut off");
    let daemon = sandbox.start();
    same(rounds, &doubtful, &known, &tokens(&sandbox));
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
    let state = names_in(&sandbox.path("state"));
    assert!(state.len() <= 8, "the state piles up: {state:?}");
    daemon.stop();
}

/// Dot files of somebody else are not the sweep's business, whatever they look like.
#[test]
fn the_sweep_leaves_what_is_not_ours() {
    let sandbox = Sandbox::new();
    sandbox.config(token("a"));
    let foreign = [".keep", ".a.token.swp", ".renewd", ".b.token.renewd", "plain"];
    for name in foreign {
        sandbox.put(&format!("out/{name}"), "x");
    }
    sandbox.start().kill9();
    sandbox.start().stop();
    for name in foreign {
        assert!(sandbox.out(name).exists(), "{name} was swept away");
    }
}
