//! Owns: the simulated machine: clocks, sources that take time, fail, hang, lose answers and depend on one another, a
//! disk that takes time and fails, a state log, and a person who edits the config, asks for tokens and kills the daemon.
//! Does not: judge; it tells `Invariants` what it sees.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use renewd::core::engine::{
    Action, Doubt, Event, FormerLine, Found, HookEnd, Issued, LineAt, Persist, Reason, Restored, RestoredTarget,
    RunMode, State, TokenWire, Want, Wiring, step,
};
use renewd::core::schedule::Life;
use renewd::core::settings::{
    FileSpec, Fingerprint, Format, LinePlan, Mode as FileMode, Retry, RotateRule, Schedule, TargetPath, TargetPlan,
    TokenName,
};
use renewd::core::time::{Boot, Now, Wall};
use smallvec::smallvec;

use crate::invariants::Invariants;

/// How long the last phase lasts, in which nothing fails and nobody meddles.
pub(crate) const QUIET: Duration = Duration::from_secs(600);

/// A plan is carried out so many files or tokens at a time.
const AT_A_TIME: usize = 2;

/// What a simulated file holds.
pub(crate) type Content = (Vec<LineAt>, FileSpec);

pub(crate) struct Faults {
    /// Sources that answer with an error.
    pub failing: BTreeSet<TokenName>,
    /// Sources that do not answer for a minute.
    pub hanging: BTreeSet<TokenName>,
    /// Paths where a write fails.
    pub unwritable: BTreeSet<TargetPath>,
    pub no_state: bool,
    /// Paths that somebody else changes after each write.
    pub meddled: BTreeSet<TargetPath>,
}

#[derive(Clone)]
pub(crate) struct Stored {
    pub restored: Restored,
}

pub(crate) struct World {
    pub seed: u64,
    pub prints: bool,
    pub traces: bool,
    rng: Rng,
    pub now: Now,
    state: State,
    /// What is to happen by itself: at a boot time, in order of their making.
    pending: BTreeMap<(Boot, u64), (u64, Event)>,
    serial: u64,
    /// Counts the daemon's lives: what an earlier one started does not report to a later one.
    life: u64,
    pub faults: Faults,
    pub plan: Arc<Wiring>,
    /// The state log, as a restart would read it.
    pub log: BTreeMap<TokenName, Stored>,
    pub log_targets: BTreeMap<TargetPath, Vec<Arc<LinePlan>>>,
    /// Times of every token ever made.
    pub made: BTreeMap<(TokenName, u64, u64), Issued>,
    pub disk: BTreeMap<TargetPath, Content>,
    /// Operations by number: the path, and what will stand there (nothing: it is removed).
    under_way: BTreeMap<u64, (TargetPath, Option<Content>)>,
    wake: Option<Boot>,
    /// Files that were written in this life: a look tells whether they changed since.
    stamped: BTreeSet<TargetPath>,
    changed: BTreeMap<TargetPath, Found>,
    looked: Boot,
    requests: u64,
    trace: Vec<u8>,
    pub seen: Invariants,
}

pub(crate) fn name(i: usize) -> TokenName {
    TokenName::new(&format!("t{i}")).unwrap()
}

