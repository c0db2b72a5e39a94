//! Owns: what must hold in every world, each as a sentence with its code beside it.
//! Does not: make anything happen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use renewd::core::engine::{Action, Event, Issued, LineAt, Reason, State, TokenState, Want, Wiring};
use renewd::core::schedule::{self, LoginEnd};
use renewd::core::settings::{FileSpec, Format, TargetPath, TokenName};
use renewd::core::time::{Boot, Now, Wall};

use crate::world::Stored;

type Disk = BTreeMap<TargetPath, (Vec<LineAt>, FileSpec)>;

/// Longest time that a healthy world needs for one turn: obtain, persist, write.
const TURN: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Invariants {
    /// From here on nothing fails and nobody meddles.
    pub calm_since: Option<Now>,
    op_of: BTreeMap<TargetPath, u64>,
    /// When the newest operation on it began.
    op_began: BTreeMap<TargetPath, Boot>,
    writes: BTreeMap<TargetPath, Vec<Boot>>,
    flights: BTreeMap<TokenName, BTreeSet<u64>>,
    persisted: BTreeMap<TokenName, u64>,
    last_obtain: BTreeMap<TokenName, Boot>,
    /// Somebody gave a reason to obtain at once since the last obtaining.
    stirred: BTreeSet<TokenName>,
    kept: BTreeMap<TokenName, Stored>,
    gone_since: BTreeMap<(TargetPath, TokenName), Boot>,
    hooks: BTreeSet<TokenName>,
    open: BTreeMap<u64, Boot>,
    ready: bool,
    /// What the engine cannot know any more, its state being lost or its entry gone for long.
    written_off: BTreeSet<(TargetPath, TokenName, u64)>,
    restarted_at: Option<Boot>,
    stepped_at: Option<Boot>,
    required: BTreeSet<TokenName>,
    /// Tokens that the issuer may have ended or revoked: a refresh token was sent, and no newer one is adopted since.
    doubtful: BTreeSet<TokenName>,
}

fn lines_of<'a>(plan: &'a Wiring, path: &'a TargetPath) -> impl Iterator<Item = &'a TokenName> {
    plan.targets.iter().filter(move |target| target.path == *path).flat_map(|t| &t.lines).map(|line| &line.token)
}

impl Invariants {
    /// Lifetimes are of the name: some never expire, the shortest are well above a turn.
    pub(crate) fn lifetime(&self, name: &TokenName) -> Option<Duration> {
        match name.as_str() {
            "t0" => Some(Duration::from_secs(20)),
            "t1" => Some(Duration::from_secs(60)),
            "t2" => None,
            "t3" => Some(Duration::from_secs(600)),
            _ => Some(Duration::from_secs(3600)),
        }
    }

    pub(crate) fn event(&mut self, event: &Event, now: Now) {
        self.doubt(event);
        match event {
            Event::Plan(plan) => {
                self.required = plan.tokens.iter().map(|token| token.name.clone()).collect();
                self.stir_all();
            }
            Event::Wanted { .. } | Event::ClockChanged | Event::ParentRejected { .. } => {
                self.kept.clear();
                self.stir_all();
            }
            Event::HookDone { name, .. } => drop(self.hooks.remove(name)),
            Event::Obtained { name, issued: Issued { generation, .. }, .. }
            | Event::ObtainFailed { name, generation, .. } => {
                self.flights.entry(name.clone()).or_default().remove(generation);
                // A parent's answer sets its children going.
                if matches!(event, Event::Obtained { .. }) {
                    self.stir_others(name);
                }
            }
            // An answer that comes late or twice ends nothing.
            Event::Delivered { path, op, .. }
            | Event::DeliverFailed { path, op, .. }
            | Event::Removed { path, op, .. }
                if self.op_of.get(path) == Some(op) =>
            {
                self.op_of.remove(path);
            }
            Event::Persisted { name, generation } => {
                self.doubtful.remove(name);
                self.persisted.insert(name.clone(), *generation);
                self.stir_others(name);
            }
            _ => {}
        }
        if let Event::ParentRejected { name, generation, .. } = event {
            self.flights.entry(name.clone()).or_default().remove(generation);
        }
        let _ = now;
    }

