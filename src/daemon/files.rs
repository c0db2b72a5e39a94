//! Owns: what is done to files, and what renewd last wrote to each, so that it removes nothing else.
//! Does not: decide what is written where, or whose turn it is (`queues` does).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;

use super::looks::{Chore, FolderLook, Looks};
use super::message::{LookId, Seen};
use super::places::Places;
use super::queues::{FolderQueues, FolderWork};
use super::table::NameTable;
use super::vault::Vault;
use super::written::{Unseen, WrittenFile, former_line};
use super::{Message, Messages};
use crate::core::engine::{Event, Found, LineAt, OpId, RestoredTarget};
use crate::core::render::render;
use crate::core::secret::Secret;
use crate::core::settings::{FileSpec, Fingerprint, Plan, TargetPath, TargetPlan};
use crate::core::time::Boot;
use crate::host::deliver::{self, Disks, Done, Job, Landed, Stamp};
use crate::host::store::{KeptTarget, Record};

/// How a file is written.
pub(super) struct Write {
    /// One that is exactly so already stays.
    pub verify: bool,
    /// The batch for the state that its record goes with; `None` where nothing waits for the state.
    pub waits_for: Option<u64>,
}

pub(super) struct Files {
    known: NameTable<WrittenFile>,
    /// The folder as the config gives it, where a link stands in it: each delivery judges the links anew.
    linked: HashMap<TargetPath, PathBuf>,
    queues: FolderQueues,
    /// Folders in which a crash may have left something.
    unswept: HashMap<PathBuf, BTreeSet<OsString>>,
    /// What is written once the state has its batch, in the order of the batches.
    waiting: VecDeque<(u64, TargetPath, FolderWork)>,
    looks: Looks,
    places: Arc<Places>,
    disks: Arc<Disks>,
    messages: UnboundedSender<Message>,
}

impl Files {
    pub(super) fn new(messages: &Messages) -> Self {
        Self {
            known: NameTable::default(),
            linked: HashMap::new(),
            queues: FolderQueues::default(),
            unswept: HashMap::new(),
            waiting: VecDeque::new(),
            looks: Looks::new(messages),
            places: Arc::default(),
            disks: Arc::default(),
            messages: messages.clone(),
        }
    }

    /// From now on folders are gone to as this plan gives them.
    pub(super) fn set_plan(&mut self, plan: &Arc<Plan>) {
        self.places.set_plan(plan);
        let linked = plan.targets.iter().filter(|target| target.path != target.shown);
        let folder = |target: &Arc<TargetPlan>| Some((target.path.clone(), target.shown.parent()?.to_path_buf()));
        self.linked = linked.filter_map(folder).collect();
    }

    /// Takes over what the state tells of files.
    pub(super) fn restore(&mut self, kept: BTreeMap<TargetPath, KeptTarget>) -> Vec<RestoredTarget> {
        let restored = kept.into_values().map(|target| {
            let path = target.path.clone();
            let lines = target.lines.iter().map(former_line).collect();
            self.known.insert(WrittenFile::kept(target));
            RestoredTarget { path, lines }
        });
        restored.collect()
    }

    /// Removes what a crash left beside the files that are or were this config's, in each folder before anything is written
    /// there: a folder that hangs holds up its own files. One that lacks something now may hang: it waits for its first write.
    pub(super) fn sweep(&mut self, plan: &Plan) {
        let known: Vec<TargetPath> = self.known.iter().map(|known| known.path.clone()).collect();
        let mut folders: BTreeMap<PathBuf, (&Path, BTreeSet<OsString>)> = BTreeMap::new();
        for path in plan.targets.iter().map(|target| &target.path).chain(&known) {
            if let Some(name) = path.file_name() {
                let folder = folder_of(&self.linked, path);
                let real = path.parent().unwrap_or(folder);
                folders.entry(folder.to_path_buf()).or_insert((real, BTreeSet::new())).1.insert(name.to_owned());
            }
        }
        let lacking = plan.targets.iter().filter(|target| target.lack.is_some());
        let lacking: BTreeSet<&Path> = lacking.map(|target| folder_of(&self.linked, &target.path)).collect();
        for (folder, (real, names)) in folders {
            if lacking.contains(&*folder) {
                self.unswept.insert(folder, names);
            } else {
                self.queues.push_first(&folder, real, FolderWork::Sweep { names });
            }
        }
    }

