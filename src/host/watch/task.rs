//! Owns: what is watched now, and how all stood at the last look: walks, sets watches by what was found, and compares.
//! Does not: touch a file system itself; `survey` and `hand` do, on threads that may hang.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::hand::{Applied, Change, Events, Hand, WatchedPlace, unwatched};
use super::pending::Routes;
use super::route::{Errand, Interest, Mark, NameKind, Ways, is_worth};
use super::shared::{KnownErrands, SharedWatch};
use super::survey::{Survey, WalkKey};

/// Rounds of walking and watching until nothing new is found, in a tree that changes meanwhile.
const ROUNDS: usize = 8;

/// So many files of a folder are watched one by one; of more the folder is.
const ALONE: usize = 32;

pub(super) enum Order {
    /// Watch these and nothing else.
    Set { files: BTreeSet<PathBuf>, includes: BTreeSet<PathBuf>, read_at: Mark },
    /// All is read again after this: what stands now is what is compared with from then on.
    Refresh { moved: BTreeSet<PathBuf>, done: oneshot::Sender<()> },
    /// Compare, and try again what failed.
    Look,
    /// Tell when all earlier ones are carried out.
    Fence(oneshot::Sender<()>),
}

pub(super) struct Task {
    shared: Weak<SharedWatch>,
    orders: UnboundedReceiver<Order>,
    errands: BTreeMap<WalkKey, Arc<Errand>>,
    /// What each errand came to, at the last look.
    ways: HashMap<WalkKey, Arc<Ways>>,
    survey: Survey,
    hand: Hand,
    /// What is watched, with device and inode, to see that something else took its place.
    watched: HashMap<WatchedPlace, (u64, u64)>,
    /// Watches of what was moved or removed: to be dropped.
    dead: Vec<WatchedPlace>,
    /// What keeps changes from being told.
    troubles: BTreeSet<String>,
    /// Those that were logged.
    logged: BTreeSet<String>,
    /// What was walked to last is what is watched.
    is_settled: bool,
}

impl Task {
    pub(super) fn new(shared: Weak<SharedWatch>, orders: UnboundedReceiver<Order>) -> Self {
        Self {
            hand: Hand::new(shared.clone()),
            shared,
            orders,
            errands: BTreeMap::new(),
            ways: HashMap::new(),
            survey: Survey::new(),
            watched: HashMap::new(),
            dead: Vec::new(),
            troubles: BTreeSet::new(),
            logged: BTreeSet::new(),
            is_settled: false,
        }
    }