    /// The world says what it knows before the engine does.
    fn doubt(&mut self, event: &Event) {
        let doubted = match event {
            Event::AnswerLost { name, generation } => Some((name, generation)),
            Event::ObtainFailed { name, generation, doubt: Some(_), .. } => Some((name, generation)),
            _ => None,
        };
        // What comes too late is about an exchange that has ended.
        if let Some((name, generation)) = doubted
            && self.flights.get(name).is_some_and(|flights| flights.contains(generation))
        {
            self.doubtful.insert(name.clone());
        }
    }

    fn write_off(&mut self, disk: &Disk, which: impl Fn(&TokenName) -> bool) {
        for (path, (lines, _)) in disk {
            for at in lines.iter().filter(|at| which(&at.line.token)) {
                self.written_off.insert((path.clone(), at.line.token.clone(), at.generation));
            }
        }
    }

    fn is_written_off(&self, path: &TargetPath, at: &LineAt) -> bool {
        self.written_off.contains(&(path.clone(), at.line.token.clone(), at.generation))
    }

    fn stir_all(&mut self) {
        self.stirred.extend(self.required.iter().cloned());
    }

    fn stir_others(&mut self, name: &TokenName) {
        self.stirred.extend(self.required.iter().filter(|other| *other != name).cloned());
    }

    pub(crate) fn clock_stepped(&mut self, now: Now) {
        self.stepped_at = Some(now.boot);
        self.kept.clear();
        self.stir_all();
    }

    pub(crate) fn asked(&mut self, id: u64, want: &Want, now: Now, timeout: Duration) {
        self.open.insert(id, now.boot.plus(timeout));
        if !matches!(want, Want::Valid { .. }) {
            self.kept.clear();
        }
    }

    pub(crate) fn reloaded(&mut self, old: &Wiring, new: &Wiring, now: Now) {
        self.kept.clear();
        self.edited_while_down(old, new, now);
        self.gone_since.retain(|(path, token), _| !lines_of(new, path).any(|name| name == token));
    }

    /// What left the plan left it now.
    pub(crate) fn edited_while_down(&mut self, old: &Wiring, new: &Wiring, now: Now) {
        for target in &old.targets {
            for line in &target.lines {
                if !lines_of(new, &target.path).any(|name| *name == line.token) {
                    self.gone_since.entry((target.path.clone(), line.token.clone())).or_insert(now.boot);
                }
            }
        }
        for wire in &new.tokens {
            let same = old.tokens.iter().any(|t| t.name == wire.name && t == wire);
            if !same {
                self.kept.remove(&wire.name);
            }
        }
    }

    pub(crate) fn restarted(&mut self, log: &BTreeMap<TokenName, Stored>, disk: &Disk, now: Now) {
        self.write_off(disk, |token| !log.contains_key(token));
        *self = Self {
            gone_since: std::mem::take(&mut self.gone_since),
            calm_since: self.calm_since,
            written_off: std::mem::take(&mut self.written_off),
            kept: log.clone(),
            restarted_at: Some(now.boot),
            doubtful: log
                .iter()
                .filter(|(_, stored)| stored.restored.unsettled || stored.restored.doubt.is_some())
                .map(|(name, _)| name.clone())
                .collect(),
            ..Self::default()
        };
    }