    /// Whether a folder has something to do still.
    pub(super) fn is_busy(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Renders a file and queues its write. The record belongs into the state before the write: then whoever comes after
    /// a crash knows both the old and the new content for ours. `None`: the state tells the same already.
    ///
    /// # Errors
    /// What keeps the token from being written in this format: an error of delivery.
    pub(super) fn write(
        &mut self,
        vault: &Vault,
        path: &TargetPath,
        op: OpId,
        spec: FileSpec,
        lines: &[LineAt],
        how: Write,
    ) -> Result<Option<Record>, Arc<str>> {
        let Write { verify, waits_for } = how;
        let bytes = rendered(vault, lines)?;
        let digest = Fingerprint::of(bytes.expose());
        let told = self.of(path).begin(digest, lines);
        let record = told.map(|(digests, lines)| Record::Target(KeptTarget { path: path.clone(), digests, lines }));
        let work = FolderWork::Write { op, job: Job { path: path.clone(), spec, bytes, verify } };
        match waits_for.filter(|_| record.is_some()) {
            Some(batch) => self.waiting.push_back((batch, path.clone(), work)),
            None => self.queue(path, work, record.is_none() && verify),
        }
        Ok(record)
    }

    /// The state has this batch, or does not answer: what waited for it is written.
    pub(super) fn saved(&mut self, batch: u64) {
        while let Some((_, path, work)) = self.waiting.pop_front_if(|(waits_for, ..)| *waits_for <= batch) {
            self.queue(&path, work, false);
        }
    }

    /// The newest content stands in the file: the older ones do not any more.
    pub(super) fn landed(&mut self, path: &TargetPath) {
        if let Some(known) = self.known.get_mut(path) {
            known.landed();
        }
    }

    pub(super) fn remove(&mut self, path: &TargetPath, op: OpId) {
        let digests = self.known.get(path).map(|known| known.digests().to_vec()).unwrap_or_default();
        self.queue(path, FolderWork::Remove { op, path: path.clone(), digests }, false);
    }

    /// The file is not ours any more.
    pub(super) fn forget(&mut self, path: &TargetPath) -> Record {
        self.known.remove(path);
        Record::TargetGone(path.clone())
    }

    fn queue(&mut self, path: &TargetPath, work: FolderWork, is_check: bool) {
        let folder = folder_of(&self.linked, path);
        let real = path.parent().unwrap_or(folder);
        if let Some(names) = self.unswept.remove(folder) {
            self.queues.push_first(folder, real, FolderWork::Sweep { names });
        }
        self.queues.push(folder, real, work, is_check);
    }

    /// Starts a batch in each folder that has something to do and may begin.
    pub(super) fn start(&mut self) {
        let broken: Arc<str> = "an internal error, see the log; please report it".into();
        while let Some((folder, batch)) = self.queues.take() {
            let broken = broken.clone();
            let (places, disks, messages) = (self.places.clone(), self.disks.clone(), self.messages.clone());
            tokio::task::spawn_blocking(move || {
                let failures = batch.iter().filter_map(|work| work.broken(&broken)).collect();
                // A fault of ours in one folder must not keep that folder's queue for ever.
                let done = std::panic::catch_unwind(AssertUnwindSafe(|| work(&folder, &places, &disks, batch)));
                let (events, landed) = done.unwrap_or((failures, Vec::new()));
                // The daemon is gone: nobody waits for the answer.
                let _ = messages.send(Message::QueueDone { folder, events, landed });
            });
        }
    }

    pub(super) fn queue_done(&mut self, folder: &Path, landed: Vec<(TargetPath, Stamp)>) {
        for (path, stamp) in landed {
            if let Some(known) = self.known.get_mut(&path) {
                known.stamp = Ok(stamp);
            }
        }
        self.queues.done(folder);
    }

    /// Does the chores, and looks at all files that stand as they were written; what has changed comes as a message.
    pub(super) fn look(&self, chores: Vec<Chore>) {
        let all = self.known.iter().filter_map(|known| Some((&known.path, known.stamp.ok()?)));
        self.looks.begin(by_folder(&self.linked, all), chores);
    }

    /// The same for somebody who waits for these files alone.
    pub(super) fn look_at<'a>(&mut self, paths: impl Iterator<Item = &'a TargetPath>) -> Option<LookId> {
        let those = paths.filter_map(|path| Some((path, self.known.get(path)?.stamp.ok()?)));
        let folders = by_folder(&self.linked, those);
        self.looks.ask(folders)
    }

    fn of(&mut self, path: &TargetPath) -> &mut WrittenFile {
        self.known.get_or_insert(path, || WrittenFile::new(path.clone()))
    }

    /// A file was looked at, and stands so.
    pub(super) fn found(&mut self, path: &TargetPath, stamp: Stamp) {
        self.of(path).stamp = Ok(stamp);
    }

