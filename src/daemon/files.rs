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
use super::vault::Vault;
use super::{Message, Messages};
use crate::core::engine::{Event, FormerLine, Found, LineAt, OpId, RestoredTarget};
use crate::core::render::render;
use crate::core::secret::Secret;
use crate::core::settings::{FileSpec, Fingerprint, Format, LinePlan, Plan, TargetPath, TargetPlan};
use crate::core::time::Boot;
use crate::host::deliver::{self, Disks, Done, Job, Landed, Stamp};
use crate::host::store::{KeptLine, KeptTarget, Record};

/// So many contents a file are remembered while its writes fail: the one that stands there, and the newest tries.
const TRIED: usize = 8;

/// What renewd wrote to a file, or was about to write.
#[derive(Default)]
struct WrittenFile {
    /// The first is the content that landed last; writes that did not come back well may have landed still.
    digests: Vec<Fingerprint>,
    lines: Vec<Arc<LinePlan>>,
    /// The same of an earlier run, until the file is written.
    kept: Vec<KeptLine>,
    /// How the file stood when it was written, or looked at last. `None`: `unseen` says why not.
    stamp: Option<Stamp>,
    unseen: Unseen,
}

/// Why it is not known how a file stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Unseen {
    /// Nobody has looked in this run.
    #[default]
    NotYet,
    /// There is no such file.
    Gone,
    /// The look failed.
    Failed,
}

impl Unseen {
    /// As `status --json` says it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

/// How a file is written.
pub(super) struct Write {
    /// One that is exactly so already stays.
    pub verify: bool,
    /// The batch for the state that its record goes with; `None` where nothing waits for the state.
    pub waits_for: Option<u64>,
}

pub(super) struct Files {
    known: HashMap<TargetPath, WrittenFile>,
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
            known: HashMap::new(),
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
        let folder = |target: &TargetPlan| Some((target.path.clone(), target.shown.parent()?.to_path_buf()));
        self.linked = linked.filter_map(folder).collect();
    }

    /// Takes over what the state tells of files.
    pub(super) fn restore(&mut self, kept: BTreeMap<TargetPath, KeptTarget>) -> Vec<RestoredTarget> {
        let restored = kept.into_values().map(|target| {
            let path = target.path;
            let lines = target.lines.iter().map(former_line).collect();
            let known = WrittenFile { digests: target.digests, kept: target.lines, ..WrittenFile::default() };
            self.known.insert(path.clone(), known);
            RestoredTarget { path, lines }
        });
        restored.collect()
    }

    /// Removes what a crash left beside the files that are or were this config's, in each folder before anything is written
    /// there: a folder that hangs holds up its own files. One that lacks something now may hang: it waits for its first write.
    pub(super) fn sweep(&mut self, plan: &Plan) {
        let known: Vec<TargetPath> = self.known.keys().cloned().collect();
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
        let known = self.known.entry(path.clone()).or_default();
        let is_known = known.digests.last() == Some(&digest);
        if !is_known {
            known.digests.push(digest);
            if known.digests.len() > TRIED {
                known.digests.remove(1);
            }
        }
        let mut old = std::mem::take(&mut known.kept);
        old.extend(known.lines.iter().map(|line| kept_line(line)));
        known.lines = lines.iter().map(|at| at.line.clone()).collect();
        let mut kept: Vec<KeptLine> = known.lines.iter().map(|line| kept_line(line)).collect();
        let gone: Vec<KeptLine> = old.iter().filter(|line| !kept.contains(line)).cloned().collect();
        kept.extend(gone);
        let is_told = is_known && old == kept;
        let record = (!is_told).then(|| {
            let digests = known.digests.clone();
            Record::Target(KeptTarget { path: path.clone(), digests, lines: kept })
        });
        let work = FolderWork::Write { op, job: Job { path: path.clone(), spec, bytes, verify } };
        match waits_for.filter(|_| record.is_some()) {
            Some(batch) => self.waiting.push_back((batch, path.clone(), work)),
            None => self.queue(path, work, is_told && verify),
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
            let older = known.digests.len().saturating_sub(1);
            known.digests.drain(..older);
        }
    }

    pub(super) fn remove(&mut self, path: &TargetPath, op: OpId) {
        let digests = self.known.get(path).map(|known| known.digests.clone()).unwrap_or_default();
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
                known.stamp = Some(stamp);
            }
        }
        self.queues.done(folder);
    }

    /// Does the chores, and looks at all files that stand as they were written; what has changed comes as a message.
    pub(super) fn look(&self, chores: Vec<Chore>) {
        let all = self.known.iter().filter_map(|(path, known)| Some((path, known.stamp?)));
        self.looks.begin(by_folder(&self.linked, all), chores);
    }

    /// The same for somebody who waits for these files alone.
    pub(super) fn look_at<'a>(&mut self, paths: impl Iterator<Item = &'a TargetPath>) -> Option<LookId> {
        let those = paths.filter_map(|path| Some((path, self.known.get(path)?.stamp?)));
        let folders = by_folder(&self.linked, those);
        self.looks.ask(folders)
    }

    /// A file was looked at, and stands so.
    pub(super) fn found(&mut self, path: &TargetPath, stamp: Stamp) {
        self.known.entry(path.clone()).or_default().stamp = Some(stamp);
    }

    /// A look at a file found none, or failed.
    pub(super) fn not_found(&mut self, path: &TargetPath, unseen: Unseen) {
        let known = self.known.entry(path.clone()).or_default();
        (known.stamp, known.unseen) = (None, unseen);
    }

    /// How a file stood when it was written, or looked at last.
    pub(super) fn stamp(&self, path: &TargetPath) -> Result<Stamp, Unseen> {
        let known = self.known.get(path).ok_or(Unseen::NotYet)?;
        known.stamp.ok_or(known.unseen)
    }

    /// Since when its folder does not answer a look.
    pub(super) fn hangs_since(&self, path: &TargetPath, now: Boot) -> Option<Boot> {
        self.looks.hangs_since(folder_of(&self.linked, path), now)
    }

    /// What a look tells, as far as nothing was written there meanwhile.
    pub(super) fn seen(&mut self, seen: Vec<Seen>) -> Vec<Event> {
        let mut events = Vec::new();
        for Seen { path, was, now } in seen {
            let Some(known) = self.known.get_mut(&path).filter(|known| known.stamp == Some(was)) else { continue };
            known.stamp = now.ok().flatten();
            known.unseen = if now.is_ok() { Unseen::Gone } else { Unseen::Failed };
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

fn kept_line(line: &LinePlan) -> KeptLine {
    let env = match &line.format {
        Format::Env { variable, expires_variable } => Some((variable.clone(), expires_variable.clone())),
        Format::Token | Format::Json | Format::Header | Format::Template { .. } => None,
    };
    KeptLine { token: line.token.clone(), env }
}

fn former_line(kept: &KeptLine) -> FormerLine {
    let plan = kept.env.clone().map(|(variable, expires_variable)| {
        let format = Format::Env { variable, expires_variable };
        Arc::new(LinePlan { token: kept.token.clone(), format })
    });
    FormerLine { token: kept.token.clone(), plan }
}