    /// Until nobody is there any more to be told.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.carry_out(order).await,
                    None => return,
                },
                (key, walked, took) = self.survey.late() => {
                    tracing::info!("{} answers again, after {} s", key.display(), took.as_secs());
                    if self.take(key, Arc::new(walked.ways)) | walked.is_late | self.settle().await {
                        self.tell();
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, order: Order) {
        match order {
            Order::Set { files, includes, read_at } => {
                self.errands = errands(&self.errands, files, includes, read_at);
                self.ways.retain(|key, _| self.errands.contains_key(key));
                if self.settle().await {
                    self.tell();
                }
                for errand in self.errands.values_mut() {
                    let errand = Arc::make_mut(errand);
                    (errand.is_new, errand.mark) = (BTreeSet::new(), None);
                }
                self.know();
            }
            Order::Refresh { moved, done } => {
                self.forget(&moved);
                self.settle().await;
                // Whoever asked may be gone.
                let _ = done.send(());
            }
            Order::Look => {
                if self.settle().await {
                    self.tell();
                }
            }
            Order::Fence(done) => drop(done.send(())),
        }
    }

    fn tell(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.tell(|pending| pending.lose(Instant::now()));
        }
    }

    /// Walks and watches until what was walked is what is watched. True where something stands otherwise than at the last look.
    async fn settle(&mut self) -> bool {
        let mut has_changed = false;
        self.is_settled = false;
        for _ in 0..ROUNDS {
            self.troubles.clear();
            let (mut found, mut is_late) = (Vec::new(), false);
            let errands: Vec<_> = self.errands.iter().map(|(key, errand)| (key.clone(), errand.clone())).collect();
            let is_whole = self
                .survey
                .walk(errands.into_iter(), |key, walked| {
                    is_late |= walked.is_late;
                    found.push((key, Arc::new(walked.ways)));
                })
                .await;
            has_changed |= is_late;
            for (key, ways) in found {
                has_changed |= self.take(key, ways);
            }
            if !is_whole {
                let why = "so much hangs that no thread is free";
                self.troubles.insert(format!("changes of files are not noticed at once: {why}"));
            }
            let changes = self.changes();
            self.route();
            if changes.is_empty() {
                self.is_settled = true;
                break;
            }
            let done = self.hand.work(changes).await;
            // What is watched from now on may have changed after it was walked to.
            if !self.watched_now(done) {
                self.is_settled = true;
                break;
            }
        }
        self.complain();
        self.know();
        has_changed
    }

    /// Sets down how all stands, to be compared with; not where something is to be tried again.
    fn know(&self) {
        let is_well = self.is_settled && self.troubles.is_empty();
        let known = |(key, errand): (&WalkKey, &Arc<Errand>)| Some((errand.clone(), self.ways.get(key)?.clone()));
        let known: Option<Vec<_>> = self.errands.iter().map(known).collect();
        if let Some(shared) = self.shared.upgrade() {
            shared.know(known.filter(|_| is_well).map(KnownErrands));
        }
    }

    /// True where they differ from what was known.
    fn take(&mut self, key: WalkKey, ways: Arc<Ways>) -> bool {
        if !self.errands.contains_key(&key) {
            return false;
        }
        match self.ways.get(&key) {
            Some(older) if **older == *ways => false,
            Some(older) => {
                let differs = ways.differ_from(older);
                self.ways.insert(key, ways);
                differs
            }
            None => {
                self.ways.insert(key, ways);
                false
            }
        }
    }

    /// Before the watches are set, so that no event of theirs is taken for a neighbour's.
    fn route(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.lock().routes = Routes::of(self.ways.values());
        }
    }

    /// What is to be watched, with what stands there, and whether a change would be missed without.
    fn wanted(&self) -> HashMap<WatchedPlace, ((u64, u64), bool)> {
        let mut folders: HashMap<&Path, Vec<&Interest>> = HashMap::new();
        for (folder, interest) in self.ways.values().flat_map(|ways| &ways.folders) {
            folders.entry(folder).or_default().push(interest);
        }
        let stuck: HashSet<PathBuf> = self.hand.stuck().into_iter().map(|(path, _)| path).collect();
        let mut wanted = HashMap::new();
        for (folder, interests) in folders {
            let worth = interests.iter().any(|interest| is_worth(folder, interest));
            if !worth || stuck.contains(folder) {
                continue;
            }
            let names = || interests.iter().flat_map(|interest| &interest.names);
            let files = || names().filter(|(_, stamp)| stamp.kind == NameKind::File);
            let many = files().count() > ALONE;
            let comes = names().any(|(_, stamp)| stamp.kind == NameKind::Missing)
                || interests.iter().any(|interest| !interest.patterns.is_empty());
            let events = if many || comes { Events::All } else { Events::Names };
            let needed = interests.iter().any(|interest| interest.needed);
            let id = interests.first().map_or((0, 0), |interest| interest.id);
            wanted.insert((folder.to_path_buf(), events), (id, needed));
            for (name, stamp) in files().filter(|(_, stamp)| events == Events::Names || stamp.is_mounted) {
                let path = folder.join(name);
                if !stuck.contains(&path) {
                    wanted.insert((path, Events::All), (stamp.id, true));
                }
            }
        }
        wanted
    }

    fn changes(&mut self) -> Vec<Change> {
        if !self.hand.is_there() {
            self.watched.clear();
            self.dead.clear();
        }
        let wanted = self.wanted();
        let stale = self.watched.extract_if(|watch, id| wanted.get(watch).is_none_or(|(now, _)| now != id));
        let stale = stale.map(|(watch, _)| watch);
        let mut changes: Vec<Change> = self.dead.drain(..).chain(stale).map(Change::Drop).collect();
        let mut new: Vec<WatchedPlace> = wanted.into_keys().filter(|watch| !self.watched.contains_key(watch)).collect();
        new.sort();
        changes.extend(new.into_iter().map(Change::Set));
        changes
    }

    /// True where something new is watched, or went.
    fn watched_now(&mut self, done: Applied) -> bool {
        let wanted = self.wanted();
        if let Some(path) = &done.hung {
            tracing::error!("{} does not answer: all watches are made anew without it", path.display());
        }
        if let Some(why) = &done.none {
            self.troubles.insert(format!("changes of files are not noticed at once: {why}"));
        }
        for ((path, _), why) in
            done.refused.iter().filter(|(watch, _)| wanted.get(watch).is_some_and(|(_, needed)| *needed))
        {
            self.troubles.insert(unwatched(path, why));
        }
        let is_new = !done.set.is_empty() || !done.gone.is_empty() || done.hung.is_some();
        for watch in done.set {
            if let Some((id, _)) = wanted.get(&watch) {
                self.watched.insert(watch, *id);
            }
        }
        is_new
    }

    /// inotify drops the watch of what is removed, and keeps that of what is moved.
    fn forget(&mut self, moved: &BTreeSet<PathBuf>) {
        let gone = |path: &Path| path.ancestors().any(|folder| moved.contains(folder));
        if !moved.is_empty() {
            self.dead.extend(self.watched.extract_if(|(path, _), _| gone(path)).map(|(watch, _)| watch));
        }
    }

    /// Tells what keeps changes from being noticed, each thing once for as long as it lasts.
    fn complain(&mut self) {
        for (path, since) in
            self.survey.hanging().map(|(path, since)| (path.to_path_buf(), since)).chain(self.hand.stuck())
        {
            self.troubles.insert(format!(
                "{} has not answered since {}: what changes there is not noticed until it does",
                path.display(),
                since.rfc3339()
            ));
        }
        for trouble in self.troubles.iter().filter(|trouble| !self.logged.contains(*trouble)) {
            tracing::warn!("{trouble}; all is looked at each minute");
        }
        self.logged.clone_from(&self.troubles);
        if let Some(shared) = self.shared.upgrade() {
            shared.trouble(self.troubles.iter().cloned().collect());
        }
    }
}

/// What is walked to together: the files of one folder, as the config names it, and each include.
fn errands(
    old: &BTreeMap<WalkKey, Arc<Errand>>,
    files: BTreeSet<PathBuf>,
    includes: BTreeSet<PathBuf>,
    read_at: Mark,
) -> BTreeMap<WalkKey, Arc<Errand>> {
    let mut errands: BTreeMap<WalkKey, Errand> = BTreeMap::new();
    let known: HashSet<&PathBuf> =
        old.values().flat_map(|errand| errand.files.iter().chain(&errand.includes)).collect();
    let mut add = |key: WalkKey, path: PathBuf, is_include: bool| {
        let errand = errands.entry(key).or_default();
        errand.mark = Some(read_at);
        if !known.contains(&path) {
            errand.is_new.insert(path.clone());
        }
        if is_include { errand.includes.push(path) } else { errand.files.push(path) }
    };
    for file in files {
        add(file.parent().unwrap_or(Path::new("/")).to_path_buf(), file, false);
    }
    for include in includes {
        add(include.clone(), include, true);
    }
    errands.into_iter().map(|(key, errand)| (key, Arc::new(errand))).collect()
}