    pub(crate) fn action(
        &mut self,
        action: &Action,
        plan: &Wiring,
        log: &BTreeMap<TokenName, Stored>,
        disk: &Disk,
        now: Now,
    ) -> Result<(), String> {
        match action {
            Action::Obtain { name, generation, parents, .. } => self.on_obtain(name, *generation, parents, plan, now),
            Action::Deliver { path, op, lines, .. } => {
                self.on_op(path, *op, now)?;
                self.never_hot(path, now)?;
                self.on_deliver(path, lines, plan, log, disk)
            }
            Action::Remove { path, op } => {
                self.on_op(path, *op, now)?;
                // "What stands in the config is never removed, unless another's token is in its place."
                let held = disk.get(path).into_iter().flat_map(|(lines, _)| lines);
                let ours = held.filter(|at| lines_of(plan, path).any(|name| *name == at.line.token));
                let mut ours = ours.filter(|at| !self.is_written_off(path, at) && log.contains_key(&at.line.token));
                ours.next().map_or(Ok(()), |at| Err(format!("{path:?} removed with {} in it", at.line.token)))
            }
            Action::Forget { name } => {
                // "Only what is not in the config is forgotten."
                if plan.tokens.iter().any(|token| token.name == *name) {
                    return Err(format!("{name} is forgotten"));
                }
                self.write_off(disk, |token| token == name);
                self.doubtful.remove(name);
                Ok(())
            }
            Action::Hook { name, .. } => {
                // "One hook at a time for a token, eight at a time in all."
                if !self.hooks.insert(name.clone()) || self.hooks.len() > 8 {
                    return Err(format!("hooks of {name} overlap, or {} run", self.hooks.len()));
                }
                Ok(())
            }
            Action::Reply { id, .. } => {
                // "Who asks is answered once."
                self.open.remove(id).map(|_| ()).ok_or(format!("request {id} answered twice"))
            }
            Action::Ready { missing } => {
                // "READY is told once, and names what is missing."
                if std::mem::replace(&mut self.ready, true) {
                    return Err("READY twice".into());
                }
                for name in missing {
                    if !plan.tokens.iter().any(|token| token.name == *name && token.required) {
                        return Err(format!("READY says {name} is missing, which is not required"));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_obtain(
        &mut self,
        name: &TokenName,
        generation: u64,
        parents: &[(TokenName, u64)],
        plan: &Wiring,
        now: Now,
    ) -> Result<(), String> {
        let Some(wire) = plan.tokens.iter().find(|token| token.name == *name) else {
            return Err(format!("{name} is obtained, but not in the config"));
        };
        // "A token is obtained with all its parents at hand."
        if parents.len() != wire.parents.len() {
            return Err(format!("{name} is obtained with {parents:?} of {:?}", wire.parents));
        }
        // "What cannot be obtained on this machine is not tried."
        if wire.lack.is_some() {
            return Err(format!("{name} is tried though it lacks something"));
        }
        // "A credential that is spent by its use has one flight at a time."
        let flights = self.flights.entry(name.clone()).or_default();
        if wire.single_use && !flights.is_empty() {
            return Err(format!("{name} has two flights: {flights:?} and {generation}"));
        }
        flights.insert(generation);
        // "Never hot: without a reason from outside, no two tries within a second."
        let stirred = self.stirred.remove(name);
        if let Some(last) = self.last_obtain.insert(name.clone(), now.boot)
            && !stirred
            && now.boot.since(last) < Duration::from_millis(990)
        {
            return Err(format!("{name} is tried again after {:?}", now.boot.since(last)));
        }
        // "A restart keeps what is valid, made from the same settings, and not due." A cut exchange is repeated.
        if let Some(stored) = self.kept.remove(name)
            && self.restarted_at.is_some_and(|at| now.boot.since(at) < Duration::from_secs(1))
        {
            let issued = stored.restored.issued;
            let old = now.wall.since(issued.life.issued_at);
            let login = stored.restored.login_ends.map(|at| LoginEnd::first(at, issued.life.obtained_at));
            let is_due = schedule::due(&wire.schedule, issued.life, login, 1.0).is_past(now.wall);
            let of_now = issued.life.issued_at <= now.wall;
            if !is_due && of_now && !stored.restored.unsettled && issued.fingerprint == wire.fingerprint {
                return Err(format!("{name} is obtained again after a restart, {old:?} old"));
            }
        }
        Ok(())
    }

    /// "No file is written over and over, whoever else writes it."
    fn never_hot(&mut self, path: &TargetPath, now: Now) -> Result<(), String> {
        let writes = self.writes.entry(path.clone()).or_default();
        writes.retain(|at| now.boot.since(*at) < Duration::from_secs(30));
        writes.push(now.boot);
        if writes.len() > 60 { Err(format!("{path:?} is written {} times in 30 s", writes.len())) } else { Ok(()) }
    }

    /// "Never two operations on one file at a time": so none can land out of order.
    fn on_op(&mut self, path: &TargetPath, op: u64, now: Now) -> Result<(), String> {
        self.op_began.insert(path.clone(), now.boot);
        match self.op_of.insert(path.clone(), op) {
            Some(other) => Err(format!("{path:?}: operation {op} starts while {other} is under way")),
            None => Ok(()),
        }
    }

    fn on_deliver(
        &self,
        path: &TargetPath,
        lines: &[LineAt],
        plan: &Wiring,
        log: &BTreeMap<TokenName, Stored>,
        disk: &Disk,
    ) -> Result<(), String> {
        for at in lines {
            let token = &at.line.token;
            // "A spent credential's successor is in the state before its token is in a file."
            let single_use = plan.tokens.iter().any(|wire| wire.name == *token && wire.single_use);
            if single_use && log.get(token).is_none_or(|stored| stored.restored.issued.generation < at.generation) {
                return Err(format!("{token} generation {} is delivered before it is persisted", at.generation));
            }
        }
        // "A token leaves its file only when it is replaced or its entry is gone."
        let held = disk.get(path).into_iter().flat_map(|(lines, _)| lines);
        for at in held.filter(|at| lines_of(plan, path).any(|name| *name == at.line.token)) {
            match lines.iter().find(|new| new.line.token == at.line.token) {
                None if !self.is_written_off(path, at) && log.contains_key(&at.line.token) => {
                    return Err(format!("{path:?} loses {}", at.line.token));
                }
                None => {}
                // "Never back to an older token", within a life; a restart without its state begins anew.
                Some(new)
                    if new.generation < at.generation && self.persisted.get(&at.line.token) >= Some(&at.generation) =>
                {
                    return Err(format!("{path:?} goes back from {} to {}", at.generation, new.generation));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// "What left the config stays for two seconds."
    pub(crate) fn disk_changes(
        &mut self,
        path: &TargetPath,
        old: Option<&(Vec<LineAt>, FileSpec)>,
        new: Option<&(Vec<LineAt>, FileSpec)>,
        plan: &Wiring,
        now: Now,
    ) -> Result<(), String> {
        let names = |content: Option<&(Vec<LineAt>, FileSpec)>| -> BTreeSet<TokenName> {
            content.into_iter().flat_map(|(lines, _)| lines).map(|at| at.line.token.clone()).collect()
        };
        let claimed = lines_of(plan, path).next().is_some();
        let off = |token: &TokenName| {
            let mut held = old.into_iter().flat_map(|(lines, _)| lines);
            held.any(|at| at.line.token == *token && self.is_written_off(path, at))
        };
        for token in names(old).difference(&names(new)).filter(|token| !off(token)) {
            let since = self.gone_since.get(&(path.clone(), token.clone()));
            // What was under way already when it left again knows only that it had left before.
            let is_new = |since: &Boot| self.op_began.get(path).is_none_or(|began| began >= since);
            let early = since.is_some_and(|since| now.boot.since(*since) < Duration::from_secs(2) && is_new(since));
            let restarted = self.restarted_at.zip(since.copied()).is_some_and(|(at, since)| at >= since);
            let shared = new.is_some_and(|(lines, _)| lines.iter().all(|at| at.line.format != Format::Token));
            if early && (shared || (!claimed && new.is_none())) && !restarted {
                return Err(format!("{path:?} loses {token} within 2 s"));
            }
        }
        Ok(())
    }

    /// What must hold whenever the engine has spoken.
    pub(crate) fn after_step(
        &self,
        state: &State,
        plan: &Wiring,
        disk: &Disk,
        made: &BTreeMap<(TokenName, u64, u64), Issued>,
        _life: u64,
        now: Now,
    ) -> Result<(), String> {
        // "Nobody waits for an answer past the time given, by more than the longest sleep."
        if let Some((id, _)) = self.open.iter().find(|(_, until)| now.boot > until.plus(Duration::from_secs(31))) {
            return Err(format!("request {id} has no answer"));
        }
        if state.is_finished(now) {
            return Err("the run of a daemon that nobody stopped is over".into());
        }
        let counts = state.counts();
        // "The sums are those of the rows."
        let rows: Vec<TokenState> = state.statuses(now).map(|row| row.state).collect();
        let count = |state| rows.iter().filter(|row| **row == state).count();
        let sums = [counts.valid, counts.retrying, counts.expired, counts.pending];
        let counted = [TokenState::Valid, TokenState::Retrying, TokenState::Expired, TokenState::Pending].map(count);
        if sums != counted {
            return Err(format!("sums {sums:?}, rows {counted:?}"));
        }
        // "What may have been revoked is not shown as certain until another one is adopted, and nothing else is doubted."
        for row in state.statuses(now) {
            let by_its_time = row.issued_at.is_some() && row.expires_at.is_none_or(|end| end > now.wall);
            let doubtful = by_its_time && self.doubtful.contains(&row.name);
            if row.uncertain.is_some() != doubtful {
                return Err(format!("{} may be revoked: {doubtful}, is shown as {:?}", row.name, row.uncertain));
            }
        }
        self.tried_each_minute(state, plan, now)?;
        // "Once all is well for a while, no file holds an expired token, ever."
        let Some(calm) = self.calm_since else { return Ok(()) };
        if now.boot.since(calm.boot) < Duration::from_secs(250) {
            return Ok(());
        }
        // "After a clock was set back no token stays that was issued in the future."
        for wire in plan.tokens.iter().filter(|wire| obtainable(plan, &wire.name)) {
            let slack = Duration::from_secs(90) + wire.schedule.skew * 2;
            let issued = state.token_status(&wire.name, now).and_then(|row| row.issued_at);
            if issued.is_some_and(|at| at > now.wall.plus(slack)) {
                return Err(format!("{} was issued at {issued:?}, in the future", wire.name));
            }
        }
        for target in plan.targets.iter().filter(|target| target.lack.is_none()) {
            for at in disk.get(&target.path).into_iter().flat_map(|(lines, _)| lines) {
                let issued = newest(made, &at.line.token, at.generation);
                let claimed = lines_of(plan, &target.path).any(|name| *name == at.line.token);
                let obtainable = claimed && obtainable(plan, &at.line.token);
                if obtainable && issued.is_some_and(|end| end.plus(TURN) <= now.wall) {
                    return Err(format!("{} in {:?} expired at {issued:?}", at.line.token, target.path));
                }
            }
        }
        Ok(())
    }

    /// "What was refused and has run out is tried each minute for a quarter of an hour, itself or what it is made with."
    fn tried_each_minute(&self, state: &State, plan: &Wiring, now: Now) -> Result<(), String> {
        // A clock that was set, unless the engine was told, leaves the waits as they were: they are 200 s at most.
        if self.stepped_at.is_some_and(|at| now.boot.since(at) < Duration::from_secs(200)) {
            return Ok(());
        }
        let refused = state.statuses(now).filter(|row| row.reason == Some(Reason::Rejected));
        for row in refused.filter(|row| obtainable(plan, &row.name)) {
            let Some(over) = row.expires_at.filter(|end| *end <= now.wall).map(|end| now.wall.since(end)) else {
                continue;
            };
            let family = family(plan, &row.name);
            let is_refused = |name: &TokenName| {
                let reason = state.token_status(name, now).and_then(|row| row.reason);
                let flies = self.flights.get(name).is_some_and(|flights| !flights.is_empty());
                !flies && reason.is_none_or(|reason| reason == Reason::Rejected)
            };
            let last = family.iter().filter_map(|name| self.last_obtain.get(name)).max();
            let since = last.map(|last| now.boot.since(*last)).unwrap_or_default();
            if over < Duration::from_secs(900) && since > Duration::from_secs(63) && family.iter().all(is_refused) {
                return Err(format!("{} ran out {over:?} ago, and the last try was {since:?} ago", row.name));
            }
        }
        Ok(())
    }

    /// "It converges to the plan: each file holds what the plan says, of the newest tokens, and nothing else stands."
    pub(crate) fn converged(&self, plan: &Wiring, disk: &Disk, state: &State, now: Now) -> Result<(), String> {
        if !self.open.is_empty() {
            return Err(format!("requests {:?} have no answer", self.open));
        }
        for target in plan.targets.iter().filter(|target| target.lack.is_none()) {
            let want: Vec<&TokenName> =
                target.lines.iter().map(|line| &line.token).filter(|token| obtainable(plan, token)).collect();
            let Some((lines, spec)) = disk.get(&target.path) else {
                if want.is_empty() {
                    continue;
                }
                return Err(format!("{:?} is not there, shall hold {want:?}", target.path));
            };
            let has: Vec<&TokenName> = lines.iter().map(|at| &at.line.token).filter(|t| obtainable(plan, t)).collect();
            if has != want || (!want.is_empty() && *spec != target.spec) {
                return Err(format!("{:?} holds {has:?} {spec:?}, shall hold {want:?} {:?}", target.path, target.spec));
            }
        }
        let planned = |path: &&TargetPath| plan.targets.iter().any(|target| target.path == **path);
        // What somebody else put there stays.
        let is_ours = |(_, (lines, _)): &(&TargetPath, &(Vec<LineAt>, FileSpec))| !lines.is_empty();
        if let Some((path, _)) = disk.iter().filter(is_ours).find(|(path, _)| !planned(path)) {
            return Err(format!("{path:?} is left over"));
        }
        for wire in plan.tokens.iter().filter(|wire| obtainable(plan, &wire.name)) {
            let row = state.token_status(&wire.name, now).ok_or(format!("{} has no row", wire.name))?;
            let lacking = plan.targets.iter().any(|t| t.lack.is_some() && t.lines.iter().any(|l| l.token == wire.name));
            // A hook that failed runs again after the next rotation only.
            let of_hook = row.state == TokenState::Retrying && row.reason == Some(Reason::Hook);
            if row.state != TokenState::Valid && !lacking && !of_hook {
                return Err(format!("{} is {:?}: {:?}", wire.name, row.state, row.last_error));
            }
        }
        if !state.is_ready() {
            return Err("READY was never told".into());
        }
        Ok(())
    }
}

fn newest(made: &BTreeMap<(TokenName, u64, u64), Issued>, name: &TokenName, generation: u64) -> Option<Wall> {
    let of = made.range((name.clone(), generation, 0)..=(name.clone(), generation, u64::MAX));
    of.last().and_then(|(_, issued)| issued.life.expires_at)
}

/// It, and all that it is made with.
fn family(plan: &Wiring, name: &TokenName) -> BTreeSet<TokenName> {
    let parents = plan.tokens.iter().find(|token| token.name == *name).map(|token| token.parents.as_slice());
    let all = parents.unwrap_or_default().iter().flat_map(|parent| family(plan, parent));
    all.chain([name.clone()]).collect()
}

/// Nothing lacks for it, its parents, or for all of its files.
fn obtainable(plan: &Wiring, name: &TokenName) -> bool {
    let Some(wire) = plan.tokens.iter().find(|token| token.name == *name) else { return false };
    let mut files = plan.targets.iter().filter(|t| t.lines.iter().any(|line| line.token == *name)).peekable();
    let deliverable = files.peek().is_none() || files.any(|target| target.lack.is_none());
    wire.lack.is_none() && deliverable && wire.parents.iter().all(|parent| obtainable(plan, parent))
}
