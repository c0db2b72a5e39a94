//! Short scripted runs of the engine: what people and hooks are told, step by step.
//! Does not: draw anything at random; that is the simulator's.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use renewd::core::engine::{
    Action, Answer, Event, Found, HookEnd, HookKind, Issued, Note, Persist, Reason, Restored, RunMode, State,
    TokenState, TokenWire, Want, Wiring, step,
};
use renewd::core::schedule::Life;
use renewd::core::settings::{FileSpec, Fingerprint, Format, LinePlan, Schedule, TargetPath, TargetPlan, TokenName};
use renewd::core::time::{Boot, Now, Wall};
use smallvec::smallvec;

const START: i64 = 1_700_000_000;

/// One token with one file, and a world that does at once what it is told.
struct Script {
    state: State,
    seconds: u64,
    /// Of what was asked for last.
    fingerprint: Fingerprint,
    fails: bool,
    deliveries: usize,
    hooks: Vec<HookKind>,
    /// How the next hooks end, the last one first; then they go well.
    hook_ends: Vec<HookEnd>,
    answers: Vec<Answer>,
}

fn name() -> TokenName {
    TokenName::new("a").expect("a name")
}

fn issued(generation: u64, fingerprint: Fingerprint, at: Wall, seconds: u64) -> Issued {
    let expires_at = Some(at.plus(Duration::from_secs(seconds)));
    let life = Life { issued_at: at, expires_at, obtained_at: at };
    Issued { generation, fingerprint, life, sha256: Fingerprint([generation as u8; 16]) }
}

fn wiring(is_there: bool, secret: u8, lack: Option<&str>) -> Event {
    let path = TargetPath::from(PathBuf::from("/out/a"));
    let line = Arc::new(LinePlan { token: name(), format: Format::Token });
    let wire = TokenWire {
        name: name(),
        fingerprint: Fingerprint([secret; 16]),
        schedule: Schedule::default().into(),
        required: true,
        parents: Vec::new(),
        single_use: false,
        after_rotate: true,
        on_failure: Some(Duration::ZERO),
        lack: lack.map(Into::into),
    };
    let target =
        TargetPlan { shown: path.clone(), path, spec: FileSpec::default(), lines: smallvec![line], lack: None };
    let tokens = if is_there { vec![wire] } else { Vec::new() };
    let targets = if is_there { vec![Arc::new(target)] } else { Vec::new() };
    Event::Plan(Arc::new(Wiring { tokens, targets, ready_timeout: Duration::from_secs(60), lacks: lack.is_some() }))
}

