//! Short scripted runs of the engine: when what was refused is tried again.
//! Does not: draw anything at random; that is the simulator's.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use renewd::core::engine::{Action, Event, Issued, Persist, Reason, RunMode, State, TokenWire, Wiring, step};
use renewd::core::schedule::Life;
use renewd::core::settings::{Fingerprint, Schedule, TokenName};
use renewd::core::time::{Boot, Now, Wall};

const START: i64 = 1_700_000_000;

/// Tokens without files, each made with the one before, and a world that answers at once unless it is told not to.
struct Chain {
    state: State,
    seconds: u64,
    /// How long each lives, in seconds.
    lives: Vec<u64>,
    /// From this second on the first one is refused.
    refused_from: u64,
    /// Within these seconds there is no other one to be had than the one at hand.
    keeps: Range<u64>,
    /// When each was tried.
    tries: Vec<(u64, TokenName)>,
}

fn name(number: usize) -> TokenName {
    TokenName::new(&format!("t{number}")).expect("a name")
}

fn wire(number: usize) -> TokenWire {
    TokenWire {
        name: name(number),
        fingerprint: Fingerprint([1; 16]),
        schedule: Schedule { jitter: 0.0, ..Schedule::default() }.into(),
        required: true,
        parents: number.checked_sub(1).map(name).into_iter().collect(),
        single_use: false,
        after_rotate: false,
        on_failure: None,
        lack: None,
    }
}

impl Chain {
    fn new(seed: u64, lives: &[u64], refused_from: u64) -> Self {
        let state = State::new(RunMode::Daemon, seed, Vec::new(), Vec::new(), at(0));
        Self { state, seconds: 0, lives: lives.to_vec(), refused_from, keeps: 0..0, tries: Vec::new() }
    }

    fn begin(mut self, tokens: impl IntoIterator<Item = TokenWire>) -> Self {
        self.give(plan(tokens));
        self
    }

    fn give(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in step(&mut self.state, event, at(self.seconds)) {
                match action {
                    Action::Obtain { name, generation, .. } => events.push(self.answer(name, generation)),
                    Action::Persist(Persist { name, generation, .. }) => {
                        events.push(Event::Persisted { name, generation })
                    }
                    _ => {}
                }
            }
        }
    }

    fn answer(&mut self, token: TokenName, generation: u64) -> Event {
        self.tries.push((self.seconds, token.clone()));
        if token == name(0) && self.seconds >= self.refused_from {
            return failure(Reason::Rejected, token, generation);
        }
        if self.keeps.contains(&self.seconds) {
            return failure(Reason::InvalidAnswer, token, generation);
        }
        let number = (0..self.lives.len()).find(|number| name(*number) == token).expect("one of them");
        let wall = at(self.seconds).wall;
        let expires_at = Some(wall.plus(Duration::from_secs(self.lives[number])));
        let life = Life { issued_at: wall, expires_at, obtained_at: wall };
        let sha256 = Fingerprint([generation as u8; 16]);
        let issued = Issued { generation, fingerprint: Fingerprint([1; 16]), life, sha256 };
        Event::Obtained { name: token, issued, login_ends: None }
    }

    fn pass_until(&mut self, seconds: u64) {
        while self.seconds < seconds {
            self.seconds += 1;
            self.give(Event::Wake);
        }
    }

    fn tries_of(&self, number: usize, from: u64) -> Vec<u64> {
        let of = self.tries.iter().filter(|(at, token)| *at >= from && *token == name(number));
        of.map(|(at, _)| *at).collect()
    }
}

fn plan(tokens: impl IntoIterator<Item = TokenWire>) -> Event {
    let (tokens, ready_timeout) = (tokens.into_iter().collect(), Duration::from_secs(60));
    Event::Plan(Arc::new(Wiring { tokens, targets: Vec::new(), ready_timeout, lacks: false }))
}

fn at(seconds: u64) -> Now {
    Now { wall: Wall::from_secs(START + seconds as i64), boot: Boot(1000 + seconds * 1000) }
}

fn failure(reason: Reason, name: TokenName, generation: u64) -> Event {
    let message = "no".into();
    Event::ObtainFailed { name, generation, reason, message, retry_after: None, doubt: None }
}

/// The parent ended long ago and would be tried each quarter of an hour: what is made with it must not run out for that.
#[test]
fn what_is_refused_is_tried_before_those_run_out_that_are_made_with_it() {
    for lives in [&[1800, 3700][..], &[1800, 1500, 3700]] {
        let mut chain = Chain::new(1, lives, 1000).begin((0..lives.len()).map(wire));
        chain.pass_until(8000);
        // Only the first one is ever refused.
        let newest = chain.tries_of(lives.len() - 1, 0).pop().expect("it was obtained");
        let end = newest + lives[lives.len() - 1];
        let tries = chain.tries_of(0, end - 900);
        let last = tries.iter().rfind(|at| **at < end).expect("one before the end");
        assert!(end - last <= 10, "it ended at {end}: {tries:?}");
        let after = tries.iter().filter(|at| (end..end + 901).contains(*at)).count();
        assert!((15..=16).contains(&after), "it ended at {end}: {tries:?}");
        let all = chain.tries_of(0, 1206).len();
        assert!(all < 70, "{all} tries");
    }
}

/// What hangs on one credential may be much, and end at any time: that makes no storm of refusals.
#[test]
fn many_ends_make_no_storm() {
    let lives: Vec<u64> = std::iter::once(600).chain((1..200).map(|number| 900 + number * 20)).collect();
    let child = |number| TokenWire { parents: vec![name(0)], ..wire(number) };
    let mut chain = Chain::new(1, &lives, 300).begin(std::iter::once(wire(0)).chain((1..200).map(child)));
    chain.pass_until(3600);
    let tries = chain.tries_of(0, 700);
    assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{tries:?}");
}

#[test]
fn what_was_asked_before_the_clock_was_set_is_asked_again_soon() {
    let mut chain = Chain::new(1, &[3600], 0);
    let actions = step(&mut chain.state, plan([wire(0)]), at(0));
    let asked = actions.into_iter().find_map(|action| match action {
        Action::Obtain { generation, .. } => Some(generation),
        _ => None,
    });
    chain.seconds = 5;
    chain.give(Event::ClockChanged);
    chain.seconds = 6;
    chain.give(failure(Reason::Rejected, name(0), asked.expect("it is asked for")));
    chain.pass_until(60);
    assert_eq!(chain.tries_of(0, 0), [16], "once more, and then not before a quarter of an hour");
}

/// An issuer that hands out what it keeps until that ends has another one just then, be it a moment later by its own clock.
#[test]
fn an_issuer_that_keeps_a_token_is_asked_when_it_has_ended() {
    for seed in 0..20 {
        let mut chain = Chain::new(seed, &[600], u64::MAX).begin([wire(0)]);
        chain.keeps = 400..602;
        chain.pass_until(700);
        let tries = chain.tries_of(0, 400);
        let came = tries.iter().find(|at| **at >= 602).expect("it is asked for");
        assert!(*came <= 604, "seed {seed}: {tries:?}");
        assert!(tries.len() < 40, "seed {seed}: {tries:?}");
    }
}
