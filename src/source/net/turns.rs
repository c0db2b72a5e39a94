//! Owns: whose turn it is at a host: so many requests at a time, those first whose last try went well, and places that the
//! others cannot take, so that tenants which hang keep nobody waiting who is served.
//! Does not: ask, or judge how a try went.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::host::Host;
use crate::core::engine::{LastTry, Precedence};
use crate::core::settings::TokenName;
use crate::core::time::Wall;

/// So many requests at a time to one host.
const AT_A_TIME: usize = 8;
/// So many of them may be of those who were not served last time; of those who failed; of those who had no answer.
const UNAUTHENTICATED: usize = 6;
const FAILED: usize = 4;
const SILENT: usize = 3;
/// A host that answered so many in a row, each within that time, has all places for who is new.
const QUICK: (usize, Duration) = (16, Duration::from_secs(1));

/// Whose request it is.
#[derive(Clone, Debug)]
pub struct Requester {
    pub name: TokenName,
    pub precedence: Precedence,
}

/// A token that waits for its turn.
#[derive(Clone, Debug)]
pub struct WaitingToken {
    pub name: TokenName,
    pub host: Host,
    pub since: Wall,
}

/// The queues of all hosts.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Host, HostQueue>>);

/// By precedence, and in order of arrival.
type QueuePlace = (Precedence, u64);

/// Of one host; gone where nobody asks or waits.
#[derive(Default)]
struct HostQueue {
    last: u64,
    waiting: BTreeMap<QueuePlace, QueuedRequest>,
    held: BTreeMap<QueuePlace, Instant>,
    /// So many in a row were answered quickly.
    quick: usize,
}

struct QueuedRequest {
    name: TokenName,
    since: Wall,
    go: oneshot::Sender<()>,
}

/// A place in a queue, or at the host; given up when it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    host: Host,
    place: QueuePlace,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashMap<Host, HostQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one of the places at the host.
    pub(super) async fn wait(self: &Arc<Self>, host: &Host, asker: &Requester, now: Wall) -> Turn {
        let (go, called) = oneshot::channel();
        let turn = {
            let mut hosts = self.lock();
            let queue = hosts.entry(host.clone()).or_default();
            queue.last += 1;
            let place = (asker.precedence, queue.last);
            queue.waiting.insert(place, QueuedRequest { name: asker.name.clone(), since: now, go });
            queue.admit(Instant::now());
            Turn { turns: self.clone(), host: host.clone(), place }
        };
        // The queue holds the other end until it calls.
        let _ = called.await;
        turn
    }

    /// All who wait.
    pub(super) fn waiting(&self) -> Vec<WaitingToken> {
        let hosts = self.lock();
        let of = |(host, queue): (&Host, &HostQueue)| -> Vec<WaitingToken> {
            let one = |waiter: &QueuedRequest| WaitingToken {
                name: waiter.name.clone(),
                host: host.clone(),
                since: waiter.since,
            };
            queue.waiting.values().map(one).collect()
        };
        hosts.iter().flat_map(of).collect()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut hosts = self.turns.lock();
        let Some(queue) = hosts.get_mut(&self.host) else { return };
        let now = Instant::now();
        queue.waiting.remove(&self.place);
        if let Some(since) = queue.held.remove(&self.place) {
            let is_quick = now.duration_since(since) < QUICK.1;
            queue.quick = if is_quick { queue.quick.saturating_add(1) } else { 0 };
        }
        queue.admit(now);
        if queue.held.is_empty() && queue.waiting.is_empty() {
            hosts.remove(&self.host);
        }
    }
}

impl HostQueue {
    fn admit(&mut self, now: Instant) {
        while let Some(place) = self.next(now) {
            let Some(waiter) = self.waiting.remove(&place) else { return };
            self.held.insert(place, now);
            // One that went away meanwhile gives its place up when its turn is dropped.
            let _ = waiter.go.send(());
        }
    }

    /// Who comes next; `None`: nobody may, or nobody waits.
    fn next(&self, now: Instant) -> Option<QueuePlace> {
        if self.held.len() >= AT_A_TIME {
            return None;
        }
        let first = |worst: LastTry| self.waiting.keys().find(|(precedence, _)| precedence.last >= worst).copied();
        // However many come whose last try went well, one place is for the others.
        let is_crowded = self.held.len() == AT_A_TIME - 1 && self.held_from(LastTry::None) == 0;
        let others = is_crowded.then(|| first(LastTry::None)).flatten();
        let mut worst = LastTry::Good;
        others.or_else(|| {
            loop {
                let place = first(worst)?;
                if self.has_room(place.0.last, now) {
                    return Some(place);
                }
                worst = next_worse(place.0.last)?;
            }
        })
    }

    /// Whether one more of those may ask, besides those that are asking.
    fn has_room(&self, last: LastTry, now: Instant) -> bool {
        let unproven = if self.is_quick(now) { AT_A_TIME } else { UNAUTHENTICATED };
        let limits = [(LastTry::None, unproven), (LastTry::Refused, FAILED), (LastTry::Silent, SILENT)];
        limits.iter().all(|(from, most)| last < *from || self.held_from(*from) < *most)
    }

    fn held_from(&self, last: LastTry) -> usize {
        self.held.keys().filter(|(precedence, _)| precedence.last >= last).count()
    }