    /// A look at a file found none, or failed.
    pub(super) fn not_found(&mut self, path: &TargetPath, unseen: Unseen) {
        self.of(path).stamp = Err(unseen);
    }

    /// How a file stood when it was written, or looked at last.
    pub(super) fn stamp(&self, path: &TargetPath) -> Result<Stamp, Unseen> {
        self.known.get(path).ok_or(Unseen::NotYet)?.stamp
    }

    /// Since when its folder does not answer a look.
    pub(super) fn hangs_since(&self, path: &TargetPath, now: Boot) -> Option<Boot> {
        self.looks.hangs_since(folder_of(&self.linked, path), now)
    }

    /// What a look tells, as far as nothing was written there meanwhile.
    pub(super) fn seen(&mut self, seen: Vec<Seen>) -> Vec<Event> {
        let mut events = Vec::new();
        for Seen { path, was, now } in seen {
            let Some(known) = self.known.get_mut(&path).filter(|known| known.stamp == Ok(was)) else { continue };
            known.stamp = now.map_or(Err(Unseen::Failed), |now| now.ok_or(Unseen::Gone));
            let found = match now {
                Ok(None) => Found::Gone,
                Ok(Some(now)) => Found::Changed { at: Some(now.changed_at()) },
                Err(()) => Found::Unseen,
            };
            events.push(Event::Found { path, found });
        }
        events
    }
}

fn folder_of<'a>(linked: &'a HashMap<TargetPath, PathBuf>, path: &'a TargetPath) -> &'a Path {
    let linked = linked.get(path).map(PathBuf::as_path);
    linked.or(path.parent()).unwrap_or(Path::new("/"))
}

fn by_folder<'a>(
    linked: &'a HashMap<TargetPath, PathBuf>,
    files: impl Iterator<Item = (&'a TargetPath, Stamp)>,
) -> Vec<FolderLook> {
    let mut folders: HashMap<&Path, Vec<(TargetPath, Stamp)>> = HashMap::new();
    for (path, stamp) in files {
        folders.entry(folder_of(linked, path)).or_default().push((path.clone(), stamp));
    }
    folders.into_iter().map(|(path, files)| FolderLook { path: path.to_path_buf(), files }).collect()
}

/// Does one batch in one folder. Its operations are of different files: the engine has one at a time for each.
fn work(
    folder: &Path,
    places: &Places,
    disks: &Disks,
    batch: Vec<FolderWork>,
) -> (Vec<Event>, Vec<(TargetPath, Stamp)>) {
    let (mut events, mut landed) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    let (mut ops, mut jobs) = (Vec::new(), Vec::new());
    for work in batch {
        match work {
            FolderWork::Write { op, job } => {
                ops.push(op);
                jobs.push(job);
            }
            FolderWork::Sweep { names } => match deliver::sweep(folder, &names) {
                Ok(0) => {}
                Ok(swept) => tracing::info!("{}: {swept} leftovers of a crash removed", folder.display()),
                Err(error) => tracing::debug!("{error}"),
            },
            FolderWork::Remove { op, path, digests } => {
                let file = path.file_name().map_or_else(|| path.to_path_buf(), |name| folder.join(name));
                let removed = deliver::remove(&file, &digests);
                if let Ok(deliver::Removed::Foreign) = removed {
                    tracing::warn!(
                        path = %path.display(),
                        "{} was changed by somebody else and stays, though its entry is gone",
                        path.display()
                    );
                }
                let failed = removed.err().map(|error| error.to_string().into());
                events.push(Event::Removed { path, op, failed });
            }
        }
    }
    let results = deliver::deliver_unless(folder, &jobs, disks, |open| {
        let ways = places.opened(folder, open);
        move |name: &OsStr| ways.rival(name)
    });
    for ((op, job), result) in ops.into_iter().zip(jobs).zip(results) {
        events.push(match result {
            Ok(Landed { done, stamp }) => {
                landed.push((job.path.clone(), stamp));
                Event::Delivered { path: job.path, op, is_new: done == Done::Written }
            }
            Err(error) => Event::DeliverFailed { path: job.path, op, message: error.to_string().into() },
        });
    }
    (events, landed)
}

pub(super) fn rendered(vault: &Vault, lines: &[LineAt]) -> Result<Secret<Vec<u8>>, Arc<str>> {
    let mut parts = Vec::with_capacity(lines.len());
    for at in lines {
        let Some(stored) = vault.get(&at.line.token, at.generation) else {
            return Err(format!("token {} is not at hand any more; it is tried again", at.line.token).into());
        };
        parts.push((&**stored, &at.line.format));
    }
    render(parts).map_err(|error| error.to_string().into())
}