impl Script {
    fn new() -> Self {
        let state = State::new(RunMode::Daemon, 1, Vec::new(), Vec::new(), Self::at(0));
        Self {
            state,
            seconds: 0,
            fingerprint: Fingerprint::default(),
            fails: false,
            deliveries: 0,
            hooks: Vec::new(),
            hook_ends: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn at(seconds: u64) -> Now {
        Now { wall: Wall::from_secs(START + seconds as i64), boot: Boot(seconds * 1000) }
    }

    /// What the source is asked for is given back, not answered.
    fn give(&mut self, event: Event) -> Option<u64> {
        let (mut events, mut asked) = (vec![event], None);
        while let Some(event) = events.pop() {
            for action in step(&mut self.state, event, Self::at(self.seconds)) {
                match action {
                    Action::Obtain { generation, fingerprint, .. } => {
                        (asked, self.fingerprint) = (Some(generation), fingerprint);
                    }
                    Action::Persist(Persist { name, generation, .. }) => {
                        events.push(Event::Persisted { name, generation })
                    }
                    Action::Deliver { path, op, .. } if self.fails => {
                        events.push(Event::DeliverFailed { path, op, message: "full".into() });
                    }
                    Action::Deliver { path, op, .. } => {
                        self.deliveries += 1;
                        events.push(Event::Delivered { path, op, is_new: true });
                    }
                    Action::Remove { path, op } => events.push(Event::Removed { path, op, failed: None }),
                    Action::Hook { name, kind, .. } => {
                        self.hooks.push(kind);
                        let end = self.hook_ends.pop().unwrap_or(HookEnd::Done);
                        events.push(Event::HookDone { name, kind, end });
                    }
                    Action::Reply { answer, .. } => self.answers.push(answer),
                    _ => {}
                }
            }
        }
        asked
    }

    fn obtained(&mut self, generation: u64) {
        let issued = issued(generation, self.fingerprint, Self::at(self.seconds).wall, 3600);
        assert_eq!(self.give(Event::Obtained { name: name(), issued, login_ends: None }), None);
    }

    fn failed(&mut self, generation: u64, reason: Reason) {
        let message = "no".into();
        let failed = Event::ObtainFailed { name: name(), generation, reason, message, retry_after: None, doubt: None };
        assert_eq!(self.give(failed), None);
    }

    /// Passes the time, and answers what the source is asked for.
    fn live(&mut self, seconds: u64) {
        if let Some(asked) = self.pass(seconds) {
            self.obtained(asked);
        }
    }

    fn pass(&mut self, seconds: u64) -> Option<u64> {
        self.seconds += seconds;
        self.give(Event::Wake)
    }
}

#[test]
fn a_streak_is_over_only_when_the_token_is_on_disk() {
    let mut script = Script::new();
    script.give(wiring(true, 1, Some("no secret")));
    assert_eq!(script.hooks, [HookKind::Failing(Reason::Machine)]);
    script.fails = true;
    let asked = script.give(wiring(true, 2, None)).expect("it is obtained");
    assert_eq!(script.hooks.len(), 1, "nothing has been delivered: {:?}", script.hooks);
    script.obtained(asked);
    script.pass(5);
    assert_eq!(script.hooks.len(), 1, "told twice in one streak: {:?}", script.hooks);
    script.fails = false;
    script.pass(60);
    assert_eq!(script.hooks[1..], [HookKind::AfterRotate, HookKind::Recovered]);
}

#[test]
fn a_hook_that_fails_troubles_its_token_until_it_goes_well_after_the_next_rotation() {
    let mut script = Script::new();
    script.hook_ends = vec![HookEnd::Failed("after_rotate: exited with status 3".into())];
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    script.obtained(asked);
    // on_failure is told once, of the hook.
    assert_eq!(script.hooks, [HookKind::AfterRotate, HookKind::Failing(Reason::Hook)]);
    let row = |script: &Script| script.state.token_status(&name(), Script::at(script.seconds)).expect("a row");
    assert_eq!((row(&script).state, row(&script).reason), (TokenState::Retrying, Some(Reason::Hook)));
    assert!(row(&script).last_error.is_some_and(|error| error.contains("status 3")));
    script.pass(600);
    assert_eq!(script.hooks.len(), 2, "it is not run again by itself: {:?}", script.hooks);
    let want = Want::Rotate { names: BTreeSet::new(), force: false };
    let asked = script.give(Event::Wanted { id: 1, want, timeout: Duration::from_secs(9) }).expect("it is obtained");
    script.obtained(asked);
    assert_eq!(script.hooks[2..], [HookKind::AfterRotate, HookKind::Recovered]);
    assert_eq!((row(&script).state, row(&script).reason), (TokenState::Valid, None));
}

#[test]
fn a_hook_that_cannot_be_started_is_tried_again_and_one_of_on_failure_makes_no_streak() {
    let mut script = Script::new();
    let not_started = |hook: &str| HookEnd::NotStarted(format!("{hook}: not found").into());
    // From the last: after_rotate, on_failure, after_rotate again.
    script.hook_ends = vec![not_started("on_failure"), not_started("after_rotate")];
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    script.obtained(asked);
    assert_eq!(script.hooks, [HookKind::AfterRotate, HookKind::Failing(Reason::Hook)]);
    for _ in 0..10 {
        script.pass(1);
    }
    let mut later = script.hooks[2..].to_vec();
    later.sort_by_key(|kind| format!("{kind:?}"));
    assert_eq!(later, [HookKind::AfterRotate, HookKind::Failing(Reason::Hook), HookKind::Recovered]);
    let row = script.state.token_status(&name(), Script::at(script.seconds)).expect("a row");
    assert_eq!((row.state, row.reason), (TokenState::Valid, None));
}

fn restored(script: &mut Script) -> bool {
    let path = TargetPath::from(PathBuf::from("/out/a"));
    let before = script.deliveries;
    script.give(Event::Found { path, found: Found::Gone });
    script.deliveries > before
}

#[test]
fn a_file_that_is_changed_is_written_again_at_once_and_two_that_fight_are_told() {
    let mut script = Script::new();
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    script.obtained(asked);
    let row = |script: &Script| script.state.token_status(&name(), Script::at(script.seconds)).expect("a row");
    // Now and then: written again each time.
    for _ in 0..10 {
        script.live(130);
        assert!(restored(&mut script));
        assert_eq!((row(&script).state, row(&script).on_disk), (TokenState::Valid, true));
    }
    // Each time it is written: a few times, then less and less often.
    script.live(130);
    for _ in 0..3 {
        assert!(restored(&mut script));
    }
    assert!(!restored(&mut script), "written without end");
    let fighting = row(&script);
    assert_eq!(
        (fighting.state, fighting.on_disk, fighting.reason),
        (TokenState::Retrying, false, Some(Reason::Delivery))
    );
    assert!(fighting.last_error.is_some_and(|error| error.contains("somebody else") && error.contains("3 times")));
    let before = script.deliveries;
    for _ in 0..1800 {
        script.live(1);
        restored(&mut script);
    }
    let writes = script.deliveries - before;
    assert!((4..=12).contains(&writes), "{writes} writes in half an hour");
    // The other one has given up: written once more, and well again after a while without it.
    for _ in 0..300 {
        script.live(1);
    }
    assert!(row(&script).on_disk, "readers find it");
    for _ in 0..130 {
        script.live(1);
    }
    assert_eq!((row(&script).state, row(&script).reason), (TokenState::Valid, None));
    assert!(restored(&mut script), "a new one is a new one");
}

#[test]
fn who_waits_for_a_token_is_told_that_its_entry_left() {
    let mut script = Script::new();
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    script.obtained(asked);
    let (timeout, min_valid) = (Duration::from_secs(3600), Duration::from_secs(7200));
    let want = Want::Valid { names: BTreeSet::from([name()]), min_valid };
    script.give(Event::Wanted { id: 1, want, timeout });
    script.give(wiring(false, 1, None));
    assert_eq!(script.answers, [], "the entry may be back");
    script.pass(3);
    assert!(matches!(&script.answers[..], [Answer::Failed(lines)] if lines.len() == 1), "{:?}", script.answers);
}

#[test]
fn who_is_patient_outlasts_a_failure_but_not_a_refusal() {
    for (reason, outlasts) in [(Reason::Unreachable, true), (Reason::Rejected, false)] {
        let mut script = Script::new();
        let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
        let want = Want::Token { name: name(), min_valid: Duration::ZERO, is_patient: true };
        let timeout = Duration::from_secs(10);
        script.give(Event::Wanted { id: 1, want: want.clone(), timeout });
        script.failed(asked, reason);
        assert_eq!(script.answers.is_empty(), outlasts, "{reason:?}: {:?}", script.answers);
        // Another unit starts: a refused credential is not tried for it.
        let again = script.give(Event::Wanted { id: 2, want, timeout });
        assert_eq!(again.is_some(), outlasts, "{reason:?}");
        assert_eq!(script.answers.len(), if outlasts { 0 } else { 2 });
        if let Some(again) = again {
            script.obtained(again);
            assert_eq!(script.answers.len(), 2);
            assert!(script.answers.iter().all(|answer| matches!(answer, Answer::Token { .. })), "{:?}", script.answers);
        }
    }
}

/// The wait after a refusal is a quarter of an hour; what a token has left at its last planned rotation may be less.
#[test]
fn a_token_that_is_refused_is_tried_before_it_runs_out_and_each_minute_after() {
    let mut script = Script::new();
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    script.obtained(asked);
    let mut tried = Vec::new();
    while script.seconds < 5400 {
        if let Some(asked) = script.pass(1) {
            tried.push(script.seconds);
            script.failed(asked, Reason::Rejected);
        }
    }
    let first = tried[0];
    let (in_time, late): (Vec<u64>, Vec<u64>) = tried.iter().partition(|at| **at < 3600);
    let left = |at: u64| 3600 - at;
    assert!((2290..=2412).contains(&first), "{tried:?}");
    assert_eq!(in_time[1], first + 900, "{tried:?}");
    let third = left(in_time[1]) / 3;
    assert!(in_time[2].abs_diff(in_time[1] + third) <= 1, "{tried:?}");
    assert!(in_time[3].abs_diff(in_time[1] + 2 * third) <= 2, "{tried:?}");
    assert_eq!((in_time.len(), in_time[4]), (5, 3590), "{tried:?}");
    let each_minute = late.iter().filter(|at| **at <= 4501).count();
    assert_eq!((each_minute, late.len()), (16, 16), "{tried:?}");
}

/// The refresh token ends before the token: 300 s against an hour. One that each rotation moves is never left to end; one that none
/// moves is spent a last time just before it does.
#[test]
fn a_refresh_token_that_ends_is_spent_in_time() {
    for moves in [true, false] {
        let mut script = Script::new();
        let mut asked = script.give(wiring(true, 1, None));
        let mut spent = Vec::new();
        while script.seconds < 1500 {
            if let Some(generation) = asked {
                spent.push(script.seconds);
                let at = Script::at(script.seconds).wall;
                let ends = if moves { at.plus(Duration::from_secs(300)) } else { Script::at(1000).wall };
                let issued = issued(generation, script.fingerprint, at, 3600);
                script.give(Event::Obtained { name: name(), issued, login_ends: Some(ends) });
            }
            asked = script.pass(1);
        }
        let waits: Vec<u64> = spent.windows(2).map(|two| two[1] - two[0]).collect();
        match moves {
            true => assert!(waits.len() >= 6 && waits.iter().all(|wait| (190..=202).contains(wait)), "{spent:?}"),
            // The first answer may have been one that moves; the second shows that it is not.
            false => assert!(
                spent.len() == 3 && (636..=671).contains(&spent[1]) && (920..=941).contains(&spent[2]),
                "{spent:?}"
            ),
        }
    }
}

#[test]
fn a_clock_that_was_set_has_what_failed_tried_again_but_makes_no_storm() {
    let mut script = Script::new();
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    script.failed(asked, Reason::Rejected);
    script.seconds += 5;
    assert_eq!(script.give(Event::ClockChanged), None, "it was tried five seconds ago");
    let asked = script.pass(5).expect("it is tried again after ten seconds");
    script.failed(asked, Reason::Rejected);
    script.seconds += 100;
    assert!(script.give(Event::ClockChanged).is_some());
}

#[test]
fn who_is_gone_is_not_answered() {
    let mut script = Script::new();
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    let want = Want::Token { name: name(), min_valid: Duration::ZERO, is_patient: false };
    script.give(Event::Wanted { id: 1, want, timeout: Duration::from_secs(90) });
    script.give(Event::Unwanted { id: 1 });
    script.obtained(asked);
    script.pass(100);
    assert_eq!(script.answers, []);
}

#[test]
fn a_stop_waits_for_no_source_whose_credential_is_not_spent() {
    let mut script = Script::new();
    let asked = script.give(wiring(true, 1, None)).expect("it is obtained");
    script.give(Event::Shutdown);
    assert!(script.state.is_finished(Script::at(script.seconds)));
    // Its answer comes too late and changes nothing.
    script.obtained(asked);
}

#[test]
fn a_stop_is_not_woken_for_what_is_done_no_more() {
    let mut script = Script::new();
    // The config would be read again in a second, and READY told in a minute.
    script.give(wiring(true, 1, Some("no secret")));
    script.give(Event::Shutdown);
    script.pass(100);
    let now = Script::at(script.seconds);
    assert!(script.state.next_wake(now).is_none_or(|at| at > now.boot), "it would wake over and over");
}

/// An hour that passed while the daemon was down is nobody's fault: the token is renewed, or its failure is told.
#[test]
fn a_token_that_expired_while_nobody_watched_is_not_complained_of() {
    let issued = issued(1, Fingerprint([1; 16]), Script::at(0).wall, 60);
    let restored = Restored { name: name(), issued, login_ends: None, unsettled: false, doubt: None, owes_hook: false };
    let now = Script::at(3600);
    let mut state = State::new(RunMode::Daemon, 1, vec![restored], Vec::new(), now);
    let actions = step(&mut state, wiring(true, 1, None), now);
    assert!(actions.iter().any(|action| matches!(action, Action::Obtain { .. })), "{actions:?}");
    let complaints = actions.iter().filter(|action| matches!(action, Action::Note(Note::Expired { .. })));
    assert_eq!(complaints.count(), 0, "{actions:?}");
}