    fn is_quick(&self, now: Instant) -> bool {
        self.quick >= QUICK.0 && self.held.values().all(|since| now.duration_since(*since) < QUICK.1)
    }
}

fn next_worse(last: LastTry) -> Option<LastTry> {
    match last {
        LastTry::Good => Some(LastTry::None),
        LastTry::None => Some(LastTry::Refused),
        LastTry::Refused => Some(LastTry::Silent),
        LastTry::Silent => None,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use reqwest::Url;

    use super::*;

    struct Crowd {
        turns: Arc<Turns>,
        host: Host,
    }

    impl Crowd {
        fn new() -> Self {
            let host = Host::of(&Url::parse("http://localhost").unwrap()).unwrap();
            Self { turns: Arc::default(), host }
        }

        fn ask(&self, last: LastTry, failures: u32) -> BoxFuture<'static, Turn> {
            let (turns, host) = (self.turns.clone(), self.host.clone());
            let asker = Requester { name: TokenName::new("a").unwrap(), precedence: Precedence { last, failures } };
            let mut turn = async move { turns.wait(&host, &asker, Wall::from_secs(7)).await }.boxed();
            // It stands in the queue from its first look on.
            match (&mut turn).now_or_never() {
                Some(turn) => std::future::ready(turn).boxed(),
                None => turn,
            }
        }

        /// So many of `number` of those come in at once.
        fn let_in(&self, last: LastTry, number: usize) -> (Vec<Turn>, Vec<BoxFuture<'static, Turn>>) {
            let (mut here, mut outside) = (Vec::new(), Vec::new());
            for _ in 0..number {
                let mut turn = self.ask(last, 1);
                match (&mut turn).now_or_never() {
                    Some(turn) => here.push(turn),
                    None => outside.push(turn),
                }
            }
            (here, outside)
        }
    }

    #[test]
    fn places_are_kept_for_those_that_did_not_fail() {
        let limits = [(LastTry::Good, 8), (LastTry::None, 6), (LastTry::Refused, 4), (LastTry::Silent, 3)];
        for (last, most) in limits {
            let crowd = Crowd::new();
            let (here, outside) = crowd.let_in(last, 64);
            assert_eq!((here.len(), outside.len()), (most, 64 - most), "{last:?}");
            assert_eq!(crowd.turns.waiting().len(), 64 - most);
            let (better, _) = crowd.let_in(LastTry::Good, 64);
            assert_eq!(better.len(), 8 - most, "{last:?}");
            drop((here, outside, better));
            assert!(crowd.turns.lock().is_empty(), "nothing is kept of a host that nobody asks");
        }
    }

    #[test]
    fn who_did_not_fail_goes_first_and_who_fails_for_long_last() {
        let crowd = Crowd::new();
        let (mut here, _) = crowd.let_in(LastTry::Good, 7);
        here.push(crowd.ask(LastTry::None, 0).now_or_never().expect("the eighth"));
        let mut waiting = [
            (crowd.ask(LastTry::Silent, 9), 4),
            (crowd.ask(LastTry::Silent, 1), 3),
            (crowd.ask(LastTry::Refused, 1), 2),
            (crowd.ask(LastTry::Good, 0), 0),
            (crowd.ask(LastTry::None, 0), 1),
        ];
        let mut order = Vec::new();
        while order.len() < waiting.len() {
            drop(here.remove(0));
            for (turn, number) in &mut waiting {
                if !order.contains(number)
                    && let Some(turn) = turn.now_or_never()
                {
                    order.push(*number);
                    here.push(turn);
                }
            }
        }
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn one_place_is_left_to_those_that_failed() {
        let crowd = Crowd::new();
        let (mut here, mut outside) = crowd.let_in(LastTry::Good, 64);
        let mut failed = crowd.ask(LastTry::Silent, 5);
        assert!((&mut failed).now_or_never().is_none());
        here.pop();
        let failed = failed.now_or_never();
        assert!(failed.is_some(), "it came to its turn before those that wait since longer");
        assert!(outside.iter_mut().all(|turn| turn.now_or_never().is_none()));
    }

    #[test]
    fn a_host_that_answers_quickly_has_all_places_for_new_ones() {
        let crowd = Crowd::new();
        for _ in 0..QUICK.0 {
            // Somebody waits all the time: the queue stays.
            let (here, outside) = crowd.let_in(LastTry::None, 7);
            drop(here);
            drop(outside);
        }
        let (_here, _outside) = crowd.let_in(LastTry::None, 1);
        let mut queue = crowd.turns.lock();
        let queue = queue.get_mut(&crowd.host).unwrap();
        queue.quick = QUICK.0;
        let now = Instant::now();
        assert!(queue.is_quick(now));
        assert!(!queue.is_quick(now + Duration::from_secs(2)), "one that hangs is not quick");
    }

    #[test]
    fn who_goes_away_gives_the_turn_up() {
        let crowd = Crowd::new();
        let (here, outside) = crowd.let_in(LastTry::Good, 20);
        drop(here);
        // Those that were called and never looked have the places.
        assert_eq!(crowd.turns.waiting().len(), 4);
        drop(outside);
        assert!(crowd.turns.lock().is_empty());
    }
}