fn path(i: usize) -> TargetPath {
    PathBuf::from(format!("/run/f{i}")).into()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let now = Now { wall: Wall::from_secs(1_700_000_000 + rng.i64(0..1000)), boot: Boot(rng.u64(0..100_000)) };
        let plan = Arc::new(random_plan(&mut rng));
        let mut state = State::new(RunMode::Daemon, seed, Vec::new(), Vec::new(), now);
        state.settle_at_a_time(AT_A_TIME);
        Self {
            seed,
            prints: false,
            traces: false,
            rng,
            now,
            state,
            pending: BTreeMap::new(),
            serial: 0,
            life: 0,
            faults: Faults {
                failing: BTreeSet::new(),
                hanging: BTreeSet::new(),
                unwritable: BTreeSet::new(),
                no_state: false,
                meddled: BTreeSet::new(),
            },
            plan,
            log: BTreeMap::new(),
            log_targets: BTreeMap::new(),
            made: BTreeMap::new(),
            disk: BTreeMap::new(),
            under_way: BTreeMap::new(),
            wake: None,
            stamped: BTreeSet::new(),
            changed: BTreeMap::new(),
            looked: now.boot,
            requests: 0,
            trace: Vec::new(),
            seen: Invariants::default(),
        }
    }

    /// A life of random deeds, then a quiet time in which everything must come right.
    pub(crate) fn live(&mut self) -> Result<(), String> {
        self.give(Event::Plan(self.plan.clone()))?;
        for _ in 0..self.rng.usize(20..60) {
            self.deed()?;
            let wait = [10, 300, 2_000, 30_000, 400_000][self.rng.usize(0..5)];
            let wait = self.rng.u64(0..wait);
            self.pass(Duration::from_millis(wait))?;
        }
        self.heal();
        self.seen.calm_since = Some(self.now);
        self.give(Event::ClockChanged)?;
        self.pass(QUIET)?;
        self.seen.converged(&self.plan, &self.disk, &self.state, self.now)?;
        // "A file that somebody else removed or changed is as it shall be within 40 s, without anybody asking."
        for path in self.stamped.clone() {
            self.tamper(&path);
        }
        self.pass(Duration::from_secs(40))?;
        self.seen.converged(&self.plan, &self.disk, &self.state, self.now)
    }

    pub(crate) fn trace_digest(&self) -> String {
        Fingerprint::of(&self.trace).short()
    }

    fn heal(&mut self) {
        self.faults.failing.clear();
        self.faults.hanging.clear();
        self.faults.unwritable.clear();
        self.faults.no_state = false;
        self.faults.meddled.clear();
    }

    /// Something that a person, the network or the machine does.
    fn deed(&mut self) -> Result<(), String> {
        match self.rng.u32(0..100) {
            0..=17 => {
                let plan = if self.rng.bool() { random_plan(&mut self.rng) } else { self.edited() };
                self.reload(plan)
            }
            18..=20 => {
                let lack = self.rng.bool();
                self.give(Event::PlanRefused { message: "no".into(), lack })
            }
            21..=40 => {
                let one = self.any_name();
                let set = if self.rng.bool() { &mut self.faults.failing } else { &mut self.faults.hanging };
                if !set.remove(&one) {
                    set.insert(one);
                }
                Ok(())
            }
            41..=52 => {
                let one = path(self.rng.usize(0..4));
                if !self.faults.unwritable.remove(&one) {
                    self.faults.unwritable.insert(one);
                }
                Ok(())
            }
            53..=56 => {
                self.faults.no_state = !self.faults.no_state;
                Ok(())
            }
            57..=68 => self.step_clock(),
            69..=84 => self.ask(),
            85..=92 => self.crash(),
            93..=95 => {
                self.heal();
                Ok(())
            }
            96..=97 => {
                let one = path(self.rng.usize(0..6));
                self.tamper(&one);
                if !self.faults.meddled.remove(&one) {
                    self.faults.meddled.insert(one);
                }
                Ok(())
            }
            _ => self.give(Event::Wake),
        }
    }

    /// Somebody else removes a file, or puts another one in its place.
    fn tamper(&mut self, path: &TargetPath) {
        if !self.disk.contains_key(path) {
            return;
        }
        let found = if self.rng.bool() {
            self.disk.remove(path);
            Found::Gone
        } else {
            self.disk.insert(path.clone(), (Vec::new(), FileSpec::default()));
            Found::Changed { at: Some(self.now.wall) }
        };
        self.note(|| format!("{path:?} is tampered with: {found:?}"));
        if self.stamped.contains(path) {
            self.changed.insert(path.clone(), found);
        }
    }

    /// Tells of files that are not as they were written.
    fn look(&mut self) -> Result<(), String> {
        self.looked = self.now.boot;
        for (path, found) in std::mem::take(&mut self.changed) {
            self.stamped.remove(&path);
            self.give(Event::Found { path, found })?;
        }
        Ok(())
    }

    fn reload(&mut self, plan: Wiring) -> Result<(), String> {
        self.seen.reloaded(&self.plan, &plan, self.now);
        self.plan = Arc::new(plan);
        self.give(Event::Plan(self.plan.clone()))
    }

    /// The same plan with one thing changed.
    fn edited(&mut self) -> Wiring {
        let mut plan = (*self.plan).clone();
        if let Some(i) = self.index(plan.tokens.len()) {
            match self.rng.u32(0..4) {
                0 => plan.tokens[i].fingerprint = Fingerprint([self.rng.u8(..); 16]),
                1 => plan.tokens[i].schedule = random_schedule(&mut self.rng).into(),
                2 => {
                    let gone = plan.tokens.remove(i).name;
                    plan.tokens.iter_mut().for_each(|token| token.parents.retain(|parent| *parent != gone));
                    files(&mut plan).for_each(|target| target.lines.retain(|line| line.token != gone));
                    plan.targets.retain(|target| !target.lines.is_empty());
                }
                _ => files(&mut plan).for_each(|target| target.spec.mode = FileMode(0o640)),
            }
        }
        plan
    }

    fn index(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| self.rng.usize(0..len))
    }

    fn any_name(&mut self) -> TokenName {
        name(self.rng.usize(0..6))
    }

    fn step_clock(&mut self) -> Result<(), String> {
        let by = [5_000, 90_000, 7_200_000, 86_400_000][self.rng.usize(0..4)];
        let by = if self.rng.bool() { by } else { -by };
        self.now.wall.0 += by;
        self.seen.clock_stepped(self.now);
        self.note(|| format!("clock {by}"));
        // Often told at once; sometimes only the next wake shows it.
        if self.rng.u32(0..4) > 0 { self.give(Event::ClockChanged) } else { Ok(()) }
    }

    fn ask(&mut self) -> Result<(), String> {
        self.requests += 1;
        let names: BTreeSet<TokenName> = (0..self.rng.usize(0..3)).map(|_| self.any_name()).collect();
        let min_valid = Duration::from_secs(self.rng.u64(0..100));
        let want = match self.rng.u32(0..4) {
            0 => Want::Rotate { names, force: self.rng.bool() },
            1 => Want::Token { name: self.any_name(), min_valid, is_patient: false },
            2 => Want::Token { name: self.any_name(), min_valid: Duration::ZERO, is_patient: true },
            _ => Want::Valid { names, min_valid },
        };
        let timeout = Duration::from_millis(self.rng.u64(0..60_000));
        self.look()?;
        self.seen.asked(self.requests, &want, self.now, timeout);
        self.give(Event::Wanted { id: self.requests, want, timeout })
    }

    /// kill -9 and a start: what was under way on the disk may or may not have happened.
    fn crash(&mut self) -> Result<(), String> {
        self.note(|| "crash".into());
        self.life += 1;
        for (path, content) in std::mem::take(&mut self.under_way).into_values() {
            if self.rng.bool() {
                self.put(&path, content)?;
            }
        }
        let tokens = self.log.values().map(|stored| stored.restored.clone()).collect();
        let targets = self.log_targets.iter();
        // Of a file of one token the log does not keep the format.
        let former = |line: &Arc<LinePlan>| FormerLine {
            token: line.token.clone(),
            plan: Some(line.clone()).filter(|line| line.format.kind().is_shared()),
        };
        let targets = targets
            .map(|(path, lines)| RestoredTarget { path: path.clone(), lines: lines.iter().map(former).collect() })
            .collect();
        self.pending.clear();
        self.stamped.clear();
        self.changed.clear();
        self.wake = None;
        self.now.boot.0 += 50;
        self.now.wall.0 += 50;
        self.state = State::new(RunMode::Daemon, self.seed, tokens, targets, self.now);
        self.state.settle_at_a_time(AT_A_TIME);
        self.seen.restarted(&self.log, &self.disk, self.now);
        if self.rng.u32(0..3) == 0 {
            let plan = self.edited();
            self.seen.edited_while_down(&self.plan, &plan, self.now);
            self.plan = Arc::new(plan);
        }
        self.give(Event::Plan(self.plan.clone()))
    }

    /// Lets time pass, and everything that falls into it happen.
    fn pass(&mut self, span: Duration) -> Result<(), String> {
        let end = self.now.boot.plus(span);
        loop {
            let cut = self.now.boot.plus(Duration::from_secs(30));
            let wake = self.wake.unwrap_or(cut).min(cut).max(Boot(self.now.boot.0 + 1));
            let next = self.pending.first_key_value().map(|((at, _), _)| *at);
            let look = self.looked.plus(Duration::from_millis(29_500));
            let at = next.unwrap_or(wake).min(wake).min(look).min(end).max(self.now.boot);
            self.now.wall.0 += (at.0 - self.now.boot.0) as i64;
            self.now.boot = at;
            if at >= look {
                self.look()?;
            } else if next == Some(at) {
                if let Some((_, (life, event))) = self.pending.pop_first()
                    && life == self.life
                {
                    self.happen(event)?;
                }
            } else if at == end {
                return Ok(());
            } else {
                self.give(Event::Wake)?;
            }
        }
    }

    /// The disk is changed, the config read, and a token at hand, at the moment the answer comes.
    fn happen(&mut self, mut event: Event) -> Result<(), String> {
        if let Event::Obtained { name, issued, .. } = &mut event {
            issued.life.obtained_at = self.now.wall;
            self.made.insert((name.clone(), issued.generation, self.life), *issued);
        }
        if let Event::Plan(plan) = &mut event {
            *plan = self.plan.clone();
        }
        let op = match &event {
            Event::Delivered { op, .. } | Event::DeliverFailed { op, .. } | Event::Removed { op, .. } => Some(*op),
            _ => None,
        };
        if op.is_some() && self.rng.u32(0..40) == 0 {
            // Told twice: the second comes late, while another may be under way.
            self.later(40, event.clone());
        }
        if let Some((path, content)) = op.and_then(|op| self.under_way.remove(&op)) {
            let done = !matches!(event, Event::DeliverFailed { .. } | Event::Removed { failed: Some(_), .. });
            // A removal leaves what is somebody else's.
            let foreign = content.is_none() && self.disk.get(&path).is_some_and(|(lines, _)| lines.is_empty());
            if (done || self.rng.u32(0..8) == 0) && !foreign {
                self.put(&path, content)?;
            }
            if done {
                self.stamp(&path, matches!(event, Event::Delivered { .. }));
            }
            if done && matches!(event, Event::Removed { .. }) {
                self.log_targets.remove(&path);
            }
        }
        self.give(event)
    }

    /// How the file stands is known from here on; where somebody meddles, not for long.
    fn stamp(&mut self, path: &TargetPath, is_written: bool) {
        self.changed.remove(path);
        self.stamped.remove(path);
        if is_written {
            self.stamped.insert(path.clone());
            if self.faults.meddled.contains(path) {
                self.tamper(path);
                // Somebody looks each second or two, too.
                self.looked = Boot(self.now.boot.0.saturating_sub(28_000));
            }
        }
    }

    fn put(&mut self, path: &TargetPath, content: Option<Content>) -> Result<(), String> {
        self.seen.disk_changes(path, self.disk.get(path), content.as_ref(), &self.plan, self.now)?;
        match content {
            Some(content) => self.disk.insert(path.clone(), content),
            None => self.disk.remove(path),
        };
        Ok(())
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if !self.prints && !self.traces {
            return;
        }
        let what = what();
        let line = format!("{:?} {:?} {what}\n", self.now.boot, self.now.wall);
        if self.prints {
            print!("{line}");
        }
        self.trace.extend(line.bytes());
    }

    /// Hands one event to the engine and carries out what it says.
    fn give(&mut self, event: Event) -> Result<(), String> {
        self.note(|| format!("-> {event:?}"));
        self.seen.event(&event, self.now);
        let actions = step(&mut self.state, event, self.now);
        self.wake = self.state.next_wake(self.now);
        for action in actions {
            self.note(|| format!("   {action:?}"));
            self.seen.action(&action, &self.plan, &self.log, &self.disk, self.now)?;
            self.act(action);
        }
        self.seen.after_step(&self.state, &self.plan, &self.disk, &self.made, self.life, self.now)
    }

    fn later(&mut self, most: u64, event: Event) {
        let at = Boot(self.now.boot.0 + self.rng.u64(0..=most));
        self.serial += 1;
        self.pending.insert((at, self.serial), (self.life, event));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Obtain { name, generation, fingerprint, parents } => {
                self.obtain(name, generation, fingerprint, parents)
            }
            Action::Persist(Persist { name, generation, .. }) => {
                if self.faults.no_state {
                    return self.later(20, Event::PersistFailed { name, generation, message: "disk full".into() });
                }
                let issued = self.made[&(name.clone(), generation, self.life)];
                let restored = Restored {
                    name: name.clone(),
                    issued,
                    login_ends: self.login_ends(&name, &issued),
                    unsettled: false,
                    doubt: None,
                    owes_hook: false,
                };
                self.log.insert(name.clone(), Stored { restored });
                self.later(20, Event::Persisted { name, generation });
            }
            Action::KeepStreak { .. } => {}
            Action::Settle { name, doubt } => {
                if let Some(stored) = self.log.get_mut(&name).filter(|_| !self.faults.no_state) {
                    stored.restored.unsettled &= doubt.is_some();
                    stored.restored.doubt = doubt;
                }
            }
            Action::Forget { name } => drop(self.log.remove(&name)),
            Action::Deliver { path, op, spec, lines, .. } => {
                let mut noted: Vec<Arc<LinePlan>> = lines.iter().map(|at| at.line.clone()).collect();
                let held = self.disk.get(&path).into_iter().flat_map(|(lines, _)| lines);
                noted.extend(held.map(|at| at.line.clone()).filter(|line| lines.iter().all(|at| at.line != *line)));
                self.log_targets.insert(path.clone(), noted);
                let fails = self.faults.unwritable.contains(&path);
                self.under_way.insert(op, (path.clone(), Some((lines, spec))));
                let event = match fails {
                    true => Event::DeliverFailed { path, op, message: "disk full".into() },
                    false => Event::Delivered { path, op, is_new: true },
                };
                let most = if self.rng.u32(0..20) == 0 { 15_000 } else { 30 };
                self.later(if self.seen.calm_since.is_some() { 30 } else { most }, event);
            }
            Action::Remove { path, op } => {
                let failed = self.faults.unwritable.contains(&path).then(|| "read-only".into());
                self.under_way.insert(op, (path.clone(), None));
                self.later(30, Event::Removed { path, op, failed });
            }
            Action::Hook { name, kind, .. } => {
                let end = match self.rng.u32(0..6) {
                    _ if self.seen.calm_since.is_some() => HookEnd::Done,
                    0 => HookEnd::Failed("exited with status 1".into()),
                    1 => HookEnd::NotStarted("was not found".into()),
                    _ => HookEnd::Done,
                };
                self.later(20_000, Event::HookDone { name, kind, end });
            }
            Action::Reread => self.later(10, Event::Plan(self.plan.clone())),
            _ => {}
        }
    }

    fn obtain(&mut self, name: TokenName, generation: u64, fingerprint: Fingerprint, parents: Vec<(TokenName, u64)>) {
        let spends = self.plan.tokens.iter().any(|wire| wire.name == name && wire.single_use);
        if let Some(stored) = self.log.get_mut(&name).filter(|_| spends) {
            stored.restored.unsettled = true;
        }
        if self.faults.hanging.contains(&name) {
            let message = "no answer in time".into();
            let doubt = spends.then_some(Doubt::Lost);
            if spends && self.rng.bool() {
                self.later(30_000, Event::AnswerLost { name: name.clone(), generation });
            }
            let reason = Reason::Unreachable;
            let event = Event::ObtainFailed { name, generation, reason, message, retry_after: None, doubt };
            return self.later(60_000, event);
        }
        if spends && self.rng.u32(0..10) == 0 {
            // The first answer is lost, and what comes to the second sending is as it is.
            self.later(30, Event::AnswerLost { name: name.clone(), generation });
        }
        if self.faults.failing.contains(&name) {
            let (reason, retry_after) = match self.rng.u32(0..4) {
                0 => (Reason::Rejected, None),
                1 => (Reason::Unreachable, Some(Duration::from_secs(self.rng.u64(0..100)))),
                2 => (Reason::InvalidAnswer, None),
                _ => (Reason::Unreachable, None),
            };
            if let Some((parent, parent_generation)) = parents.first().cloned().filter(|_| self.rng.bool()) {
                let message = "401".into();
                let event = Event::ParentRejected { name, generation, parent, parent_generation, message };
                return self.later(500, event);
            }
            let doubts = [None, Some(Doubt::Lost), Some(Doubt::Unread), Some(Doubt::Stale), Some(Doubt::Refused)];
            let doubt = doubts[self.rng.usize(0..5)].filter(|_| spends);
            let event = Event::ObtainFailed { name, generation, reason, message: "refused".into(), retry_after, doubt };
            return self.later(500, event);
        }
        let life = self.seen.lifetime(&name);
        let issued_at = self.now.wall.whole();
        let life = Life { issued_at, expires_at: life.map(|life| issued_at.plus(life)), obtained_at: self.now.wall };
        let sha256 = Fingerprint::of(format!("{name} {generation} {}", self.life).as_bytes());
        let issued = Issued { generation, fingerprint, life, sha256 };
        self.made.insert((name.clone(), generation, self.life), issued);
        let login_ends = self.login_ends(&name, &issued);
        self.later(40, Event::Obtained { name, issued, login_ends });
    }

    /// The end of the refresh token behind it. Some move with each rotation, some stand still, and some come back with an earlier one.
    fn login_ends(&self, name: &TokenName, issued: &Issued) -> Option<Wall> {
        let spends = self.plan.tokens.iter().any(|wire| wire.name == *name && wire.single_use);
        let login = Duration::from_secs(10 + issued.generation % 5 * 15);
        spends.then(|| issued.life.obtained_at.plus(login))
    }
}

fn random_schedule(rng: &mut Rng) -> Schedule {
    let rule = match rng.u32(0..4) {
        0 => RotateRule::Before(Duration::from_secs(rng.u64(5..100))),
        1 => RotateRule::Every(Duration::from_secs(rng.u64(5..100))),
        _ => RotateRule::At(0.3 + 0.4 * rng.f64()),
    };
    let retry = Retry {
        initial: Duration::from_secs(1),
        max: Duration::from_secs(rng.u64(2..60)),
        rejected: Duration::from_secs(rng.u64(20..200)),
    };
    Schedule {
        warn_before: Duration::from_secs(rng.u64(0..40)),
        rule,
        jitter: rng.f64() * 0.2,
        min_interval: Duration::from_secs(rng.u64(1..4)),
        retry,
        skew: Duration::from_secs(rng.u64(0..2) * 30),
    }
}

/// Up to six tokens in chains, in up to four files of their own and two shared ones.
fn random_plan(rng: &mut Rng) -> Wiring {
    let chosen: Vec<usize> = (0..6).filter(|_| rng.u32(0..4) > 0).collect();
    let tokens = chosen.iter().map(|i| TokenWire {
        name: name(*i),
        fingerprint: Fingerprint([rng.u8(0..3); 16]),
        schedule: random_schedule(rng).into(),
        required: rng.u32(0..4) > 0,
        parents: chosen.iter().filter(|j| **j < *i && rng.u32(0..6) == 0).map(|j| name(*j)).collect(),
        single_use: matches!(i, 1 | 4),
        after_rotate: rng.bool(),
        on_failure: rng.bool().then(|| Duration::from_secs(rng.u64(0..120))),
        lack: (rng.u32(0..20) == 0).then(|| "no secret".into()),
    });
    let tokens: Vec<TokenWire> = tokens.collect();
    let mut targets: Vec<TargetPlan> = Vec::new();
    for i in &chosen {
        let own = path(rng.usize(0..4));
        if targets.iter().all(|target| target.path != own) && rng.u32(0..5) > 0 {
            targets.push(target(rng, own, *i, Format::Token));
        }
        let shared = path(4 + rng.usize(0..2));
        let format = Format::Env { variable: format!("T{i}"), expires_variable: None };
        if rng.bool() {
            match targets.iter_mut().find(|target| target.path == shared) {
                Some(target) => target.lines.push(Arc::new(LinePlan { token: name(*i), format })),
                None => targets.push(target(rng, shared, *i, format)),
            }
        }
    }
    let lacks = tokens.iter().any(|token| token.lack.is_some()) || targets.iter().any(|t| t.lack.is_some());
    let targets = targets.into_iter().map(Arc::new).collect();
    Wiring { tokens, targets, ready_timeout: Duration::from_secs(rng.u64(1..60)), lacks }
}

fn files(plan: &mut Wiring) -> impl Iterator<Item = &mut TargetPlan> {
    plan.targets.iter_mut().map(Arc::make_mut)
}

fn target(rng: &mut Rng, path: TargetPath, token: usize, format: Format) -> TargetPlan {
    let lack = (rng.u32(0..20) == 0)
        .then(|| Box::new(renewd::core::settings::Lack { message: "no folder".into(), told: "no folder".into() }));
    let lines = smallvec![Arc::new(LinePlan { token: name(token), format })];
    TargetPlan { shown: path.clone(), path, spec: FileSpec::default(), lines, lack }
}
